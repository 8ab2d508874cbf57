//! An answer's body on its way to the client: under a limit of silence, and whole where it is here already.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};

use super::{body::BodyError, pool::Lease};
use crate::reply::{Body, BoxError};

/// The body of an answer.
pub(super) struct ResponseBody {
    body: Incoming,
    /// Read ahead, and not passed on yet.
    first: Option<Result<Frame<Bytes>, BoxError>>,
    /// Until its end is read.
    lease: Option<Lease>,
    silence: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl ResponseBody {
    pub(super) fn new(body: Incoming, lease: Lease, silence: Duration) -> Self {
        Self {
            body,
            first: None,
            lease: Some(lease),
            silence,
            timer: None,
        }
    }

    /// This body, with what of it is here already: a small one is here whole, and then leaves in one piece with its head.
    pub(super) async fn begun(mut self) -> Body {
        let mut asked = false;
        let first = poll_fn(|cx| {
            let polled = self.poll_upstream(cx);
            if polled.is_pending() && !asked {
                // Once around, so that the connection has its turn; no time is waited.
                asked = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(polled)
        })
        .await;
        match first {
            Poll::Ready(None) => Body::Empty,
            Poll::Ready(Some(Ok(frame))) if self.lease.is_none() => {
                frame.into_data().map_or(Body::Empty, Body::Full)
            }
            Poll::Ready(first) => {
                self.first = first;
                Body::stream(self)
            }
            Poll::Pending => Body::stream(self),
        }
    }

    fn poll_upstream(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if (frame.is_none() || self.body.is_end_stream())
            && let Some(lease) = self.lease.take()
        {
            lease.put_back();
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
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
            return Poll::Ready(Some(first));
        }
        if let Poll::Ready(frame) = self.poll_upstream(cx) {
            self.timer = None;
            return Poll::Ready(frame);
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
        let first = match &self.first {
            Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len) as u64,
            Some(Err(_)) | None => 0,
        };
        let mut hint = SizeHint::new();
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + first);
        }
        hint.set_lower(rest.lower() + first);
        hint
    }
}
