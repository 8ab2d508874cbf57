//! The parts that every request under `/auth` must have: key, signature, and a body with one reading.
//!
//! The server decodes `Content-Encoding` before it checks the signature, and it leaves a multipart body out of the
//! signature. So with the signature of one upload a caller could use every endpoint. The gateway refuses both where no
//! real caller sends them.
//!
//! Sources: docs/plugnmeet.md sections 0.15 and 1.

use hyper::{
    HeaderMap, StatusCode,
    header::{self, HeaderName, HeaderValue},
};

use super::callers::{Caller, Callers};
use crate::{
    http::{Repeated, only},
    reply::{Failure, ServerCode},
};

/// Why a request on `/auth` is refused; in the server's words where the server has some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthRefusal {
    /// The body has a content coding, and the server checks the signature over the decoded body.
    Encoded,
    /// The body is multipart where no upload is allowed, or there is more than one `Content-Type`.
    MediaType,
    NoApiKey,
    /// The API key is wrong, or there is more than one.
    WrongApiKey,
    /// There is no `HASH-SIGNATURE`.
    NoSignature,
    /// The signature is wrong, or there is more than one.
    WrongSignature,
    /// An upload has no `Room-Id`, the field that is signed in place of a multipart body.
    NoRoomId,
}

impl AuthRefusal {
    /// Can the caller be guessing a key or a signature? Guesses count as failures.
    pub(super) fn is_guess(self) -> bool {
        matches!(self, Self::WrongApiKey | Self::WrongSignature)
    }
}

impl From<AuthRefusal> for Failure {
    fn from(refusal: AuthRefusal) -> Self {
        let (status, code, message, server_code) = match refusal {
            AuthRefusal::Encoded => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "content_encoding",
                "Content-Encoding is not supported.",
                ServerCode::InvalidParameters,
            ),
            AuthRefusal::MediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "media_type",
                "This Content-Type is not supported here.",
                ServerCode::InvalidParameters,
            ),
            AuthRefusal::NoApiKey => (
                StatusCode::UNAUTHORIZED,
                "no_api_key",
                "Missing API-KEY header.",
                ServerCode::MissingRequiredParameter,
            ),
            AuthRefusal::WrongApiKey => (
                StatusCode::UNAUTHORIZED,
                "wrong_api_key",
                "Invalid API key provided.",
                ServerCode::InvalidApiKey,
            ),
            AuthRefusal::NoSignature => (
                StatusCode::UNAUTHORIZED,
                "no_signature",
                "Missing HASH-SIGNATURE header.",
                ServerCode::MissingRequiredParameter,
            ),
            AuthRefusal::WrongSignature => (
                StatusCode::UNAUTHORIZED,
                "wrong_signature",
                "Failed to verify provided authentication details.",
                ServerCode::InvalidTokenOrSignature,
            ),
            AuthRefusal::NoRoomId => (
                StatusCode::UNAUTHORIZED,
                "no_room_id",
                "Missing Room-Id header for multipart request.",
                ServerCode::MissingRequiredParameter,
            ),
        };
        Self::new(status, code, message).server_code(server_code)
    }
}

pub(super) const API_KEY: HeaderName = HeaderName::from_static("api-key");
pub(super) const HASH_SIGNATURE: HeaderName = HeaderName::from_static("hash-signature");
const ROOM_ID: HeaderName = HeaderName::from_static("room-id");

/// Checks a request's key, in the server's order (docs/plugnmeet.md section 1), after the parts about which the server
/// can be deceived. Returns the caller. The signature is not checked yet.
pub(super) fn check<'a>(
    headers: &HeaderMap,
    multipart_allowed: bool,
    callers: &'a Callers,
) -> Result<&'a Caller, AuthRefusal> {
    check_media(headers, multipart_allowed)?;
    let key = once(headers, API_KEY, AuthRefusal::NoApiKey, AuthRefusal::WrongApiKey)?;
    let caller = callers.find(key.as_bytes()).ok_or(AuthRefusal::WrongApiKey)?;
    once(
        headers,
        HASH_SIGNATURE,
        AuthRefusal::NoSignature,
        AuthRefusal::WrongSignature,
    )?;
    Ok(caller)
}

