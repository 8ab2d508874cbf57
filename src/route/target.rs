//! The canonical target: checked once, before any rule looks at it, and never changed afterwards.
//!
//! If two programs read a target in different ways, an attacker can get past the checks of one of them. So every target
//! that some upstream would read otherwise than the gateway is refused: dot segments in any spelling, empty segments,
//! backslashes, encoded slashes, control bytes. A target that passes is forwarded byte for byte.
//!
//! Sources: RFC 9110 section 7.4 (421), RFC 9112 section 3.2, RFC 3986 section 3.3, docs/plugnmeet.md sections 0.1 and
//! 5.

use std::{borrow::Cow, sync::Arc};

use hyper::{
    HeaderMap, Method, Request, StatusCode, Uri, Version,
    header::{self, HeaderValue},
    http::uri::Authority,
};
use percent_encoding::percent_decode;

use super::hosts::Hosts;
use crate::{
    http::{Repeated, exactly_one, only},
    reply::Failure,
    urls::takes_encoded_slash,
};

/// A request's target that every program reads alike, at one of the gateway's names.
#[derive(Debug)]
pub struct CanonicalTarget<'a> {
    /// The path, as it was sent.
    pub path: &'a str,
    /// The query, as it was sent, without its `?`.
    pub query: &'a str,
    /// The gateway's name in the target, in the configuration's spelling.
    pub our_name: Arc<str>,
    /// The authority, as it was sent.
    pub host: HeaderValue,
    /// The value of `X-Forwarded-Host`, if it is one of the gateway's names. Whether the sender is trusted is not
    /// checked here.
    pub forwarded_host: Option<HeaderValue>,
}

/// Why a target is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// The target is not a path, as with `CONNECT` and `OPTIONS *`.
    #[error("the request target is not a path")]
    Form,
    /// The target has a control byte, plain or encoded.
    #[error("the path has a control byte")]
    ControlByte,
    /// The target has a `\`, plain or encoded.
    #[error("the path has a backslash")]
    Backslash,
    /// The target has a segment `.` or `..`, in any spelling.
    #[error("the path has a dot segment")]
    DotSegment,
    #[error("the path has an empty segment")]
    EmptySegment,
    /// The path has `%2F`, and no real client sends it there.
    #[error("the path has an encoded slash")]
    EncodedSlash,
    /// The target has a `%` without two hexadecimal digits behind it.
    #[error("the path has a broken percent encoding")]
    PercentEncoding,
    /// The request has no host, several hosts, or a `Host` that differs from its target.
    #[error("the request does not name one host")]
    Host,
    /// The host is none of the gateway's names.
    #[error("this host is not served here")]
    NotOurs,
}

impl From<BadTarget> for Failure {
    fn from(bad: BadTarget) -> Self {
        let (status, code) = match bad {
            BadTarget::NotOurs => (StatusCode::MISDIRECTED_REQUEST, "not_our_host"),
            BadTarget::Host => (StatusCode::BAD_REQUEST, "bad_host"),
            BadTarget::Form
            | BadTarget::ControlByte
            | BadTarget::Backslash
            | BadTarget::DotSegment
            | BadTarget::EmptySegment
            | BadTarget::EncodedSlash
            | BadTarget::PercentEncoding => (StatusCode::BAD_REQUEST, "bad_target"),
        };
        Self::new(status, code, bad.to_string())
    }
}

impl<'a> CanonicalTarget<'a> {
    /// Checks the target of a request.
    pub fn of<B>(request: &'a Request<B>, hosts: &Hosts) -> Result<Self, BadTarget> {
        let uri = request.uri();
        let authority = authority_of(request, hosts)?;
        let name = name_of(&authority)?;
        if request.method() == Method::CONNECT
            || !uri.path().starts_with('/')
            || uri.path_and_query().is_none()
        {
            return Err(BadTarget::Form);
        }
        let query = uri.query().unwrap_or_default();
        if query.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
            return Err(BadTarget::ControlByte);
        }
        check_path(uri.path())?;
        let our_name = hosts.own_name(name).cloned().ok_or(BadTarget::NotOurs)?;
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| BadTarget::Host)?;
        Ok(Self {
            path: uri.path(),
            query,
            our_name,
            host,
            forwarded_host: forwarded_host(request.headers(), hosts),
        })
    }

    /// The path and query as they were sent, for a redirect that keeps both.
    pub fn path_and_query(uri: &Uri) -> &str {
        uri.path_and_query().map_or("/", |both| both.as_str())
    }
}

