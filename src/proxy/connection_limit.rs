//! The limit on connections to one upstream. So many may be in use at once, tunnels included, and those of all upstreams
//! together are limited by the file descriptors (`total`). A request that finds no permit waits for a while.
//!
//! Without this limit one client over HTTP/2 could hold a hundred connections to an upstream, and a slow upstream as
//! many as there are requests.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tracing::warn;

use super::{
    address::Address,
    seldom::Seldom,
    total::{CloserCall, Total},
};
use crate::observe::{UpstreamMetrics, Waiting};

/// The right to use one connection, until this is dropped.
pub(super) struct Permit {
    of_upstream: Option<OwnedSemaphorePermit>,
    excess: Arc<AtomicUsize>,
    _of_all: OwnedSemaphorePermit,
}

/// The limit of one upstream, and the number of its open connections.
pub(super) struct ConnectionLimit {
    free: Arc<Semaphore>,
    /// The number of permits in use that are removed when they become free, because the limit was lowered.
    excess: Arc<AtomicUsize>,
    bounds: Mutex<Bounds>,
    open: Arc<AtomicUsize>,
    local_ports: usize,
    metrics: UpstreamMetrics,
    total: Total,
    told_full: Seldom,
    told_ports: Seldom,
}

/// The limits from the settings. A reload may change them while connections are in use.
#[derive(Clone, Copy)]
struct Bounds {
    most: usize,
    patience: Duration,
}

/// No permit became free in time.
#[derive(Debug)]
pub(super) struct Full;

/// The right to have one connection open, in use or idle. It is taken before the connection is opened, and is given
/// back when dropped.
pub(super) struct Slot {
    open: Arc<AtomicUsize>,
    total: Total,
}

/// One open connection, in use or idle; the metrics count it until this is dropped.
pub(super) struct Open {
    address: Arc<Address>,
    _slot: Slot,
}

impl ConnectionLimit {
    /// Allows `most` connections in use at once, as far as all upstreams together leave as many. A request that finds
    /// no permit waits for `patience`.
    pub(super) fn new(most: usize, patience: Duration, metrics: UpstreamMetrics, total: Total) -> Self {
        Self::with_ports(local_ports(), most, patience, metrics, total)
    }

    fn with_ports(
        local_ports: usize,
        most: usize,
        patience: Duration,
        metrics: UpstreamMetrics,
        total: Total,
    ) -> Self {
        metrics.local_ports(local_ports);
        Self {
            free: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            excess: Arc::default(),
            bounds: Mutex::new(Bounds { most, patience }),
            open: Arc::default(),
            local_ports,
            metrics,
            total,
            told_full: Seldom::default(),
            told_ports: Seldom::default(),
        }
    }

    /// Changes the limits. Connections that are in use stay so, even if they are more than the new limit.
    pub(super) fn hold_to(&self, most: usize, patience: Duration) {
        let mut bounds = self.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        let before = bounds.most;
        *bounds = Bounds { most, patience };
        let (before, now) = (
            before.min(Semaphore::MAX_PERMITS),
            most.min(Semaphore::MAX_PERMITS),
        );
        let fewer = before.saturating_sub(now);
        let given_up = self.free.forget_permits(fewer);
        self.excess.fetch_add(fewer - given_up, Ordering::Relaxed);
        // A higher limit first keeps those permits that would have been removed.
        for _ in 0..now.saturating_sub(before) {
            if !take_one(&self.excess) {
                self.free.add_permits(1);
            }
        }
    }

