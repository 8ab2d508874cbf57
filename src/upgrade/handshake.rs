//! The opening handshake, judged on both sides.

use aws_lc_rs::digest;
use base64::{
    Engine, alphabet,
    engine::{GeneralPurpose, GeneralPurposeConfig},
    prelude::BASE64_STANDARD,
};
use hyper::{
    HeaderMap, Method, Request, StatusCode, Version,
    header::{self, HeaderValue},
    http::response,
};

use crate::http::exactly_one;

/// The GUID that RFC 6455 section 1.3 appends to the key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Sixteen bytes leave four bits of the last digit open, and RFC 6455 section 4.1 has an example in which they are set.
const KEY: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// A client asked for a WebSocket, rightly.
#[derive(Debug)]
pub struct UpgradeRequest {
    expected_accept: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHandshake {
    /// Not a GET, a body, or a key that is no key.
    #[error("the WebSocket handshake is malformed")]
    Malformed,
    /// RFC 6455 section 4.4: only version 13 is spoken.
    #[error("only WebSocket version 13 is spoken here")]
    Version,
    /// Upstream switched protocols without the key's answer, or unasked.
    #[error("upstream answered a handshake that was not asked for")]
    UpstreamBroke,
}

impl UpgradeRequest {
    /// What the client asks for: `None` for a plain request. Other protocols than WebSocket are plain requests too, as
    /// RFC 9110 section 7.8 lets a server ignore `Upgrade`.
    pub fn of<B: http_body::Body>(request: &Request<B>) -> Result<Option<Self>, BadHandshake> {
        let headers = request.headers();
        let asks = request.version() == Version::HTTP_11
            && lists(headers, header::CONNECTION, "upgrade")
            && lists(headers, header::UPGRADE, "websocket");
        if !asks {
            return Ok(None);
        }
        if request.method() != Method::GET || !request.body().is_end_stream() {
            return Err(BadHandshake::Malformed);
        }
        if only(headers, header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            return Err(BadHandshake::Version);
        }
        let key = only(headers, header::SEC_WEBSOCKET_KEY).ok_or(BadHandshake::Malformed)?;
        match KEY.decode(key) {
            Ok(nonce) if nonce.len() == 16 => Ok(Some(Self {
                expected_accept: accept_of(key.as_bytes()),
            })),
            Ok(_) | Err(_) => Err(BadHandshake::Malformed),
        }
    }

    /// Puts back what an upgrade needs, after hop-by-hop fields were taken off.
    pub fn ask(&self, headers: &mut HeaderMap) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }

    /// Did upstream agree to this very handshake (RFC 6455 section 4.1)?
    pub fn check_answer(&self, head: &response::Parts) -> Result<(), BadHandshake> {
        let headers = &head.headers;
        let is_agreed = head.status == StatusCode::SWITCHING_PROTOCOLS
            && lists(headers, header::UPGRADE, "websocket")
            && lists(headers, header::CONNECTION, "upgrade")
            && only(headers, header::SEC_WEBSOCKET_ACCEPT)
                .is_some_and(|accept| accept == self.expected_accept);
        if is_agreed {
            Ok(())
        } else {
            Err(BadHandshake::UpstreamBroke)
        }
    }
}

fn accept_of(key: &[u8]) -> String {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key);
    context.update(GUID);
    BASE64_STANDARD.encode(context.finish())
}

/// Is the token in the comma-separated list, on any line of it?
fn lists(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|item| item.trim().eq_ignore_ascii_case(token))
}

