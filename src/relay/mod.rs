//! A relay: what a client sends goes to an upstream, and back, until both have ended or the gateway stops. What passes is
//! nobody's business here.
//!
//! Each way ends for itself: who has nothing more to say closes its side, and may go on listening. Nothing is closed for
//! silence while both sides are open, as what stands behind may be silent for ten minutes (an allocation of TURN); a peer
//! that vanished is found by TCP's keep-alive.
//!
//! Source: RFC 9293 section 3.6 (half-closed connections).

mod pass;
mod proxy_header;

use std::{fmt, time::Duration};

use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    time::timeout,
};
use tracing::debug;

use self::pass::Passing;
pub use self::proxy_header::{proxy_header, proxy_header_for_ipv4};
use crate::{drain::Drain, observe::Metrics};

/// For the end of a relay to reach sides that may take nothing more.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);

/// The relays to one upstream; clones are the same.
#[derive(Clone)]
pub struct Relays {
    name: &'static str,
    open: Gauge,
    drain: Drain,
}

/// One open relay; not counted any more when dropped.
struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl fmt::Debug for Relays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Relays").field(&self.name).finish()
    }
}

impl Relays {
    /// None open yet. They are counted as tunnels by this name, and end with this drain.
    pub fn to(name: &'static str, metrics: &Metrics, drain: &Drain) -> Self {
        Self {
            name,
            open: metrics.tunnels(name),
            drain: drain.clone(),
        }
    }

    pub fn open(&self) -> i64 {
        self.open.get()
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Relays between the two to their end, or until its turn to be closed at a stop. Says whether upstream has said
    /// anything.
    pub async fn run<C, U>(&self, mut client: C, mut upstream: U) -> bool
    where
        C: AsyncRead + AsyncWrite + Unpin,
        U: AsyncRead + AsyncWrite + Unpin,
    {
        self.open.inc();
        let _open = Open(self.open.clone());
        let mut passing = Passing::between(&mut client, &mut upstream);
        let ended = tokio::select! {
            ended = &mut passing => Some(ended),
            () = self.drain.closing_in_turn() => None,
        };
        let is_answered = passing.is_answered();
        match ended {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                debug!(upstream = self.name, %error, "A relay has broken off");
            }
            None => {
                let goodbye = async { tokio::join!(client.shutdown(), upstream.shutdown()) };
                timeout(CLOSE_DEADLINE, goodbye).await.ok();
            }
        }
        is_answered
    }

    /// Resolves when no connection is to be made for a client any more. Who came before another gateway took over is let
    /// through.
    pub async fn too_late(&self) {
        self.drain.draining().await;
        if self.drain.is_handed_over() {
            self.drain.closing().await;
        }
    }
}
