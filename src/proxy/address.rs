//! One address of an upstream: how many connections it has, and whether others are asked before it.
//!
//! An address that gives no connection, or takes them and answers nothing, is last in turn for a while. It is never taken
//! out: where all others fail too it is asked as before. Nothing is asked ahead of the traffic, so a server that starts is
//! found by the next request, and only one that failed is looked at until it takes a connection again.

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

/// Between two looks at an address that gave no connection.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// For such a look to succeed.
const LOOK: Duration = Duration::from_secs(1);

/// No answer at all from an address for so long, while one is waited for, and others are asked first.
const NO_ANSWER: Duration = Duration::from_secs(5);

/// For how long an address that answered nothing is last in turn: that it takes a connection would say nothing.
const REST: Duration = Duration::from_secs(60);

/// An address, and what is known of it.
pub(super) struct Address {
    endpoint: Endpoint,
    upstream: &'static str,
    metrics: AddressMetrics,
    began: Instant,
    /// Is it last in turn? As in `state`, for those who only look.
    passed_over: AtomicBool,
    /// Does nothing lead to it any more?
    retired: AtomicBool,
    /// When the request was sent that waits for an answer since the last one came, in milliseconds; 0 for none.
    waiting_since: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    fault: Option<Fault>,
    /// Does a task look after its fault?
    tended: bool,
}

/// Why an address is last in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nobody listens there.
    Refused,
    /// No connection in time, or another was faster.
    Late,
    /// No way leads there.
    Unreachable,
    /// All local ports for this address are taken.
    NoPort,
    /// It takes connections and answers nothing.
    Silent,
}

/// A question to an address: when it was asked, in the address' own milliseconds.
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

    /// A new connection.
    pub(super) async fn connect(&self) -> io::Result<Socket> {
        self.endpoint.connect().await
    }

    /// Does each connection to it take a local port?
    pub(super) fn uses_ports(&self) -> bool {
        matches!(self.endpoint, Endpoint::Tcp(_))
    }

    /// Are others asked first?
    pub(super) fn is_passed_over(&self) -> bool {
        self.passed_over.load(Ordering::Relaxed)
    }

    /// Is it to be looked at before a request goes there: passed over, or slow to answer?
    pub(super) fn is_doubtful(&self) -> bool {
        self.is_passed_over() || self.answers_nothing()
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    pub(super) fn retire(&self, retired: bool) {
        self.retired.store(retired, Ordering::Relaxed);
    }

    /// A request goes there.
    pub(super) fn asked(&self) -> AskedAt {
        let now = self.millis();
        if self.waiting_since.load(Ordering::Relaxed) == 0 {
            self.waiting_since.store(now, Ordering::Relaxed);
        }
        AskedAt(now)
    }

    /// An answer has come from there.
    pub(super) fn answered(self: &Arc<Self>) {
        self.waiting_since.store(0, Ordering::Relaxed);
        if self.is_passed_over() && self.lock().fault == Some(Fault::Silent) {
            self.recovered();
        }
    }

    /// No answer came to what was asked then. It is the address' fault only if it has answered nobody since.
    pub(super) fn did_not_answer(self: &Arc<Self>, asked: AskedAt) {
        let waiting_since = self.waiting_since.load(Ordering::Relaxed);
        if waiting_since != 0 && waiting_since <= asked.0 {
            self.failed(Fault::Silent);
        }
    }

    /// Puts it last in turn if it answers nothing; clients may be gone before a deadline of ours tells.
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

    /// A connection came about, whoever asked for it.
    pub(super) fn connected(self: &Arc<Self>) {
        if self.is_passed_over() && self.lock().fault != Some(Fault::Silent) {
            self.recovered();
        }
    }

    /// It is last in turn from now on.
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

    /// Its fault; without one, nobody tends it any more.
    fn fault_to_tend(&self) -> Option<Fault> {
        let mut state = self.lock();
        state.tended = state.fault.is_some();
        state.fault
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Never 0.
    fn millis(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).map_or(u64::MAX, |millis| millis.saturating_add(1))
    }
}

/// Looks after a fault until there is none, or the address is gone.
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
    /// None where it says nothing of the address: our own process may open no more.
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

        // That it takes a connection says nothing, an answer does.
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
