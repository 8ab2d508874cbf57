//! A CA's check of a name over plain HTTP (http-01), answered before the redirect: here, or by a program that the operator
//! has for it (`acme.pass_to`).
//!
//! Neither the host nor a limit counts: a CA asks from many networks, and for names that may be new.
//!
//! Source: RFC 8555 section 8.3.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    header::{self, HeaderValue},
};
use tokio::sync::Semaphore;
use tracing::warn;

use crate::{
    acme::{Answers, PREFIX},
    client_body::ClientBody,
    http::{no_store, with_brackets},
    observe::OnceAMinute,
    proxy::OwnClient,
    reply::{Body, BoxError},
};

/// For an answer of the other program, and the most that it may say.
const ANSWER: Duration = Duration::from_secs(10);
const MAX_BYTES: usize = 64 << 10;
/// Checks that are passed on at a time: a CA asks from a handful of places.
const AT_ONCE: usize = 32;

/// Where the answers are; clones are the same.
#[derive(Clone, Default)]
pub struct Checks {
    answers: Answers,
    pass: Option<Arc<Pass>>,
}

/// The way to a program that answers.
struct Pass {
    /// `HOST:PORT`.
    to: String,
    own_client: OwnClient,
    places: Semaphore,
    away: OnceAMinute,
}

impl Checks {
    /// What is not answered here goes on to `pass_to`: a host and a port.
    pub fn new(answers: Answers, pass_to: Option<(&str, u16)>) -> Self {
        let pass = pass_to.map(|(host, port)| {
            Arc::new(Pass {
                to: format!("{}:{port}", with_brackets(host)),
                own_client: OwnClient::plain(ANSWER, MAX_BYTES),
                places: Semaphore::new(AT_ONCE),
                away: OnceAMinute::new(|count| {
                    warn!(
                        count,
                        "Checks of a CA's could not be passed on: nobody answers at acme.pass_to"
                    );
                }),
            })
        });
        Self { answers, pass }
    }

    /// None: it is no check, or nobody answers any here.
    pub(super) async fn answer(&self, request: &Request<ClientBody>) -> Option<Response<Body>> {
        let token = request.uri().path().strip_prefix(PREFIX)?;
        if !self.answers.is_on() && self.pass.is_none() {
            return None;
        }
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n".into());
            refused
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Some(refused);
        }
        if let Some(answer) = self.answers.of_token(token).await {
            let mut response = plain(StatusCode::OK, answer);
            response.headers_mut().insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/octet-stream"),
            );
            return Some(response);
        }
        let Some(pass) = &self.pass else {
            return Some(plain(
                StatusCode::NOT_FOUND,
                "no such check is under way\n".into(),
            ));
        };
        Some(pass.on(request).await.unwrap_or_else(|_| {
            pass.away.add(1);
            plain(StatusCode::BAD_GATEWAY, "nobody answers this check\n".into())
        }))
    }
}

impl Pass {
    async fn on(&self, request: &Request<ClientBody>) -> Result<Response<Body>, BoxError> {
        let _place = self.places.try_acquire()?;
        let path = request.uri().path();
        let uri: Uri = format!("http://{}{path}", self.to).parse()?;
        let mut onward = Request::builder().method(request.method()).uri(uri);
        if let Some(host) = request.headers().get(header::HOST) {
            onward = onward.header(header::HOST, host);
        }
        let answer = self
            .own_client
            .send(onward.body(Empty::<Bytes>::new())?, None)
            .await?;
        let mut response = Response::new(Body::from(answer.body().clone()));
        *response.status_mut() = answer.status();
        for name in [header::CONTENT_TYPE, header::LOCATION] {
            if let Some(value) = answer.headers().get(&name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        no_store(response.headers_mut());
        Ok(response)
    }
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    no_store(headers);
    response
}
