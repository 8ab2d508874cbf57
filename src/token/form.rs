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

/// The largest size of a field's header, and of a whole urlencoded form.
const MAX_BYTES: usize = 64 * 1024;

/// The largest size of a field that may hold a token. No token is longer, and this much is read again with each piece of
/// the body.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The longest spelling of the field's name, each letter percent-encoded, and the `=` behind it.
const MAX_NAME_BYTES: usize = 3 * FIELD.len() + 1;

/// The media type says in more than one way what kind of form it is, or where its parts end: what is looked at here could
/// be another part than the server reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TwoReadings;

/// Looks for tokens in a form while its body passes.
pub struct FormTokens {
    reading: Reading,
}

enum Reading {
    UrlEncoded(UrlEncoded),
    Multipart(Multipart),
}

/// An urlencoded form, read pair by pair.
#[derive(Default)]
struct UrlEncoded {
    /// The number of its bytes until now.
    bytes: usize,
    /// The pair that has not ended yet.
    pair: Vec<u8>,
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
    pub fn of(media_type: &[u8]) -> Result<Option<Self>, TwoReadings> {
        let holds = |text: &[u8]| {
            let mut windows = media_type.windows(text.len());
            windows.any(|window| window.eq_ignore_ascii_case(text))
        };
        let reading = match (holds(b"multipart/"), holds(b"x-www-form-urlencoded")) {
            (true, true) => return Err(TwoReadings),
            (true, false) => Reading::Multipart(Multipart {
                delimiter: [b"--", boundary(media_type)?].concat(),
                line: Vec::new(),
                part: Part::Other,
            }),
            (false, true) => Reading::UrlEncoded(UrlEncoded::default()),
            (false, false) => return Ok(None),
        };
        Ok(Some(Self { reading }))
    }

    /// Reads more of the form. Returns false if it has a token of another kind, or is so large where a token could be
    /// that it can't be checked.
    pub fn may_go_on(&mut self, more: &[u8], keys: &TokenKeys, wanted: Kind, now: i64) -> bool {
        let is_fine = |value: &[u8]| {
            let text = String::from_utf8_lossy(value);
            !keys.is_of_another_kind(Unverified(text.trim()), wanted, now)
        };
        match &mut self.reading {
            Reading::UrlEncoded(form) => form.may_go_on(more, &is_fine),
            Reading::Multipart(multipart) => multipart.may_go_on(more, &is_fine),
        }
    }
}

impl UrlEncoded {
    /// INVARIANT: a pair that has ended is not read again, and of any other pair than the token's no more than its name.
    /// A client may send a form byte by byte.
    fn may_go_on(&mut self, more: &[u8], is_fine: &dyn Fn(&[u8]) -> bool) -> bool {
        self.bytes = self.bytes.saturating_add(more.len());
        if self.bytes > MAX_BYTES {
            return false;
        }
        let mut rest = more;
        while let Some(end) = memchr::memchr(b'&', rest) {
            self.pair.extend_from_slice(rest.get(..end).unwrap_or_default());
            rest = rest.get(end + 1..).unwrap_or_default();
            if !self.pair_is_fine(is_fine) {
                return false;
            }
            self.pair.clear();
        }
        self.pair.extend_from_slice(rest);
        self.pair_is_fine(is_fine)
    }

