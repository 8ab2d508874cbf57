//! One limit's count for one user, room, caller or client, wherever it is kept.
//!
//! What it counts is named by a hash, the same on every replica: a hostile name has no say in what a key looks like,
//! and 128 bits leave nobody a way to hit another's bucket on purpose. No secret is mixed in: it would have to be equal
//! on all replicas, also while it is being changed, and plugnmeet-server keeps its rooms and users in Redis by name.

use std::time::Duration;

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{
    memory::{Counted, Gcra, Key},
    over::OverLimit,
    rate::RateSettings,
};
use crate::clock::Clock;

/// One limit, with its name in headers and in keys.
pub(super) struct Limit {
    pub(super) name: &'static str,
    /// The rate for all replicas together.
    pub(super) rate: RateSettings,
    /// The rate for this replica while it counts for itself.
    local_rate: RateSettings,
    local: Gcra,
}

/// A counter from which one decision takes one.
pub(super) struct Bucket<'l> {
    pub(super) limit: &'l Limit,
    key: Key,
}

impl Limit {
    /// Goes on with what `before` has counted.
    pub(super) fn new(
        name: &'static str,
        rate: RateSettings,
        local_rate: RateSettings,
        clock: &Clock,
        before: Option<&Self>,
    ) -> Self {
        let counted = before.map_or_else(Counted::default, |before| before.local.counted());
        Self {
            name,
            rate,
            local_rate,
            local: Gcra::new(local_rate.count, local_rate.window, clock, counted),
        }
    }

    /// As `Gcra::not_full`, by this process's own count.
    pub(super) fn not_full(&self) -> Vec<(Key, Duration)> {
        self.local.not_full()
    }

    /// As `Gcra::is_not_full_for`.
    pub(super) fn is_not_full_for(&self, key: &Key, wait: Duration) {
        self.local.is_not_full_for(key, wait);
    }

    /// The bucket of what has these names; each counts with its length, so that no two lists are the same bytes.
    pub(super) fn bucket(&self, names: &[&str]) -> Bucket<'_> {
        // In one piece: a hash that is begun and goes on takes twice as long for so little.
        let mut hashed = Vec::with_capacity(names.iter().map(|name| name.len() + size_of::<u64>()).sum());
        for name in names {
            hashed.extend_from_slice(&(name.len() as u64).to_be_bytes());
            hashed.extend_from_slice(name.as_bytes());
        }
        let hash = digest::digest(&digest::SHA256, &hashed);
        let key = hash.as_ref().first_chunk().copied().unwrap_or_default();
        Bucket { limit: self, key }
    }
}

impl Bucket<'_> {
    pub(super) fn key(&self) -> String {
        format!(
            "pnm-gw:{}:{}",
            self.limit.name,
            BASE64_URL_SAFE_NO_PAD.encode(self.key)
        )
    }

    /// Takes one by this process's own count.
    pub(super) fn take_locally(&self) -> Result<(), OverLimit> {
        let limit = self.limit;
        limit.local.check(&self.key).map_err(|wait| OverLimit {
            limit: limit.name,
            rate: limit.local_rate,
            wait,
        })
    }

    /// Puts one back that `take_locally` took.
    pub(super) fn give_back_locally(&self) {
        self.limit.local.give_back(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(names: &[&str]) -> String {
        let rate = RateSettings::parse("10/min").unwrap();
        Limit::new("user", rate, rate, &Clock::system(), None)
            .bucket(names)
            .key()
    }

    /// A replica of another release has to find the same bucket.
    #[test]
    fn a_key_is_the_same_on_every_replica() {
        assert_eq!(
            key(&["lms", "room01", "ann"]),
            "pnm-gw:user:j9OF3JR2qkSn4odHp_38vg"
        );
    }

    #[test]
    fn no_name_can_pretend_to_be_two_others() {
        assert_ne!(key(&["lms", "room01", "ann"]), key(&["lms", "room0", "1ann"]));
        assert_ne!(key(&["lms", "room01"]), key(&["lms", "room01", ""]));
        let hostile = key(&["lms", "*\r\nFLUSHALL\r\n{x}:", "\0"]);
        assert!(
            hostile.len() == "pnm-gw:user:".len() + 22 && hostile.bytes().all(|b| b.is_ascii_graphic()),
            "{hostile:?}"
        );
    }
}
