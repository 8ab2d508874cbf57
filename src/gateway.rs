//! Assembly: a plan and open listeners become a running gateway. The one file that sees all modules.
//!
//! `Running` is what start-up hands back: where it listens, which certificates it has, and the way to stop it.
//!
//! Not here: what the configuration means for each module (`crate::config::Plan`).

mod port;

use std::{io, net::SocketAddr, num::NonZeroUsize, sync::Arc, time::Duration};

use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::{
    clock::Clock,
    config::{Config, NotListening, Plan, PublicOrigin, UpstreamsPlan},
    conn::Conn,
    drain::Drain,
    issue::Issue,
    limits::Limits,
    listen::{self, Admin, Https, Plain, Redirect},
    memory::Memory,
    observe::{AccessLog, Metrics, Records},
    places::Places,
    proxy::{Target, Total, Upstream, UpstreamKind},
    request_id::RequestIds,
    route::{Finish, Framing, Router, Upstreams},
    session::{DesignCheck, Sessions},
    tls::{Tls, TlsProblem},
    webapp::WebApp,
    workers::Workers,
};

/// Sockets that listen; nobody is let in before the start.
pub struct Listeners {
    https: TcpListener,
    http: Option<TcpListener>,
    plain: Option<TcpListener>,
    admin: Option<TcpListener>,
    /// Those of `[[tcp]]`, in their order.
    tcp: Vec<TcpListener>,
    /// Where HTTPS is served: the port is known by now.
    https_addr: SocketAddr,
}

/// A gateway that takes requests.
pub struct Running {
    /// Where HTTPS is served.
    pub https: SocketAddr,
    /// Where plain HTTP leads to HTTPS.
    pub http: Option<SocketAddr>,
    /// Where balancers that end TLS call.
    pub plain: Option<SocketAddr>,
    /// Where the operator asks.
    pub admin: Option<SocketAddr>,
    /// Where connections go on as they are.
    pub tcp: Vec<SocketAddr>,
    /// What clients see.
    pub public_origin: PublicOrigin,
    /// What is served with which certificate.
    pub certificates: Vec<String>,
    tls: Tls,
    webapp: Arc<WebApp>,
    drain: Drain,
    admin_drain: Drain,
    drain_deadline: Duration,
    _workers: Arc<Workers>,
    _acceptor: Workers,
}

