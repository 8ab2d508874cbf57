//! Patterns of paths, segment by segment, and how each part of the URL space is compared.
//!
//! SECURITY: a path has to be compared as the program behind it does. What plugnmeet-server would take for a guarded
//! endpoint is that endpoint here too, whatever its case.
//!
//! Sources: docs/plugnmeet.md sections 0.1 (the server's router) and 9 (LiveKit and Etherpad decode).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// One segment of a pattern, or all that are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment {
    /// This word.
    Word(&'static str),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One of these words in any case, encoded or not: some programs decode a path before they look at it.
    Decoded(&'static [&'static str]),
    /// What begins with this word in any case, encoded or not.
    Begins(&'static str),
    /// A session's tag.
    Tag,
    /// Anything.
    Any,
    /// Anything, and a secret.
    Secret,
    /// Whatever follows, if anything does. The last of its pattern.
    Rest,
    /// Whatever follows, all of it secret. The last of its pattern.
    SecretRest,
}

/// How a branch of the URL space is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// In these very bytes.
    Exactly,
    /// As plugnmeet-server's router does: undecoded, in any case, with or without a slash at the end.
    AsServer,
    /// In any case, but a slash at the end counts: a BBB call's checksum is over what follows the last slash.
    AsSigned,
}

/// A session's tag: 16 bytes in base64url.
const TAG_CHARS: usize = 22;

/// Could this segment be a session's tag?
pub fn is_tag(segment: &str) -> bool {
    segment.len() == TAG_CHARS
        && segment
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Does the path go on like this? `rest` is what follows a slash; none if nothing does. Found is the segment that is not
/// known beforehand; it is empty if the pattern has none.
pub(super) fn matched<'a>(
    pattern: &[Segment],
    compared: Compared,
    mut rest: Option<&'a str>,
) -> Option<&'a str> {
    let mut variable = "";
    for segment in pattern {
        rest = match segment {
            Segment::Rest | Segment::SecretRest => return Some(variable),
            Segment::Word(word) => after(rest?, word, compared)?,
            Segment::OneOf(words) => {
                let text = rest?;
                words.iter().find_map(|word| after(text, word, compared))?
            }
            Segment::Decoded(words) => {
                let (segment, after) = split(rest?);
                let segment = decoded(segment);
                words.iter().find(|word| segment.eq_ignore_ascii_case(word))?;
                after
            }
            Segment::Begins(word) => {
                let (segment, after) = split(rest?);
                starts(&decoded(segment), word).then_some(after)?
            }
            Segment::Tag => {
                (variable, rest) = split(rest?);
                is_tag(variable).then_some(rest)?
            }
            Segment::Any | Segment::Secret => {
                (variable, rest) = split(rest?);
                rest
            }
        };
    }
    rest.is_none().then_some(variable)
}

/// What follows this word and its slash, if the text begins with the whole segment.
pub(super) fn after<'a>(text: &'a str, word: &str, compared: Compared) -> Option<Option<&'a str>> {
    let bytes = text.as_bytes();
    let start = bytes.get(..word.len())?;
    let same = match compared {
        Compared::Exactly => start == word.as_bytes(),
        Compared::AsServer | Compared::AsSigned => start.eq_ignore_ascii_case(word.as_bytes()),
    };
    match bytes.get(word.len()) {
        _ if !same => None,
        None => Some(None),
        Some(b'/') => Some(text.get(word.len() + 1..)),
        Some(_) => None,
    }
}

/// The first segment, and what follows its slash.
pub(super) fn split(text: &str) -> (&str, Option<&str>) {
    match text.split_once('/') {
        Some((segment, rest)) => (segment, Some(rest)),
        None => (text, None),
    }
}

/// Does it begin with this word, in any case?
pub(super) fn starts(text: &str, word: &str) -> bool {
    text.get(..word.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// What follows a prefix of whole segments: nothing, or a path that begins with a slash.
pub(super) fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    path.strip_prefix(prefix)
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// As often as any program behind us might do it.
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
