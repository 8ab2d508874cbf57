//! Joining: so many people at once are on their way in as NATS can let in, and the others wait where waiting costs nothing.
//!
//! NATS asks plugnmeet-server about each connection's token and gives up after five seconds, for good: the client does not
//! try its first connection again. Whoever posts `verifyToken` has no time limit. So a place is taken there, and given back
//! when the person's WebSocket has been answered by NATS. Who comes to the WebSocket without a place, as after NATS was
//! away, asks for one there, before those who only knock.
//!
//! Nobody is lost by this: what is unclear goes through, and so does everybody at a drain, where no NATS is, and where
//! `upstreams.joining` is 0.
//!
//! Not here: reading tokens and WebSockets (`crate::route`, `crate::upgrade`).
//!
//! Source: docs/plugnmeet.md section 5 (NATS and its client).

mod arrival;
mod gate;
mod grants;
mod knock;
mod line;
mod pace;
mod telling;

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use hyper::{
    StatusCode,
    header::{self, HeaderValue},
};
use tokio::time::{Instant, sleep};
use tracing::warn;

pub use self::{arrival::Arrival, knock::Knock, line::Person};
use self::{
    gate::{ALL, Gate, NoTurn},
    grants::Grants,
    pace::Pace,
    telling::tell,
};
use crate::{
    drain::Drain,
    observe::{JoiningMetrics, Metrics, OnceAMinute},
    reply::Failure,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joins {
    /// As many at once as NATS turns out to let in.
    Auto,
    /// At most so many at a time.
    AtOnce(NonZeroU32),
    /// Everybody, whenever they come.
    Unpaced,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoiningSettings {
    pub joins: Joins,
    /// The most time to wait at verifyToken.
    pub admission: Duration,
}

/// Who is on the way in, and who waits. Clones are the same.
#[derive(Clone)]
pub struct Joining(Arc<Shared>);

struct Shared {
    gate: Gate,
    grants: Grants,
    pace: Mutex<Pace>,
    /// Is what answers at the WebSocket NATS?
    upstream: AtomicU8,
    is_paced: AtomicBool,
    /// People whose token is good and whom NATS has not answered yet.
    at_nats: AtomicUsize,
    /// Answers of NATS in a thousand seconds, as far as the last ones tell.
    milli_answers: AtomicU64,
    admission_millis: AtomicU64,
    metrics: JoiningMetrics,
    drain: Drain,
    began: Instant,
    is_told: AtomicBool,
    unanswered: OnceAMinute,
}

/// No WebSocket has been looked at yet.
const UNKNOWN: u8 = 0;
const NATS: u8 = 1;
/// It isn't, so nobody waits for it.
const OTHER: u8 = 2;

/// For NATS to answer those who could wait no longer, and all before them: half of the time after which it gives up.
const IN_NEED_MILLIS: u64 = 2500;

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotLetIn {
    /// The time for waiting is over.
    #[error("very many people are joining at the moment; try again in a minute")]
    TooLong,
    #[error("too many people are waiting to join; try again in a minute")]
    TooMany,
    /// Later requests of the same person wait instead.
    #[error("this person waits in another tab")]
    Replaced,
}

impl From<NotLetIn> for Failure {
    fn from(error: NotLetIn) -> Self {
        // RFC 9110 section 10.2.3.
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "many_joining", error.to_string())
            .header(header::RETRY_AFTER, HeaderValue::from_static("60"))
    }
}

/// How it stands, for `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// How many people may be on the way in at once; none for everybody.
    pub places: Option<u32>,
    /// Places that are taken: people who are on the way in.
    pub joining: u32,
    pub waiting: usize,
    pub longest: Duration,
}

impl Joining {
    /// Nobody is on the way in yet.
    pub fn new(settings: JoiningSettings, metrics: &Metrics, drain: &Drain) -> Self {
        let metrics = metrics.joining();
        let joining = Self(Arc::new(Shared {
            gate: Gate::new(ALL),
            grants: Grants::new(),
            pace: Mutex::new(Pace::finding()),
            upstream: AtomicU8::new(UNKNOWN),
            is_paced: AtomicBool::new(false),
            at_nats: AtomicUsize::new(0),
            milli_answers: AtomicU64::new(0),
            admission_millis: AtomicU64::new(0),
            metrics,
            drain: drain.clone(),
            began: Instant::now(),
            is_told: AtomicBool::new(false),
            unanswered: OnceAMinute::new(|count| {
                warn!(
                    count,
                    "NATS refused people whose token is good, as plugnmeet-server had not answered it in time: it is overloaded, or \
                     not connected to NATS"
                );
            }),
        }));
        joining.set(settings);
        joining
    }

    /// Other settings from now on. Who waits goes on waiting, and who is on the way in has a place still.
    pub fn set(&self, settings: JoiningSettings) {
        let shared = &self.0;
        let millis = u64::try_from(settings.admission.as_millis()).unwrap_or(u64::MAX);
        shared.admission_millis.store(millis, SeqCst);
        let mut pace = shared.pace();
        let places = pace.places();
        *pace = match settings.joins {
            Joins::Auto | Joins::Unpaced if !pace.is_fixed() => Pace::finding_from(places),
            Joins::Auto | Joins::Unpaced => Pace::finding(),
            Joins::AtOnce(places) => Pace::fixed(places.get()),
        };
        shared.is_paced.store(settings.joins != Joins::Unpaced, SeqCst);
        shared.publish(&pace);
    }

