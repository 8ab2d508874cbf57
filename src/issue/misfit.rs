//! Why a signature does not fit, for whoever runs the gateway.
//!
//! Nearly every integrator's first request fails, by one of few mistakes, and the answer has one text for all of them, as
//! the server's has. So the audit log and the access record name the mistake.
//!
//! SECURITY: only the log has it. The caller could learn nothing from it that the signature's form does not show, but the
//! answer has to be the server's.
//!
//! Source: docs/plugnmeet.md section 1 (how requests are signed).

use serde_json::{Value, ser::Formatter};

use super::callers::Caller;

/// The digits of HMAC-SHA256 in hex.
const DIGITS: usize = 64;

/// The largest body that is spelled anew to find the mistake: nobody can make us do more by signing badly.
const MOST_BYTES: usize = 32 << 10;

/// The mistake in a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// There is something like `sha256=` in front of the digits.
    #[error("HASH-SIGNATURE has a prefix in front of its digits: send the 64 digits alone")]
    Prefix,
    /// The digits are in upper case.
    #[error("HASH-SIGNATURE is in upper case: send the digits in lower case")]
    UpperCase,
    /// The value has other characters than hexadecimal digits, such as base64 has.
    #[error("HASH-SIGNATURE is not in hexadecimal digits: send HMAC-SHA256 as lower-case hex")]
    NotHex,
    /// There are not 64 digits, but so many.
    #[error("HASH-SIGNATURE has {0} digits instead of 64: send HMAC-SHA256 as lower-case hex")]
    Length(usize),
    /// The digits would fit a body without the line end at its end.
    #[error("HASH-SIGNATURE is of the body without its last line end: sign the very bytes that are sent")]
    WithoutLineEnd,
    /// The digits would fit a body with one more line end at its end.
    #[error("HASH-SIGNATURE is of the body with one more line end: sign the very bytes that are sent")]
    WithLineEnd,
    /// The digits would fit an empty body.
    #[error("HASH-SIGNATURE is of an empty body: sign the bytes that are sent")]
    Empty,
    /// The digits would fit the same JSON in another spelling: other blanks, or other escapes.
    #[error(
        "HASH-SIGNATURE is of the same JSON in another spelling: serialise it once, and sign and send the same bytes"
    )]
    OtherJson,
    /// The digits are of another secret or another body.
    #[error("HASH-SIGNATURE is of another secret or of other bytes than were sent")]
    Other,
}

impl Misfit {
    /// What the value alone shows.
    pub(super) fn of_form(given: &[u8]) -> Option<Self> {
        if given.contains(&b'=') && given.len() > DIGITS {
            return Some(Self::Prefix);
        }
        if !given.iter().all(u8::is_ascii_hexdigit) {
            return Some(Self::NotHex);
        }
        if given.len() != DIGITS {
            return Some(Self::Length(given.len()));
        }
        given
            .iter()
            .any(u8::is_ascii_uppercase)
            .then_some(Self::UpperCase)
    }

    /// The mistake in a signature that does not fit these bytes. It costs a few signatures.
    pub(super) fn of(caller: &Caller, signed: &[u8], given: &[u8]) -> Self {
        if let Some(form) = Self::of_form(given) {
            return form;
        }
        let fits = |bytes: &[u8]| caller.has_signed(bytes, given);
        if fits(b"") {
            return Self::Empty;
        }
        let bare = signed.strip_suffix(b"\n").unwrap_or(signed);
        let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
        if bare.len() < signed.len() && fits(bare) {
            return Self::WithoutLineEnd;
        }
        if fits(&[signed, b"\n"].concat()) {
            return Self::WithLineEnd;
        }
        if signed.len() > MOST_BYTES {
            return Self::Other;
        }
        let Ok(value) = serde_json::from_slice::<Value>(signed) else {
            return Self::Other;
        };
        let spelled = |style| Style::spell(style, &value).is_some_and(|text| fits(&text));
        if STYLES.into_iter().any(spelled) {
            return Self::OtherJson;
        }
        Self::Other
    }
}

/// How a library spells JSON.
#[derive(Clone, Copy)]
struct Style {
    /// Blanks behind commas and colons, as Python has them.
    blanks: bool,
    /// Nothing but ASCII, as Python and PHP have it.
    ascii: bool,
    /// `\/`, as PHP has it.
    slashes: bool,
}

