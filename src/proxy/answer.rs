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
use tokio::time::{Sleep, sleep, timeout};

use super::{answer_head, body::BodyError, http1::Http1Error, pool::Lease};
use crate::reply::{Body, BoxError};

/// How long the head of an answer waits for the first byte of the body. If the upstream breaks off within this time, it
/// has given no answer.
const FIRST_BYTE: Duration = Duration::from_millis(50);

pub(super) struct ResponseBody {
    /// A frame that has been read ahead, and has not been passed on yet.
    first: Option<Frame<Bytes>>,
    /// The connection of the answer; None when the body has been read to its end.
    lease: Option<Lease>,
    silence: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl ResponseBody {
    pub(super) fn new(lease: Lease, silence: Duration) -> Self {
        Self {
            first: None,
            lease: Some(lease),
            silence,
            timer: None,
        }
    }

    /// Reads the beginning of this body. A small body that has arrived is returned whole, and leaves in one piece with
    /// its head. A body that breaks off before its first byte is an error, as if there had been no answer.
    pub(super) async fn begun(mut self) -> Result<Body, Http1Error> {
        let mut first = poll_fn(|cx| Poll::Ready(self.poll_upstream(cx))).await;
        if first.is_pending() {
            // In a box, as most bodies come with their heads.
            let later = Box::pin(timeout(FIRST_BYTE, poll_fn(|cx| self.poll_upstream(cx)))).await;
            first = later.map_or(Poll::Pending, Poll::Ready);
        }
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

    fn poll_upstream(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>> {
        let Some(lease) = &mut self.lease else {
            return Poll::Ready(None);
        };
        let frame = ready!(lease.poll_frame(cx));
        if lease.is_over()
            && !matches!(frame, Some(Err(_)))
            && let Some(lease) = self.lease.take()
        {
            lease.put_back();
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
        self.first.is_none() && self.lease.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let first = self.first.as_ref().and_then(Frame::data_ref);
        let first = first.map_or(0, Bytes::len) as u64;
        let left = self.lease.as_ref().map_or(Some(0), Lease::left);
        let mut hint = SizeHint::new();
        hint.set_lower(left.unwrap_or(0) + first);
        if let Some(left) = left {
            hint.set_upper(left + first);
        }
        hint
    }
}
