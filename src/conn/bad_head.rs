//! What can be wrong with a head, and the request that takes its place where no parser would let it through.
//!
//! hyper itself answers a head that it can't read: with a bare status and no body. The handler does not see such a
//! request, and so it has no access record. Therefore hyper is never shown such a head. It reads another head in its
//! place, which holds only what is needed to answer the caller in the right form, and the handler refuses that one.
//!
//! Sources: RFC 9112 sections 2.2, 3 and 6.1, RFC 6585 section 5 (431), RFC 9110 section 15.6.6 (505).

use hyper::{
    Method, StatusCode,
    header::{self, HeaderName, HeaderValue},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::reply::Failure;

/// Why a head is refused: a fault that a parsed request does not show any more, or that prevents parsing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadHead {
    /// `Content-Length` stands beside `Transfer-Encoding`, or twice.
    TwoFramings,
    /// There are other transfer codings than a single `chunked`. They would be lost on the way to an upstream.
    TransferCoding,
    /// The last transfer coding is not `chunked`, or an HTTP/1.0 request has one: nobody knows where the body ends.
    NoEnd,
    /// `Content-Length` is not a decimal number, or too large for one.
    Length,
    /// The target has a `#`.
    Fragment,
    /// The target is not a URL.
    Target,
    /// The bytes are not an HTTP head.
    Malformed,
    /// The version is neither HTTP/1.0 nor HTTP/1.1.
    Version,
    /// The head has more than `MAX_FIELDS` fields.
    TooManyFields,
    /// The head has more bytes than allowed.
    TooLarge,
    /// The request line alone has more bytes than allowed.
    TargetTooLong,
    /// The head was not judged on the wire: the place was lost before it, as in a malformed body.
    NotFollowed,
    /// Plain HTTP came to a port where TLS is spoken.
    Plain,
}

impl From<BadHead> for Failure {
    fn from(bad: BadHead) -> Self {
        const BAD: StatusCode = StatusCode::BAD_REQUEST;
        const LARGE: StatusCode = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        let (status, code, message) = match bad {
            BadHead::TwoFramings => (BAD, "two_framings", "the request's length is given twice"),
            // RFC 9112 section 6.1: 501 for a coding that is not understood.
            BadHead::TransferCoding => (
                StatusCode::NOT_IMPLEMENTED,
                "transfer_coding",
                "the only transfer coding taken is chunked",
            ),
            // RFC 9112 section 6.3: 400 where the last coding is not `chunked`.
            BadHead::NoEnd => (
                BAD,
                "transfer_coding",
                "the only transfer coding taken is chunked",
            ),
            BadHead::Length => (BAD, "bad_length", "the request's length is no number"),
            BadHead::Fragment => (BAD, "bad_target", "the request target has a fragment"),
            BadHead::Target => (BAD, "bad_target", "the request target is not a URL"),
            BadHead::Malformed => (BAD, "malformed_head", "the request's head is not HTTP"),
            BadHead::Version => (
                StatusCode::HTTP_VERSION_NOT_SUPPORTED,
                "http_version",
                "HTTP/1.1 is spoken here, and HTTP/2 where TLS agrees on it",
            ),
            BadHead::TooManyFields => (
                LARGE,
                "header_too_large",
                "the request has more than 100 header fields",
            ),
            BadHead::TooLarge => (
                LARGE,
                "header_too_large",
                "the request's header fields are too large",
            ),
            BadHead::TargetTooLong => (
                StatusCode::URI_TOO_LONG,
                "target_too_long",
                "the request target is too long",
            ),
            BadHead::NotFollowed => (BAD, "malformed_body", "what came before this request is not HTTP"),
            BadHead::Plain => (
                BAD,
                "plain_http",
                "the plain HTTP request was sent to an HTTPS port: its address begins with https://",
            ),
        };
        Self::new(status, code, message)
    }
}

/// The fields that decide the form and the language of an answer, and whom it is for.
const KEPT: [HeaderName; 8] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    header::ORIGIN,
    HeaderName::from_static("api-key"),
    HeaderName::from_static("sec-fetch-mode"),
    HeaderName::from_static("sec-fetch-dest"),
    HeaderName::from_static("x-forwarded-for"),
];

/// The most bytes that are kept of a path and of a field's value. A longer path is cut, a field with a longer value is
/// left out.
pub(super) const MAX_KEPT: usize = 1024;
const MAX_KEPT_FIELDS: usize = 16;

/// The bytes that are percent-encoded in a path.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'%')
    .remove(b'+')
    .remove(b':')
    .remove(b'@');

