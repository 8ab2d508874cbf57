//! One upstream: its connections, and the forwarding of a request to it.

use std::{sync::Arc, time::Duration};

use http_body::Body as HttpBody;
use hyper::{
    HeaderMap, Method, Response, StatusCode,
    header::{self, HeaderValue},
    http::{request, response, uri::PathAndQuery},
};
use tokio::time::Instant;

use super::{
    addresses::{Addresses, Target},
    answer::ResponseBody,
    answer_head,
    body::{BodyError, BodyLimits, Progress, RequestBody, Watch},
    connect::Connect,
    connection_limit::ConnectionLimit,
    error::ProxyError,
    headers::{self, Forwarded},
    http1::RequestHead,
    pool::{LastSent, Lease, Pool, Wait},
    resolve::System,
    total::Total,
};
use crate::{
    client_body::{ClientRequest, WholeRequest},
    client_stream::Switch,
    context::RequestContext,
    drain::Drain,
    interim::Interim,
    joining::Joining,
    observe::Metrics,
    reply::Body,
    upgrade::{self, BadHandshake, NatsClients, Registry, Tunnels, UpgradeRequest},
};

/// The least deadline for the answer to a request for a token. The server may wait 15 s for a lock and 5 s for a user
/// to leave before it has a token (docs/plugnmeet.md section 0.20).
const SLOWEST_TOKEN: Duration = Duration::from_secs(30);

/// For plugnmeet-server to come back to NATS: it waits 2 s between two tries, and some of a tenth more, and logs in then.
const NATS_SETTLES: Duration = Duration::from_millis(2750);

/// Which program an upstream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamKind {
    Server,
    Livekit,
    Nats,
    Etherpad,
    Ingress,
}

impl UpstreamKind {
    fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Livekit => "livekit",
            Self::Nats => "nats",
            Self::Etherpad => "etherpad",
            Self::Ingress => "ingress",
        }
    }

    /// Only Etherpad has sessions in cookies; the others read none (docs/plugnmeet.md sections 0.14 and 5).
    fn reads_cookies(self) -> bool {
        self == Self::Etherpad
    }

    /// How long after it is back an upstream is of use. NATS asks plugnmeet-server about each client, which tries to come back to
    /// NATS every 2 s: whoever is there before is refused after 5 s, and the second refusal ends a client for good
    /// (docs/plugnmeet.md section 5).
    fn settles(self) -> Duration {
        if self == Self::Nats {
            NATS_SETTLES
        } else {
            Duration::ZERO
        }
    }

    /// plugnmeet-server has no WebSocket.
    fn has_websockets(self) -> bool {
        self != Self::Server
    }
}

/// The settings that all upstreams share.
#[derive(Clone, Copy, Debug)]
pub struct ProxySettings {
    /// The deadline for a connection to any of the addresses. A request waits as long again for a permit, if as many
    /// connections are in use as allowed.
    pub connect: Duration,
    /// The deadline for a connection that a WebSocket waits for. The time in which the WebSocket waits to be let in
    /// counts too.
    pub upgrade: Duration,
    /// The largest number of connections to one upstream that are in use at once.
    pub max_connections: usize,
    /// The deadline for the head of the answer, from the last moment at which the request made progress.
    pub response: Duration,
    /// The longest silence of the upstream in the middle of its answer.
    pub idle: Duration,
    /// The longest silence of a client on NATS' WebSocket. None: there is no limit.
    pub tunnel_silence: Option<Duration>,
    /// The largest body of a request, in bytes.
    pub max_body_bytes: u64,
    /// The least rate of a request's body, in bytes a second.
    pub least_rate: u64,
}

/// The deadlines of one request.
#[derive(Clone, Copy)]
struct Patience {
    /// The most time until a connection is made.
    connect: Wait,
    /// The most time for the answer's first byte.
    response: Duration,
}

pub struct Upstream {
    kind: UpstreamKind,
    pool: Arc<Pool>,
    targets: Vec<Target>,
    settings: ProxySettings,
    tunnels: Tunnels,
    /// Decides who may come to NATS at once, and who waits. None for all other upstreams.
    joining: Option<Joining>,
    drain: Drain,
}

/// What the WebSockets to all upstreams share.
pub struct WebSockets {
    /// The registry of all open tunnels.
    pub registry: Registry,
    /// Decides who may come to NATS at once, and who waits.
    pub joining: Joining,
    /// What is needed to read the tokens that NATS' clients show.
    pub clients: NatsClients,
}

/// What all upstreams share.
#[derive(Clone, Copy)]
pub struct Shared<'a> {
    /// Counts the connections to all of them.
    pub total: &'a Total,
    pub websockets: &'a WebSockets,
    pub metrics: &'a Metrics,
    pub drain: &'a Drain,
}

