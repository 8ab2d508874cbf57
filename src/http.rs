//! Small parts of HTTP that several modules need: fields that may occur once, answers that no cache keeps, bodies
//! read whole, hosts in brackets, and the name of the session's cookie.
//!
//! Sources: RFC 9110 section 5.3 (fields that are there once), RFC 9111 section 5.2.2.5 (`no-store`), RFC 3986
//! section 3.2.2 (brackets).

use std::{borrow::Cow, error::Error};

use bytes::Bytes;
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use hyper::{
    HeaderMap,
    header::{self, AsHeaderName, HeaderValue},
};

/// The name of the cookie in which the client looks for its token (docs/plugnmeet.md section 6).
pub const ACCESS_COOKIE: &str = "pnm_access_token";

/// A field that may occur once occurs more often. Another program may use another of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

/// The value of a field that may occur at most once.
pub fn only(headers: &HeaderMap, name: impl AsHeaderName) -> Result<Option<&HeaderValue>, Repeated> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Repeated),
    }
}

/// The value of a field, if it occurs exactly once.
pub fn exactly_one(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&HeaderValue> {
    only(headers, name).ok().flatten()
}

/// The values of `Sec-Fetch-Dest` for a document within a page.
pub(crate) const FRAMES: [&str; 5] = ["iframe", "frame", "object", "embed", "fencedframe"];

/// Does the browser say that it will show the answer as the document of a frame? (W3C Fetch Metadata Request Headers)
pub fn is_for_frame(headers: &HeaderMap) -> bool {
    headers
        .get("sec-fetch-dest")
        .is_some_and(|destination| FRAMES.iter().any(|frame| destination == frame))
}

/// Forbids caches to store the answer.
pub fn no_store(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// Tells the browser to send no `Referer` from this answer's page or redirect.
pub fn no_referrer(headers: &mut HeaderMap) {
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// Lets pages of every origin read the answer, unless it says already who may (docs/plugnmeet.md section 8, CORS).
pub fn readable_from_anywhere(headers: &mut HeaderMap) {
    headers
        .entry(header::ACCESS_CONTROL_ALLOW_ORIGIN)
        .or_insert(HeaderValue::from_static("*"));
}

/// A body, read whole. It is an error if the body breaks off or has more than `max_bytes` (`LengthLimitError`); how long
/// that may take, the caller decides.
pub async fn whole<B>(body: B, max_bytes: usize) -> Result<Bytes, Box<dyn Error + Send + Sync>>
where
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
{
    Ok(Limited::new(body, max_bytes).collect().await?.to_bytes())
}

/// The host without the brackets that enclose an IPv6 address in an authority.
pub fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host)
}

/// The host as it is written in an authority, with brackets around an IPv6 address.
pub fn with_brackets(host: &str) -> Cow<'_, str> {
    if host.contains(':') && !host.starts_with('[') {
        Cow::Owned(format!("[{host}]"))
    } else {
        Cow::Borrowed(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_there_twice_has_no_value() {
        let mut headers = HeaderMap::new();
        assert_eq!(only(&headers, header::HOST), Ok(None));
        assert_eq!(exactly_one(&headers, header::HOST), None);
        let one = HeaderValue::from_static("a");
        headers.append(header::HOST, one.clone());
        assert_eq!(only(&headers, header::HOST), Ok(Some(&one)));
        assert_eq!(exactly_one(&headers, "host"), Some(&one));
        headers.append(header::HOST, one);
        assert_eq!(only(&headers, header::HOST), Err(Repeated));
        assert_eq!(exactly_one(&headers, header::HOST), None);
    }

    #[test]
    fn an_ipv6_address_has_brackets_in_an_authority_alone() {
        for (bare, bracketed) in [
            ("::1", "[::1]"),
            ("192.0.2.7", "192.0.2.7"),
            ("a.example", "a.example"),
            ("", ""),
        ] {
            assert_eq!(with_brackets(bare), bracketed);
            assert_eq!(with_brackets(bracketed), bracketed);
            assert_eq!(without_brackets(bracketed), bare);
            assert_eq!(without_brackets(bare), bare);
        }
        assert_eq!(without_brackets("[::1"), "[::1");
    }
}
