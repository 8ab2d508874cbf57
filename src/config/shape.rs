//! The values of a sound configuration: one struct for each section, values parsed, no logic.
//!
//! A value has the type of the module that uses it, if there is one. Keys and defaults are in `super::sections`, rules
//! between them in `super::rules`, and what each key is for in `config/gateway.toml`.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    num::{NonZeroU16, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use serde_json::{Map, Value};
use url::Url;

use super::{
    in_effect::InEffect,
    problem::{Place, Places, Problem},
    words::{Exposed, MinVersion},
};
use crate::{
    acme::AcmeSettings,
    addr::Networks,
    control::SocketSetting,
    design::{self, OnInvalid},
    http::with_brackets,
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
    /// The origin that clients see. None: `https://localhost:PORT`, see `Config::public_origin_at`.
    pub public_origin: Option<PublicOrigin>,
    pub hosts: Vec<String>,
    pub listen: Listen,
    pub tls: Tls,
    pub acme: Acme,
    pub log: LogSettings,
    /// The value of `control.socket`.
    pub control: SocketSetting,
    pub plugnmeet: PlugNmeet,
    pub upstreams: Upstreams,
    pub client: Client,
    pub issuer: Issuer,
    pub callers: Vec<Caller>,
    pub session: Session,
    pub design: Design,
    pub headers: Headers,
    pub check_page: CheckPage,
    /// The operator's own designs, by name, checked.
    pub designs: BTreeMap<String, design::Design>,
    pub limits: LimitsSettings,
    /// `limits.connections`: how many connections one address may have open. None: any number.
    pub connections: Option<NonZeroUsize>,
    pub trust: Trust,
    pub timeouts: Timeouts,
    pub sizes: Sizes,
    /// None: TURN is not served by this gateway.
    pub turn: Option<Turn>,
    pub passthrough: Vec<Passthrough>,
    pub tcp: Vec<Tcp>,
    /// Warnings about what is allowed and unwise. They are told at every start.
    pub warnings: Vec<String>,
    /// The problems with values that were refused. Such a value is replaced by its default.
    pub(super) refused: Vec<Problem>,
    pub(super) places: Places,
    /// What `config show` prints.
    pub(super) in_effect: Vec<InEffect>,
}

/// The origin that clients see: `https://HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicOrigin {
    /// The host in lower case and punycode. An IPv6 address is without brackets.
    pub host: String,
    /// The port. None: it is 443.
    pub port: Option<u16>,
}

#[derive(Clone, Debug)]
pub struct Listen {
    /// At least one.
    pub https: Vec<SocketAddr>,
    /// Empty: there is no such listener. So it is with the next two.
    pub http: Vec<SocketAddr>,
    /// Listeners for balancers that end TLS.
    pub plain: Vec<SocketAddr>,
    pub admin: Vec<SocketAddr>,
    /// Names in lower case by which the admin listener may be asked, besides addresses and `localhost`.
    pub admin_hosts: Vec<String>,
    pub proxy_protocol: bool,
    /// How many threads serve connections. None: one for each core.
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
    /// Without it nothing is ordered.
    pub accept_terms: bool,
    /// As they are written. No names: those that the gateway answers to.
    pub settings: AcmeSettings,
    pub pass_to: Option<(String, u16)>,
}

#[derive(Clone, Debug)]
pub struct PlugNmeet {
    pub api_key: String,
    /// The secret that signs. None: a start makes one if need be, see `crate::token::development_secret`.
    pub secret: Option<Secret<String>>,
}

#[derive(Clone, Debug)]
pub struct Upstreams {
    /// The addresses of plugnmeet-server. If there are none, the server's paths are 404.
    pub server: Vec<Target>,
    pub livekit: Option<Target>,
    pub nats: Option<Target>,
    pub etherpad: Option<Target>,
    pub ingress: Option<Target>,
    pub expose: Vec<Exposed>,
    /// The largest number of connections to each upstream that are in use at once, tunnels included.
    pub max_connections: NonZeroUsize,
    pub joining: Joins,
    /// May the client's page say that many people are joining?
    pub joining_message: bool,
}

