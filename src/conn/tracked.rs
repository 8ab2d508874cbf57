//! An answer's body that keeps its request counted until its end, and tells the stream's timer who is waited for.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http_body::{Body as HttpBody, Frame, SizeHint};

use super::{activity::Active, leftover::Leftover, streams::Progress};

pub(super) struct Tracked<B> {
    body: B,
    progress: Option<Progress>,
    /// The rest of the request's body; it is dropped when the answer ends.
    _leftover: Leftover,
    _active: Active,
}

impl<B> Tracked<B> {
    pub(super) fn new(body: B, leftover: Leftover, active: Active) -> Self {
        Self {
            body,
            progress: Progress::of_this_stream(),
            _leftover: leftover,
            _active: active,
        }
    }
}

impl<B: HttpBody + Unpin> HttpBody for Tracked<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Some(progress) = &self.progress {
            if polled.is_ready() {
                progress.clients_turn();
            } else {
                progress.our_turn();
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
