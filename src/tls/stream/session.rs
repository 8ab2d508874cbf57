//! One connection of rustls, without buffers of its own: what comes is decrypted where it lies.
//!
//! Source: the module `rustls::unbuffered`.

use std::{io::IoSlice, sync::Arc};

use rustls::{
    CommonState, Error, ServerConfig,
    server::{ServerConnectionData, UnbufferedServerConnection},
    unbuffered::{ConnectionState, EncryptError, UnbufferedStatus, WriteTraffic},
};

use super::{outgoing::Outgoing, pieces::Pieces, sizes::RECORD_BYTES, spare::Spares};

/// An alert in a record, with room to spare.
const ALERT_BYTES: usize = 64;

pub(super) struct Session {
    connection: UnbufferedServerConnection,
    /// Why the connection is over, if it has failed.
    failed: Option<Box<Error>>,
    /// Has the peer said that nothing more comes?
    has_ended: bool,
}

impl Session {
    pub(super) fn new(config: Arc<ServerConfig>) -> Result<Self, Error> {
        Ok(Self {
            connection: UnbufferedServerConnection::new(config)?,
            failed: None,
            has_ended: false,
        })
    }

    pub(super) fn agreed(&self) -> &CommonState {
        &self.connection
    }

    pub(super) fn failed(&self) -> Option<&Error> {
        self.failed.as_deref()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Takes in what has come, gives the plaintext to `sink`, and returns how many of the bytes it is done with. What it is not
    /// done with has to be there unchanged the next time, with more behind it.
    pub(super) fn hear(
        &mut self,
        incoming: &mut [u8],
        sink: impl FnMut(&[u8]),
        outgoing: &mut Outgoing,
        spares: &Spares,
    ) -> usize {
        self.drive(incoming, sink, outgoing, spares, |_, _| Ok(()))
    }

    /// Encrypts as much as `outgoing` has room for, and returns how much that was. `incoming` is what `hear` was not done with.
    pub(super) fn say(
        &mut self,
        plain: &[IoSlice<'_>],
        incoming: &mut [u8],
        outgoing: &mut Outgoing,
        spares: &Spares,
    ) -> usize {
        let mut taken = 0;
        self.drive(
            incoming,
            |_| {},
            outgoing,
            spares,
            |mut traffic, outgoing| {
                let mut pieces = Pieces::of(plain);
                while outgoing.room_bytes() > 0
                    && let Some(plain) = pieces.next(RECORD_BYTES)
                {
                    outgoing.add(spares, plain.len(), |room| traffic.encrypt(&plain, room))?;
                    taken += plain.len();
                }
                Ok(())
            },
        );
        taken
    }

    /// Adds the alert that says that nothing more comes.
    pub(super) fn say_goodbye(&mut self, incoming: &mut [u8], outgoing: &mut Outgoing, spares: &Spares) {
        self.drive(
            incoming,
            |_| {},
            outgoing,
            spares,
            |mut traffic, outgoing| {
                outgoing.add(spares, ALERT_BYTES, |room| traffic.queue_close_notify(room))
            },
        );
    }

    /// Goes through rustls' states until it waits for more, or may encrypt.
    fn drive(
        &mut self,
        incoming: &mut [u8],
        mut sink: impl FnMut(&[u8]),
        outgoing: &mut Outgoing,
        spares: &Spares,
        mut encrypt: impl FnMut(WriteTraffic<'_, ServerConnectionData>, &mut Outgoing) -> Result<(), EncryptError>,
    ) -> usize {
        let mut done = 0;
        while self.failed.is_none()
            && let Some(rest) = incoming.get_mut(done..)
        {
            let UnbufferedStatus { mut discard, state } = self.connection.process_tls_records(rest);
            let mut is_over = false;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        match record {
                            Ok(record) => {
                                sink(record.payload);
                                discard += record.discard;
                            }
                            Err(error) => self.failed = Some(Box::new(error)),
                        }
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    if outgoing
                        .add(spares, ALERT_BYTES, |room| data.encode(room))
                        .is_err()
                    {
                        self.failed = Some(Box::new(Error::EncryptError));
                    }
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.has_ended = true,
                Ok(ConnectionState::WriteTraffic(traffic)) => {
                    if encrypt(traffic, outgoing).is_err() {
                        self.failed = Some(Box::new(Error::EncryptError));
                    }
                    is_over = true;
                }
                Ok(ConnectionState::BlockedHandshake | ConnectionState::Closed) => is_over = true,
                // There is no early data, as its size is set to nothing.
                Ok(_) => self.failed = Some(Box::new(Error::HandshakeNotComplete)),
                Err(error) => self.failed = Some(Box::new(error)),
            }
            done += discard;
            if is_over {
                break;
            }
        }
        if self.failed.is_some() {
            self.last_words(outgoing, spares);
        }
        done
    }

    /// The alert in which the peer is told what went wrong. rustls is asked for what it has to send and for nothing else: it
    /// would read what it has failed at once more.
    fn last_words(&mut self, outgoing: &mut Outgoing, spares: &Spares) {
        while self.agreed().wants_write() {
            let UnbufferedStatus { state, .. } = self.connection.process_tls_records(&mut []);
            let Ok(ConnectionState::EncodeTlsData(mut data)) = state else {
                return;
            };
            if outgoing
                .add(spares, ALERT_BYTES, |room| data.encode(room))
                .is_err()
            {
                return;
            }
        }
    }
}
