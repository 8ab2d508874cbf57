//! Which words of a path are secret, as the rows say.
//!
//! The log asks, and it logs paths that are refused for their spelling too. So it asks for words, decoded and in any
//! case, and the words may begin anywhere in a path.
//!
//! Not here: how a path is shortened and written (`crate::observe`).

use std::ops::Range;

use super::{
    pattern::Segment,
    row::{Branch, First, Row},
    rows::BRANCHES,
};

/// The range of the secret words, if a path with secrets begins with these words.
pub fn secret_words<W: AsRef<str>>(words: &[W]) -> Option<Range<usize>> {
    let (first, others) = words.split_first()?;
    let is = |word: &W, name: &str| word.as_ref().eq_ignore_ascii_case(name);
    branches().find_map(|branch| match branch.first {
        First::Word(word) if is(first, word) => branch.rows.iter().find_map(|row| hidden(row, others)),
        First::Word(_) | First::Begins(_) => None,
        First::KeyOf(word) => others
            .first()
            .is_some_and(|second| is(second, word))
            .then_some(0..1),
    })
}

/// The words by which a path with secrets is recognised: its first segment, or the segment behind an API key.
pub fn words_beside_secrets() -> impl Iterator<Item = &'static str> {
    branches().map(|branch| match branch.first {
        First::Word(word) | First::Begins(word) | First::KeyOf(word) => word,
    })
}

fn branches() -> impl Iterator<Item = &'static Branch> {
    BRANCHES.iter().filter(|branch| branch.has_secrets)
}

/// The range of the secret words in a path, counted from the first segment. `words` are those behind the first segment.
fn hidden<W: AsRef<str>>(row: &Row, words: &[W]) -> Option<Range<usize>> {
    let to_the_end = matches!(row.pattern.last(), Some(Segment::Rest | Segment::SecretRest));
    if !to_the_end && words.len() > row.pattern.len() {
        return None;
    }
    for (at, segment) in row.pattern.iter().enumerate() {
        let is = |name: &&str| {
            words
                .get(at)
                .is_some_and(|word| word.as_ref().eq_ignore_ascii_case(name))
        };
        let goes_on = match segment {
            Segment::SecretRest => return Some(at + 1..words.len() + 1),
            Segment::Secret => return (at < words.len()).then_some(at + 1..at + 2),
            Segment::Word(name) => is(name),
            Segment::OneOf(names) | Segment::Decoded(names) => names.iter().any(is),
            Segment::Begins(_) | Segment::Tag | Segment::Any | Segment::Rest => true,
        };
        if !goes_on {
            return None;
        }
    }
    None
}
