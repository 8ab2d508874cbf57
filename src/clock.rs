//! The time: seconds since 1970 for tokens, a steady clock for limits and durations.
//!
//! Every module that needs the time gets a clock, so that a test can move both times forward without waiting, and can stop
//! them where a busy machine's delays must not count.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

/// A clock. Clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    started: Instant,
    /// The milliseconds by which a test has moved the clock forward.
    moved: Arc<AtomicU64>,
    /// The steady and the machine's time at which a test has stopped the clock.
    stopped: Arc<OnceLock<(Duration, SystemTime)>>,
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the machine's clock"
    )]
    pub fn system() -> Self {
        Self {
            started: Instant::now(),
            moved: Arc::default(),
            stopped: Arc::default(),
        }
    }

    /// The machine's time, in whole seconds since 1970-01-01 (RFC 7519 section 2, `NumericDate`).
    pub fn unix(&self) -> i64 {
        let since = self
            .wall()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the machine's clock"
    )]
    pub fn wall(&self) -> SystemTime {
        let now = self.stopped.get().map_or_else(SystemTime::now, |(_, wall)| *wall);
        now + self.moved()
    }

    /// The time since this clock was made. It never goes back.
    pub fn steady(&self) -> Duration {
        let now = self
            .stopped
            .get()
            .map_or_else(|| self.started.elapsed(), |(steady, _)| *steady);
        now + self.moved()
    }

    /// Moves this clock and all its clones forward, in tests.
    pub fn advance(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.moved.fetch_add(millis, Ordering::Relaxed);
    }

    /// Stops this clock and all its clones, in tests: only `advance` moves them from now on.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the machine's clock"
    )]
    pub fn stop(&self) {
        self.stopped.set((self.started.elapsed(), SystemTime::now())).ok();
    }

    fn moved(&self) -> Duration {
        Duration::from_millis(self.moved.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_clock_moves_both_hands_of_all_clones() {
        let clock = Clock::system();
        let other = clock.clone();
        let (unix, steady) = (clock.unix(), clock.steady());
        other.advance(Duration::from_secs(3600));
        assert!((3600..3602).contains(&(clock.unix() - unix)));
        assert!(clock.steady() >= steady + Duration::from_secs(3600));
    }

    #[tokio::test]
    async fn a_clock_that_was_stopped_moves_as_far_as_it_is_moved() {
        let clock = Clock::system();
        let other = clock.clone();
        clock.stop();
        let (wall, steady) = (other.wall(), other.steady());
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!((other.wall(), other.steady()), (wall, steady));
        clock.advance(Duration::from_secs(1));
        let second = Duration::from_secs(1);
        assert_eq!((other.wall(), other.steady()), (wall + second, steady + second));
    }
}
