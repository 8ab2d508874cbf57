//! Sealing and opening the records of TLS 1.3 (RFC 8446 sections 5.2 and 5.3).
//!
//! rustls has objects for this, too. The one that seals can't begin in the middle of a connection: of the first record that it
//! seals with AES, AWS-LC believes that it is the first of the connection.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::{
    ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion,
    crypto::cipher::{InboundOpaqueMessage, InboundPlainMessage, Iv, Nonce as Numbered, make_tls13_aad},
};

use super::{
    outgoing::Outgoing,
    sizes::{HEADER_BYTES, KIND_BYTES, TAG_BYTES},
    spare::Spares,
};

/// The keys of one direction.
struct Keys {
    key: LessSafeKey,
    iv: Iv,
    /// How many records there were with this key.
    records: u64,
}

impl Keys {
    fn after(records: u64, secrets: ConnectionTrafficSecrets) -> Result<Self, Error> {
        let (algorithm, key, iv) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&aead::AES_128_GCM, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&aead::AES_256_GCM, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (&aead::CHACHA20_POLY1305, key, iv),
            _ => return Err(Error::General("a cipher that is not known".into())),
        };
        let key = UnboundKey::new(algorithm, key.as_ref());
        Ok(Self {
            key: LessSafeKey::new(key.map_err(|_| Error::General("a key that is none".into()))?),
            iv,
            records,
        })
    }

    /// The nonce of the next record. `None`: there is none left.
    fn next(&mut self) -> Option<Nonce> {
        let nonce = Numbered::new(&self.iv, self.records);
        // SECURITY: no number serves twice with one key, whatever becomes of the record.
        self.records = self.records.checked_add(1)?;
        Some(Nonce::assume_unique_for_key(nonce.0))
    }
}

/// Opens what the peer has sealed.
pub(super) struct Opening(Keys);

impl Opening {
    pub(super) fn after(opened: u64, secrets: ConnectionTrafficSecrets) -> Result<Self, Error> {
        Keys::after(opened, secrets).map(Self)
    }

    /// Decrypts a record where it lies.
    pub(super) fn open<'r>(
        &mut self,
        kind: ContentType,
        payload: &'r mut [u8],
    ) -> Result<InboundPlainMessage<'r>, Error> {
        let header = make_tls13_aad(payload.len());
        let nonce = self.0.next().ok_or(Error::DecryptError)?;
        let mut message = InboundOpaqueMessage::new(kind, ProtocolVersion::TLSv1_2, payload);
        let plain = self
            .0
            .key
            .open_in_place(nonce, Aad::from(header), &mut message.payload)
            .map_err(|_| Error::DecryptError)?;
        let plain_bytes = plain.len();
        message.payload.truncate(plain_bytes);
        message.into_tls13_unpadded_message()
    }
}

/// Seals what the peer opens.
pub(super) struct Sealing(Keys);

impl Sealing {
    pub(super) fn after(sealed: u64, secrets: ConnectionTrafficSecrets) -> Result<Self, Error> {
        Keys::after(sealed, secrets).map(Self)
    }

    pub(super) fn sealed(&self) -> u64 {
        self.0.records
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
        let nonce = self.0.next().ok_or(Error::EncryptError)?;
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
        self.0
            .key
            .seal_in_place_scatter(nonce, Aad::from(header), text, &[kind], behind)
            .map_err(|_| Error::EncryptError)?;
        outgoing.took(HEADER_BYTES + plain_bytes + around);
        Ok(())
    }
}
