//! The request path: target -> route -> action -> finish. Reading `Router::act` is knowing the gateway.
//!
//! Where things happen: a token is checked in `crate::token`, called by `crate::handoff`; a header is taken off in
//! `crate::proxy`; a new route goes into `table`.

mod bbb_links;
mod behind;
mod client_policy;
mod finish;
mod format;
mod framing;
mod guarded;
mod kinds;
mod method;
mod page_settings;
mod policy;
mod preflight;
mod server;
mod sessions;
mod source;
mod table;
mod target;

use std::{net::SocketAddr, sync::Arc};

use hyper::{
    Method, Request, Response, StatusCode, Uri,
    header::{self, HeaderName, HeaderValue},
    http::uri::PathAndQuery,
};
use percent_encoding::percent_decode_str;

pub use self::{
    behind::Whole,
    finish::{Finish, Recorded},
    framing::Framing,
    method::known as known_method,
    page_settings::{Csp, CspSources, PageProblem, PageSettings},
    policy::PageHeaders,
    source::{BadSource, CspSource},
    table::Table,
    target::{BadTarget, CanonicalTarget, Hosts},
};
use self::{guarded::Guarded, table::Route};
use crate::{
    addr::{ClientAddr, Networks},
    client_body::ClientBody,
    clock::Clock,
    files::ClientFiles,
    handoff::{DesignCheck, Handoff},
    issue::{Endpoint, Issue},
    observe::{AccessLog, AccessRecord, redacted},
    proxy::{About, ProxyError, Upstream, below_prefix},
    reply::{Body, Failure, Format, Language, Reader},
    request_id::{RequestId, RequestIds},
    token::{Kind, TokenKeys},
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
        let mut answer = self.answer_for(&request, from.client);
        let response = match self.act(request, from, &mut answer.record).await {
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
        let mut answer = self.answer_for(request, client);
        let response = answer.fail(failure.of_the_message(), self.login_url.as_deref());
        answer.finish(&self.finish, response)
    }

    async fn act(
        &self,
        request: Request<ClientBody>,
        from: Asker,
        record: &mut AccessRecord,
    ) -> Result<Response<Body>, Failure> {
        let target =
            CanonicalTarget::of(&request, &self.hosts).map_err(|bad| Failure::from(bad).of_the_message())?;
        method::known(request.method()).map_err(Failure::of_the_message)?;
        let route = self.table.find(target.path);
        record.routed(route.name());
        if route.is_api()
            && let Some(answer) = preflight::answer(request.method(), request.headers())
        {
            return Ok(answer);
        }
        let about = about(&target, from);
        // What is rare or large is in a box of its own: the future of every request is as large as the largest arm.
        match route {
            Route::Root | Route::MountWithoutSlash | Route::PageWithoutSlash
                if Handoff::is_handoff(target.query) =>
            {
                Box::pin(self.page(&request, &target, None, &about)).await
            }
            Route::Logout { tag } => self.logout(&request, &target, tag, &about),
            Route::Switch => Box::pin(self.switch(&request, &target, &about)).await,
            Route::Root => redirect(&request, StatusCode::FOUND, &format!("{}/", self.table.mount)),
            Route::MountWithoutSlash | Route::PageWithoutSlash => redirect(
                &request,
                StatusCode::PERMANENT_REDIRECT,
                &format!("{}/", target.path),
            ),
            Route::Page { tag } => Box::pin(self.page(&request, &target, tag, &about)).await,
            Route::Asset(path) => self.files.asset(path, request.method(), request.headers()),
            Route::Favicon => self.files.favicon(request.method(), request.headers()),
            Route::DesignCheck => Ok(Box::pin(self.design_check.handle(request, from.client)).await?),
            Route::Issue => {
                let unchanged = path_and_query(request.uri())?;
                Box::pin(self.issue.handle(request, unchanged, about)).await
            }
            Route::Auth(endpoint) => {
                if endpoint == Endpoint::RecorderNotify {
                    self.internal_only(from)?;
                }
                Box::pin(self.issue.auth(request, endpoint, &about)).await
            }
            Route::Bbb => {
                let asked = self.asked(&request, &target, &about)?;
                Box::pin(self.bbb(request, asked, &about)).await
            }
            Route::LtiJoin => Box::pin(self.lti_join(request, &about)).await,
            Route::BreakoutJoin => Box::pin(self.breakout_join(request, &about)).await,
            Route::RemoveParticipant => Box::pin(self.remove_participant(request, &about)).await,
            Route::Api => self.api(request, &about).await,
            Route::LtiApi => self.lti_api(request, &about).await,
            Route::Download { token } => {
                self.takes_in_path(Kind::Download, token)?;
                self.to_server(request, &about, None).await
            }
            Route::Lti => {
                let asked = self.asked(&request, &target, &about)?;
                Box::pin(self.lti(request, asked, &about)).await
            }
            Route::Webhook => {
                self.internal_only(from)?;
                self.to_server(request, &about, None).await
            }
            Route::Server => self.to_server(request, &about, None).await,
            Route::Misplaced { meant } => Err(misplaced(&target, meant)),
            Route::Livekit(path) => {
                if is_twirp(path) {
                    self.internal_only(from)?;
                }
                let seen = with_path(path, request.uri())?;
                let livekit = self.upstreams.livekit.as_ref();
                let mut response = forward_as(livekit, request, seen, &about)?.await?;
                below_prefix("/livekit", &about.host, response.headers_mut());
                Ok(response)
            }
            Route::Nats(path) => {
                let seen = with_path(path, request.uri())?;
                let nats = self.upstreams.nats.as_ref();
                Ok(forward_as(nats, request, seen, &about)?.await?)
            }
            Route::Etherpad(path) => {
                let seen = with_path(path, request.uri())?;
                let etherpad = self.upstreams.etherpad.as_ref();
                let mut response = forward_as(etherpad, request, seen, &about)?.await?;
                below_prefix("/etherpad", &about.host, response.headers_mut());
                Ok(response)
            }
            Route::Ingress(_) => {
                let ingress = self.upstreams.ingress.as_ref();
                Ok(forward(ingress, request, &about)?.await?)
            }
            Route::Nowhere => Err(nowhere()),
        }
    }

    /// `trust.internal`: what LiveKit, ingress and recorders call (docs/plugnmeet.md section 0.16).
    fn internal_only(&self, from: Asker) -> Result<(), Failure> {
        if self.internal.is_empty() || self.internal.contains_client(from.client, from.local) {
            return Ok(());
        }
        Err(Failure::new(
            StatusCode::FORBIDDEN,
            "internal_only",
            "this address is for the meeting server's own parts",
        ))
    }

    fn answer_for(&self, request: &Request<ClientBody>, client: ClientAddr) -> Answer {
        let id = self.ids.next();
        Answer {
            id,
            format: format::of(request, &self.table.mount),
            is_head: request.method() == Method::HEAD,
            languages: request
                .headers()
                .get_all(header::ACCEPT_LANGUAGE)
                .iter()
                .cloned()
                .collect(),
            from_script: request.headers().contains_key(header::ORIGIN),
            guarded: Guarded::of(request.uri().path(), &self.table),
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
    guarded: Option<Guarded>,
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
        finish.apply(&mut response, self.guarded);
        if self.is_head {
            finish::take_body_off(&mut response);
        }
        Recorded::of(response, self.record)
    }
}

/// To an upstream, in the bytes in which it came.
fn forward(
    upstream: Option<&Arc<Upstream>>,
    request: Request<ClientBody>,
    about: &About,
) -> Result<impl Future<Output = Result<Response<Body>, ProxyError>> + Send, Failure> {
    let unchanged = path_and_query(request.uri())?;
    forward_as(upstream, request, unchanged, about)
}

/// To an upstream that sees this target. In a box, as it is large, and what waits for it is moved more than once.
fn forward_as(
    upstream: Option<&Arc<Upstream>>,
    request: Request<ClientBody>,
    seen: PathAndQuery,
    about: &About,
) -> Result<impl Future<Output = Result<Response<Body>, ProxyError>> + Send, Failure> {
    let upstream = upstream.ok_or_else(nowhere)?;
    Ok(Box::pin(upstream.forward(request, seen, about)))
}

/// LiveKit's own API, by any spelling that LiveKit would take for it: unlike plugnmeet-server it decodes a path before it
/// looks at it.
fn is_twirp(path: &str) -> bool {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    decoded
        .split('/')
        .nth(1)
        .is_some_and(|first| first.eq_ignore_ascii_case("twirp"))
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
fn misplaced(target: &CanonicalTarget<'_>, meant: &str) -> Failure {
    let host = target.host.to_str().unwrap_or_default();
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
