//! Patterns of paths, segment by segment, and how each part of the URL space is compared.
//!
//! SECURITY: a path has to be compared as the program behind it does. What plugnmeet-server would take for a guarded
//! endpoint is that endpoint here too, whatever its case.
//!
//! Sources: docs/plugnmeet.md sections 0.1 (the server's router) and 9 (LiveKit and Etherpad decode).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// One segment of a pattern; `Rest` and `SecretRest` stand for all segments that are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Exactly this word, compared as the branch says (`Compared`).
    Word(&'static str),
    /// One of these words, compared as the branch says (`Compared`).
    OneOf(&'static [&'static str]),
    /// One of these words in any case, encoded or not: some programs decode a path before they look at it.
    Decoded(&'static [&'static str]),
    /// A segment that begins with this word, in any case, percent-encoded or not.
    Begins(&'static str),
    /// A segment that has the form of a session's tag (`is_tag`).
    Tag,
    /// Any one segment.
    Any,
    /// Any one segment, which is a secret: logs hide it.
    Secret,
    /// All segments that are left, also none. Only the last segment of a pattern can be this.
    Rest,
    /// All segments that are left, also none; logs hide all of them. Only the last segment of a pattern can be this.
    SecretRest,
}

/// How the segments of a branch are compared with those of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// Byte for byte.
    Exactly,
    /// As plugnmeet-server's router does: undecoded, in any case, with or without a slash at the end.
    AsServer,
    /// In any case, but a slash at the end counts: a BBB call's checksum is over what follows the last slash.
    AsSigned,
}

/// The length of a session's tag in characters: 16 bytes in base64url.
const TAG_CHARS: usize = 22;

/// Does this segment have the form of a session's tag?
pub fn is_tag(segment: &str) -> bool {
    segment.len() == TAG_CHARS
        && segment
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The part of a path that is not matched yet: its next segment, and what follows the slash behind it, if there is a
/// slash.
pub(super) type Segments<'a> = (&'a str, Option<&'a str>);

/// Can the pattern match no such path? Most rows are not the one, and are told by the length of their first word.
pub(super) fn begins_otherwise(pattern: &[Segment], path: Option<Segments<'_>>) -> bool {
    let Some(Segment::Word(word)) = pattern.first() else {
        return false;
    };
    path.is_none_or(|(next, _)| word.len() != next.len())
}

/// Matches a path with a pattern. Returns the segment that the pattern does not fix, or an empty text if there is none.
pub(super) fn matched<'a>(
    pattern: &[Segment],
    compared: Compared,
    mut path: Option<Segments<'a>>,
) -> Option<&'a str> {
    let mut variable = "";
    for segment in pattern {
        if matches!(segment, Segment::Rest | Segment::SecretRest) {
            return Some(variable);
        }
        let (next, rest) = path?;
        let is_same = match segment {
            Segment::Word(word) => is(next, word, compared),
            Segment::OneOf(words) => words.iter().any(|word| is(next, word, compared)),
            Segment::Decoded(words) => {
                let next = decoded(next);
                words.iter().any(|word| next.eq_ignore_ascii_case(word))
            }
            Segment::Begins(word) => starts(&decoded(next), word),
            Segment::Tag => is_tag(next),
            Segment::Any | Segment::Secret | Segment::Rest | Segment::SecretRest => true,
        };
        if !is_same {
            return None;
        }
        if matches!(segment, Segment::Tag | Segment::Any | Segment::Secret) {
            variable = next;
        }
        path = rest.map(split);
    }
    path.is_none().then_some(variable)
}

pub(super) fn is(segment: &str, word: &str, compared: Compared) -> bool {
    match compared {
        Compared::Exactly => segment == word,
        // Nearly all come in the word's own letters, and those are compared many at a time.
        Compared::AsServer | Compared::AsSigned => segment == word || segment.eq_ignore_ascii_case(word),
    }
}

/// Splits a text at its first slash into the first segment and what follows the slash.
pub(super) fn split(text: &str) -> Segments<'_> {
    match text.bytes().position(|byte| byte == b'/') {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
        None => (text, None),
    }
}

/// Does the text begin with this word, in any case?
pub(super) fn starts(text: &str, word: &str) -> bool {
    text.get(..word.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// The part of a path behind a prefix of whole segments: empty, or beginning with a slash.
pub(super) fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    path.strip_prefix(prefix)
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The segment, percent-decoded until nothing changes: some upstreams decode a path more than once.
fn decoded(segment: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(segment);
    while text.contains('%') {
        let next = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if next == text {
            break;
        }
        text = Cow::Owned(next);
    }
    text
}
