//! The plan: the settings of every module, built from the configuration, with every problem and every warning of every
//! module.
//!
//! `check` is the plan; `serve` is the plan, and then listens and starts. So the two can't differ. A plan is immutable and
//! opens nothing: what runs (connections, counts, sessions, the files that are served) belongs to the modules, so that
//! another plan can take the place of one.
//!
//! Not here: reading the file (`super::sections`), listening and starting (`crate::gateway`).

mod acme;
mod client;
mod keys;
mod listen;
mod pages;
mod port;
mod tls;
mod upstreams;

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use rustix::process::{Resource, getrlimit};

pub use self::{acme::AcmePlan, keys::Keys, listen::NotListening, port::PortPlan, upstreams::UpstreamsPlan};
use super::{AtStart, Caller, CallerRates, Config, Exposed, Problem, PublicOrigin};
use crate::{
    addr::Networks,
    clock::Clock,
    conn::ConnSettings,
    design::DesignRules,
    issue::{IssueSettings, Mode},
    limits::{LimitsSettings, Rates},
    listen::HttpsSettings,
    places::{Budget, PlacesSettings},
    route::{Hosts, PageHeaders, Table, Whole},
    session::{Scope, SessionSettings},
    tls::TlsSettings,
    webapp::WebApp,
};

/// What the gateway is to do.
pub struct Plan {
    /// Where clients see us.
    pub public_origin: PublicOrigin,
    /// What tells this configuration from another, without secrets.
    pub hash: String,
    /// What only a start reads.
    pub at_start: AtStart,
    /// Is a record of each request written?
    pub access: bool,
    /// The names that we answer to.
    pub hosts: Hosts,
    /// Those by which the admin listener is asked.
    pub admin_hosts: Vec<String>,
    /// Threads that serve connections.
    pub threads: NonZeroUsize,
    /// For open requests at a stop.
    pub drain: Duration,
    /// Between the word that it stops and the end of accepting.
    pub drain_delay: Duration,
    /// For WebSockets and requests of before a hand-over.
    pub handover: Duration,
    /// Places of clients' connections.
    pub places: PlacesSettings,
    /// Places of the operator's.
    pub admin_places: PlacesSettings,
    /// How connections begin.
    pub https: HttpsSettings,
    /// How they go on.
    pub conn: ConnSettings,
    /// Certificates.
    pub tls: TlsSettings,
    /// Certificates by themselves.
    pub acme: AcmePlan,
    /// For how long browsers are held to HTTPS, where the certificate is not of our own making.
    pub hsts: Option<Duration>,
    /// What tokens and requests are signed with.
    pub keys: Keys,
    /// The client's files, as they were read to find whether they can be served.
    pub webapp: Arc<WebApp>,
    /// What a design may be.
    pub design: DesignRules,
    /// For a design that is checked, from the end of the head.
    pub design_deadline: Duration,
    /// Headers of pages.
    pub pages: PageHeaders,
    /// May nobody frame the conference?
    pub unframed: bool,
    /// How often what may happen.
    pub limits: LimitsSettings,
    /// Likewise, of callers with keys of their own, by name.
    pub rates: Vec<(String, Rates)>,
    /// How sessions are handed off.
    pub session: SessionSettings,
    /// How tokens are issued.
    pub issue: IssueSettings,
    /// Who is behind us.
    pub upstreams: UpstreamsPlan,
    /// What goes on to others as it is.
    pub port: PortPlan,
    /// The URL space.
    pub table: Table,
    /// Who may call internal endpoints; empty for everyone.
    pub internal: Networks,
    /// Where people without a session go.
    pub login_url: Option<String>,
    /// What is allowed and still unwise.
    pub warnings: Vec<String>,
    /// What an operator may not expect.
    pub notes: Vec<&'static str>,
}

/// The "Custom CSS URL" of a learning platform lies on the platform's own host (docs/plugnmeet.md section 7).
const NO_CSS_HOSTS: &str = "design.css_hosts is empty, so that the style sheet of a learning platform, its \"Custom CSS \
                            URL\", is taken out of designs; name the platform's host there";

/// Why there is no plan.
#[derive(Debug)]
pub struct NoPlan {
    /// Never empty.
    pub problems: Vec<Problem>,
    /// What is unwise besides.
    pub warnings: Vec<String>,
}

/// What the modules find, while the plan is made.
struct Found<'c> {
    config: &'c Config,
    origin: PublicOrigin,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl Found<'_> {
    /// Keeps a problem.
    fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Warns of a key's value.
    fn warn(&mut self, key: &str, what: &str) {
        self.warnings.push(self.config.warning(key, what));
    }

    /// Keeps a problem, if it is one.
    fn sound<T>(&mut self, judged: Result<T, Problem>) -> Option<T> {
        judged.map_err(|problem| self.problem(problem)).ok()
    }
}

impl Plan {
    /// Plans for HTTPS on this port: the one in `listen.https`, or the system's choice. Reads files, and makes none.
    pub fn of(config: &Config, https_port: u16, clock: &Clock) -> Result<Self, NoPlan> {
        Self::made(config, https_port, clock, None)
    }

