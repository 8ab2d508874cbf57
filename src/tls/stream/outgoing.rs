//! What is on its way to the peer: records that the socket has not taken yet.

use std::{
    io, mem,
    pin::Pin,
    task::{Context, Poll},
};

use rustls::unbuffered::{EncodeError, EncryptError};
use tokio::io::AsyncWrite;

use super::{
    sizes::{AROUND_RECORD_BYTES, LIMIT_BYTES, RECORD_BYTES},
    spare::Spares,
};

/// Records in order; nothing is held while there are none.
#[derive(Default)]
pub(super) struct Outgoing {
    /// Bytes that can be written to, all of them initialised; `from..to` are records.
    buffer: Vec<u8>,
    from: usize,
    to: usize,
}

/// Rustls wants more room than there is.
pub(super) trait WantsRoom {
    fn wants(&self) -> Option<usize>;
}

impl WantsRoom for EncodeError {
    fn wants(&self) -> Option<usize> {
        match self {
            Self::InsufficientSize(size) => Some(size.required_size),
            Self::AlreadyEncoded => None,
        }
    }
}

impl WantsRoom for EncryptError {
    fn wants(&self) -> Option<usize> {
        match self {
            Self::InsufficientSize(size) => Some(size.required_size),
            Self::EncryptExhausted => None,
        }
    }
}

impl Outgoing {
    #[cfg(test)]
    pub(super) fn waiting(&self) -> &[u8] {
        self.buffer.get(self.from..self.to).unwrap_or_default()
    }

    #[cfg(test)]
    pub(super) fn holds_nothing(&self) -> bool {
        self.buffer.capacity() == 0
    }

    /// How much more plaintext may be taken.
    pub(super) fn room_bytes(&self) -> usize {
        LIMIT_BYTES.saturating_sub(self.to - self.from) / (RECORD_BYTES + AROUND_RECORD_BYTES) * RECORD_BYTES
    }

    /// Has `write` add a record, in as much room as it wants.
    pub(super) fn add<E: WantsRoom>(
        &mut self,
        spares: &Spares,
        expected_bytes: usize,
        mut write: impl FnMut(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        self.make_room(spares, expected_bytes + AROUND_RECORD_BYTES);
        let added = match write(self.buffer.get_mut(self.to..).unwrap_or_default()) {
            Ok(added) => added,
            Err(error) => {
                let Some(bytes) = error.wants() else {
                    return Err(error);
                };
                self.make_room(spares, bytes);
                write(self.buffer.get_mut(self.to..).unwrap_or_default())?
            }
        };
        self.took(added);
        Ok(())
    }

    /// Room for a record of this many bytes. It counts when it is taken.
    pub(super) fn room(&mut self, spares: &Spares, bytes: usize) -> &mut [u8] {
        self.make_room(spares, bytes);
        self.buffer.get_mut(self.to..self.to + bytes).unwrap_or_default()
    }

    pub(super) fn took(&mut self, bytes: usize) {
        self.to = self.buffer.len().min(self.to + bytes);
    }

    fn make_room(&mut self, spares: &Spares, bytes: usize) {
        if self.buffer.len() - self.to >= bytes {
            return;
        }
        let waiting = self.to - self.from;
        let mut larger = spares.take();
        if larger.len() < waiting + bytes {
            larger.resize(waiting + bytes, 0);
        }
        if let (Some(to), Some(records)) = (larger.get_mut(..waiting), self.buffer.get(self.from..self.to)) {
            to.copy_from_slice(records);
        }
        self.buffer = larger;
        (self.from, self.to) = (0, waiting);
    }

    /// Writes until all is written.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        spares: &Spares,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while let Some(records) = self
            .buffer
            .get(self.from..self.to)
            .filter(|left| !left.is_empty())
        {
            match Pin::new(&mut *stream).poll_write(cx, records) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => self.from = self.to.min(self.from + written),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.shrink(spares);
                    return Poll::Pending;
                }
            }
        }
        if !self.buffer.is_empty() {
            spares.give_back(mem::take(&mut self.buffer));
            (self.from, self.to) = (0, 0);
        }
        Poll::Ready(Ok(()))
    }

    /// Holds no more than twice of what waits.
    fn shrink(&mut self, spares: &Spares) {
        if let Some(records) = self.buffer.get(self.from..self.to)
            && records.len() <= self.buffer.len() / 2
        {
            let records = records.to_vec();
            (self.from, self.to) = (0, records.len());
            spares.give_back(mem::replace(&mut self.buffer, records));
        }
    }
}