/// Makes a head that parses, in the place of one that does not.
pub(super) fn in_place_of(head: &[u8]) -> Vec<u8> {
    let mut lines = head
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii_end)
        .skip_while(|line| line.is_empty());
    let line = lines.next().unwrap_or_default();
    let mut words = line.splitn(2, |byte| *byte == b' ');
    let method = words.next().unwrap_or_default();
    let method = Method::from_bytes(method).ok().filter(|method| {
        let named = method.as_str();
        *method != Method::CONNECT && named.len() < 32 && named.bytes().all(|byte| byte.is_ascii_uppercase())
    });
    let target = words.next();
    let version = if line.ends_with(b" HTTP/1.0") {
        "1.0"
    } else {
        "1.1"
    };
    let mut made = format!(
        "{} {} HTTP/{version}\r\n",
        method.filter(|_| target.is_some()).unwrap_or(Method::GET),
        path_of(target.unwrap_or_default())
    )
    .into_bytes();
    let names = KEPT;
    let fields = lines.take_while(|line| !line.is_empty()).filter_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        let (name, value) = line.split_at_checked(colon)?;
        let value = value.get(1..)?.trim_ascii();
        let kept = names
            .iter()
            .find(|kept| kept.as_str().as_bytes().eq_ignore_ascii_case(name))?;
        (value.len() <= MAX_KEPT && HeaderValue::from_bytes(value).is_ok()).then_some((kept, value))
    });
    for (name, value) in fields.take(MAX_KEPT_FIELDS) {
        made.extend_from_slice(name.as_str().as_bytes());
        made.extend_from_slice(b": ");
        made.extend_from_slice(value);
        made.extend_from_slice(b"\r\n");
    }
    made.extend_from_slice(b"\r\n");
    made
}

/// Is this line one of the fields in `KEPT`?
pub(super) fn is_kept(line: &[u8]) -> bool {
    let colon = memchr::memchr(b':', line).unwrap_or_default();
    let name = line.get(..colon).unwrap_or_default();
    let names = KEPT;
    names
        .iter()
        .any(|kept| kept.as_str().as_bytes().eq_ignore_ascii_case(name))
}

/// The path of a target, without the query, which may hold a token.
fn path_of(rest: &[u8]) -> String {
    let target = match memchr::memmem::rfind(rest, b" HTTP/") {
        Some(end) => rest.get(..end).unwrap_or_default(),
        None => rest,
    };
    let path = target
        .split(|byte| matches!(byte, b'?' | b'#'))
        .next()
        .unwrap_or_default();
    if !path.starts_with(b"/") {
        return "/".into();
    }
    let short = path.get(..MAX_KEPT).unwrap_or(path);
    percent_encode(short, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(head: &str) -> String {
        String::from_utf8(in_place_of(head.as_bytes())).unwrap()
    }

    #[test]
    fn what_takes_a_heads_place_says_how_to_answer_and_no_more() {
        assert_eq!(
            made(
                "POST /api/x\"y?token=secret HTTP/1.1\r\nAccept: a\r\nBad Line\r\nCookie: b\r\norigin:c \r\n\r\nbody"
            ),
            "POST /api/x%22y HTTP/1.1\r\naccept: a\r\norigin: c\r\n\r\n"
        );
        assert_eq!(made("\r\nGET /a b#c HTTP/1.0\r\n"), "GET /a%20b HTTP/1.0\r\n\r\n");
        for nonsense in [
            "",
            "\r\n\r\n",
            "nonsense",
            "CONNECT a:1 HTTP/1.1",
            "\u{16}\u{3}\u{1}",
            "GET http://a/b HTTP/9",
        ] {
            assert_eq!(made(nonsense), "GET / HTTP/1.1\r\n\r\n", "{nonsense:?}");
        }
    }

    #[test]
    fn what_takes_a_heads_place_is_a_head() {
        let long = format!(
            "GET /{} HTTP/1.1\r\n{}\r\n",
            "\"".repeat(60_000),
            "Origin: x\r\n".repeat(500)
        );
        for head in [
            "GET /\u{7f}\0 HTTP/1.1\r\nAccept: \u{1}\r\nOrigin: \u{e9}\r\n\r\n",
            &long,
        ] {
            let made = in_place_of(head.as_bytes());
            let mut fields = [httparse::EMPTY_HEADER; 100];
            let mut request = httparse::Request::new(&mut fields);
            assert_eq!(request.parse(&made), Ok(httparse::Status::Complete(made.len())));
            assert!(request.path.unwrap().parse::<hyper::Uri>().is_ok());
        }
    }
}
