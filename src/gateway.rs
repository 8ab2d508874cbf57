//! Assembly: a plan and open listeners become a running gateway. The one file that sees all modules.
//!
//! `Running` is what start-up hands back: where it listens, which certificates it has, and the way to stop it.
//!
//! Not here: what the configuration means for each module (`crate::config::Plan`).

mod build;
mod commands;
mod given;
mod handle;
mod listeners;
mod port;
mod reclaim;
mod reload;
mod serving;
mod succession;
mod way;

use std::{io, net::SocketAddr, num::NonZeroUsize, os::fd::OwnedFd, sync::Arc};

use tokio::{net::TcpListener, runtime, sync::Mutex};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::{
    acme::{Acme, Tools},
    addr::Spot,
    clock::Clock,
    config::{Plan, PublicOrigin},
    drain::Drain,
    issue::IssueState,
    joining::Joining,
    limits::StoreSettings,
    listen::{Https, Serve, accept},
    memory::Memory,
    observe::{AccessLog, Metrics, Records},
    places::Places,
    proxy::Total,
    request_id::RequestIds,
    tls::{Tls, TlsProblem},
    upgrade::Registry,
    workers::Workers,
};

use self::{
    build::State,
    handle::Seen,
    port::Port,
    serving::{Bare, Current, Front, ToAdmin, ToRedirect, ToRouter},
    way::{LateAdmin, Leaving},
};
pub use self::{
    commands::Commands,
    given::Given,
    handle::Handle,
    listeners::Listeners,
    reload::{Refused, TakenUp},
    succession::{Inherited, Threads},
};

