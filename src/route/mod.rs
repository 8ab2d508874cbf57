//! The request path: target -> route -> action -> finish. Reading `Router::act` is knowing the gateway.
//!
//! Where things happen: a token is checked in `crate::token`, called by `crate::session`; a header is taken off in
//! `crate::proxy`; a new path goes into `crate::urls`.

mod answer;
mod bbb_links;
mod client_policy;
#[cfg(test)]
mod every_row;
mod finish;
mod format;
mod framing;
mod guarded;
mod hosts;
mod joins;
mod kinds;
mod method;
mod page_settings;
mod policy;
mod preflight;
mod source;
mod strangers;
mod target;
mod waiting;
mod watch;

use std::sync::Arc;

use hyper::{
    Method, Request, Response, StatusCode, Uri,
    header::{self, HeaderValue},
    http::uri::PathAndQuery,
};

pub use self::{
    finish::{Finish, Recorded},
    framing::Framing,
    hosts::Hosts,
    method::known as known_method,
    page_settings::{Csp, CspSources, PageProblem, PageSettings},
    policy::PageHeaders,
    source::{BadSource, CspSource},
    strangers::Strangers,
    target::{BadTarget, CanonicalTarget},
};
use self::{hosts::NotOurHost, watch::Watched};
pub use crate::urls::{Table, Whole};
use crate::{
    addr::Networks,
    check_page::CheckPage,
    client_body::{ClientBody, ClientRequest},
    clock::Clock,
    context::{Arrival, Peer, RequestContext},
    issue::Issue,
    joining::Joining,
    observe::{AccessLog, AccessRecord, redacted},
    proxy::{Upstream, Watch as BodyWatch},
    reply::{self, Body, Failure, Format},
    request_id::RequestIds,
    session::{DesignCheck, Sessions},
    token::TokenKeys,
    urls::{Action, Found, Guard, Leads, Step, To},
    webapp::WebApp,
};

/// The upstreams that are configured; the paths of the others lead nowhere.
#[derive(Default)]
pub struct Upstreams {
    pub server: Option<Arc<Upstream>>,
    pub livekit: Option<Arc<Upstream>>,
    pub nats: Option<Arc<Upstream>>,
    /// Etherpad, for older releases.
    pub etherpad: Option<Arc<Upstream>>,
    pub ingress: Option<Arc<Upstream>>,
}

impl Upstreams {
    /// Those that are configured.
    pub fn each(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        let all = [
            &self.server,
            &self.livekit,
            &self.nats,
            &self.etherpad,
            &self.ingress,
        ];
        all.into_iter().flatten()
    }
}

/// Everything that a request can reach.
pub struct Router {
    pub hosts: Hosts,
    pub table: Table,
    pub sessions: Sessions,
    /// Whether a browser can get in.
    pub check_page: CheckPage,
    /// Designs, before they are in a link.
    pub design_check: DesignCheck,
    pub issue: Arc<Issue>,
    /// What tells the kinds of tokens apart.
    pub keys: Arc<TokenKeys>,
    pub webapp: Arc<WebApp>,
    pub upstreams: Upstreams,
    /// Who is on the way in, and who waits.
    pub joining: Joining,
    /// Who may reach what only plugNmeet's own parts call; open to all if empty.
    pub internal: Networks,
    /// What every answer gets.
    pub finish: Finish,
    /// Frames that stay blank.
    pub framing: Framing,
    /// Names that are none of ours.
    pub strangers: Strangers,
    /// Where links are handed out, for pages that say that one is needed.
    pub login_url: Option<String>,
    pub clock: Clock,
    /// What becomes of the records of requests.
    pub access: Arc<AccessLog>,
    pub ids: Arc<RequestIds>,
}

impl Router {
    pub async fn handle(&self, request: ClientRequest, peer: Peer) -> Response<Recorded> {
        let uri = request.uri().clone();
        let found = self.table.find(uri.path());
        let mut answer = self.answer_for(&request, found.row, peer);
        let response = match self
            .act(request, found, &answer.arrival, &mut answer.record)
            .await
        {
            Ok(response) => response,
            Err(failure) => answer.fail(failure, self.login_url.as_deref()),
        };
        answer.finish(&self.finish, response)
    }