fn only(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    exactly_one(headers, name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use http_body_util::{Empty, Full};
    use hyper::Response;

    use super::*;

    fn asking(change: impl FnOnce(&mut Request<Empty<bytes::Bytes>>)) -> Request<Empty<bytes::Bytes>> {
        let mut request = Request::get("/ws")
            .header("Connection", "keep-alive, Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
            .body(Empty::new())
            .unwrap();
        change(&mut request);
        request
    }

    /// The example of RFC 6455 section 1.3.
    #[test]
    fn expects_the_answer_to_this_very_key() {
        let upgrade_request = UpgradeRequest::of(&asking(|_| ())).unwrap().unwrap();
        let answer = |accept: &str| {
            Response::builder()
                .status(101)
                .header("Upgrade", "WebSocket")
                .header("Connection", "upgrade")
                .header("Sec-WebSocket-Accept", accept)
                .body(())
                .unwrap()
                .into_parts()
                .0
        };
        assert_eq!(
            upgrade_request.check_answer(&answer("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")),
            Ok(())
        );
        assert_eq!(
            upgrade_request.check_answer(&answer("AAAALMBiTxaQ9kYGzzhZRbK+xOo=")),
            Err(BadHandshake::UpstreamBroke)
        );
    }

    /// The key of RFC 6455 section 4.1: its last digit has bits that no byte needs.
    #[test]
    fn a_key_may_have_bits_to_spare() {
        let key = |key: &'static str| {
            let request = asking(|request| {
                request
                    .headers_mut()
                    .insert("sec-websocket-key", HeaderValue::from_static(key));
            });
            UpgradeRequest::of(&request).map(|upgrade_request| upgrade_request.unwrap().expected_accept)
        };
        assert_eq!(
            key("AQIDBAUGBwgJCgsMDQ4PEC=="),
            Ok(accept_of(b"AQIDBAUGBwgJCgsMDQ4PEC=="))
        );
        for no_key in [
            "AQIDBAUGBwgJCgsMDQ4PEA=",
            "AQIDBAUGBwgJCgsMDQ4P",
            "AQIDBAUGBwgJCgsMDQ4P!A==",
        ] {
            assert_eq!(key(no_key), Err(BadHandshake::Malformed), "{no_key}");
        }
    }

    #[test]
    fn anything_else_than_a_websocket_is_a_plain_request() {
        let h2c = asking(|request| {
            request
                .headers_mut()
                .insert("upgrade", HeaderValue::from_static("h2c"));
        });
        assert!(UpgradeRequest::of(&h2c).unwrap().is_none());
        let not_asked = asking(|request| {
            request
                .headers_mut()
                .insert("connection", HeaderValue::from_static("keep-alive"));
        });
        assert!(UpgradeRequest::of(&not_asked).unwrap().is_none());
    }

    #[test]
    fn all_connection_lines_are_read() {
        let two_lines = asking(|request| {
            request
                .headers_mut()
                .insert("connection", HeaderValue::from_static("keep-alive"));
            request
                .headers_mut()
                .append("connection", HeaderValue::from_static("upgrade"));
        });
        assert!(UpgradeRequest::of(&two_lines).unwrap().is_some());
    }

    #[test]
    fn a_malformed_handshake_is_refused() {
        let refused =
            |change: fn(&mut Request<Empty<bytes::Bytes>>)| UpgradeRequest::of(&asking(change)).unwrap_err();
        assert_eq!(
            refused(|r| *r.method_mut() = Method::POST),
            BadHandshake::Malformed
        );
        assert_eq!(
            refused(|r| drop(r.headers_mut().remove("sec-websocket-key"))),
            BadHandshake::Malformed
        );
        let short = asking(|r| {
            r.headers_mut()
                .insert("sec-websocket-key", HeaderValue::from_static("AAAA"));
        });
        assert_eq!(UpgradeRequest::of(&short).unwrap_err(), BadHandshake::Malformed);
        let old = asking(|r| {
            r.headers_mut()
                .insert("sec-websocket-version", HeaderValue::from_static("8"));
        });
        assert_eq!(UpgradeRequest::of(&old).unwrap_err(), BadHandshake::Version);
        let with_body = asking(|_| ()).map(|_| Full::new(bytes::Bytes::from_static(b"x")));
        assert_eq!(
            UpgradeRequest::of(&with_body).unwrap_err(),
            BadHandshake::Malformed
        );
    }
}
