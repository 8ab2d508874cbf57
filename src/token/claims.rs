//! The claims of a join token, and their exact form when signed.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, crypto};
use serde::Serialize;

use super::TokenKeys;
use crate::secret::Secret;

/// What a join token says, in the server's order: by name. Empty, false and zero are left out (docs/plugnmeet.md
/// section 4).
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Claims {
    /// The type of the client: 1 for the web view of the native application.
    #[serde(skip_serializing_if = "is_zero")]
    pub client_type: i32,
    /// The last second at which the token is valid, in seconds since 1970.
    pub exp: i64,
    /// Is the user a moderator?
    #[serde(skip_serializing_if = "is_false")]
    pub is_admin: bool,
    /// Is the participant not shown to the others?
    #[serde(skip_serializing_if = "is_false")]
    pub is_hidden: bool,
    /// The issuer: the server's API key.
    pub iss: String,
    /// The name that the others see; empty for recorders.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The first second at which the token is valid, in seconds since 1970.
    pub nbf: i64,
    pub room_id: String,
    /// The user's id once more, as the subject.
    pub sub: String,
    pub user_id: String,
}

/// The header of a token (RFC 7515 section 3.1), in the bytes that the server writes.
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// The `kid` in the header of a token that a gateway signed in place of an older one.
pub(super) const RENEWED: &str = "renewed";

/// The header of a renewed token: the server's fields in alphabetical order, with the `kid` added.
pub(super) const RENEWED_HEADER: &str = r#"{"alg":"HS256","kid":"renewed","typ":"JWT"}"#;

impl TokenKeys {
    /// Signs claims as the server does: HS256, keyed by the raw bytes of the secret.
    pub fn sign(&self, claims: &Claims) -> Result<Secret<String>, jsonwebtoken::errors::Error> {
        self.sign_payload(HEADER, &serde_json::to_string(claims)?)
    }

    /// Signs a payload as the server does, with the given header.
    pub(super) fn sign_payload(
        &self,
        header: &str,
        payload: &str,
    ) -> Result<Secret<String>, jsonwebtoken::errors::Error> {
        let mut token = BASE64_URL_SAFE_NO_PAD.encode(header);
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(go_escaped(payload).as_bytes(), &mut token);
        let signature = crypto::sign(token.as_bytes(), self.encoding(), Algorithm::HS256)?;
        token.push('.');
        token.push_str(&signature);
        Ok(Secret::new(token))
    }
}

/// Go's encoder writes these as escapes, so that JSON can stand in HTML; they occur within strings alone.
fn go_escaped(json: &str) -> Cow<'_, str> {
    // Of U+2028 and U+2029, their first byte.
    if !json.bytes().any(|byte| matches!(byte, b'<' | b'>' | b'&' | 0xe2)) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(value: &i32) -> bool {
    *value == 0
}
