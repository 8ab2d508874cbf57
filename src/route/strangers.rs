//! Names under which the gateway is called and which are none of its own.
//!
//! A gateway that is opened by its address, or by a name that nobody wrote into the configuration, answers 421 to all. The
//! log says so once for each name, with what to do.
//!
//! SECURITY: anybody can send any name, so no more than a few are told. Each request's access record has its own.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use tracing::warn;

use super::hosts::NotOurHost;

/// The largest number of names that the log tells.
const MAX_NAMES: usize = 16;

/// The names that were told.
#[derive(Default)]
pub struct Strangers(Mutex<BTreeSet<String>>);

impl Strangers {
    /// Tells of a name, if it is new.
    pub(super) fn tell(&self, host: &NotOurHost) {
        if self.is_news(host.name()) {
            warn!(
                host = host.name(),
                "Refused with 421, as this host is none of ours: if it is this gateway's, write it to hosts, or as public_origin"
            );
        }
    }

    fn is_news(&self, name: &str) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= MAX_NAMES || told.contains(name) {
            return false;
        }
        told.insert(name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_news_once_and_no_more_than_a_few_are() {
        let strangers = Strangers::default();
        assert!(strangers.is_news("192.0.2.1"));
        assert!(!strangers.is_news("192.0.2.1"));
        let told = (0..100).filter(|nth| strangers.is_news(&nth.to_string())).count();
        assert_eq!(told, MAX_NAMES - 1);
    }
}