/// Why a plan that is sound is not carried out.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system gives no threads.
    #[error("can't start a thread: {0}")]
    Threads(#[source] io::Error),
    /// The secret that a first start makes.
    #[error("plugnmeet-secret: {0}")]
    Secret(#[source] io::Error),
    /// The certificates, or the one that a first start makes.
    #[error("{}", each(.0))]
    Certificates(Vec<TlsProblem>),
}

fn each(problems: &[TlsProblem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl Listeners {
    /// Opens all of them, or tells of each that can't be opened.
    pub async fn open(config: &Config) -> Result<Self, Vec<NotListening>> {
        let (mut open, mut problems) = ([None, None, None, None], Vec::new());
        for ((key, addr), open) in config.listeners().into_iter().zip(&mut open) {
            let Some(addr) = addr else { continue };
            match listen::bind(addr).await {
                Ok(listener) => *open = Some(listener),
                Err(error) => problems.push(config.not_listening(key, addr, &error)),
            }
        }
        let mut tcp = Vec::new();
        for (nth, addr) in config.tcp_listeners().enumerate() {
            match listen::bind(addr).await {
                Ok(listener) => tcp.push(listener),
                Err(error) => problems.extend(config.tcp_not_listening(nth, &error)),
            }
        }
        let [https, http, plain, admin] = open;
        let https = https.and_then(|listener| Some((listener.local_addr().ok()?, listener)));
        match https {
            Some((https_addr, https)) if problems.is_empty() => Ok(Self {
                https,
                http,
                plain,
                admin,
                tcp,
                https_addr,
            }),
            Some(_) | None => Err(problems),
        }
    }

    /// The port of HTTPS; the system's choice where 0 was asked for.
    pub fn https_port(&self) -> u16 {
        self.https_addr.port()
    }
}

/// Starts what is planned. May make a certificate and a secret, so it blocks for a moment.
pub async fn start(
    plan: Plan,
    listeners: Listeners,
    clock: &Clock,
    records: Records,
) -> Result<Running, StartError> {
    let workers = Arc::new(Workers::start("worker", plan.threads).map_err(StartError::Threads)?);
    // Accepting has a thread of its own: a busy worker, or what the main thread does besides, holds no newcomer up.
    let acceptor = Workers::start("accept", NonZeroUsize::MIN).map_err(StartError::Threads)?;
    let accepting = acceptor
        .first()
        .ok_or_else(|| StartError::Threads(io::ErrorKind::Other.into()))?
        .clone();
    let places = Places::new(plan.places.clone());
    let admin_places = Places::new(plan.admin_places.clone());
    let (drain, admin_drain) = (Drain::default(), Drain::default());
    let metrics = Arc::new(Metrics::default());
    let access = AccessLog::new(records, Arc::clone(&metrics), clock.clone());
    let tls = Tls::new(&plan.tls, clock.unix()).map_err(StartError::Certificates)?;
    tls.watch(clock.clone(), Arc::clone(&metrics), &drain);
    let certificates = tls.certificate_files().iter().map(ToString::to_string).collect();
    let Listeners {
        https,
        http,
        plain,
        admin,
        tcp,
        https_addr,
    } = listeners;
    let addr = |listener: &Option<TcpListener>| listener.as_ref().and_then(|it| it.local_addr().ok());
    let (http_addr, admin_addr) = (addr(&http), addr(&admin));
    let (public_origin, drain_deadline) = (plan.public_origin.clone(), plan.drain);
    let total = Total::new(plan.upstreams.total);
    let beside = port::beside(&plan.port, &metrics, &total, &drain);
    let tcp_doors = port::tcp(&plan.port, &metrics, &total, &drain);
    let redirect = Redirect::new(plan.hosts.clone(), plan.public_origin.port);
    let (conn, https_settings, admin_hosts) =
        (plan.conn.clone(), plan.https.clone(), plan.admin_hosts.clone());
    // Browsers let nobody past the warning of a certificate of our own making any more, once they are held to HTTPS.
    let hsts = plan.hsts.filter(|_| !tls.is_self_made());
    let router = router(plan, clock, &drain, &metrics, access, hsts, &total).await?;
    let running = Running {
        https: https_addr,
        http: http_addr,
        plain: addr(&plain),
        admin: admin_addr,
        tcp: tcp.iter().filter_map(|it| it.local_addr().ok()).collect(),
        public_origin,
        certificates,
        tls: tls.clone(),
        webapp: Arc::clone(&router.webapp),
        drain: drain.clone(),
        admin_drain: admin_drain.clone(),
        drain_deadline,
        _workers: Arc::clone(&workers),
        _acceptor: acceptor,
    };

    let front = Conn::new(conn.clone(), Arc::new(router), &drain);
    if let Some(listener) = plain {
        let behind = Plain::new(front.clone()).behind(https_settings.proxies.clone());
        accepting.spawn(behind.run(listener, places.clone(), drain.clone(), Arc::clone(&workers)));
    }
    let front = Https::new(https_settings, tls, front, Arc::clone(&metrics));
    let front = match beside {
        Some(beside) => front.shared_with(beside),
        None => front,
    };
    for (listener, door) in tcp.into_iter().zip(tcp_doors) {
        let (places, drain, workers) = (places.clone(), drain.clone(), Arc::clone(&workers));
        accepting.spawn(door.run(listener, places, drain, workers));
    }
    accepting.spawn(front.run(https, places.clone(), drain.clone(), Arc::clone(&workers)));
    if let Some(listener) = http {
        let listening = Plain::new(Conn::new(conn.clone(), Arc::new(redirect), &drain));
        accepting.spawn(listening.run(listener, places, drain.clone(), Arc::clone(&workers)));
    }
    if let Some(listener) = admin {
        // It goes on telling during the drain, and so has one of its own.
        let admin = Admin::of(&drain, metrics, admin_hosts);
        let listening = Plain::new(Conn::new(conn, Arc::new(admin), &admin_drain));
        accepting.spawn(listening.run(listener, admin_places, admin_drain, workers));
    }
    Ok(running)
}

impl Running {
    /// Reads certificates and the client's files again, soon; those that are there stay until others are whole.
    pub fn reload(&self) {
        self.tls.ask_for_new();
        self.webapp.ask_for_new();
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

async fn router(
    plan: Plan,
    clock: &Clock,
    drain: &Drain,
    metrics: &Arc<Metrics>,
    access: AccessLog,
    hsts: Option<Duration>,
    total: &Total,
) -> Result<Router, StartError> {
    let keys = plan.keys.open().map_err(StartError::Secret)?;
    let webapp = Arc::new(plan.webapp);
    webapp.compress();
    Arc::clone(&webapp).watch(drain);
    let limits = Arc::new(Limits::start(&plan.limits, &plan.rates, metrics, clock).await);
    let memory = Arc::new(Memory::among(plan.issue.callers.len()));
    let upstreams = upstreams(plan.upstreams, total, metrics, drain);
    let issue = Arc::new(Issue::new(
        plan.issue,
        Arc::clone(&keys),
        upstreams.server.clone(),
        Arc::clone(&limits),
        Arc::clone(&memory),
        access.audit(),
        clock.clone(),
    ));
    Ok(Router {
        hosts: plan.hosts,
        table: plan.table,
        design_check: DesignCheck::new(plan.design.clone(), limits, plan.design_deadline),
        sessions: Sessions::new(
            plan.session,
            Arc::clone(&keys),
            plan.design,
            Arc::clone(&issue),
            Arc::clone(&webapp),
            memory,
            Arc::clone(metrics),
            clock.clone(),
        ),
        issue,
        keys,
        webapp,
        upstreams,
        internal: plan.internal,
        finish: Finish::new(plan.pages, hsts),
        framing: Framing::new(plan.unframed, Arc::clone(metrics), clock.clone()),
        login_url: plan.login_url,
        clock: clock.clone(),
        access: Arc::new(access),
        ids: RequestIds::default(),
    })
}

fn upstreams(plan: UpstreamsPlan, total: &Total, metrics: &Metrics, drain: &Drain) -> Upstreams {
    let to = |kind, targets: Vec<Target>| {
        (!targets.is_empty()).then(|| {
            let upstream = Upstream::new(kind, targets, plan.settings, total.clone(), metrics, drain);
            Arc::new(upstream)
        })
    };
    Upstreams {
        server: to(UpstreamKind::Server, plan.server),
        livekit: to(UpstreamKind::Livekit, plan.livekit),
        nats: to(UpstreamKind::Nats, plan.nats),
        etherpad: to(UpstreamKind::Etherpad, plan.etherpad),
        ingress: to(UpstreamKind::Ingress, plan.ingress),
    }
}