/// One `Host`, or `:authority`, or both and the same (RFC 9113 section 8.3.1, RFC 9112 section 3.2.2). HTTP/1.0 needs
/// none: it means the public origin then.
fn authority_of<B>(request: &Request<B>, hosts: &Hosts) -> Result<Authority, BadTarget> {
    let in_target = request.uri().authority();
    let in_field = only_host(request.headers())?;
    let authority = match (in_target, in_field) {
        (Some(target), Some(field)) if target.as_str().eq_ignore_ascii_case(field) => target.clone(),
        (Some(target), None) if request.version() == Version::HTTP_2 => target.clone(),
        (None, Some(field)) => field.parse().map_err(|_| BadTarget::Host)?,
        (None, None) if request.version() == Version::HTTP_10 => hosts.public().ok_or(BadTarget::Host)?,
        (Some(target), None) if request.version() == Version::HTTP_10 => target.clone(),
        (Some(_), _) | (None, None) => return Err(BadTarget::Host),
    };
    Ok(authority)
}

/// The host of an authority that has only a host and a port.
fn name_of(authority: &Authority) -> Result<&str, BadTarget> {
    let host = authority.host();
    let has_port = authority.as_str().len() > host.len();
    if authority.as_str().contains('@') || host.is_empty() || (has_port && authority.port_u16().is_none()) {
        return Err(BadTarget::Host);
    }
    Ok(host)
}

/// The authority in `X-Forwarded-Host`, if there is exactly one and it is one of our names: many proxies pass on
/// whatever their client claims.
fn forwarded_host(headers: &HeaderMap, hosts: &Hosts) -> Option<HeaderValue> {
    let value = exactly_one(headers, "x-forwarded-host")?;
    let authority: Authority = value.to_str().ok()?.parse().ok()?;
    hosts.known(name_of(&authority).ok()?)?;
    Some(value.clone())
}

fn only_host(headers: &HeaderMap) -> Result<Option<&str>, BadTarget> {
    let host = only(headers, header::HOST).map_err(|Repeated| BadTarget::Host)?;
    host.map(|host| host.to_str().map_err(|_| BadTarget::Host))
        .transpose()
}

/// How often a program behind us might decode a path: the router, the handler, and one for good measure.
const DECODINGS: usize = 3;

fn check_path(path: &str) -> Result<(), BadTarget> {
    if !path.starts_with('/') {
        return Err(BadTarget::Form);
    }
    if !is_plain(path.as_bytes()) {
        // A trailing slash is no empty segment.
        if path.as_bytes().windows(2).any(|pair| pair == b"//") {
            return Err(BadTarget::EmptySegment);
        }
        check_bytes(path.as_bytes())?;
    }
    if memchr::memchr(b'%', path.as_bytes()).is_none() {
        return Ok(());
    }
    if has_encoded_slash(path.as_bytes())? && !takes_encoded_slash(path) {
        return Err(BadTarget::EncodedSlash);
    }
    let mut read = Cow::Borrowed(path.as_bytes());
    for _ in 0..DECODINGS {
        // It is borrowed if nothing in it is encoded any more.
        let Cow::Owned(decoded) = Cow::from(percent_decode(&read)) else {
            break;
        };
        check_bytes(&decoded)?;
        read = Cow::Owned(decoded);
    }
    Ok(())
}

/// Has a path nothing for which `check_bytes` or two slashes would refuse it? Nearly every path is plain, and this needs one
/// look at each byte; a path that is not plain may still be a good one.
fn is_plain(path: &[u8]) -> bool {
    let mut before = 0;
    path.iter().all(|&byte| {
        let begins_segment = before == b'/';
        before = byte;
        match byte {
            b'\\' | 0..0x20 | 0x7f => false,
            b'.' | b'/' => !begins_segment,
            _ => true,
        }
    })
}

