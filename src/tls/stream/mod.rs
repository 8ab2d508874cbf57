//! A TLS connection of a client, as a stream. It holds no buffer while nothing happens on it: most WebSockets are silent
//! most of the time.
//!
//! rustls has all of it until the connection settles, when it will last or much has been said. Then the record layer of our own
//! holds less and copies less, which is worth the keys that are derived for it.
//!
//! Records are decrypted where they were read to, on the stack. What is left of a record that has not come as a whole is kept,
//! and so is plaintext for which the reader has no room.

mod accept;
mod ending;
mod frame;
mod outgoing;
mod pieces;
mod records;
mod sealing;
mod session;
mod sizes;
mod spare;
#[cfg(test)]
mod tests;
mod unbuffered;

use std::{
    fmt,
    io::{self, IoSlice},
    mem::{self, MaybeUninit},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustls::Error;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    task::yield_now,
};

pub(super) use self::spare::Spares;
use self::{
    outgoing::Outgoing,
    session::Session,
    sizes::{MAX_RECORD_BYTES, READ_BYTES},
};
use crate::{client_stream::Settle, on_wake::OnWake};

pub struct TlsStream<S> {
    stream: S,
    session: Session,
    /// What has come of a record that is not whole.
    incoming: Vec<u8>,
    /// What is decrypted; `given` bytes of it have been read.
    plain: Vec<u8>,
    given: usize,
    outgoing: Outgoing,
    spares: Arc<Spares>,
    /// Has the peer closed its side of the connection?
    is_cut: bool,
    /// Have we said that nothing more comes?
    said_goodbye: bool,
    tickets: Tickets,
    /// How much more has to be said until it is worth settling.
    settles_after: usize,
    name: Option<Box<str>>,
}

/// A connection on which so much has been said is worth settling.
const MUCH_BYTES: usize = 256 * 1024;

/// The tickets for later connections, which nobody waits for.
enum Tickets {
    /// They wait for the answer to the first request, to go out with it.
    Kept,
    /// As before, and the request has not come with the end of the handshake. Many clients send it in a packet of its own, right
    /// behind, and HTTP/2 has to say something itself. Ready once the runtime has asked all sockets.
    KeptOnceMore(Box<OnWake<Pin<Box<dyn Future<Output = ()> + Send>>>>),
    /// They have nothing to wait for.
    Going,
    Gone,
}

fn failure(error: &Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.clone())
}

impl<S> TlsStream<S> {
    /// The protocol of ALPN.
    pub(super) fn alpn(&self) -> Option<&[u8]> {
        self.session.agreed()?.alpn_protocol()
    }

    /// The name that the client has asked for, if its hello was looked at.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Gives what is decrypted already.
    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let left = self.plain.get(self.given..).unwrap_or_default();
        let now = left.len().min(buf.remaining());
        buf.put_slice(left.get(..now).unwrap_or_default());
        self.given += now;
        if self.given >= self.plain.len() {
            self.plain = Vec::new();
            self.given = 0;
        }
    }
}

