//! Which bytes a request asks for.
//!
//! SECURITY: ranges that overlap, or a great many of them, are nobody's who means well. RFC 9110 section 14.2 lets us
//! answer them with the whole file, so that a short request can't ask for a long answer.
//!
//! Source: RFC 9110 sections 14.1.1, 14.1.2, 14.2.

use std::ops::Range;

use hyper::header::HeaderValue;

/// The part of a file that a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The whole file: the request has no range, or none that counts.
    Whole,
    /// One range. INVARIANT: it is not empty, and lies within the file.
    Part(Range<usize>),
    /// Several ranges, in the order of the request. INVARIANT: at least two, none is empty, all lie within the file,
    /// and no two overlap.
    Parts(Vec<Range<usize>>),
    /// No range lies within the file.
    Unsatisfiable,
}

/// The largest number of ranges. No document reader or player asks for more at once.
const MAX_RANGES: usize = 16;

/// Parses the value of `Range` for a file of `len` bytes.
pub(super) fn wanted(value: &HeaderValue, len: usize) -> Wanted {
    value
        .to_str()
        .ok()
        .and_then(|value| ranges(value, len))
        .unwrap_or(Wanted::Whole)
}

/// The ranges of the field's value; none if the field is ignored. Names of units ignore case (section 14.1); empty
/// members of a list don't count (section 5.6.1.2).
fn ranges(value: &str, len: usize) -> Option<Wanted> {
    let (unit, set) = value.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut members = set
        .split(',')
        .map(|member| member.trim_matches([' ', '\t']))
        .filter(|member| !member.is_empty())
        .peekable();
    members.peek()?;
    let mut found: Vec<Range<usize>> = Vec::new();
    for (nth, member) in members.enumerate() {
        let within = range(member, len)?;
        if nth == MAX_RANGES || found.iter().any(|other| overlap(other, &within)) {
            return None;
        }
        if !within.is_empty() {
            found.push(within);
        }
    }
    Some(match found.as_slice() {
        [] => Wanted::Unsatisfiable,
        [only] => Wanted::Part(only.clone()),
        _ => Wanted::Parts(found),
    })
}

/// The part of one range that lies within the file; none if the range is invalid.
fn range(member: &str, len: usize) -> Option<Range<usize>> {
    let (first, last) = member.split_once('-')?;
    if first.is_empty() {
        return last_bytes(last, len);
    }
    let first = number(first)?;
    let last = if last.is_empty() {
        usize::MAX
    } else {
        number(last)?
    };
    // Section 14.1.2: an end before the beginning is invalid, an end after the last byte means that byte.
    (first <= last).then(|| first.min(len)..last.saturating_add(1).min(len))
}

/// The range for the last bytes (RFC 9110 section 14.1.2). A suffix longer than the file is the whole file; a suffix of
/// 0 bytes can't be satisfied.
fn last_bytes(suffix: &str, len: usize) -> Option<Range<usize>> {
    let suffix = number(suffix)?;
    // An empty part has no `Content-Range`: an empty file is sent whole.
    (suffix == 0 || len > 0).then(|| len.saturating_sub(suffix)..len)
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start.max(b.start) < a.end.min(b.end)
}

/// Parses a text of digits alone. A number that is too large becomes the largest.
fn number(digits: &str) -> Option<usize> {
    let valid = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    valid.then(|| digits.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Wanted::*, *};

    fn of(value: &'static str, len: usize) -> Wanted {
        wanted(&HeaderValue::from_static(value), len)
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

    #[test]
    fn several_ranges_are_parts_in_their_order_as_far_as_they_are_within_the_file() {
        for (value, expected) in [
            ("bytes=0-1,4-5", vec![0..2, 4..6]),
            ("bytes=4-5 , 0-1", vec![4..6, 0..2]),
            ("bytes=0-4,5-9", vec![0..5, 5..10]),
            ("bytes=0-0,-1", vec![0..1, 9..10]),
            ("bytes=0-0,20-30,8-", vec![0..1, 8..10]),
        ] {
            assert_eq!(of(value, 10), Parts(expected), "{value}");
        }
        assert_eq!(of("bytes=20-,1-1,-0", 10), Part(1..2));
        assert_eq!(of("bytes=20-,30-40", 10), Unsatisfiable);
    }

    #[test]
    fn a_great_many_ranges_and_those_that_overlap_are_ignored() {
        for value in ["bytes=0-,0-", "bytes=0-1,1-2", "bytes=0-5,-6", "bytes=0-1,0-1"] {
            assert_eq!(of(value, 10), Whole, "{value}");
        }
        let many = |count: usize| {
            let ranges: Vec<String> = (0..count).map(|n| format!("{n}-{n}")).collect();
            wanted(
                &HeaderValue::try_from(format!("bytes={}", ranges.join(","))).unwrap(),
                100,
            )
        };
        assert!(matches!(many(MAX_RANGES), Parts(parts) if parts.len() == MAX_RANGES));
        assert_eq!(many(MAX_RANGES + 1), Whole);
    }

    /// RFC 9110 section 14.2: an invalid ranges-specifier and an unknown unit are ignored.
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
            "bytes=0-1,x",
            "bytes=20-,x",
            "bytes=0-1,5-2",
            "bytes=,",
        ] {
            assert_eq!(of(value, 10), Whole, "{value}");
        }
        assert_eq!(of("bytes=-5", 0), Whole);
    }

    proptest! {
        #[test]
        fn parts_are_never_empty_never_overlap_and_are_always_within_the_file(
            value in "bytes=([0-9]{0,3}-[0-9]{0,3},? ?){1,6}",
            len in 0..300usize,
        ) {
            let parts = match wanted(&HeaderValue::try_from(value).unwrap(), len) {
                Whole | Unsatisfiable => Vec::new(),
                Part(part) => vec![part],
                Parts(parts) => {
                    prop_assert!(parts.len() > 1);
                    parts
                }
            };
            prop_assert!(parts.iter().all(|part| part.start < part.end && part.end <= len));
            prop_assert!(parts.iter().map(Range::len).sum::<usize>() <= len);
        }
    }
}
