//! A JSON number as it is written, and the whole number it may stand for.
//!
//! `1e3`, `1.0` and `-0` are whole numbers too, so a number is read as text and only then shortened to an
//! integer; a float on the way would lose digits.
//!
//! The server's scanner accepts an exponent without digits if something follows it (`1e,`). That is no JSON, but it is
//! accepted here too, because both must read the same request.
//!
//! Sources: RFC 8259 section 6; proto3's JSON mapping as protobuf-go reads it, for the integers.

use std::str::FromStr;

/// The largest number of digits before the decimal point, including the zeros of the exponent: the server writes out as
/// many.
const MAX_DIGITS: usize = 20;

/// The parts of a number. `whole` and `fraction` are digits, `exponent` is digits with or without a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number<'a> {
    is_negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: &'a str,
}

impl<'a> Number<'a> {
    /// Reads a text that is a number and nothing else.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        Self::read(text).filter(|number| is_digits(unsigned(number.exponent)))
    }

    /// Reads a number that is followed by something else in its document. An exponent without digits is accepted there.
    pub(super) fn in_document(text: &'a str) -> Option<Self> {
        Self::read(text)
    }

    fn read(text: &'a str) -> Option<Self> {
        let positive = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = positive.split_once(['e', 'E']).unwrap_or((positive, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let has_leading_zero = whole.len() > 1 && whole.starts_with('0');
        let digits = unsigned(exponent);
        let is_number = is_digits(whole)
            && !has_leading_zero
            && is_digits(fraction)
            && (digits.is_empty() || is_digits(digits));
        is_number.then_some(Self {
            is_negative: text.starts_with('-'),
            whole,
            fraction,
            exponent,
        })
    }

    /// The number as an integer, if it is whole and fits.
    pub(super) fn integer<T: FromStr>(self) -> Option<T> {
        let sign = if self.is_negative { "-" } else { "" };
        format!("{sign}{}", self.whole_digits()?).parse().ok()
    }

    /// The digits without an exponent, if behind the decimal point there would be zeros alone.
    fn whole_digits(self) -> Option<String> {
        let whole = self.whole.trim_start_matches('0');
        let fraction = self.fraction.trim_end_matches('0');
        if whole.is_empty() && fraction.is_empty() {
            return Some("0".to_owned());
        }
        let exponent: i32 = if self.exponent.is_empty() {
            0
        } else {
            self.exponent.parse().ok()?
        };
        let shift = usize::try_from(exponent.unsigned_abs()).ok()?;
        if exponent < 0 {
            let (kept, cut) = whole.split_at_checked(whole.len().checked_sub(shift)?)?;
            let is_whole = fraction.is_empty() && cut.bytes().all(|digit| digit == b'0');
            return is_whole.then(|| kept.to_owned());
        }
        if whole.len().saturating_add(shift) > MAX_DIGITS {
            return None;
        }
        let zeros = shift.checked_sub(fraction.len())?;
        Some([whole, fraction, &"0".repeat(zeros)].concat())
    }
}

fn unsigned(exponent: &str) -> &str {
    exponent.strip_prefix(['+', '-']).unwrap_or(exponent)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integer(text: &str) -> Option<i64> {
        Number::parse(text)?.integer()
    }

    #[test]
    fn reads_whole_numbers_in_every_notation() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("-0.0E+99999999999", 0),
            ("1e3", 1000),
            ("1.50e1", 15),
            ("0.01e2", 1),
            ("-1200e-2", -12),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(integer(text), Some(value), "{text}");
        }
    }

    #[test]
    fn refuses_fractions_and_what_does_not_fit() {
        for text in [
            "1.5",
            "1e-1",
            "100e-3",
            "15e-1",
            "9223372036854775808",
            "1e19",
            "1e99999999999",
            "0.001e2",
        ] {
            assert!(Number::parse(text).is_some(), "{text}");
            assert_eq!(integer(text), None, "{text}");
        }
        assert_eq!(Number::parse("2147483648").and_then(Number::integer::<i32>), None);
        assert_eq!(
            Number::parse("-2147483648").and_then(Number::integer::<i32>),
            Some(i32::MIN)
        );
    }

    /// The server counts digits before it looks at what they are.
    #[test]
    fn refuses_an_exponent_that_the_server_would_not_write_out() {
        assert_eq!(integer("0.00000000000000000001e20"), Some(1));
        assert_eq!(integer("0.000000000000000000001e21"), None);
    }

    #[test]
    fn an_exponent_without_digits_passes_where_something_follows() {
        let integer = |text| Number::in_document(text).map(Number::integer::<i64>);
        assert_eq!(integer("12e"), Some(Some(12)));
        assert_eq!(integer("0e+"), Some(Some(0)));
        assert_eq!(integer("1E-"), Some(None));
        assert_eq!(integer("1.e"), None);
    }

    #[test]
    fn refuses_what_is_no_number() {
        for text in [
            "", "-", "01", "-01", "+1", ".5", "1.", "1.e1", "1e", "1e+", "1e1e1", "1.2.3", "--1", "1 ", "NaN",
        ] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }
}
