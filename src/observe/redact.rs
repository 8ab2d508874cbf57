//! Takes secrets out of a path before it is logged.
//!
//! Some of plugNmeet's paths hold secrets: download tokens, WHIP's stream keys, BBB's API key, and the room's session
//! id, which is all that guards an uploaded file (docs/plugnmeet.md section 5). The rows of `crate::urls` say which
//! segments are secret. Queries are never logged.
//!
//! SECURITY: a path that is refused for its spelling (`//download/…`, `/%64ownload/…`) is logged too, and so is a known
//! path below an unknown prefix. So words are found at any place and in any spelling. A segment that is hidden by
//! mistake is no loss.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::urls::{secret_words, words_beside_secrets};

/// The text that replaces a secret.
const HIDDEN: &str = "***";

/// The longest path in a log line, in bytes.
const MAX_SHOWN_BYTES: usize = 256;

/// How many times a segment is decoded to find a word in it: more often than any upstream does.
const DECODINGS: usize = 4;

/// The path without secrets, shortened for the log.
pub fn redacted(path: &str) -> Cow<'_, str> {
    let mut end = path.len().min(MAX_SHOWN_BYTES);
    while !path.is_char_boundary(end) {
        end -= 1;
    }
    let shown = path.get(..end).unwrap_or_default();
    if !may_hold_secrets(shown) {
        return Cow::Borrowed(shown);
    }
    let segments: Vec<&str> = shown.split(['/', '\\']).collect();
    let hide = hidden(&segments);
    let mut out = String::with_capacity(shown.len());
    let mut rest = shown;
    for (segment, hide) in segments.iter().zip(hide) {
        out.push_str(if hide { HIDDEN } else { segment });
        rest = rest.get(segment.len()..).unwrap_or_default();
        let separator = rest.get(..1).unwrap_or_default();
        out.push_str(separator);
        rest = rest.get(separator.len()..).unwrap_or_default();
    }
    Cow::Owned(out)
}

/// Whether each segment is hidden.
fn hidden(segments: &[&str]) -> Vec<bool> {
    let mut hide = vec![false; segments.len()];
    let mut hide_at = |at: usize| {
        if let Some(hide) = hide.get_mut(at) {
            *hide = true;
        }
    };
    // An empty segment, or a dot, is skipped by some readers and takes no word's place.
    let mut words: Vec<String> = Vec::new();
    let mut of_segment: Vec<usize> = Vec::new();
    for (at, segment) in segments.iter().enumerate() {
        let found = words_of(segment);
        if found.iter().any(|word| looks_like_jwt(word)) {
            hide_at(at);
        }
        // A word beside encoded slashes: what is around it can't be told apart, nor what follows.
        let is_glued = found.len() > 1
            && words_beside_secrets().any(|word| found.iter().any(|found| found.eq_ignore_ascii_case(word)));
        if is_glued {
            (at..segments.len()).for_each(&mut hide_at);
            break;
        }
        of_segment.extend(found.iter().map(|_| at));
        words.extend(found);
    }
    for start in 0..words.len() {
        let secret = words.get(start..).and_then(secret_words).unwrap_or_default();
        for at in secret {
            if let Some(segment) = of_segment.get(start + at) {
                hide_at(*segment);
            }
        }
    }
    hide
}

/// The decoded segment, split where it then has slashes.
fn words_of(segment: &str) -> Vec<String> {
    let mut text = Cow::Borrowed(segment);
    for _ in 0..DECODINGS {
        if !text.contains('%') {
            break;
        }
        text = Cow::Owned(percent_decode_str(&text).decode_utf8_lossy().into_owned());
    }
    text.split(['/', '\\'])
        .filter(|word| !word.is_empty() && *word != ".")
        .map(str::to_owned)
        .collect()
}

/// Can the path have secrets? For most paths the answer is no, and their segments are not looked at.
fn may_hold_secrets(path: &str) -> bool {
    let has = |word: &str| {
        let first = word.bytes().next().map(|byte| byte.to_ascii_lowercase());
        path.as_bytes().windows(word.len()).any(|found| {
            // Few windows begin alike.
            found.first().map(u8::to_ascii_lowercase) == first && found.eq_ignore_ascii_case(word.as_bytes())
        })
    };
    path.contains('%') || looks_like_jwt(path) || words_beside_secrets().any(has)
}

