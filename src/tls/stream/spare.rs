//! One outgoing buffer for each thread, which the thread's connections take in turn.
//!
//! Such a buffer has to be of initialised bytes, and to clear it for each write would cost as much as to copy all that is
//! written.

use std::cell::Cell;

use thread_local::ThreadLocal;

use super::sizes::FULL_BYTES;

/// The spare buffers, one a thread.
#[derive(Default)]
pub(in crate::tls) struct Spares(ThreadLocal<Cell<Vec<u8>>>);

impl Spares {
    /// A buffer of `FULL_BYTES`. What is in it means nothing.
    pub(super) fn take(&self) -> Vec<u8> {
        let spare = self.0.get_or_default().take();
        if spare.is_empty() {
            vec![0; FULL_BYTES]
        } else {
            spare
        }
    }

    /// Keeps a buffer for who comes next on this thread; one is kept, and of this size alone.
    pub(super) fn give_back(&self, buffer: Vec<u8>) {
        if buffer.len() == FULL_BYTES {
            self.0.get_or_default().set(buffer);
        }
    }
}
