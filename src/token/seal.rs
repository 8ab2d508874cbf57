//! Sealing: encrypts and authenticates a text that a browser keeps, such as a cookie, so that nobody else can read or
//! change it.
//!
//! AES-256-GCM-SIV (RFC 8452) with a random nonce. The key is derived from the secret, so that every replica can open a
//! seal of another. The purpose is authenticated too: a seal of one purpose can't be opened for another.

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::TokenKeys;

impl TokenKeys {
    /// Encrypts the content for this purpose: base64url of nonce and ciphertext. None only if the library has no random
    /// bytes.
    pub fn seal(&self, purpose: &str, content: &[u8]) -> Option<String> {
        let mut sealed = content.to_vec();
        let nonce = self
            .sealing()
            .seal_in_place_append_tag(Aad::from(purpose.as_bytes()), &mut sealed)
            .ok()?;
        let mut whole = nonce.as_ref().to_vec();
        whole.append(&mut sealed);
        Some(BASE64_URL_SAFE_NO_PAD.encode(whole))
    }

    /// The content, if it was sealed with this key and for this purpose.
    pub fn open(&self, purpose: &str, unverified: &str) -> Option<Vec<u8>> {
        let whole = BASE64_URL_SAFE_NO_PAD.decode(unverified).ok()?;
        let (nonce, sealed) = whole.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let content = self
            .sealing()
            .open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut sealed)
            .ok()?;
        Some(content.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn keys(secret: &str) -> TokenKeys {
        TokenKeys::new("plugnmeet".into(), &Secret::new(secret.into())).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_for_its_purpose_under_its_secret_alone() {
        let sealed = keys("one").seal("session", b"content").unwrap();
        assert_eq!(
            keys("one").open("session", &sealed).as_deref(),
            Some(&b"content"[..])
        );
        assert_eq!(keys("one").open("another", &sealed), None);
        assert_eq!(keys("two").open("session", &sealed), None);
        assert_ne!(keys("one").seal("session", b"content").unwrap(), sealed);
    }

    #[test]
    fn what_was_changed_or_was_never_sealed_does_not_open() {
        let keys = keys("one");
        let sealed = keys.seal("session", b"content").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(
                keys.open("session", std::str::from_utf8(&changed).unwrap()),
                None,
                "{at}"
            );
        }
        for text in ["", "AAAA", "not base64!", &sealed[..20]] {
            assert_eq!(keys.open("session", text), None, "{text}");
        }
    }
}
