//! Refuses unknown methods.
//!
//! An upstream may give an unknown method a meaning of its own. `TRACE` would show a script the fields that it may not
//! see, cookies among them.
//!
//! Sources: RFC 9110 section 9 (the methods; 405 in section 15.5.6), RFC 5789 (`PATCH`).

use hyper::{
    Method, StatusCode,
    header::{self, HeaderValue},
};

use crate::reply::Failure;

/// Refuses every method that is not one of HTTP's own, and `TRACE`. The answer lists the allowed methods. `CONNECT` is
/// refused for its target elsewhere.
pub fn known(method: &Method) -> Result<(), Failure> {
    const KNOWN: [Method; 8] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::CONNECT,
        Method::OPTIONS,
        Method::PATCH,
    ];
    if KNOWN.contains(method) {
        return Ok(());
    }
    Err(Failure::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method",
        "this method is not known here",
    )
    .header(
        header::ALLOW,
        HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_of_http_are_known_and_no_others() {
        for method in [
            "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "PATCH",
        ] {
            assert!(known(&method.parse().unwrap()).is_ok(), "{method}");
        }
        for method in [
            "TRACE", "get", "PROPFIND", "M-SEARCH", "QUERY", "DEBUG", "TRACK", "PRI",
        ] {
            let refused = known(&method.parse().unwrap()).unwrap_err();
            assert_eq!(refused.status(), 405, "{method}");
        }
    }
}