    fn bounds(&self) -> Bounds {
        *self.bounds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a permit; whoever came first gets it first. Fails when `patience` is over.
    pub(super) async fn take(&self) -> Result<Permit, Full> {
        if let Some(permit) = self.at_once() {
            return Ok(permit);
        }
        let Bounds { most, patience } = self.bounds();
        if !self.total.is_used_up() && self.told_full.now() {
            warn!(
                upstream = self.metrics.upstream(),
                most,
                "As many connections to an upstream are in use as upstreams.max_connections allows; others wait"
            );
        }
        let _waiting = self.metrics.waits();
        let permit = timeout(patience, self.in_turn()).await;
        permit.ok().flatten().ok_or_else(|| {
            self.metrics.was_full();
            Full
        })
    }

    /// Counts a request as waiting for a connection, until the returned value is dropped.
    pub(super) fn waits(&self) -> Waiting {
        self.metrics.waits()
    }

    pub(super) fn waiting(&self) -> i64 {
        self.metrics.waiting()
    }

    fn at_once(&self) -> Option<Permit> {
        Some(Permit {
            of_upstream: Some(Arc::clone(&self.free).try_acquire_owned().ok()?),
            excess: Arc::clone(&self.excess),
            _of_all: self.total.try_take()?,
        })
    }

    async fn in_turn(&self) -> Option<Permit> {
        Some(Permit {
            of_upstream: Some(Arc::clone(&self.free).acquire_owned().await.ok()?),
            excess: Arc::clone(&self.excess),
            _of_all: self.total.take().await?,
        })
    }

    /// The right to open one more connection. None if there are as many open ones as allowed, idle ones included.
    pub(super) fn slot(&self) -> Option<Slot> {
        let most = self.bounds().most;
        let one_more = |open: usize| (open < most).then_some(open + 1);
        let added = self
            .open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        if added.is_err() {
            return None;
        }
        if !self.total.add() {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(self.one_slot())
    }

    /// The right to open one more connection even if there are as many as allowed, because another is about to end.
    pub(super) fn slot_in_advance(&self) -> Slot {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.total.add_in_advance();
        self.one_slot()
    }

    fn one_slot(&self) -> Slot {
        Slot {
            open: Arc::clone(&self.open),
            total: self.total.clone(),
        }
    }

    /// Closes an idle connection, of whichever upstream, if all upstreams together have as many open ones as allowed.
    pub(super) fn make_room(&self) {
        self.total.make_room();
    }

    /// Closes one connection of this upstream that rests; says whether there was one.
    pub(super) fn closing_by(&self, closer: impl Fn(CloserCall) -> Option<bool> + Send + Sync + 'static) {
        self.total.closing_by(closer);
    }

    /// Counts a connection that has been opened. Warns if most local ports for its address are in use.
    pub(super) fn opened(&self, slot: Slot, address: Arc<Address>) -> Open {
        let now = address.metrics().opened();
        if is_most(now, self.local_ports) && address.uses_ports() && self.told_ports.now() {
            warn!(
                upstream = self.metrics.upstream(),
                connections = now,
                ports = self.local_ports,
                "An upstream's address has connections for most local ports; give the upstream more addresses, or a Unix \
                 socket, or widen net.ipv4.ip_local_port_range"
            );
        }
        Open { address, _slot: slot }
    }
}

/// Subtracts 1 from a count. Returns false if the count is 0.
fn take_one(count: &AtomicUsize) -> bool {
    let one_less = |count: usize| count.checked_sub(1);
    // The count is nearly always 0, and a read without a write is cheaper.
    count.load(Ordering::Relaxed) > 0
        && count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            .is_ok()
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(permit) = self.of_upstream.take()
            && take_one(&self.excess)
        {
            permit.forget();
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.address.metrics().closed();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.total.remove();
    }
}

/// How many connections to one address can have a local port of their own. If the system does not tell, it is the
/// number in Linux' default range.
fn local_ports() -> usize {
    const DEFAULT: usize = 28_232;
    let Ok(range) = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range") else {
        return DEFAULT;
    };
    ports_of(&range).unwrap_or(DEFAULT)
}

/// Are at least four fifths of the ports in use?
fn is_most(open: usize, ports: usize) -> bool {
    open.saturating_mul(5) >= ports.saturating_mul(4)
}

fn ports_of(range: &str) -> Option<usize> {
    let mut ends = range.split_ascii_whitespace().map(str::parse::<usize>);
    let (first, last) = (ends.next()?.ok()?, ends.next()?.ok()?);
    Some(last.checked_sub(first)? + 1)
}

#[cfg(test)]
mod tests {
    use super::{super::endpoint::Endpoint, *};
    use crate::observe::Metrics;

