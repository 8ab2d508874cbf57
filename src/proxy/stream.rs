//! A connection to an upstream as a stream of bytes: for what has switched to another protocol, and for what never was
//! HTTP. It counts as in use until it is dropped.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    connection_limit::{Open, Permit},
    endpoint::Socket,
};
use crate::ahead::Ahead;

/// The stream of a connection to an upstream.
///
/// A server that has read enough answers and closes. A write then fails although the answer has arrived. So a write that
/// fails waits until the answer has been read to its end, and only then returns its error.
pub struct UpstreamStream {
    socket: Arc<Socket>,
    ahead: Ahead,
    unwritable: Option<io::ErrorKind>,
    /// Has a read met the end of the connection, or an error?
    read_to_its_end: bool,
    /// The task that waits because its write failed.
    writer: Option<Waker>,
    _open: Open,
    _permit: Permit,
}

impl UpstreamStream {
    pub(super) fn new(socket: Arc<Socket>, ahead: Bytes, open: Open, permit: Permit) -> Self {
        Self {
            socket,
            ahead: Ahead::new(ahead),
            unwritable: None,
            read_to_its_end: false,
            writer: None,
            _open: open,
            _permit: permit,
        }
    }

    /// The result of each write after one has failed: pending until the answer has been read, then the error. None if
    /// no write has failed.
    fn poll_unwritable(&mut self, cx: &Context<'_>) -> Option<Poll<io::Result<usize>>> {
        let failed = self.unwritable?;
        if self.read_to_its_end {
            return Some(Poll::Ready(Err(failed.into())));
        }
        self.writer = Some(cx.waker().clone());
        Some(Poll::Pending)
    }

    fn wrote(&mut self, cx: &Context<'_>, written: io::Result<usize>) -> Poll<io::Result<usize>> {
        match written {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
                ) =>
            {
                self.unwritable = Some(error.kind());
                self.poll_unwritable(cx).unwrap_or(Poll::Pending)
            }
            written => Poll::Ready(written),
        }
    }

    fn was_read(&mut self, bytes: Option<usize>) {
        if bytes.is_none_or(|bytes| bytes == 0) {
            self.read_to_its_end = true;
            if let Some(writer) = self.writer.take() {
                writer.wake();
            }
        }
    }
}

impl AsyncRead for UpstreamStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.give(buf) {
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(self.socket.poll_read_ready(cx))?;
            match self.socket.try_read(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => {
                    self.was_read(read.as_ref().ok().copied());
                    return Poll::Ready(read.map(|_| ()));
                }
            }
        }
    }
}

impl AsyncWrite for UpstreamStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(failed) = self.poll_unwritable(cx) {
            return failed;
        }
        loop {
            ready!(self.socket.poll_write_ready(cx))?;
            match self.socket.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return self.wrote(cx, written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.of().shutdown(std::net::Shutdown::Write))
    }
}
