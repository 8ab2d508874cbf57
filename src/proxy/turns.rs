//! Those who have waited for an upstream that was away go on one after the other, so that it is not run over when it comes
//! back, and not before it is of use again.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// The time from the first who goes on to the last.
const SPREAD: Duration = Duration::from_secs(1);

/// 2^32 divided by the golden ratio: multiples of it, cut to 32 bits, are spread evenly however many there are.
const GOLDEN: u32 = 2_654_435_769;

/// The turns of one upstream; clones are the same.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<State>);

#[derive(Default)]
struct State {
    waiting: AtomicUsize,
    next: AtomicU32,
    /// When the upstream took a connection again, if it was away.
    back: Mutex<Option<Instant>>,
}

/// Somebody who waits, until it is dropped.
pub(super) struct Waits(Turns);

impl Turns {
    pub(super) fn waits(&self) -> Waits {
        if self.0.waiting.fetch_add(1, Ordering::Relaxed) == 0 {
            *self.back() = None;
        }
        Waits(self.clone())
    }

    /// How long somebody waits still, whose connection has been made, if the upstream is of use so long after it is back.
    /// The first of those who have waited does not wait for a turn.
    pub(super) fn turn(&self, has_waited: bool, settles: Duration) -> Duration {
        let back = *match (&mut *self.back(), has_waited) {
            (back, true) => back.get_or_insert_with(Instant::now),
            (Some(back), false) => back,
            (None, false) => return Duration::ZERO,
        };
        let unsettled = settles.saturating_sub(back.elapsed());
        if !has_waited && unsettled.is_zero() {
            return Duration::ZERO;
        }
        let nth = self.0.next.fetch_add(1, Ordering::Relaxed);
        unsettled + SPREAD.mul_f64(f64::from(nth.wrapping_mul(GOLDEN)) / f64::from(u32::MAX))
    }

    fn back(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.back.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waits {
    /// The next outage begins with a first again.
    fn drop(&mut self) {
        let State { waiting, next, .. } = &*self.0.0;
        if waiting.fetch_sub(1, Ordering::Relaxed) == 1 {
            next.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Duration = Duration::ZERO;

    #[test]
    fn the_first_goes_at_once_and_the_others_are_spread_over_a_second() {
        let turns = Turns::default();
        for _ in 0..2 {
            let all: Vec<Waits> = (0..400).map(|_| turns.waits()).collect();
            let mut when: Vec<u128> = (0..400).map(|_| turns.turn(true, AT_ONCE).as_millis()).collect();
            assert_eq!(when.first(), Some(&0));
            when.sort_unstable();
            assert!(when.iter().all(|millis| *millis < 1000), "{when:?}");
            for tenth in 0..10 {
                let now = when.iter().filter(|millis| *millis / 100 == tenth).count();
                assert!((36..=44).contains(&now), "{now} in tenth {tenth}");
            }
            drop(all);
        }
    }

    #[test]
    fn one_alone_never_waits_for_a_turn() {
        let turns = Turns::default();
        for _ in 0..3 {
            let _waits = turns.waits();
            assert_eq!(turns.turn(true, AT_ONCE), Duration::ZERO);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_goes_on_before_the_upstream_is_of_use() {
        let (turns, settles) = (Turns::default(), Duration::from_secs(3));
        assert_eq!(turns.turn(false, settles), Duration::ZERO, "it was never away");
        for _ in 0..2 {
            let first = turns.waits();
            assert_eq!(turns.turn(true, settles), settles);
            tokio::time::advance(Duration::from_secs(1)).await;
            // One who comes now finds it there, and of no use yet.
            let left = Duration::from_secs(2);
            for has_waited in [true, false] {
                let turn = turns.turn(has_waited, settles);
                assert!((left..left + SPREAD).contains(&turn), "{turn:?}");
            }
            tokio::time::advance(left).await;
            drop(first);
            assert_eq!(turns.turn(false, settles), Duration::ZERO);
        }
    }
}
