//! The plan: the settings of every module, built from the configuration, with every problem and every warning of every
//! module.
//!
//! `check` makes the plan; `serve` makes the plan, and then listens and starts. So the two can't differ. A plan is
//! immutable and opens nothing: what runs (connections, counts, sessions, the files that are served) belongs to the
//! modules, so that another plan can take the place of one.
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
    check_page::CheckPageSettings,
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
    /// The origin that clients see.
    pub public_origin: PublicOrigin,
    /// A hash of the configuration, without secrets, that tells it from another.
    pub hash: String,
    /// The values that only a start reads.
    pub at_start: AtStart,
    /// Is a record of each request written?
    pub access: bool,
    /// The names to which the gateway answers.
    pub hosts: Hosts,
    /// The names by which the admin listener may be asked.
    pub admin_hosts: Vec<String>,
    /// How many threads serve connections.
    pub threads: NonZeroUsize,
    /// How long open requests may go on at a stop.
    pub drain: Duration,
    /// The time, at a stop, from the word that the gateway stops to the end of accepting.
    pub drain_delay: Duration,
    /// How long WebSockets and requests of the old process may go on after a hand-over.
    pub handover: Duration,
    /// The places for clients' connections.
    pub places: PlacesSettings,
    /// The places for the operator's connections.
    pub admin_places: PlacesSettings,
    /// The settings of HTTPS connections until their handshake is over.
    pub https: HttpsSettings,
    /// The settings of HTTP connections.
    pub conn: ConnSettings,
    /// The settings of TLS and its certificates.
    pub tls: TlsSettings,
    /// The settings of certificates that are ordered by ACME.
    pub acme: AcmePlan,
    /// How long browsers use nothing but HTTPS, if the certificate is not one that the gateway made. None: they are not
    /// told to.
    pub hsts: Option<Duration>,
    /// The keys that sign tokens and requests.
    pub keys: Keys,
    /// The client's files. They have been read to find whether they can be served.
    pub webapp: Arc<WebApp>,
    /// What a design may contain.
    pub design: DesignRules,
    /// The deadline for the body of a design that is checked, from the end of the request's head.
    pub design_deadline: Duration,
    /// The header fields of pages.
    pub pages: PageHeaders,
    /// What the check page looks for.
    pub check_page: CheckPageSettings,
    /// May no site show the conference in a frame?
    pub unframed: bool,
    /// The limits for all callers and clients.
    pub limits: LimitsSettings,
    /// The limits of each caller with a key of its own, by the caller's name.
    pub rates: Vec<(String, Rates)>,
    /// The settings of the handoff and of sessions.
    pub session: SessionSettings,
    /// The settings by which tokens are issued.
    pub issue: IssueSettings,
    /// The upstreams, and the settings that they share.
    pub upstreams: UpstreamsPlan,
    /// The connections that go on to others as they are.
    pub port: PortPlan,
    /// What the URL space depends on.
    pub table: Table,
    /// Networks that may call internal endpoints. Empty: everyone may.
    pub internal: Networks,
    /// Where people without a session are sent. None: they see a page.
    pub login_url: Option<String>,
    /// Warnings about what is allowed and unwise.
    pub warnings: Vec<String>,
    /// Facts that an operator may not expect.
    pub notes: Vec<&'static str>,
}

/// The "Custom CSS URL" of a learning platform lies on the platform's own host (docs/plugnmeet.md section 7).
const NO_CSS_HOSTS: &str = "design.css_hosts is empty, so that the style sheet of a learning platform, its \"Custom CSS \
                            URL\", is taken out of designs; name the platform's host there";

#[derive(Debug)]
pub struct NoPlan {
    /// All problems; there is at least one.
    pub problems: Vec<Problem>,
    /// Warnings about what is allowed and unwise.
    pub warnings: Vec<String>,
}

/// Collects what the modules find while the plan is made.
struct Found<'c> {
    config: &'c Config,
    origin: PublicOrigin,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl Found<'_> {
    fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Adds a warning about a key's value.
    fn warn(&mut self, key: &str, what: &str) {
        self.warnings.push(self.config.warning(key, what));
    }

    /// Returns the value, or adds the problem that stands in its place.
    fn sound<T>(&mut self, judged: Result<T, Problem>) -> Option<T> {
        judged.map_err(|problem| self.problem(problem)).ok()
    }
}

impl Plan {
    /// Makes the plan for HTTPS on this port: the one in `listen.https`, or the one that the system chose. Reads files,
    /// and makes none.
    pub fn of(config: &Config, https_port: u16, clock: &Clock) -> Result<Self, NoPlan> {
        Self::made(config, https_port, clock, None)
    }

    /// The names and the URL space that these settings make, without a look at anything else.
    pub fn paths(config: &Config) -> (Hosts, Table) {
        let origin = config.public_origin_at(config.listen.https_port());
        (listen::hosts(config, &origin), table(config))
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
        let design = pages::design(config, &found.origin, webapp.as_deref());
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
            check_page: pages::check(config, &origin),
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

/// Sorts problems in the order of the file; those of the environment and of defaults come last.
fn in_order(config: &Config, mut problems: Vec<Problem>) -> Vec<Problem> {
    let file = config
        .places
        .values()
        .find(|place| place.line.is_some())
        .map(|place| place.file.clone());
    problems.sort_by_key(|problem| (Some(&problem.file) != file.as_ref(), problem.line));
    problems
}

/// Divides the file descriptors that the process may open.
fn budget(config: &Config) -> Budget {
    // No limit means more descriptors than anybody needs.
    let open_files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    // Besides the workers there are the main thread, the one that accepts, and the link to Redis.
    Budget::of(open_files, listen::threads(config).get() + 3)
}

fn table(config: &Config) -> Table {
    let exposes = |what| config.upstreams.expose.contains(&what);
    Table {
        mount: config.client.mount.clone(),
        session_paths: config.session.scope == Scope::Session,
        check_page: config.check_page.enabled,
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

/// The limits of each caller, by name. Where a caller has no limit of its own, the one for all counts.
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
