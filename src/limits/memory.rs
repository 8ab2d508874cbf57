//! One GCRA limit in memory, with a ceiling on what it remembers.
//!
//! Keys are hashes already (`bucket`), and kept as they are: a new process finds them again.

use std::{
    collections::hash_map::RandomState,
    convert::Infallible,
    hash::BuildHasher,
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

/// The number of bytes that are kept of a key's hash.
const KEY_BYTES: usize = 16;

/// What a bucket is found by.
pub(super) type Key = [u8; KEY_BYTES];

type Keyed = RateLimiter<Key, Store, Steady, NoOpMiddleware<Nanos>>;

/// A rate limiter by the generic cell rate algorithm (GCRA).
pub(super) struct Gcra {
    limiter: Keyed,
    counted: Counted,
    /// The time between two requests at the sustained rate.
    interval: Duration,
    /// The time in which an empty bucket becomes full.
    window: Duration,
    clock: Steady,
    checks: AtomicU32,
    full: AtomicBool,
}

/// What has been counted, whatever the rate; clones share it.
#[derive(Clone, Default)]
pub(super) struct Counted {
    store: Store,
    /// Chooses among the shared buckets: nobody can tell which is whose.
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
            window,
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
    pub(super) fn check(&self, key: &Key) -> Result<(), Duration> {
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
    pub(super) fn give_back(&self, key: &Key) {
        let interval = Nanos::from(self.interval);
        let earlier = |full: Option<Nanos>| full.map(|full| ((), full.saturating_sub(interval))).ok_or(());
        // Of a key that was forgotten there is nothing to give back.
        self.counted
            .store
            .measure_and_replace(&self.place_of(key), earlier)
            .ok();
    }

    /// The buckets that are not full, and how long each needs to be full again.
    pub(super) fn not_full(&self) -> Vec<(Key, Duration)> {
        let store = &self.counted.store;
        let now = self.clock.now();
        let wait = |key: &Key| {
            // Looks, and leaves what is there.
            let look = |full: Option<Nanos>| Err::<((), Nanos), _>(full);
            let full = store.measure_and_replace(key, look).err().flatten()?;
            Some(Duration::from(full.saturating_sub(now))).filter(|wait| !wait.is_zero())
        };
        let keys = store.keys().into_iter();
        keys.filter_map(|key| Some((key, wait(&key)?))).collect()
    }

    /// This bucket will be full again after this time, as another process has counted, or later. No bucket needs longer
    /// than the window, whatever the window was there.
    pub(super) fn is_not_full_for(&self, key: &Key, wait: Duration) {
        let wait = wait.min(self.window);
        let full = Nanos::from(self.clock.clock.steady().saturating_add(wait));
        let later =
            |known: Option<Nanos>| Ok::<_, Infallible>(((), known.map_or(full, |known| known.max(full))));
        self.counted
            .store
            .measure_and_replace(&self.place_of(key), later)
            .ok();
    }

    fn place_of(&self, key: &Key) -> Key {
        if self.full.load(Ordering::Relaxed) {
            u128::from(self.counted.hash.hash_one(key) % SHARED_BUCKETS).to_be_bytes()
        } else {
            *key
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
struct Store(Arc<DashMapStateStore<Key>>);

impl Store {
    fn keys(&self) -> Vec<Key> {
        self.0.iter().map(|entry| *entry.key()).collect()
    }
}

impl StateStore for Store {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0.measure_and_replace(key, measure)
    }
}

impl ShrinkableKeyedStateStore<Key> for Store {
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

    const ANN: Key = [1; 16];
    const BOB: Key = [2; 16];

    fn key(number: u32) -> Key {
        u128::from(number)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
            .to_be_bytes()
    }

    #[test]
    fn a_million_keys_stay_under_the_ceiling() {
        let gcra = Gcra::new(
            NonZeroU32::MIN,
            Duration::from_secs(60),
            &Clock::system(),
            Counted::default(),
        );
        for number in 0..1_000_000 {
            gcra.check(&key(number)).ok();
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
        let takes = || (0..10).take_while(|_| gcra.check(&ANN).is_ok()).count();
        assert_eq!(takes(), 3);
        gcra.give_back(&ANN);
        gcra.give_back(&BOB);
        assert_eq!(takes(), 1);
        for _ in 0..10 {
            gcra.give_back(&ANN);
        }
        assert_eq!(takes(), 3);
        clock.advance(Duration::from_secs(600));
        gcra.give_back(&ANN);
        assert_eq!(takes(), 3);
    }

    #[test]
    fn another_process_with_a_longer_window_locks_nobody_out_for_longer_than_ours() {
        let clock = Clock::system();
        let minute = Duration::from_secs(60);
        let gcra = Gcra::new(NonZeroU32::new(10).unwrap(), minute, &clock, Counted::default());
        gcra.is_not_full_for(&ANN, Duration::from_secs(3600));
        assert!(gcra.check(&ANN).is_err());
        clock.advance(minute);
        assert!(gcra.check(&ANN).is_ok());
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
        let takes = |gcra: &Gcra| (0..100).take_while(|_| gcra.check(&ANN).is_ok()).count();
        let ten = per_minute(10, Counted::default());
        assert_eq!(takes(&ten), 10);
        clock.advance(Duration::from_secs(36_000));
        assert_eq!(takes(&ten), 10);
        // The same again: nothing is given away, and nobody waits for longer.
        let same = per_minute(10, ten.counted());
        assert_eq!(takes(&same), 0);
        assert!(same.check(&BOB).is_ok());
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
        for number in 0..u32::try_from(MAX_KEYS).unwrap() {
            gcra.check(&key(number)).ok();
        }
        clock.advance(Duration::from_secs(120));
        for number in 0..SWEEP_EVERY {
            gcra.check(&key(number)).ok();
        }
        assert!(
            gcra.limiter.len() <= 2 * SWEEP_EVERY as usize,
            "{}",
            gcra.limiter.len()
        );
    }
}
