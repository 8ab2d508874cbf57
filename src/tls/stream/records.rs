//! The record layer of TLS 1.3 for a connection that lasts (RFC 8446 section 5): it holds 1.4 KiB less than a connection
//! of rustls.
//!
//! rustls has shaken hands and derives all keys. Here are the headers of records, alerts, and the one message that may come
//! behind a handshake, `KeyUpdate`. What is taken and what is refused, and with which alert, is as rustls has it; the tests hold
//! both against each other. Only a message that is none is refused at once, where rustls waits for the whole of it.
//!
//! Source: the module `rustls::kernel`.

use std::io::IoSlice;

use rustls::{
    AlertDescription, ContentType, Error, ExtractedSecrets, HandshakeType, InvalidMessage, PeerMisbehaved,
    SupportedCipherSuite, crypto::cipher::InboundPlainMessage, kernel::KernelConnection,
    server::ServerConnectionData,
};

use super::{
    frame::Frame,
    outgoing::Outgoing,
    pieces::Pieces,
    sealing::{Opening, Sealing},
    sizes::RECORD_BYTES,
    spare::Spares,
};

/// How many times the keys may change with no text between.
const MOST_KEY_UPDATES: u8 = 32;

/// How many records may come one after another that have nothing in them.
const MOST_EMPTY: u8 = 32;

/// How many warnings may come in all.
const MOST_WARNINGS: u8 = 4;

/// A `KeyUpdate` up to its one byte of content (RFC 8446 section 4.6.3).
const KEY_UPDATE: [u8; 4] = [24, 0, 0, 1];

const WARNING: u8 = 1;
const FATAL: u8 = 2;

/// Why a connection is over, and the alert that the peer gets, if any.
pub(super) struct Fault {
    pub error: Error,
    pub alert: Option<AlertDescription>,
}

impl<E: Into<Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            alert: None,
        }
    }
}

fn fault(alert: AlertDescription, error: impl Into<Error>) -> Fault {
    Fault {
        error: error.into(),
        alert: Some(alert),
    }
}

pub(super) struct Records {
    /// Gives the next keys of each direction.
    keys: Box<KernelConnection<ServerConnectionData>>,
    /// How many records may be sealed with one key.
    most_sealed: u64,
    opening: Opening,
    sealing: Sealing,
    /// How much has come of a `KeyUpdate` that is not whole.
    part_bytes: usize,
    /// Has the peer asked for new keys of ours? It gets them before anything else that is written.
    owes_keys: bool,
    said_goodbye: bool,
    key_updates: u8,
    empty: u8,
    warnings: u8,
}

impl Records {
    /// Goes on where rustls has stopped.
    pub(super) fn after(
        secrets: ExtractedSecrets,
        keys: KernelConnection<ServerConnectionData>,
    ) -> Result<Self, Error> {
        let SupportedCipherSuite::Tls13(suite) = keys.negotiated_cipher_suite() else {
            return Err(Error::General("these records are TLS 1.3's".into()));
        };
        let ((written, writing), (read, reading)) = (secrets.tx, secrets.rx);
        // Whoever has written nothing with these keys has just changed them, and what says so to the peer is lost.
        if written == 0 {
            return Err(Error::General("the keys are being changed at this moment".into()));
        }
        Ok(Self {
            keys: Box::new(keys),
            most_sealed: suite.common.confidentiality_limit,
            opening: Opening::after(read, reading)?,
            sealing: Sealing::after(written, writing)?,
            part_bytes: 0,
            owes_keys: false,
            said_goodbye: false,
            key_updates: 0,
            empty: 0,
            warnings: 0,
        })
    }

    /// Takes in whole records, and gives their plaintext to `sink`. Returns how many of the bytes that were; `has_ended` says
    /// whether nothing more comes.
    pub(super) fn hear(
        &mut self,
        incoming: &mut [u8],
        mut sink: impl FnMut(&[u8]),
        has_ended: &mut bool,
    ) -> Result<usize, Fault> {
        let mut done = 0;
        while !*has_ended
            && let Some(rest) = incoming.get_mut(done..)
            && let Some(frame) =
                Frame::first(rest).map_err(|error| fault(AlertDescription::DecodeError, error))?
        {
            done += frame.bytes();
            *has_ended = self.take(frame, &mut sink)?;
        }
        Ok(done)
    }

