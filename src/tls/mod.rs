//! TLS of the front door: versions 1.2 and 1.3, hybrid post-quantum key exchange first, a certificate for each name.
//!
//! A handshake costs more than a request and the other end decides how long it takes, so it has a deadline; whoever
//! accepts runs it in a task of its own.
//!
//! Why these settings: tickets are stateless, so no table of sessions grows; there is no early data, as it can be
//! replayed (RFC 8446 section 8) and a signed request has no nonce; clients show no certificate, as none has one.
//!
//! Not here: sockets (`crate::listen`), what is spoken inside (`crate::conn`), TLS towards upstreams (`crate::proxy`).

mod age;
mod challenge;
mod development;
mod folder;
mod hello;
mod leaf;
mod outcome;
mod pair;
mod problem;
mod served;
mod settings;
mod sni;
mod store;
mod stream;
mod tickets;
mod watch;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, atomic::AtomicBool},
};

use rustls::{
    ServerConfig, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    server::ResolvesServerCert,
    version::{TLS12, TLS13},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::info;

use crate::{
    acme::{ALPN, Answers},
    conn::Protocol,
};

use self::{
    served::{Served, Shared},
    tickets::Tickets,
};
pub use hello::Hello;
pub use outcome::HandshakeError;
pub use problem::{Fault, TlsProblem, TlsWarning};
pub use stream::TlsStream;

pub use served::Coming;
pub use settings::{TlsSettings, is_local};
pub use store::{CertStore, CertificateFile, CoveredNames};
pub use tickets::TicketKeys;

const H2: &[u8] = b"h2";
const HTTP11: &[u8] = b"http/1.1";
/// RFC 7443 section 2. Both sides take the first of ours that the client offers too.
const STUN_TURN: &[u8] = b"stun.turn";

const ALL_VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
const ONLY_TLS13: &[&SupportedProtocolVersion] = &[&TLS13];

/// The server's side of TLS; clones share all of it.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    shared: Arc<Shared>,
    tickets: Arc<Tickets>,
    spares: Arc<stream::Spares>,
}

/// What both sides agreed on in a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Negotiated {
    /// ALPN named a version of HTTP, or nothing, which means HTTP/1.1.
    Http(Protocol),
    /// TURN (RFC 7443).
    Turn,
    /// A CA's check of a name, which ends with the handshake (RFC 8737).
    Check,
}

impl Tls {
    /// Loads the certificates, after making one if there is none; `now` is in seconds since 1970.
    pub fn new(settings: &TlsSettings, now: i64) -> Result<Self, Vec<TlsProblem>> {
        Self::answering(settings, now, Answers::default())
    }

    /// As `new`, with answers to the checks of CAs.
    pub fn answering(settings: &TlsSettings, now: i64, answers: Answers) -> Result<Self, Vec<TlsProblem>> {
        let is_checked = answers.is_on();
        let shared = Arc::new(Shared::new(Served::read(settings, None, now)?, answers));
        let tickets = Tickets::new()
            .map(Arc::new)
            .ok_or(rustls::Error::FailedToGetRandomBytes);
        let (config, tickets) = tickets
            .and_then(|tickets| {
                let certificates = Arc::clone(&shared) as _;
                let config = server_config(certificates, settings, is_checked, Arc::clone(&tickets))?;
                Ok((config, tickets))
            })
            .map_err(|error| vec![TlsProblem::new(&settings.certs, Fault::SetUp(error))])?;
        Ok(Self {
            config: Arc::new(config),
            shared,
            tickets,
            spares: Arc::default(),
        })
    }

    /// The keys of tickets, for a new process.
    pub fn ticket_keys(&self) -> TicketKeys {
        self.tickets.hand_over()
    }

    /// Opens the tickets of an old process, and seals as it did.
    pub fn take_over_tickets(&self, keys: &TicketKeys) {
        self.tickets.take_over(keys);
    }

