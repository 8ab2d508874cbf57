//! Taking secrets out of a path before it is logged.
//!
//! Some of plugNmeet's paths are keys: download tokens, WHIP's stream keys, BBB's API key, and the room's session id, which
//! is all that guards an uploaded file (docs/plugnmeet.md section 5). Queries are never logged at all.
//!
//! SECURITY: a path that is refused for its spelling (`//download/…`, `/%64ownload/…`) is logged too, and so is one below a
//! prefix that is none. So words are found at any place and in any spelling, and what is hidden by mistake is no loss.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// What stands in a secret's place.
const HIDDEN: &str = "***";

/// What follows BBB's API key.
const BBB: &str = "bigbluebutton";

/// What is followed by what a download is, and then by its key.
const DOWNLOAD: &str = "download";

/// What is followed by a stream key.
const WHIP: &str = "whip";

/// What a download may be (docs/plugnmeet.md section 8); anything else in that place may be the key itself.
const DOWNLOADS: [&str; 4] = ["uploadedFile", "recording", "analytics", "artifact"];

/// The longest path that is worth a log line.
const MAX_SHOWN_BYTES: usize = 256;

/// How often a segment is decoded to find a word in it; no program behind us does it as often.
const DECODINGS: usize = 4;

/// The path as it may be shown.
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
    let mut hide = vec![false; segments.len()];
    let mut after = After::Nothing;
    let mut before = None;
    for (at, segment) in segments.iter().enumerate() {
        // An empty segment, or a dot, is skipped by some readers and takes no word's place.
        if segment.is_empty() || *segment == "." {
            continue;
        }
        let words = Words::of(segment);
        let (secret, next) = after.judge(&words);
        after = next;
        if words.has(BBB)
            && let Some(key) = before.and_then(|before: usize| hide.get_mut(before))
        {
            *key = true;
        }
        if let Some(hide) = hide.get_mut(at) {
            *hide = secret;
        }
        before = Some(at);
    }
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

/// What stands before a segment, as far as it says what the segment is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Nothing,
    Download,
    /// All the rest is a key.
    Key,
}

impl After {
    /// Is the segment a secret, and what does it make of the next?
    fn judge(self, words: &Words) -> (bool, Self) {
        // A word beside encoded slashes: what is around it can't be told apart.
        let glued = words.0.len() > 1 && [BBB, DOWNLOAD, WHIP].iter().any(|word| words.has(word));
        let is_key = words.look_like_jwt() || glued;
        match self {
            Self::Download if DOWNLOADS.iter().any(|kind| words.has(kind)) => (is_key, Self::Key),
            Self::Download | Self::Key => (true, Self::Key),
            Self::Nothing if glued => (true, Self::Key),
            Self::Nothing if words.has(DOWNLOAD) => (is_key, Self::Download),
            Self::Nothing if words.has(WHIP) => (is_key, Self::Key),
            Self::Nothing => (is_key, Self::Nothing),
        }
    }
}

/// A segment, decoded, and split where it has slashes then.
struct Words(Vec<String>);

impl Words {
    fn of(segment: &str) -> Self {
        let mut text = Cow::Borrowed(segment);
        for _ in 0..DECODINGS {
            if !text.contains('%') {
                break;
            }
            text = Cow::Owned(percent_decode_str(&text).decode_utf8_lossy().into_owned());
        }
        let words = text.split(['/', '\\']).filter(|word| !word.is_empty());
        Self(words.map(str::to_owned).collect())
    }

    fn has(&self, word: &str) -> bool {
        self.0.iter().any(|found| found.eq_ignore_ascii_case(word))
    }

    fn look_like_jwt(&self) -> bool {
        self.0.iter().any(|word| looks_like_jwt(word))
    }
}

/// Most paths need no look at their segments.
fn may_hold_secrets(path: &str) -> bool {
    let has = |word: &str| {
        path.as_bytes()
            .windows(word.len())
            .any(|found| found.eq_ignore_ascii_case(word.as_bytes()))
    };
    path.contains('%') || looks_like_jwt(path) || has(BBB) || has(DOWNLOAD) || has(WHIP)
}

/// A JWT's header is a JSON object, so its first letters are always these (RFC 7515 appendix A).
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
