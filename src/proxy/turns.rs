//! Those who have waited for an upstream that was away go on one after the other, so that it is not run over when it comes
//! back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

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
}

/// Somebody who waits, until it is dropped.
pub(super) struct Waits(Turns);

impl Turns {
    pub(super) fn waits(&self) -> Waits {
        self.0.waiting.fetch_add(1, Ordering::Relaxed);
        Waits(self.clone())
    }
}

impl Waits {
    /// How long this one waits still, now that the upstream is there. The first does not.
    pub(super) fn turn(&self) -> Duration {
        let nth = self.0.0.next.fetch_add(1, Ordering::Relaxed);
        SPREAD.mul_f64(f64::from(nth.wrapping_mul(GOLDEN)) / f64::from(u32::MAX))
    }
}

impl Drop for Waits {
    /// The next outage begins with a first again.
    fn drop(&mut self) {
        let State { waiting, next } = &*self.0.0;
        if waiting.fetch_sub(1, Ordering::Relaxed) == 1 {
            next.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_goes_at_once_and_the_others_are_spread_over_a_second() {
        let turns = Turns::default();
        for _ in 0..2 {
            let all: Vec<Waits> = (0..400).map(|_| turns.waits()).collect();
            let mut when: Vec<u128> = all.iter().map(|one| one.turn().as_millis()).collect();
            assert_eq!(when.first(), Some(&0));
            when.sort_unstable();
            assert!(when.iter().all(|millis| *millis < 1000), "{when:?}");
            for tenth in 0..10 {
                let now = when.iter().filter(|millis| *millis / 100 == tenth).count();
                assert!((36..=44).contains(&now), "{now} in tenth {tenth}");
            }
        }
    }

    #[test]
    fn one_alone_never_waits_for_a_turn() {
        let turns = Turns::default();
        for _ in 0..3 {
            assert_eq!(turns.waits().turn(), Duration::ZERO);
        }
    }
}
