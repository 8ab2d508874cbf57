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
mod development;
mod folder;
mod hello;
mod leaf;
mod outcome;
mod pair;
mod problem;
mod sni;
mod store;
mod tickets;
mod watch;

#[cfg(test)]
mod testing;

use std::{collections::BTreeMap, fmt, net::IpAddr, ops::Deref, path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
};
use tokio_rustls::TlsAcceptor;
use tracing::info;

use crate::{conn::Protocol, http::without_brackets};

use self::{folder::Fingerprint, tickets::Tickets};
pub use hello::Hello;
pub use outcome::HandshakeError;
pub use problem::{Fault, TlsProblem, TlsWarning};
pub use tokio_rustls::server::TlsStream;

pub use store::{CertStore, CertificateFile, CoveredNames};
pub use tickets::TicketKeys;

const H2: &[u8] = b"h2";
const HTTP11: &[u8] = b"http/1.1";
/// RFC 7443 section 2. Both sides take the first of ours that the client offers too.
const STUN_TURN: &[u8] = b"stun.turn";

const ALL_VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
const ONLY_TLS13: &[&SupportedProtocolVersion] = &[&TLS13];

#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// The folder of `NAME.pem` with `NAME.key`.
    pub certs: PathBuf,
    /// The host of `public_origin`.
    pub public_host: String,
    /// Other hosts that the gateway answers to.
    pub hosts: Vec<String>,
    /// How long a handshake may take.
    pub handshake: Duration,
    /// May a certificate be made in any folder, also one that is missing or has other things in it?
    pub make_anywhere: bool,
    /// Is TURN served too?
    pub turn: bool,
    /// Is TLS 1.2 refused?
    pub only_tls13: bool,
}

impl TlsSettings {
    fn names(&self) -> CoveredNames {
        CoveredNames {
            public: host(&self.public_host),
            hosts: self.hosts.iter().map(|name| host(name)).collect(),
        }
    }

    /// What a start with these finds, and would do: nothing is made here. `now` is in seconds since 1970.
    pub fn look(&self, now: i64) -> Result<Vec<TlsWarning>, Vec<TlsProblem>> {
        let names = self.names();
        let alone = |problem| vec![problem];
        let self_made = || TlsWarning::SelfMade {
            host: names.public.clone(),
            file: development::file(&self.certs),
        };
        if development::is_needed(&self.certs, &names, now).map_err(alone)? {
            development::can_be_made(&self.certs, &names, self.make_anywhere).map_err(alone)?;
            return Ok((!is_local(&names.public)).then(self_made).into_iter().collect());
        }
        let store = CertStore::load(&self.certs, &names, now)?;
        let self_made = (store.is_self_made() && !is_local(&names.public)).then(self_made);
        Ok(store.into_warnings().into_iter().chain(self_made).collect())
    }
}

/// The server's side of TLS; clones share all of it.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    shared: Arc<Shared>,
    tickets: Arc<Tickets>,
}

/// The certificates, which change while the gateway runs.
struct Shared {
    current: ArcSwap<Served>,
    asked: Notify,
}

/// What is served, and by which settings.
struct Served {
    store: Arc<CertStore>,
    settings: TlsSettings,
    names: CoveredNames,
    /// The folder as it was just before it was read for these settings.
    read_at: Arc<Fingerprint>,
}

impl Deref for Served {
    type Target = CertStore;

    fn deref(&self) -> &CertStore {
        &self.store
    }
}

impl Served {
    /// Reads the folder, after making a certificate if there is none; what is served already is better than a file that is
    /// worse.
    fn read(settings: &TlsSettings, before: Option<&Self>, now: i64) -> Result<Self, Vec<TlsProblem>> {
        let names = settings.names();
        development::ensure(&settings.certs, &names, settings.make_anywhere, now)
            .map_err(|problem| vec![problem])?;
        let read_at = Arc::new(folder::fingerprint(&settings.certs));
        let store = match before.filter(|before| before.settings.certs == settings.certs) {
            Some(before) => before.next(&settings.certs, &names, now)?.0,
            None => CertStore::load(&settings.certs, &names, now)?,
        };
        Ok(Self {
            store: Arc::new(store),
            settings: settings.clone(),
            names,
            read_at,
        })
    }
}

