//! The address of an upstream, and sockets that are connected to it: TCP or a Unix socket.

use std::{
    fmt, io,
    mem::MaybeUninit,
    net::SocketAddr,
    path::PathBuf,
    task::{Context, Poll},
};

use bytes::BufMut;
use socket2::SockRef;
use tokio::{
    io::Interest,
    net::{TcpStream, UnixStream},
};

/// An address to which connections are made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Endpoint {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Endpoint {
    /// Opens a new connection, without a deadline.
    pub(super) async fn connect(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(addr) => TcpStream::connect(addr).await.map(Socket::Tcp),
            Self::Unix(path) => UnixStream::connect(path).await.map(Socket::Unix),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Socket {
    pub(super) fn of(&self) -> SockRef<'_> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream),
            Self::Unix(stream) => SockRef::from(stream),
        }
    }

    pub(super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    pub(super) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(cx),
            Self::Unix(stream) => stream.poll_write_ready(cx),
        }
    }

    /// A read that fills less than the buffer has emptied the socket, which is not ready any more then. That saves the next
    /// read, which would find nothing; tokio's own `poll_read` does the same.
    pub(super) fn try_read(&self, buf: &mut impl BufMut) -> io::Result<usize> {
        let (room, mut read) = (buf.chunk_mut().len(), Err(io::ErrorKind::WouldBlock.into()));
        let mut once = || {
            read = match self {
                Self::Tcp(stream) => stream.try_read_buf(buf),
                Self::Unix(stream) => stream.try_read_buf(buf),
            };
            match read {
                // To tokio it is as if the next read had been tried.
                Ok(bytes) if 0 < bytes && bytes < room => Err(io::ErrorKind::WouldBlock.into()),
                _ => Ok(()),
            }
        };
        let emptied: io::Result<()> = match self {
            Self::Tcp(stream) => stream.try_io(Interest::READABLE, &mut once),
            Self::Unix(stream) => stream.try_io(Interest::READABLE, &mut once),
        };
        drop(emptied);
        read
    }

    /// Looks for bytes without taking them: what the runtime has heard since the socket was last empty, without a system call
    /// while it has heard nothing. A thread hears of its sockets before it runs what they wake.
    pub(super) fn try_peek(&self) -> io::Result<usize> {
        let look = || self.of().peek(&mut [MaybeUninit::uninit()]);
        match self {
            Self::Tcp(stream) => stream.try_io(Interest::READABLE, look),
            Self::Unix(stream) => stream.try_io(Interest::READABLE, look),
        }
    }

    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
        }
    }

    pub(super) fn try_write_vectored(&self, pieces: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write_vectored(pieces),
            Self::Unix(stream) => stream.try_write_vectored(pieces),
        }
    }
}
