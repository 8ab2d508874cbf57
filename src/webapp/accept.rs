//! `Accept-Encoding`: the weight of each content coding.
//!
//! Source: RFC 9110 sections 12.4.2 (weights), 12.5.3, 8.4.1.3 (`x-gzip`).

use hyper::{HeaderMap, header::ACCEPT_ENCODING};

use super::coding::Coding;

/// The weight of each form of a file by `Accept-Encoding`, from 0 (not acceptable) to 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    codings: [u16; 3],
    identity: u16,
}

/// The weight of a coding that names none, in thousandths (RFC 9110 section 12.4.2).
const FULL: u16 = 1000;
/// The weight of `identity` if the field does not name it: acceptable, but less than any coding that is named.
const UNMENTIONED: u16 = 1;

impl Accepted {
    /// What all lines of the field say together. Of a coding that is named twice the first counts; what can't be read
    /// says nothing.
    ///
    /// Without the field any coding would be right, and none is what a client without it can read.
    pub fn of(asked: &HeaderMap) -> Self {
        let (mut codings, mut identity, mut any) = ([None; 3], None, None);
        for line in asked.get_all(ACCEPT_ENCODING) {
            for (name, weight) in line.to_str().unwrap_or_default().split(',').filter_map(member) {
                let said = if name == "*" {
                    Some(&mut any)
                } else if name.eq_ignore_ascii_case("identity") {
                    Some(&mut identity)
                } else {
                    coding(name).and_then(|coding| codings.get_mut(coding.index()))
                };
                if let Some(said) = said {
                    said.get_or_insert(weight);
                }
            }
        }
        Self {
            codings: codings.map(|said| said.or(any).unwrap_or(0)),
            identity: identity.or(any).unwrap_or(UNMENTIONED),
        }
    }

    /// The weight of this coding, from 0 (not acceptable) to 1000.
    pub fn weight(self, coding: Coding) -> u16 {
        self.codings.get(coding.index()).copied().unwrap_or(0)
    }

    /// The weight of the uncoded form. With 0 it is not acceptable, as long as another form is.
    pub fn identity(self) -> u16 {
        self.identity
    }

    /// Does the client accept any coding at all?
    pub fn any_coding(self) -> bool {
        self.codings.iter().any(|weight| *weight > 0)
    }
}

fn coding(name: &str) -> Option<Coding> {
    match name {
        name if name.eq_ignore_ascii_case("x-gzip") => Some(Coding::Gzip),
        name => Coding::ALL
            .into_iter()
            .find(|coding| name.eq_ignore_ascii_case(coding.name())),
    }
}

/// Parses `name` or `name;q=0.5`, with blanks around each part, into the name and the weight.
fn member(text: &str) -> Option<(&str, u16)> {
    // Browsers name no weights.
    if !text.bytes().any(|byte| byte == b';') {
        let name = text.trim_ascii();
        return (!name.is_empty()).then_some((name, FULL));
    }
    let mut parts = text.split(';').map(str::trim_ascii);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let Some(parameter) = parts.next() else {
        return Some((name, FULL));
    };
    let (key, value) = parameter.split_once('=')?;
    if !key.eq_ignore_ascii_case("q") || parts.next().is_some() {
        return None;
    }
    Some((name, weight(value)?))
}

/// Parses a weight from `0` to `1` with at most three decimals, into thousandths.
fn weight(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths = decimals
        .bytes()
        .chain(*b"000")
        .take(3)
        .fold(0, |sum, digit| sum * 10 + u16::from(digit.wrapping_sub(b'0')));
    match (whole, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(FULL),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    /// Weights of br, zstd, gzip and identity, in this order.
    fn of(lines: &[&str]) -> [u16; 4] {
        let mut asked = HeaderMap::new();
        for line in lines {
            asked.append(ACCEPT_ENCODING, HeaderValue::from_str(line).unwrap());
        }
        let accepted = Accepted::of(&asked);
        let [br, zstd, gzip] = Coding::ALL.map(|coding| accepted.weight(coding));
        assert_eq!(accepted.any_coding(), br + zstd + gzip > 0);
        [br, zstd, gzip, accepted.identity()]
    }

    #[test]
    fn every_form_of_the_field_is_understood() {
        for (lines, expected) in [
            (&[][..], [0, 0, 0, 1]),
            (&[""], [0, 0, 0, 1]),
            (&["gzip, deflate, br, zstd"], [1000, 1000, 1000, 1]),
            (&["GZip", " BR "], [1000, 0, 1000, 1]),
            (&["x-gzip;q=0.5"], [0, 0, 500, 1]),
            (&["*"], [1000, 1000, 1000, 1000]),
            (&["*;q=0"], [0, 0, 0, 0]),
            (&["identity;q=1, *;q=0"], [0, 0, 0, 1000]),
            (&["br, *;q=0.1"], [1000, 100, 100, 100]),
            (&["*;q=0.1, br;q=0"], [0, 100, 100, 100]),
            (&["gzip;q=1.0, identity;q=0.5, *;q=0"], [0, 0, 1000, 500]),
            (&["gzip, identity;q=0"], [0, 0, 1000, 0]),
            (
                &["br ; q=0.001 ,zstd;Q=0.25,,gzip\t;\tq=1.000"],
                [1, 250, 1000, 1],
            ),
            (&["br;q=0", "br"], [0, 0, 0, 1]),
            (&["br;q=0."], [0, 0, 0, 1]),
            (&["br;q=1."], [1000, 0, 0, 1]),
            (&["deflate, compress"], [0, 0, 0, 1]),
        ] {
            assert_eq!(of(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn what_can_not_be_read_says_nothing() {
        for bad in [
            "br;q=1.001",
            "br;q=2",
            "br;q=-1",
            "br;q=.5",
            "br;q=0.0001",
            "br;q=0.5x",
            "br;q=",
            "br;q",
            "br;level=11",
            "br;q=1;q=1",
            "b r",
            ";q=1",
            "br,é",
        ] {
            let [br, ..] = of(&[bad]);
            assert_eq!(br, 0, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_field_is_too_odd(line in "[ -~\t]{0,60}") {
            let weights = of(&[&line]);
            prop_assert!(weights.iter().all(|weight| *weight <= 1000));
        }
    }
}
