//! The tunnel itself: bytes one way, bytes the other, until one side ends or the gateway stops.

use std::{
    future::{pending, poll_fn},
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    task::{Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf},
    time::{sleep, timeout},
};
use tracing::debug;

use super::{
    frames::{Frames, GOING_AWAY, GOING_AWAY_MASKED},
    opening::Opening,
    registry::{Open, Tunnels},
    silence::Silence,
};
use crate::{client_stream::Switch, drain::Drain, joining::Arrival, token::UnverifiedParticipant};

const READ_BYTES: usize = 16 * 1024;

/// How long the client may take to receive our 101.
const SWITCH_DEADLINE: Duration = Duration::from_secs(10);

/// How long one direction may go on when the other has ended with a Close; without one, its end is both's.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// For the end of a tunnel to reach a side that may take nothing more.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// How long a frame that is under way may take to end when we have to close.
const FRAME_END: Duration = Duration::from_secs(1);

/// Joins both sides once the client has switched; a drain waits for the tunnel. `whose` it is may show later; an `arrival` is over
/// once NATS has answered.
pub fn join(
    client: Switch,
    upstream: impl AsyncRead + AsyncWrite + Send + 'static,
    tunnels: &Tunnels,
    whose: Option<UnverifiedParticipant>,
    arrival: Option<Arrival>,
    drain: &Drain,
) {
    let (tunnels, stop) = (tunnels.clone(), drain.clone());
    // In a box, which is given back when the client has switched.
    let switched = Box::pin(timeout(SWITCH_DEADLINE, client.switched()));
    // Here, as the task would keep the room for what it is moved out of.
    let upstream = tokio::io::split(upstream);
    drain.spawn(async move {
        let Ok(Ok(client)) = switched.await else {
            debug!(
                upstream = tunnels.name(),
                "A WebSocket was agreed on, but its client left before it began"
            );
            return;
        };
        let open = tunnels.enter(whose);
        let silence = tunnels.silence().map(Silence::begin);
        let opening = Opening::of(&tunnels, &open, arrival);
        let client = tokio::io::split(client);
        run(client, upstream, silence.as_ref(), &open, &opening, &stop).await;
    });
}

async fn run<C, U>(
    (from_client, to_client): (ReadHalf<C>, WriteHalf<C>),
    (from_upstream, to_upstream): (ReadHalf<U>, WriteHalf<U>),
    silence: Option<&Silence>,
    open: &Open,
    opening: &Opening<'_>,
    stop: &Drain,
) where
    C: AsyncRead + AsyncWrite,
    U: AsyncRead + AsyncWrite,
{
    let mut down = Direction {
        from: from_upstream,
        to: to_client,
        going_away: GOING_AWAY,
        hears: |bytes: &[u8]| {
            if let Some(silence) = silence {
                silence.upstream_said(bytes);
            }
            opening.upstream_said(bytes)
        },
    };
    let mut up = Direction {
        from: from_client,
        to: to_upstream,
        going_away: GOING_AWAY_MASKED,
        hears: |bytes: &[u8]| {
            if let Some(silence) = silence {
                silence.client_said();
            }
            opening.client_said(bytes);
            true
        },
    };
    let (down_told, up_told) = (Told::default(), Told::default());
    let down = down.pass(&down_told);
    let up = up.pass(&up_told);
    let told = async {
        tokio::select! {
            () = stop.closing_in_turn() => {}
            () = open.closing() => {}
        }
        down_told.to_close();
        up_told.to_close();
    };
    let fell = async {
        match silence {
            // In a box, as most tunnels have none.
            Some(silence) => Box::pin(silence.fell()).await,
            None => pending().await,
        }
    };
    let watched = opening.watch();
    tokio::pin!(down, up, told, fell, watched);
    let mut is_told = false;
    // Whoever is told something looks at it when it is polled again, which the next turn does.
    loop {
        tokio::select! {
            () = &mut watched => return,
            () = &mut told, if !is_told => is_told = true,
            ended = &mut down => {
                let within = up_told.other_ended(&ended);
                return Box::pin(rest(up, within, told, is_told)).await;
            }
            ended = &mut up => {
                let within = down_told.other_ended(&ended);
                return Box::pin(rest(down, within, told, is_told)).await;
            }
            who = &mut fell => {
                debug!(?who, "A WebSocket is closed, as one side has fallen silent");
                down_told.to_close();
                // To upstream it is the end of the connection, which dropping it says.
                return Box::pin(rest(down, CLOSE_DEADLINE, told, is_told)).await;
            }
        }
    }
}

