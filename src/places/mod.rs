//! Places of client connections: how many there are, whose they are, and who has to go when they run short.
//!
//! A connection costs a file descriptor, and one without a free descriptor can't be accepted at all. So clients have places
//! of their own, and what is left for upstreams and files is never theirs (`budget`). When four fifths of the places are
//! taken, whoever is idle for the longest has to go, as in nginx: a connection between two requests can be made anew, and
//! somebody who can't come in is shut out. So is one whose next head takes more than a moment to come. One client prefix has at most so many places (IPv4 /32, IPv6 /64).
//!
//! A WebSocket keeps the place of the connection that it came over. It is never idle here: it has rules of its own
//! (`crate::upgrade`).

mod budget;
mod held;

use std::{
    collections::HashMap,
    fmt, io,
    net::IpAddr,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use rustix::io::Errno;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};
use tracing::warn;

use self::held::{Held, Seen};
pub use self::{budget::Budget, held::Place};
use crate::{
    addr::{ClientAddr, Networks},
    observe::OnceAMinute,
    workers::Load,
};

/// Whoever has been idle for less may be about to ask; while any place is left it stays.
const JUST_NOW: Duration = Duration::from_secs(1);

/// Idle connections are kept no longer once places run short.
const SHORT_IDLE: Duration = Duration::from_secs(10);

/// How often whoever waits for a place looks for one that became idle.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Of all places one in so many is made free beyond need, so that the next newcomers need not look.
const AT_ONCE: usize = 64;

/// How many places there are, and for whom.
#[derive(Clone, Debug)]
pub struct PlacesSettings {
    /// The most connections at a time.
    pub most: usize,
    /// The most for one client prefix; `None` for any number.
    pub for_one: Option<NonZeroUsize>,
    /// Whose connections are many clients'.
    pub proxies: Networks,
}

impl PlacesSettings {
    fn for_one(&self) -> usize {
        self.for_one.map_or(0, NonZeroUsize::get)
    }
}

/// The places of some listeners; clones share them.
#[derive(Clone)]
pub struct Places(Arc<State>);

struct State {
    settings: ArcSwap<PlacesSettings>,
    most: usize,
    for_one: Arc<AtomicUsize>,
    free: Arc<Semaphore>,
    taken: Mutex<Taken>,
    short: OnceAMinute,
    crowd: OnceAMinute,
}

#[derive(Default)]
struct Taken {
    next: u64,
    by_key: HashMap<u64, Arc<Seen>>,
    by_prefix: HashMap<IpAddr, usize>,
    /// Told to go, and still there.
    leaving: usize,
    /// Nobody was idle; there is no sense in looking before.
    not_before: Option<Instant>,
}

/// A free place, for whoever comes next.
pub struct Free(OwnedSemaphorePermit);

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Places").field(&self.0.settings.load()).finish()
    }
}

impl Places {
    pub fn new(settings: PlacesSettings) -> Self {
        let (most, for_one) = (settings.most, Arc::new(AtomicUsize::new(settings.for_one())));
        let told_for_one = Arc::clone(&for_one);
        Self(Arc::new(State {
            free: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            taken: Mutex::default(),
            short: OnceAMinute::new(move |count| {
                warn!(
                    count,
                    places = most,
                    "Places for client connections run short, idle connections are closed early: raise the limit of \
                     open files (LimitNOFILE)"
                );
            }),
            crowd: OnceAMinute::new(move |count| {
                warn!(
                    count,
                    limits.connections = told_for_one.load(Ordering::Relaxed),
                    "Connections are refused: their address has as many open as limits.connections allows"
                );
            }),
            settings: ArcSwap::from_pointee(settings),
            most,
            for_one,
        }))
    }

    /// From now on one client has as many as these say; how many there are in all stays.
    pub fn hold_to(&self, settings: PlacesSettings) {
        self.0.for_one.store(settings.for_one(), Ordering::Relaxed);
        self.0.settings.store(Arc::new(settings));
    }

