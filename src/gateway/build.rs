//! From a plan to what serves requests, around what survives it.
//!
//! Settings are a plan's and replaced as a whole. State is here: counts, connections, what is remembered and what was
//! learned. Another plan goes on with it.

use std::{io, sync::Arc};

use super::serving::{InUse, Serving};
use crate::{
    acme::Acme,
    check_page::CheckPage,
    clock::Clock,
    config::{Plan, UpstreamsPlan},
    drain::Drain,
    issue::{Issue, IssueParts, IssueState},
    joining::Joining,
    limits::Limits,
    listen::{Admin, Checks, Redirect},
    memory::Memory,
    observe::{AccessLog, Metrics},
    places::Places,
    proxy::{Shared, Target, Total, Upstream, UpstreamKind, WebSockets},
    request_id::RequestIds,
    route::{Finish, Framing, Router, Strangers, Upstreams},
    session::{DesignCheck, Sessions},
    tls::Tls,
    upgrade::{NatsClients, Registry},
};

/// What survives a reload.
pub(super) struct State {
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) drain: Drain,
    pub(super) access: AccessLog,
    pub(super) tls: Tls,
    pub(super) acme: Acme,
    pub(super) places: Places,
    pub(super) total: Total,
    pub(super) tunnels: Registry,
    pub(super) joining: Joining,
    pub(super) memory: Arc<Memory>,
    pub(super) issue: Arc<IssueState>,
    pub(super) ids: Arc<RequestIds>,
}

impl State {
    /// What serves by this plan; `before` is what serves now. Nothing of what serves now changes.
    pub(super) async fn serving(&self, plan: Plan, before: Option<&Serving>) -> io::Result<Serving> {
        let in_use = InUse {
            hash: plan.hash,
            taken_up: self.clock.unix(),
            at_start: plan.at_start,
            waiting: Vec::new(),
            callers: plan.issue.callers.len(),
            places: plan.places,
            joining: plan.upstreams.joining,
            drain: plan.drain,
            drain_delay: plan.drain_delay,
            handover: plan.handover,
            ordered: plan.acme.settings.map(|acme| acme.names).unwrap_or_default(),
        };
        // Browsers let nobody past the warning of a certificate of our own making any more, once they are held to HTTPS.
        let trusted = self.tls.trusted();
        let keys = plan.keys.open()?;
        let limits = Arc::new(match before {
            Some(before) => before.limits.again(&plan.limits, &plan.rates).await,
            None => Limits::start(&plan.limits, &plan.rates, &self.metrics, &self.clock).await,
        });
        let access = self.access.again(plan.access);
        let websockets = WebSockets {
            registry: self.tunnels.clone(),
            joining: self.joining.clone(),
            clients: NatsClients {
                keys: Arc::clone(&keys),
                clock: self.clock.clone(),
            },
        };
        let upstreams = self.upstreams(
            plan.upstreams,
            &websockets,
            before.map(|before| &before.router.upstreams),
        );
        let issue = Arc::new(Issue::new(IssueParts {
            settings: plan.issue,
            keys: Arc::clone(&keys),
            server: upstreams.server.clone(),
            limits: Arc::clone(&limits),
            memory: Arc::clone(&self.memory),
            state: Arc::clone(&self.issue),
            audit: access.audit(),
            clock: self.clock.clone(),
        }));
        let router = Router {
            hosts: plan.hosts.clone(),
            table: plan.table.clone(),
            check_page: CheckPage::new(plan.check_page, Arc::clone(&limits), self.clock.clone()),
            design_check: DesignCheck::new(plan.design.clone(), Arc::clone(&limits), plan.design_deadline),
            sessions: Sessions {
                settings: plan.session,
                keys: Arc::clone(&keys),
                design: plan.design,
                issue: Arc::clone(&issue),
                webapp: Arc::clone(&plan.webapp),
                memory: Arc::clone(&self.memory),
                metrics: Arc::clone(&self.metrics),
                clock: self.clock.clone(),
            },
            issue,
            keys,
            webapp: plan.webapp,
            upstreams,
            joining: websockets.joining,
            internal: plan.internal,
            finish: Finish::new(plan.pages, plan.hsts, trusted),
            framing: match before {
                Some(before) => before.router.framing.again(plan.unframed),
                None => Framing::new(plan.unframed, Arc::clone(&self.metrics), self.clock.clone()),
            },
            strangers: Strangers::default(),
            login_url: plan.login_url,
            clock: self.clock.clone(),
            access: Arc::new(access),
            ids: Arc::clone(&self.ids),
        };
        Ok(Serving {
            https: Arc::new(plan.https),
            conn: Arc::new(plan.conn),
            router,
            redirect: Redirect::new(plan.hosts, plan.public_origin.port, plan.table).behind(Checks::new(
                self.acme.answers(),
                plan.acme
                    .pass_to
                    .as_ref()
                    .map(|(host, port)| (host.as_str(), *port)),
            )),
            admin: Admin::of(&self.drain, Arc::clone(&self.metrics), plan.admin_hosts),
            limits,
            in_use,
        })
    }

    /// An upstream that is there already keeps its connections.
    fn upstreams(
        &self,
        plan: UpstreamsPlan,
        websockets: &WebSockets,
        before: Option<&Upstreams>,
    ) -> Upstreams {
        let shared = Shared {
            total: &self.total,
            websockets,
            metrics: &self.metrics,
            drain: &self.drain,
        };
        let to = |kind, targets: Vec<Target>, running: Option<&Arc<Upstream>>| {
            (!targets.is_empty()).then(|| {
                Arc::new(match running {
                    Some(running) => running.again(targets, plan.settings, websockets),
                    None => Upstream::new(kind, targets, plan.settings, &shared),
                })
            })
        };
        let of = |which: fn(&Upstreams) -> &Option<Arc<Upstream>>| {
            before.and_then(|before| which(before).as_ref())
        };
        Upstreams {
            server: to(UpstreamKind::Server, plan.server, of(|all| &all.server)),
            livekit: to(UpstreamKind::Livekit, plan.livekit, of(|all| &all.livekit)),
            nats: to(UpstreamKind::Nats, plan.nats, of(|all| &all.nats)),
            etherpad: to(UpstreamKind::Etherpad, plan.etherpad, of(|all| &all.etherpad)),
            ingress: to(UpstreamKind::Ingress, plan.ingress, of(|all| &all.ingress)),
        }
    }
}
