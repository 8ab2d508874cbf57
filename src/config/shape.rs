//! What a sound configuration holds: one struct a section, values parsed, no logic.
//!
//! Where a module has a type for a value, it is that type. Everything about keys, defaults and rules is in
//! `super::sections`, and what each is for in `config/gateway.toml`.

use std::{collections::BTreeMap, fmt, net::SocketAddr, num::NonZeroUsize, path::PathBuf, time::Duration};

use serde_json::{Map, Value};
use url::Url;

use super::{
    problem::{Place, Places, Problem},
    words::{Exposed, MinVersion},
};
use crate::{
    addr::Networks,
    control::SocketSetting,
    design::{self, OnInvalid},
    issue::{CallerSettings, Mode},
    joining::Joins,
    limits::{LimitsSettings, RateSettings},
    observe::LogSettings,
    proxy::Target,
    route::{Csp, CspSources},
    secret::Secret,
    session::Scope,
    turn::TurnHeader,
};

/// Everything that the file and the environment say, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// None: `https://localhost:PORT`, see `Config::public_origin_at`.
    pub public_origin: Option<PublicOrigin>,
    pub hosts: Vec<String>,
    pub listen: Listen,
    pub tls: Tls,
    pub acme: Acme,
    pub log: LogSettings,
    /// `control.socket`.
    pub control: SocketSetting,
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
    /// None: TURN is not served here.
    pub turn: Option<Turn>,
    pub passthrough: Vec<Passthrough>,
    pub tcp: Vec<Tcp>,
    /// What is allowed and still unwise; told at every start.
    pub warnings: Vec<String>,
    /// What was refused; in its place stands the default.
    pub(super) refused: Vec<Problem>,
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
    /// For balancers that end TLS.
    pub plain: Option<SocketAddr>,
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
    pub min_version: MinVersion,
}

/// Certificates by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// Is anything ordered?
    pub accept_terms: bool,
    pub directory: String,
    pub staging: Staging,
    pub email: Option<String>,
    /// Empty: those that the gateway answers to.
    pub names: Vec<String>,
    pub profile: Option<String>,
    pub storage: PathBuf,
    pub roots: Option<PathBuf>,
    pub preflight: bool,
    /// A host and a port.
    pub pass_to: Option<(String, u16)>,
}

/// Where a first order is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Staging {
    /// Where the CA is known to have such a directory.
    Auto,
    None,
    At(String),
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
    pub server: Vec<Target>,
    pub livekit: Option<Target>,
    pub nats: Option<Target>,
    pub etherpad: Option<Target>,
    pub ingress: Option<Target>,
    pub expose: Vec<Exposed>,
    /// In use at once, for each of them; tunnels count.
    pub max_connections: NonZeroUsize,
    pub joining: Joins,
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
    pub mode: Mode,
    /// Do identical requests that are under way share one call?
    pub coalesce: bool,
}

/// An integrator with a key of its own.
#[derive(Clone, Debug)]
pub struct Caller {
    pub settings: CallerSettings,
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
    pub scope: Scope,
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
    pub csp: Csp,
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
    pub admission: Duration,
    pub response: Duration,
    pub drain: Duration,
    pub drain_delay: Duration,
    pub handover: Duration,
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

/// TURN beside HTTPS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    pub upstream: Target,
    /// Names of TURN's own; lower case.
    pub names: Vec<String>,
    pub proxy_protocol: TurnHeader,
}

/// Names whose TLS is not ended here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passthrough {
    /// Lower case; some begin with `*.`.
    pub names: Vec<String>,
    pub upstream: Target,
    pub proxy_protocol: bool,
}

/// A port that leads to an upstream as it is.
#[derive(Clone, Debug)]
pub struct Tcp {
    pub listen: SocketAddr,
    pub upstream: Target,
    /// Where `listen` stands.
    pub(super) place: Place,
}

/// Where it stands in a file makes no difference.
impl PartialEq for Tcp {
    fn eq(&self, other: &Self) -> bool {
        (self.listen, &self.upstream) == (other.listen, &other.upstream)
    }
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

/// Only an IPv6 address has a colon (RFC 3986 section 3.2.2).
fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}