    /// Waits for a free place, and takes places from the idle while few are left.
    pub async fn free(&self) -> io::Result<Free> {
        let mut waited = false;
        loop {
            self.make_room();
            match timeout(LOOK_AGAIN, Arc::clone(&self.0.free).acquire_owned()).await {
                Ok(permit) => return permit.map(Free).map_err(io::Error::other),
                Err(_full) if !waited => {
                    waited = true;
                    self.0.short.add(1);
                }
                Err(_full) => {}
            }
        }
    }

    pub fn taken(&self) -> usize {
        self.0.taken().by_key.len()
    }

    /// Gives a free place to a new connection.
    pub fn take(&self, free: Free, load: Load) -> Place {
        let seen = Arc::new(Seen::new());
        let mut taken = self.0.taken();
        taken.next += 1;
        let key = taken.next;
        taken.by_key.insert(key, Arc::clone(&seen));
        Place::new(Held {
            key,
            seen,
            prefix: OnceLock::new(),
            state: Arc::clone(&self.0),
            _free: free.0,
            _load: load,
        })
    }

    /// Accepting failed; says whether it was for want of descriptors, which is told here.
    pub fn ran_out(&self, error: &io::Error) -> bool {
        let out = [Errno::MFILE, Errno::NFILE]
            .iter()
            .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
        if out {
            self.0.short.add(1);
        }
        out
    }

    /// Those who are idle for the longest have to go, until four fifths of the places are enough.
    fn make_room(&self) {
        let most = self.0.most;
        let full = self.0.free.available_permits() == 0;
        let open = most.saturating_sub(self.0.free.available_permits());
        let mut taken = self.0.taken();
        let excess = open.saturating_sub(taken.leaving).saturating_sub(most - most / 5);
        let now = Instant::now();
        if excess == 0 || (!full && taken.not_before.is_some_and(|then| now < then)) {
            return;
        }
        let seen = taken.by_key.values();
        let mut idle: Vec<(Instant, &Arc<Seen>)> = seen
            .filter_map(|seen| {
                Some((
                    seen.idle_since(now, if full { Duration::ZERO } else { JUST_NOW })?,
                    seen,
                ))
            })
            .collect();
        idle.sort_unstable_by_key(|(since, _)| *since);
        let wanted = excess + most / AT_ONCE;
        let has_to_go = |(nth, (since, _)): &(usize, (Instant, &Arc<Seen>))| {
            *nth < wanted || now.saturating_duration_since(*since) > SHORT_IDLE
        };
        let told = idle.into_iter().enumerate().take_while(has_to_go);
        let count = told.map(|(_, (_, seen))| seen.tell_to_go()).count();
        taken.leaving += count;
        taken.not_before = (count == 0).then(|| now + LOOK_AGAIN);
        drop(taken);
        if count > 0 {
            self.0.short.add(count as u64);
        }
    }
}

impl State {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more for this client, unless it has as many as one may have.
    fn count(&self, client: ClientAddr, prefix: &OnceLock<IpAddr>) -> bool {
        let settings = self.settings.load();
        let Some(for_one) = settings.for_one else {
            return true;
        };
        if settings.proxies.contains(client.0) {
            return true;
        }
        let mut taken = self.taken();
        let count = taken.by_prefix.entry(client.prefix()).or_default();
        if *count >= for_one.get() {
            drop(taken);
            self.crowd.add(1);
            return false;
        }
        if prefix.set(client.prefix()).is_ok() {
            *count += 1;
        }
        true
    }

