//! A listener whose connections are relayed unchanged to an upstream: RTMP, which the ingress speaks.

use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};

use super::accept::{Serve, accept};
use crate::{
    addr::{ClientAddr, Ends},
    drain::Drain,
    observe::OnceAMinute,
    places::{Place, Places},
    proxy::Dial,
    relay::Relays,
    workers::Workers,
};
use tracing::{debug, warn};

/// Relays the connections of a listener to one upstream.
#[derive(Clone)]
pub struct Tcp {
    dial: Dial,
    relays: Relays,
    away: OnceAMinute,
}

impl Tcp {
    /// Makes a listener whose connections are relayed to where `dial` connects; `upstream` is the upstream's name in
    /// the log.
    pub fn new(dial: Dial, relays: Relays, upstream: String) -> Self {
        Self {
            dial,
            relays,
            away: OnceAMinute::new(move |count| {
                warn!(
                    count,
                    upstream, "TCP connections were closed, as their upstream takes none"
                );
            }),
        }
    }

    /// Accepts connections until the drain begins.
    pub async fn run(self, listener: TcpListener, places: Places, drain: Drain, workers: Arc<Workers>) {
        accept(listener, self, places, drain, workers).await;
    }
}

impl Serve for Tcp {
    async fn serve(&self, stream: TcpStream, ends: Ends, place: Place) {
        if !place.belongs_to(ClientAddr(ends.peer.ip())) {
            return;
        }
        // A tunnel never counts as idle.
        place.watch(|| None);
        let upstream = tokio::select! {
            upstream = self.dial.connect() => upstream,
            () = self.relays.too_late() => return,
        };
        match upstream {
            Ok(upstream) => {
                self.relays.run(stream, upstream).await;
            }
            Err(error) => {
                debug!(peer = %ends.peer, %error, "A TCP connection is closed");
                self.away.add(1);
            }
        }
    }
}
