//! Finds tokens in a form while its body passes. Without a header `Authorization` the server takes the token from a
//! form's field of that name, so the kind of a token in a form must be checked too.
//!
//! More fields are looked at than the server reads: every field whose name could be taken for `Authorization`.
//!
//! Source: docs/plugnmeet.md section 4.

use std::borrow::Cow;

use super::{Kind, TokenKeys, Unverified};

/// The name of the field with the token in lower case, as the server compares it.
const FIELD: &[u8] = b"authorization";

/// The largest size of a field's header, of its value, and of a whole urlencoded form. No token is longer.
const MAX_BYTES: usize = 64 * 1024;

/// Looks for tokens in a form while its body passes.
pub struct FormTokens {
    reading: Reading,
}

enum Reading {
    /// An urlencoded form: its bytes until now.
    UrlEncoded(Vec<u8>),
    Multipart(Multipart),
}

/// A multipart form (RFC 7578), read line by line.
struct Multipart {
    /// The line between two parts: `--` and the boundary.
    delimiter: Vec<u8>,
    /// The line that has not ended yet; only the beginning of a long one.
    line: Vec<u8>,
    part: Part,
}

enum Part {
    /// The header of a part: the lines before the first blank line.
    Header(Vec<u8>),
    /// The value of a field that may hold the token.
    Value(Vec<u8>),
    /// Any other part, which is not kept.
    Other,
}

impl FormTokens {
    /// Makes a reader for a body of this media type; none if it is no form.
    pub fn of(media_type: &[u8]) -> Option<Self> {
        let holds = |text: &[u8]| {
            let mut windows = media_type.windows(text.len());
            windows.any(|window| window.eq_ignore_ascii_case(text))
        };
        let reading = if holds(b"multipart/") {
            Reading::Multipart(Multipart {
                delimiter: [b"--", boundary(media_type).unwrap_or_default()].concat(),
                line: Vec::new(),
                part: Part::Other,
            })
        } else if holds(b"x-www-form-urlencoded") {
            Reading::UrlEncoded(Vec::new())
        } else {
            return None;
        };
        Some(Self { reading })
    }

    /// Reads more of the form. Returns false if it has a token of another kind, or is so large where a token could be
    /// that it can't be checked.
    pub fn may_go_on(&mut self, more: &[u8], keys: &TokenKeys, wanted: Kind, now: i64) -> bool {
        let is_fine = |value: &[u8]| {
            let text = String::from_utf8_lossy(value);
            !keys.is_of_another_kind(Unverified(text.trim()), wanted, now)
        };
        match &mut self.reading {
            Reading::UrlEncoded(form) => {
                form.extend_from_slice(more);
                form.len() <= MAX_BYTES
                    && form_urlencoded::parse(form)
                        .filter(|(name, _)| name.as_bytes().eq_ignore_ascii_case(FIELD))
                        .all(|(_, value): (_, Cow<'_, str>)| is_fine(value.as_bytes()))
            }
            Reading::Multipart(multipart) => multipart.may_go_on(more, &is_fine),
        }
    }
}

impl Multipart {
    fn may_go_on(&mut self, more: &[u8], is_fine: &dyn Fn(&[u8]) -> bool) -> bool {
        let mut rest = more;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end + 1);
            rest = after;
            self.keep(line);
            if !self.line_ended(is_fine) {
                return false;
            }
        }
        self.keep(rest);
        match &self.part {
            // The last boundary may have no line end behind it, and a value may be all that there is of this piece.
            Part::Value(value) => is_fine(value) && is_fine(&[value, &*self.line].concat()),
            Part::Header(_) | Part::Other => true,
        }
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = MAX_BYTES.saturating_sub(self.line.len());
        self.line.extend_from_slice(piece.get(..room).unwrap_or(piece));
    }

    fn line_ended(&mut self, is_fine: &dyn Fn(&[u8]) -> bool) -> bool {
        let line = std::mem::take(&mut self.line);
        if line.starts_with(&self.delimiter) {
            let before = std::mem::replace(&mut self.part, Part::Header(Vec::new()));
            return match before {
                Part::Value(value) => is_fine(&value),
                Part::Header(_) | Part::Other => true,
            };
        }
        match &mut self.part {
            Part::Header(header) if line.trim_ascii().is_empty() => {
                self.part = if may_name_it(header) {
                    Part::Value(Vec::new())
                } else {
                    Part::Other
                };
                true
            }
            Part::Header(kept) | Part::Value(kept) => {
                kept.extend_from_slice(&line);
                kept.len() <= MAX_BYTES
            }
            Part::Other => true,
        }
    }
}

