//! The socket as hyper sees it: under deadlines, its request heads watched, and closed so that the last answer arrives.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep, sleep_until},
};

use super::{
    head::{HeadWatch, Heads},
    pulse::{Pulse, ReadDeadline},
};

/// How long we listen on after our last answer to a client that is still sending. Closing at once would make the kernel
/// reset the connection, and the client would lose the answer that says why (RFC 9112 section 9.6).
const LINGER: Duration = Duration::from_secs(2);

/// A stream with deadlines.
pub(super) struct Wire<S> {
    stream: S,
    pulse: Pulse,
    watch: Option<HeadWatch>,
    read_timer: Option<Pin<Box<Sleep>>>,
    write_timer: Option<Pin<Box<Sleep>>>,
    linger: Linger,
}

enum Linger {
    NotYet,
    Until(Pin<Box<Sleep>>),
    Over,
}

impl<S> Wire<S> {
    /// HTTP/2, or any stream whose messages have one framing only.
    pub(super) fn plain(stream: S, pulse: Pulse) -> Self {
        Self {
            stream,
            pulse,
            watch: None,
            read_timer: None,
            write_timer: None,
            linger: Linger::NotYet,
        }
    }

    /// HTTP/1.
    pub(super) fn watching_heads(stream: S, pulse: Pulse, max_head_bytes: usize) -> Self {
        Self {
            watch: Some(HeadWatch::new(max_head_bytes)),
            ..Self::plain(stream, pulse)
        }
    }

    pub(super) fn heads(&self) -> Heads {
        self.watch.as_ref().map(HeadWatch::heads).unwrap_or_default()
    }

    fn saw(&mut self, bytes: &[u8]) {
        if let Some(watch) = &mut self.watch {
            watch.pass(bytes);
            if watch.in_head() {
                self.pulse.head_began();
            }
        }
    }

    /// Pending reads end here when the connection has done nothing for too long. While it does something, the timer still
    /// rings now and then: the end of a request wakes nobody who waits here.
    fn poll_read_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let now = Instant::now();
            let look_again = match self.pulse.read_deadline(now) {
                ReadDeadline::Never => {
                    // A timer that may still ring keeps whoever it would wake, the connection's whole task.
                    self.read_timer = None;
                    return Poll::Pending;
                }
                ReadDeadline::At(deadline) if now >= deadline => {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                ReadDeadline::At(later) | ReadDeadline::NotBefore(later) => later,
            };
            let timer = self
                .read_timer
                .get_or_insert_with(|| Box::pin(sleep_until(look_again)));
            // Ringing early costs one look; only a timer that would ring too late has to be moved.
            if timer.is_elapsed() || timer.deadline() > look_again {
                timer.as_mut().reset(look_again);
            }
            ready!(timer.as_mut().poll(cx));
        }
    }

    /// Pending writes end here when the client has taken nothing for too long.
    fn write_pending<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.pulse.writing(polled.is_pending());
        if polled.is_ready() {
            self.write_timer = None;
            return polled;
        }
        let limit = self.pulse.write_limit();
        let timer = self.write_timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn wrote(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &polled {
            self.pulse.wrote(*bytes);
        }
        self.write_pending(cx, polled)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buf) {
            self.saw(buf.filled().get(before..).unwrap_or_default());
            return Poll::Ready(read);
        }
        self.poll_read_deadline(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.write_pending(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let this = &mut *self;
            match &mut this.linger {
                Linger::NotYet => {
                    let polled = Pin::new(&mut this.stream).poll_shutdown(cx);
                    ready!(this.write_pending(cx, polled))?;
                    let sending =
                        this.watch.as_ref().is_some_and(HeadWatch::in_body) && !this.pulse.is_tunnelled();
                    this.linger = if sending {
                        Linger::Until(Box::pin(sleep(LINGER)))
                    } else {
                        Linger::Over
                    };
                }
                Linger::Until(over) => {
                    let mut scratch = [0; 4096];
                    let mut unread = ReadBuf::new(&mut scratch);
                    let ended = over.as_mut().poll(cx).is_ready()
                        || match ready!(Pin::new(&mut this.stream).poll_read(cx, &mut unread)) {
                            Ok(()) => unread.filled().is_empty(),
                            Err(_) => true,
                        };
                    if ended {
                        this.linger = Linger::Over;
                    }
                }
                Linger::Over => return Poll::Ready(Ok(())),
            }
        }
    }
}
