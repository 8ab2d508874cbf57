//! Assembly: a configuration becomes rooms, rooms become a running gateway. The one file that sees them all.
//!
//! `Running` is what start-up hands back: where it listens, what to tell the operator, and the way to stop it.

use std::{fmt, io, net::SocketAddr, num::NonZeroUsize, sync::Arc, thread, time::Duration};

use rustix::process::{Resource, getrlimit};
use tokio::net::TcpListener;
use tracing::{info, level_filters::LevelFilter, warn};

use crate::{
    addr::Networks,
    clock::Clock,
    config::{self, Config, Problem, PublicOrigin},
    conn::{Conn, ConnSettings},
    design::{self, DesignRules, DesignSettings},
    drain::Drain,
    files::{ClientFiles, FilesProblem, FilesSettings, Prepared},
    handoff::{DesignCheck, Handoff, HandoffSettings, Scope},
    issue::{CallerSettings, EmbeddedSettings, Issue, IssueSettings, Mode},
    limits::{Limits, Rates},
    listen::{self, Admin, Https, HttpsSettings, Plain, Redirect},
    observe::{AccessLog, LogFormat, LogSettings, Metrics, Records},
    places::{Budget, Places, PlacesSettings},
    proxy::{ProxySettings, Target, Upstream, UpstreamKind},
    request_id::RequestIds,
    route::{Csp, Finish, Framing, Hosts, PageHeaders, PageSettings, Router, Table, Upstreams, Whole},
    sessions::Sessions,
    tls::{Tls, TlsSettings},
    token::{TokenKeys, development_secret},
    workers::Workers,
};

/// A gateway that takes requests.
pub struct Running {
    /// Where HTTPS is served.
    pub https: SocketAddr,
    /// Where plain HTTP leads to HTTPS.
    pub http: Option<SocketAddr>,
    /// Where the operator asks.
    pub admin: Option<SocketAddr>,
    /// What clients see.
    pub public_origin: PublicOrigin,
    /// What is served with which certificate.
    pub certificates: Vec<String>,
    /// What is allowed and still unwise.
    pub warnings: Vec<String>,
    files: Arc<ClientFiles>,
    drain: Drain,
    admin_drain: Drain,
    drain_deadline: Duration,
    _workers: Arc<Workers>,
    _acceptor: Workers,
}

