//! The deadline for a client that takes nothing of what is written to it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Sleep, sleep};

/// Its timer is there only while a write is pending.
#[derive(Default)]
pub(super) struct WriteDeadline(Option<Pin<Box<Sleep>>>);

impl WriteDeadline {
    /// Ends a pending write with an error when the client has taken nothing for as long as `limit`.
    pub(super) fn poll<T>(
        &mut self,
        limit: Duration,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.0 = None;
            return polled;
        }
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}
