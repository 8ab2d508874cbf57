//! The tunnel itself: bytes one way, bytes the other, until one side ends or the gateway stops.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Poll, ready},
    time::Duration,
};

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf},
    time::timeout,
};
use tracing::debug;

use super::{
    frames::{Frames, GOING_AWAY, GOING_AWAY_MASKED},
    registry::Tunnels,
};
use crate::drain::Drain;

/// What is read at once.
const READ_BYTES: usize = 16 * 1024;

/// How long the client may take to receive our 101 and both sides to hand over their sockets.
const SWITCH_DEADLINE: Duration = Duration::from_secs(10);

/// How long one direction may go on when the other has ended.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How long a frame that is under way may take to end when we have to close.
const FRAME_END: Duration = Duration::from_secs(1);

/// Joins both sides once they have switched; a drain waits for the tunnel.
pub fn join(client: OnUpgrade, upstream: OnUpgrade, tunnels: &Tunnels, drain: &Drain) {
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
        let _open = tunnels.enter();
        run(client, upstream, &stop).await;
    });
}

async fn run(client: Upgraded, upstream: Upgraded, stop: &Drain) {
    let (from_client, to_client) = tokio::io::split(TokioIo::new(client));
    let (from_upstream, to_upstream) = tokio::io::split(TokioIo::new(upstream));
    let down = pass(from_upstream, to_client, GOING_AWAY, stop);
    let up = pass(from_client, to_upstream, GOING_AWAY_MASKED, stop);
    tokio::pin!(down, up);
    tokio::select! {
        _ = &mut down => { timeout(LAST_WORDS, up).await.ok(); }
        _ = &mut up => { timeout(LAST_WORDS, down).await.ok(); }
    }
}

/// One direction, until its source ends, its sink breaks, or the gateway stops.
async fn pass<R, W>(
    mut from: ReadHalf<R>,
    mut to: WriteHalf<W>,
    going_away: &[u8],
    stop: &Drain,
) -> io::Result<()>
where
    R: AsyncRead,
    W: AsyncWrite,
{
    let mut frames = Frames::default();
    let mut closing = false;
    loop {
        if closing && frames.between_frames() {
            to.write_all(going_away).await?;
            break;
        }
        // INVARIANT: only the read may be given up; a write cut off would leave half a frame behind.
        let bytes = tokio::select! {
            read = read(&mut from) => read?,
            () = stop.closing(), if !closing => {
                closing = true;
                continue;
            }
            () = tokio::time::sleep(FRAME_END), if closing => break,
        };
        if bytes.is_empty() {
            break;
        }
        to.write_all(&bytes).await?;
        to.flush().await?;
        frames.pass(&bytes);
    }
    to.shutdown().await
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