/// Why the gateway does not start.
#[derive(Debug)]
pub enum StartError {
    /// The rooms refuse what the configuration says.
    Problems(Vec<Problem>),
    /// An address can't be listened on.
    Listen(&'static str, SocketAddr, io::Error),
    /// The system gives no threads.
    Threads(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Problems(problems) => {
                for (at, problem) in problems.iter().enumerate() {
                    let separator = if at == 0 { "" } else { "\n" };
                    write!(f, "{separator}{problem}")?;
                }
                Ok(())
            }
            Self::Listen(key, addr, error) => write!(f, "{key}: can't listen on {addr}: {error}"),
            Self::Threads(error) => write!(f, "can't start a thread: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// Starts everything. Reads files and may make a certificate, so it blocks for a moment.
pub async fn start(config: &Config, clock: &Clock, records: Records) -> Result<Running, StartError> {
    let https = bind("listen.https", config.listen.https).await?;
    let http = bind_if("listen.http", config.listen.http).await?;
    let admin = bind_if("listen.admin", config.listen.admin).await?;
    let https_addr = addr_of("listen.https", config.listen.https, &https)?;
    let origin = config.public_origin_at(https_addr.port());

    let workers = Arc::new(workers(config).map_err(StartError::Threads)?);
    // Accepting has a thread of its own: a busy worker, or what the main thread does besides, holds no newcomer up.
    let acceptor = Workers::start("accept", NonZeroUsize::MIN).map_err(StartError::Threads)?;
    let accepting = acceptor
        .first()
        .ok_or_else(|| StartError::Threads(io::ErrorKind::Other.into()))?
        .clone();
    let (places, admin_places) = places(config);
    let drain = Drain::default();
    let admin_drain = Drain::default();
    let tls = tls(config, &origin, clock).map_err(StartError::Problems)?;
    let metrics = Arc::new(Metrics::default());
    let access = AccessLog::new(records, Arc::clone(&metrics), clock.clone());
    let hsts = hsts(config, &origin, &tls);
    let router = router(config, &origin, clock, &drain, &metrics, access, hsts)
        .await
        .map_err(StartError::Problems)?;
    let conn_settings = ConnSettings {
        header: config.timeouts.header,
        idle: config.timeouts.idle,
        max_header_bytes: config.sizes.header_bytes,
        small_body_bytes: config.sizes.token_body_bytes,
        proxies: config.trust.proxies.clone(),
    };
    let mut warnings = config.warnings.clone();
    warnings.extend(warnings_of(config, &tls));
    let running = Running {
        https: https_addr,
        http: http.as_ref().and_then(|listener| listener.local_addr().ok()),
        admin: admin.as_ref().and_then(|listener| listener.local_addr().ok()),
        certificates: tls.certificate_files().iter().map(ToString::to_string).collect(),
        warnings,
        files: Arc::clone(&router.files),
        drain: drain.clone(),
        admin_drain: admin_drain.clone(),
        drain_deadline: config.timeouts.drain,
        public_origin: origin.clone(),
        _workers: Arc::clone(&workers),
        _acceptor: acceptor,
    };

    let https_settings = HttpsSettings {
        proxy_protocol: config.listen.proxy_protocol,
        proxies: config.trust.proxies.clone(),
        deadline: config.timeouts.handshake,
    };
    let front = Conn::new(conn_settings.clone(), Arc::new(router), &drain);
    let front = Https::new(https_settings, tls, front, Arc::clone(&metrics));
    accepting.spawn(front.run(https, places.clone(), drain.clone(), Arc::clone(&workers)));
    if let Some(listener) = http {
        let redirect = Redirect::new(hosts(config, &origin), origin.port);
        let plain = Plain::new(Conn::new(conn_settings.clone(), Arc::new(redirect), &drain));
        accepting.spawn(plain.run(listener, places, drain.clone(), Arc::clone(&workers)));
    }
    if let Some(listener) = admin {
        // It goes on telling during the drain, and so has one of its own.
        let plain = Plain::new(Conn::new(
            conn_settings,
            Arc::new(Admin::of(&drain, metrics, config.listen.admin_hosts.clone())),
            &admin_drain,
        ));
        accepting.spawn(plain.run(listener, admin_places, admin_drain, workers));
    }
    Ok(running)
}

/// For clients, and a few of their own for the operator, who asks when clients have all of theirs.
fn places(config: &Config) -> (Places, Places) {
    let clients = Places::new(PlacesSettings {
        most: budget(config).clients,
        for_one: config.connections,
        proxies: config.trust.proxies.clone(),
    });
    let admin = Places::new(PlacesSettings {
        most: Budget::ADMIN,
        for_one: None,
        proxies: Networks::default(),
    });
    (clients, admin)
}

/// What file descriptors are for.
fn budget(config: &Config) -> Budget {
    // Without a limit there is more than anybody needs.
    let open_files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    // Beside the workers: the main thread, the one that accepts, and the link to Redis.
    Budget::of(open_files, threads(config).get() + 3)
}

/// Everything that rooms would refuse at a start, as far as it can be found without making or opening anything.
pub fn problems(config: &Config, clock: &Clock) -> Vec<Problem> {
    let origin = config.public_origin_at(config.listen.https.port());
    let mut problems = Vec::new();
    if has_certificates(config)
        && let Err(found) = tls(config, &origin, clock)
    {
        problems.extend(found);
    }
    // Read, and not made: that is the start's.
    if config.plugnmeet.secret.is_none()
        && let Err(error) = development_secret::read(&config.tls.certs)
    {
        problems.push(development_secret_problem(config, &error));
    }
    problems.extend(files(config, &origin).err());
    match design(config, &origin) {
        Ok(design) => problems.extend(pages(config, &origin, &design).err()),
        Err(problem) => problems.push(problem),
    }
    problems
}

/// What rooms would warn of at a start, as far as it can be found without making anything.
pub fn warnings(config: &Config, clock: &Clock) -> Vec<String> {
    let origin = config.public_origin_at(config.listen.https.port());
    if !has_certificates(config) {
        return development_warning(config).into_iter().collect();
    }
    let tls = tls(config, &origin, clock);
    tls.map(|tls| warnings_of(config, &tls)).unwrap_or_default()
}

fn warnings_of(config: &Config, tls: &Tls) -> Vec<String> {
    let of_tls = tls.warnings().iter().map(ToString::to_string);
    of_tls.chain(development_warning(config)).collect()
}

fn development_warning(config: &Config) -> Option<String> {
    match &config.plugnmeet.secret {
        None => development_secret::warning(&config.tls.certs),
        Some(_) => None,
    }
}

fn has_certificates(config: &Config) -> bool {
    std::fs::read_dir(&config.tls.certs).is_ok_and(|mut found| {
        found.any(|file| file.is_ok_and(|file| file.path().extension().is_some_and(|e| e == "pem")))
    })
}

/// Compresses the client's files into their cache. Blocks until all is done.
pub fn prepare(config: &Config) -> Result<Prepared, Problem> {
    let origin = config.public_origin_at(config.listen.https.port());
    files_settings(config, &origin)
        .and_then(ClientFiles::prepare)
        .map_err(|problem| files_problem(config, &problem))
}

/// How the log is kept.
pub fn log_settings(config: &Config) -> LogSettings {
    LogSettings {
        level: match config.log.level {
            config::LogLevel::Error => LevelFilter::ERROR,
            config::LogLevel::Warn => LevelFilter::WARN,
            config::LogLevel::Info => LevelFilter::INFO,
            config::LogLevel::Debug => LevelFilter::DEBUG,
            config::LogLevel::Trace => LevelFilter::TRACE,
        },
        format: match config.log.format {
            config::LogFormat::Auto => LogFormat::Auto,
            config::LogFormat::Text => LogFormat::Text,
            config::LogFormat::Json => LogFormat::Json,
        },
        access: config.log.access,
    }
}

impl Running {
    /// Reads the client's files again, soon; those that are there stay until others are whole.
    pub fn reload(&self) {
        self.files.ask_for_new();
    }

    /// Stops in order: nothing new, then the deadline, then WebSockets are closed. `now` cuts the waiting short.
    pub async fn stop(self, now: impl Future<Output = ()>) {
        info!(deadline_s = self.drain_deadline.as_secs(), "Draining");
        let finished = tokio::select! {
            finished = self.drain.finish(self.drain_deadline) => finished,
            () = now => {
                self.drain.close();
                self.drain.finish(Duration::ZERO).await;
                false
            }
        };
        if !finished {
            warn!("Closed what had not ended by itself");
        }
        self.admin_drain.close();
        self.admin_drain.finish(Duration::ZERO).await;
        info!("Stopped");
    }
}

fn workers(config: &Config) -> io::Result<Workers> {
    Workers::start("worker", threads(config))
}

fn threads(config: &Config) -> NonZeroUsize {
    let cores = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    config.listen.threads.unwrap_or_else(cores)
}

async fn bind(key: &'static str, addr: SocketAddr) -> Result<TcpListener, StartError> {
    listen::bind(addr)
        .await
        .map_err(|error| StartError::Listen(key, addr, error))
}

async fn bind_if(key: &'static str, addr: Option<SocketAddr>) -> Result<Option<TcpListener>, StartError> {
    match addr {
        Some(addr) => bind(key, addr).await.map(Some),
        None => Ok(None),
    }
}

fn addr_of(key: &'static str, asked: SocketAddr, listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener
        .local_addr()
        .map_err(|error| StartError::Listen(key, asked, error))
}

fn hosts(config: &Config, origin: &PublicOrigin) -> Hosts {
    Hosts::new(
        &origin.host,
        &config.hosts,
        config.listen.https.ip().is_loopback(),
    )
    .at_port(origin.port)
}

fn tls(config: &Config, origin: &PublicOrigin, clock: &Clock) -> Result<Tls, Vec<Problem>> {
    let settings = TlsSettings {
        certs: config.tls.certs.clone(),
        public_host: origin.host.clone(),
        hosts: config.hosts.clone(),
        handshake: config.timeouts.handshake,
    };
    Tls::new(&settings, clock.unix()).map_err(|problems| {
        let told = |problem: &dyn fmt::Display| {
            config.problem(
                "tls.certs",
                problem.to_string(),
                "give each NAME.pem its NAME.key, both valid",
            )
        };
        problems.iter().map(|problem| told(problem)).collect()
    })
}

/// A browser would hold a name on this machine to HTTPS on every port, takes none for an address (RFC 6797 section 8.3),
/// and lets nobody past the warning of a certificate of our own making any more.
fn hsts(config: &Config, origin: &PublicOrigin, tls: &Tls) -> Option<Duration> {
    let is_name = origin.host.contains('.') && origin.host.parse::<std::net::IpAddr>().is_err();
    config.headers.hsts.filter(|_| is_name && !tls.is_self_made())
}

fn keys(config: &Config) -> Result<TokenKeys, Problem> {
    let secret = match &config.plugnmeet.secret {
        Some(secret) => secret.clone(),
        None => development_secret::read_or_make(&config.tls.certs)
            .map_err(|error| development_secret_problem(config, &error))?,
    };
    TokenKeys::new(config.plugnmeet.api_key.clone(), &secret).map_err(|problem| {
        config.problem(
            "plugnmeet",
            problem.to_string(),
            "give the server's own api_key and secret",
        )
    })
}

fn development_secret_problem(config: &Config, error: &io::Error) -> Problem {
    config.problem(
        "tls.certs",
        format!("plugnmeet-secret: {error}"),
        "make the folder writable, or set plugnmeet.secret",
    )
}

fn files(config: &Config, origin: &PublicOrigin) -> Result<ClientFiles, Problem> {
    files_settings(config, origin)
        .and_then(ClientFiles::load)
        .map_err(|problem| files_problem(config, &problem))
}

fn files_settings(config: &Config, origin: &PublicOrigin) -> Result<FilesSettings, FilesProblem> {
    let client = &config.client;
    let mut settings = FilesSettings::new(origin.to_string(), client.mount.clone(), client.config.clone())?;
    settings.path.clone_from(&client.path);
    settings.cache.clone_from(&client.cache);
    settings.keep_releases = client.keep_releases;
    settings.watch = client.watch;
    settings.config_file.clone_from(&client.config_file);
    settings.expose_login = config.upstreams.expose.contains(&config::Exposed::Login);
    Ok(settings)
}

fn files_problem(config: &Config, problem: &FilesProblem) -> Problem {
    config.problem(problem.key(), problem.to_string(), problem.allowed())
}

/// What a design may be, for commands that judge one.
pub fn design_rules(config: &Config) -> Result<DesignRules, Problem> {
    design(config, &config.public_origin_at(config.listen.https.port()))
}

fn design(config: &Config, origin: &PublicOrigin) -> Result<DesignRules, Problem> {
    let on_invalid = match config.design.on_invalid {
        config::OnInvalid::Reject => design::OnInvalid::Reject,
        config::OnInvalid::Strip => design::OnInvalid::Strip,
    };
    let own = url::Url::parse(&origin.to_string())
        .map_err(|error| config.problem("public_origin", error.to_string(), "https://HOST[:PORT]"))?;
    DesignSettings::new(
        on_invalid,
        &config.design.css_hosts,
        &config.design.image_hosts,
        &own,
    )
    .map(|mut settings| {
        settings.from_links = config.design.from_links;
        settings.named.clone_from(&config.designs);
        settings.customization = config.client.config.get("designCustomization").cloned();
        settings = settings.serving(&config.hosts, &config.client.mount);
        DesignRules::new(settings)
    })
    .map_err(|problem| config.problem("design", problem.to_string(), "a host, *.HOST or *"))
}

/// Where the client's files are, if the operator has them elsewhere.
fn assets_origin(config: &Config, origin: &PublicOrigin) -> Option<String> {
    let url = url::Url::parse(config.client.config.get("staticAssetsPath")?.as_str()?).ok()?;
    // SECURITY: of our own origin only the folders of the client's files are opened.
    let is_here = |host: &str| host == origin.host || config.hosts.iter().any(|own| own == host);
    (!url.host_str().is_some_and(is_here)).then(|| url.origin().ascii_serialization())
}

/// Headers of pages.
fn pages(config: &Config, origin: &PublicOrigin, design: &DesignRules) -> Result<PageHeaders, Problem> {
    let headers = &config.headers;
    PageHeaders::new(&PageSettings {
        csp: match headers.csp {
            config::CspMode::Enforce => Csp::Enforce,
            config::CspMode::Report => Csp::Report,
            config::CspMode::Off => Csp::Off,
        },
        csp_report: headers.csp_report.as_ref().map(ToString::to_string),
        csp_sources: headers.csp_sources.clone(),
        css_sources: design.css_sources(),
        operator_sources: design.operator_sources(),
        assets_origin: assets_origin(config, origin),
        mount: config.client.mount.clone(),
        public_origin: origin.to_string(),
        frame_ancestors: config.session.frame_ancestors.clone(),
    })
    .map_err(|problem| config.problem("headers", problem.to_string(), "write it without ; , and quotes"))
}

async fn router(
    config: &Config,
    origin: &PublicOrigin,
    clock: &Clock,
    drain: &Drain,
    metrics: &Arc<Metrics>,
    access: AccessLog,
    hsts: Option<Duration>,
) -> Result<Router, Vec<Problem>> {
    let (keys, files, design) = match (keys(config), files(config, origin), design(config, origin)) {
        (Ok(keys), Ok(files), Ok(design)) => (Arc::new(keys), files, design),
        (keys, files, design) => {
            return Err([keys.err(), files.err(), design.err()]
                .into_iter()
                .flatten()
                .collect());
        }
    };
    let pages = pages(config, origin, &design).map_err(|problem| vec![problem])?;
    let files = Arc::new(files);
    files.compress();
    Arc::clone(&files).watch(drain);
    let limits = Arc::new(Limits::start(&config.limits, &rates_of_callers(config), metrics, clock).await);
    let scope = match config.session.scope {
        config::SessionScope::Session => Scope::Session,
        config::SessionScope::Mount => Scope::Mount,
    };
    let handoff = HandoffSettings {
        mount: config.client.mount.clone(),
        scope,
        renew_grace: config.session.renew_grace,
        max_age: config.session.max_age,
        login_url: config
            .session
            .login_url
            .as_ref()
            .and_then(|url| url.as_str().parse().ok()),
        framed: !config.session.frame_ancestors.is_empty(),
    };
    let sessions = Arc::new(Sessions::among(config.callers.len()));
    let upstreams = upstreams(config, metrics, drain);
    let server = upstreams.server.clone();
    let issue = IssueSettings {
        mode: match config.issuer.mode {
            config::IssuerMode::Embedded => Mode::Embedded(EmbeddedSettings {
                token_validity: config.issuer.token_validity,
            }),
            config::IssuerMode::Upstream => Mode::Upstream,
        },
        max_body_bytes: config.sizes.token_body_bytes,
        body_deadline: config.timeouts.header,
        coalesce: config.issuer.coalesce,
        callers: config.callers.iter().map(caller).collect(),
    };
    let issue = Arc::new(Issue::new(
        issue,
        Arc::clone(&keys),
        server,
        Arc::clone(&limits),
        Arc::clone(&sessions),
        access.audit(),
        clock.clone(),
    ));
    let exposes = |page| config.upstreams.expose.contains(&page);
    Ok(Router {
        hosts: hosts(config, origin),
        table: Table {
            mount: config.client.mount.clone(),
            session_paths: scope == Scope::Session,
            login: exposes(config::Exposed::Login),
            metrics: exposes(config::Exposed::Metrics),
            whole: Whole {
                nats: exposes(config::Exposed::Ws),
                livekit: exposes(config::Exposed::Livekit),
                etherpad: exposes(config::Exposed::EtherpadAdmin),
            },
        },
        design_check: DesignCheck::new(design.clone(), limits, config.timeouts.header),
        handoff: Handoff::new(
            handoff,
            Arc::clone(&keys),
            design,
            Arc::clone(&issue),
            Arc::clone(&files),
            sessions,
            Arc::clone(metrics),
            clock.clone(),
        ),
        issue,
        keys,
        files,
        upstreams,
        internal: config.trust.internal.clone(),
        finish: Finish::new(pages, hsts),
        framing: Framing::new(
            config.session.frame_ancestors.is_empty(),
            Arc::clone(metrics),
            clock.clone(),
        ),
        login_url: config.session.login_url.as_ref().map(ToString::to_string),
        clock: clock.clone(),
        access: Arc::new(access),
        ids: RequestIds::default(),
    })
}

/// Those of callers that have any of their own; what they leave out is as for all.
fn rates_of_callers(config: &Config) -> Vec<(String, Rates)> {
    let all = config.limits.rates;
    let rates = |own: config::CallerRates| Rates {
        user: own.user.unwrap_or(all.user),
        room: own.room.unwrap_or(all.room),
        caller: own.caller.unwrap_or(all.caller),
    };
    let callers = config.callers.iter();
    callers
        .map(|caller| (caller.name.clone(), rates(caller.limits)))
        .collect()
}

fn caller(caller: &config::Caller) -> CallerSettings {
    CallerSettings {
        name: caller.name.clone(),
        api_key: caller.api_key.clone(),
        secrets: caller.secrets.clone(),
        rooms: caller.rooms.clone(),
        may_issue_admin: caller.may_issue_admin,
        enabled: caller.enabled,
    }
}

fn upstreams(config: &Config, metrics: &Metrics, drain: &Drain) -> Upstreams {
    let settings = ProxySettings {
        connect: config.timeouts.connect,
        max_connections: config
            .upstreams
            .max_connections
            .get()
            .min(budget(config).upstreams),
        response: config.timeouts.response,
        idle: config.timeouts.idle,
        tunnel_silence: config.timeouts.tunnel_silence,
        max_body_bytes: config.sizes.body_bytes,
        least_rate: config.sizes.least_bytes_per_second,
    };
    let to = |kind, found: &[config::Upstream]| {
        let targets: Vec<Target> = found
            .iter()
            .map(|upstream| match upstream.clone() {
                config::Upstream::Tcp { host, port } => Target::Tcp { host, port },
                config::Upstream::Unix(path) => Target::Unix(path),
            })
            .collect();
        (!targets.is_empty()).then(|| Arc::new(Upstream::new(kind, targets, settings, metrics, drain)))
    };
    let found = &config.upstreams;
    Upstreams {
        server: to(UpstreamKind::Server, &found.server),
        livekit: to(UpstreamKind::Livekit, found.livekit.as_slice()),
        nats: to(UpstreamKind::Nats, found.nats.as_slice()),
        etherpad: to(UpstreamKind::Etherpad, found.etherpad.as_slice()),
        ingress: to(UpstreamKind::Ingress, found.ingress.as_slice()),
    }
}
