//! The methods that files and pages have.
//!
//! Sources: RFC 9110 sections 9.3.1, 9.3.2, 9.3.7, 10.2.1, 15.5.6.

use http_body::Body as _;
use hyper::{
    Method, Response, StatusCode,
    header::{ALLOW, CONTENT_LENGTH, HeaderValue},
};

use crate::reply::{Body, Failure};

const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD");

/// A method that files can be asked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Head,
    Options,
}

impl Verb {
    pub fn of(method: &Method) -> Result<Self, Failure> {
        match *method {
            Method::GET => Ok(Self::Get),
            Method::HEAD => Ok(Self::Head),
            Method::OPTIONS => Ok(Self::Options),
            _ => Err(Failure::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "this can be read and nothing else",
            )
            .header(ALLOW, ALLOWED)),
        }
    }

    /// The response to `GET`; for `HEAD` the same without its body, with the length kept.
    pub fn answer_with(self, mut response: Response<Body>) -> Response<Body> {
        if let Some(len) = response.body().size_hint().exact() {
            response.headers_mut().insert(CONTENT_LENGTH, len.into());
        }
        if self == Self::Head {
            *response.body_mut() = Body::Empty;
        }
        response
    }
}

pub(super) fn options() -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, ALLOWED);
    response
}
