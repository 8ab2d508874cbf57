//! One GCRA limit in memory, with a ceiling on what it remembers.
//!
//! Keys are kept as 64-bit hashes under a key made at the start, so a hostile name is neither stored nor able to hit
//! another's bucket on purpose.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hash},
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use governor::{
    NotUntil, Quota, RateLimiter,
    clock::Clock as GovernorClock,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{
        StateStore,
        keyed::{DashMapStateStore, ShrinkableKeyedStateStore},
    },
};

use crate::clock::Clock;

/// The largest number of keys that are remembered, some 10 MiB. Further keys share buckets.
const MAX_KEYS: usize = 100_000;

/// The number of buckets that new keys share while the limit holds its largest number of keys.
const SHARED_BUCKETS: u64 = 4096;

/// The number of checks between two counts of the keys. The largest number can be exceeded by as much.
const SWEEP_EVERY: u32 = 1024;

type Keyed = RateLimiter<u64, Store, Steady, NoOpMiddleware<Nanos>>;

/// A rate limiter by the generic cell rate algorithm (GCRA), for any hashable key.
pub(super) struct Gcra {
    limiter: Keyed,
    counted: Counted,
    /// The time between two requests at the sustained rate.
    interval: Duration,
    clock: Steady,
    checks: AtomicU32,
    full: AtomicBool,
}

/// What has been counted, whatever the rate; clones share it.
#[derive(Clone, Default)]
pub(super) struct Counted {
    store: Store,
    hash: RandomState,
}

impl Gcra {
    /// Goes on with what has been counted. What is kept of a key is when it will be full again, and so another rate
    /// goes on from there.
    pub(super) fn new(count: NonZeroU32, window: Duration, clock: &Clock, counted: Counted) -> Self {
        let clock = Steady::new(clock);
        let interval = window / count.get();
        let quota = Quota::with_period(interval)
            .unwrap_or_else(|| Quota::per_second(count))
            .allow_burst(count);
        let limiter = RateLimiter::new(quota, counted.store.clone(), clock.clone());
        clock.begin();
        Self {
            limiter,
            counted,
            interval,
            clock,
            checks: AtomicU32::new(0),
            full: AtomicBool::new(false),
        }
    }

    /// What has been counted so far, and will be.
    pub(super) fn counted(&self) -> Counted {
        self.counted.clone()
    }

    /// Takes one from the key's bucket. The error is the time until there is one.
    pub(super) fn check(&self, key: &impl Hash) -> Result<(), Duration> {
        if self
            .checks
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(SWEEP_EVERY)
        {
            self.sweep();
        }
        self.limiter
            .check_key(&self.place_of(key))
            .map_err(|refused: NotUntil<Nanos>| refused.wait_time_from(self.clock.now()))
    }

    /// Gives one back to the key's bucket. The store keeps the time at which the bucket will be full again, and a time
    /// in the past counts as now, so a bucket never holds more than its size.
    pub(super) fn give_back(&self, key: &impl Hash) {
        let interval = Nanos::from(self.interval);
        let earlier = |full: Option<Nanos>| full.map(|full| ((), full.saturating_sub(interval))).ok_or(());
        // Of a key that was forgotten there is nothing to give back.
        self.counted
            .store
            .measure_and_replace(&self.place_of(key), earlier)
            .ok();
    }

    fn place_of(&self, key: &impl Hash) -> u64 {
        let key = self.counted.hash.hash_one(key);
        if self.full.load(Ordering::Relaxed) {
            key % SHARED_BUCKETS
        } else {
            key
        }
    }

    fn sweep(&self) {
        if self.limiter.len() >= MAX_KEYS {
            self.limiter.retain_recent();
        }
        self.full.store(self.limiter.len() >= MAX_KEYS, Ordering::Relaxed);
    }
}

/// governor's own store, shared by its limiter and by this module, which puts takings back.
#[derive(Clone, Default)]
struct Store(Arc<DashMapStateStore<u64>>);

impl StateStore for Store {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0.measure_and_replace(key, measure)
    }
}

