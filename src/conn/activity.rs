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

/// How many written bytes count as a part of an answer. The pings, window updates and settings that HTTP/2 answers
/// within any deadline have fewer.
const SOME_OF_AN_ANSWER: usize = 4096;

/// How long an incomplete head keeps a connection from counting as idle. Most heads come in one packet.
const HEAD_COMES: Duration = Duration::from_secs(1);

/// What a connection is doing. The wire, which sees bytes, and the service, which sees requests, share it.
#[derive(Clone)]
pub(super) struct Activity(Arc<State>);

struct State {
    started: Instant,
    header: Duration,
    idle: Duration,
    /// How many requests are being answered.
    active: AtomicUsize,
    /// When the last answer ended or was taken in part, or the connection began; in milliseconds after `started`.
    idle_since: AtomicU64,
    /// Bytes written that have not added up to `SOME_OF_AN_ANSWER` yet.
    trickle: AtomicUsize,
    /// Has the socket refused to take bytes that are to be written?
    writing: AtomicBool,
    /// When the head that is coming in began, in milliseconds after `started`, plus one; 0 if no head is coming in.
    head_since: AtomicU64,
    tunnelled: AtomicBool,
    /// Has the connection had a request?
    begun: AtomicBool,
    /// How many requests are over.
    answered: AtomicUsize,
    /// The task to wake when the next request is over.
    waiting: Mutex<Option<Waker>>,
    is_waiting: AtomicBool,
    /// Does the connection close after its next answer? On HTTP/1.1 the answer says so with `Connection: close`.
    finishing: AtomicBool,
    /// Is the read deadline treated as passed, so that the connection ends?
    ending: AtomicBool,
    /// Holds the connection's place until the last clone is dropped; the stream of a WebSocket has one too.
    _place: Place,
}

/// When a pending read times out.
pub(super) enum ReadDeadline {
    /// The read times out at this instant.
    At(Instant),
    /// The connection is busy. Nothing can time out before this instant; the deadline has to be asked for again then.
    NotBefore(Instant),
    /// The read has no deadline: the connection carries a tunnel, not HTTP.
    Never,
}

/// Counts a request as being answered until this is dropped.
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

    /// Since when nothing is under way; `None` while something is. A head that is incomplete after `HEAD_COMES` counts
    /// as nothing, so that a client can't hold its place by sending a head slowly.
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

    /// Has the connection had a request?
    pub(super) fn has_begun(&self) -> bool {
        self.0.begun.load(Ordering::Relaxed)
    }

    /// How many requests are over.
    pub(super) fn answered(&self) -> usize {
        self.0.answered.load(Ordering::Relaxed)
    }

    /// Wakes this task when the next request is over.
    pub(super) fn wake_after_answer(&self, waker: &Waker) {
        *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
        self.0.is_waiting.store(true, Ordering::Relaxed);
    }

    /// Makes the next answer the last one of the connection.
    pub(super) fn finish_up(&self) {
        self.0.finishing.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_finishing(&self) -> bool {
        self.0.finishing.load(Ordering::Relaxed)
    }

    /// Makes the read deadline pass at once, so that the connection ends.
    pub(super) fn end(&self) {
        self.0.ending.store(true, Ordering::Relaxed);
    }

    /// Notes that the connection is a tunnel from now on, which has its own deadlines.
    pub(super) fn tunnelled(&self) {
        self.0.tunnelled.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_tunnelled(&self) -> bool {
        self.0.tunnelled.load(Ordering::Relaxed)
    }

    /// Notes that a head is incomplete. Its deadline counts from the first such note.
    pub(super) fn head_began(&self) {
        let now = self.millis().saturating_add(1);
        self.0
            .head_since
            .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed)
            .ok();
    }

    /// When a pending read times out. The first head has as long as any other, and its time begins with its first byte:
    /// a client may connect before it has something to ask.
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

    /// Notes that the socket took bytes. The connection is not idle while the client is still taking an answer, even
    /// after its request is over; the few bytes that HTTP/2 writes for itself don't count.
    pub(super) fn wrote(&self, bytes: usize) {
        let state = &self.0;
        if state.trickle.fetch_add(bytes, Ordering::Relaxed) + bytes >= SOME_OF_AN_ANSWER {
            state.trickle.store(0, Ordering::Relaxed);
            state.idle_since.store(self.millis(), Ordering::Relaxed);
        }
    }

    /// Notes whether the socket takes nothing at the moment.
    pub(super) fn writing(&self, pending: bool) {
        self.0.writing.store(pending, Ordering::Relaxed);
    }

    fn is_busy(&self) -> bool {
        self.0.active.load(Ordering::Relaxed) > 0 || self.0.writing.load(Ordering::Relaxed)
    }

    /// Resolves when for the time `span` no request has been under way and no part of an answer was written.
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

    /// How long a client may take nothing of what we write.
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