#[derive(Clone, Debug)]
pub struct Client {
    /// The client's files. None: a small page of the gateway's own is in the client's place.
    pub path: Option<PathBuf>,
    /// The folder for compressed files. None: nothing is kept from one start to the next.
    pub cache: Option<PathBuf>,
    pub keep_releases: NonZeroUsize,
    /// The time between two looks for a new release. None: the gateway looks only when asked.
    pub watch: Option<Duration>,
    /// The path at which the client is served, such as `/conference`. Empty: it is `/`.
    pub mount: String,
    /// Keys of `config.js` besides those that the gateway makes.
    pub config: Map<String, Value>,
    /// A file that is served in place of `config.js`.
    pub config_file: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub struct Issuer {
    pub mode: Mode,
    /// Do identical requests that are under way share one call to the server?
    pub coalesce: bool,
}

/// An integrator with a key of its own.
#[derive(Clone, Debug)]
pub struct Caller {
    pub settings: CallerSettings,
    pub limits: CallerRates,
}

/// Limits of a caller's own. None: the one in `limits` counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallerRates {
    pub user: Option<RateSettings>,
    pub room: Option<RateSettings>,
    pub caller: Option<RateSettings>,
}

#[derive(Clone, Debug)]
pub struct Session {
    pub scope: Scope,
    /// How long a cookie is kept after the end of its token. Zero: both end together.
    pub renew_grace: Duration,
    /// How long after its first token a session may be renewed. Zero: nothing is renewed.
    pub max_age: Duration,
    pub login_url: Option<Url>,
    /// Sites that may show the client in a frame, as CSP sources that only need to be joined with blanks. Empty: none
    /// may.
    pub frame_ancestors: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Design {
    pub on_invalid: OnInvalid,
    /// Hosts that `custom_css_url` may name. Empty: only the gateway's own host.
    pub css_hosts: Vec<String>,
    pub image_hosts: Vec<String>,
    pub from_links: bool,
}

#[derive(Clone, Debug)]
pub struct Headers {
    pub csp: Csp,
    pub csp_report: Option<Url>,
    pub csp_sources: CspSources,
    /// How long browsers use nothing but HTTPS. None: they are not told to.
    pub hsts: Option<Duration>,
}

/// The page that says whether a browser can get in.
#[derive(Clone, Debug)]
pub struct CheckPage {
    pub enabled: bool,
    /// The port of TURN over UDP. None: it is not looked at.
    pub udp_port: Option<NonZeroU16>,
    /// A key of `LiveKit`'s and its secret. None: TURN is not logged in to.
    pub livekit: Option<(String, Secret<String>)>,
}

#[derive(Clone, Debug)]
pub struct Trust {
    pub proxies: Networks,
    /// Networks that may call internal endpoints. Empty: everyone may.
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
    /// The longest silence of a client on NATS' WebSocket. None: there is no limit.
    pub tunnel_silence: Option<Duration>,
}

#[derive(Clone, Debug)]
pub struct Sizes {
    pub header_bytes: usize,
    pub token_body_bytes: usize,
    pub body_bytes: u64,
    pub least_bytes_per_second: u64,
}

/// TURN on the port of HTTPS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    pub upstream: Target,
    /// Names in lower case whose connections are all TURN's.
    pub names: Vec<String>,
    pub proxy_protocol: TurnHeader,
}

/// Names whose TLS connections go on to an upstream, and are not ended here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passthrough {
    /// The names in lower case; some begin with `*.`.
    pub names: Vec<String>,
    pub upstream: Target,
    pub proxy_protocol: bool,
}

/// A port whose connections go on to an upstream as they are.
#[derive(Clone, Debug)]
pub struct Tcp {
    /// At least one.
    pub listen: Vec<SocketAddr>,
    pub upstream: Target,
    /// The place of `listen` in the file.
    pub(super) place: Place,
}

impl Listen {
    /// The port of HTTPS for who is told of one alone: that of the first address.
    pub fn https_port(&self) -> u16 {
        self.https.first().map_or(0, SocketAddr::port)
    }

    /// Can this machine alone call the front door?
    pub fn is_local(&self) -> bool {
        self.https.iter().all(|addr| addr.ip().is_loopback())
    }
}

impl Upstreams {
    /// Does anybody wait to be let in, and does the client's page say so?
    pub fn tells_of_waiting(&self) -> bool {
        self.joining_message && self.nats.is_some() && self.joining != Joins::Unpaced
    }
}

/// Where it stands in a file makes no difference.
impl PartialEq for Tcp {
    fn eq(&self, other: &Self) -> bool {
        (&self.listen, &self.upstream) == (&other.listen, &other.upstream)
    }
}

impl PublicOrigin {
    /// The origin as the header field `Host` has it: `HOST[:PORT]`.
    pub fn authority(&self) -> String {
        let host = with_brackets(&self.host);
        match self.port {
            Some(port) => format!("{host}:{port}"),
            None => host.into_owned(),
        }
    }
}

impl fmt::Display for PublicOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.authority())
    }
}