const fn style(blanks: bool, ascii: bool, slashes: bool) -> Style {
    Style {
        blanks,
        ascii,
        slashes,
    }
}

/// JavaScript's, Python's, PHP's, and each with its usual flags.
const STYLES: [Style; 6] = [
    style(false, false, false),
    style(true, true, false),
    style(true, false, false),
    style(false, true, false),
    style(false, true, true),
    style(false, false, true),
];

impl Style {
    fn spell(self, value: &Value) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut text, self);
        serde::Serialize::serialize(value, &mut serializer).ok()?;
        Some(text)
    }
}

impl Formatter for Style {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        self.comma(writer, first)
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        self.comma(writer, first)
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(if self.blanks { b": " } else { b":" })
    }

    fn write_string_fragment<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> std::io::Result<()> {
        for char in fragment.chars() {
            match char {
                '/' if self.slashes => writer.write_all(b"\\/")?,
                char if self.ascii && !char.is_ascii() => {
                    for unit in char.encode_utf16(&mut [0; 2]) {
                        write!(writer, "\\u{unit:04x}")?;
                    }
                }
                char => write!(writer, "{char}")?,
            }
        }
        Ok(())
    }
}

impl Style {
    fn comma<W: ?Sized + std::io::Write>(self, writer: &mut W, first: bool) -> std::io::Result<()> {
        match (first, self.blanks) {
            (true, _) => Ok(()),
            (false, true) => writer.write_all(b", "),
            (false, false) => writer.write_all(b","),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::callers::Callers, *};
    use crate::{
        secret::Secret,
        token::{RequestKey, TokenKeys},
    };

    const SECRET: &str = "zumyyYWqv7KR2kUqvYdq4z4sXg7XTBD2ljT6";

    fn signature(bytes: &str) -> String {
        RequestKey::new(&Secret::new(SECRET.into())).signature(bytes.as_bytes())
    }

    fn misfit(sent: &str, signature: &str) -> Misfit {
        let keys = TokenKeys::new("key".into(), &Secret::new(SECRET.into())).unwrap();
        let callers = Callers::new(&keys, &[]);
        Misfit::of(
            callers.find(b"key").unwrap(),
            sent.as_bytes(),
            signature.as_bytes(),
        )
    }

    #[test]
    fn the_form_of_a_signature_is_told_first() {
        let good = signature("{}");
        for (given, found) in [
            (format!("sha256={good}"), Misfit::Prefix),
            (good.to_uppercase(), Misfit::UpperCase),
            (
                "1qcAPSK2trlFGSMHdvReGdIIayDRcRqOrmsO4k1RDP6=".into(),
                Misfit::NotHex,
            ),
            ("00".into(), Misfit::Length(2)),
            (format!("{good}00"), Misfit::Length(66)),
        ] {
            assert_eq!(misfit("{}", &given), found, "{given}");
        }
    }

    #[test]
    fn a_body_that_is_nearly_the_one_that_was_signed_is_told() {
        for (signed, sent, found) in [
            ("{}", "{}\n", Misfit::WithoutLineEnd),
            ("{}", "{}\r\n", Misfit::WithoutLineEnd),
            ("{}\n", "{}", Misfit::WithLineEnd),
            ("", "{}", Misfit::Empty),
            (r#"{"a":[1,"ü/"]}"#, r#"{ "a": [ 1, "ü/" ] }"#, Misfit::OtherJson),
            (
                r#"{"a": [1, "\u00fc/\ud83d\ude00"], "b": {}}"#,
                r#"{"a":[1,"ü/😀"],"b":{}}"#,
                Misfit::OtherJson,
            ),
            (r#"{"a": "ü/"}"#, r#"{"a":"ü/"}"#, Misfit::OtherJson),
            (r#"{"a":"\u00fc\/"}"#, r#"{"a":"ü/"}"#, Misfit::OtherJson),
            ("{}", r#"{"a":1}"#, Misfit::Other),
            ("{}", "no JSON", Misfit::Other),
        ] {
            assert_eq!(misfit(sent, &signature(signed)), found, "{signed:?} {sent:?}");
        }
        let another = RequestKey::new(&Secret::new("another".into())).signature(b"{}");
        assert_eq!(misfit("{}", &another), Misfit::Other);
    }
}