    /// Answers a request whose head is refused as it stands.
    pub fn refuse(&self, request: &Request<ClientBody>, peer: Peer, failure: Failure) -> Response<Recorded> {
        let row = self.table.find(request.uri().path()).row;
        let mut answer = self.answer_for(request, row, peer);
        let response = answer.fail(failure.of_the_message(), self.login_url.as_deref());
        answer.finish(&self.finish, response)
    }

    /// What is known of a request whose target everybody reads alike.
    fn context(&self, arrival: Arrival, request: &Request<ClientBody>) -> Result<RequestContext, Failure> {
        let target = CanonicalTarget::of(request, &self.hosts)
            .map_err(|bad| self.bad_target(bad, request).of_the_message())?;
        method::known(request.method()).map_err(Failure::of_the_message)?;
        Ok(RequestContext {
            arrival,
            our_name: target.our_name,
            authority: target.host,
            forwarded_host: target.forwarded_host.filter(|_| arrival.peer.via_proxy),
        })
    }

    /// The answer does not name the host; the log does.
    fn bad_target(&self, bad: BadTarget, request: &Request<ClientBody>) -> Failure {
        if bad != BadTarget::NotOurs {
            return bad.into();
        }
        let host = NotOurHost::of(request);
        self.strangers.tell(&host);
        Failure::from(bad).caused_by(host)
    }

    /// The way of a request.
    async fn act(
        &self,
        request: ClientRequest,
        found: Found<'_>,
        arrival: &Arrival,
        record: &mut AccessRecord,
    ) -> Result<Response<Body>, Failure> {
        let context = self.context(*arrival, &request)?;
        let peer = arrival.peer;
        let row = found.row;
        record.routed(row.name);
        if row.action.is_an_upstreams()
            && let Some(answer) = preflight::answer(request.method(), request.headers())
        {
            return Ok(answer);
        }
        self.admit(row.guard, peer)?;
        let body_watch = self.takes(row.takes, &request, found.variable)?;
        let watched = self.watched(row.watch, &request, &context)?;
        // What is rare or large is in a box of its own: the future of every request is as large as the largest arm.
        let mut response = match row.action {
            Action::Leads(leads) => Box::pin(self.lead(leads, &request, &context)).await?,
            Action::Session(step) => {
                Box::pin(self.sessions.handle(step, found.tag(), &request, &context)).await?
            }
            Action::File => self
                .webapp
                .asset(found.file(), request.method(), request.headers())?,
            Action::Favicon => self.webapp.favicon(request.method(), request.headers())?,
            Action::Waiting => self.waiting(found.tag(), &request, &context)?,
            Action::CheckPage => {
                let (method, headers) = (request.method(), request.headers());
                Box::pin(self.check_page.handle(method, headers, peer.client)).await?
            }
            Action::DesignCheck => Box::pin(self.design_check.handle(request, peer.client)).await?,
            Action::Issue(what) => Box::pin(self.issue.handle(what, request, &context)).await?,
            Action::Forward(to) => Box::pin(self.forward(to, request, found, body_watch, &context)).await?,
            Action::Misplaced => return Err(misplaced(&context, found.rest)),
            Action::Nowhere => return Err(nowhere()),
        };
        match watched {
            Watched::Head(watched) => {
                self.change_head(watched, &mut response);
                Ok(response)
            }
            Watched::Link(asked) => Box::pin(self.with_our_links(&asked, response)).await,
        }
    }