    fn leave(&self, key: u64, prefix: Option<&IpAddr>, told: bool) {
        let mut taken = self.taken();
        taken.by_key.remove(&key);
        if told {
            taken.leaving = taken.leaving.saturating_sub(1);
        }
        let Some(prefix) = prefix else { return };
        if let Some(count) = taken.by_prefix.get_mut(prefix) {
            *count -= 1;
            if *count == 0 {
                taken.by_prefix.remove(prefix);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workers::Workers;

    fn places(most: usize, for_one: usize) -> Places {
        Places::new(PlacesSettings {
            most,
            for_one: NonZeroUsize::new(for_one),
            proxies: Networks::parse(&["10.0.0.0/8".into()], false).unwrap(),
        })
    }

    async fn one(places: &Places, workers: &Workers) -> Place {
        let free = places.free().await.unwrap();
        places.take(free, workers.least_busy().unwrap().1)
    }

    fn workers() -> Workers {
        Workers::start("test", NonZeroUsize::MIN).unwrap()
    }

    fn told(places: &[Place]) -> Vec<usize> {
        let told = places.iter().enumerate().filter(|(_, place)| place.is_told());
        told.map(|(nth, _)| nth).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_idle_for_the_longest_goes_first_and_only_above_four_fifths() {
        let (places, workers) = (places(10, 0), workers());
        let mut there = Vec::new();
        for nth in 0..8 {
            let place = one(&places, &workers).await;
            let since = Instant::now();
            // The first has a request under way.
            place.watch(move || (nth > 0).then_some(since));
            there.push(place);
            tokio::time::advance(Duration::from_millis(1100)).await;
        }
        assert_eq!(told(&there), [0; 0]);
        there.push(one(&places, &workers).await);
        let next = places.free().await.unwrap();
        assert_eq!(told(&there), [1]);
        drop(next);
        // It is on its way out and not there twice.
        drop(places.free().await.unwrap());
        assert_eq!(told(&there), [1]);
        there.remove(1);
        drop(places.free().await.unwrap());
        assert_eq!(told(&there), [0; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn while_places_are_left_nobody_goes_who_was_busy_just_now() {
        let (places, workers) = (places(10, 0), workers());
        let mut there = Vec::new();
        for _ in 0..10 {
            there.push(one(&places, &workers).await);
        }
        assert_eq!(told(&there), [0; 0]);
        // There is no place for the next: those who have said nothing yet go, and it comes in.
        let next = tokio::spawn({
            let places = places.clone();
            async move { places.free().await.map(drop) }
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(told(&there).len(), 2);
        there.retain(|place| !place.is_told());
        next.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_busy_stays_and_the_next_waits() {
        let (places, workers) = (places(5, 0), workers());
        let mut there = Vec::new();
        for _ in 0..5 {
            let place = one(&places, &workers).await;
            place.watch(|| None);
            there.push(place);
        }
        let next = places.free();
        tokio::pin!(next);
        assert!(timeout(Duration::from_secs(60), &mut next).await.is_err());
        assert_eq!(told(&there), [0; 0]);
        there.pop();
        timeout(Duration::from_secs(1), next).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn one_client_prefix_has_so_many_and_a_proxys_clients_are_not_one() {
        let (places, workers) = (places(100, 2), workers());
        let mut there = Vec::new();
        for (client, comes_in) in [
            ("192.0.2.7", true),
            ("192.0.2.7", true),
            ("192.0.2.7", false),
            ("192.0.2.8", true),
            ("2001:db8::1", true),
            ("2001:db8::2", true),
            ("2001:db8::3", false),
            ("2001:db8:0:1::3", true),
            ("10.0.0.1", true),
            ("10.0.0.1", true),
            ("10.0.0.1", true),
        ] {
            let place = one(&places, &workers).await;
            let client = ClientAddr(client.parse().unwrap());
            assert_eq!(place.belongs_to(client), comes_in, "{client}");
            there.push(place);
        }
        drop(there);
        assert_eq!(places.0.taken().by_prefix.len(), 0);
        assert_eq!(places.0.free.available_permits(), 100);
        let again = one(&places, &workers).await;
        assert!(again.belongs_to(ClientAddr("192.0.2.7".parse().unwrap())));
    }
}
