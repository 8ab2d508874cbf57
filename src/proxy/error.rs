//! Why a request got no answer from upstream, and the answer that the client gets for each.

use std::io;

use hyper::{
    StatusCode,
    header::{self, HeaderValue},
};

use super::{answer_head::BadFraming, body::BodyError, http1::Http1Error, pool::SendError};
use crate::{
    joining::NotLetIn,
    reply::{BoxError, Failure, NOT_SENT},
    upgrade::BadHandshake,
};

/// Why a request got no answer from upstream.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The request's body could not be passed on, because of a limit or of the client.
    #[error(transparent)]
    Body(BodyError),
    /// The WebSocket handshake of the client or of the upstream is wrong.
    #[error(transparent)]
    Handshake(BadHandshake),
    /// The client was not let in, because too many people are on their way in.
    #[error(transparent)]
    NotLetIn(NotLetIn),
    /// As many connections are in use as allowed, and none became free within the deadline.
    #[error("the meeting server is too busy")]
    Full,
    /// No connection could be made within the deadline.
    #[error("the meeting server can't be reached")]
    Unreachable(#[source] io::Error),
    /// No connection could be made for a WebSocket, which waits longer than other requests: the upstream is away.
    #[error("the meeting server can't be reached")]
    Away(#[source] io::Error),
    /// No answer came within the deadline.
    #[error("the meeting server did not answer in time")]
    Silent,
    /// The connection broke, or what came is no valid answer.
    #[error("the meeting server's answer broke off")]
    Broken(#[source] BoxError),
}

impl From<BadFraming> for ProxyError {
    fn from(bad: BadFraming) -> Self {
        Self::Broken(bad.into())
    }
}

impl From<SendError> for ProxyError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Full => Self::Full,
            SendError::Connect(error) => Self::Unreachable(error),
            SendError::Connection(Http1Error::Body(error)) => Self::Body(error),
            SendError::Connection(error) => Self::Broken(error.into()),
        }
    }
}

impl From<ProxyError> for Failure {
    fn from(error: ProxyError) -> Self {
        let (status, code) = match &error {
            ProxyError::Body(BodyError::TooLarge) => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            ProxyError::Body(BodyError::Refused) => (StatusCode::UNAUTHORIZED, "token_of_another_kind"),
            ProxyError::Body(BodyError::Broken) => (StatusCode::BAD_REQUEST, "body_broken"),
            ProxyError::Body(BodyError::TooSlow) => (StatusCode::REQUEST_TIMEOUT, "body_too_slow"),
            ProxyError::Body(BodyError::UpstreamSilent) | ProxyError::Silent => {
                (StatusCode::GATEWAY_TIMEOUT, "upstream_silent")
            }
            ProxyError::Handshake(BadHandshake::Malformed) => (StatusCode::BAD_REQUEST, "bad_handshake"),
            ProxyError::Handshake(BadHandshake::Version) => {
                (StatusCode::UPGRADE_REQUIRED, "websocket_version")
            }
            ProxyError::Handshake(BadHandshake::UpstreamBroke) => {
                (StatusCode::BAD_GATEWAY, "upstream_handshake")
            }
            ProxyError::NotLetIn(_) => (StatusCode::SERVICE_UNAVAILABLE, "many_joining"),
            ProxyError::Full => (StatusCode::SERVICE_UNAVAILABLE, "upstream_full"),
            ProxyError::Unreachable(_) => (StatusCode::BAD_GATEWAY, NOT_SENT),
            ProxyError::Away(_) => (StatusCode::SERVICE_UNAVAILABLE, "upstream_away"),
            ProxyError::Broken(_) => (StatusCode::BAD_GATEWAY, "upstream_broken"),
        };
        let failure = Self::new(status, code, error.to_string());
        let failure = match code {
            // An answer with status 426 names the protocol and the version that are wanted (RFC 9110 sections 7.8 and
            // 15.5.22, RFC 6455 section 4.4).
            "websocket_version" => failure
                .header(header::CONNECTION, HeaderValue::from_static("Upgrade"))
                .header(header::UPGRADE, HeaderValue::from_static("websocket"))
                .header(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
            // RFC 9110 section 10.2.3: connections become free all the time, and the upstream may be there in a second.
            "upstream_full" | "upstream_away" | "many_joining" => {
                failure.header(header::RETRY_AFTER, HeaderValue::from_static("1"))
            }
            _ => failure,
        };
        failure.caused_by(error)
    }
}
