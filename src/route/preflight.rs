//! Answers preflights, with which a browser asks whether a script of another origin may call the API.
//!
//! The server answers a preflight before any check and allows every origin, because the API needs no cookie, and so do
//! LiveKit and its ingress. The gateway answers in their place and forwards none. Any other OPTIONS request is handled like all requests, so it passes
//! no check by.
//!
//! Sources: Fetch, "CORS-preflight request"; docs/plugnmeet.md section 8 (what the server answers).

use hyper::{
    HeaderMap, Method, Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
};

use crate::reply::Body;

/// What the server names itself.
const SERVERS_METHODS: [&[u8]; 4] = [b"POST", b"GET", b"OPTIONS", b"HEAD"];

/// The answer to a preflight request; none if the request is none. A preflight has both fields, and neither is empty.
pub(super) fn answer(method: &Method, asked: &HeaderMap) -> Option<Response<Body>> {
    let given = |name: HeaderName| asked.get(name).filter(|value| !value.is_empty());
    if method != Method::OPTIONS {
        return None;
    }
    given(header::ORIGIN)?;
    let wanted = given(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(
        header::VARY,
        HeaderValue::from_static("Access-Control-Request-Method, Access-Control-Request-Headers, Origin"),
    );
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        if SERVERS_METHODS.contains(&wanted.as_bytes()) {
            HeaderValue::from_static("POST, GET, OPTIONS, HEAD")
        } else {
            // PATCH and DELETE of WHIP.
            wanted.clone()
        },
    );
    if let Some(wanted) = given(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_whole_preflight_is_one() {
        let is = |method: &Method, fields: &[(HeaderName, &'static str)]| {
            let headers = fields
                .iter()
                .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
                .collect();
            answer(method, &headers).is_some()
        };
        let origin = (header::ORIGIN, "null");
        let wanted = (header::ACCESS_CONTROL_REQUEST_METHOD, "POST");
        assert!(is(&Method::OPTIONS, &[origin.clone(), wanted.clone()]));
        assert!(!is(&Method::POST, &[origin.clone(), wanted.clone()]));
        for fields in [
            vec![],
            vec![origin.clone()],
            vec![wanted.clone()],
            vec![(header::ORIGIN, ""), wanted],
            vec![origin, (header::ACCESS_CONTROL_REQUEST_METHOD, "")],
        ] {
            assert!(!is(&Method::OPTIONS, &fields), "{fields:?}");
        }
    }
}
