//! One connection of TLS, without buffers of its own: what comes is decrypted where it lies.

use std::{io::IoSlice, mem, sync::Arc};

use rustls::{CommonState, Error, ServerConfig};

use super::{ending::Ending, outgoing::Outgoing, records::Records, spare::Spares, unbuffered::Unbuffered};

pub(super) struct Session {
    layer: Layer,
    ending: Ending,
}

/// Who makes records and reads them.
enum Layer {
    Rustls(Box<Unbuffered>),
    Settled(Records),
    /// Nobody, as the connection has failed.
    Over,
}

impl Session {
    pub(super) fn new(config: Arc<ServerConfig>) -> Result<Self, Error> {
        Ok(Self {
            layer: Layer::Rustls(Box::new(Unbuffered::new(config)?)),
            ending: Ending::default(),
        })
    }

    /// What both sides have agreed on; until the connection is settled.
    pub(super) fn agreed(&self) -> Option<&CommonState> {
        match &self.layer {
            Layer::Rustls(connection) => Some(connection.agreed()),
            Layer::Settled(_) | Layer::Over => None,
        }
    }

    pub(super) fn failed(&self) -> Option<&Error> {
        self.ending.failed.as_deref()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ending.is_said
    }

    /// As if something had been said.
    #[cfg(test)]
    pub(super) fn has_spoken(&mut self) {
        if let Layer::Rustls(connection) = &mut self.layer {
            connection.has_spoken();
        }
    }

    /// Lets go of all that only a handshake needs. To be called when all that has come is done with.
    pub(super) fn settle(&mut self) {
        let may_settle = matches!(&self.layer, Layer::Rustls(connection) if connection.may_settle());
        if !may_settle || self.ending.failed.is_some() || self.ending.is_said {
            return;
        }
        if let Layer::Rustls(connection) = mem::replace(&mut self.layer, Layer::Over) {
            match connection.settle() {
                Ok(records) => self.layer = Layer::Settled(records),
                Err(error) => self.ending.fail(error),
            }
        }
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
        let ending = &mut self.ending;
        match &mut self.layer {
            Layer::Rustls(connection) => connection.hear(incoming, sink, outgoing, spares, ending),
            Layer::Settled(records) => match records.hear(incoming, sink, &mut ending.is_said) {
                Ok(done) => done,
                Err(fault) => {
                    if let Some(alert) = fault.alert {
                        // That it can't be sent is not what went wrong.
                        records.last_words(alert, outgoing, spares).ok();
                    }
                    ending.fail(fault.error);
                    self.layer = Layer::Over;
                    incoming.len()
                }
            },
            Layer::Over => incoming.len(),
        }
    }

    /// Encrypts as much as `outgoing` has room for, and returns how much that was. `incoming` is what `hear` was not done with.
    pub(super) fn say(
        &mut self,
        plain: &[IoSlice<'_>],
        incoming: &mut [u8],
        outgoing: &mut Outgoing,
        spares: &Spares,
    ) -> usize {
        let ending = &mut self.ending;
        match &mut self.layer {
            Layer::Rustls(connection) => connection.say(plain, incoming, outgoing, spares, ending),
            Layer::Settled(records) => match records.say(plain, outgoing, spares) {
                Ok(taken) => taken,
                Err(error) => {
                    ending.fail(error);
                    self.layer = Layer::Over;
                    0
                }
            },
            Layer::Over => 0,
        }
    }

    /// Adds the alert that says that nothing more comes.
    pub(super) fn say_goodbye(&mut self, incoming: &mut [u8], outgoing: &mut Outgoing, spares: &Spares) {
        let ending = &mut self.ending;
        match &mut self.layer {
            Layer::Rustls(connection) => connection.say_goodbye(incoming, outgoing, spares, ending),
            Layer::Settled(records) => {
                if let Err(error) = records.say_goodbye(outgoing, spares) {
                    ending.fail(error);
                    self.layer = Layer::Over;
                }
            }
            Layer::Over => {}
        }
    }
}
