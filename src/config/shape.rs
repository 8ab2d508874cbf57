//! What a sound configuration holds: one struct a section, values parsed, no logic.
//!
//! The words that a key can take stand here beside their variants; everything else about keys, defaults and rules is in
//! `super::sections`, and what each is for in `config/gateway.toml`.

use std::{collections::BTreeMap, fmt, net::SocketAddr, num::NonZeroUsize, path::PathBuf, time::Duration};

use serde_json::{Map, Value};
use url::Url;

use super::problem::Places;
use crate::{
    addr::Networks,
    design,
    limits::{LimitsSettings, RateSettings},
    route::CspSources,
    secret::Secret,
};

/// Everything that the file and the environment say, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// None: `https://localhost:PORT`, see `Config::public_origin_at`.
    pub public_origin: Option<PublicOrigin>,
    pub hosts: Vec<String>,
    pub listen: Listen,
    pub tls: Tls,
    pub log: Log,
    pub plugnmeet: PlugNmeet,
    pub upstreams: Upstreams,
    pub client: Client,
    pub issuer: Issuer,
    pub callers: Vec<Caller>,
    pub session: Session,
    pub design: Design,
    pub headers: Headers,
    /// By name, checked.
    pub designs: BTreeMap<String, design::Design>,
    pub limits: LimitsSettings,
    /// `limits.connections`; none for any number.
    pub connections: Option<NonZeroUsize>,
    pub trust: Trust,
    pub timeouts: Timeouts,
    pub sizes: Sizes,
    /// What is allowed and still unwise; told at every start.
    pub warnings: Vec<String>,
    pub(super) places: Places,
}

/// Where clients see us: `https://HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicOrigin {
    /// Lower case, punycode; an IPv6 address without brackets.
    pub host: String,
    /// None is 443.
    pub port: Option<u16>,
}

#[derive(Clone, Debug)]
pub struct Listen {
    pub https: SocketAddr,
    pub http: Option<SocketAddr>,
    pub admin: Option<SocketAddr>,
    /// Lower case, beside addresses and `localhost`.
    pub admin_hosts: Vec<String>,
    pub proxy_protocol: bool,
    /// None is one for each core.
    pub threads: Option<NonZeroUsize>,
}

#[derive(Clone, Debug)]
pub struct Tls {
    pub certs: PathBuf,
}

#[derive(Clone, Debug)]
pub struct Log {
    pub level: LogLevel,
    pub format: LogFormat,
    pub access: bool,
}

#[derive(Clone, Debug)]
pub struct PlugNmeet {
    pub api_key: String,
    /// None: the one that is made at the first start, see `crate::token::development_secret`.
    pub secret: Option<Secret<String>>,
}

#[derive(Clone, Debug)]
pub struct Upstreams {
    /// May be empty: the server's paths are 404 then.
    pub server: Vec<Upstream>,
    pub livekit: Option<Upstream>,
    pub nats: Option<Upstream>,
    pub etherpad: Option<Upstream>,
    pub ingress: Option<Upstream>,
    pub expose: Vec<Exposed>,
    /// In use at once, for each of them; tunnels count.
    pub max_connections: NonZeroUsize,
}

/// A plain-HTTP server behind us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// A name or an address, IPv6 without brackets; and a port.
    Tcp { host: String, port: u16 },
    /// A Unix socket.
    Unix(PathBuf),
}

#[derive(Clone, Debug)]
pub struct Client {
    /// None: our own small page in the client's place.
    pub path: Option<PathBuf>,
    /// None: nothing is kept from one start to the next.
    pub cache: Option<PathBuf>,
    pub keep_releases: NonZeroUsize,
    /// None: only when asked.
    pub watch: Option<Duration>,
    /// `/conference`; empty for `/`.
    pub mount: String,
    /// Keys of config.js beside the two that are ours.
    pub config: Map<String, Value>,
    /// Served in config.js' place.
    pub config_file: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub struct Issuer {
    pub mode: IssuerMode,
    pub token_validity: Duration,
    /// Do identical requests that are under way share one call?
    pub coalesce: bool,
}

/// An integrator with a key of its own.
#[derive(Clone, Debug)]
pub struct Caller {
    pub name: String,
    pub api_key: String,
    /// One, or two while the first is being replaced.
    pub secrets: Vec<Secret<String>>,
    pub rooms: Vec<String>,
    pub may_issue_admin: bool,
    pub enabled: bool,
    pub limits: CallerRates,
}

/// None: as in `limits`.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallerRates {
    pub user: Option<RateSettings>,
    pub room: Option<RateSettings>,
    pub caller: Option<RateSettings>,
}