    #[test]
    fn ports_are_counted_from_the_systems_range() {
        assert_eq!(ports_of("32768\t60999\n"), Some(28_232));
        assert_eq!(ports_of("1024 1024"), Some(1));
        for odd in ["", "1024", "9 1", "a b"] {
            assert_eq!(ports_of(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn most_ports_are_four_fifths_of_them() {
        for (open, ports, most) in [
            (22_585, 28_232, false),
            (22_586, 28_232, true),
            (0, 1, false),
            (1, 1, true),
            (usize::MAX, usize::MAX, true),
        ] {
            assert_eq!(is_most(open, ports), most, "{open} of {ports}");
        }
    }

    fn limit_with_five_ports() -> (ConnectionLimit, UpstreamMetrics) {
        let counts = Metrics::default().upstream("nats");
        let limit =
            ConnectionLimit::with_ports(5, 100, Duration::from_secs(1), counts.clone(), Total::new(100));
        (limit, counts)
    }

    /// Opens this number of connections, and returns whether the log was told of the ports.
    fn told(endpoint: Endpoint, connections: usize) -> bool {
        let (limit, counts) = limit_with_five_ports();
        let address = Arc::new(Address::new(endpoint, "nats", counts.address("a".to_owned())));
        let open: Vec<Open> = (0..connections)
            .map(|_| limit.opened(limit.slot().unwrap(), Arc::clone(&address)))
            .collect();
        assert_eq!(open.len(), connections);
        limit.told_ports.has_told()
    }

    #[test]
    fn it_is_told_when_most_ports_of_an_address_are_taken() {
        let tcp = || Endpoint::Tcp(([127, 0, 0, 1], 4222).into());
        assert!(!told(tcp(), 3));
        assert!(told(tcp(), 4));
        // A connection to a Unix socket takes no local port.
        assert!(!told(Endpoint::Unix("nats.sock".into()), 50));
    }

    #[test]
    fn connections_to_an_address_that_have_ended_take_no_ports() {
        let (limit, counts) = limit_with_five_ports();
        let tcp = Endpoint::Tcp(([127, 0, 0, 1], 4222).into());
        let address = Arc::new(Address::new(tcp, "nats", counts.address("a".to_owned())));
        for _ in 0..50 {
            drop(limit.opened(limit.slot().unwrap(), Arc::clone(&address)));
        }
        assert!(!limit.told_ports.has_told());
    }

    #[tokio::test]
    async fn fewer_or_more_may_be_in_use_while_some_are() {
        let counts = Metrics::default().upstream("nats");
        let wait = Duration::from_millis(5);
        let limit = ConnectionLimit::new(3, wait, counts, Total::new(100));
        let mut there = Vec::new();
        for _ in 0..3 {
            there.push(limit.take().await.unwrap());
        }
        limit.hold_to(1, wait);
        assert!(limit.take().await.is_err());
        there.truncate(1);
        assert!(limit.take().await.is_err(), "one is in use, and one may be");
        there.clear();
        there.push(limit.take().await.unwrap());
        assert!(limit.take().await.is_err());

        limit.hold_to(3, wait);
        there.push(limit.take().await.unwrap());
        there.push(limit.take().await.unwrap());
        assert!(limit.take().await.is_err());
        // The limit is lowered and raised while all permits are in use.
        limit.hold_to(1, wait);
        limit.hold_to(4, wait);
        there.push(limit.take().await.unwrap());
        assert!(limit.take().await.is_err());
        there.clear();
        for _ in 0..4 {
            there.push(limit.take().await.unwrap());
        }
        assert!(limit.take().await.is_err());
    }

    #[test]
    fn there_is_room_for_so_many_of_all_and_what_is_given_up_is_free_again() {
        let total = Total::new(3);
        let of = |most| {
            let counts = Metrics::default().upstream("nats");
            ConnectionLimit::new(most, Duration::from_secs(1), counts, total.clone())
        };
        let (one, other) = (of(2), of(2));
        let mut slots = vec![one.slot().unwrap(), one.slot().unwrap()];
        assert!(one.slot().is_none());
        slots.push(other.slot().unwrap());
        assert!(other.slot().is_none());
        slots.remove(0);
        slots.push(other.slot().unwrap());
        // A slot that all upstreams together had no room for is not counted for its upstream.
        assert!(one.slot().is_none());
        slots.clear();
        assert!(one.slot().is_some());
    }
}