    /// Encrypts as much as `outgoing` has room for, and returns how much that was.
    pub(super) fn say(
        &mut self,
        plain: &[IoSlice<'_>],
        outgoing: &mut Outgoing,
        spares: &Spares,
    ) -> Result<usize, Error> {
        let mut pieces = Pieces::of(plain);
        let mut taken = 0;
        while outgoing.room_bytes() > 0 && pieces.left_bytes() > 0 {
            // The last record of a key says that another follows.
            let is_worn = self.sealing.sealed().saturating_add(1) >= self.most_sealed;
            if is_worn || self.owes_keys {
                self.change_keys(outgoing, spares)?;
            }
            let bytes = pieces.left_bytes().min(RECORD_BYTES);
            let write = |text: &mut [u8]| pieces.fill(text);
            self.sealing
                .add(ContentType::ApplicationData, bytes, write, outgoing, spares)?;
            taken += bytes;
        }
        Ok(taken)
    }

    /// Encrypts what follows with the next keys.
    fn change_keys(&mut self, outgoing: &mut Outgoing, spares: &Spares) -> Result<(), Error> {
        let [kind, high, middle, low] = KEY_UPDATE;
        // A peer that has asked is not asked back, which would never end.
        let asks = u8::from(!self.owes_keys);
        let message = [kind, high, middle, low, asks];
        self.message(ContentType::Handshake, &message, outgoing, spares)?;
        let (written, secrets) = self.keys.update_tx_secret()?;
        self.sealing = Sealing::after(written, secrets)?;
        self.owes_keys = false;
        Ok(())
    }

    /// Adds the alert that says that nothing more comes.
    pub(super) fn say_goodbye(&mut self, outgoing: &mut Outgoing, spares: &Spares) -> Result<(), Error> {
        self.said_goodbye = true;
        self.alert(WARNING, AlertDescription::CloseNotify, outgoing, spares)
    }

    /// Adds the alert that says what went wrong, unless nothing may follow any more (RFC 8446 section 6.1).
    pub(super) fn last_words(
        &mut self,
        what: AlertDescription,
        outgoing: &mut Outgoing,
        spares: &Spares,
    ) -> Result<(), Error> {
        if self.said_goodbye {
            return Ok(());
        }
        self.alert(FATAL, what, outgoing, spares)
    }

    fn alert(
        &mut self,
        level: u8,
        what: AlertDescription,
        outgoing: &mut Outgoing,
        spares: &Spares,
    ) -> Result<(), Error> {
        if self.owes_keys {
            self.change_keys(outgoing, spares)?;
        }
        self.message(ContentType::Alert, &[level, what.into()], outgoing, spares)
    }

    fn message(
        &mut self,
        kind: ContentType,
        message: &[u8],
        outgoing: &mut Outgoing,
        spares: &Spares,
    ) -> Result<(), Error> {
        let write = |text: &mut [u8]| text.copy_from_slice(message);
        self.sealing.add(kind, message.len(), write, outgoing, spares)
    }

    /// Returns whether nothing more comes.
    fn take(&mut self, Frame { kind, payload }: Frame<'_>, sink: impl FnOnce(&[u8])) -> Result<bool, Fault> {
        // The one record that is never encrypted, and has no place behind a handshake.
        if kind == ContentType::ChangeCipherSpec && self.part_bytes == 0 {
            return Err(stray(payload));
        }
        let opened = self.opening.open(kind, payload);
        let InboundPlainMessage { typ, payload, .. } = opened.map_err(|error| Fault {
            alert: alert_for(&error),
            error,
        })?;
        if typ != ContentType::Handshake && self.part_bytes > 0 {
            return Err(PeerMisbehaved::MessageInterleavedWithHandshakeMessage.into());
        }
        if !payload.is_empty() {
            self.empty = 0;
        } else if self.empty == MOST_EMPTY {
            return Err(PeerMisbehaved::TooManyEmptyFragments.into());
        } else {
            self.empty += 1;
        }
        if typ == ContentType::ApplicationData {
            self.key_updates = 0;
            sink(payload);
            Ok(false)
        } else if typ == ContentType::Handshake {
            self.hear_handshake(payload).map(|()| false)
        } else if typ == ContentType::Alert {
            self.hear_alert(payload)
        } else {
            let error = InvalidMessage::InvalidContentType;
            Err(fault(AlertDescription::DecodeError, error))
        }
    }

    /// A part of a `KeyUpdate`, or all of it. Anything else is too late.
    fn hear_handshake(&mut self, payload: &[u8]) -> Result<(), Fault> {
        let mut rest = payload.iter();
        for byte in rest.by_ref() {
            let Some(expected) = KEY_UPDATE.get(self.part_bytes) else {
                self.part_bytes = 0;
                return self.hear_key_update(*byte, rest.as_slice());
            };
            if byte != expected {
                return Err(if self.part_bytes == 0 {
                    let error = Error::InappropriateHandshakeMessage {
                        expect_types: vec![HandshakeType::KeyUpdate],
                        got_type: HandshakeType::from(*byte),
                    };
                    fault(AlertDescription::UnexpectedMessage, error)
                } else {
                    fault(AlertDescription::DecodeError, InvalidMessage::InvalidKeyUpdate)
                });
            }
            self.part_bytes += 1;
        }
        Ok(())
    }

    fn hear_key_update(&mut self, asks: u8, behind: &[u8]) -> Result<(), Fault> {
        if !behind.is_empty() {
            // It would be encrypted with the keys that were.
            let error = PeerMisbehaved::KeyEpochWithPendingFragment;
            return Err(fault(AlertDescription::UnexpectedMessage, error));
        }
        if self.key_updates == MOST_KEY_UPDATES {
            return Err(PeerMisbehaved::TooManyKeyUpdateRequests.into());
        }
        self.key_updates += 1;
        match asks {
            0 => {}
            1 => self.owes_keys = true,
            _ => {
                return Err(fault(
                    AlertDescription::IllegalParameter,
                    InvalidMessage::InvalidKeyUpdate,
                ));
            }
        }
        let (read, secrets) = self.keys.update_rx_secret()?;
        self.opening = Opening::after(read, secrets)?;
        Ok(())
    }

    /// Returns whether nothing more comes.
    fn hear_alert(&mut self, payload: &[u8]) -> Result<bool, Fault> {
        let [level, what] = *payload else {
            let error = match payload.len() {
                0 => InvalidMessage::MissingData("AlertLevel"),
                1 => InvalidMessage::MissingData("AlertDescription"),
                _ => InvalidMessage::TrailingData("AlertMessagePayload"),
            };
            return Err(fault(AlertDescription::DecodeError, error));
        };
        let what = AlertDescription::from(what);
        let error = Error::AlertReceived(what);
        match level {
            WARNING | FATAL if what == AlertDescription::CloseNotify => Ok(true),
            WARNING if self.warnings == MOST_WARNINGS => {
                Err(PeerMisbehaved::TooManyWarningAlertsReceived.into())
            }
            // Nobody knows what it is for, and some send it all the same.
            WARNING if what == AlertDescription::UserCanceled => {
                self.warnings += 1;
                Ok(false)
            }
            WARNING => Err(fault(AlertDescription::DecodeError, error)),
            FATAL => Err(error.into()),
            _ => Err(fault(AlertDescription::IllegalParameter, error)),
        }
    }
}

fn stray(payload: &[u8]) -> Fault {
    let invalid = match payload {
        [1] => {
            let error = Error::InappropriateMessage {
                expect_types: vec![ContentType::ApplicationData, ContentType::Handshake],
                got_type: ContentType::ChangeCipherSpec,
            };
            return fault(AlertDescription::UnexpectedMessage, error);
        }
        [1, ..] => InvalidMessage::TrailingData("ChangeCipherSpecPayload"),
        _ => InvalidMessage::InvalidCcs,
    };
    fault(AlertDescription::DecodeError, invalid)
}

/// What the peer is told of a record that can't be decrypted.
fn alert_for(error: &Error) -> Option<AlertDescription> {
    let of_sealed_ccs = Error::PeerMisbehaved(PeerMisbehaved::IllegalMiddleboxChangeCipherSpec);
    if *error == Error::DecryptError {
        Some(AlertDescription::BadRecordMac)
    } else if *error == Error::PeerSentOversizedRecord {
        Some(AlertDescription::RecordOverflow)
    } else if *error == of_sealed_ccs {
        Some(AlertDescription::UnexpectedMessage)
    } else {
        None
    }
}
