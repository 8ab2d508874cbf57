//! The key of signed requests on `/auth`: HMAC-SHA256 in lower-case hex (docs/plugnmeet.md section 1).

use std::fmt;

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;

use crate::secret::Secret;

/// The bytes of a signature.
const TAG_BYTES: usize = 32;

/// A key that signs requests under `/auth` and checks their signatures.
#[derive(Clone)]
pub struct RequestKey(hmac::Key);

impl RequestKey {
    /// Makes the key from the secret's raw bytes.
    pub fn new(secret: &Secret<String>) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes()))
    }

    /// The value of `HASH-SIGNATURE` for these bytes.
    pub fn signature(&self, signed: &[u8]) -> String {
        HEXLOWER.encode(hmac::sign(&self.0, signed).as_ref())
    }

    /// Is this the signature over those bytes? In constant time; upper-case hex is refused, as the server refuses it.
    pub fn is_signature(&self, signed: &[u8], unverified: &[u8]) -> bool {
        let mut tag = [0; TAG_BYTES];
        HEXLOWER.decode_len(unverified.len()) == Ok(TAG_BYTES)
            && HEXLOWER.decode_mut(unverified, &mut tag).is_ok()
            && self.is_tag(signed, &tag)
    }

    /// Is this the signature, before it is written as hex?
    pub(super) fn is_tag(&self, signed: &[u8], unverified: &[u8]) -> bool {
        hmac::verify(&self.0, signed, unverified).is_ok()
    }
}

impl fmt::Debug for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_the_sdks_do() {
        let key = RequestKey::new(&Secret::new("zumyyYWqv7KR2kUqvYdq4z4sXg7XTBD2ljT6".into()));
        let signature = key.signature(b"{}");
        assert_eq!(
            signature,
            "d2a7003d22b6b6f94519230776f45e19d2086b20d1711a8eae6b0ee24d51cfeb"
        );
        assert!(key.is_signature(b"{}", signature.as_bytes()));
        assert!(!key.is_signature(b"{ }", signature.as_bytes()));
        assert!(!key.is_signature(b"{}", signature.to_uppercase().as_bytes()));
        assert!(!key.is_signature(b"{}", &signature.as_bytes()[..63]));
        assert!(!key.is_signature(b"{}", format!("{signature}00").as_bytes()));
        assert!(!key.is_signature(b"{}", signature.replace('d', "g").as_bytes()));
        assert!(!key.is_signature(b"{}", b""));
    }
}