/// Certificates for other settings, ready to be served.
pub struct Coming {
    settings: TlsSettings,
    /// None: those that are served.
    read: Option<Served>,
    is_self_made: bool,
}

impl Coming {
    /// As `Tls::is_self_made`.
    pub fn is_self_made(&self) -> bool {
        self.is_self_made
    }
}

impl ResolvesServerCert for Shared {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.load().resolve(&hello)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.current.load().store.fmt(f)
    }
}

/// What both sides agreed on in a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreed {
    /// HTTP, or nothing.
    Http(Protocol),
    /// TURN (RFC 7443).
    Turn,
}

impl Tls {
    /// Loads the certificates, after making one if there is none; `now` is in seconds since 1970.
    pub fn new(settings: &TlsSettings, now: i64) -> Result<Self, Vec<TlsProblem>> {
        let shared = Arc::new(Shared {
            current: ArcSwap::from_pointee(Served::read(settings, None, now)?),
            asked: Notify::new(),
        });
        let tickets = Tickets::new()
            .map(Arc::new)
            .ok_or(rustls::Error::FailedToGetRandomBytes);
        let (config, tickets) = tickets
            .and_then(|tickets| {
                let certificates = Arc::clone(&shared) as _;
                let config = server_config(certificates, settings, Arc::clone(&tickets))?;
                Ok((config, tickets))
            })
            .map_err(|error| vec![TlsProblem::new(&settings.certs, Fault::SetUp(error))])?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            shared,
            tickets,
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

    /// Shakes hands with a client, under the deadline.
    pub async fn handshake<S>(&self, stream: S) -> Result<(TlsStream<S>, Agreed), HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let within = self.shared.current.load().settings.handshake;
        let stream = tokio::time::timeout(within, self.acceptor.accept(stream))
            .await
            .map_err(|_| HandshakeError::Deadline)?
            .map_err(HandshakeError::Tls)?;
        let agreed = agreed(&stream)?;
        Ok((stream, agreed))
    }