    pub fn status(&self) -> Status {
        let gate = &self.0.gate;
        let (waiting, longest) = gate.waiting();
        Status {
            places: (!self.0.is_open()).then(|| self.0.pace().places()),
            joining: gate.taken(),
            waiting,
            longest,
        }
    }

    /// For how long this person has waited, and how many people were let in before a moment ago. None: it does not wait.
    pub fn before(&self, person: &Person) -> Option<(Duration, usize)> {
        // Most of the time nobody waits, and a script that asks takes no lock.
        if !self.0.gate.has_line() {
            return None;
        }
        self.0.gate.before(person)
    }

    /// The rooms for which people wait, with how many; for the operator alone.
    pub fn rooms(&self) -> BTreeMap<Box<str>, usize> {
        self.0.gate.rooms()
    }

    /// Somebody asks to be let in: waits for a place, however long that is allowed to take. `None` where nobody waits.
    pub async fn knock(&self, person: Person, is_moderator: bool) -> Result<Option<Knock>, NotLetIn> {
        let shared = &self.0;
        if shared.is_open() {
            return Ok(None);
        }
        if let Some(id) = shared.grants.share(&person) {
            return Ok(Some(Knock::of(self, person, id)));
        }
        if !shared.gate.take() {
            let within = Duration::from_millis(shared.admission_millis.load(SeqCst));
            if !shared
                .wait(shared.gate.knock(&person, is_moderator), within)
                .await?
            {
                return Ok(None);
            }
        }
        Ok(Some(Knock::with_place(self, person)))
    }

    /// A WebSocket comes. One that nobody expects waits for a place, for so long.
    pub async fn arrive(&self, within: Duration) -> Result<Arrival, NotLetIn> {
        let shared = &self.0;
        if shared.is_open() {
            return Ok(Arrival::without_place(self));
        }
        if shared.grants.comes() {
            return Ok(Arrival::expected(self));
        }
        if shared.gate.take() {
            return Ok(Arrival::with_place(self, false));
        }
        match shared.wait(shared.gate.redial(), within).await {
            Ok(true) => Ok(Arrival::with_place(self, true)),
            Ok(false) => Ok(Arrival::without_place(self)),
            Err(NotLetIn::TooLong) if shared.has_room_in_need() => {
                shared.gate.take_anyway();
                Ok(Arrival::with_place(self, true))
            }
            Err(refused) => Err(refused),
        }
    }
}

impl Shared {
    fn is_open(&self) -> bool {
        !self.is_paced.load(SeqCst) || self.upstream.load(SeqCst) == OTHER
    }

    /// Whoever can wait no longer may still get in, as long as NATS would answer all of them in half of its time. Not where
    /// the operator has said how many.
    fn has_room_in_need(&self) -> bool {
        let in_time = self.milli_answers.load(SeqCst).saturating_mul(IN_NEED_MILLIS) / 1_000_000;
        !self.pace().is_fixed() && u64::from(self.gate.taken()) < in_time
    }

    /// Waits for a place. False: there is none, and nobody is to wait any more.
    async fn wait(
        self: &Arc<Self>,
        turn: impl Future<Output = Result<(), NoTurn>>,
        within: Duration,
    ) -> Result<bool, NotLetIn> {
        let began = Instant::now();
        self.tell();
        let _waits = self.metrics.waits();
        let let_in = tokio::select! {
            told = turn => match told {
                Ok(()) => Ok(true),
                Err(NoTurn::TooMany) => Err(NotLetIn::TooMany),
                Err(NoTurn::Replaced) => Err(NotLetIn::Replaced),
            },
            () = self.drain.draining() => Ok(false),
            () = sleep(within) => Err(NotLetIn::TooLong),
        };
        self.metrics.waited(began.elapsed());
        let_in
    }

    /// NATS has said its first word.
    fn is_nats(&self) {
        if self.upstream.load(SeqCst) != NATS && self.upstream.swap(NATS, SeqCst) == OTHER {
            self.publish(&self.pace());
        }
    }

    /// What has answered is not NATS. Once it was, it is.
    fn is_other(&self) {
        if self
            .upstream
            .compare_exchange(UNKNOWN, OTHER, SeqCst, SeqCst)
            .is_ok()
        {
            self.publish(&self.pace());
        }
    }

    fn answered(&self, took: Duration) {
        let (taken, places) = (self.gate.taken(), self.gate.places());
        // Those who are on the way in, by the time that each of them takes (Little's law).
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
        let now = u64::from(taken) * 1_000_000 / millis;
        let before = self.milli_answers.load(SeqCst);
        self.milli_answers.store((before * 7 + now) / 8, SeqCst);
        if Pace::is_of_interest(took, taken, places) {
            let mut pace = self.pace();
            // Less the one who is answered.
            let at_nats = self.at_nats.load(SeqCst).saturating_sub(1);
            pace.answered(took, taken, at_nats, self.began.elapsed());
            self.publish(&pace);
        }
    }

    fn refused(&self) {
        self.metrics.refused();
        if self.is_open() {
            return;
        }
        let mut pace = self.pace();
        pace.refused(self.began.elapsed());
        self.publish(&pace);
    }

    /// There are as many places now.
    fn publish(&self, pace: &Pace) {
        let places = if self.is_open() { ALL } else { pace.places() };
        if places != self.gate.places() {
            self.gate.set_places(places);
        }
        self.metrics.places(if self.is_open() { 0 } else { places });
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the operator, while people wait.
    fn tell(self: &Arc<Self>) {
        if !self.is_told.swap(true, SeqCst) {
            tokio::spawn(tell(Arc::clone(self)));
        }
    }
}

#[cfg(test)]
mod tests;
