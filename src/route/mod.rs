//! The request path: target -> route -> action -> finish. Reading `Router::act` is knowing the gateway.
//!
//! Where things happen: a token is checked in `crate::token`, called by `crate::handoff`; a header is taken off in
//! `crate::proxy`; a new path goes into `crate::urls`.

mod bbb_links;
mod client_policy;
#[cfg(test)]
mod every_row;
mod finish;
mod format;
mod framing;
mod guarded;
mod kinds;
mod method;
mod page_settings;
mod policy;
mod preflight;
mod sessions;
mod source;
mod target;
mod watch;

use std::{net::SocketAddr, sync::Arc};

use hyper::{
    Method, Request, Response, StatusCode, Uri,
    header::{self, HeaderName, HeaderValue},
    http::uri::PathAndQuery,
};

pub use self::{
    finish::{Finish, Recorded},
    framing::Framing,
    method::known as known_method,
    page_settings::{Csp, CspSources, PageProblem, PageSettings},
    policy::PageHeaders,
    source::{BadSource, CspSource},
    target::{BadTarget, CanonicalTarget, Hosts},
};
pub use crate::urls::{Table, Whole};
use crate::{
    addr::{ClientAddr, Networks},
    client_body::ClientBody,
    clock::Clock,
    files::ClientFiles,
    handoff::{DesignCheck, Handoff},
    issue::Issue,
    observe::{AccessLog, AccessRecord, redacted},
    proxy::{About, Upstream, Watch as BodyWatch},
    reply::{Body, Failure, Format, Language, Reader},
    request_id::{RequestId, RequestIds},
    token::TokenKeys,
    urls::{Action, Content, Found, Guard, Issues, Leads, Row, To},
};

/// The upstreams that are configured; the paths of the others lead nowhere.
#[derive(Default)]
pub struct Upstreams {
    /// plugnmeet-server.
    pub server: Option<Arc<Upstream>>,
    /// LiveKit's signalling.
    pub livekit: Option<Arc<Upstream>>,
    /// NATS' WebSocket.
    pub nats: Option<Arc<Upstream>>,
    /// Etherpad, for older releases.
    pub etherpad: Option<Arc<Upstream>>,
    /// The WHIP ingress.
    pub ingress: Option<Arc<Upstream>>,
}

/// Everything that a request can reach.
pub struct Router {
    /// Our names.
    pub hosts: Hosts,
    /// The URL space.
    pub table: Table,
    /// Links and sessions.
    pub handoff: Handoff,
    /// Designs, before they are in a link.
    pub design_check: DesignCheck,
    /// Tokens.
    pub issue: Arc<Issue>,
    /// What tells the kinds of tokens apart.
    pub keys: Arc<TokenKeys>,
    /// The client's files.
    pub files: Arc<ClientFiles>,
    /// Who is behind us.
    pub upstreams: Upstreams,
    /// Who may reach what only plugNmeet's own parts call; open to all if empty.
    pub internal: Networks,
    /// What every answer gets.
    pub finish: Finish,
    /// Frames that stay blank.
    pub framing: Framing,
    /// Where links are handed out, for pages that say that one is needed.
    pub login_url: Option<String>,
    /// The time.
    pub clock: Clock,
    /// What becomes of the records of requests.
    pub access: Arc<AccessLog>,
    /// Names of requests.
    pub ids: RequestIds,
}

/// Who asks.
#[derive(Clone, Copy)]
pub struct Asker {
    /// The client.
    pub client: ClientAddr,
    /// The address of ours that was called.
    pub local: SocketAddr,
    /// Has a proxy that we trust sent the request on?
    pub via_proxy: bool,
}

impl Router {
    /// Answers a request.
    pub async fn handle(&self, request: Request<ClientBody>, from: Asker) -> Response<Recorded> {
        let uri = request.uri().clone();
        let found = self.table.find(uri.path());
        let mut answer = self.answer_for(&request, found.row, from.client);
        let response = match self.act(request, found, from, &mut answer.record).await {
            Ok(response) => response,
            Err(failure) => answer.fail(failure, self.login_url.as_deref()),
        };
        answer.finish(&self.finish, response)
    }

    /// Answers a request whose head is refused as it stands.
    pub fn refuse(
        &self,
        request: &Request<ClientBody>,
        client: ClientAddr,
        failure: Failure,
    ) -> Response<Recorded> {
        let row = self.table.find(request.uri().path()).row;
        let mut answer = self.answer_for(request, row, client);
        let response = answer.fail(failure.of_the_message(), self.login_url.as_deref());
        answer.finish(&self.finish, response)
    }

    async fn act(
        &self,
        request: Request<ClientBody>,
        found: Found<'_>,
        from: Asker,
        record: &mut AccessRecord,
    ) -> Result<Response<Body>, Failure> {
        let target =
            CanonicalTarget::of(&request, &self.hosts).map_err(|bad| Failure::from(bad).of_the_message())?;
        method::known(request.method()).map_err(Failure::of_the_message)?;
        let row = found.row;
        record.routed(row.name);
        if row.action.is_servers()
            && let Some(answer) = preflight::answer(request.method(), request.headers())
        {
            return Ok(answer);
        }
        let about = about(&target, from);
        self.admit(row.guard, from)?;
        let body_watch = self.takes(row.takes, &request, found.variable)?;
        let watched = self.watched(row.watch, &request, &about)?;
        // What is rare or large is in a box of its own: the future of every request is as large as the largest arm.
        let response = match row.action {
            Action::Leads(leads) => Box::pin(self.lead(leads, &request, &about)).await?,
            Action::Session(step) => Box::pin(self.session(step, &request, found.tag(), &about)).await?,
            Action::File => self
                .files
                .asset(found.file(), request.method(), request.headers())?,
            Action::Favicon => self.files.favicon(request.method(), request.headers())?,
            Action::DesignCheck => Box::pin(self.design_check.handle(request, from.client)).await?,
            Action::Issue(what) => Box::pin(self.issue(what, request, &about)).await?,
            Action::Forward(to) => Box::pin(self.forward(to, request, found, body_watch, &about)).await?,
            Action::Misplaced => return Err(misplaced(&about, found.rest)),
            Action::Nowhere => return Err(nowhere()),
        };
        self.on_the_way_out(watched, response).await
    }

