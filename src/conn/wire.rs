//! The socket that hyper reads and writes: it has deadlines, watches the request heads, and closes so that the last
//! answer arrives.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep, sleep_until},
};

use super::{
    activity::{Activity, ReadDeadline},
    bad_head::BadHead,
    control::{FrameWatch, Goodbye},
    head::{HeadWatch, Heads},
    switched::Switched,
    write_deadline::WriteDeadline,
};
use crate::{
    client_stream::{Settle, Stream},
    interim::Interims,
};

/// How long we read on after our last answer to a client that is still sending. Closing at once would make the kernel
/// reset the connection, and the client would lose the answer that says why (RFC 9112 section 9.6).
const LINGER: Duration = Duration::from_secs(2);

/// A stream with deadlines, whose incoming bytes are watched.
pub(super) struct Wire<S> {
    stream: S,
    activity: Activity,
    watch: Watch,
    read_timer: Option<Pin<Box<Sleep>>>,
    write_deadline: WriteDeadline,
    /// Has the client closed its side of the connection?
    ended: bool,
    /// The reason why we read nothing more; `None` while we read.
    goodbye: Option<Goodbye>,
    /// The GOAWAY frame that we send last; `said` bytes of it are written.
    last_words: Vec<u8>,
    said: usize,
    interims: Interims,
    /// The interim answers that are being written; `interim_out` bytes of them are written.
    interim: Vec<u8>,
    interim_out: usize,
    linger: Linger,
}

/// What is watched in the incoming bytes.
enum Watch {
    Heads(HeadWatch),
    Frames(FrameWatch),
}

enum Linger {
    NotYet,
    Until(Pin<Box<Sleep>>),
    Over,
}

impl<S> Wire<S> {
    fn new(stream: S, activity: Activity, watch: Watch) -> Self {
        Self {
            stream,
            activity,
            watch,
            read_timer: None,
            write_deadline: WriteDeadline::default(),
            ended: false,
            goodbye: None,
            last_words: Vec::new(),
            said: 0,
            interims: Interims::default(),
            interim: Vec::new(),
            interim_out: 0,
            linger: Linger::NotYet,
        }
    }

    /// A stream for HTTP/2, whose frames are watched.
    pub(super) fn watching_frames(stream: S, activity: Activity) -> Self {
        Self::new(stream, activity, Watch::Frames(FrameWatch::new()))
    }

    /// A stream for HTTP/1, whose heads are watched. If `refused` is set, every head is refused for this reason.
    pub(super) fn watching_heads(
        stream: S,
        activity: Activity,
        max_head_bytes: usize,
        refused: Option<BadHead>,
    ) -> Self {
        Self::new(
            stream,
            activity,
            Watch::Heads(HeadWatch::new(max_head_bytes, refused)),
        )
    }

    pub(super) fn heads(&self) -> Heads {
        match &self.watch {
            Watch::Heads(watch) => watch.heads(),
            Watch::Frames(_) => Heads::default(),
        }
    }

    /// The stream when another protocol has begun. hyper has read these bytes of it already.
    fn switched(mut self, read: &[u8]) -> Switched<S>
    where
        S: Settle,
    {
        self.stream.settle();
        let kept = match &self.watch {
            Watch::Heads(watch) => watch.ready(),
            Watch::Frames(_) => &[],
        };
        let ahead = [read, kept].concat();
        let ended = self.ended || self.goodbye.is_some();
        Switched::new(self.stream, ahead, ended, self.activity)
    }

    /// The interim answers of this connection. They are written when no part of another answer is being written.
    pub(super) fn interims(&self) -> Interims {
        self.interims.clone()
    }

    /// Watches bytes that came, and returns how many of them hyper may read at once.
    fn saw(&mut self, bytes: &[u8]) -> usize {
        match &mut self.watch {
            Watch::Heads(watch) => {
                let through = watch.pass(bytes);
                if watch.in_head() {
                    self.activity.head_began();
                }
                through
            }
            Watch::Frames(watch) => {
                let through = watch.pass(bytes);
                if watch.is_flooded() {
                    self.goodbye = Some(Goodbye::EnhanceYourCalm);
                }
                through
            }
        }
    }

    /// Has a request come as a whole, and is it still being answered? Then a client that has closed its side may still
    /// wait for the answer.
    fn is_being_answered(&self) -> bool {
        let Watch::Heads(watch) = &self.watch else {
            return false;
        };
        !watch.in_body() && self.activity.answered() < watch.number() && !self.activity.is_tunnelled()
    }

    /// May the client still be sending something that we don't read?
    fn is_cut_off(&self) -> bool {
        match &self.watch {
            Watch::Heads(watch) => watch.in_body() && !self.activity.is_tunnelled(),
            Watch::Frames(_) => self.goodbye == Some(Goodbye::EnhanceYourCalm),
        }
    }

