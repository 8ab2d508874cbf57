//! How each name stands: what was done last, and what comes next.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Times in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// There is a certificate; when it is renewed.
    Waits {
        until: i64,
    },
    Orders,
    /// Another gateway orders.
    Others,
    /// Why the last order failed, and when the next one comes.
    Failed {
        words: String,
        next: i64,
    },
}

#[derive(Default)]
pub(super) struct Statuses(Mutex<BTreeMap<String, Status>>);

impl Statuses {
    pub(super) fn set(&self, name: &str, status: Status) {
        self.map().insert(name.to_owned(), status);
    }

    pub(super) fn keep_only(&self, names: &[String]) {
        self.map().retain(|name, _| names.contains(name));
    }

    pub(super) fn all(&self) -> Vec<(String, Status)> {
        let map = self.map();
        map.iter()
            .map(|(name, status)| (name.clone(), status.clone()))
            .collect()
    }

    fn map(&self) -> MutexGuard<'_, BTreeMap<String, Status>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.map().fmt(f)
    }
}
