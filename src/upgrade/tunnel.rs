//! The tunnel itself: bytes one way, bytes the other, until one side ends or the gateway stops.

use std::{
    future::{pending, poll_fn},
    io,
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::oneshot,
    time::timeout,
};
use tracing::debug;

use super::{
    direction::{Direction, End, Sink},
    opening::Opening,
    registry::Tunnels,
    silence::Silence,
};
use crate::{
    client_stream::Switch, drain::Drain, joining::Arrival, on_wake::OnWake, token::UnverifiedParticipant,
};

/// How long the client may take to receive our 101.
const SWITCH_DEADLINE: Duration = Duration::from_secs(10);

/// How long one direction may go on when the other has ended with a Close; without one, its end is both's.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// For the end of a tunnel to reach a side that may take nothing more.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// Joins both sides once the client has switched; a drain waits for the tunnel. `whose` it is may show later; an `arrival` is over
/// once NATS has answered.
pub fn join(
    client: Switch,
    mut upstream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    tunnels: &Tunnels,
    whose: Option<UnverifiedParticipant>,
    arrival: Option<Arrival>,
    drain: &Drain,
) {
    let (tunnels, stop) = (tunnels.clone(), drain.clone());
    // In a box, as a task keeps the room for what is moved within it, and most have none.
    let arrival = arrival.map(Box::new);
    // In a box, which is given back when the client has switched.
    let switched = Box::pin(timeout(SWITCH_DEADLINE, client.switched()));
    drain.spawn(async move {
        let Ok(Ok(mut client)) = switched.await else {
            debug!(
                upstream = tunnels.name(),
                "A WebSocket was agreed on, but its client left before it began"
            );
            return;
        };
        let (open, mut to_close) = tunnels.enter(whose);
        let silence = tunnels.silence().map(Silence::begin);
        let opening = Opening::of(&tunnels, &open, arrival);
        // By reference, for the same room.
        let mut tunnel = Tunnel::between(&mut client, &mut upstream, silence.as_ref(), &opening);
        tunnel.run(&stop, &mut to_close).await;
    });
}

struct Tunnel<'t, C, U> {
    client: &'t mut C,
    upstream: &'t mut U,
    down: Direction,
    up: Direction,
    /// Which direction is asked first the next time: both live on one budget of the runtime's, and one alone may use it up.
    first: To,
    silence: Option<&'t Silence>,
    opening: &'t Opening<'t>,
}

/// Where bytes go.
#[derive(Clone, Copy)]
enum To {
    Client,
    Upstream,
}

impl To {
    fn back(self) -> Self {
        match self {
            Self::Client => Self::Upstream,
            Self::Upstream => Self::Client,
        }
    }
}

