//! A connection's socket, shared by the task that drives the connection and by the pool that keeps it idle. The pool
//! can see that the upstream has closed the connection before the task has been told. What counts the connection lies
//! beside the socket, because a tunnel holds nothing else of the connection.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, Weak},
    task::{Context, Poll, Waker, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    connection_limit::{Open, Permit},
    endpoint::Socket,
};

/// The socket of a connection, for reading and writing.
///
/// A server that has read enough of a request answers and closes. A write then fails although the answer has arrived.
/// So a write that fails waits until the answer has been read to its end, and only then returns its error.
pub(super) struct SharedStream {
    held: Arc<Held>,
    unwritable: Option<io::ErrorKind>,
    /// Has a read met the end of the connection, or an error?
    read_to_its_end: bool,
    /// The task that waits because its write failed.
    writer: Option<Waker>,
}

/// A view of the socket of a connection that somebody else drives. It does not keep the socket open.
#[derive(Clone)]
pub(super) struct Glance(Weak<Held>);

struct Held {
    socket: Socket,
    /// The permit that the connection holds. None: it is not in use.
    permit: Mutex<Option<Permit>>,
    _open: Open,
}

impl SharedStream {
    pub(super) fn new(socket: Socket, open: Open) -> (Self, Glance) {
        let held = Arc::new(Held {
            socket,
            permit: Mutex::default(),
            _open: open,
        });
        let glance = Glance(Arc::downgrade(&held));
        let stream = Self {
            held,
            unwritable: None,
            read_to_its_end: false,
            writer: None,
        };
        (stream, glance)
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

impl Held {
    fn set_permit(&self, permit: Option<Permit>) {
        let mut held = self.permit.lock().unwrap_or_else(PoisonError::into_inner);
        *held = permit;
    }
}

impl Glance {
    /// Is the connection open, with nothing to read? If something has come on an idle connection, no request may be
    /// sent on it: what came is the end, or an answer that nobody asked for.
    pub(super) fn is_quiet(&self) -> bool {
        self.0.upgrade().is_some_and(|held| {
            let mut byte = [MaybeUninit::uninit()];
            let seen = held.socket.of().peek(&mut byte);
            seen.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
        })
    }

    /// Marks the connection as in use, and gives it the permit, until it is closed or `rests` is called.
    pub(super) fn is_used(&self, permit: Permit) {
        if let Some(held) = self.0.upgrade() {
            held.set_permit(Some(permit));
        }
    }

    /// Marks the connection as idle, and frees its permit.
    pub(super) fn rests(&self) {
        if let Some(held) = self.0.upgrade() {
            held.set_permit(None);
        }
    }
}

impl AsyncRead for SharedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.held.socket.poll_read_ready(cx))?;
            match self.held.socket.try_read(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => {
                    self.was_read(read.as_ref().ok().copied());
                    return Poll::Ready(read.map(|_| ()));
                }
            }
        }
    }
}

impl AsyncWrite for SharedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(failed) = self.poll_unwritable(cx) {
            return failed;
        }
        loop {
            ready!(self.held.socket.poll_write_ready(cx))?;
            match self.held.socket.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return self.wrote(cx, written),
            }
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(failed) = self.poll_unwritable(cx) {
            return failed;
        }
        loop {
            ready!(self.held.socket.poll_write_ready(cx))?;
            match self.held.socket.try_write_vectored(pieces) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return self.wrote(cx, written),
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
        Poll::Ready(self.held.socket.of().shutdown(std::net::Shutdown::Write))
    }
}