    /// Shakes hands with a client, under the deadline. `first` is what has been read of the connection.
    pub async fn handshake<S>(
        &self,
        stream: S,
        first: Vec<u8>,
    ) -> Result<(TlsStream<S>, Negotiated), HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let within = self.shared.current.load().settings.handshake;
        let shaken = async {
            // Only the check of a CA has to be known before anything is answered.
            if self.shared.answers.is_on() {
                // In a box, as it is large and seldom.
                return Box::pin(async { self.after(self.hello(stream, first).await?).await }).await;
            }
            self.accept(stream, first, Arc::clone(&self.config), None).await
        };
        tokio::time::timeout(within, shaken)
            .await
            .unwrap_or(Err(HandshakeError::Deadline))
    }

    /// Reads a client's hello and answers nothing; whoever calls has a deadline. `first` is what has been read of the
    /// connection.
    pub async fn hello<S>(&self, stream: S, first: Vec<u8>) -> Result<Hello<S>, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        Hello::read(stream, first).await
    }

    /// The rest of a handshake whose hello has been read; whoever calls has a deadline.
    pub async fn after<S>(&self, hello: Hello<S>) -> Result<(TlsStream<S>, Negotiated), HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = self.config_for(hello.checked_name()).await;
        let name = hello.name();
        let (stream, first) = hello.into_parts();
        self.accept(stream, first, config, name).await
    }

    async fn accept<S>(
        &self,
        stream: S,
        first: Vec<u8>,
        config: Arc<ServerConfig>,
        name: Option<String>,
    ) -> Result<(TlsStream<S>, Negotiated), HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let spares = Arc::clone(&self.spares);
        let stream = TlsStream::accept(stream, first, config, spares, name)
            .await
            .map_err(HandshakeError::Tls)?;
        let negotiated = negotiated(&stream)?;
        Ok((stream, negotiated))
    }

    /// The settings of a handshake by which a CA checks this name, or else of all others.
    async fn config_for(&self, checked: Option<String>) -> Arc<ServerConfig> {
        let answers = &self.shared.answers;
        if let Some(name) = checked.filter(|_| answers.is_on())
            && let Some(config) = challenge::config(answers, &name).await
        {
            return config;
        }
        Arc::clone(&self.config)
    }

    /// What would be served by other settings. Reads the folder if it is another, or for other names. Blocks.
    pub fn coming(&self, settings: &TlsSettings, now: i64) -> Result<Coming, Vec<TlsProblem>> {
        let served = self.shared.current.load_full();
        let is_as_served = (&settings.certs, &settings.acme)
            == (&served.settings.certs, &served.settings.acme)
            && settings.names() == served.names;
        let read = if is_as_served {
            None
        } else {
            Some(Served::read(settings, Some(&served), now)?)
        };
        Ok(Coming {
            settings: settings.clone(),
            read,
        })
    }

    /// Serves it from now on. No connection ends, and tickets of sessions stay good.
    pub fn take_up(&self, coming: Coming) {
        let Coming { settings, read, .. } = coming;
        let Some(read) = read else {
            // Others may have been found in the folder meanwhile.
            self.shared.current.rcu(|served| Served {
                store: Arc::clone(&served.store),
                settings: settings.clone(),
                names: served.names.clone(),
                read_at: Arc::clone(&served.read_at),
            });
            return;
        };
        for file in read.files() {
            info!("Serving a certificate: {file}");
        }
        self.shared.current.store(Arc::new(read));
        self.shared.judge();
    }

    pub fn certificate_files(&self) -> Vec<CertificateFile> {
        self.shared.current.load().files()
    }

    /// When what clients of each name get ends, in seconds since 1970; `now` too.
    pub fn ends(&self, now: i64) -> BTreeMap<String, i64> {
        self.shared.current.load().ends(now)
    }

    /// Do clients of the public host get a certificate of somebody else's making, of which browsers do not warn? Changes with
    /// what is served.
    pub fn trusted(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.shared.trusted)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("certificates", &self.shared)
            .finish_non_exhaustive()
    }
}

/// SECURITY: what is neither HTTP nor TURN must not be served as HTTP, such as a CA's check of a name (RFC 8737).
fn negotiated<S>(stream: &TlsStream<S>) -> Result<Negotiated, HandshakeError> {
    match stream.alpn() {
        Some(H2) => Ok(Negotiated::Http(Protocol::Http2)),
        Some(HTTP11) | None => Ok(Negotiated::Http(Protocol::Http1)),
        Some(STUN_TURN) => Ok(Negotiated::Turn),
        Some(ALPN) => Ok(Negotiated::Check),
        Some(_) => Err(HandshakeError::Protocol),
    }
}

fn server_config(
    certificates: Arc<dyn ResolvesServerCert>,
    settings: &TlsSettings,
    is_checked: bool,
    tickets: Arc<Tickets>,
) -> Result<ServerConfig, rustls::Error> {
    // The provider has X25519MLKEM768 first among its groups and no suite without forward secrecy.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions: &[_] = if settings.only_tls13 {
        ONLY_TLS13
    } else {
        ALL_VERSIONS
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    // No browser offers TURN's, so that it can come first; without it here, who offers nothing else would get an alert.
    let turn = settings.turn.then_some(STUN_TURN);
    let check = is_checked.then_some(ALPN);
    let protocols = turn.into_iter().chain([H2, HTTP11]).chain(check);
    config.alpn_protocols = protocols.map(<[u8]>::to_vec).collect();
    config.ticketer = tickets;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.max_early_data_size = 0;
    // For connections that last, inside this process.
    config.enable_secret_extraction = true;
    Ok(config)
}
