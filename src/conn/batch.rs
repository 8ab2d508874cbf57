//! What an HTTP/2 connection writes while its task runs goes out at the end of that run: the answers of several streams in
//! one TLS record and one system call.
//!
//! hyper flushes as often as a frame has its payload beside it, which is after nearly every answer. So a flush does
//! nothing here while bytes wait in the buffer, and `Batching` writes and flushes them when the connection's task has
//! nothing more to do for now.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The largest write, in bytes, that is copied into the buffer. Copying a larger one costs more than it saves.
const SMALL: usize = 4 * 1024;

/// The most bytes that wait in the buffer: as many as a TLS record may carry (RFC 8446 section 5.1).
const FULL: usize = 16 * 1024;

/// The stream that hyper writes to, with a buffer in front of the socket.
pub(super) struct Batched<S>(Arc<Mutex<Out<S>>>);

struct Out<S> {
    stream: S,
    waiting: BytesMut,
    /// The error of a write at the end of a run; the next read reports it.
    failed: Option<io::Error>,
}

/// A connection over a `Batched` stream. It writes the buffer out at the end of each run of its task.
pub(super) struct Batching<C, S> {
    connection: Pin<Box<C>>,
    out: Arc<Mutex<Out<S>>>,
}

impl<S> Batched<S> {
    pub(super) fn new(stream: S) -> Self {
        Self(Arc::new(Mutex::new(Out {
            stream,
            waiting: BytesMut::new(),
            failed: None,
        })))
    }

    /// Wraps the connection that `serve` makes of this stream.
    pub(super) fn serving<C>(self, serve: impl FnOnce(Self) -> C) -> Batching<C, S> {
        let out = Arc::clone(&self.0);
        Batching {
            connection: Box::pin(serve(self)),
            out,
        }
    }
}

impl<C, S> Batching<C, S> {
    pub(super) fn connection(&mut self) -> Pin<&mut C> {
        self.connection.as_mut()
    }
}

/// Locks the stream. Only the connection's own task does so, and never waits.
fn lock<S>(out: &Mutex<Out<S>>) -> MutexGuard<'_, Out<S>> {
    out.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: AsyncWrite + Unpin> Out<S> {
    fn poll_write_waiting(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.waiting))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.waiting.advance(written);
        }
        // A connection that idles holds no buffer.
        self.waiting = BytesMut::new();
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_waiting(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

impl<C: Future, S: AsyncWrite + Unpin> Future for Batching<C, S> {
    type Output = C::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Output> {
        let polled = self.connection.as_mut().poll(cx);
        let mut out = lock(&self.out);
        if polled.is_pending()
            && !out.waiting.is_empty()
            && let Poll::Ready(Err(error)) = out.poll_flush(cx)
        {
            out.failed = Some(error);
            cx.waker().wake_by_ref();
        }
        polled
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Batched<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut out = lock(&self.0);
        if let Some(error) = out.failed.take() {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut out.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Batched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut out = lock(&self.0);
        let bytes = bufs.iter().map(|buf| buf.len()).sum();
        if bytes > SMALL || out.waiting.len() + bytes > FULL {
            ready!(out.poll_write_waiting(cx))?;
        }
        if bytes > SMALL {
            return Pin::new(&mut out.stream).poll_write_vectored(cx, bufs);
        }
        for buf in bufs {
            out.waiting.extend_from_slice(buf);
        }
        Poll::Ready(Ok(bytes))
    }

    fn is_write_vectored(&self) -> bool {
        lock(&self.0).stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut out = lock(&self.0);
        if out.waiting.is_empty() {
            return Pin::new(&mut out.stream).poll_flush(cx);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut out = lock(&self.0);
        ready!(out.poll_write_waiting(cx))?;
        Pin::new(&mut out.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A socket that records each write as a piece of its own, or fails every write if it is `broken`.
    #[derive(Default)]
    struct Sink {
        written: Vec<String>,
        broken: bool,
        shut: bool,
    }

    impl AsyncRead for Sink {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Sink {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            if self.broken {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            self.written.push(String::from_utf8_lossy(buf).into_owned());
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.shut = true;
            Poll::Ready(Ok(()))
        }
    }

    /// Runs a connection until it waits for something that never comes.
    async fn run_once<C: Future>(batching: &mut Batching<C, Sink>) {
        let ended = poll_fn(|cx| Poll::Ready(Pin::new(&mut *batching).poll(cx).is_ready())).await;
        assert!(!ended);
    }

    #[tokio::test]
    async fn what_is_flushed_piece_by_piece_goes_out_as_one_at_the_end_of_a_run() {
        let mut batching = Batched::new(Sink::default()).serving(|mut stream| async move {
            for piece in ["one ", "two ", "three"] {
                stream.write_all(piece.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
            }
            std::future::pending::<()>().await;
        });
        run_once(&mut batching).await;
        let out = lock(&batching.out);
        assert_eq!(out.stream.written, ["one two three"]);
        assert_eq!(out.waiting.capacity(), 0, "an idle connection holds no buffer");
    }

    #[tokio::test]
    async fn what_is_large_goes_out_uncopied_after_what_waits() {
        let large = "x".repeat(SMALL + 1);
        let body = large.clone();
        let mut batching = Batched::new(Sink::default()).serving(|mut stream| async move {
            stream.write_all(b"head").await.unwrap();
            stream.write_all(body.as_bytes()).await.unwrap();
            stream.write_all(b"tail").await.unwrap();
            stream.shutdown().await.unwrap();
            std::future::pending::<()>().await;
        });
        run_once(&mut batching).await;
        let out = lock(&batching.out);
        assert_eq!(out.stream.written, ["head", &large, "tail"]);
        assert!(out.stream.shut);
    }

    #[tokio::test]
    async fn no_more_waits_than_a_record_holds() {
        let mut batching = Batched::new(Sink::default()).serving(|mut stream| async move {
            for _ in 0..10 {
                stream.write_all(&[b'x'; SMALL]).await.unwrap();
            }
            std::future::pending::<()>().await;
        });
        run_once(&mut batching).await;
        let lengths: Vec<usize> = lock(&batching.out)
            .stream
            .written
            .iter()
            .map(String::len)
            .collect();
        assert_eq!(lengths, [FULL, FULL, 2 * SMALL]);
    }

    #[tokio::test]
    async fn a_write_that_fails_after_the_run_is_told_in_the_next() {
        let broken = Sink {
            broken: true,
            ..Sink::default()
        };
        let batching = Batched::new(broken).serving(|mut stream| async move {
            stream.write_all(b"lost").await.unwrap();
            stream.read(&mut [0]).await.unwrap_err().kind()
        });
        // The failed write itself has to wake the task: nothing else would.
        assert_eq!(batching.await, io::ErrorKind::BrokenPipe);
    }
}