    /// Ends a pending read when the connection has done nothing for too long. While the connection is busy, the timer
    /// still fires now and then: the end of a request does not wake the task that waits here.
    fn poll_read_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let now = Instant::now();
            let look_again = match self.activity.read_deadline(now) {
                ReadDeadline::Never => {
                    // A timer that fires later would wake the connection's whole task for nothing.
                    self.read_timer = None;
                    return Poll::Pending;
                }
                ReadDeadline::At(deadline) if now >= deadline => {
                    // The read ends as if the client had closed the connection, so that hyper closes in order.
                    self.goodbye = Some(Goodbye::NoError);
                    return Poll::Ready(Ok(()));
                }
                ReadDeadline::At(later) | ReadDeadline::NotBefore(later) => later,
            };
            let timer = self
                .read_timer
                .get_or_insert_with(|| Box::pin(sleep_until(look_again)));
            // A timer that fires early costs one look; only a timer that would fire too late has to be moved.
            if timer.is_elapsed() || timer.deadline() > look_again {
                timer.as_mut().reset(look_again);
            }
            ready!(timer.as_mut().poll(cx));
        }
    }

    /// Ends a pending write with an error when the client has taken nothing for too long.
    fn write_pending<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.activity.writing(polled.is_pending());
        self.write_deadline.poll(self.activity.write_limit(), cx, polled)
    }

    fn wrote(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &polled {
            self.activity.wrote(*bytes);
            if let Watch::Frames(watch) = &mut self.watch {
                watch.sent(*bytes);
            }
        }
        self.write_pending(cx, polled)
    }
}

/// Takes a stream out of what HTTP/1 had around it.
pub(super) fn unwrap<S>(upgraded: Upgraded) -> Box<dyn Stream>
where
    S: Settle + AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match upgraded.downcast::<TokioIo<Wire<S>>>() {
        Ok(parts) => Box::new(parts.io.into_inner().switched(&parts.read_buf)),
        // Anything else than a wire stays in hyper's wrappers.
        Err(upgraded) => Box::new(TokioIo::new(upgraded)),
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.goodbye.is_some() {
                return Poll::Ready(Ok(()));
            }
            if let Watch::Heads(watch) = &mut self.watch {
                let ready = watch.ready();
                if !ready.is_empty() {
                    let now = ready.len().min(buf.remaining());
                    buf.put_slice(ready.get(..now).unwrap_or_default());
                    watch.gave(now);
                    return Poll::Ready(Ok(()));
                }
                if watch.is_refused() {
                    return self.poll_read_deadline(cx);
                }
            }
            if self.ended {
                return if self.is_being_answered() {
                    self.activity.wake_after_answer(cx.waker());
                    self.poll_read_deadline(cx)
                } else {
                    Poll::Ready(Ok(()))
                };
            }
            let before = buf.filled().len();
            match Pin::new(&mut self.stream).poll_read(cx, buf) {
                Poll::Pending => return self.poll_read_deadline(cx),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => {}
            }
            let piece = buf.filled().get(before..).unwrap_or_default();
            if piece.is_empty() {
                self.ended = true;
                continue;
            }
            let through = self.saw(piece);
            buf.set_filled(before + through);
            if through > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_interim(cx))?;
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_interim(cx))?;
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper has written all that it had. The next thing that it writes is the head of an answer that is not there
        // yet.
        if matches!(self.watch, Watch::Heads(_)) && self.interim.is_empty() {
            self.interim = self.interims.take();
        }
        ready!(self.poll_interim(cx))?;
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.write_pending(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let this = &mut *self;
            match &mut this.linger {
                Linger::NotYet => {
                    ready!(this.poll_last_words(cx))?;
                    let polled = Pin::new(&mut this.stream).poll_shutdown(cx);
                    ready!(this.write_pending(cx, polled))?;
                    this.linger = if this.is_cut_off() {
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

impl<S: AsyncWrite + Unpin> Wire<S> {
    /// Writes the rest of the interim answers that are being written.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self
            .interim
            .get(self.interim_out..)
            .filter(|rest| !rest.is_empty())
        {
            let polled = Pin::new(&mut self.stream).poll_write(cx, rest);
            let written = ready!(self.wrote(cx, polled))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.interim_out += written;
        }
        if self.interim_out > 0 {
            self.interim = Vec::new();
            self.interim_out = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// Sends GOAWAY on an HTTP/2 connection that we end by ourselves (RFC 9113 section 9.1).
    fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (Watch::Frames(watch), Some(goodbye)) = (&self.watch, self.goodbye) else {
            return Poll::Ready(Ok(()));
        };
        if self.last_words.is_empty() {
            self.last_words = watch.goodbye(goodbye);
        }
        while let Some(rest) = self.last_words.get(self.said..).filter(|rest| !rest.is_empty()) {
            let polled = Pin::new(&mut self.stream).poll_write(cx, rest);
            let written = ready!(self.write_pending(cx, polled))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.said += written;
        }
        Poll::Ready(Ok(()))
    }
}
