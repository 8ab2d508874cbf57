//! One connection: HTTP/1.1 or HTTP/2 on it, under deadlines, until it ends or the gateway stops.
//!
//! No other module uses hyper's server.
//!
//! Sources: RFC 9112 (messages and connections), RFC 9113 (HTTP/2).

mod activity;
mod bad_head;
mod batch;
mod chunks;
mod control;
mod excess;
mod head;
mod judge;
mod leftover;
mod peer;
mod streams;
mod switched;
mod tracked;
mod wire;
mod write_deadline;

use std::{
    convert::Infallible, future::poll_fn, net::IpAddr, pin::Pin, sync::Arc, task::Poll, time::Duration,
};

use bytes::Bytes;
use http_body::Body as HttpBody;
use hyper::{
    Request, Response, StatusCode, Version,
    body::Incoming,
    header::{self, HeaderValue},
    server::conn::{http1, http2},
    service::service_fn,
    upgrade::{self, OnUpgrade},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{sleep, timeout},
};

use self::{
    activity::Activity, bad_head::BadHead, batch::Batched, leftover::Leftover, streams::Streams,
    tracked::Tracked, wire::Wire,
};
use crate::{
    addr::{Ends, Networks},
    client_body::{ClientBody, ClientRequest, Rest},
    client_stream::{Settle, Switch},
    context::Peer,
    drain::Drain,
    http::only,
    on_wake::OnWake,
    places::Place,
    reply::{BoxError, Failure},
    route::{Recorded, Router},
};

/// What a connection may do and for how long.
#[derive(Clone, Debug)]
pub struct ConnSettings {
    /// How long the head of an HTTP/1 request may take, from its first byte to its last.
    pub header: Duration,
    /// How long a connection may be without a request, and how long a client may take nothing of an answer.
    pub idle: Duration,
    /// The most bytes of a request's target, and the most bytes of all its fields.
    pub max_header_bytes: usize,
    /// The rest of a body that nobody reads is read and dropped if it has at most this many bytes.
    pub small_body_bytes: usize,
    /// The networks of the proxies whose `X-Forwarded-For` is believed.
    pub proxies: Networks,
}

/// What answers the requests of a connection.
pub trait Handler: Send + Sync + 'static {
    /// The body of the handler's answers.
    type Body: HttpBody<Data = Bytes, Error = BoxError> + Send + Unpin + 'static;

    /// Answers one request. An error is an answer too.
    fn handle(&self, request: ClientRequest, peer: Peer)
    -> impl Future<Output = Response<Self::Body>> + Send;

    /// Answers a request whose head is refused before it is read as one.
    fn refuse(&self, request: &Request<ClientBody>, peer: Peer, failure: Failure) -> Response<Self::Body>;
}

/// The HTTP version of a connection, which ALPN decides in the TLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, which also a client without ALPN is taken to speak.
    Http1,
    Http2,
}

/// The most streams that are open on one HTTP/2 connection at a time; RFC 9113 section 6.5.2 recommends no less than
/// 100.
const MAX_STREAMS: u32 = 128;

/// HTTP/2's window for the body of one stream, in bytes. The gateway holds what an upstream does not take, and on a
/// slow line the whole window stands before small requests beside it: 1 s at a megabit a second. With a round trip of
/// 200 ms and a loss of 2 % an upload of 5 MB gets 280 kB/s, and a small request beside it takes 60 to 170 ms longer. With
/// 64 KiB that is 150 kB/s, with 256 KiB 500 kB/s and 130 to 220 ms, with 1 MiB 960 kB/s and 80 to 600 ms.
const STREAM_WINDOW: u32 = 128 * 1024;

/// HTTP/2's window for the bodies of all streams of a connection, in bytes. If some upstreams take nothing, there is
/// still room for the requests to others.
const CONNECTION_WINDOW: u32 = 32 * STREAM_WINDOW;

/// How long a connection without a request may take to end in a drain.
const GOODBYE: Duration = Duration::from_secs(1);