/// Refuses a body with a content coding or with several media types, and a multipart body unless `multipart_allowed`.
pub(super) fn check_media(headers: &HeaderMap, multipart_allowed: bool) -> Result<(), AuthRefusal> {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(AuthRefusal::Encoded);
    }
    let several_types = only(headers, header::CONTENT_TYPE).is_err();
    if several_types || (!multipart_allowed && is_multipart(headers)) {
        return Err(AuthRefusal::MediaType);
    }
    Ok(())
}

/// The field `Room-Id`, whose value is signed in place of a multipart body.
pub(super) fn room_id(headers: &HeaderMap) -> Option<&HeaderValue> {
    once(headers, ROOM_ID, (), ()).ok()
}

fn once<E>(headers: &HeaderMap, name: HeaderName, none: E, several: E) -> Result<&HeaderValue, E> {
    match only(headers, name) {
        Ok(Some(value)) if !value.is_empty() => Ok(value),
        Ok(_) => Err(none),
        Err(Repeated) => Err(several),
    }
}

/// Does the server take the body for multipart? It looks for the word anywhere in `Content-Type`.
pub(super) fn is_multipart(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|media_type| {
        media_type
            .as_bytes()
            .to_ascii_lowercase()
            .windows(10)
            .any(|window| window == b"multipart/")
    })
}

/// Does the server answer in protobuf? It compares the whole type (docs/plugnmeet.md section 1).
pub(super) fn is_protobuf(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|media_type| media_type == "application/protobuf")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{secret::Secret, token::TokenKeys};

    fn checked(fields: &[(&'static str, &'static str)], multipart_allowed: bool) -> Result<(), AuthRefusal> {
        let keys = TokenKeys::new("plugnmeet".into(), &Secret::new("s3cret".into())).unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        check(&headers, multipart_allowed, &Callers::new(&keys, &[])).map(|_| ())
    }

    const KEY: (&str, &str) = ("api-key", "plugnmeet");
    const SIGNATURE: (&str, &str) = ("hash-signature", "00");

    #[test]
    fn the_order_is_the_servers() {
        assert_eq!(checked(&[], false), Err(AuthRefusal::NoApiKey));
        assert_eq!(
            checked(&[("api-key", ""), SIGNATURE], false),
            Err(AuthRefusal::NoApiKey)
        );
        assert_eq!(
            checked(&[("api-key", "other")], false),
            Err(AuthRefusal::WrongApiKey)
        );
        assert_eq!(checked(&[KEY], false), Err(AuthRefusal::NoSignature));
        assert_eq!(
            checked(&[KEY, ("hash-signature", "")], false),
            Err(AuthRefusal::NoSignature)
        );
        assert_eq!(checked(&[KEY, SIGNATURE], false), Ok(()));
    }

    #[test]
    fn a_field_given_twice_is_refused_even_if_one_is_empty() {
        assert_eq!(
            checked(&[KEY, ("api-key", ""), SIGNATURE], false),
            Err(AuthRefusal::WrongApiKey)
        );
        assert_eq!(
            checked(&[KEY, SIGNATURE, SIGNATURE], false),
            Err(AuthRefusal::WrongSignature)
        );
    }

    #[test]
    fn what_would_change_the_signed_bytes_is_refused_first() {
        for encoding in ["gzip", "identity", ""] {
            assert_eq!(
                checked(&[("content-encoding", encoding)], true),
                Err(AuthRefusal::Encoded)
            );
        }
        for media in [
            "multipart/form-data; boundary=x",
            "text/plain; multipart/form-data",
            "Multipart/Mixed",
        ] {
            assert_eq!(
                checked(&[("content-type", media), KEY, SIGNATURE], false),
                Err(AuthRefusal::MediaType)
            );
            assert_eq!(checked(&[("content-type", media), KEY, SIGNATURE], true), Ok(()));
        }
        let two = [
            ("content-type", "application/json"),
            ("content-type", "multipart/form-data"),
            KEY,
            SIGNATURE,
        ];
        assert_eq!(checked(&two, true), Err(AuthRefusal::MediaType));
    }
}
