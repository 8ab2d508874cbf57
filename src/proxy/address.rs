//! One address of an upstream: what is known of its failures, and whether other addresses are tried before it.
//!
//! An address is tried last for a while if it gives no connection, or if it takes connections and answers nothing. It
//! is never removed for that: if all other addresses fail too, it is tried as before. There are no health checks ahead
//! of the traffic, so the next request finds a server that has started. Only an address that gave no connection is
//! tried again beside the traffic, until it takes one.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::endpoint::{Endpoint, Socket};
use crate::observe::AddressMetrics;

/// The time between two tries, beside the traffic, of an address that gave no connection.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The deadline for a connection that is tried beside the traffic.
const LOOK: Duration = Duration::from_secs(1);

/// An address counts as silent when a request has waited for this long and no request has had an answer from it
/// meanwhile.
const NO_ANSWER: Duration = Duration::from_secs(5);

/// How long a silent address is tried last. A connection that it takes does not end this time, because a silent address
/// takes connections.
const REST: Duration = Duration::from_secs(60);

/// An address of an upstream, and what is known of it.
pub(super) struct Address {
    endpoint: Endpoint,
    upstream: &'static str,
    metrics: AddressMetrics,
    began: Instant,
    /// Is the address tried last? It is true while `state` has a fault, and can be read without the lock.
    passed_over: AtomicBool,
    /// Is the address no longer among those to which the upstream's targets lead?
    retired: AtomicBool,
    /// The time, as in `millis`, at which the first request since the last answer was sent. 0: no request was sent
    /// since then.
    waiting_since: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    fault: Option<Fault>,
    /// Does a task (`tend`) run that waits for the end of the fault?
    tended: bool,
}

/// Why an address is tried last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The address refuses the connection; a Unix socket may also be missing, or have no room for a further connection.
    Refused,
    /// The address gave no connection in time, or another address was faster although this one had a head start.
    Late,
    /// The connection failed for any other reason, such as a missing route.
    Unreachable,
    /// All local ports for connections to this address are in use.
    NoPort,
    /// The address takes connections and answers nothing.
    Silent,
}

/// The time at which a request was sent to an address, as in `Address::millis`.
#[derive(Clone, Copy)]
pub(super) struct AskedAt(u64);