/// How long a connection without a request may take to end if it has to make room for another connection.
const SHORT_GOODBYE: Duration = Duration::from_millis(50);

/// Serves connections for one handler.
pub struct Conn<H> {
    settings: Arc<ConnSettings>,
    handler: Arc<H>,
    drain: Drain,
}

impl<H> Clone for Conn<H> {
    fn clone(&self) -> Self {
        Self {
            settings: Arc::clone(&self.settings),
            handler: Arc::clone(&self.handler),
            drain: self.drain.clone(),
        }
    }
}

impl<H: Handler> Conn<H> {
    /// Makes a server for connections under these settings, answered by this handler.
    pub fn new(settings: ConnSettings, handler: Arc<H>, drain: &Drain) -> Self {
        Self {
            settings: Arc::new(settings),
            handler,
            drain: drain.clone(),
        }
    }

    /// The same server with other settings.
    #[must_use]
    pub fn under(&self, settings: Arc<ConnSettings>) -> Self {
        Self {
            settings,
            ..self.clone()
        }
    }

    /// Is this the address of a trusted proxy?
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.settings.proxies.contains(peer)
    }

    /// Serves one connection to its end. Its errors are the client's own affair: it left, or broke the protocol.
    pub async fn serve<S>(&self, stream: S, protocol: Protocol, ends: Ends, place: &Place)
    where
        S: Settle + AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // In a box each, so that a task has room for what it speaks and for nothing else.
        match protocol {
            Protocol::Http1 => Box::pin(self.http1(stream, ends, place, None)).await,
            Protocol::Http2 => Box::pin(self.http2(stream, ends, place)).await,
        }
    }

    /// Refuses what speaks plain HTTP where TLS is spoken, and closes the connection.
    pub async fn refuse_plain<S>(&self, stream: S, ends: Ends, place: &Place)
    where
        S: Settle + AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Box::pin(self.http1(stream, ends, place, Some(BadHead::Plain))).await;
    }

    /// Resolves when a drain waits no longer for a connection whose HTTP has not begun.
    pub async fn too_late(&self) {
        self.drain.draining().await;
        if self.drain.is_handed_over() {
            self.drain.closing().await;
        }
        sleep(GOODBYE).await;
    }

    async fn http1<S>(&self, stream: S, ends: Ends, place: &Place, refused: Option<BadHead>)
    where
        S: Settle + AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Activity::begin(self.settings.header, self.settings.idle, place);
        let wire = Wire::watching_heads(
            stream,
            activity.clone(),
            self.settings.max_header_bytes * 2,
            refused,
        );
        let (heads, interims) = (wire.heads(), wire.interims());
        let service = service_fn(|request: Request<Incoming>| {
            let (heads, activity, interims) = (heads.clone(), activity.clone(), interims.clone());
            let bad_head = heads.next();
            let (mut request, rest) = with_rest(request);
            async move {
                let active = activity.request_began();
                let small = self.settings.small_body_bytes;
                let leftover = Leftover::of_connection(rest, small, request.headers());
                let interim = interims.of_next_request().await;
                let version = request.version();
                // RFC 9110 section 15.2: HTTP/1.0 has no interim answers.
                if version == Version::HTTP_11 {
                    request.extensions_mut().insert(interim.clone());
                }
                if request.extensions().get::<OnUpgrade>().is_some() {
                    let switch = Switch::new(upgrade::on(&mut *request), wire::unwrap::<S>);
                    request.extensions_mut().insert(switch);
                }
                // In a box, as hyper keeps the room for this future while the connection is idle.
                let mut response = Box::pin(self.answer(request, ends, bad_head)).await;
                interim.answered().await;
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    activity.tunnelled();
                    return Ok(response.map(|body| Tracked::new(body, leftover, active)));
                }
                // After a bad head it is not known where the body ends.
                if bad_head.is_none() {
                    leftover.settle().await;
                }
                let refused = response.status().is_client_error() || response.status().is_server_error();
                if bad_head.is_some()
                    || activity.is_finishing()
                    || heads.is_lost()
                    || leftover.is_unread()
                    || (refused && leftover.is_open())
                    || (version == Version::HTTP_10 && has_no_length(&response))
                {
                    // What follows on this connection is not read, or can't be told apart any more.
                    response
                        .headers_mut()
                        .append(header::CONNECTION, HeaderValue::from_static("close"));
                    // To HTTP/1.0 hyper would say `keep-alive` beside it.
                    *response.version_mut() = version;
                }
                Ok::<_, Infallible>(response.map(|body| Tracked::new(body, leftover, active)))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_buf_size(self.settings.max_header_bytes * 2)
            .serve_connection(TokioIo::new(wire), service)
            .with_upgrades();
        self.to_its_end(
            connection,
            http1::UpgradeableConnection::graceful_shutdown,
            &activity,
            place,
            Protocol::Http1,
        )
        .await;
    }

    async fn http2<S>(&self, stream: S, ends: Ends, place: &Place)
    where
        S: Settle + AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Activity::begin(self.settings.header, self.settings.idle, place);
        let wire = Wire::watching_frames(stream, activity.clone());
        // Shared as a whole: a drain's clones have locks in common.
        let (conn, activity_of_all) = (Arc::new(self.clone()), activity.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (conn, active) = (Arc::clone(&conn), activity_of_all.request_began());
            let (request, rest) = with_rest(request);
            async move {
                let leftover = Leftover::of_stream(rest, conn.settings.small_body_bytes);
                let response = conn.answer(request, ends, None).await;
                leftover.settle().await;
                Ok::<_, Infallible>(response.map(|body| Tracked::new(body, leftover, active)))
            }
        });
        let max_list = u32::try_from(self.settings.max_header_bytes * 2).unwrap_or(u32::MAX);
        let connection = Batched::new(wire).serving(|stream| {
            http2::Builder::new(Streams::with(self.settings.idle))
                .timer(TokioTimer::new())
                .max_concurrent_streams(MAX_STREAMS)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_header_list_size(max_list)
                .serve_connection(TokioIo::new(stream), service)
        });
        self.to_its_end(
            connection,
            |batching| batching.get_mut().connection().graceful_shutdown(),
            &activity,
            place,
            Protocol::Http2,
        )
        .await;
    }

    /// Runs a connection to its end. In a drain the connection may finish what it is doing, and no more: a client that
    /// has fallen silent between two requests never answers HTTP/2's GOAWAY. A connection that has had no request yet
    /// gets a moment for the one that may be on its way. A connection that has to make room for another was idle just
    /// now, and gets less time.
    async fn to_its_end<C: Future>(
        &self,
        connection: C,
        finish_up: impl FnOnce(Pin<&mut C>),
        activity: &Activity,
        place: &Place,
        protocol: Protocol,
    ) {
        let told = async {
            tokio::select! {
                () = self.drain.draining() => GOODBYE,
                () = place.has_to_go() => SHORT_GOODBYE,
            }
        };
        tokio::pin!(connection, told);
        let goodbye = tokio::select! {
            biased;
            _ = connection.as_mut() => return,
            goodbye = OnWake::new(told.as_mut()) => goodbye,
        };
        activity.finish_up();
        if goodbye == GOODBYE && self.drain.is_handed_over() {
            self.at_leisure(connection, finish_up, activity, place, protocol)
                .await;
            return;
        }
        tokio::select! {
            biased;
            _ = connection.as_mut() => return,
            () = begun(activity) => {}
            () = sleep(goodbye) => {}
            () = self.drain.closing() => return,
        }
        finish_up(connection.as_mut());
        tokio::select! {
            _ = connection.as_mut() => return,
            () = activity.quiet_for(goodbye) => {}
            () = self.drain.closing() => return,
        }
        activity.end();
        tokio::select! {
            _ = timeout(goodbye, connection) => {}
            () = self.drain.closing() => {}
        }
    }

    /// Ends a connection in a drain in which a successor takes the new connections, so that there is no hurry. On
    /// HTTP/1.1 the next answer says that it is the last: closing a connection between two requests would fail the
    /// request that is on its way. HTTP/2 has GOAWAY for that.
    async fn at_leisure<C: Future>(
        &self,
        mut connection: Pin<&mut C>,
        finish_up: impl FnOnce(Pin<&mut C>),
        activity: &Activity,
        place: &Place,
        protocol: Protocol,
    ) {
        if protocol == Protocol::Http2 {
            tokio::select! {
                biased;
                _ = connection.as_mut() => return,
                () = begun(activity) => finish_up(connection.as_mut()),
                () = place.has_to_go() => {}
                () = self.drain.closing() => return,
            }
        }
        tokio::select! {
            _ = connection.as_mut() => return,
            () = place.has_to_go() => {}
            () = self.drain.closing() => return,
        }
        activity.end();
        timeout(SHORT_GOODBYE, connection).await.ok();
    }

    fn answer(
        &self,
        request: ClientRequest,
        ends: Ends,
        bad_head: Option<BadHead>,
    ) -> impl Future<Output = Response<H::Body>> {
        let peer = peer::of(request.headers(), ends, &self.settings.proxies);
        // HTTP/1 heads were judged on the wire. HTTP/2 has framing of its own, but a request may still have two
        // lengths.
        let two_lengths = only(request.headers(), header::CONTENT_LENGTH).is_err();
        let bad_head = bad_head.or(two_lengths.then_some(BadHead::TwoFramings));
        let refused = bad_head.map(Failure::from).or_else(|| self.too_large(&request));
        async move {
            match refused {
                Some(failure) => self.handler.refuse(&request, peer, failure),
                None => self.handler.handle(request, peer).await,
            }
        }
    }

    fn too_large(&self, request: &Request<ClientBody>) -> Option<Failure> {
        let limit = self.settings.max_header_bytes;
        let target = request
            .uri()
            .path_and_query()
            .map_or(0, |target| target.as_str().len());
        if target > limit {
            let message = "the request target is too long";
            return Some(Failure::new(StatusCode::URI_TOO_LONG, "target_too_long", message));
        }
        let fields: usize = request
            .headers()
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 4)
            .sum();
        (fields > limit).then(|| {
            let message = "the request's header fields are too large";
            Failure::new(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "header_too_large",
                message,
            )
        })
    }
}

