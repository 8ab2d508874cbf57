//! Places for connections to one upstream: at most so many are in use, tunnels among them, and who finds none waits for a
//! while.
//!
//! Without it one client over HTTP/2 holds a hundred connections to an upstream, and a slow upstream as many as there are
//! requests.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};
use tracing::warn;

use super::address::Address;
use crate::observe::{UpstreamMetrics, Waiting};

/// Between two lines of the log about the same.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// The right to use one connection.
pub(super) type Place = OwnedSemaphorePermit;

/// Places of one upstream.
pub(super) struct Places {
    free: Arc<Semaphore>,
    most: usize,
    patience: Duration,
    open: Arc<AtomicUsize>,
    local_ports: usize,
    metrics: UpstreamMetrics,
    told_full: Seldom,
    told_ports: Seldom,
}

/// No place became free in time.
#[derive(Debug)]
pub(super) struct Full;

/// Room for one connection, from before it is opened until it is closed; free when dropped.
pub(super) struct Room(Arc<AtomicUsize>);

/// One open connection, in use or not; gone when dropped.
pub(super) struct Open {
    address: Arc<Address>,
    _room: Room,
}

impl Places {
    /// `most` may be in use at once; who finds none waits for so long.
    pub(super) fn new(most: usize, patience: Duration, metrics: UpstreamMetrics) -> Self {
        let local_ports = local_ports();
        metrics.local_ports(local_ports);
        Self {
            free: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            most,
            patience,
            open: Arc::default(),
            local_ports,
            metrics,
            told_full: Seldom::default(),
            told_ports: Seldom::default(),
        }
    }

    /// A place, in the order in which it was asked for.
    pub(super) async fn take(&self) -> Result<Place, Full> {
        if let Ok(place) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(place);
        }
        if self.told_full.now() {
            warn!(
                upstream = self.metrics.upstream(),
                most = self.most,
                "As many connections to an upstream are in use as upstreams.max_connections allows; others wait"
            );
        }
        let _waiting = self.metrics.waits();
        let place = timeout(self.patience, Arc::clone(&self.free).acquire_owned()).await;
        place.ok().and_then(Result::ok).ok_or_else(|| {
            self.metrics.was_full();
            Full
        })
    }

    /// A request waits for a connection, until this is dropped.
    pub(super) fn waits(&self) -> Waiting {
        self.metrics.waits()
    }

    /// Room for one more connection; none where there are as many as may be, with those that rest.
    pub(super) fn room(&self) -> Option<Room> {
        let one_more = |open: usize| (open < self.most).then_some(open + 1);
        let added = self
            .open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        added.is_ok().then(|| Room(Arc::clone(&self.open)))
    }

    /// Room for one more connection, as another is about to end.
    pub(super) fn room_in_advance(&self) -> Room {
        self.open.fetch_add(1, Ordering::Relaxed);
        Room(Arc::clone(&self.open))
    }

    /// A connection has come about.
    pub(super) fn opened(&self, room: Room, address: Arc<Address>) -> Open {
        let now = address.metrics().opened();
        if now >= self.local_ports / 5 * 4 && address.uses_ports() && self.told_ports.now() {
            warn!(
                upstream = self.metrics.upstream(),
                connections = now,
                ports = self.local_ports,
                "An upstream's address has connections for most local ports; give the upstream more addresses, or a Unix \
                 socket, or widen net.ipv4.ip_local_port_range"
            );
        }
        Open { address, _room: room }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.address.metrics().closed();
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many connections to one address the system can give a local port. Where that is not told, as many as by default.
fn local_ports() -> usize {
    const DEFAULT: usize = 28_232;
    let Ok(range) = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range") else {
        return DEFAULT;
    };
    ports_of(&range).unwrap_or(DEFAULT)
}

fn ports_of(range: &str) -> Option<usize> {
    let mut ends = range.split_ascii_whitespace().map(str::parse::<usize>);
    let (first, last) = (ends.next()?.ok()?, ends.next()?.ok()?);
    Some(last.checked_sub(first)? + 1)
}

/// Says now and then that something may be told again.
#[derive(Default)]
struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    fn now(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| last.elapsed() >= TELL_EVERY);
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_counted_from_the_systems_range() {
        assert_eq!(ports_of("32768\t60999\n"), Some(28_232));
        assert_eq!(ports_of("1024 1024"), Some(1));
        for odd in ["", "1024", "9 1", "a b"] {
            assert_eq!(ports_of(odd), None, "{odd:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_is_told_once_a_minute() {
        let seldom = Seldom::default();
        assert!(seldom.now());
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(!seldom.now());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(seldom.now());
    }
}
