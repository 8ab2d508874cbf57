//! What a connection is doing, so that it can be given up when it does nothing: the state behind the deadlines.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::Waker,
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::places::Place;

/// More than the pings, window updates and settings that HTTP/2 answers in the time of any deadline.
const SOME_OF_AN_ANSWER: usize = 4096;

/// Most heads come in one packet.
const HEAD_COMES: Duration = Duration::from_secs(1);

/// Shared by the two ends of a connection: the wire, which sees bytes, and the service, which sees requests.
#[derive(Clone)]
pub(super) struct Activity(Arc<State>);

struct State {
    started: Instant,
    header: Duration,
    idle: Duration,
    /// Requests that are being answered.
    active: AtomicUsize,
    /// When the last answer ended or was taken in part, or the connection began; milliseconds after `started`.
    idle_since: AtomicU64,
    /// Bytes written since then that don't count as an answer yet.
    trickle: AtomicUsize,
    /// Is there something that the socket does not take?
    writing: AtomicBool,
    /// When the head now coming in began, plus one; zero if none is.
    head_since: AtomicU64,
    tunnelled: AtomicBool,
    /// Has there been a request?
    begun: AtomicBool,
    /// Requests that are over.
    answered: AtomicUsize,
    /// Who waits for the next of them to be over.
    waiting: Mutex<Option<Waker>>,
    is_waiting: AtomicBool,
    /// Does it end with what it is doing?
    finishing: AtomicBool,
    /// Is it to end without waiting any longer?
    ending: AtomicBool,
    /// Its own until the last of it is gone, a WebSocket too.
    _place: Place,
}

/// What is known of when a read has waited for too long.
pub(super) enum ReadDeadline {
    /// Then.
    At(Instant),
    /// Something is going on; until then nothing can have timed out.
    NotBefore(Instant),
    /// This connection's bytes are no longer HTTP's.
    Never,
}

/// A request being answered; ends when dropped.
pub(super) struct Active(Activity);

impl Activity {
    pub(super) fn begin(header: Duration, idle: Duration, place: &Place) -> Self {
        let activity = Self(Arc::new(State {
            started: Instant::now(),
            header,
            idle,
            active: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            trickle: AtomicUsize::new(0),
            writing: AtomicBool::new(false),
            head_since: AtomicU64::new(0),
            tunnelled: AtomicBool::new(false),
            begun: AtomicBool::new(false),
            answered: AtomicUsize::new(0),
            waiting: Mutex::default(),
            is_waiting: AtomicBool::new(false),
            finishing: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            _place: place.clone(),
        }));
        let state = Arc::downgrade(&activity.0);
        place.watch(move || state.upgrade().and_then(|state| Self(state).idle_since()));
        activity
    }

    /// Since when nothing is under way; none while something is. A head that still comes after `HEAD_COMES` is nothing: who
    /// sends it so slowly keeps nobody out.
    fn idle_since(&self) -> Option<Instant> {
        let state = &self.0;
        if self.is_tunnelled() || self.is_busy() {
            return None;
        }
        match state.head_since.load(Ordering::Relaxed) {
            0 => Some(state.started + Duration::from_millis(state.idle_since.load(Ordering::Relaxed))),
            since => {
                let began = state.started + Duration::from_millis(since - 1);
                (began.elapsed() >= HEAD_COMES).then_some(began)
            }
        }
    }

    pub(super) fn request_began(&self) -> Active {
        self.0.active.fetch_add(1, Ordering::Relaxed);
        self.0.head_since.store(0, Ordering::Relaxed);
        self.0.begun.store(true, Ordering::Relaxed);
        Active(self.clone())
    }

    /// Has there been a request?
    pub(super) fn has_begun(&self) -> bool {
        self.0.begun.load(Ordering::Relaxed)
    }

    /// How many requests are over.
    pub(super) fn answered(&self) -> usize {
        self.0.answered.load(Ordering::Relaxed)
    }

    /// Wakes whoever reads when the next answer is over.
    pub(super) fn wake_after_answer(&self, waker: &Waker) {
        *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
        self.0.is_waiting.store(true, Ordering::Relaxed);
    }

    /// The answers that begin from now on are the last.
    pub(super) fn finish_up(&self) {
        self.0.finishing.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_finishing(&self) -> bool {
        self.0.finishing.load(Ordering::Relaxed)
    }

    /// Nothing more is read from now on.
    pub(super) fn end(&self) {
        self.0.ending.store(true, Ordering::Relaxed);
    }

    /// The connection carries something else than HTTP from now on, which has its own rules.
    pub(super) fn tunnelled(&self) {
        self.0.tunnelled.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_tunnelled(&self) -> bool {
        self.0.tunnelled.load(Ordering::Relaxed)
    }

    /// A part of a head came in, and the rest is still to come.
    pub(super) fn head_began(&self) {
        let now = self.millis().saturating_add(1);
        self.0
            .head_since
            .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed)
            .ok();
    }

    /// Until when the next bytes have to come. The first head has as long as any other: a client that connects has
    /// something to ask, but may do so ahead of time.
    pub(super) fn read_deadline(&self, now: Instant) -> ReadDeadline {
        let state = &self.0;
        if self.is_tunnelled() {
            return ReadDeadline::Never;
        }
        if state.ending.load(Ordering::Relaxed) {
            return ReadDeadline::At(state.started);
        }
        if self.is_busy() {
            return ReadDeadline::NotBefore(now + state.idle);
        }
        ReadDeadline::At(match state.head_since.load(Ordering::Relaxed) {
            0 => state.started + Duration::from_millis(state.idle_since.load(Ordering::Relaxed)) + state.idle,
            since => state.started + Duration::from_millis(since - 1) + state.header,
        })
    }

    /// An answer outlives its request while the client is still taking it. What HTTP/2 writes for itself is no answer.
    pub(super) fn wrote(&self, bytes: usize) {
        let state = &self.0;
        if state.trickle.fetch_add(bytes, Ordering::Relaxed) + bytes >= SOME_OF_AN_ANSWER {
            state.trickle.store(0, Ordering::Relaxed);
            state.idle_since.store(self.millis(), Ordering::Relaxed);
        }
    }

    /// Does the socket take nothing at the moment?
    pub(super) fn writing(&self, pending: bool) {
        self.0.writing.store(pending, Ordering::Relaxed);
    }

    fn is_busy(&self) -> bool {
        self.0.active.load(Ordering::Relaxed) > 0 || self.0.writing.load(Ordering::Relaxed)
    }

    /// Resolves when no request has been under way for so long.
    pub(super) async fn quiet_for(&self, span: Duration) {
        let asked = self.0.started.elapsed();
        loop {
            let idle_since = Duration::from_millis(self.0.idle_since.load(Ordering::Relaxed)).max(asked);
            if !self.is_busy() && self.0.started.elapsed() >= idle_since + span {
                return;
            }
            sleep(span).await;
        }
    }

    /// How long a client may take none of what we write.
    pub(super) fn write_limit(&self) -> Duration {
        self.0.idle
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        let activity = &self.0;
        activity.0.idle_since.store(activity.millis(), Ordering::Relaxed);
        activity.0.active.fetch_sub(1, Ordering::Relaxed);
        activity.0.answered.fetch_add(1, Ordering::Relaxed);
        if activity.0.is_waiting.load(Ordering::Relaxed)
            && let Some(waker) = activity
                .0
                .waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take()
        {
            waker.wake();
        }
    }
}