impl ShrinkableKeyedStateStore<u64> for Store {
    fn retain_recent(&self, drop_below: Nanos) {
        ShrinkableKeyedStateStore::retain_recent(&*self.0, drop_below);
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The gateway's clock, in the form that governor needs. A limiter keeps times since it was made; until then this clock stands
/// at zero, so that a time means the same to all limiters, and one can go on with another's counts.
#[derive(Clone)]
struct Steady {
    clock: Clock,
    runs: Arc<AtomicBool>,
}

impl Steady {
    fn new(clock: &Clock) -> Self {
        Self {
            clock: clock.clone(),
            runs: Arc::default(),
        }
    }

    fn begin(&self) {
        self.runs.store(true, Ordering::Relaxed);
    }
}

impl GovernorClock for Steady {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        if self.runs.load(Ordering::Relaxed) {
            self.clock.steady().into()
        } else {
            Nanos::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_keys_stay_under_the_ceiling() {
        let gcra = Gcra::new(
            NonZeroU32::MIN,
            Duration::from_secs(60),
            &Clock::system(),
            Counted::default(),
        );
        for key in 0..1_000_000 {
            gcra.check(&key).ok();
        }
        let most = MAX_KEYS + SWEEP_EVERY as usize + usize::try_from(SHARED_BUCKETS).unwrap();
        assert!(gcra.limiter.len() <= most, "{}", gcra.limiter.len());
    }

    #[test]
    fn what_is_given_back_can_be_taken_again_and_makes_nothing_better_than_full() {
        let clock = Clock::system();
        let gcra = Gcra::new(
            NonZeroU32::new(3).unwrap(),
            Duration::from_secs(60),
            &clock,
            Counted::default(),
        );
        let takes = || (0..10).take_while(|_| gcra.check(&"ann").is_ok()).count();
        assert_eq!(takes(), 3);
        gcra.give_back(&"ann");
        gcra.give_back(&"bob");
        assert_eq!(takes(), 1);
        for _ in 0..10 {
            gcra.give_back(&"ann");
        }
        assert_eq!(takes(), 3);
        clock.advance(Duration::from_secs(600));
        gcra.give_back(&"ann");
        assert_eq!(takes(), 3);
    }

    #[test]
    fn another_rate_goes_on_where_the_one_before_was() {
        let clock = Clock::system();
        clock.advance(Duration::from_secs(36_000));
        let per_minute = |count, counted| {
            Gcra::new(
                NonZeroU32::new(count).unwrap(),
                Duration::from_secs(60),
                &clock,
                counted,
            )
        };
        let takes = |gcra: &Gcra| (0..100).take_while(|_| gcra.check(&"ann").is_ok()).count();
        let ten = per_minute(10, Counted::default());
        assert_eq!(takes(&ten), 10);
        clock.advance(Duration::from_secs(36_000));
        assert_eq!(takes(&ten), 10);
        // The same again: nothing is given away, and nobody waits for longer.
        let same = per_minute(10, ten.counted());
        assert_eq!(takes(&same), 0);
        assert!(same.check(&"bob").is_ok());
        clock.advance(Duration::from_secs(6));
        assert_eq!(takes(&same), 1);
        // Twice as often: what is used up is used up, and comes back twice as fast.
        let twenty = per_minute(20, same.counted());
        assert_eq!(takes(&twenty), 0);
        clock.advance(Duration::from_secs(6));
        assert_eq!(takes(&twenty), 2);
        clock.advance(Duration::from_secs(600));
        assert_eq!(takes(&twenty), 20);
    }

    #[test]
    fn keys_whose_time_is_over_are_forgotten() {
        let clock = Clock::system();
        let gcra = Gcra::new(
            NonZeroU32::MIN,
            Duration::from_secs(60),
            &clock,
            Counted::default(),
        );
        for key in 0..MAX_KEYS {
            gcra.check(&key).ok();
        }
        clock.advance(Duration::from_secs(120));
        for key in 0..SWEEP_EVERY {
            gcra.check(&key).ok();
        }
        assert!(
            gcra.limiter.len() <= 2 * SWEEP_EVERY as usize,
            "{}",
            gcra.limiter.len()
        );
    }
}
