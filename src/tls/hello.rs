//! A hello that is looked at before anything is answered, as the connection may be somebody else's to answer.
//!
//! rustls reads it, from however many records and segments it comes in; what it has read is kept, so that it can be passed on
//! byte for byte.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use rustls::server::{Accepted, Acceptor};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

use super::{HandshakeError, challenge};

/// Of a hello, with the frames around it: browsers send 2.4 KB at most.
pub(super) const MAX_HELLO_BYTES: usize = 16 * 1024;

/// A connection whose hello has been read, and nothing answered.
pub struct Hello<S> {
    accepted: Accepted,
    stream: S,
    seen: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Hello<S> {
    /// `first` is what has been read of it.
    pub(super) async fn read(stream: S, first: Vec<u8>) -> Result<Self, HandshakeError> {
        let recording = Recording {
            stream,
            seen: first,
            given: 0,
        };
        let started = LazyConfigAcceptor::new(Acceptor::default(), recording)
            .await
            .map_err(HandshakeError::Tls)?;
        let StartHandshake {
            accepted,
            io: Recording { stream, seen, .. },
            ..
        } = started;
        Ok(Self {
            accepted,
            stream,
            seen,
        })
    }

    /// The name that is asked for, in lower case.
    pub fn name(&self) -> Option<String> {
        self.accepted.client_hello().server_name().map(str::to_owned)
    }

    /// The connection, and what has been read of it.
    pub fn into_parts(self) -> (S, Vec<u8>) {
        (self.stream, self.seen)
    }

    /// The name that a CA checks by this hello; None if it is no check.
    pub(super) fn checked_name(&self) -> Option<String> {
        let hello = self.accepted.client_hello();
        let is_check = challenge::is_one(&hello);
        hello.server_name().filter(|_| is_check).map(str::to_owned)
    }
}

/// Keeps all that is read.
struct Recording<S> {
    stream: S,
    seen: Vec<u8>,
    /// How much of `seen` has been passed on.
    given: usize,
}

impl<S: AsyncRead + Unpin> AsyncRead for Recording<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(first) = self.seen.get(self.given..).filter(|first| !first.is_empty()) {
            let taken = first.len().min(buf.remaining());
            buf.put_slice(first.get(..taken).unwrap_or_default());
            self.given += taken;
            return Poll::Ready(Ok(()));
        }
        if self.seen.len() >= MAX_HELLO_BYTES {
            let what = "the hello is too long";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, what)));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Some(new) = buf.filled().get(before..) {
            self.seen.extend_from_slice(new);
            self.given = self.seen.len();
        }
        read
    }
}

/// Writes pass through: an alert goes to a client that sends no hello.
impl<S: AsyncWrite + Unpin> AsyncWrite for Recording<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
