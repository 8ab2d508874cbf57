//! The body of a request: its reader, and a second handle that reads what is left of it when there is no reader any
//! more.
//!
//! An answer may be complete before the request's body is. If the connection were then closed at once, the client could
//! lose the answer: over HTTP/2 some clients take the reset of the stream for the answer's end (libcurl before 8.0),
//! and over HTTP/1.1 the connection breaks. So the connection keeps a handle on each body, and reads the rest at its
//! own pace.
//!
//! Sources: RFC 9113 section 8.1 (an answer before the end of a request), RFC 9112 section 9.6.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{Request, body::Incoming};
use tokio::time::timeout;

/// A client's request. In a box, as every future that it passes through has room for its own copy of it.
pub type ClientRequest = Box<Request<ClientBody>>;

/// A client's request whose body has been read whole.
pub type WholeRequest = Box<Request<Bytes>>;

/// The body of a request, or no body.
#[derive(Default)]
pub struct ClientBody(Option<Arc<Shared>>);

/// Why a body could not be read whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// The body is larger than the limit.
    TooLarge,
    /// The body did not arrive in time.
    TooSlow,
    /// The client left before the body was complete.
    Broken,
}

/// The connection's handle on a request's body, for what nobody reads of it.
pub struct Rest(Arc<Shared>);

struct Shared {
    body: Mutex<Incoming>,
    /// The frames that were read before the body's reader asked for them.
    ahead: Mutex<VecDeque<Result<Frame<Bytes>, hyper::Error>>>,
    ended: AtomicBool,
    /// Has the body broken off, so that its end never comes?
    broken: AtomicBool,
}

impl ClientBody {
    /// Reads the whole body. If `Content-Length` exceeds the limit nothing is read.
    pub async fn whole(self, max_bytes: usize, deadline: Duration) -> Result<Bytes, Unread> {
        if self.size_hint().lower() > max_bytes as u64 {
            return Err(Unread::TooLarge);
        }
        match timeout(deadline, Limited::new(self, max_bytes).collect()).await {
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Unread::TooLarge),
            Ok(Err(_broken_off)) => Err(Unread::Broken),
            Err(_late) => Err(Unread::TooSlow),
        }
    }

    /// Reads a small body before anybody wants it, who finds it as if nothing had been read. HTTP/1.1 shows that a client has
    /// gone away only behind its request's body.
    pub async fn read_ahead(&self, max_bytes: usize) {
        let Some(shared) = &self.0 else { return };
        let mut bytes = 0;
        if shared.lock().size_hint().lower() > max_bytes as u64 {
            return;
        }
        while bytes <= max_bytes && !shared.is_ended() {
            let Some(frame) = poll_fn(|cx| shared.poll_incoming(cx)).await else {
                return;
            };
            bytes += frame
                .as_ref()
                .ok()
                .and_then(Frame::data_ref)
                .map_or(0, Bytes::len);
            let is_broken = frame.is_err();
            shared.ahead().push_back(frame);
            if is_broken {
                return;
            }
        }
    }

    /// The body, and the connection's handle on it if it has one.
    pub fn new(body: Incoming) -> (Self, Option<Rest>) {
        if body.is_end_stream() {
            return (Self(None), None);
        }
        let shared = Arc::new(Shared {
            body: Mutex::new(body),
            ahead: Mutex::default(),
            ended: AtomicBool::new(false),
            broken: AtomicBool::new(false),
        });
        (Self(Some(Arc::clone(&shared))), Some(Rest(shared)))
    }
}

impl Rest {
    /// Has the whole body been read? Not of one that broke off.
    pub fn is_ended(&self) -> bool {
        self.0.is_ended()
    }

    /// Has the body broken off? Then nothing more of it comes.
    pub fn is_broken(&self) -> bool {
        self.0.broken.load(Ordering::Relaxed)
    }

    /// Does the body still have a reader?
    pub fn has_reader(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// The least number of bytes that are still to come.
    pub fn announced_bytes(&self) -> u64 {
        self.0.lock().size_hint().lower()
    }

    /// Reads and drops the body until its end, or until more than `max_bytes` came. Returns whether the end came.
    pub async fn drain(&self, max_bytes: u64) -> bool {
        let mut bytes = 0;
        while bytes <= max_bytes {
            match poll_fn(|cx| self.0.poll_frame(cx)).await {
                None => return self.is_ended(),
                Some(Ok(frame)) => bytes += frame.data_ref().map_or(0, Bytes::len) as u64,
                Some(Err(_broken_off)) => return false,
            }
            if self.is_ended() {
                return true;
            }
        }
        false
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Incoming> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.lock().size_hint();
        let ahead: usize = self
            .ahead()
            .iter()
            .filter_map(|frame| frame.as_ref().ok()?.data_ref())
            .map(Bytes::len)
            .sum();
        let ahead = ahead as u64;
        let mut hint = SizeHint::new();
        if let Some(upper) = left.upper() {
            hint.set_upper(upper.saturating_add(ahead));
        }
        hint.set_lower(left.lower().saturating_add(ahead));
        hint
    }

    fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed) || self.lock().is_end_stream()
    }

    fn ahead(&self) -> MutexGuard<'_, VecDeque<Result<Frame<Bytes>, hyper::Error>>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(frame) = self.ahead().pop_front() {
            return Poll::Ready(Some(frame));
        }
        self.poll_incoming(cx)
    }

    fn poll_incoming(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut *self.lock()).poll_frame(cx);
        match polled {
            Poll::Ready(Some(Err(_))) => self.broken.store(true, Ordering::Relaxed),
            // hyper says nothing more behind an error either.
            Poll::Ready(None) if !self.broken.load(Ordering::Relaxed) => {
                self.ended.store(true, Ordering::Relaxed);
            }
            Poll::Ready(None | Some(Ok(_))) | Poll::Pending => {}
        }
        polled
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &self.0 {
            Some(shared) => shared.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|shared| shared.is_ended() && shared.ahead().is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Some(shared) => shared.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}