    /// To an upstream: in the bytes in which it came, but for a prefix that is taken off.
    async fn forward(
        &self,
        to: To,
        request: ClientRequest,
        found: Found<'_>,
        watch: Option<BodyWatch>,
        context: &RequestContext,
    ) -> Result<Response<Body>, Failure> {
        let upstreams = &self.upstreams;
        let unchanged = || path_and_query(request.uri());
        let without_prefix = || with_path(found.without_prefix(), request.uri());
        let (upstream, seen) = match to {
            To::Server => (&upstreams.server, unchanged()?),
            To::Ingress => (&upstreams.ingress, unchanged()?),
            To::Livekit => (&upstreams.livekit, without_prefix()?),
            To::Nats => (&upstreams.nats, without_prefix()?),
            To::Etherpad => (&upstreams.etherpad, without_prefix()?),
        };
        let upstream = upstream.as_ref().ok_or_else(nowhere)?;
        if !found.row.joins {
            return Ok(upstream.forward_watched(request, seen, context, watch).await?);
        }
        let knock = self.knock(&request).await?;
        let response = upstream.forward_watched(request, seen, context, watch).await?;
        Ok(joins::watched(knock, response))
    }

    /// A link with a token is handed off; anybody else is sent on.
    async fn lead(
        &self,
        leads: Leads,
        request: &Request<ClientBody>,
        context: &RequestContext,
    ) -> Result<Response<Body>, Failure> {
        let uri = request.uri();
        if Sessions::has_token(uri.query().unwrap_or_default()) {
            self.framing.watch(request.headers());
            return self.sessions.handle(Step::Enter, None, request, context).await;
        }
        match leads {
            Leads::ToMount => redirect(request, StatusCode::FOUND, &format!("{}/", self.table.mount)),
            Leads::ToSlash => redirect(
                request,
                StatusCode::PERMANENT_REDIRECT,
                &format!("{}/", uri.path()),
            ),
        }
    }

    /// `trust.internal`: what LiveKit, ingress and recorders call (docs/plugnmeet.md section 0.16).
    fn admit(&self, guard: Guard, peer: Peer) -> Result<(), Failure> {
        match guard {
            Guard::Open => Ok(()),
            Guard::Internal
                if self.internal.is_empty() || self.internal.contains_client(peer.client, peer.local) =>
            {
                Ok(())
            }
            Guard::Internal => Err(Failure::new(
                StatusCode::FORBIDDEN,
                "internal_only",
                "this address is for the meeting server's own parts",
            )),
        }
    }
}

/// The form in which a request's sender reads errors.
pub fn error_form<B>(request: &Request<B>, table: &Table) -> Format {
    format::of(request, table.find(request.uri().path()).row)
}

fn path_and_query(uri: &Uri) -> Result<PathAndQuery, Failure> {
    uri.path_and_query()
        .cloned()
        .ok_or_else(|| BadTarget::Form.into())
}

/// Another path, and the query as it came.
fn with_path(path: &str, uri: &Uri) -> Result<PathAndQuery, Failure> {
    let whole = path_and_query(uri)?;
    let query = whole.as_str().get(whole.path().len()..).unwrap_or_default();
    PathAndQuery::try_from(format!("{path}{query}")).map_err(|_| BadTarget::Form.into())
}

fn nowhere() -> Failure {
    Failure::new(
        StatusCode::NOT_FOUND,
        "no_route",
        "nothing is served at this path",
    )
}

/// Below the mount there is the client, and no API: says where that is.
fn misplaced(context: &RequestContext, meant: &str) -> Failure {
    let host = context.authority.to_str().unwrap_or_default();
    let message = format!(
        "the API has no prefix: its address is https://{host}, and https://{host}{} was meant",
        redacted(meant)
    );
    Failure::new(StatusCode::NOT_FOUND, "wrong_base_url", message)
}

/// To another path, with the query as it came; relative, so that no header can say where.
fn redirect(
    request: &Request<ClientBody>,
    status: StatusCode,
    path: &str,
) -> Result<Response<Body>, Failure> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Err(Failure::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method",
            "only GET and HEAD are answered here",
        )
        .header(header::ALLOW, HeaderValue::from_static("GET, HEAD")));
    }
    let location = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let location = HeaderValue::try_from(location).map_err(|_| Failure::from(BadTarget::Form))?;
    Ok(reply::redirect(status, location))
}
