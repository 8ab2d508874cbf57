//! What shares the port with HTTPS: TURN, and names whose TLS an upstream terminates.
//!
//! A TLS connection that is terminated here belongs to TURN if it asks for one of TURN's names, if ALPN agrees on
//! `stun.turn`, or, where it could also be HTTP/1, if it begins with a STUN message: coturn's client offers `http/1.1`
//! and speaks TURN. Every other one is HTTP.
//!
//! A connection without a byte is normal: browsers open several at once, and never use most of them.

use std::{collections::HashMap, io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tracing::{debug, warn};

use super::replay::Replayed;
use crate::{
    addr::Ends,
    client_stream::Settle,
    conn::Protocol,
    observe::OnceAMinute,
    places::Place,
    proxy::{Dial, Target},
    relay::{Relays, proxy_header},
    tls::{Negotiated, TlsStream},
    turn::{Turn, begins_message},
};

/// The size in bytes of a first read: more than has to be seen of a STUN message.
const FIRST_BYTES: usize = 2048;

/// How long each further read may take until it is known whether the first bytes begin a STUN message.
const COMES: Duration = Duration::from_secs(10);

/// The names that `[[passthrough]]` sends to one upstream.
#[derive(Clone, Debug)]
pub struct OnwardSettings {
    /// The names in lower case. One that begins with `*.` stands for all names with one label in the place of the `*`.
    pub names: Vec<String>,
    pub upstream: Target,
    /// Does the upstream get a PROXY header, which tells the client's address?
    pub header: bool,
}

/// An upstream that terminates TLS itself.
#[derive(Clone)]
pub struct Onward {
    pub dial: Dial,
    /// Does the upstream get a PROXY header, which tells the client's address?
    pub header: bool,
}

/// What shares the port with HTTPS.
pub struct Beside {
    turn: Option<Turn>,
    exact: HashMap<String, Onward>,
    /// The upstreams of names with a `*`, by what follows `*.`.
    wildcard: HashMap<String, Onward>,
    relays: Relays,
    away: OnceAMinute,
}

/// Whose connection a TLS connection is that is terminated here.
pub(super) enum Owner {
    Http(Box<Replayed<TlsStream<TcpStream>>>, Protocol),
    Turn(Box<Replayed<TlsStream<TcpStream>>>),
    /// The client sent nothing, or nobody here speaks what ALPN agreed on.
    Nobody,
}

/// Where a connection goes whose TLS is not terminated here.
pub(super) enum Way {
    Onward(Onward),
    Turn,
}

impl Beside {
    /// Makes it of TURN, if it is on, and of the names that are passed through, as they are configured: some begin with
    /// `*.`.
    pub fn new(turn: Option<Turn>, names: Vec<(String, Onward)>, relays: Relays) -> Self {
        let (mut exact, mut wildcard) = (HashMap::new(), HashMap::new());
        for (name, onward) in names {
            match name.strip_prefix("*.") {
                Some(rest) => wildcard.insert(rest.to_owned(), onward),
                None => exact.insert(name, onward),
            };
        }
        Self {
            turn,
            exact,
            wildcard,
            relays,
            away: OnceAMinute::new(|count| {
                warn!(
                    count,
                    "Connections to names of [[passthrough]] were closed, as their upstream takes none"
                );
            }),
        }
    }

    /// Where a connection to this name goes; `None` if its TLS is terminated here.
    pub(super) fn way(&self, name: &str) -> Option<Way> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let onward = self
            .exact
            .get(name)
            .or_else(|| self.wildcard.get(name.split_once('.')?.1));
        match (onward, &self.turn) {
            (Some(onward), _) => Some(Way::Onward(onward.clone())),
            (None, Some(turn)) if turn.ends_no_tls() && turn.has_name(name) => Some(Way::Turn),
            (None, _) => None,
        }
    }

    /// Finds out whose connection this is. Where the first bytes decide, they may take as long as `Turn::silence` says.
    pub(super) async fn owner(&self, mut stream: TlsStream<TcpStream>, negotiated: Negotiated) -> Owner {
        let asked = stream.name().map(str::to_owned);
        let mut first = Vec::new();
        let protocol = match (&self.turn, negotiated) {
            (Some(turn), Negotiated::Turn) => {
                if !waited(&mut stream, &mut first, turn.silence()).await {
                    return Owner::Nobody;
                }
                return Owner::Turn(Box::new(Replayed::new(first, stream)));
            }
            (None, Negotiated::Turn) | (_, Negotiated::Check) => return Owner::Nobody,
            (Some(turn), Negotiated::Http(protocol)) => {
                let is_turn = asked.is_some_and(|name| turn.has_name(&name));
                if is_turn || protocol == Protocol::Http1 {
                    if !waited(&mut stream, &mut first, turn.silence()).await {
                        return Owner::Nobody;
                    }
                    if is_turn || is_message(&mut stream, &mut first).await {
                        return Owner::Turn(Box::new(Replayed::new(first, stream)));
                    }
                }
                protocol
            }
            (None, Negotiated::Http(protocol)) => protocol,
        };
        Owner::Http(Box::new(Replayed::new(first, stream)), protocol)
    }

    /// Relays a TURN connection to its end.
    pub(super) async fn turn(&self, mut stream: Replayed<TlsStream<TcpStream>>, ends: Ends, place: &Place) {
        // A tunnel never counts as idle.
        place.watch(|| None);
        stream.settle();
        if let Some(turn) = &self.turn {
            turn.serve(stream, ends).await;
        }
    }

    /// Relays a connection whose TLS is not terminated here to its end.
    pub(super) async fn pass(&self, way: Way, stream: Replayed<TcpStream>, ends: Ends, place: &Place) {
        place.watch(|| None);
        let onward = match (way, &self.turn) {
            (Way::Turn, Some(turn)) => return turn.pass(stream, ends).await,
            (Way::Turn, None) => return,
            (Way::Onward(onward), _) => onward,
        };
        let reached = async {
            let mut upstream = onward.dial.connect().await.map_err(io::Error::other)?;
            if onward.header {
                upstream.write_all(&proxy_header(ends)).await?;
            }
            Ok::<_, io::Error>(upstream)
        };
        let reached = tokio::select! {
            reached = reached => reached,
            () = self.relays.too_late() => return,
        };
        match reached {
            Ok(upstream) => {
                self.relays.run(stream, upstream).await;
            }
            Err(error) => {
                debug!(peer = %ends.peer, %error, "A connection that is passed through is closed");
                self.away.add(1);
            }
        }
    }
}

/// Reads once, and adds what came to `first`. Returns whether anything came within this time.
async fn waited<S: AsyncRead + Unpin>(stream: &mut S, first: &mut Vec<u8>, within: Duration) -> bool {
    first.reserve(FIRST_BYTES);
    matches!(timeout(within, stream.read_buf(first)).await, Ok(Ok(1..)))
}

/// Do the first bytes begin a STUN message? Reads more where they don't tell yet, and adds it to `first`.
async fn is_message<S: AsyncRead + Unpin>(stream: &mut S, first: &mut Vec<u8>) -> bool {
    loop {
        match begins_message(first) {
            Some(is_message) => return is_message,
            None if waited(stream, first, COMES).await => {}
            None => return false,
        }
    }
}
