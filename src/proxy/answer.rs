//! The body of an answer on its way to the client. It breaks off if the upstream is silent for too long. A small body
//! that has arrived goes out whole, with its head.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep, timeout};

use super::{
    answer_head,
    body::{BodyError, Progress},
    pool::Lease,
};
use crate::reply::{Body, BoxError};

/// How long the head of an answer waits for the first byte of the body. If the upstream breaks off within this time, it
/// has given no answer.
const FIRST_BYTE: Duration = Duration::from_millis(50);

pub(super) struct ResponseBody {
    body: Incoming,
    /// A frame that has been read ahead, and has not been passed on yet.
    first: Option<Frame<Bytes>>,
    /// The connection of the answer; None when the body has been read to its end.
    lease: Option<Lease>,
    request: Progress,
    silence: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl ResponseBody {
    pub(super) fn new(body: Incoming, lease: Lease, request: Progress, silence: Duration) -> Self {
        Self {
            body,
            first: None,
            lease: Some(lease),
            request,
            silence,
            timer: None,
        }
    }

    /// Reads the beginning of this body. A small body that has arrived is returned whole, and leaves in one piece with
    /// its head. A body that breaks off before its first byte is an error, as if there had been no answer.
    pub(super) async fn begun(mut self) -> Result<Body, hyper::Error> {
        let mut asked = false;
        let first = poll_fn(|cx| {
            let polled = self.poll_upstream(cx);
            if polled.is_pending() && !asked {
                // The second poll gives the connection's task its turn, without waiting.
                asked = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(polled)
        })
        .await;
        let first = match first {
            Poll::Pending => timeout(FIRST_BYTE, poll_fn(|cx| self.poll_upstream(cx)))
                .await
                .map_or(Poll::Pending, Poll::Ready),
            here @ Poll::Ready(_) => here,
        };
        Ok(match first {
            Poll::Ready(None) => Body::Empty,
            Poll::Ready(Some(Ok(frame))) if self.lease.is_none() && frame.is_data() => {
                frame.into_data().map_or(Body::Empty, Body::Full)
            }
            Poll::Ready(Some(Ok(frame))) => {
                self.first = Some(frame);
                Body::stream(self)
            }
            Poll::Ready(Some(Err(broken))) => return Err(broken),
            Poll::Pending => Body::stream(self),
        })
    }

    fn poll_upstream(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let is_last = match &frame {
            None => true,
            Some(Ok(frame)) => frame.is_trailers() || self.body.is_end_stream(),
            Some(Err(_)) => false,
        };
        if is_last && let Some(lease) = self.lease.take() {
            lease.put_back(&self.request);
        }
        Poll::Ready(match frame {
            Some(Ok(frame)) => match frame.into_trailers() {
                Ok(mut trailers) => {
                    answer_head::trailers_to_client(&mut trailers);
                    (!trailers.is_empty()).then(|| Ok(Frame::trailers(trailers)))
                }
                Err(data) => Some(Ok(data)),
            },
            other @ (Some(Err(_)) | None) => other,
        })
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if let Poll::Ready(frame) = self.poll_upstream(cx) {
            self.timer = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let silence = self.silence;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(silence)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Some(Err(BodyError::UpstreamSilent.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.body.size_hint();
        let first = self.first.as_ref().and_then(Frame::data_ref);
        let first = first.map_or(0, Bytes::len) as u64;
        let mut hint = SizeHint::new();
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + first);
        }
        hint.set_lower(rest.lower() + first);
        hint
    }
}
