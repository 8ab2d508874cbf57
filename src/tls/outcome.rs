//! How a handshake ended, in a word for metrics and the log.

use std::{fmt, io};

use rustls::{Error, InvalidMessage, PeerIncompatible};

#[derive(Debug)]
pub enum HandshakeError {
    /// The handshake took longer than `timeouts.handshake`.
    Deadline,
    /// Both sides agreed on something that is not served.
    Protocol,
    /// The two don't agree, or the client left.
    Tls(io::Error),
}

impl HandshakeError {
    /// Why, in a word.
    pub fn outcome(&self) -> &'static str {
        let error = match self {
            Self::Deadline => return "deadline",
            Self::Protocol => return "protocol",
            Self::Tls(error) => error,
        };
        let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
            return if error.kind() == io::ErrorKind::InvalidData {
                "malformed"
            } else {
                // The client has closed or reset the connection.
                "left"
            };
        };
        if let Error::InvalidMessage(message) = tls {
            let no_tls = matches!(
                message,
                InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion
            );
            return if no_tls { "not_tls" } else { "malformed" };
        }
        if let Error::PeerIncompatible(what) = tls {
            // A hello without signature algorithms is one of TLS 1.1 or older (RFC 5246 section 7.4.1.4.1).
            let version = matches!(
                what,
                PeerIncompatible::SupportedVersionsExtensionRequired
                    | PeerIncompatible::SignatureAlgorithmsExtensionRequired
                    | PeerIncompatible::Tls12NotOffered
                    | PeerIncompatible::Tls12NotOfferedOrEnabled
                    | PeerIncompatible::Tls13RequiredForQuic
            );
            return if version { "version" } else { "nothing_in_common" };
        }
        if matches!(tls, Error::NoApplicationProtocol) {
            return "protocol";
        }
        // Most often the client does not trust the certificate.
        if matches!(tls, Error::AlertReceived(_)) {
            return "alert";
        }
        "other"
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deadline => f.write_str("the handshake took too long"),
            Self::Protocol => f.write_str("what was agreed on is not served"),
            Self::Tls(error) => write!(f, "the handshake failed: {error}"),
        }
    }
}

impl std::error::Error for HandshakeError {}
