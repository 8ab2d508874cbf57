//! Records of TLS 1.3 that are written (RFC 8446 sections 5.2 and 5.3).
//!
//! rustls has an object for this, too, but it can't begin in the middle of a connection: of the first record that it seals with
//! AES, AWS-LC believes that it is the first of the connection.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::{
    ConnectionTrafficSecrets, ContentType, Error,
    crypto::cipher::{Iv, Nonce as Numbered, make_tls13_aad},
};

use super::{
    outgoing::Outgoing,
    sizes::{HEADER_BYTES, KIND_BYTES, TAG_BYTES},
    spare::Spares,
};

pub(super) struct Sealing {
    key: LessSafeKey,
    iv: Iv,
    /// How many records have been sealed with this key.
    sealed: u64,
}

impl Sealing {
    pub(super) fn after(sealed: u64, secrets: ConnectionTrafficSecrets) -> Result<Self, Error> {
        let (algorithm, key, iv) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&aead::AES_128_GCM, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&aead::AES_256_GCM, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (&aead::CHACHA20_POLY1305, key, iv),
            _ => return Err(Error::EncryptError),
        };
        let key = UnboundKey::new(algorithm, key.as_ref()).map_err(|_| Error::EncryptError)?;
        Ok(Self {
            key: LessSafeKey::new(key),
            iv,
            sealed,
        })
    }

    pub(super) fn sealed(&self) -> u64 {
        self.sealed
    }

    /// Adds a record with so much plaintext, which `write` writes. It is as much as fits in one.
    pub(super) fn add(
        &mut self,
        kind: ContentType,
        plain_bytes: usize,
        write: impl FnOnce(&mut [u8]),
        outgoing: &mut Outgoing,
        spares: &Spares,
    ) -> Result<(), Error> {
        let number = self.sealed;
        // SECURITY: no number serves twice with one key, whatever becomes of the record.
        self.sealed = number.checked_add(1).ok_or(Error::EncryptError)?;
        let nonce = Nonce::assume_unique_for_key(Numbered::new(&self.iv, number).0);
        let around = KIND_BYTES + TAG_BYTES;
        // What is sealed along with a record is its header.
        let header = make_tls13_aad(plain_bytes + around);
        let room = outgoing.room(spares, HEADER_BYTES + plain_bytes + around);
        let (Some((header_room, rest)), kind) =
            (room.split_first_chunk_mut::<HEADER_BYTES>(), u8::from(kind))
        else {
            return Err(Error::EncryptError);
        };
        *header_room = header;
        let (text, behind) = rest
            .split_at_mut_checked(plain_bytes)
            .ok_or(Error::EncryptError)?;
        write(text);
        self.key
            .seal_in_place_scatter(nonce, Aad::from(header), text, &[kind], behind)
            .map_err(|_| Error::EncryptError)?;
        outgoing.took(HEADER_BYTES + plain_bytes + around);
        Ok(())
    }
}