impl<'t, C, U> Tunnel<'t, C, U>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    fn between(
        client: &'t mut C,
        upstream: &'t mut U,
        silence: Option<&'t Silence>,
        opening: &'t Opening<'t>,
    ) -> Self {
        Self {
            client,
            upstream,
            down: Direction::new(Sink::Client),
            up: Direction::new(Sink::Upstream),
            first: To::Client,
            silence,
            opening,
        }
    }

    async fn run(&mut self, stop: &Drain, to_close: &mut oneshot::Receiver<()>) {
        let told = pin!(async {
            tokio::select! {
                () = stop.closing_in_turn() => {}
                Ok(()) = to_close => {}
            }
        });
        let mut told = OnWake::new(told);
        let mut is_told = false;
        let silence = self.silence;
        let fell = async {
            match silence {
                // In a box, as most tunnels have none.
                Some(silence) => Box::pin(silence.fell()).await,
                None => pending().await,
            }
        };
        let opening = self.opening;
        let watched = opening.watch();
        let (mut fell, mut watched) = (pin!(fell), pin!(watched));
        // Whoever is told something looks at it when it is polled again, which the next turn does.
        let (rest, within) = loop {
            tokio::select! {
                () = &mut watched => return,
                () = &mut told, if !is_told => {
                    is_told = true;
                    self.close();
                }
                (to, ended) = poll_fn(|cx| self.poll_either(cx)) => {
                    let rest = to.back();
                    break (rest, self.other_ended(rest, &ended));
                }
                who = &mut fell => {
                    debug!(?who, "A WebSocket is closed, as one side has fallen silent");
                    // To upstream it is the end of the connection, which dropping it says.
                    self.down.close();
                    break (To::Client, CLOSE_DEADLINE);
                }
            }
        };
        // In a box, as few tunnels are at their end.
        let ended = Box::pin(timeout(within, async {
            loop {
                tokio::select! {
                    _ = poll_fn(|cx| self.poll_to(rest, cx)) => return,
                    () = &mut told, if !is_told => {
                        is_told = true;
                        self.close();
                    }
                }
            }
        }));
        ended.await.ok();
    }

    /// Closes both sides with a Close frame.
    fn close(&mut self) {
        self.down.close();
        self.up.close();
    }

    /// How long the rest may go on. The end of a direction is told to the other side, which may answer a Close.
    fn other_ended(&mut self, rest: To, ended: &io::Result<End>) -> Duration {
        match ended {
            Ok(End::Closed) => LAST_WORDS,
            Ok(End::Gone) | Err(_) => {
                match rest {
                    To::Client => self.down.end(),
                    To::Upstream => self.up.end(),
                }
                CLOSE_DEADLINE
            }
        }
    }

    /// Passes on what there is both ways, until one has ended.
    fn poll_either(&mut self, cx: &mut Context<'_>) -> Poll<(To, io::Result<End>)> {
        let (first, second) = (self.first, self.first.back());
        self.first = second;
        for to in [first, second] {
            if let Poll::Ready(ended) = self.poll_to(to, cx) {
                return Poll::Ready((to, ended));
            }
        }
        Poll::Pending
    }

    /// Passes on what there is one way.
    fn poll_to(&mut self, to: To, cx: &mut Context<'_>) -> Poll<io::Result<End>> {
        let (silence, opening) = (self.silence, self.opening);
        match to {
            To::Client => {
                let hears = |bytes: &[u8]| {
                    if let Some(silence) = silence {
                        silence.upstream_said(bytes);
                    }
                    opening.upstream_said(bytes)
                };
                self.down.poll_pass(self.upstream, self.client, hears, cx)
            }
            To::Upstream => {
                let hears = |bytes: &[u8]| {
                    if let Some(silence) = silence {
                        silence.client_said();
                    }
                    opening.client_said(bytes);
                    true
                };
                self.up.poll_pass(self.client, self.upstream, hears, cx)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use tokio::io::{ReadBuf, repeat};

    use super::*;
    use crate::{observe::Metrics, upgrade::registry::Registry};

    /// A side that always has something to say, and takes all there is.
    #[derive(Default)]
    struct Tireless {
        heard_bytes: usize,
    }

    impl AsyncRead for Tireless {
        fn poll_read(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            pin!(repeat(0)).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for Tireless {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.heard_bytes += bytes.len();
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn neither_direction_keeps_the_other_waiting() {
        let tunnels = Tunnels::to("livekit", None, None, &Metrics::default(), &Registry::default());
        let ((open, mut to_close), stop) = (tunnels.enter(None), Drain::default());
        let opening = Opening::of(&tunnels, &open, None);
        let (mut client, mut upstream) = (Tireless::default(), Tireless::default());
        let mut tunnel = Tunnel::between(&mut client, &mut upstream, None, &opening);
        timeout(Duration::from_millis(100), tunnel.run(&stop, &mut to_close))
            .await
            .unwrap_err();
        let (fewer, more) = (
            client.heard_bytes.min(upstream.heard_bytes),
            client.heard_bytes.max(upstream.heard_bytes),
        );
        assert!(fewer > more / 4, "{fewer} and {more} bytes");
    }

    #[tokio::test]
    async fn what_waits_in_an_idle_tunnel_is_small() {
        let tunnels = Tunnels::to("livekit", None, None, &Metrics::default(), &Registry::default());
        let ((open, mut to_close), stop) = (tunnels.enter(None), Drain::default());
        let opening = Opening::of(&tunnels, &open, None);
        let (mut client, mut upstream) = (tokio::io::duplex(1).0, tokio::io::duplex(1).0);
        let mut tunnel = Tunnel::between(&mut client, &mut upstream, None, &opening);
        let bytes = size_of_val(&tunnel) + size_of_val(&tunnel.run(&stop, &mut to_close));
        assert!(bytes <= 700, "{bytes}");
    }
}