impl Upstream {
    /// An upstream with these targets.
    pub fn new(
        kind: UpstreamKind,
        targets: Vec<Target>,
        settings: ProxySettings,
        shared: &Shared<'_>,
    ) -> Self {
        let &Shared {
            total,
            websockets,
            metrics,
            drain,
        } = shared;
        let silence = silence(kind, &settings);
        let joining = (kind == UpstreamKind::Nats).then(|| websockets.joining.clone());
        let clients = clients(kind, websockets);
        let counts = metrics.upstream(kind.name());
        let limit = ConnectionLimit::new(
            settings.max_connections,
            settings.connect,
            counts.clone(),
            total.clone(),
        );
        let connect = Connect::new(Addresses::of(&targets, counts, System));
        Self {
            kind,
            pool: Arc::new(Pool::new(connect, limit)),
            targets,
            settings,
            tunnels: Tunnels::to(kind.name(), silence, clients, metrics, &websockets.registry),
            joining,
            drain: drain.clone(),
        }
    }

    /// The same upstream with other settings, and with the same connections. They lead to the new targets when `aim` is
    /// called.
    #[must_use]
    pub fn again(&self, targets: Vec<Target>, settings: ProxySettings, websockets: &WebSockets) -> Self {
        Self {
            kind: self.kind,
            pool: Arc::clone(&self.pool),
            targets,
            settings,
            tunnels: self
                .tunnels
                .again(silence(self.kind, &settings), clients(self.kind, websockets)),
            joining: self.joining.clone(),
            drain: self.drain.clone(),
        }
    }

    /// From now on new connections lead to the targets of this value, within its limit.
    pub fn aim(&self) {
        let ProxySettings {
            max_connections,
            connect,
            ..
        } = self.settings;
        self.pool.aim_at(&self.targets, max_connections, connect);
    }

    /// The name of the upstream in the log and in metrics.
    pub fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// The number of open WebSockets to the upstream. None if it has no WebSockets.
    pub fn open_tunnels(&self) -> Option<i64> {
        self.kind.has_websockets().then(|| self.tunnels.count())
    }

    /// Requests and WebSockets that wait for a connection to it.
    pub fn waiting(&self) -> i64 {
        self.pool.waiting()
    }

    /// Forwards a request, streaming its body; a WebSocket becomes a tunnel. `target` is what upstream sees.
    pub async fn forward(
        &self,
        request: ClientRequest,
        target: PathAndQuery,
        context: &RequestContext,
    ) -> Result<Response<Body>, ProxyError> {
        self.forward_watched(request, target, context, None).await
    }

    /// As `forward`, but the request breaks off before the first piece of its body that `watch` refuses.
    pub async fn forward_watched(
        &self,
        mut request: ClientRequest,
        target: PathAndQuery,
        context: &RequestContext,
        watch: Option<Watch>,
    ) -> Result<Response<Body>, ProxyError> {
        if request.body().size_hint().lower() > self.settings.max_body_bytes {
            return Err(ProxyError::Body(BodyError::TooLarge));
        }
        let upgrade_request = if self.kind.has_websockets() {
            UpgradeRequest::of(&request).map_err(ProxyError::Handshake)?
        } else {
            None
        };
        let client_side = request.extensions_mut().remove::<Switch>();
        let whose = match &upgrade_request {
            Some(_) if self.kind == UpstreamKind::Livekit => upgrade::whose_livekit(&request),
            Some(_) | None => None,
        };
        let since = Instant::now();
        let arrival = match (&upgrade_request, &self.joining) {
            (Some(_), Some(joining)) => {
                let arrival = joining.arrive(self.settings.upgrade).await;
                Some(arrival.map_err(ProxyError::NotLetIn)?)
            }
            (_, _) => None,
        };
        let (mut head, body) = request.into_parts();
        let forwarded = headers::to_upstream(&mut head.headers, context, self.kind.reads_cookies());
        if let Some(upgrade_request) = &upgrade_request {
            upgrade_request.ask(&mut head.headers);
        }
        let progress = Progress::begin();
        let limits = BodyLimits {
            max_bytes: self.settings.max_body_bytes,
            least_rate: self.settings.least_rate,
        };
        // A request over HTTP/2 may have no length if it has no body, but some programs want one in a POST (RFC 9110
        // section 8.6).
        if [Method::POST, Method::PUT, Method::PATCH].contains(&head.method) && body.is_end_stream() {
            head.headers
                .insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let body = RequestBody::streamed(body, limits, progress.clone(), watch);
        let patience = Patience {
            connect: match upgrade_request {
                Some(_) => Wait {
                    within: self.settings.upgrade.saturating_sub(since.elapsed()),
                    in_turn: Some(self.kind.settles()),
                },
                None => self.wait_for_request(),
            },
            response: self.settings.response,
        };
        let (head, interim) = prepared(head, target, forwarded);
        let is_head = head.method == Method::HEAD;
        let (mut response, lease) = match self.send(&head, interim, body, patience, &progress).await {
            Err(ProxyError::Unreachable(error)) if upgrade_request.is_some() => {
                return Err(ProxyError::Away(error));
            }
            sent => sent?,
        };

        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            let (Some(upgrade_request), Some(client_side), Some(upstream_side)) =
                (upgrade_request, client_side, lease.switched())
            else {
                return Err(ProxyError::Handshake(BadHandshake::UpstreamBroke));
            };
            upgrade_request
                .check_answer(&response)
                .map_err(ProxyError::Handshake)?;
            upgrade::join(
                client_side,
                upstream_side,
                &self.tunnels,
                whose,
                arrival,
                &self.drain,
            );
            answer_head::to_client(&mut response.headers, false)?;
            upgrade_request.ask(&mut response.headers);
            return Ok(Response::from_parts(response, Body::Empty));
        }
        self.answer(response, lease, is_head).await
    }

