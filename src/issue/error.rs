//! Why no token is issued, and what the caller sees of it.

use std::fmt;

use hyper::{
    Response, StatusCode,
    header::{self, HeaderValue},
};

use super::{envelope::AuthRefusal, request::RequestError, server_answer};
use crate::{
    limits::OverLimit,
    reply::{Body, Failure, ServerCode},
};

/// Why no token is issued.
#[derive(Debug)]
pub enum IssueError {
    /// The envelope or the signature is refused.
    Auth(AuthRefusal),
    /// Over `sizes.token_body`.
    BodyTooLarge,
    /// Not there in time.
    BodyTooSlow,
    /// The client left in the middle.
    BodyBroken,
    /// Signed, but not a POST: the server has no such route.
    NotPost,
    /// The body is not one that the server would take.
    Request(RequestError),
    /// One limit has been reached.
    OverLimit(OverLimit),
    /// Signing failed.
    Signing(jsonwebtoken::errors::Error),
}

impl From<RequestError> for IssueError {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<OverLimit> for IssueError {
    fn from(over: OverLimit) -> Self {
        Self::OverLimit(over)
    }
}

impl From<jsonwebtoken::errors::Error> for IssueError {
    fn from(error: jsonwebtoken::errors::Error) -> Self {
        Self::Signing(error)
    }
}

impl fmt::Display for IssueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auth(_) => f.write_str("the request is not authenticated"),
            Self::BodyTooLarge => f.write_str("the body is too large"),
            Self::BodyTooSlow => f.write_str("the body came too slowly"),
            Self::BodyBroken => f.write_str("the body broke off"),
            Self::NotPost => f.write_str("not found"),
            Self::Request(error) => error.fmt(f),
            Self::OverLimit(over) => over.fmt(f),
            Self::Signing(_) => f.write_str("the token can't be signed"),
        }
    }
}

impl std::error::Error for IssueError {}

impl IssueError {
    /// What the server answers as an application, and not as HTTP (contract.md section 1): a refused body with status
    /// 200, a wrong method with its text 404. The rest is a failure.
    pub fn into_answer(self) -> Result<Response<Body>, Failure> {
        match self {
            Self::Request(error) => {
                let code = if error.is_internal() {
                    ServerCode::InternalServerError
                } else {
                    ServerCode::InvalidParameters
                };
                Ok(server_answer(false, &error.to_string(), code))
            }
            Self::NotPost => {
                let mut response = Response::new(Body::from("not found"));
                *response.status_mut() = StatusCode::NOT_FOUND;
                let media = HeaderValue::from_static("text/plain; charset=utf-8");
                response.headers_mut().insert(header::CONTENT_TYPE, media);
                Ok(response)
            }
            Self::Auth(refusal) => Err(refusal.into()),
            Self::OverLimit(over) => Err(over.into()),
            Self::BodyTooLarge => Err(self.failure(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large")),
            Self::BodyTooSlow => Err(self.failure(StatusCode::REQUEST_TIMEOUT, "body_too_slow")),
            Self::BodyBroken => Err(self.failure(StatusCode::BAD_REQUEST, "body_broken")),
            Self::Signing(error) => {
                let message = "the token can't be signed";
                Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "signing", message).caused_by(error))
            }
        }
    }

    fn failure(&self, status: StatusCode, code: &'static str) -> Failure {
        Failure::new(status, code, self.to_string())
    }
}
