//! Limits how often the log says the same.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The least time between two lines of the log about the same thing.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// The time at which the log was told last. None: never.
#[derive(Default)]
pub(super) struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    /// Returns true if the log may be told now, at most once in `TELL_EVERY`.
    pub(super) fn now(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| last.elapsed() >= TELL_EVERY);
        if due {
            *last = Some(Instant::now());
        }
        due
    }

    /// Has `now` ever returned true?
    #[cfg(test)]
    pub(super) fn has_told(&self) -> bool {
        self.0.lock().unwrap().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_is_told_once_a_minute() {
        let seldom = Seldom::default();
        assert!(!seldom.has_told());
        assert!(seldom.now());
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(!seldom.now());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(seldom.now() && seldom.has_told());
    }
}