impl Address {
    pub(super) fn new(endpoint: Endpoint, upstream: &'static str, metrics: AddressMetrics) -> Self {
        Self {
            endpoint,
            upstream,
            metrics,
            began: Instant::now(),
            passed_over: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            waiting_since: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    pub(super) fn metrics(&self) -> &AddressMetrics {
        &self.metrics
    }

    /// Opens a new connection, without a deadline.
    pub(super) async fn connect(&self) -> io::Result<Socket> {
        self.endpoint.connect().await
    }

    /// Does each connection to the address take a local port? A connection to a Unix socket takes none.
    pub(super) fn uses_ports(&self) -> bool {
        matches!(self.endpoint, Endpoint::Tcp(_))
    }

    /// Are other addresses tried before this one?
    pub(super) fn is_passed_over(&self) -> bool {
        self.passed_over.load(Ordering::Relaxed)
    }

    /// Should another address be preferred to this one? It should if this one is tried last, or has been silent for
    /// `NO_ANSWER`.
    pub(super) fn is_doubtful(&self) -> bool {
        self.is_passed_over() || self.answers_nothing()
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    pub(super) fn retire(&self, retired: bool) {
        self.retired.store(retired, Ordering::Relaxed);
    }

    /// Records that a request is sent to the address.
    pub(super) fn asked(&self) -> AskedAt {
        let now = self.millis();
        if self.waiting_since.load(Ordering::Relaxed) == 0 {
            self.waiting_since.store(now, Ordering::Relaxed);
        }
        AskedAt(now)
    }

    /// Records that an answer has come from the address. It ends the fault `Silent`.
    pub(super) fn answered(self: &Arc<Self>) {
        self.waiting_since.store(0, Ordering::Relaxed);
        if self.is_passed_over() && self.lock().fault == Some(Fault::Silent) {
            self.recovered();
        }
    }

    /// Records that no answer came to a request. It is the fault of the address only if it has answered no request
    /// since then.
    pub(super) fn did_not_answer(self: &Arc<Self>, asked: AskedAt) {
        let waiting_since = self.waiting_since.load(Ordering::Relaxed);
        if waiting_since != 0 && waiting_since <= asked.0 {
            self.failed(Fault::Silent);
        }
    }

    /// Marks the address as silent if it has answered nothing for `NO_ANSWER`. Clients may leave before the deadline
    /// for an answer, so the deadline alone would not reveal a silent address.
    pub(super) fn suspect(self: &Arc<Self>) {
        if !self.is_passed_over() && self.answers_nothing() {
            self.failed(Fault::Silent);
        }
    }

    fn answers_nothing(&self) -> bool {
        let waiting_since = self.waiting_since.load(Ordering::Relaxed);
        let enough = u64::try_from(NO_ANSWER.as_millis()).unwrap_or(u64::MAX);
        waiting_since != 0 && self.millis().saturating_sub(waiting_since) >= enough
    }

    /// Records that the address took a connection, from a request or beside the traffic. It ends every fault but
    /// `Silent`.
    pub(super) fn connected(self: &Arc<Self>) {
        if self.is_passed_over() && self.lock().fault != Some(Fault::Silent) {
            self.recovered();
        }
    }

    /// Records a fault: from now on the address is tried last. Starts a task that waits for the end of the fault, if
    /// none runs.
    pub(super) fn failed(self: &Arc<Self>, fault: Fault) {
        self.metrics.failed(fault.name());
        let mut state = self.lock();
        let first = state.fault.replace(fault).is_none();
        self.passed_over.store(true, Ordering::Relaxed);
        self.metrics.passed_over(true);
        if !state.tended {
            state.tended = true;
            tokio::spawn(tend(Arc::downgrade(self)));
        }
        drop(state);
        if first {
            warn!(
                upstream = self.upstream,
                address = %self.endpoint,
                fault = fault.name(),
                "An upstream's address fails, and is last in turn"
            );
        }
    }

    fn recovered(self: &Arc<Self>) {
        let mut state = self.lock();
        let had = state.fault.take();
        self.passed_over.store(false, Ordering::Relaxed);
        self.waiting_since.store(0, Ordering::Relaxed);
        self.metrics.passed_over(false);
        drop(state);
        if had.is_some() {
            info!(
                upstream = self.upstream,
                address = %self.endpoint,
                "An upstream's address is in turn again"
            );
        }
    }

    /// The fault that `tend` has to wait for. None: there is no fault any more, and `tend` must end.
    fn fault_to_tend(&self) -> Option<Fault> {
        let mut state = self.lock();
        state.tended = state.fault.is_some();
        state.fault
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the address became known, plus 1, as 0 means "none" in `waiting_since`.
    fn millis(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).map_or(u64::MAX, |millis| millis.saturating_add(1))
    }
}

/// Waits for the end of a fault: of `Silent` for the time `REST`, of any other until the address takes a connection.
/// Ends when there is no fault, or when the address is dropped.
async fn tend(address: Weak<Address>) {
    loop {
        let Some(fault) = address.upgrade().and_then(|address| address.fault_to_tend()) else {
            return;
        };
        sleep(if fault == Fault::Silent { REST } else { LOOK_AGAIN }).await;
        let Some(address) = address.upgrade() else {
            return;
        };
        match fault {
            Fault::Silent => address.recovered(),
            Fault::Refused | Fault::Late | Fault::Unreachable | Fault::NoPort => {
                if let Ok(Ok(_)) = timeout(LOOK, address.connect()).await {
                    address.connected();
                }
            }
        }
    }
}

impl Fault {
    /// The fault of the address that an error shows. None if the error says nothing about the address: the process or
    /// the system has no file descriptor left.
    pub(super) fn of(error: &io::Error) -> Option<Self> {
        use rustix::io::Errno;
        match Errno::from_io_error(error) {
            Some(Errno::MFILE | Errno::NFILE) => None,
            Some(Errno::ADDRNOTAVAIL) => Some(Self::NoPort),
            Some(Errno::CONNREFUSED | Errno::NOENT | Errno::AGAIN) => Some(Self::Refused),
            Some(Errno::TIMEDOUT) => Some(Self::Late),
            Some(_) | None => Some(Self::Unreachable),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Late => "late",
            Self::Unreachable => "unreachable",
            Self::NoPort => "no_port",
            Self::Silent => "silent",
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::observe::Metrics;

    fn address() -> Arc<Address> {
        let endpoint = Endpoint::Tcp(([127, 0, 0, 1], 9).into());
        let metrics = Metrics::default()
            .upstream("server")
            .address(endpoint.to_string());
        Arc::new(Address::new(endpoint, "server", metrics))
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_is_silent_if_it_answers_nobody_for_a_while() {
        let address = address();
        address.asked();
        advance(Duration::from_millis(4999)).await;
        address.asked();
        assert!(!address.is_doubtful());
        advance(Duration::from_millis(1)).await;
        assert!(address.is_doubtful());
        address.suspect();
        assert!(address.is_passed_over());

        // A connection does not end the fault `Silent`, but an answer does.
        address.connected();
        assert!(address.is_passed_over());
        address.answered();
        assert!(!address.is_doubtful());
    }

    #[tokio::test(start_paused = true)]
    async fn no_answer_to_one_request_is_no_silence_where_others_are_answered() {
        let address = address();
        let slow = address.asked();
        advance(Duration::from_secs(1)).await;
        address.asked();
        address.answered();
        advance(Duration::from_secs(49)).await;
        address.did_not_answer(slow);
        assert!(!address.is_passed_over());

        let unanswered = address.asked();
        advance(Duration::from_secs(50)).await;
        address.did_not_answer(unanswered);
        assert!(address.is_passed_over());
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_has_its_turn_again_after_its_rest() {
        let address = address();
        let asked = address.asked();
        address.did_not_answer(asked);
        assert!(address.is_passed_over());
        sleep(Duration::from_secs(59)).await;
        assert!(address.is_passed_over());
        sleep(Duration::from_secs(2)).await;
        assert!(!address.is_doubtful());
    }

    #[test]
    fn what_our_own_process_lacks_is_no_fault_of_the_address() {
        let fault = |number| Fault::of(&io::Error::from_raw_os_error(number));
        let (too_many_here, too_many_in_all) = (24, 23);
        assert_eq!((fault(too_many_here), fault(too_many_in_all)), (None, None));
        let (no_port, refused, no_file, no_route) = (99, 111, 2, 113);
        assert_eq!(fault(no_port), Some(Fault::NoPort));
        assert_eq!(
            (fault(refused), fault(no_file)),
            (Some(Fault::Refused), Some(Fault::Refused))
        );
        assert_eq!(fault(no_route), Some(Fault::Unreachable));
    }
}
