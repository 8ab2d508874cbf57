//! Looking for the way to `LiveKit`: at the start, and each time that it comes back, as it may come back with other settings.
//!
//! One connection is kept to see it go: nothing is said over it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    io::AsyncReadExt,
    net::{TcpStream, lookup_host},
    time::sleep,
};
use tracing::{info, warn};

use super::{
    Kind, State,
    probe::{Finding, own_address, probe},
};
use crate::proxy::Target;

/// Between two looks while `LiveKit` is away, or wants what can't be given.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Before the next look when the connection has ended or another did not come about: some servers close what is silent.
const REST: Duration = Duration::from_secs(1);

/// Ends with the last clone of `Turn`.
pub(super) async fn keep_looking(state: Weak<State>, host: String, port: u16) {
    let mut told = None;
    loop {
        let own = own_address().await;
        let upstream = match lookup_host((host.as_str(), port)).await {
            Ok(mut found) => found.next(),
            Err(_) => None,
        };
        let finding = match upstream {
            Some(upstream) => probe(upstream, own).await,
            None => Finding::Away,
        };
        let Some(turn) = state.upgrade() else { return };
        let way = match finding {
            Finding::Headers(at) => Some((at, Kind::Headers)),
            Finding::Plain(at) => Some((at, Kind::Plain)),
            Finding::TlsInside(at) => Some((at, Kind::TlsInside)),
            Finding::NotTrusted | Finding::Unknown | Finding::Away => None,
        };
        if told.replace(finding) != Some(finding) {
            tell(finding, &host, port);
            if let Some((at, kind)) = way {
                turn.goes(target(at), kind, own.unwrap_or(Ipv4Addr::LOCALHOST));
            } else {
                turn.way.send_replace(None);
                turn.found.send_replace(finding.word());
            }
        }
        let lost = Arc::clone(&turn.lost);
        drop(turn);
        match way {
            Some((at, _)) => {
                tokio::select! {
                    () = gone(at) => {}
                    () = lost.notified() => {}
                }
                sleep(REST).await;
            }
            None => sleep(LOOK_AGAIN).await,
        }
    }
}

/// What was found, in words for an operator: `LiveKit` logs nothing about it.
fn tell(finding: Finding, host: &str, port: u16) {
    match finding {
        Finding::Headers(at) => {
            info!(upstream = %at, "TURN: LiveKit reads PROXY headers, and so knows the addresses of clients");
        }
        Finding::Plain(at) if at.ip().is_loopback() => warn!(
            upstream = %at,
            "TURN: LiveKit reads no PROXY header and is reached over loopback, which Firefox refuses: set \
             turn.proxy_protocol: true in livekit.yaml (LiveKit 1.13.7), or let it listen on this machine's address"
        ),
        Finding::Plain(at) => {
            info!(upstream = %at, "TURN: LiveKit reads no PROXY header, and so takes this machine for the client");
        }
        Finding::TlsInside(at) => warn!(
            upstream = %at,
            "TURN: LiveKit ends TLS itself; only connections to turn.names are passed on to it: set turn.external_tls: true \
             in livekit.yaml"
        ),
        Finding::NotTrusted => warn!(
            host,
            port,
            "TURN: LiveKit reads PROXY headers, and not from this machine: add it to turn.proxy_protocol_trusted_cidrs in \
             livekit.yaml"
        ),
        Finding::Unknown => warn!(
            host,
            port,
            "TURN: what listens at turn.upstream does not answer as TURN; is it LiveKit's turn.tls_port?"
        ),
        Finding::Away => warn!(
            host,
            port, "TURN: nobody listens at turn.upstream; it is looked at until somebody does"
        ),
    }
}

fn target(at: SocketAddr) -> Target {
    Target::Tcp {
        host: at.ip().to_string(),
        port: at.port(),
    }
}

/// Resolves when a connection that says nothing has ended.
async fn gone(at: SocketAddr) {
    let Ok(mut stream) = TcpStream::connect(at).await else {
        return;
    };
    let mut part = [0; 64];
    while stream.read(&mut part).await.is_ok_and(|bytes| bytes > 0) {}
}
