//! Which bytes a request asks for.
//!
//! One range is answered; of several, which no client of these files asks for, none is, as RFC 9110 section 14.2 allows:
//! the whole file can't be turned into a flood of overlapping parts.
//!
//! Source: RFC 9110 sections 14.1.1, 14.1.2, 14.2.

use std::ops::Range;

use hyper::header::HeaderValue;

/// What to send.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Everything: no range, or none that counts.
    Whole,
    /// INVARIANT: not empty, and within the file.
    Part(Range<usize>),
    /// A range that lies outside of the file.
    Unsatisfiable,
}

/// Reads the value of `Range` for a file of this length.
pub(super) fn asked(value: &HeaderValue, len: usize) -> Asked {
    value
        .to_str()
        .ok()
        .and_then(only_range)
        .map_or(Asked::Whole, |range| match range.split_once('-') {
            Some(("", suffix)) => last_bytes(suffix, len),
            Some((first, last)) => from_to(first, last, len),
            None => Asked::Whole,
        })
}

/// Section 14.1: names of units ignore case; section 5.6.1.2: empty members of a list don't count.
fn only_range(value: &str) -> Option<&str> {
    let (unit, set) = value.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut members = set
        .split(',')
        .map(|member| member.trim_matches([' ', '\t']))
        .filter(|member| !member.is_empty());
    members.next().filter(|_| members.next().is_none())
}

/// Section 14.1.2: a suffix longer than the file is the whole of it; a suffix of nothing can't be satisfied.
fn last_bytes(suffix: &str, len: usize) -> Asked {
    match number(suffix) {
        None => Asked::Whole,
        Some(0) => Asked::Unsatisfiable,
        // An empty part has no `Content-Range`.
        Some(_) if len == 0 => Asked::Whole,
        Some(suffix) => Asked::Part(len.saturating_sub(suffix)..len),
    }
}

/// Section 14.1.2: an end before the beginning is invalid, an end after the last byte means that byte.
fn from_to(first: &str, last: &str, len: usize) -> Asked {
    let last = if last.is_empty() {
        Some(usize::MAX)
    } else {
        number(last)
    };
    match (number(first), last) {
        (Some(first), Some(last)) if first > last => Asked::Whole,
        (Some(first), Some(_)) if first >= len => Asked::Unsatisfiable,
        (Some(first), Some(last)) => Asked::Part(first..last.saturating_add(1).min(len)),
        _ => Asked::Whole,
    }
}

/// Digits alone; a number beyond any file is as good as the largest.
fn number(digits: &str) -> Option<usize> {
    let valid = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    valid.then(|| digits.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Asked::*, *};

    fn of(value: &'static str, len: usize) -> Asked {
        asked(&HeaderValue::from_static(value), len)
    }

    /// RFC 9110 section 14.1.2.
    #[test]
    fn one_range_is_a_part() {
        for (value, expected) in [
            ("bytes=0-0", Part(0..1)),
            ("bytes=2-5", Part(2..6)),
            ("bytes=9-9", Part(9..10)),
            ("bytes=5-", Part(5..10)),
            ("bytes=0-", Part(0..10)),
            ("bytes=5-99", Part(5..10)),
            ("bytes=5-99999999999999999999999", Part(5..10)),
            ("bytes=-1", Part(9..10)),
            ("bytes=-10", Part(0..10)),
            ("bytes=-99999999999999999999999", Part(0..10)),
            ("BYTES=2-5", Part(2..6)),
            ("bytes=, 2-5 ,", Part(2..6)),
            ("bytes=002-5", Part(2..6)),
        ] {
            assert_eq!(of(value, 10), expected, "{value}");
        }
    }

    /// RFC 9110 section 14.1.2, last paragraphs.
    #[test]
    fn a_range_outside_of_the_file_cant_be_satisfied() {
        for (value, len) in [
            ("bytes=10-", 10),
            ("bytes=10-20", 10),
            ("bytes=99999999999999999999999-", 10),
            ("bytes=-0", 10),
            ("bytes=0-", 0),
            ("bytes=0-0", 0),
        ] {
            assert_eq!(of(value, len), Unsatisfiable, "{value} of {len}");
        }
    }

    /// RFC 9110 section 14.2: an invalid ranges-specifier, an unknown unit and several ranges are ignored.
    #[test]
    fn anything_else_is_ignored() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5",
            "bytes=5-2",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes=1-+2",
            "bytes=1--2",
            "bytes=--2",
            "bytes = 0-1",
            "bytes=0 - 1",
            "bytes=0x1-2",
            "items=0-1",
            "bytes=0-1,4-5",
            "bytes=0-1,0-1",
            "bytes=0-1,x",
        ] {
            assert_eq!(of(value, 10), Whole, "{value}");
        }
        assert_eq!(of("bytes=-5", 0), Whole);
    }

    proptest! {
        #[test]
        fn a_part_is_never_empty_and_always_within_the_file(value in "bytes=[0-9]{0,3}-[0-9]{0,3}", len in 0..300usize) {
            if let Part(range) = asked(&HeaderValue::try_from(value).unwrap(), len) {
                prop_assert!(range.start < range.end && range.end <= len);
            }
        }
    }
}
