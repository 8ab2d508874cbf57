//! Redirects: to an address that is made here, without a body, and without saying where one came from.
//!
//! Source: RFC 9110 section 15.4.

use hyper::{
    Response, StatusCode,
    header::{self, HeaderValue},
};

use super::Body;
use crate::http::no_referrer;

pub fn redirect(status: StatusCode, location: HeaderValue) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    no_referrer(headers);
    response
}