fn check_bytes(path: &[u8]) -> Result<(), BadTarget> {
    if is_plain(path) && path.first() != Some(&b'.') {
        return Ok(());
    }
    for &byte in path {
        match byte {
            b'\\' => return Err(BadTarget::Backslash),
            0..0x20 | 0x7f => return Err(BadTarget::ControlByte),
            _ => {}
        }
    }
    if path
        .split(|byte| *byte == b'/')
        .any(|segment| segment == b"." || segment == b"..")
    {
        return Err(BadTarget::DotSegment);
    }
    Ok(())
}

/// Is one of the encoded bytes a slash? An error if two hexadecimal digits are missing behind a `%`.
fn has_encoded_slash(path: &[u8]) -> Result<bool, BadTarget> {
    let mut has_slash = false;
    for at in memchr::memchr_iter(b'%', path) {
        match path.get(at + 1..at + 3) {
            Some([b'2', b'f' | b'F']) => has_slash = true,
            Some([high, low]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {}
            Some(_) | None => return Err(BadTarget::PercentEncoding),
        }
    }
    Ok(has_slash)
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;

    fn hosts() -> Hosts {
        Hosts::new("Conf.example.org", &["meet.example.org".into()], true)
    }

    fn judged(target: &str) -> Result<(), BadTarget> {
        let request = Request::get(target)
            .header("host", "conf.example.org:8443")
            .body(())
            .unwrap();
        CanonicalTarget::of(&request, &hosts()).map(|_| ())
    }

    #[test]
    fn refuses_every_spelling_that_somebody_would_read_in_another_way() {
        let refused = [
            ("/a/../b", BadTarget::DotSegment),
            ("/a/.", BadTarget::DotSegment),
            ("/a/./b", BadTarget::DotSegment),
            ("/a/%2e%2E/b", BadTarget::DotSegment),
            ("/a/.%2e", BadTarget::DotSegment),
            ("/a/%252e%252e/b", BadTarget::DotSegment),
            ("/a/%25252e./b", BadTarget::DotSegment),
            ("/download/uploadedFile/a%2F..%2Fb", BadTarget::DotSegment),
            ("/download/uploadedFile/a%252F..%252Fb", BadTarget::DotSegment),
            ("//a", BadTarget::EmptySegment),
            ("/a//b", BadTarget::EmptySegment),
            ("/a//", BadTarget::EmptySegment),
            ("/a%2Fb", BadTarget::EncodedSlash),
            ("/a%2fb", BadTarget::EncodedSlash),
            ("/a%5Cb", BadTarget::Backslash),
            ("/a%5cb", BadTarget::Backslash),
            ("/a%00b", BadTarget::ControlByte),
            ("/a%0d%0ab", BadTarget::ControlByte),
            ("/a%7Fb", BadTarget::ControlByte),
            ("/a%2", BadTarget::PercentEncoding),
            ("/a%zz", BadTarget::PercentEncoding),
        ];
        for (target, why) in refused {
            assert_eq!(judged(target), Err(why), "{target}");
        }
    }

    #[test]
    fn takes_what_everyone_reads_alike() {
        for target in [
            "/",
            "/auth/",
            "/a...b/..c",
            "/a%20b%C3%A9",
            "/download/uploadedFile/SID%2Fa+b%20c.pdf",
            "/key/bigbluebutton/api/join?name=a%0Ab&x=%2F..%2F&y=%5C",
            "/?custom_design=%7B%22custom_logo%22:%22https:%5C/%5C/x%22%7D",
        ] {
            assert_eq!(judged(target), Ok(()), "{target}");
        }
    }

    fn hosted(target: &str, fields: &[&str]) -> Result<String, BadTarget> {
        let mut request = Request::get(target);
        for field in fields {
            request = request.header("host", *field);
        }
        let request = request.body(()).unwrap();
        CanonicalTarget::of(&request, &hosts()).map(|target| target.host.to_str().unwrap().to_owned())
    }

    #[test]
    fn one_host_and_it_is_ours() {
        assert_eq!(
            hosted("/", &["CONF.example.org:444"]),
            Ok("CONF.example.org:444".into())
        );
        assert_eq!(hosted("/", &["[::1]:8443"]), Ok("[::1]:8443".into()));
        assert_eq!(hosted("/", &["localhost"]), Ok("localhost".into()));
        for full in ["conf.example.org.", "Conf.Example.ORG.:8443", "localhost."] {
            assert_eq!(hosted("/", &[full]), Ok(full.into()));
        }
        assert_eq!(
            hosted("https://conf.example.org/", &["conf.example.org"]),
            Ok("conf.example.org".into())
        );
        for not_ours in [
            "evil.example",
            "conf.example.org.evil.example",
            "conf.example.org..",
            ".conf.example.org",
            "127.0.0.2",
        ] {
            assert_eq!(hosted("/", &[not_ours]), Err(BadTarget::NotOurs), "{not_ours}");
        }
        assert_eq!(hosted("/", &[]), Err(BadTarget::Host));
        assert_eq!(
            hosted("/", &["conf.example.org", "conf.example.org"]),
            Err(BadTarget::Host)
        );
        assert_eq!(
            hosted("https://meet.example.org/", &["conf.example.org"]),
            Err(BadTarget::Host)
        );
        for odd in [
            "user@conf.example.org",
            "conf.example.org:",
            "conf.example.org:port",
            "conf.example.org:99999",
            "",
        ] {
            assert_eq!(hosted("/", &[odd]), Err(BadTarget::Host), "{odd}");
        }
    }

    /// RFC 9112 section 3.2: only HTTP/1.1 has to have one.
    #[test]
    fn without_a_host_http_1_0_means_the_public_origin() {
        let host = |hosts: &Hosts, target: &str, field: Option<&str>| {
            let mut request = Request::get(target).version(Version::HTTP_10);
            if let Some(field) = field {
                request = request.header("host", field);
            }
            let request = request.body(()).unwrap();
            CanonicalTarget::of(&request, hosts).map(|target| target.host.to_str().unwrap().to_owned())
        };
        let hosts = hosts();
        assert_eq!(host(&hosts, "/", None), Ok("Conf.example.org".into()));
        assert_eq!(
            host(&hosts, "http://meet.example.org/", None),
            Ok("meet.example.org".into())
        );
        assert_eq!(host(&hosts, "http://a.example/", None), Err(BadTarget::NotOurs));
        assert_eq!(host(&hosts, "/", Some("a.example")), Err(BadTarget::NotOurs));
        assert_eq!(host(&hosts, "/", Some("")), Err(BadTarget::Host));
        let at_port = hosts.at_port(Some(8443));
        assert_eq!(host(&at_port, "/", None), Ok("conf.example.org:8443".into()));
        let address = Hosts::new("2001:db8::1", &[], false).at_port(Some(444));
        assert_eq!(host(&address, "/", None), Ok("[2001:db8::1]:444".into()));
    }

    #[test]
    fn a_forwarded_host_is_one_of_ours() {
        let said = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("x-forwarded-host", HeaderValue::from_static(value));
            }
            forwarded_host(&headers, &hosts())
        };
        for ours in ["meet.example.org", "MEET.example.org:444", "localhost"] {
            assert_eq!(said(&[ours]), Some(HeaderValue::from_static(ours)));
        }
        for not_ours in [
            &[][..],
            &["evil.example"],
            &["meet.example.org, evil.example"],
            &["meet.example.org", "meet.example.org"],
            &["a@meet.example.org"],
            &["meet.example.org:x"],
            &["a b"],
            &[""],
        ] {
            assert_eq!(said(not_ours), None, "{not_ours:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_passes_has_a_dot_segment_when_decoded(path in "(/|%2e|%252e|\\.|a|%2f|%25|%5c|2e){0,12}") {
            let path = format!("/{path}");
            if check_path(&path).is_ok() {
                let mut decoded = path.clone();
                for _ in 0..3 {
                    decoded = percent_decode_str(&decoded).decode_utf8_lossy().into_owned();
                    prop_assert!(!decoded.split('/').any(|segment| segment == "." || segment == ".."), "{path}");
                    prop_assert!(!decoded.contains('\\'));
                }
            }
        }
    }
}