impl<S> Settle for TlsStream<S> {
    fn settle(&mut self) {
        self.settles_after = 0;
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    /// Reads once, and decrypts what came. Returns whether there may be more at once.
    fn poll_receive(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let plain = &mut self.plain;
        let sink = |bytes: &[u8]| {
            let now = if plain.is_empty() {
                bytes.len().min(buf.remaining())
            } else {
                0
            };
            let (now, later) = bytes.split_at(now);
            buf.put_slice(now);
            plain.extend_from_slice(later);
        };
        if self.incoming.is_empty() {
            if self.settles_after == 0 && !self.said_goodbye {
                self.session.settle();
                if self.session.failed().is_some() {
                    return Poll::Ready(Ok(true));
                }
            }
            #[expect(
                clippy::large_stack_arrays,
                reason = "a thread has 2 MiB of stack, and little below this needs more"
            )]
            let mut scratch = [MaybeUninit::<u8>::uninit(); READ_BYTES];
            let mut read = ReadBuf::uninit(&mut scratch);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
            let is_full = read.remaining() == 0;
            let came = read.filled_mut();
            if came.is_empty() {
                self.is_cut = true;
                return Poll::Ready(Ok(false));
            }
            let done = self.session.hear(came, sink, &mut self.outgoing, &self.spares);
            if let Some(rest) = came.get(done..).filter(|rest| !rest.is_empty()) {
                self.incoming = Vec::with_capacity(MAX_RECORD_BYTES);
                self.incoming.extend_from_slice(rest);
            }
            return Poll::Ready(Ok(is_full));
        }
        if self.incoming.len() >= MAX_RECORD_BYTES {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a message is too long",
            )));
        }
        self.incoming
            .reserve_exact(MAX_RECORD_BYTES - self.incoming.len());
        let read = {
            let reading = pin!(self.stream.read_buf(&mut self.incoming));
            ready!(Future::poll(reading, cx))?
        };
        if read == 0 {
            self.is_cut = true;
            return Poll::Ready(Ok(false));
        }
        let is_full = self.incoming.len() == self.incoming.capacity();
        let done = self
            .session
            .hear(&mut self.incoming, sink, &mut self.outgoing, &self.spares);
        if done >= self.incoming.len() {
            self.incoming = Vec::new();
        } else {
            self.incoming.drain(..done);
        }
        Poll::Ready(Ok(is_full))
    }

    /// Sends the tickets if there is nothing to which they could be added: when nothing has come once the runtime has asked all
    /// sockets. Whoever writes does it otherwise, and waits for it.
    fn poll_tickets(&mut self, cx: &mut Context<'_>) {
        if matches!(self.tickets, Tickets::Kept) {
            self.tickets = Tickets::KeptOnceMore(Box::new(OnWake::new(Box::pin(yield_now()))));
        }
        if let Tickets::KeptOnceMore(asked) = &mut self.tickets
            && Pin::new(asked).poll(cx).is_ready()
        {
            self.tickets = Tickets::Going;
        }
        if matches!(self.tickets, Tickets::Going) && self.poll_send(cx).is_ready() {
            self.tickets = Tickets::Gone;
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.poll_write(&mut self.stream, &self.spares, cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if !this.plain.is_empty() {
            this.give(buf);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        loop {
            let has_some = buf.filled().len() > before;
            if let Some(error) = this.session.failed() {
                return Poll::Ready(if has_some { Ok(()) } else { Err(failure(error)) });
            }
            if has_some && buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            if this.session.has_ended() {
                this.incoming = Vec::new();
                return Poll::Ready(Ok(()));
            }
            if this.is_cut {
                if has_some {
                    return Poll::Ready(Ok(()));
                }
                let what = "peer closed connection without sending TLS close_notify";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, what)));
            }
            match this.poll_receive(cx, buf) {
                Poll::Ready(Ok(may_be_more)) => {
                    if this.session.failed().is_some() {
                        // The alert.
                        let _: Poll<_> = this.poll_send(cx);
                    }
                    if !may_be_more && buf.filled().len() > before {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    if buf.filled().len() > before {
                        return Poll::Ready(Ok(()));
                    }
                    this.poll_tickets(cx);
                    return Poll::Pending;
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.tickets = Tickets::Gone;
        if pieces.iter().all(|piece| piece.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        if this.said_goodbye {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if this.outgoing.room_bytes() == 0 {
            ready!(this.poll_send(cx))?;
        }
        let taken = this
            .session
            .say(pieces, &mut this.incoming, &mut this.outgoing, &this.spares);
        if let Some(error) = this.session.failed() {
            return Poll::Ready(Err(failure(error)));
        }
        this.settles_after = this.settles_after.saturating_sub(taken);
        match this.poll_send(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(taken)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tickets = Tickets::Gone;
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.tickets = Tickets::Gone;
        if !mem::replace(&mut this.said_goodbye, true) {
            this.session
                .say_goodbye(&mut this.incoming, &mut this.outgoing, &this.spares);
        }
        ready!(this.poll_send(cx))?;
        match ready!(Pin::new(&mut this.stream).poll_shutdown(cx)) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            ended => Poll::Ready(ended),
        }
    }
}

impl<S> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").finish_non_exhaustive()
    }
}