    /// As `of`, for a gateway that runs and serves this client: it is read again only where something else is wanted.
    pub fn again(
        config: &Config,
        https_port: u16,
        clock: &Clock,
        served: &Arc<WebApp>,
    ) -> Result<Self, NoPlan> {
        Self::made(config, https_port, clock, Some(served))
    }

    fn made(
        config: &Config,
        https_port: u16,
        clock: &Clock,
        served: Option<&Arc<WebApp>>,
    ) -> Result<Self, NoPlan> {
        let mut found = Found {
            config,
            origin: config.public_origin_at(https_port),
            problems: config.refused.clone(),
            warnings: config.warnings.clone(),
        };
        listen::warn(&mut found, https_port);
        port::warn(&mut found);
        let acme = acme::plan(&mut found);
        let tls = tls::plan(&mut found, clock, acme.settings.as_ref());
        let keys = keys::plan(&mut found);
        let webapp = client::plan(&mut found, served);
        let design = pages::design(config, &found.origin);
        let design = found.sound(design);
        let pages = design.as_ref().and_then(|design| pages::plan(&mut found, design));
        let Found {
            origin,
            problems,
            warnings,
            ..
        } = found;
        let (Some(keys), Some(webapp), Some(design), Some(pages), []) =
            (keys, webapp, design, pages, problems.as_slice())
        else {
            return Err(NoPlan {
                problems: in_order(config, problems),
                warnings,
            });
        };
        let budget = budget(config);
        Ok(Self {
            hash: config.hash(),
            at_start: config.at_start(),
            access: config.log.access,
            hosts: listen::hosts(config, &origin),
            admin_hosts: config.listen.admin_hosts.clone(),
            threads: listen::threads(config),
            drain: config.timeouts.drain,
            drain_delay: config.timeouts.drain_delay,
            handover: config.timeouts.handover,
            places: listen::places(config, &budget),
            admin_places: listen::admin_places(),
            https: listen::https(config),
            conn: listen::conn(config),
            tls,
            acme,
            hsts: tls::hsts(config, &origin),
            keys,
            webapp,
            design,
            design_deadline: config.timeouts.header,
            pages,
            unframed: config.session.frame_ancestors.is_empty(),
            limits: config.limits.clone(),
            rates: rates_of_callers(config),
            session: session(config),
            issue: issue(config),
            upstreams: upstreams::plan(config, &budget),
            port: port::plan(config),
            table: table(config),
            internal: config.trust.internal.clone(),
            login_url: config.session.login_url.as_ref().map(ToString::to_string),
            warnings,
            notes: notes(config),
            public_origin: origin,
        })
    }
}

fn notes(config: &Config) -> Vec<&'static str> {
    let design = &config.design;
    let platforms = matches!(config.issuer.mode, Mode::Upstream) && design.from_links;
    let css = (platforms && design.css_hosts.is_empty()).then_some(NO_CSS_HOSTS);
    css.into_iter().collect()
}

/// In the order of the file; then those of the environment and of defaults.
fn in_order(config: &Config, mut problems: Vec<Problem>) -> Vec<Problem> {
    let file = config
        .places
        .values()
        .find(|place| place.line.is_some())
        .map(|place| place.file.clone());
    problems.sort_by_key(|problem| (Some(&problem.file) != file.as_ref(), problem.line));
    problems
}

/// What file descriptors are for.
fn budget(config: &Config) -> Budget {
    // Without a limit there is more than anybody needs.
    let open_files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    // Beside the workers: the main thread, the one that accepts, and the link to Redis.
    Budget::of(open_files, listen::threads(config).get() + 3)
}

fn table(config: &Config) -> Table {
    let exposes = |what| config.upstreams.expose.contains(&what);
    Table {
        mount: config.client.mount.clone(),
        session_paths: config.session.scope == Scope::Session,
        login: exposes(Exposed::Login),
        metrics: exposes(Exposed::Metrics),
        whole: Whole {
            nats: exposes(Exposed::Ws),
            livekit: exposes(Exposed::Livekit),
            etherpad: exposes(Exposed::EtherpadAdmin),
        },
    }
}

fn session(config: &Config) -> SessionSettings {
    let session = &config.session;
    SessionSettings {
        mount: config.client.mount.clone(),
        scope: session.scope,
        renew_grace: session.renew_grace,
        max_age: session.max_age,
        login_url: session
            .login_url
            .as_ref()
            .and_then(|url| url.as_str().parse().ok()),
        framed: !session.frame_ancestors.is_empty(),
    }
}

fn issue(config: &Config) -> IssueSettings {
    IssueSettings {
        mode: config.issuer.mode,
        max_body_bytes: config.sizes.token_body_bytes,
        body_deadline: config.timeouts.header,
        coalesce: config.issuer.coalesce,
        callers: config
            .callers
            .iter()
            .map(|caller| caller.settings.clone())
            .collect(),
    }
}

/// Those of callers that have any of their own; what they leave out is as for all.
fn rates_of_callers(config: &Config) -> Vec<(String, Rates)> {
    let all = config.limits.rates;
    let rates = |own: CallerRates| Rates {
        user: own.user.unwrap_or(all.user),
        room: own.room.unwrap_or(all.room),
        caller: own.caller.unwrap_or(all.caller),
    };
    let named = |caller: &Caller| (caller.settings.name.clone(), rates(caller.limits));
    config.callers.iter().map(named).collect()
}
