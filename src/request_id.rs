//! The id of a request. A person reads it on a page and quotes it, and the operator finds the access record by it.
//!
//! The id is no secret, and gives access to nothing. Its first part identifies the process, so that replicas don't make
//! the same ids, and nobody can guess an id that they have not seen.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

/// The number of random bits that identify the process: twelve digits.
const PROCESS_BITS: u32 = 48;

/// The id of one request: twenty digits from `0-9a-f`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId {
    process: u64,
    nth: u64,
}

/// Makes ids for requests. They are unique among replicas and restarts.
#[derive(Debug)]
pub struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl Default for RequestIds {
    /// The standard library's own randomness, which keeps maps from being guessed, is good enough for a name.
    fn default() -> Self {
        Self {
            process: RandomState::new().hash_one(()) >> (u64::BITS - PROCESS_BITS),
            next: AtomicU64::new(1),
        }
    }
}

impl RequestIds {
    /// An id that no other request of this process has.
    pub fn next(&self) -> RequestId {
        RequestId {
            process: self.process,
            nth: self.next.fetch_add(1, Ordering::Relaxed),
        }
    }
}

/// The smallest number of digits for the request's number.
const NTH_DIGITS: u32 = 8;

impl RequestId {
    /// Appends the id as text. This is several times faster than standard formatting.
    pub fn append_to(self, text: &mut Vec<u8>) {
        let digits = (u64::BITS - self.nth.leading_zeros()).div_ceil(4);
        for (number, digits) in [
            (self.process, PROCESS_BITS / 4),
            (self.nth, digits.max(NTH_DIGITS)),
        ] {
            for digit in (0..digits).rev() {
                let nibble = (number >> (4 * digit) & 15) as u8;
                text.push(nibble + if nibble < 10 { b'0' } else { b'a' - 10 });
            }
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}{:08x}", self.process, self.nth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_has_a_name_of_its_own() {
        let (ours, theirs) = (RequestIds::default(), RequestIds::default());
        let names = [ours.next(), ours.next(), theirs.next()].map(|id| id.to_string());
        for name in &names {
            assert_eq!(name.len(), 20, "{name}");
            assert!(
                name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
                "{name}"
            );
        }
        for nth in [1, 0xabc, 0xffff_ffff, 0x1_0000_0000, u64::MAX] {
            let id = RequestId { nth, ..ours.next() };
            let mut text = Vec::new();
            id.append_to(&mut text);
            assert_eq!(String::from_utf8(text).unwrap(), id.to_string());
        }
        let [first, second, other] = names;
        assert_eq!(first[..12], second[..12]);
        assert_ne!(first[12..], second[12..]);
        assert_ne!(first[..12], other[..12]);
    }
}
