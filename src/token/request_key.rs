//! The key of signed requests on `/auth`: HMAC-SHA256 in lower-case hex (docs/plugnmeet.md section 1).

use std::fmt;

use aws_lc_rs::{constant_time, hmac};

use crate::secret::Secret;

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
        hex(hmac::sign(&self.0, signed).as_ref())
    }

    /// Is this the signature over those bytes? In constant time; upper-case hex is refused, as the server refuses it.
    pub fn is_signature(&self, signed: &[u8], unverified: &[u8]) -> bool {
        let expected = self.signature(signed);
        constant_time::verify_slices_are_equal(expected.as_bytes(), unverified).is_ok()
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
            for nibble in [byte >> 4, byte & 15] {
                hex.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
            hex
        })
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
    }
}
