//! A connection's socket, held by whoever drives the connection and by whoever keeps it idle: the second can look whether
//! upstream has said goodbye, before the first has been told.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// Both halves of the socket.
pub(super) struct SharedStream(Arc<TcpStream>);

/// A look at the socket of a connection that somebody else drives.
#[derive(Clone)]
pub(super) struct Glance(Weak<TcpStream>);

impl SharedStream {
    pub(super) fn new(stream: TcpStream) -> (Self, Glance) {
        let stream = Arc::new(stream);
        let glance = Glance(Arc::downgrade(&stream));
        (Self(stream), glance)
    }
}

impl Glance {
    /// Is the connection open, and is nothing there to be read? An idle connection on which something has come is none to
    /// send a request on: it is the end, or an answer that nobody asked for.
    pub(super) fn is_quiet(&self) -> bool {
        self.0.upgrade().is_some_and(|stream| {
            let mut byte = [MaybeUninit::uninit()];
            let seen = SockRef::from(&*stream).peek(&mut byte);
            seen.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
        })
    }
}

impl AsyncRead for SharedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_read_buf(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(|_| ())),
            }
        }
    }
}

impl AsyncWrite for SharedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_write_vectored(pieces) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&*self.0).shutdown(std::net::Shutdown::Write))
    }
}