#[derive(Clone, Debug)]
pub struct Session {
    pub scope: SessionScope,
    /// Zero: a cookie ends with its token.
    pub renew_grace: Duration,
    /// Zero: nothing is renewed.
    pub max_age: Duration,
    pub login_url: Option<Url>,
    /// CSP sources, ready to be joined with blanks.
    pub frame_ancestors: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Design {
    pub on_invalid: OnInvalid,
    /// Empty: our own host.
    pub css_hosts: Vec<String>,
    pub image_hosts: Vec<String>,
    pub from_links: bool,
}

#[derive(Clone, Debug)]
pub struct Headers {
    pub csp: CspMode,
    pub csp_report: Option<Url>,
    pub csp_sources: CspSources,
    /// None: browsers are held to nothing.
    pub hsts: Option<Duration>,
}

#[derive(Clone, Debug)]
pub struct Trust {
    pub proxies: Networks,
    /// Empty: open to everyone.
    pub internal: Networks,
}

#[derive(Clone, Debug)]
pub struct Timeouts {
    pub handshake: Duration,
    pub header: Duration,
    pub idle: Duration,
    pub connect: Duration,
    pub upgrade: Duration,
    pub response: Duration,
    pub drain: Duration,
    /// None: never.
    pub tunnel_silence: Option<Duration>,
}

#[derive(Clone, Debug)]
pub struct Sizes {
    pub header_bytes: usize,
    pub token_body_bytes: usize,
    pub body_bytes: u64,
    pub least_bytes_per_second: u64,
}

/// A key that takes one of a few words.
pub(super) trait Word: Sized + Copy + 'static {
    const WORDS: &'static [(&'static str, Self)];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Word for LogLevel {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    Text,
    Json,
}

impl Word for LogFormat {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("text", Self::Text), ("json", Self::Json)];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposed {
    Login,
    Metrics,
    /// Everything below `/ws/`.
    Ws,
    /// Everything below `/livekit`.
    Livekit,
    /// `/etherpad/admin`.
    EtherpadAdmin,
}

impl Word for Exposed {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("login", Self::Login),
        ("metrics", Self::Metrics),
        ("ws", Self::Ws),
        ("livekit", Self::Livekit),
        ("etherpad_admin", Self::EtherpadAdmin),
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuerMode {
    Embedded,
    Upstream,
}

impl Word for IssuerMode {
    const WORDS: &'static [(&'static str, Self)] =
        &[("embedded", Self::Embedded), ("upstream", Self::Upstream)];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionScope {
    Session,
    Mount,
}

impl Word for SessionScope {
    const WORDS: &'static [(&'static str, Self)] = &[("session", Self::Session), ("mount", Self::Mount)];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnInvalid {
    Reject,
    Strip,
}

impl Word for OnInvalid {
    const WORDS: &'static [(&'static str, Self)] = &[("reject", Self::Reject), ("strip", Self::Strip)];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CspMode {
    Enforce,
    Report,
    Off,
}

impl Word for CspMode {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("enforce", Self::Enforce),
        ("report", Self::Report),
        ("off", Self::Off),
    ];
}

impl PublicOrigin {
    /// `HOST[:PORT]`, as in `Host`.
    pub fn authority(&self) -> String {
        let host = bracketed(&self.host);
        self.port
            .map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
    }
}

impl fmt::Display for PublicOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.authority())
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "http://{}:{port}", bracketed(host)),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Only an IPv6 address has a colon (RFC 3986 section 3.2.2).
fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}
