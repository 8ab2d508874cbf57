//! The operator's listener: is the gateway alive, and does it take requests? Never on the public port.

use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderValue},
};

use crate::{
    conn::{Caller, Handler},
    drain::Drain,
    reply::{Body, Failure, Format},
};

/// Answers `/livez` and `/readyz`.
pub struct Admin {
    gateway: Drain,
}

impl Admin {
    /// Tells of the gateway that stops by this drain.
    pub fn of(gateway: &Drain) -> Self {
        Self {
            gateway: gateway.clone(),
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        let (status, text) = match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/livez") => (StatusCode::OK, "alive\n"),
            (&Method::GET | &Method::HEAD, "/readyz") if self.gateway.is_draining() => {
                (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
            }
            (&Method::GET | &Method::HEAD, "/readyz") => (StatusCode::OK, "ready\n"),
            (_, "/livez" | "/readyz") => (StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n"),
            _ => (StatusCode::NOT_FOUND, "not found\n"),
        };
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
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
        failure.into_response(Format::Page { json: true })
    }
}
