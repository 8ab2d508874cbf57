//! What the page has found, as five characters that somebody can read out on the telephone.
//!
//! The fields of `FIELDS` lie in 16 bits, the first in the lowest; above them is the version of this layout. Each
//! character has five bits, in Crockford's base 32, which has no two that look alike; a fifth one tells a slip.

/// Each field and its bits. What a value means stands in `super::explain`; 0 is "not looked at", or "no".
pub(super) const FIELDS: [(&str, u32); 8] = [
    ("frame", 1),
    ("webrtc", 1),
    ("cookies", 2),
    ("socket", 2),
    ("udp", 2),
    ("relay", 2),
    ("camera", 3),
    ("microphone", 3),
];

pub(super) const VERSION: u32 = 1;

/// The lowest bit of the version.
const VERSION_AT: u32 = 16;

/// Crockford's base 32, without I, L, O and U.
pub(super) const ALPHABET: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// What each character weighs in the last one. Odd weights tell every wrong character, as the base is even.
pub(super) const CHECK_WEIGHTS: [u32; 4] = [1, 3, 5, 7];

/// The characters that hold something; one more follows.
const CHARS: usize = CHECK_WEIGHTS.len();

/// The values of all fields, in the order of `FIELDS`.
pub(super) type Found = [u32; FIELDS.len()];

/// Why a code can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCode {
    #[error("is no result code: one has five letters and digits")]
    Form,
    #[error("has a slip: its last character does not fit the others")]
    Slip,
    #[error("is of another version of the page")]
    Version,
}

/// Reads a code, as a person has written it.
pub(super) fn read(code: &str) -> Result<Found, BadCode> {
    let written = code.chars().filter(|c| !matches!(c, ' ' | '-'));
    let values: Option<Vec<u32>> = written.map(value).collect();
    let Some(([a, b, c, d], [check])) = values.as_deref().and_then(|all| {
        let (said, check) = all.split_first_chunk::<CHARS>()?;
        Some((said, <&[u32; 1]>::try_from(check).ok()?))
    }) else {
        return Err(BadCode::Form);
    };
    if check_of([*a, *b, *c, *d]) != *check {
        return Err(BadCode::Slip);
    }
    let bits = a << 15 | b << 10 | c << 5 | d;
    if bits >> VERSION_AT != VERSION {
        return Err(BadCode::Version);
    }
    let mut left = bits;
    Ok(FIELDS.map(|(_, width)| {
        let value = left & ((1 << width) - 1);
        left >>= width;
        value
    }))
}

fn check_of(values: [u32; CHARS]) -> u32 {
    let weighed = values
        .iter()
        .zip(CHECK_WEIGHTS)
        .map(|(value, weight)| value * weight);
    weighed.sum::<u32>() % 32
}

fn value(letter: char) -> Option<u32> {
    let letter = match letter.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let at = ALPHABET.chars().position(|known| known == letter)?;
    u32::try_from(at).ok()
}

/// As the script writes it.
#[cfg(test)]
pub(super) fn written(found: Found) -> String {
    let mut bits = VERSION << VERSION_AT;
    let mut at = 0;
    for ((_, width), value) in FIELDS.iter().zip(found) {
        bits |= value << at;
        at += width;
    }
    assert_eq!(at, VERSION_AT);
    let values = [15, 10, 5, 0].map(|shift| bits >> shift & 31);
    let all = values.into_iter().chain([check_of(values)]);
    all.map(|value| ALPHABET.chars().nth(value as usize).unwrap())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_says_what_went_into_it_however_it_is_written() {
        for found in [
            [0; 8],
            [1, 1, 3, 3, 3, 3, 7, 7],
            [1, 0, 1, 2, 1, 3, 5, 2],
            [0, 0, 1, 1, 2, 1, 1, 1],
        ] {
            let code = written(found);
            assert_eq!(read(&code), Ok(found), "{code}");
            let (start, end) = code.split_at(2);
            let spoken = format!("{} - {}", start.to_ascii_lowercase(), end.replace('0', "o"));
            assert_eq!(read(&spoken), Ok(found), "{spoken}");
        }
    }

    #[test]
    fn one_wrong_character_is_told_and_so_is_what_is_no_code() {
        let code = written([0, 0, 1, 1, 2, 1, 1, 1]);
        for at in 0..code.len() {
            for wrong in ALPHABET.chars().filter(|wrong| !code[at..].starts_with(*wrong)) {
                let mut other = code.clone();
                other.replace_range(at..=at, &wrong.to_string());
                assert_eq!(read(&other), Err(BadCode::Slip), "{other}");
            }
        }
        for text in ["", "ABCD", "ABCDEF", "ABCDU", "machine.ports"] {
            assert_eq!(read(text), Err(BadCode::Form), "{text}");
        }
        // All bits zero: version 0.
        assert_eq!(read("00000"), Err(BadCode::Version));
    }
}
