//! Token issuing: `POST /auth/room/getJoinToken`, indistinguishable on the wire from plugnmeet-server.
//!
//! The order of checks is the server's: envelope, size, signature, method, body, limits. What passes is signed here
//! (`embedded`) or goes to the server untouched (`upstream`), once.
//!
//! Not here: sending it to the server (`crate::proxy`, called by `crate::route`).
//!
//! Sources: product.md "Issuing tokens", contract.md sections 1 to 4, sdk-behaviour.md.

mod body;
mod embedded;
pub mod envelope;
mod error;
pub mod request;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::{
    Method, Request, Response,
    body::Incoming,
    header::{self, HeaderValue},
};

use self::{embedded::Embedded, envelope::AuthRefusal};
pub use self::{embedded::EmbeddedSettings, error::IssueError};
use crate::{
    addr::ClientAddr,
    clock::Clock,
    limits::Limits,
    reply::{Body, ServerCode, server_json},
    token::TokenKeys,
};

/// Who makes the tokens.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// This gateway: for development, demonstrations and tests.
    Embedded(EmbeddedSettings),
    /// plugnmeet-server.
    Upstream,
}

/// How tokens are issued.
#[derive(Clone, Copy, Debug)]
pub struct IssueSettings {
    /// Who makes them.
    pub mode: Mode,
    /// A request's body, in bytes.
    pub max_body_bytes: usize,
    /// For a request's body, from its first byte to its last.
    pub body_deadline: Duration,
}

/// The running issuer.
pub struct Issue {
    settings: IssueSettings,
    embedded: Option<Embedded>,
    keys: Arc<TokenKeys>,
    limits: Arc<Limits>,
}

/// What becomes of a request for a token.
pub enum Issued {
    /// The answer.
    Reply(Response<Body>),
    /// The server has to answer; the body is as it came.
    Upstream(Request<Bytes>),
}

impl Issue {
    /// An issuer under these keys and limits.
    pub fn new(settings: IssueSettings, keys: Arc<TokenKeys>, limits: Arc<Limits>, clock: Clock) -> Self {
        let embedded = match settings.mode {
            Mode::Embedded(settings) => Some(Embedded::new(settings, Arc::clone(&keys), clock)),
            Mode::Upstream => None,
        };
        Self {
            settings,
            embedded,
            keys,
            limits,
        }
    }

    /// What every request on `/auth` has to have before anyone looks at its body.
    pub fn check_envelope<B>(
        &self,
        request: &Request<B>,
        multipart_allowed: bool,
        client: ClientAddr,
    ) -> Result<(), IssueError> {
        envelope::check(request.headers(), multipart_allowed, &self.keys)
            .map_err(|refusal| self.refused(refusal, client))
    }

    /// A request for a token.
    pub async fn handle(&self, request: Request<Incoming>, client: ClientAddr) -> Result<Issued, IssueError> {
        if envelope::is_preflight(request.method(), request.headers()) {
            return Ok(Issued::Reply(envelope::preflight(request.headers())));
        }
        self.check_envelope(&request, false, client)?;
        let (head, body) = request.into_parts();
        let body = body::read(body, self.settings.max_body_bytes, self.settings.body_deadline).await?;
        if !envelope::is_signed(&head.headers, &body, &self.keys) {
            return Err(self.refused(AuthRefusal::WrongSignature, client));
        }
        if head.method != Method::POST {
            return Err(IssueError::NotPost);
        }
        let wanted = request::read(&body)?;
        self.limits
            .issue(self.keys.api_key(), &wanted.room_id, &wanted.user_id)?;
        match &self.embedded {
            Some(embedded) => Ok(Issued::Reply(embedded.issue(wanted)?)),
            None => Ok(Issued::Upstream(Request::from_parts(head, body))),
        }
    }

    /// Guesses are counted, and what is over the limit is told to wait instead of whether it was right.
    fn refused(&self, refusal: AuthRefusal, client: ClientAddr) -> IssueError {
        if refusal.is_guess()
            && let Err(over) = self.limits.failure(client)
        {
            return IssueError::OverLimit(over);
        }
        IssueError::Auth(refusal)
    }
}

/// HTTP 200 with the server's JSON: also for what the server refuses as an application (contract.md section 1).
pub(crate) fn server_answer(status: bool, message: &str, code: ServerCode) -> Response<Body> {
    json_response(server_json(status, message, code))
}

fn json_response(json: String) -> Response<Body> {
    let mut response = Response::new(Body::from(json));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
