//! The operator's listener: is the gateway alive, does it take requests, and what has it counted? Never on the public
//! port.

use std::sync::Arc;

use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderValue},
};

use crate::{
    conn::{Caller, Handler},
    drain::Drain,
    observe::Metrics,
    reply::{Body, Failure, Format, Reader},
};

/// Answers `/livez`, `/readyz` and `/metrics`.
pub struct Admin {
    gateway: Drain,
    metrics: Arc<Metrics>,
}

impl Admin {
    /// Tells of the gateway that stops by this drain and counts here.
    pub fn of(gateway: &Drain, metrics: Arc<Metrics>) -> Self {
        Self {
            gateway: gateway.clone(),
            metrics,
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        const TEXT: &str = "text/plain; charset=utf-8";
        let path = request.uri().path();
        let read = request.method() == Method::GET || request.method() == Method::HEAD;
        let (status, media, text) = match path {
            "/livez" | "/readyz" | "/metrics" if !read => (
                StatusCode::METHOD_NOT_ALLOWED,
                TEXT,
                "only GET and HEAD\n".to_owned(),
            ),
            "/livez" => (StatusCode::OK, TEXT, "alive\n".to_owned()),
            "/readyz" if self.gateway.is_draining() => {
                (StatusCode::SERVICE_UNAVAILABLE, TEXT, "draining\n".to_owned())
            }
            "/readyz" => (StatusCode::OK, TEXT, "ready\n".to_owned()),
            "/metrics" => match self.metrics.text() {
                Ok(text) => (StatusCode::OK, Metrics::MEDIA_TYPE, text),
                Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
            },
            _ => (StatusCode::NOT_FOUND, TEXT, "not found\n".to_owned()),
        };
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }
}

impl Handler for Admin {
    type Body = Body;

    async fn handle(&self, request: Request<Incoming>, _: Caller) -> Response<Body> {
        self.answer(&request)
    }

    fn refuse(&self, _: &Request<Incoming>, _: Caller, failure: Failure) -> Response<Body> {
        failure.into_response(Format::Page { json: true }, &Reader::default())
    }
}
