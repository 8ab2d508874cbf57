//! TURN beside HTTPS: `LiveKit` offers `turns:DOMAIN:443`, and what comes there is told from HTTPS by what it says.
//!
//! TLS ends here. What is inside goes on to `LiveKit` as it is, after a PROXY header where `LiveKit` reads one; that is found
//! by asking (`probe`), at the start and whenever `LiveKit` has been away, as it says so nowhere and refuses without a word.
//!
//! Not here: which connection asked for which name, and agreed on what (`crate::listen`).
//!
//! Sources: RFC 7443 (ALPN for STUN), RFC 8489 section 6.3 (who may come first), RFC 8656.

mod look;
mod probe;
mod stun;

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::{Notify, watch},
    time::timeout,
};
use tracing::{debug, warn};

pub use self::stun::{
    allocate_request, begins_message, binding_request, length as message_length, mapped_address, realm,
};
use crate::{
    addr::Ends,
    drain::Drain,
    observe::{Metrics, OnceAMinute, UpstreamMetrics},
    proxy::{Dial, DialSettings, Target, Total},
    relay::{Relays, proxy_header_for_ipv4},
};

/// As metrics and the log have it.
const NAME: &str = "turn";

/// How `LiveKit` hears of clients' addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnHeader {
    /// The gateway asks LiveKit which form it wants.
    Auto,
    /// A PROXY header of version 2.
    V2,
    Off,
}

#[derive(Clone, Debug)]
pub struct TurnSettings {
    /// `LiveKit`'s TURN/TLS port.
    pub upstream: Target,
    /// Names of TURN's own, in lower case; none of them is one at which HTTP is served.
    pub names: Vec<String>,
    pub header: TurnHeader,
    pub dial: DialSettings,
    /// The most time for a client's first byte.
    pub silence: Duration,
}

/// TURN, running; clones are the same.
#[derive(Clone)]
pub struct Turn(Arc<State>);

struct State {
    settings: TurnSettings,
    /// None: not found yet, or `LiveKit` is away.
    way: watch::Sender<Option<Arc<Way>>>,
    /// How `LiveKit` takes connections, in a word.
    found: watch::Sender<&'static str>,
    /// A connection did not come about.
    lost: Arc<Notify>,
    relays: Relays,
    metrics: UpstreamMetrics,
    total: Total,
    away: OnceAMinute,
}

/// How connections get to `LiveKit`.
struct Way {
    dial: Dial,
    kind: Kind,
    /// An address of this machine.
    own: Ipv4Addr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Headers,
    /// `LiveKit` ends TLS itself.
    TlsInside,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Headers => "proxy_header",
            Self::TlsInside => "tls_inside",
        }
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Turn").field(&self.0.settings).finish()
    }
}

impl Turn {
    /// Looks for the way to `LiveKit` from now on, if that is not said in the settings.
    pub fn start(settings: TurnSettings, metrics: &Metrics, total: &Total, drain: &Drain) -> Self {
        let (header, upstream) = (settings.header, settings.upstream.clone());
        let state = Arc::new(State {
            settings,
            way: watch::Sender::new(None),
            found: watch::Sender::new("unknown"),
            lost: Arc::default(),
            relays: Relays::to(NAME, metrics, drain),
            metrics: metrics.upstream(NAME),
            total: total.clone(),
            away: OnceAMinute::new(|count| {
                warn!(count, "TURN connections were closed, as LiveKit takes none");
            }),
        });
        let kind = match header {
            TurnHeader::V2 => Some(Kind::Headers),
            TurnHeader::Off => Some(Kind::Plain),
            TurnHeader::Auto => None,
        };
        match (kind, &upstream) {
            (Some(kind), _) => state.goes(upstream, kind, Ipv4Addr::LOCALHOST),
            // There is nobody but this machine behind it, and no address to be found.
            (None, Target::Unix(_)) => state.goes(upstream, Kind::Plain, Ipv4Addr::LOCALHOST),
            (None, Target::Tcp { host, port }) => {
                let (host, port) = (host.clone(), *port);
                let (looking, drain) = (Arc::downgrade(&state), drain.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = look::keep_looking(looking, host, port) => {}
                        () = drain.draining() => {}
                    }
                });
            }
        }
        Self(state)
    }

    /// Is this name TURN's alone?
    pub fn has_name(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        self.0
            .settings
            .names
            .iter()
            .any(|own| own.eq_ignore_ascii_case(name))
    }

    /// How `LiveKit` takes connections, in a word: `proxy_header`, `plain`, `tls_inside`, `not_trusted`, `unknown` or `away`.
    pub fn found(&self) -> &'static str {
        *self.0.found.borrow()
    }

    /// How many relays are open.
    pub fn open(&self) -> i64 {
        self.0.relays.open()
    }

    /// Does `LiveKit` end TLS itself, so that connections to names of TURN's own have to be passed on as they are?
    pub fn ends_no_tls(&self) -> bool {
        let way = self.0.way.borrow();
        way.as_ref().is_some_and(|way| way.kind == Kind::TlsInside)
    }

    /// The most time for a client's first byte.
    pub fn silence(&self) -> Duration {
        self.0.settings.silence
    }

    /// Relays what is inside of TLS to its end.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, client: S, ends: Ends) {
        self.relay(client, ends, false).await;
    }

    /// Relays TLS as it came, to a `LiveKit` that ends it.
    pub async fn pass<S: AsyncRead + AsyncWrite + Unpin>(&self, client: S, ends: Ends) {
        self.relay(client, ends, true).await;
    }

    async fn relay<S: AsyncRead + AsyncWrite + Unpin>(&self, client: S, ends: Ends, is_tls: bool) {
        let Self(state) = self;
        let upstream = tokio::select! {
            upstream = state.reach(ends, is_tls) => upstream,
            () = state.relays.too_late() => return,
        };
        match upstream {
            Some(upstream) => {
                // Whoever is not answered may have been misunderstood.
                if !state.relays.run(client, upstream).await {
                    state.lost.notify_one();
                }
            }
            None => state.away.add(1),
        }
    }
}

/// How what listens here takes connections, in a word: as `Turn::found`.
pub async fn takes(at: SocketAddr) -> &'static str {
    probe::probe(at, probe::own_address().await).await.word()
}

impl State {
    fn goes(&self, to: Target, kind: Kind, own: Ipv4Addr) {
        self.found.send_replace(kind.word());
        let dial = Dial::new(to, self.settings.dial, self.metrics.clone(), self.total.clone());
        self.way.send_replace(Some(Arc::new(Way { dial, kind, own })));
    }

    /// A connection to `LiveKit` that is ready for what the client says.
    async fn reach(&self, ends: Ends, is_tls: bool) -> Option<impl AsyncRead + AsyncWrite + Unpin + use<>> {
        let mut known = self.way.subscribe();
        let within = self.settings.dial.within;
        let way = timeout(within, known.wait_for(Option::is_some))
            .await
            .ok()?
            .ok()?
            .clone()?;
        if is_tls != (way.kind == Kind::TlsInside) {
            return None;
        }
        let mut upstream = match way.dial.connect().await {
            Ok(upstream) => upstream,
            Err(error) => {
                debug!(peer = %ends.peer, %error, "A TURN connection is closed");
                self.lost.notify_one();
                return None;
            }
        };
        if way.kind == Kind::Headers {
            let own = match ends.local.ip() {
                IpAddr::V4(ip) => ip,
                IpAddr::V6(_) => way.own,
            };
            upstream.write_all(&proxy_header_for_ipv4(ends, own)).await.ok()?;
        }
        Some(upstream)
    }
}
