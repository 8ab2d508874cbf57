//! Bytes on their way, both ways in one future.
//!
//! They are read into one buffer on the stack of whoever polls, and written from there: what a connection holds while
//! nothing moves is nothing, and nothing is copied but what the other side does not take at once.

use std::{
    future::Future,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// What is read at once: as much as four records of TLS.
const READ_BYTES: usize = 64 * 1024;

/// For silence when one side has closed: the other may have vanished from a program that never reads again.
const HALF_OPEN: Duration = Duration::from_secs(15 * 60);

/// A relay under way; it resolves when both ways have ended.
pub(super) struct Passing<'s, C, U> {
    client: &'s mut C,
    upstream: &'s mut U,
    up: Way,
    down: Way,
    /// Runs once one direction has ended.
    half_open: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Its source has ended, which its sink has not been told.
    Ending,
    Ended,
}

/// One direction of a relay.
struct Way {
    state: State,
    /// What the sink has not taken yet.
    rest: Vec<u8>,
    /// How much of `rest` is gone.
    gone: usize,
    /// Does the sink hold something that it was given?
    unflushed: bool,
    /// Has any byte gone this way?
    used: bool,
}

impl<'s, C, U> Passing<'s, C, U>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    pub(super) fn between(client: &'s mut C, upstream: &'s mut U) -> Self {
        let way = || Way {
            state: State::Open,
            rest: Vec::new(),
            gone: 0,
            unflushed: false,
            used: false,
        };
        Self {
            client,
            upstream,
            up: way(),
            down: way(),
            half_open: None,
        }
    }

    /// Has upstream said anything?
    pub(super) fn is_answered(&self) -> bool {
        self.down.used
    }
}

impl<C, U> Future for Passing<'_, C, U>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut moved = false;
        let up = this.up.poll(cx, this.client, this.upstream, &mut moved)?;
        let down = this.down.poll(cx, this.upstream, this.client, &mut moved)?;
        if up.is_ready() && down.is_ready() {
            return Poll::Ready(Ok(()));
        }
        if up.is_pending() && down.is_pending() {
            return Poll::Pending;
        }
        let half_open = this.half_open.get_or_insert_with(|| Box::pin(sleep(HALF_OPEN)));
        if moved {
            half_open.as_mut().reset(Instant::now() + HALF_OPEN);
        }
        ready!(half_open.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Way {
    fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
        moved: &mut bool,
    ) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            ready!(self.poll_rest(cx, to))?;
            match self.state {
                State::Open => {}
                State::Ending => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                    self.state = State::Ended;
                    return Poll::Ready(Ok(()));
                }
                State::Ended => return Poll::Ready(Ok(())),
            }
            #[expect(
                clippy::large_stack_arrays,
                reason = "a thread has 2 MiB of stack, and nothing below this needs more"
            )]
            let mut scratch = [MaybeUninit::<u8>::uninit(); READ_BYTES];
            let mut buffer = ReadBuf::uninit(&mut scratch);
            if Pin::new(&mut *from).poll_read(cx, &mut buffer)?.is_pending() {
                if self.unflushed && Pin::new(&mut *to).poll_flush(cx)?.is_ready() {
                    self.unflushed = false;
                }
                return Poll::Pending;
            }
            *moved = true;
            let mut bytes = buffer.filled();
            if bytes.is_empty() {
                self.state = State::Ending;
            }
            while !bytes.is_empty() {
                match Pin::new(&mut *to).poll_write(cx, bytes)? {
                    Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(taken) => {
                        self.unflushed = true;
                        self.used = true;
                        bytes = bytes.get(taken..).unwrap_or_default();
                    }
                    Poll::Pending => {
                        self.rest = bytes.to_vec();
                        self.gone = 0;
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    fn poll_rest<W: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, to: &mut W) -> Poll<io::Result<()>> {
        while let Some(rest) = self.rest.get(self.gone..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut *to).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                taken => self.gone += taken,
            }
            self.unflushed = true;
        }
        self.rest = Vec::new();
        self.gone = 0;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// More than any buffer between the two holds, into a side that takes it in small pieces.
    #[tokio::test]
    async fn everything_arrives_in_order_both_ways() {
        let (mut client, mut inner_client) = duplex(1000);
        let (mut upstream, mut inner_upstream) = duplex(77);
        let bytes: Vec<u8> = (0..300_000_u32).map(|nth| nth.to_le_bytes()[0]).collect();
        let relay = async { Passing::between(&mut inner_client, &mut inner_upstream).await };
        let (sent, expected) = (bytes.clone(), bytes.clone());
        let sending = async move {
            client.write_all(&sent).await.unwrap();
            client.shutdown().await.unwrap();
            let mut echo = Vec::new();
            client.read_to_end(&mut echo).await.unwrap();
            assert_eq!(echo, b"heard");
        };
        let receiving = async move {
            let mut got = Vec::new();
            upstream.read_to_end(&mut got).await.unwrap();
            assert!(got == expected);
            // The client has closed its side, and still hears.
            upstream.write_all(b"heard").await.unwrap();
            upstream.shutdown().await.unwrap();
        };
        let (relayed, (), ()) = tokio::join!(relay, sending, receiving);
        relayed.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_nothing_until_one_side_has_closed() {
        let (mut client, mut inner_client) = duplex(64);
        let (mut upstream, mut inner_upstream) = duplex(64);
        let relay =
            tokio::spawn(async move { Passing::between(&mut inner_client, &mut inner_upstream).await });
        sleep(Duration::from_secs(24 * 3600)).await;
        client.write_all(b"a").await.unwrap();
        assert_eq!(upstream.read_u8().await.unwrap(), b'a');
        client.shutdown().await.unwrap();
        sleep(Duration::from_secs(14 * 60)).await;
        upstream.write_all(b"b").await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'b');
        sleep(Duration::from_secs(14 * 60)).await;
        assert!(!relay.is_finished());
        sleep(Duration::from_secs(2 * 60)).await;
        let ended = relay.await.unwrap().unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
    }
}