/// Does the segment begin as a JWT does? Its header is a JSON object, so its first letters are always these (RFC 7515
/// appendix A).
fn looks_like_jwt(segment: &str) -> bool {
    segment.as_bytes().windows(3).any(|letters| letters == b"eyJ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_what_is_a_key_and_nothing_else() {
        for (path, shown) in [
            (
                "/download/recording/eyJhbGciOi.e30.c2ln",
                "/download/recording/***",
            ),
            ("/Download/uploadedFile/SID%2Fa.pdf", "/Download/uploadedFile/***"),
            (
                "/download/uploadedFile/SID/a/b.pdf",
                "/download/uploadedFile/***/***/***",
            ),
            ("/the-key/bigbluebutton/api/join", "/***/bigbluebutton/api/join"),
            ("/the-key/BigBlueButton", "/***/BigBlueButton"),
            ("/nowhere/eyJhbGciOi.e30.c2ln/x", "/nowhere/***/x"),
            ("/whip/stream-key", "/whip/***"),
            ("/whip/stream-key/resource", "/whip/***/***"),
            ("/whip", "/whip"),
            ("/whip/", "/whip/"),
            ("/api/verifyToken", "/api/verifyToken"),
            ("/conference/s/AAAA/", "/conference/s/AAAA/"),
            ("/x/a%20b", "/x/a%20b"),
            ("/", "/"),
            ("*", "*"),
            ("", ""),
        ] {
            assert_eq!(redacted(path), shown);
        }
    }

    #[test]
    fn what_is_refused_for_its_spelling_hides_the_same() {
        for (path, shown) in [
            ("//download/recording/KEY", "//download/recording/***"),
            ("/download//recording//KEY", "/download//recording//***"),
            ("/download/KEY", "/download/***"),
            ("/download//KEY", "/download//***"),
            ("/./download/./recording/./KEY", "/./download/./recording/./***"),
            ("/x/../download/recording/KEY", "/x/../download/recording/***"),
            ("/%64ownload/recording/KEY", "/%64ownload/recording/***"),
            ("/%2564ownload/recording/KEY", "/%2564ownload/recording/***"),
            ("/download%2Frecording/KEY", "/***/***"),
            ("/download%2Frecording%2FKEY", "/***"),
            ("/download%252Frecording%252FKEY", "/***"),
            ("/download\\recording\\KEY", "/download\\recording\\***"),
            ("/download%5Crecording%5CKEY", "/***"),
            ("/download/recordin%67/KEY", "/download/recordin%67/***"),
            ("//whip//KEY", "//whip//***"),
            ("/%77hip/KEY", "/%77hip/***"),
            ("/whip%2FKEY", "/***"),
            ("/KEY//bigbluebutton/api", "/***//bigbluebutton/api"),
            ("/KEY/%62igbluebutton/api", "/***/%62igbluebutton/api"),
            ("/KEY%2Fbigbluebutton/api", "/***/***"),
            (
                "/conference/KEY/bigbluebutton/api",
                "/conference/***/bigbluebutton/api",
            ),
            ("/conference/whip/KEY", "/conference/whip/***"),
            (
                "/conference/download/uploadedFile/SID/a",
                "/conference/download/uploadedFile/***/***",
            ),
            ("/nowhere/%65yJhbGciOi.e30.c2ln", "/nowhere/***"),
        ] {
            assert_eq!(redacted(path), shown);
        }
    }

    #[test]
    fn a_long_path_is_cut_and_what_is_shown_is_redacted() {
        let long = format!("/whip/{}", "k".repeat(1000));
        assert_eq!(redacted(&long), "/whip/***");
        let long = format!("/{}é{}", "a".repeat(254), "b".repeat(100));
        assert_eq!(redacted(&long), format!("/{}", "a".repeat(254)));
    }
}
