//! Taking secrets out of a path before it is logged.
//!
//! Some of plugNmeet's paths are keys: download tokens, BBB's API key, and the room's session id, which is all that
//! guards an uploaded file (contract.md section 5). Queries are never logged at all.

use std::borrow::Cow;

/// What stands in a secret's place.
const HIDDEN: &str = "***";

/// What follows BBB's API key.
const BBB: &str = "bigbluebutton";

/// The longest path that is worth a log line.
const MAX_SHOWN_BYTES: usize = 256;

/// The path as it may be shown.
pub fn redacted(path: &str) -> Cow<'_, str> {
    let shown = path.get(..MAX_SHOWN_BYTES).unwrap_or(path);
    if !may_hold_secrets(shown) {
        return Cow::Borrowed(shown);
    }
    let segments: Vec<&str> = shown.split('/').collect();
    let under_download = segments
        .get(1)
        .is_some_and(|first| first.eq_ignore_ascii_case("download"));
    let bbb_key = segments
        .iter()
        .skip(1)
        .position(|segment| segment.eq_ignore_ascii_case(BBB));
    let hidden = segments.iter().enumerate().map(|(at, segment)| {
        let secret =
            (under_download && at >= 3) || bbb_key.is_some_and(|key| key == at) || looks_like_jwt(segment);
        if secret && !segment.is_empty() {
            HIDDEN
        } else {
            segment
        }
    });
    Cow::Owned(hidden.collect::<Vec<_>>().join("/"))
}

fn may_hold_secrets(path: &str) -> bool {
    let starts = |prefix: &str| {
        path.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    let names_bbb = |segment: &[u8]| {
        let start = segment.get(..BBB.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(BBB.as_bytes()))
    };
    let mut segments = path.as_bytes().split(|byte| *byte == b'/').skip(1);
    starts("/download/") || segments.any(names_bbb) || looks_like_jwt(path)
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
        assert_eq!(
            redacted("/download/recording/eyJhbGciOi.e30.c2ln"),
            "/download/recording/***"
        );
        assert_eq!(
            redacted("/Download/uploadedFile/SID%2Fa.pdf"),
            "/Download/uploadedFile/***"
        );
        assert_eq!(
            redacted("/the-key/bigbluebutton/api/join"),
            "/***/bigbluebutton/api/join"
        );
        assert_eq!(redacted("/the-key/BigBlueButton"), "/***/BigBlueButton");
        assert_eq!(redacted("/nowhere/eyJhbGciOi.e30.c2ln/x"), "/nowhere/***/x");
        assert_eq!(redacted("/api/verifyToken"), "/api/verifyToken");
    }
}