/// Can this header name the field? It can do so by the plain name in any case and place, or by an encoded name (RFC
/// 2231).
fn may_name_it(header: &[u8]) -> bool {
    let lower = header.to_ascii_lowercase();
    let holds = |text: &[u8]| lower.windows(text.len()).any(|window| window == text);
    holds(FIELD) || holds(b"name*")
}

/// The `boundary` parameter, with or without quotes.
fn boundary(media_type: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"boundary=";
    let at = media_type
        .windows(NAME.len())
        .position(|window| window.eq_ignore_ascii_case(NAME))?;
    let value = media_type.get(at + NAME.len()..)?;
    match value.strip_prefix(b"\"") {
        Some(quoted) => quoted.split(|byte| *byte == b'"').next(),
        None => value.split(|byte| matches!(byte, b';' | b' ' | b'\t')).next(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::participant::tests::signed, *};
    use crate::secret::Secret;

    const NOW: i64 = 1_800_000_000;
    const MULTIPART: &str = "multipart/form-data; boundary=X-1";

    fn join() -> String {
        signed(&json!({"iss": "plugnmeet", "sub": "ann", "user_id": "ann", "room_id": "r"}))
    }

    fn lti() -> String {
        signed(
            &json!({"iss": "plugnmeet", "sub": "ann", "user_id": "ann", "room_id": "r", "lti_custom_parameters": {}}),
        )
    }

    fn passes(media_type: &str, body: &str, piece: usize) -> bool {
        let keys = TokenKeys::new("plugnmeet".into(), &Secret::new("s3cret".into())).unwrap();
        let mut tokens = FormTokens::of(media_type.as_bytes()).unwrap();
        body.as_bytes()
            .chunks(piece)
            .all(|piece| tokens.may_go_on(piece, &keys, Kind::Join, NOW))
    }

    fn part(disposition: &str, value: &str) -> String {
        format!("--X-1\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n")
    }

    #[test]
    fn a_token_of_another_kind_is_found_wherever_the_server_could_find_it() {
        let file = part("name=\"file\"; filename=\"a.png\"", "\u{89}PNG\r\n\r\n--X\r\n");
        for disposition in [
            "name=\"Authorization\"",
            "name=Authorization",
            "NAME=\"Authorization\"",
            "name*=utf-8''%41uthorization",
        ] {
            for (first, second) in [("", &*file), (&file, "")] {
                for (token, fine) in [(join(), true), (lti(), false), ("nonsense".into(), true)] {
                    let body = format!("{first}{}{second}--X-1--", part(disposition, &token));
                    for piece in [1, 7, 4096] {
                        assert_eq!(
                            passes(MULTIPART, &body, piece),
                            fine,
                            "{disposition} {piece} {body}"
                        );
                    }
                }
            }
        }
        let bare = part("name=\"Authorization\"", &lti()).replace("\r\n", "\n");
        assert!(!passes(MULTIPART, &bare, 3));
        let quoted = "multipart/form-data; charset=x; Boundary=\"X-1\"";
        assert!(!passes(quoted, &part("name=\"Authorization\"", &lti()), 50));
    }

    /// It could be a file; the server takes no notice of it there.
    #[test]
    fn what_is_no_such_field_may_hold_anything() {
        let body = format!("{}--X-1--\r\n", part("name=\"file\"", &lti()));
        assert!(passes(MULTIPART, &body, 5));
        let large = format!("{}--X-1--\r\n", part("name=\"file\"", &"x".repeat(200_000)));
        assert!(passes(MULTIPART, &large, 1000));
    }

    #[test]
    fn a_field_too_large_to_be_looked_at_is_refused() {
        let large = "x\r\n".repeat(30_000);
        assert!(!passes(MULTIPART, &part("name=\"Authorization\"", &large), 1000));
        assert!(!passes(MULTIPART, &format!("--X-1\r\n{large}"), 1000));
    }

    #[test]
    fn other_forms_are_read_too() {
        let form = "application/x-www-form-urlencoded";
        for (name, token, fine) in [
            ("Authorization", join(), true),
            ("Authorization", lti(), false),
            ("%41uthorization", lti(), false),
            ("other", lti(), true),
        ] {
            for piece in [1, 4096] {
                let body = format!("a=b&{name}={token}&c=d");
                assert_eq!(passes(form, &body, piece), fine, "{name}");
            }
        }
        assert!(FormTokens::of(b"application/protobuf").is_none());
    }
}
