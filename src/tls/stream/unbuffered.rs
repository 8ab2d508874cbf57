//! One connection of rustls, from its hello on.
//!
//! Source: the module `rustls::unbuffered`.

use std::{io::IoSlice, sync::Arc};

use rustls::{
    CommonState, Error, ProtocolVersion, ServerConfig,
    server::{ServerConnectionData, UnbufferedServerConnection},
    unbuffered::{ConnectionState, EncryptError, UnbufferedStatus, WriteTraffic},
};

use super::{
    ending::Ending, outgoing::Outgoing, pieces::Pieces, records::Records, sizes::RECORD_BYTES, spare::Spares,
};

/// An alert in a record, with room to spare.
const ALERT_BYTES: usize = 64;

pub(super) struct Unbuffered {
    connection: UnbufferedServerConnection,
    gives_keys: bool,
    /// Was the last thing that happened something that we have said? What rustls holds back, such as the answer to a
    /// `KeyUpdate`, went out before it, and nobody can see otherwise whether there is such a thing.
    has_spoken: bool,
}

impl Unbuffered {
    pub(super) fn new(config: Arc<ServerConfig>) -> Result<Self, Error> {
        let gives_keys = config.enable_secret_extraction;
        Ok(Self {
            connection: UnbufferedServerConnection::new(config)?,
            gives_keys,
            has_spoken: false,
        })
    }

    pub(super) fn agreed(&self) -> &CommonState {
        &self.connection
    }

    #[cfg(test)]
    pub(super) fn has_spoken(&mut self) {
        self.has_spoken = true;
    }

    /// May records be left to others, once all that has come is done with?
    pub(super) fn may_settle(&self) -> bool {
        let agreed = self.agreed();
        self.gives_keys
            && self.has_spoken
            && agreed.protocol_version() == Some(ProtocolVersion::TLSv1_3)
            && !agreed.is_handshaking()
            && !agreed.wants_write()
    }

    pub(super) fn settle(self) -> Result<Records, Error> {
        let (secrets, keys) = self.connection.dangerous_into_kernel_connection()?;
        Records::after(secrets, keys)
    }

    /// Takes in what has come, gives the plaintext to `sink`, and returns how many of the bytes it is done with. What it is not
    /// done with has to be there unchanged the next time, with more behind it.
    pub(super) fn hear(
        &mut self,
        incoming: &mut [u8],
        sink: impl FnMut(&[u8]),
        outgoing: &mut Outgoing,
        spares: &Spares,
        ending: &mut Ending,
    ) -> usize {
        self.has_spoken = false;
        self.drive(incoming, sink, outgoing, spares, ending, |_, _| Ok(()))
    }

    /// Encrypts as much as `outgoing` has room for, and returns how much that was. `incoming` is what `hear` was not done with.
    pub(super) fn say(
        &mut self,
        plain: &[IoSlice<'_>],
        incoming: &mut [u8],
        outgoing: &mut Outgoing,
        spares: &Spares,
        ending: &mut Ending,
    ) -> usize {
        let mut taken = 0;
        self.drive(
            incoming,
            |_| {},
            outgoing,
            spares,
            ending,
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
        self.has_spoken |= taken > 0;
        taken
    }

    /// Adds the alert that says that nothing more comes.
    pub(super) fn say_goodbye(
        &mut self,
        incoming: &mut [u8],
        outgoing: &mut Outgoing,
        spares: &Spares,
        ending: &mut Ending,
    ) {
        self.drive(
            incoming,
            |_| {},
            outgoing,
            spares,
            ending,
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
        ending: &mut Ending,
        mut encrypt: impl FnMut(WriteTraffic<'_, ServerConnectionData>, &mut Outgoing) -> Result<(), EncryptError>,
    ) -> usize {
        let mut done = 0;
        while ending.failed.is_none()
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
                            Err(error) => ending.fail(error),
                        }
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    if outgoing
                        .add(spares, ALERT_BYTES, |room| data.encode(room))
                        .is_err()
                    {
                        ending.fail(Error::EncryptError);
                    }
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => ending.is_said = true,
                Ok(ConnectionState::WriteTraffic(traffic)) => {
                    if encrypt(traffic, outgoing).is_err() {
                        ending.fail(Error::EncryptError);
                    }
                    is_over = true;
                }
                Ok(ConnectionState::BlockedHandshake | ConnectionState::Closed) => is_over = true,
                // There is no early data, as its size is set to nothing.
                Ok(_) => ending.fail(Error::HandshakeNotComplete),
                Err(error) => ending.fail(error),
            }
            done += discard;
            if is_over {
                break;
            }
        }
        if ending.failed.is_some() {
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