/// What is left of a direction when the other one has ended: it may still be told to close.
async fn rest(
    mut direction: Pin<&mut impl Future<Output = io::Result<End>>>,
    within: Duration,
    told: Pin<&mut impl Future<Output = ()>>,
    is_told: bool,
) {
    let ended = async {
        tokio::select! {
            _ = &mut direction => return,
            () = told, if !is_told => {}
        }
        direction.await.ok();
    };
    timeout(within, ended).await.ok();
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// A Close frame went by, which the other side answers.
    Closed,
    /// Its source has closed or failed.
    Gone,
}

/// What a direction is told. Two flags in the place of two futures: most tunnels are idle most of the time, and what waits
/// in each of them is memory.
#[derive(Default)]
struct Told {
    close: AtomicBool,
    over: AtomicBool,
}

impl Told {
    /// Closes with a Close frame.
    fn to_close(&self) {
        self.close.store(true, Relaxed);
    }

    /// How long it may go on. Its end is told to the other side, which may answer a Close.
    fn other_ended(&self, ended: &io::Result<End>) -> Duration {
        match ended {
            Ok(End::Closed) => LAST_WORDS,
            Ok(End::Gone) | Err(_) => {
                self.over.store(true, Relaxed);
                CLOSE_DEADLINE
            }
        }
    }
}

/// One direction of a tunnel.
struct Direction<R, W, H> {
    from: ReadHalf<R>,
    to: WriteHalf<W>,
    /// What the sink is told if it is we who end it.
    going_away: &'static [u8],
    /// Hears what passes, and returns false if it must not: the sink is told that we end it instead.
    hears: H,
}

/// What comes next in a direction.
enum Next {
    Bytes(Vec<u8>),
    /// It is to be closed with a Close frame.
    Close,
    /// Its source has ended, or all is over.
    End,
}

impl<R: AsyncRead, W: AsyncWrite, H: Fn(&[u8]) -> bool> Direction<R, W, H> {
    /// Until its source ends, its sink breaks, it is to be closed with a Close frame, or all is over.
    async fn pass(&mut self, told: &Told) -> io::Result<End> {
        let mut frames = Frames::default();
        let mut closing = false;
        loop {
            if closing && frames.between_frames() {
                self.to.write_all(self.going_away).await?;
                break;
            }
            // INVARIANT: only the read may be given up; a write cut off would leave half a frame behind.
            match self.next(told, closing).await? {
                Next::Bytes(bytes) => {
                    if !(self.hears)(&bytes) {
                        closing = true;
                        continue;
                    }
                    self.to.write_all(&bytes).await?;
                    self.to.flush().await?;
                    frames.pass(&bytes);
                }
                Next::Close => closing = true,
                Next::End => break,
            }
        }
        self.to.shutdown().await?;
        Ok(if closing || frames.closed() {
            End::Closed
        } else {
            End::Gone
        })
    }

    /// What there is to read, in memory that is held only while it passes. While it is `closing` it waits for no longer
    /// than `FRAME_END`.
    async fn next(&mut self, told: &Told, closing: bool) -> io::Result<Next> {
        let mut frame_end = closing.then(|| Box::pin(sleep(FRAME_END)));
        poll_fn(|cx| {
            if told.over.load(Relaxed) {
                return Poll::Ready(Ok(Next::End));
            }
            if !closing && told.close.load(Relaxed) {
                return Poll::Ready(Ok(Next::Close));
            }
            if let Some(frame_end) = &mut frame_end
                && frame_end.as_mut().poll(cx).is_ready()
            {
                return Poll::Ready(Ok(Next::End));
            }
            let mut scratch = [MaybeUninit::<u8>::uninit(); READ_BYTES];
            let mut buffer = ReadBuf::uninit(&mut scratch);
            ready!(Pin::new(&mut self.from).poll_read(cx, &mut buffer))?;
            let bytes = buffer.filled();
            Poll::Ready(Ok(if bytes.is_empty() {
                Next::End
            } else {
                Next::Bytes(bytes.to_vec())
            }))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{observe::Metrics, upgrade::registry::Registry};

    #[tokio::test]
    async fn what_waits_in_an_idle_tunnel_is_small() {
        let tunnels = Tunnels::to("livekit", None, None, &Metrics::default(), &Registry::default());
        let (open, stop) = (tunnels.enter(None), Drain::default());
        let opening = Opening::of(&tunnels, &open, None);
        let (client, upstream) = (tokio::io::duplex(1).0, tokio::io::duplex(1).0);
        let running = run(
            tokio::io::split(client),
            tokio::io::split(upstream),
            None,
            &open,
            &opening,
            &stop,
        );
        let bytes = size_of_val(&running);
        assert!(bytes <= 1200, "{bytes}");
    }
}