/// Resolves when the connection has had a request. Nobody has to be woken for it: the task that runs the connection is
/// the one that asks.
async fn begun(activity: &Activity) {
    poll_fn(|_| {
        if activity.has_begun() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// Does nobody know how long this answer gets? HTTP/1.0 has no `chunked`, so the end of the connection ends it (RFC 9112
/// section 6.3).
fn has_no_length<B: HttpBody>(response: &Response<B>) -> bool {
    !response.headers().contains_key(header::CONTENT_LENGTH)
        && !response.body().is_end_stream()
        && response.body().size_hint().exact().is_none()
}

/// Splits a request into the request and a handle, with which its body can be read to its end when nobody else reads
/// it.
fn with_rest(request: Request<Incoming>) -> (ClientRequest, Option<Rest>) {
    let (head, body) = request.into_parts();
    let (body, rest) = ClientBody::new(body);
    (Box::new(Request::from_parts(head, body)), rest)
}

impl Handler for Router {
    type Body = Recorded;

    fn handle(&self, request: ClientRequest, peer: Peer) -> impl Future<Output = Response<Recorded>> + Send {
        Router::handle(self, request, peer)
    }

    fn refuse(&self, request: &Request<ClientBody>, peer: Peer, failure: Failure) -> Response<Recorded> {
        Router::refuse(self, request, peer, failure)
    }
}
