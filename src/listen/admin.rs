//! The operator's listener. It tells whether the gateway is alive, whether it takes requests, and what it has counted.
//! It is never on the public port.
//!
//! SECURITY: a page of anybody's, whose name leads to this machine by now (DNS rebinding), would read it as its own. Its
//! browser sends the page's name as `Host`, and so only addresses, `localhost` and names that the operator lists are
//! answered.

use std::{net::IpAddr, sync::Arc};

use hyper::{
    Method, Request, Response, StatusCode, Version,
    header::{self, HeaderValue},
    http::uri::Authority,
};

use crate::{
    client_body::{ClientBody, ClientRequest},
    conn::Handler,
    context::Peer,
    drain::Drain,
    http::{Repeated, no_store, only, without_brackets},
    observe::{Exposition, Metrics},
    reply::{Body, Failure, Format, Reader},
};

/// Answers `/livez`, `/readyz` and `/metrics`.
pub struct Admin {
    gateway: Drain,
    metrics: Arc<Metrics>,
    /// The names that are answered beside addresses and `localhost`.
    hosts: Vec<String>,
}

impl Admin {
    /// Makes the handler of a gateway that stops by this drain and counts in these metrics. It answers to the names in
    /// `hosts` too.
    pub fn of(gateway: &Drain, metrics: Arc<Metrics>, hosts: Vec<String>) -> Self {
        Self {
            gateway: gateway.clone(),
            metrics,
            hosts,
        }
    }

    fn answer(&self, request: &Request<ClientBody>) -> Response<Body> {
        const TEXT: &str = "text/plain; charset=utf-8";
        let path = request.uri().path();
        let read = request.method() == Method::GET || request.method() == Method::HEAD;
        let (status, media, text) = match path {
            _ if !self.is_for_us(request) => (
                StatusCode::MISDIRECTED_REQUEST,
                TEXT,
                "this host is not served here: ask by an address, or name it in listen.admin_hosts\n"
                    .to_owned(),
            ),
            _ if !read => (
                StatusCode::METHOD_NOT_ALLOWED,
                TEXT,
                "only GET and HEAD\n".to_owned(),
            ),
            "/livez" => match self.gateway.fault() {
                None => (StatusCode::OK, TEXT, "alive\n".to_owned()),
                Some(fault) => {
                    let text = format!("does not run any more: {fault}\n");
                    (StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
                }
            },
            "/readyz" if self.gateway.is_leaving() => {
                (StatusCode::SERVICE_UNAVAILABLE, TEXT, "draining\n".to_owned())
            }
            "/readyz" => (StatusCode::OK, TEXT, "ready\n".to_owned()),
            "/metrics" => {
                let format = wanted(request);
                match self.metrics.text(format) {
                    Ok(text) => (StatusCode::OK, format.media_type(), text),
                    Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
                }
            }
            _ => (StatusCode::NOT_FOUND, TEXT, "not found\n".to_owned()),
        };
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        no_store(headers);
        if path == "/metrics" && status == StatusCode::OK {
            headers.insert(header::VARY, HeaderValue::from_static("Accept"));
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }

    fn is_for_us<B>(&self, request: &Request<B>) -> bool {
        let authority = match only(request.headers(), header::HOST) {
            // An HTTP/1.0 request may have no `Host`, and no browser speaks HTTP/1.0.
            Ok(None) => return request.version() == Version::HTTP_10 && request.uri().authority().is_none(),
            Ok(Some(field)) => field
                .to_str()
                .ok()
                .and_then(|field| field.parse::<Authority>().ok()),
            Err(Repeated) => None,
        };
        let in_target = request.uri().authority();
        authority.is_some_and(|authority| {
            !authority.as_str().contains('@')
                && in_target.is_none_or(|target| *target == authority)
                && self.knows(authority.host())
        })
    }

    fn knows(&self, host: &str) -> bool {
        let host = without_brackets(host);
        let name = host.strip_suffix('.').unwrap_or(host);
        host.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// The format of metrics that `Accept` asks for.
fn wanted<B>(request: &Request<B>) -> Exposition {
    let fields = request.headers().get_all(header::ACCEPT).iter();
    let all: Vec<&str> = fields.filter_map(|field| field.to_str().ok()).collect();
    Exposition::wanted(&all.join(","))
}

impl Handler for Admin {
    type Body = Body;

    async fn handle(&self, request: ClientRequest, _: Peer) -> Response<Body> {
        self.answer(&request)
    }

    fn refuse(&self, _: &Request<ClientBody>, _: Peer, failure: Failure) -> Response<Body> {
        failure.into_response(Format::Page { json: true }, &Reader::default())
    }
}