    fn pair_is_fine(&self, is_fine: &dyn Fn(&[u8]) -> bool) -> bool {
        let beginning = self.pair.get(..MAX_NAME_BYTES).unwrap_or(&self.pair);
        let name = memchr::memchr(b'=', beginning).and_then(|end| beginning.get(..end));
        let is_named = name.is_some_and(|name| {
            form_urlencoded::parse(name).any(|(name, _)| name.as_bytes().eq_ignore_ascii_case(FIELD))
        });
        !is_named
            || (self.pair.len() <= MAX_TOKEN_BYTES
                && form_urlencoded::parse(&self.pair)
                    .all(|(_, value): (_, Cow<'_, str>)| is_fine(value.as_bytes())))
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
            Part::Value(value) => {
                value.len() + self.line.len() <= MAX_TOKEN_BYTES
                    && is_fine(value)
                    && is_fine(&[value, &*self.line].concat())
            }
            Part::Header(_) | Part::Other => true,
        }
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = MAX_BYTES.saturating_sub(self.line.len());
        self.line.extend_from_slice(piece.get(..room).unwrap_or(piece));
    }

    /// SECURITY: lines are told apart as Go's `mime/multipart` does it. A header ends with an empty line alone: one that begins
    /// as a delimiter is a field there, and one of blanks goes on with the field before it.
    fn line_ended(&mut self, is_fine: &dyn Fn(&[u8]) -> bool) -> bool {
        let line = std::mem::take(&mut self.line);
        let is_delimiter = self.is_delimiter(&line);
        match &mut self.part {
            Part::Header(header) if matches!(&*line, b"\n" | b"\r\n") => {
                let (is_named, is_encoded) = (may_name_it(header), is_encoded(header));
                self.part = if is_named {
                    Part::Value(Vec::new())
                } else {
                    Part::Other
                };
                !(is_named && is_encoded)
            }
            Part::Header(kept) => {
                kept.extend_from_slice(&line);
                kept.len() <= MAX_BYTES
            }
            Part::Value(value) if is_delimiter => {
                // Where lines end with CR LF, a delimiter behind a bare LF is none.
                let is_one = !line.ends_with(b"\r\n") || value.is_empty() || value.ends_with(b"\r\n");
                let is_good = is_one && is_fine(value);
                self.part = Part::Header(Vec::new());
                is_good
            }
            Part::Value(kept) => {
                kept.extend_from_slice(&line);
                kept.len() <= MAX_TOKEN_BYTES
            }
            Part::Other if is_delimiter => {
                self.part = Part::Header(Vec::new());
                true
            }
            Part::Other => true,
        }
    }

    /// Does this line end a part? Behind the boundary there are blanks at most, or the two hyphens of the last one.
    fn is_delimiter(&self, line: &[u8]) -> bool {
        line.strip_prefix(&*self.delimiter).is_some_and(|behind| {
            behind.starts_with(b"--") || matches!(behind.first(), None | Some(b' ' | b'\t' | b'\r' | b'\n'))
        })
    }
}

/// Can this header name the field? It can do so by the plain name in any case and place, or by an encoded name (RFC
/// 2231).
fn may_name_it(header: &[u8]) -> bool {
    let lower = header.to_ascii_lowercase();
    let holds = |text: &[u8]| lower.windows(text.len()).any(|window| window == text);
    holds(FIELD) || holds(b"name*")
}

/// Is the value that follows this header encoded? Go's library decodes `quoted-printable`, and no client sends a token so.
fn is_encoded(header: &[u8]) -> bool {
    memchr::memmem::find(&header.to_ascii_lowercase(), b"transfer-encoding").is_some()
}

/// The `boundary` parameter, with or without quotes; empty if there is none, in which case the server reads no form.
///
/// SECURITY: the server takes the first parameter of this name in just these letters, up to the next `;` whether in quotes
/// or not, and takes quotes off if they are at both ends (fasthttp's `MultipartFormBoundary`). Go's own library and others
/// read another one of two, or what the quotes hold. So there may be one, and it has to be the same for all of them.
fn boundary(media_type: &[u8]) -> Result<&[u8], TwoReadings> {
    const NAME: &[u8] = b"boundary=";
    let mut names = media_type
        .windows(NAME.len())
        .enumerate()
        .filter(|(_, window)| window.eq_ignore_ascii_case(NAME));
    let first = names.next();
    if names.next().is_some() {
        return Err(TwoReadings);
    }
    let Some(value) = first.and_then(|(at, _)| media_type.get(at + NAME.len()..)) else {
        return Ok(b"");
    };
    let Some(quoted) = value.strip_prefix(b"\"") else {
        // A blank may stand in it: it is known by what is before that.
        return Ok(value
            .split(|byte| matches!(byte, b';' | b' ' | b'\t'))
            .next()
            .unwrap_or_default());
    };
    let end = memchr::memchr3(b'"', b'\\', b';', quoted).ok_or(TwoReadings)?;
    let (inside, behind) = quoted.split_at_checked(end).ok_or(TwoReadings)?;
    let behind = behind.strip_prefix(b"\"").ok_or(TwoReadings)?;
    let is_end = behind.is_empty() || behind.starts_with(b";");
    is_end.then_some(inside).ok_or(TwoReadings)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

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
        let mut tokens = FormTokens::of(media_type.as_bytes()).unwrap().unwrap();
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
        assert!(FormTokens::of(b"application/protobuf").unwrap().is_none());
        for (pairs, fine) in [("a".repeat(MAX_BYTES), true), ("&".repeat(MAX_BYTES + 1), false)] {
            assert_eq!(passes(form, &pairs, 1000), fine);
        }
        let large = format!("Authorization={}", "x".repeat(MAX_TOKEN_BYTES));
        assert!(!passes(form, &large, 1000));
    }

    #[test]
    fn a_form_whose_parts_could_end_elsewhere_is_not_read() {
        for media_type in [
            "multipart/form-data; xboundary=A; boundary=X-1",
            "multipart/form-data; Boundary=A; boundary=X-1",
            "multipart/form-data; a=\"boundary=A\"; boundary=X-1",
            "multipart/form-data; boundary=\"X-1",
            "multipart/form-data; boundary=\"X;-1\"",
            "multipart/form-data; boundary=\"X\\-1\"",
            "multipart/form-data; boundary=\"X\"-1",
            "application/x-www-form-urlencoded; multipart/",
        ] {
            let read = FormTokens::of(media_type.as_bytes());
            assert!(matches!(read, Err(TwoReadings)), "{media_type}");
        }
        // One with a blank in it is known by its beginning.
        for boundary in [" X-1", "X-1 a"] {
            let media_type = format!("multipart/form-data; boundary={boundary}");
            let body = part("name=\"Authorization\"", &lti()).replace("X-1", boundary);
            assert!(!passes(&media_type, &body, 9), "{media_type}");
        }
        // A browser's own has the word in it.
        let browsers = "multipart/form-data; boundary=----WebKitFormBoundaryA1b2C3d4E5f6G7h8";
        for (token, fine) in [(join(), true), (lti(), false)] {
            let body = part("name=\"Authorization\"", &token)
                .replace("X-1", "----WebKitFormBoundaryA1b2C3d4E5f6G7h8");
            assert_eq!(passes(browsers, &body, 9), fine);
        }
    }

    #[test]
    fn what_go_reads_as_a_part_is_one_here() {
        // Lines that begin as a delimiter does, and one of blanks in a header.
        let named = "Content-Disposition: form-data; name=Authorization\r\n";
        for header in [
            format!("{named}--X-1a: b\r\n"),
            format!("{named}--X-1--: b\r\n"),
            format!("A: b\r\n \t\r\n{named}"),
        ] {
            let body = format!("--X-1\r\n{header}\r\n{}\r\n--X-1--", lti());
            assert!(!passes(MULTIPART, &body, 9), "{body}");
        }
        // Go reads on in a value behind each of these two, and a token may have a delimiter's letters.
        let named_so = |name: u32| {
            let name = name.to_string();
            signed(&json!({"iss": "plugnmeet", "sub": "ann", "name": name, "lti_custom_parameters": {}}))
        };
        let has_one = |token: &String| {
            let at = token.rfind("--").unwrap_or_default();
            at > token.len() - 40 && at < token.len() - 6
        };
        let token = (0..10_000).map(named_so).find(has_one).unwrap();
        let (before, delimiter) = token.split_at(token.rfind("--").unwrap());
        for (boundary, end) in [(&delimiter[2..4], "\r\n"), (&delimiter[2..], "\n")] {
            let media_type = format!("multipart/form-data; boundary={boundary}");
            let body = format!("--{boundary}\r\n{named}\r\n{before}{end}{delimiter}\r\n");
            assert!(!passes(&media_type, &body, 9), "{body}");
        }
        // Of an encoded part another value is read.
        let encoded = "--X-1\r\nContent-Disposition: form-data; name=Authorization\r\nContent-Transfer-Encoding: \
                       quoted-printable\r\n\r\nnothing";
        assert!(!passes(MULTIPART, encoded, 9));
    }

    /// Byte by byte, a form of 64 KiB would be read 64 Ki times.
    #[test]
    fn what_has_gone_by_is_not_read_again() {
        let read = Cell::new(0);
        let is_fine = |value: &[u8]| {
            read.set(read.get() + value.len());
            true
        };
        let mut form = UrlEncoded::default();
        let body = format!(
            "x={}&Authorization=token&{}&y={0}",
            "a".repeat(10_000),
            "&".repeat(10_000)
        );
        for byte in body.as_bytes().chunks(1) {
            assert!(form.may_go_on(byte, &is_fine));
        }
        // Each time that a byte of the token came, and at its end.
        assert_eq!(read.get(), 1 + 2 + 3 + 4 + 5 + 5);
    }
}
