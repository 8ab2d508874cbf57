//! The tunnel itself: bytes one way, bytes the other, until one side ends or the gateway stops.

use std::{
    future::{pending, poll_fn},
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Poll, ready},
    time::Duration,
};

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{
    frames::{Frames, GOING_AWAY, GOING_AWAY_MASKED},
    overheard::Overheard,
    registry::{Open, Tunnels},
    silence::Silence,
};
use crate::{drain::Drain, joining::Arrival, token::UnverifiedParticipant};

/// The size of one read.
const READ_BYTES: usize = 16 * 1024;

/// How long the client may take to receive our 101 and both sides to hand over their sockets.
const SWITCH_DEADLINE: Duration = Duration::from_secs(10);

/// How long one direction may go on when the other has ended with a Close; without one, its end is both's.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// For the end of a tunnel to reach a side that may take nothing more.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// How long a frame that is under way may take to end when we have to close.
const FRAME_END: Duration = Duration::from_secs(1);

/// Joins both sides once they have switched; a drain waits for the tunnel. `whose` it is may show later; an `arrival` is over
/// once NATS has answered.
pub fn join(
    client: OnUpgrade,
    upstream: OnUpgrade,
    tunnels: &Tunnels,
    whose: Option<UnverifiedParticipant>,
    arrival: Option<Arrival>,
    drain: &Drain,
) {
    let (tunnels, stop) = (tunnels.clone(), drain.clone());
    drain.spawn(async move {
        let Ok(Ok((client, upstream))) =
            timeout(SWITCH_DEADLINE, async { tokio::try_join!(client, upstream) }).await
        else {
            debug!(
                upstream = tunnels.name(),
                "A WebSocket was agreed on, but one side left before it began"
            );
            return;
        };
        let open = tunnels.enter(whose);
        let silence = tunnels.silence().map(Silence::begin);
        let overheard = Overheard::of(&tunnels, &open, arrival);
        let (client, upstream) = (TokioIo::new(client), TokioIo::new(upstream));
        run(client, upstream, silence, &open, &overheard, &stop).await;
    });
}

async fn run<C, U>(
    client: C,
    upstream: U,
    silence: Option<Silence>,
    open: &Open,
    overheard: &Overheard<'_>,
    stop: &Drain,
) where
    C: AsyncRead + AsyncWrite,
    U: AsyncRead + AsyncWrite,
{
    let (from_client, to_client) = tokio::io::split(client);
    let (from_upstream, to_upstream) = tokio::io::split(upstream);
    let silent = CancellationToken::new();
    let heard = silence.as_ref();
    let down = Direction {
        from: from_upstream,
        to: to_client,
        going_away: GOING_AWAY,
        hears: |bytes: &[u8]| {
            if let Some(silence) = heard {
                silence.upstream_said(bytes);
            }
            overheard.upstream_said(bytes);
        },
    };
    let up = Direction {
        from: from_client,
        to: to_upstream,
        going_away: GOING_AWAY_MASKED,
        hears: |bytes: &[u8]| {
            if let Some(silence) = heard {
                silence.client_said();
            }
            overheard.client_said(bytes);
        },
    };
    let over = CancellationToken::new();
    let told_to_close = async {
        tokio::select! {
            () = stop.closing() => {}
            () = open.closing() => {}
        }
    };
    let client_told_to_close = async {
        tokio::select! {
            () = stop.closing() => {}
            () = open.closing() => {}
            () = silent.cancelled() => {}
        }
    };
    let down = down.pass(client_told_to_close, over.cancelled());
    let up = up.pass(told_to_close, over.cancelled());
    tokio::pin!(down, up);
    let fell = async {
        match &silence {
            Some(silence) => silence.fell().await,
            None => pending().await,
        }
    };
    // The other side is told, and may answer a Close.
    let last_words = |ended: io::Result<End>| match ended {
        Ok(End::Closed) => LAST_WORDS,
        Ok(End::Gone) | Err(_) => {
            over.cancel();
            CLOSE_DEADLINE
        }
    };
    tokio::select! {
        () = overheard.watch() => {}
        ended = &mut down => { timeout(last_words(ended), up).await.ok(); }
        ended = &mut up => { timeout(last_words(ended), down).await.ok(); }
        who = fell => {
            debug!(?who, "A WebSocket is closed, as one side has fallen silent");
            silent.cancel();
            // To upstream it is the end of the connection, which dropping it says.
            timeout(CLOSE_DEADLINE, down).await.ok();
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// A Close frame went by, which the other side answers.
    Closed,
    /// Its source has closed or failed.
    Gone,
}

/// One direction of a tunnel.
struct Direction<R, W, H> {
    from: ReadHalf<R>,
    to: WriteHalf<W>,
    /// What the sink is told if it is we who end it.
    going_away: &'static [u8],
    hears: H,
}

impl<R: AsyncRead, W: AsyncWrite, H: Fn(&[u8])> Direction<R, W, H> {
    /// Until its source ends, its sink breaks, it is to be closed with a Close frame, or all is over.
    async fn pass(self, close: impl Future<Output = ()>, over: impl Future<Output = ()>) -> io::Result<End> {
        let Self {
            mut from,
            mut to,
            going_away,
            hears,
        } = self;
        let mut frames = Frames::default();
        let mut closing = false;
        tokio::pin!(close, over);
        loop {
            if closing && frames.between_frames() {
                to.write_all(going_away).await?;
                break;
            }
            // INVARIANT: only the read may be given up; a write cut off would leave half a frame behind.
            let bytes = tokio::select! {
                read = read(&mut from) => read?,
                () = &mut close, if !closing => {
                    closing = true;
                    continue;
                }
                () = tokio::time::sleep(FRAME_END), if closing => break,
                () = &mut over => break,
            };
            if bytes.is_empty() {
                break;
            }
            hears(&bytes);
            to.write_all(&bytes).await?;
            to.flush().await?;
            frames.pass(&bytes);
        }
        to.shutdown().await?;
        Ok(if closing || frames.closed() {
            End::Closed
        } else {
            End::Gone
        })
    }
}

/// What there is to read, in memory that is held only while it passes: most tunnels are idle most of the time.
async fn read<R: AsyncRead>(from: &mut ReadHalf<R>) -> io::Result<Vec<u8>> {
    poll_fn(|cx| {
        let mut scratch = [MaybeUninit::<u8>::uninit(); READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut scratch);
        ready!(Pin::new(&mut *from).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().to_vec()))
    })
    .await
}
