//! How a handshake ended, in a word for metrics and the log.

use std::io;

use rustls::{Error, InvalidMessage, PeerIncompatible};

#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The handshake took longer than `timeouts.handshake`.
    #[error("the handshake took too long")]
    Deadline,
    /// Both sides agreed on something that is not served.
    #[error("what was agreed on is not served")]
    Protocol,
    /// The two don't agree, or the client left.
    #[error("the handshake failed: {0}")]
    Tls(io::Error),
}

impl HandshakeError {
    /// The label in metrics and records.
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