/// A gateway that takes requests.
pub struct Running {
    /// Where HTTPS is served; the first of several addresses.
    pub https: SocketAddr,
    /// Where plain HTTP leads to HTTPS; the first of several.
    pub http: Option<SocketAddr>,
    /// Where the operator asks; the first of several.
    pub admin: Option<SocketAddr>,
    /// All addresses: below `https`, `http`, `plain` (balancers that end TLS), `admin`, and `tcp` (connections that go on as
    /// they are).
    pub addresses: Vec<(&'static str, SocketAddr)>,
    pub public_origin: PublicOrigin,
    /// What is served with which certificate.
    pub certificates: Vec<String>,
    handle: Handle,
    drain: Drain,
    late_admin: LateAdmin,
    /// The sockets that listen, for a process that comes after this one.
    listening: Vec<(String, OwnedFd)>,
    workers: Arc<Workers>,
    acceptor: Arc<Workers>,
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

/// Starts what is planned. May make a certificate and a secret, so it blocks for a moment.
pub async fn start(
    plan: Plan,
    listeners: Listeners,
    clock: &Clock,
    records: Records,
) -> Result<Running, StartError> {
    start_after(plan, listeners, clock, records, &mut Inherited::default()).await
}

/// As `start`, going on with what an older gateway hands over.
#[expect(clippy::too_many_lines, reason = "what is assembled, in its order")]
pub async fn start_after(
    plan: Plan,
    listeners: Listeners,
    clock: &Clock,
    records: Records,
    inherited: &mut Inherited,
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
    let (drain, leaving, late_admin) = (Drain::default(), Leaving::default(), LateAdmin::default());
    let (admin_drain, loops) = (leaving.admin_drain.clone(), leaving.listening.clone());
    let metrics = Arc::new(Metrics::default());
    let acme = Acme::new(plan.acme.settings.as_ref());
    let ordered = plan.acme.settings.clone();
    let store = plan.limits.store.clone();
    let tls = Tls::answering(&plan.tls, clock.unix(), acme.answers()).map_err(StartError::Certificates)?;
    tls.watch(clock.clone(), Arc::clone(&metrics), &drain);
    inherited.early(&tls);
    let certificates = tls.certificate_files().iter().map(ToString::to_string).collect();
    let (listening, addresses) = (listeners.again(), listeners.addresses());
    let Listeners {
        https,
        http,
        plain,
        admin,
        admin_later,
        tcp,
        https_addr,
    } = listeners;
    let first = |of: &str| {
        addresses
            .iter()
            .find(|(name, _)| *name == of)
            .map(|(_, addr)| *addr)
    };
    let state = State {
        clock: clock.clone(),
        metrics: Arc::clone(&metrics),
        drain: drain.clone(),
        access: AccessLog::new(records, Arc::clone(&metrics), clock.clone()),
        tls: tls.clone(),
        acme: acme.clone(),
        places: places.clone(),
        total: Total::new(plan.upstreams.total),
        tunnels: Registry::default(),
        joining: Joining::new(plan.upstreams.joining, &metrics, &drain),
        memory: Arc::new(Memory::among(plan.issue.callers.len())),
        issue: Arc::new(IssueState::new(clock)),
        ids: Arc::new(RequestIds::default()),
    };
    let port = Port::start(&plan.port, &metrics, &state.total, &drain);
    let public_origin = plan.public_origin.clone();
    plan.webapp.compress();
    Arc::clone(&plan.webapp).watch(&drain);
    let serving = Box::pin(state.serving(plan, None))
        .await
        .map_err(StartError::Secret)?;
    metrics
        .config()
        .in_use(&serving.in_use.hash, serving.in_use.taken_up);
    let current = Current::new(serving);
    let running = Running {
        https: https_addr,
        http: first("http"),
        admin: first("admin"),
        addresses: addresses.clone(),
        public_origin,
        certificates,
        handle: Handle::new(Seen {
            current: current.clone(),
            state,
            started: clock.steady(),
            https_port: https_addr.port(),
            addresses,
            late_admin: late_admin.clone(),
            leaving,
            port: port.seen,
            turn: Mutex::default(),
        }),
        drain: drain.clone(),
        late_admin: late_admin.clone(),
        listening,
        workers: Arc::clone(&workers),
        acceptor: Arc::new(acceptor),
    };

    inherited.late(&current).await;
    let renewed = tls.clone();
    let tools = Tools {
        clock: clock.clone(),
        metrics: Arc::clone(&metrics),
        redis: match store {
            StoreSettings::Redis(redis) => Some((redis.address, Arc::clone(&current.load().router.keys))),
            StoreSettings::Memory => None,
        },
        renewed: Box::new(move || renewed.ask_for_new()),
    };
    let front = Front::new(&current, &drain, |settings, conn| {
        let https = Https::new(settings, tls, conn, Arc::clone(&metrics));
        match port.beside {
            Some(beside) => https.shared_with(beside),
            None => https,
        }
    });
    let accepting = Accepting {
        runtime: accepting,
        workers,
        loops,
        faults: drain.clone(),
    };
    accepting.begin("listener https", https, &front, &places, &drain);
    let serving = Bare::new(&current, ToRouter(current.clone()), &drain).behind_balancers();
    accepting.begin("listener plain", plain, &serving, &places, &drain);
    for (listeners, serving) in tcp.into_iter().zip(port.tcp) {
        accepting.begin("listener tcp", listeners, &serving, &places, &drain);
    }
    let serving = Bare::new(&current, ToRedirect(current.clone()), &drain);
    accepting.begin("listener http", http, &serving, &places, &drain);
    // It goes on telling during the drain, and so has one of its own.
    let serving = Bare::new(&current, ToAdmin(current.clone()), &admin_drain);
    accepting.begin("listener admin", admin, &serving, &admin_places, &admin_drain);
    for spot in admin_later {
        warn!(
            "Admin: none for now, as a gateway that stops has {} still; it is taken as soon as it is free",
            spot.addr
        );
        accepting.begin_later(
            spot,
            late_admin.clone(),
            serving.clone(),
            &admin_places,
            &admin_drain,
        );
    }
    tokio::spawn(reclaim::behind_peaks(places));
    if let Some(ordered) = ordered {
        acme.start(ordered, tools, &drain);
    }
    Ok(running)
}

/// Where connections are accepted, and which threads serve them.
struct Accepting {
    runtime: runtime::Handle,
    workers: Arc<Workers>,
    loops: TaskTracker,
    /// Told when a listener's loop ends too early.
    faults: Drain,
}

impl Accepting {
    fn begin(
        &self,
        what: &'static str,
        listeners: Vec<TcpListener>,
        serving: &impl Serve,
        places: &Places,
        drain: &Drain,
    ) {
        for listener in listeners {
            let (serving, workers) = (serving.clone(), Arc::clone(&self.workers));
            let accepts = accept(listener, serving, places.clone(), drain.clone(), workers);
            self.spawn(what, accepts);
        }
    }

    /// The admin listener, once its address is free.
    fn begin_later(&self, spot: Spot, late: LateAdmin, serving: impl Serve, places: &Places, drain: &Drain) {
        let (workers, places, drain) = (Arc::clone(&self.workers), places.clone(), drain.clone());
        self.spawn("listener admin", async move {
            let listener = tokio::select! {
                listener = late.bind(spot) => listener,
                () = drain.draining() => return,
            };
            info!("Admin on {}: /livez, /readyz, /metrics", spot.addr);
            accept(listener, serving, places, drain, workers).await;
        });
    }

    fn spawn(&self, what: &'static str, accepts: impl Future<Output = ()> + Send + 'static) {
        let accepts = self.faults.clone().watch(what, accepts);
        self.loops.spawn_on(accepts, &self.runtime);
    }
}

impl Running {
    /// What an operator sees of it and does with it.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Reads certificates and the client's files again, soon; those that are there stay until others are whole.
    pub fn reload(&self) {
        self.handle.read_files_again();
    }

    /// The open WebSockets, by upstream and by room.
    pub fn tunnels(&self) -> &Registry {
        &self.handle.seen().state.tunnels
    }

    /// Who is on the way in, and who waits.
    pub fn joining(&self) -> &Joining {
        &self.handle.seen().state.joining
    }
}
