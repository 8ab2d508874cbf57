//! A client's body on its way upstream, under limits of size and rate.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::Body as HttpBody;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::client_body::ClientBody;

/// The time over which a body's rate is measured. It is long enough for a phone that changes cells in the middle of an
/// upload.
const RATE_WINDOW: Duration = Duration::from_secs(60);

/// The limits for a client's body.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// The largest number of bytes. A larger body is refused.
    pub max_bytes: u64,
    /// The least number of bytes a second, on average over a minute in which the gateway waits for the client. A slower
    /// body is refused.
    pub least_rate: u64,
}

/// Why a body was not passed on to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The body is larger than `BodyLimits::max_bytes`.
    #[error("the body is too large")]
    TooLarge,
    /// The body came more slowly than `BodyLimits::least_rate`.
    #[error("the body came too slowly")]
    TooSlow,
    /// The client left, or what it sent is not framed as a body.
    #[error("the body broke off, or is not framed as it says")]
    Broken,
    /// The upstream fell silent in the middle of its answer.
    #[error("upstream stopped in the middle of its answer")]
    UpstreamSilent,
    /// The body's `Watch` refused a piece of it.
    #[error("the body holds a token that is for something else")]
    Refused,
}

/// Sees each piece of a body before it is passed on, and returns false if the piece must not be.
pub type Watch = Box<dyn FnMut(&[u8]) -> bool + Send>;

/// How far a request's body has got, as seen by whoever waits for the answer. Each frame restarts its clock.
#[derive(Clone)]
pub(super) struct Progress {
    started: Instant,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    last_millis: AtomicU64,
    /// Does the gateway wait for the client to send more of the body?
    clients_turn: AtomicBool,
}

impl Progress {
    pub(super) fn begin() -> Self {
        Self {
            started: Instant::now(),
            state: Arc::default(),
        }
    }

    fn made(&self) {
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.state.last_millis.store(millis, Ordering::Relaxed);
    }

    /// Resolves when nothing has moved for `limit` while the gateway was not waiting for the client. A slow client has
    /// a limit of its own (`BodyLimits::least_rate`).
    pub(super) async fn stalled_for(&self, limit: Duration) {
        loop {
            let last = self.state.last_millis.load(Ordering::Relaxed);
            sleep_until(self.started + Duration::from_millis(last) + limit).await;
            if self.state.clients_turn.load(Ordering::Relaxed) {
                self.made();
            }
            if self.state.last_millis.load(Ordering::Relaxed) == last {
                return;
            }
        }
    }
}

/// A request's body on its way upstream.
pub(super) enum RequestBody {
    /// The body has been read whole. None: there is no body, or it has been taken.
    Whole(Option<Bytes>),
    /// The body is read from the client as the upstream takes it.
    Streamed(Box<Limited>),
}

impl RequestBody {
    pub(super) fn streamed(
        body: ClientBody,
        limits: BodyLimits,
        progress: Progress,
        watch: Option<Watch>,
    ) -> Self {
        let waited = Waited {
            total: Duration::ZERO,
            since: None,
            timer: None,
        };
        Self::Streamed(Box::new(Limited {
            body,
            limits,
            progress,
            watch,
            passed: 0,
            in_window: 0,
            waited,
        }))
    }
}

/// A client's body under `BodyLimits`: its bytes are counted, and the time in which the gateway waits for them.
pub(super) struct Limited {
    body: ClientBody,
    limits: BodyLimits,
    progress: Progress,
    watch: Option<Watch>,
    passed: u64,
    in_window: u64,
    waited: Waited,
}

/// How long the gateway waited for the client in the current window. Time in which the upstream takes nothing does not
/// count.
struct Waited {
    total: Duration,
    since: Option<Instant>,
    /// None: the gateway has not had to wait for the client yet.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Limited {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            let polled = Pin::new(&mut self.body).poll_frame(cx);
            self.progress
                .state
                .clients_turn
                .store(polled.is_pending(), Ordering::Relaxed);
            let Poll::Ready(frame) = polled else {
                return self.poll_slowness(cx);
            };
            self.waited.stop();
            self.progress.made();
            return match frame {
                None => Poll::Ready(None),
                Some(Err(_clients_own)) => Poll::Ready(Some(Err(BodyError::Broken))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => Poll::Ready(Some(self.counted(data))),
                    // An upstream gets no trailers (docs/plugnmeet.md section 10).
                    Err(_trailers) => continue,
                },
            };
        }
    }

    fn counted(&mut self, data: Bytes) -> Result<Bytes, BodyError> {
        let bytes = data.len() as u64;
        self.passed += bytes;
        self.in_window += bytes;
        if self.passed > self.limits.max_bytes {
            return Err(BodyError::TooLarge);
        }
        match &mut self.watch {
            Some(may_go_on) => may_go_on(&data).then_some(data).ok_or(BodyError::Refused),
            None => Ok(data),
        }
    }

    fn poll_slowness(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        ready!(self.waited.poll_window(cx));
        let enough = self.limits.least_rate.saturating_mul(RATE_WINDOW.as_secs());
        if self.in_window < enough {
            return Poll::Ready(Some(Err(BodyError::TooSlow)));
        }
        self.in_window = 0;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Waited {
    fn stop(&mut self) {
        if let Some(since) = self.since.take() {
            self.total += since.elapsed();
        }
    }

    /// Ready when the gateway has waited for the client for a whole window. The next call begins another window.
    fn poll_window(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.since.is_none() {
            let now = Instant::now();
            self.since = Some(now);
            let end = now + RATE_WINDOW.saturating_sub(self.total);
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(end),
                None => self.timer = Some(Box::pin(sleep_until(end))),
            }
        }
        if let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(cx));
        }
        self.total = Duration::ZERO;
        self.since = None;
        Poll::Ready(())
    }
}

impl RequestBody {
    /// The next piece; None at the end.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        match self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(Ok)),
            Self::Streamed(limited) => limited.poll_piece(cx),
        }
    }

    /// The number of bytes, if it is known.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Self::Whole(bytes) => Some(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Streamed(limited) if limited.body.is_end_stream() => Some(0),
            Self::Streamed(limited) => limited.body.size_hint().exact(),
        }
    }
}