    /// Reads a client's hello and answers nothing; whoever calls has a deadline.
    pub async fn hello<S>(&self, stream: S) -> Result<Hello<S>, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        Hello::read(stream).await
    }

    /// The rest of a handshake whose hello has been read; whoever calls has a deadline.
    pub async fn after<S>(&self, hello: Hello<S>) -> Result<(TlsStream<S>, Agreed), HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = Arc::clone(self.acceptor.config());
        let stream = hello
            .start()
            .into_stream(config)
            .await
            .map_err(HandshakeError::Tls)?;
        let agreed = agreed(&stream)?;
        Ok((stream, agreed))
    }

    /// What would be served by other settings. Reads the folder if it is another, or for other names. Blocks.
    pub fn coming(&self, settings: &TlsSettings, now: i64) -> Result<Coming, Vec<TlsProblem>> {
        let served = self.shared.current.load_full();
        let is_as_served = settings.certs == served.settings.certs && settings.names() == served.names;
        let read = if is_as_served {
            None
        } else {
            Some(Served::read(settings, Some(&served), now)?)
        };
        Ok(Coming {
            settings: settings.clone(),
            is_self_made: read.as_ref().unwrap_or(&served).is_self_made(),
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
    }

    /// What is served now.
    pub fn certificate_files(&self) -> Vec<CertificateFile> {
        self.shared.current.load().files()
    }

    /// When what clients of each name get ends, in seconds since 1970; `now` too.
    pub fn ends(&self, now: i64) -> BTreeMap<String, i64> {
        self.shared.current.load().ends(now)
    }

    /// Do clients of the public host get a certificate of our own making, of which browsers warn?
    pub fn is_self_made(&self) -> bool {
        self.shared.current.load().is_self_made()
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
fn agreed<S>(stream: &TlsStream<S>) -> Result<Agreed, HandshakeError> {
    match stream.get_ref().1.alpn_protocol() {
        Some(H2) => Ok(Agreed::Http(Protocol::Http2)),
        Some(HTTP11) | None => Ok(Agreed::Http(Protocol::Http1)),
        Some(STUN_TURN) => Ok(Agreed::Turn),
        Some(_) => Err(HandshakeError::Protocol),
    }
}

fn server_config(
    certificates: Arc<dyn ResolvesServerCert>,
    settings: &TlsSettings,
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
    config.alpn_protocols = turn.into_iter().chain([H2, HTTP11]).map(<[u8]>::to_vec).collect();
    config.ticketer = tickets;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.max_early_data_size = 0;
    Ok(config)
}

/// Is a host, as certificates have it, one that only this machine or its own network calls?
pub fn is_local(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        Err(_) => {
            let last = host.rsplit('.').next().unwrap_or_default();
            !host.contains('.') || matches!(last, "localhost" | "local" | "test" | "internal")
        }
    }
}

/// A host as certificates have it: lower case, no brackets around an IPv6 address.
fn host(name: &str) -> String {
    without_brackets(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use rustls::{HandshakeKind, NamedGroup, ProtocolVersion, crypto::CryptoProvider};
    use tempfile::TempDir;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::tls::testing::{NOW, certificate, connect, credulous, credulous_of_rsa, made, made_with};

    fn settings(dir: &TempDir, public_host: &str) -> TlsSettings {
        TlsSettings {
            certs: dir.path().to_owned(),
            public_host: public_host.into(),
            hosts: Vec::new(),
            handshake: Duration::from_secs(10),
            make_anywhere: true,
            turn: false,
            only_tls13: false,
        }
    }

    fn with_one_certificate() -> Tls {
        let dir = tempfile::tempdir().unwrap();
        made(&["conf.example.org"]).write(&dir, "a");
        Tls::new(&settings(&dir, "conf.example.org"), NOW).unwrap()
    }

    fn any_client() -> rustls::ClientConfig {
        credulous(aws_lc_rs::default_provider(), rustls::ALL_VERSIONS)
    }

    #[tokio::test]
    async fn shows_each_name_its_own_certificate_and_strangers_the_public_hosts() {
        let dir = tempfile::tempdir().unwrap();
        made(&["a.example", "deep.c.example"]).write(&dir, "a");
        made(&["B.Example"]).write(&dir, "b");
        made(&["*.c.example"]).write(&dir, "c");
        made(&["conf.example.org", "192.0.2.7"]).write(&dir, "public");
        let tls = Tls::new(&settings(&dir, "Conf.Example.org"), NOW).unwrap();
        for (name, file) in [
            ("a.example", "a"),
            ("A.EXAMPLE", "a"),
            ("b.example", "b"),
            ("www.c.example", "c"),
            ("deep.c.example", "a"),
            ("c.example", "public"),
            ("far.www.c.example", "public"),
            ("unknown.example", "public"),
            ("192.0.2.99", "public"),
            ("conf.example.org", "public"),
        ] {
            let seen = connect(&tls, name, any_client()).await.unwrap();
            let expected = certificate(&dir.path().join(file).with_extension("pem"));
            assert_eq!(seen.certificate(), expected, "{name}");
        }
    }

    #[tokio::test]
    async fn shows_strangers_the_first_certificate_when_none_is_the_public_hosts() {
        let dir = tempfile::tempdir().unwrap();
        made(&["b.example"]).write(&dir, "b");
        made_with(&["a.example"], &rcgen::PKCS_RSA_SHA256).write(&dir, "a");
        let tls = Tls::new(&settings(&dir, "conf.example.org"), NOW).unwrap();
        let seen = connect(&tls, "unknown.example", any_client()).await.unwrap();
        assert_eq!(seen.certificate(), certificate(&dir.path().join("a.pem")));
        assert_eq!(tls.shared.current.load().warnings().len(), 1);
    }

    #[tokio::test]
    async fn of_two_certificates_a_client_gets_the_one_that_it_can_check() {
        let dir = tempfile::tempdir().unwrap();
        made_with(&["a.example"], &rcgen::PKCS_RSA_SHA256).write(&dir, "a-rsa");
        made(&["a.example"]).write(&dir, "b-ecdsa");
        let tls = Tls::new(&settings(&dir, "a.example"), NOW).unwrap();
        for (client, name, file) in [
            (any_client(), "a.example", "b-ecdsa.pem"),
            (credulous_of_rsa(), "a.example", "a-rsa.pem"),
            (any_client(), "unknown.example", "b-ecdsa.pem"),
            (credulous_of_rsa(), "unknown.example", "a-rsa.pem"),
        ] {
            let seen = connect(&tls, name, client).await.unwrap();
            assert_eq!(
                seen.certificate(),
                certificate(&dir.path().join(file)),
                "{name} {file}"
            );
        }
    }

    /// A name that somebody has a certificate for is no longer ours to show a self-made one.
    #[tokio::test]
    async fn a_chosen_certificate_comes_before_the_self_made_one() {
        let dir = tempfile::tempdir().unwrap();
        Tls::new(&settings(&dir, "conf.a.example"), NOW).unwrap();
        made_with(&["*.a.example"], &rcgen::PKCS_RSA_SHA256).write(&dir, "z");
        let tls = Tls::new(&settings(&dir, "conf.a.example"), NOW).unwrap();
        for (name, file) in [
            ("conf.a.example", "z.pem"),
            ("localhost", "development.pem"),
            ("x.example", "z.pem"),
        ] {
            let seen = connect(&tls, name, any_client()).await.unwrap();
            assert_eq!(seen.certificate(), certificate(&dir.path().join(file)), "{name}");
        }
    }

    #[test]
    fn a_certificate_that_browsers_refuse_for_want_of_ocsp_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        made(&["conf.example.org"]).must_staple().write(&dir, "a");
        let refused = Tls::new(&settings(&dir, "conf.example.org"), NOW).unwrap_err();
        let told: Vec<String> = refused.iter().map(ToString::to_string).collect();
        let expected =
            "asks for OCSP stapling (must-staple): CAs have no OCSP any more, and browsers refuse it without";
        assert_eq!(
            told,
            [format!("{}: {expected}", dir.path().join("a.pem").display())]
        );
    }

    #[tokio::test]
    async fn exchanges_keys_post_quantum_with_whoever_can() {
        let only = CryptoProvider {
            kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768],
            ..aws_lc_rs::default_provider()
        };
        for provider in [only, aws_lc_rs::default_provider()] {
            let client = credulous(provider, rustls::ALL_VERSIONS);
            let seen = connect(&with_one_certificate(), "conf.example.org", client)
                .await
                .unwrap();
            let group = seen.client.get_ref().1.negotiated_key_exchange_group().unwrap();
            assert_eq!(group.name(), NamedGroup::X25519MLKEM768);
        }
    }

    #[tokio::test]
    async fn speaks_tls_1_2_with_whoever_has_no_newer() {
        let client = credulous(aws_lc_rs::default_provider(), &[&TLS12]);
        let seen = connect(&with_one_certificate(), "conf.example.org", client)
            .await
            .unwrap();
        assert_eq!(
            seen.client.get_ref().1.protocol_version(),
            Some(ProtocolVersion::TLSv1_2)
        );
    }

    #[tokio::test]
    async fn a_client_that_comes_back_resumes_by_its_ticket() {
        let tls = with_one_certificate();
        let client = credulous(aws_lc_rs::default_provider(), &[&TLS12]);
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let seen = connect(&tls, "conf.example.org", client.clone()).await.unwrap();
            assert_eq!(seen.client.get_ref().1.handshake_kind(), Some(expected));
        }
    }

    #[tokio::test]
    async fn agrees_on_what_is_spoken() {
        let tls = with_one_certificate();
        let offering = |protocols: &[&str]| {
            let mut client = any_client();
            client.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
            connect(&tls, "conf.example.org", client)
        };
        assert_eq!(
            offering(&["http/1.1", "h2"]).await.unwrap().alpn,
            Agreed::Http(Protocol::Http2)
        );
        assert_eq!(
            offering(&["http/1.1"]).await.unwrap().alpn,
            Agreed::Http(Protocol::Http1)
        );
        assert_eq!(offering(&[]).await.unwrap().alpn, Agreed::Http(Protocol::Http1));
        assert_eq!(
            offering(&["acme-tls/1"])
                .await
                .err()
                .map(|error| error.to_string()),
            Some("the handshake failed: peer doesn't support any known protocol".into())
        );
    }

    #[tokio::test]
    async fn says_why_a_client_that_speaks_no_tls_is_refused() {
        let (mut client, server) = tokio::io::duplex(1024);
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let refused = with_one_certificate().handshake(server).await.err();
        assert_eq!(
            refused.map(|error| error.to_string()),
            Some("the handshake failed: received corrupt message of type InvalidContentType".into())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_let_go_at_the_deadline() {
        let tls = with_one_certificate();
        let started = tokio::time::Instant::now();
        let (mut client, server) = tokio::io::duplex(1024);
        let refused = tls.handshake(server).await.err();
        assert!(matches!(refused, Some(HandshakeError::Deadline)));
        assert_eq!(started.elapsed(), Duration::from_secs(10));
        assert_eq!(
            client.read(&mut [0; 8]).await.unwrap(),
            0,
            "its connection is closed"
        );
    }

    #[tokio::test]
    async fn all_problems_are_named_at_once() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.pem"), "").unwrap();
        std::fs::write(dir.path().join("b.pem"), "").unwrap();
        let problems = Tls::new(&settings(&dir, "a.example"), NOW).unwrap_err();
        assert_eq!(problems.len(), 2);
    }

    #[test]
    fn a_look_finds_what_a_start_would_and_makes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("certs");
        let look = |certs: &std::path::Path, host: &str, make_anywhere| {
            let settings = TlsSettings {
                certs: certs.to_owned(),
                make_anywhere,
                ..settings(&dir, host)
            };
            let told = |all: Vec<TlsWarning>| all.iter().map(ToString::to_string).collect::<Vec<_>>();
            settings
                .look(NOW)
                .map(told)
                .map_err(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let at = |certs: &std::path::Path, what: &str| format!("{}: {what}", certs.display());
        assert_eq!(look(&missing, "localhost", true), Ok(Vec::new()));
        let warned =
            "the gateway's own certificate is served for conf.example.org, and browsers warn of it: ";
        let file = missing.join("development.pem");
        assert_eq!(
            look(&missing, "conf.example.org", true),
            Ok(vec![format!("{warned}{}", file.display())])
        );
        let none = "holds no certificate for conf.example.org, and one of the gateway's own making belongs into a folder \
                    of its own";
        assert_eq!(
            look(&missing, "conf.example.org", false),
            Err(vec![at(&missing, none)])
        );
        assert!(!missing.exists());
        std::fs::create_dir(&missing).unwrap();
        assert!(look(&missing, "conf.example.org", false).is_ok());
        std::fs::create_dir(missing.join("conf.example.org")).unwrap();
        assert_eq!(
            look(&missing, "conf.example.org", false),
            Err(vec![at(&missing, none)])
        );
        let file = dir.path().join("a.pem");
        std::fs::write(&file, "").unwrap();
        assert_eq!(
            look(&file, "localhost", true),
            Err(vec![at(&file, "is a file, and no folder of certificates")])
        );
    }

    #[test]
    fn what_only_this_machine_or_its_network_calls_is_local() {
        for host in [
            "localhost",
            "a.localhost",
            "127.0.0.1",
            "::1",
            "10.0.0.7",
            "box",
            "meet.test",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in ["conf.example.org", "192.0.2.7", "2001:db8::1"] {
            assert!(!is_local(host), "{host}");
        }
    }

    #[test]
    fn a_host_is_compared_as_certificates_have_it() {
        assert_eq!(host("Conf.Example.org"), "conf.example.org");
        assert_eq!(host("[2001:DB8::1]"), "2001:db8::1");
    }
}
