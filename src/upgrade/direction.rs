//! One direction of a tunnel: what comes from its source goes to its sink, and is held only while it passes.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::frames::{Frames, GOING_AWAY, GOING_AWAY_MASKED};

const READ_BYTES: usize = 16 * 1024;

/// How long a frame that is under way may take to go on when we have to close.
const FRAME_END: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A Close frame went by, which the other side answers.
    Closed,
    /// Its source has closed or failed.
    Gone,
}

/// A state machine in the place of an `async fn`: most tunnels are idle most of the time, and what waits in them is memory.
pub(super) struct Direction {
    frames: Frames,
    /// What the sink has still to take of what was read.
    passing: Vec<u8>,
    taken: usize,
    step: Step,
    sink: Sink,
    /// Is it to end with a Close frame?
    closing: bool,
    /// Is it to end without one?
    over: bool,
    frame_end: Option<Pin<Box<Sleep>>>,
}

/// Who is told at the end.
#[derive(Clone, Copy)]
pub(super) enum Sink {
    Client,
    /// A server takes masked frames alone (RFC 6455 section 5.1).
    Upstream,
}

#[derive(Clone, Copy)]
enum Step {
    Read,
    Write,
    Flush,
    /// Writes the Close frame.
    LastWords,
    Shutdown,
}

impl Direction {
    pub(super) fn new(sink: Sink) -> Self {
        Self {
            frames: Frames::default(),
            passing: Vec::new(),
            taken: 0,
            step: Step::Read,
            sink,
            closing: false,
            over: false,
            frame_end: None,
        }
    }

    /// From now on it waits for the end of the frame that is under way, and closes with a Close frame.
    pub(super) fn close(&mut self) {
        self.closing = true;
    }

    /// From now on it reads nothing more.
    pub(super) fn end(&mut self) {
        self.over = true;
    }

    /// Passes on what there is, until the source ends, the sink breaks, or it has been told to end. `hears` hears what
    /// passes, and returns false if it must not: the sink is told that we end it instead.
    pub(super) fn poll_pass<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
        &mut self,
        from: &mut R,
        to: &mut W,
        mut hears: impl FnMut(&[u8]) -> bool,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<End>> {
        loop {
            self.step = match self.step {
                // INVARIANT: only the read may be given up; a write cut off would leave half a frame behind.
                Step::Read if self.over => Step::Shutdown,
                Step::Read if self.closing && self.frames.between_frames() => {
                    self.passing = match self.sink {
                        Sink::Client => GOING_AWAY,
                        Sink::Upstream => GOING_AWAY_MASKED,
                    }
                    .to_vec();
                    Step::LastWords
                }
                Step::Read => ready!(self.poll_read(from, to, &mut hears, cx))?,
                Step::Write => {
                    ready!(self.poll_write(to, cx))?;
                    Step::Flush
                }
                Step::Flush => {
                    ready!(Pin::new(&mut *to).poll_flush(cx))?;
                    Step::Read
                }
                Step::LastWords => {
                    ready!(self.poll_write(to, cx))?;
                    Step::Shutdown
                }
                Step::Shutdown => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                    let closed = self.closing || self.frames.closed();
                    return Poll::Ready(Ok(if closed { End::Closed } else { End::Gone }));
                }
            }
        }
    }

    /// Reads once, and offers what came to the sink at once, from the stack.
    fn poll_read<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
        &mut self,
        from: &mut R,
        to: &mut W,
        hears: &mut impl FnMut(&[u8]) -> bool,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Step>> {
        if self.closing {
            let frame_end = self.frame_end.get_or_insert_with(|| Box::pin(sleep(FRAME_END)));
            if frame_end.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(Step::Shutdown));
            }
        }
        let mut scratch = [MaybeUninit::<u8>::uninit(); READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut scratch);
        ready!(Pin::new(from).poll_read(cx, &mut buffer))?;
        self.frame_end = None;
        let bytes = buffer.filled();
        if bytes.is_empty() {
            return Poll::Ready(Ok(Step::Shutdown));
        }
        if !hears(bytes) {
            self.closing = true;
            return Poll::Ready(Ok(Step::Read));
        }
        self.frames.pass(bytes);
        let taken = match Pin::new(to).poll_write(cx, bytes) {
            Poll::Ready(taken) => some(taken)?,
            Poll::Pending => 0,
        };
        self.passing = bytes.get(taken..).unwrap_or_default().to_vec();
        Poll::Ready(Ok(Step::Write))
    }

    /// Writes what the sink has still to take.
    fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        to: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while let Some(left) = self.passing.get(self.taken..).filter(|left| !left.is_empty()) {
            self.taken += some(ready!(Pin::new(&mut *to).poll_write(cx, left)))?;
        }
        (self.passing, self.taken) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }
}

/// A sink that takes nothing at all takes nothing ever.
fn some(taken: io::Result<usize>) -> io::Result<usize> {
    match taken {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        taken => taken,
    }
}