    /// Forwards a request whose body has been read here, because it may ask for a token. A request with a body, or with
    /// a method such as POST, is not sent twice: a second token for a user who is online throws them out of the room
    /// (docs/plugnmeet.md section 3). Danger: a GET without a body may be sent twice (`Pool::send`).
    pub async fn forward_whole(
        &self,
        request: WholeRequest,
        target: PathAndQuery,
        context: &RequestContext,
    ) -> Result<Response<Body>, ProxyError> {
        let (mut head, body) = request.into_parts();
        let forwarded = headers::to_upstream(&mut head.headers, context, false);
        if !body.is_empty() || head.method != Method::GET {
            head.headers
                .insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        let body = RequestBody::Whole(Some(body));
        let patience = Patience {
            connect: self.wait_for_request(),
            response: self.settings.response.max(SLOWEST_TOKEN),
        };
        let progress = Progress::begin();
        let (head, interim) = prepared(head, target, forwarded);
        let is_head = head.method == Method::HEAD;
        let (response, lease) = self.send(&head, interim, body, patience, &progress).await?;
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(ProxyError::Handshake(BadHandshake::UpstreamBroke));
        }
        self.answer(response, lease, is_head).await
    }

    fn wait_for_request(&self) -> Wait {
        Wait {
            within: self.settings.connect,
            in_turn: None,
        }
    }

    async fn send(
        &self,
        head: &RequestHead,
        interim: Option<Interim>,
        body: RequestBody,
        patience: Patience,
        progress: &Progress,
    ) -> Result<(response::Parts, Lease), ProxyError> {
        let pass_on = |status: StatusCode, headers: &HeaderMap| {
            if let Some(interim) = &interim
                && let Some(headers) = answer_head::interim_to_client(status, headers)
            {
                interim.pass_on(status, &headers);
            }
        };
        let asked = LastSent::default();
        tokio::select! {
            biased;
            answered = self.pool.send(head, body, patience.connect, &asked, pass_on) => answered.map_err(ProxyError::from),
            () = progress.stalled_for(patience.response) => {
                asked.got_no_answer();
                Err(ProxyError::Silent)
            }
        }
    }

    async fn answer(
        &self,
        mut head: response::Parts,
        lease: Lease,
        is_head: bool,
    ) -> Result<Response<Body>, ProxyError> {
        let is_bare = is_head || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&head.status);
        answer_head::to_client(&mut head.headers, !is_bare)?;
        // An answer with status 204 has no `Content-Length` (RFC 9110 section 8.6).
        if head.status == StatusCode::NO_CONTENT {
            head.headers.remove(header::CONTENT_LENGTH);
        }
        let body = if lease.is_over() {
            lease.put_back();
            Body::Empty
        } else {
            ResponseBody::new(lease, self.settings.idle)
                .begun()
                .await
                .map_err(|broken| ProxyError::Broken(broken.into()))?
        };
        Ok(Response::from_parts(head, body))
    }
}

/// The head of a request as the upstream gets it, and where interim answers go.
fn prepared(
    mut head: request::Parts,
    target: PathAndQuery,
    forwarded: Forwarded,
) -> (RequestHead, Option<Interim>) {
    let interim = head.extensions.remove::<Interim>();
    let head = RequestHead {
        method: head.method,
        target,
        headers: head.headers,
        forwarded,
    };
    (head, interim)
}

/// The longest silence of a client. None for all upstreams but NATS: LiveKit and Etherpad have pings of their own.
fn silence(kind: UpstreamKind, settings: &ProxySettings) -> Option<Duration> {
    settings.tunnel_silence.filter(|_| kind == UpstreamKind::Nats)
}

/// What is needed to read the tokens of clients. Only NATS' clients say in a CONNECT whose they are.
fn clients(kind: UpstreamKind, websockets: &WebSockets) -> Option<NatsClients> {
    (kind == UpstreamKind::Nats).then(|| websockets.clients.clone())
}