    /// Tokens, and the API under `/auth`.
    async fn issue(
        &self,
        what: Issues,
        request: Request<ClientBody>,
        about: &About,
    ) -> Result<Response<Body>, Failure> {
        match what {
            Issues::Token => {
                let unchanged = path_and_query(request.uri())?;
                self.issue.handle(request, unchanged, about.clone()).await
            }
            Issues::Auth(endpoint) => self.issue.auth(request, endpoint, about).await,
            Issues::Bbb(call) => self.issue.bbb(request, call, about).await,
            Issues::LtiJoin => self.issue.lti_join(request, about).await,
            Issues::BreakoutJoin => self.issue.breakout_join(request, about).await,
            Issues::RemoveParticipant => self.issue.remove_participant(request, about).await,
        }
    }

    /// To an upstream: in the bytes in which it came, but for a prefix that is taken off.
    async fn forward(
        &self,
        to: To,
        request: Request<ClientBody>,
        found: Found<'_>,
        watch: Option<BodyWatch>,
        about: &About,
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
        Ok(upstream.forward_watched(request, seen, about, watch).await?)
    }

    /// A link with a token is handed off; anybody else is sent on.
    async fn lead(
        &self,
        leads: Leads,
        request: &Request<ClientBody>,
        about: &About,
    ) -> Result<Response<Body>, Failure> {
        let uri = request.uri();
        if Handoff::is_handoff(uri.query().unwrap_or_default()) {
            return self.page(request, None, about).await;
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
    fn admit(&self, guard: Guard, from: Asker) -> Result<(), Failure> {
        match guard {
            Guard::Open => Ok(()),
            Guard::Internal
                if self.internal.is_empty() || self.internal.contains_client(from.client, from.local) =>
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

    fn answer_for(&self, request: &Request<ClientBody>, row: &Row, client: ClientAddr) -> Answer {
        let id = self.ids.next();
        Answer {
            id,
            format: format::of(request, row),
            is_head: request.method() == Method::HEAD,
            languages: request
                .headers()
                .get_all(header::ACCEPT_LANGUAGE)
                .iter()
                .cloned()
                .collect(),
            from_script: request.headers().contains_key(header::ORIGIN),
            content: row.content,
            failed: false,
            record: AccessRecord::begin(
                id,
                client,
                request.method(),
                request.uri().path(),
                request.version(),
                &self.access,
            ),
        }
    }
}

/// What has to be known of a request to answer it in its form, when the request itself is gone.
struct Answer {
    id: RequestId,
    format: Format,
    is_head: bool,
    /// What the reader likes, to be understood if it is needed.
    languages: Vec<HeaderValue>,
    from_script: bool,
    content: Content,
    failed: bool,
    record: AccessRecord,
}

impl Answer {
    fn fail(&mut self, failure: Failure, login_url: Option<&str>) -> Response<Body> {
        let cause = failure.cause().map(|cause| cause as _);
        self.record.failed(failure.code(), cause);
        let reader = Reader {
            language: Language::among(&self.languages),
            request: Some(self.id),
            login_url,
        };
        self.failed = true;
        failure.into_response(self.format, &reader)
    }

    fn finish(self, finish: &Finish, mut response: Response<Body>) -> Response<Recorded> {
        let api = match self.format {
            Format::Auth { .. } | Format::Api { .. } | Format::Upload => true,
            Format::Bbb | Format::Page { .. } => false,
        };
        let status = response.status();
        let error = self.failed || status.is_client_error() || status.is_server_error();
        // The server lets any origin read its API, which needs no cookie (docs/plugnmeet.md section 8, CORS); and a
        // page of another origin that can't read an error sees a broken network in its place.
        if (api || error) && self.from_script {
            let headers = response.headers_mut();
            headers
                .entry(header::ACCESS_CONTROL_ALLOW_ORIGIN)
                .or_insert(HeaderValue::from_static("*"));
        }
        finish.apply(&mut response, self.content);
        if self.is_head {
            finish::take_body_off(&mut response);
        }
        Recorded::of(response, self.record)
    }
}

fn about(target: &CanonicalTarget<'_>, from: Asker) -> About {
    About {
        client: from.client,
        host: target.host.clone(),
        forwarded_host: target.forwarded_host.clone().filter(|_| from.via_proxy),
        via_proxy: from.via_proxy,
    }
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
fn misplaced(about: &About, meant: &str) -> Failure {
    let host = about.host.to_str().unwrap_or_default();
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
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    response.headers_mut().insert(header::LOCATION, location);
    response.headers_mut().insert(
        HeaderName::from_static("referrer-policy"),
        HeaderValue::from_static("no-referrer"),
    );
    Ok(response)
}
