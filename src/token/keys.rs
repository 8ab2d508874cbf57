//! The server's API key and secret, and the keys derived from them.
//!
//! SECURITY: the secret also signs the bodies of requests, which others choose. So no derived key may equal a signature
//! by the secret. In the first step of HKDF (RFC 5869 section 2.2) the secret is the message that is hashed, and the
//! key is our own.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, RandomizedNonceKey},
    constant_time, digest, hkdf, hmac,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use data_encoding::HEXLOWER;
use jsonwebtoken::{DecodingKey, EncodingKey};

use super::RequestKey;
use crate::secret::Secret;

/// The server's API key and secret. They sign join tokens, and requests under `/auth`.
pub struct TokenKeys {
    api_key: String,
    secret: Secret<String>,
    encoding: EncodingKey,
    decoding: DecodingKey,
    requests: RequestKey,
    tags: hmac::Key,
    sealing: RandomizedNonceKey,
}

/// The salt with which keys are derived from the secret.
const SALT: &[u8] = b"plugnmeet-gateway";

/// The number of bytes of a tag: so many that nobody finds two participations with the same tag, even on purpose.
const TAG_BYTES: usize = 16;

/// Why a key pair is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// The secret is empty, so that everyone knows it.
    #[error("is empty, so anybody could sign")]
    EmptySecret,
    /// The API key is empty. The server identifies callers by it.
    #[error("is empty")]
    EmptyApiKey,
    /// The cryptography library accepts no key that is derived from the secret.
    #[error("can't be used as a key")]
    Unusable,
}

impl TokenKeys {
    /// The length under which a secret is warned about: RFC 7518 section 3.2 asks for as many bits as the hash has.
    pub const SHORT_SECRET_BYTES: usize = 32;

    /// Makes the keys from the server's `client_info.api_key` and `secret`.
    pub fn new(api_key: String, secret: &Secret<String>) -> Result<Self, KeyProblem> {
        let bytes = secret.expose().as_bytes();
        if bytes.is_empty() {
            return Err(KeyProblem::EmptySecret);
        }
        if api_key.is_empty() {
            return Err(KeyProblem::EmptyApiKey);
        }
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(bytes);
        let derived = |purpose: &[u8]| {
            let mut key = [0; 32];
            extracted
                .expand(&[purpose], hkdf::HKDF_SHA256)
                .and_then(|expanded| expanded.fill(&mut key))
                .map_err(|_| KeyProblem::Unusable)?;
            Ok(key)
        };
        let tags = derived(b"tags of session paths")?;
        let sealing = derived(b"sealed cookies")?;
        Ok(Self {
            api_key,
            secret: secret.clone(),
            encoding: EncodingKey::from_secret(bytes),
            decoding: DecodingKey::from_secret(bytes),
            tags: hmac::Key::new(hmac::HMAC_SHA256, &tags),
            sealing: RandomizedNonceKey::new(&AES_256_GCM_SIV, &sealing).map_err(|_| KeyProblem::Unusable)?,
            requests: RequestKey::new(secret),
        })
    }

    /// The API key, which is not a secret.
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// Is this the API key? The comparison takes constant time.
    pub fn is_api_key(&self, unverified: &[u8]) -> bool {
        constant_time::verify_slices_are_equal(self.api_key.as_bytes(), unverified).is_ok()
    }

    /// The key that signs the server's own requests.
    pub fn requests(&self) -> &RequestKey {
        &self.requests
    }

    /// Is this the checksum of a BBB call? In constant time. The server knows SHA-1 alone, over method, query and secret
    /// with nothing between them, in lower-case hex (docs/plugnmeet.md section 0.17).
    pub fn is_bbb_checksum(&self, method: &[u8], query: &[u8], unverified: &[u8]) -> bool {
        let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        for part in [method, query, self.secret.expose().as_bytes()] {
            context.update(part);
        }
        let expected = HEXLOWER.encode(context.finish().as_ref());
        constant_time::verify_slices_are_equal(expected.as_bytes(), unverified).is_ok()
    }

    /// The path segment of one participation: the same for the same room and user on every replica, and of no use to
    /// anyone for finding out either.
    pub fn tag(&self, room_id: &str, user_id: &str) -> String {
        let mut context = hmac::Context::with_key(&self.tags);
        context.update(&(room_id.len() as u64).to_be_bytes());
        context.update(room_id.as_bytes());
        context.update(user_id.as_bytes());
        let tag = context.sign();
        BASE64_URL_SAFE_NO_PAD.encode(tag.as_ref().get(..TAG_BYTES).unwrap_or_default())
    }

    pub(super) fn sealing(&self) -> &RandomizedNonceKey {
        &self.sealing
    }

    pub(super) fn encoding(&self) -> &EncodingKey {
        &self.encoding
    }

    pub(super) fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKeys")
            .field("api_key", &self.api_key)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> TokenKeys {
        TokenKeys::new(
            "plugnmeet".into(),
            &Secret::new("zumyyYWqv7KR2kUqvYdq4z4sXg7XTBD2ljT6".into()),
        )
        .unwrap()
    }

    /// The sums were made with Python's hashlib.
    #[test]
    fn knows_the_checksum_of_a_bbb_call() {
        let query = b"fullName=Ann%20B&meetingID=room-1&password=mp&userID=u1";
        let sum = b"711e4955c622ccd4cd84be4353d6c9dd074e9137";
        assert!(keys().is_bbb_checksum(b"join", query, sum));
        assert!(keys().is_bbb_checksum(b"getMeetings", b"", b"817772f12208e635214ee9e492ce673af8c6fa0d"));
        assert!(!keys().is_bbb_checksum(b"create", query, sum));
        assert!(!keys().is_bbb_checksum(b"join", query, &sum.to_ascii_uppercase()));
        assert!(!keys().is_bbb_checksum(b"join", query, b""));
    }

    #[test]
    fn a_tag_belongs_to_one_room_and_one_user() {
        let keys = keys();
        assert_eq!(keys.tag("room01", "u1"), keys.tag("room01", "u1"));
        assert_ne!(keys.tag("room01", "u1"), keys.tag("room0", "1u1"));
        assert!(crate::urls::is_tag(&keys.tag("room01", "u1")));
    }

    /// By Python's hmac: a path that one release makes has to be found by the next. Under a key that somebody could have
    /// signed for themselves, as `hmac(secret, label)`, it would be another.
    #[test]
    fn keys_are_derived_by_hkdf_and_are_no_signatures() {
        assert_eq!(keys().tag("room01", "u1"), "WGHwVGUrg3-nQSvYVVeXrQ");
        for label in [
            "tags of session paths",
            "tags of session paths\u{1}",
            "plugnmeet-gateway: tags of session paths",
        ] {
            let signed = hmac::sign(
                &hmac::Key::new(hmac::HMAC_SHA256, b"zumyyYWqv7KR2kUqvYdq4z4sXg7XTBD2ljT6"),
                label.as_bytes(),
            );
            let mut known = keys();
            known.tags = hmac::Key::new(hmac::HMAC_SHA256, signed.as_ref());
            assert_ne!(known.tag("room01", "u1"), keys().tag("room01", "u1"), "{label}");
        }
    }

    #[test]
    fn an_empty_secret_is_refused() {
        let refused = TokenKeys::new("k".into(), &Secret::new(String::new()));
        assert_eq!(refused.err(), Some(KeyProblem::EmptySecret));
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(
            format!("{:?}", keys()),
            r#"TokenKeys { api_key: "plugnmeet", .. }"#
        );
    }
}
