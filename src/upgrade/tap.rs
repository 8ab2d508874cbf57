//! A listener at the beginning of a tunnel, which costs nothing once it has heard enough.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// Listens until it is closed. Both directions of a tunnel run in one task: nobody waits for the lock.
pub(super) struct Tap<T> {
    is_open: AtomicBool,
    listener: Mutex<Option<Box<T>>>,
}

impl<T> Tap<T> {
    pub(super) fn new(listener: Option<T>) -> Self {
        Self {
            is_open: AtomicBool::new(listener.is_some()),
            listener: Mutex::new(listener.map(Box::new)),
        }
    }

    /// Gives the listener something to hear, until it has given an answer.
    pub(super) fn hear<A>(&self, hear: impl FnOnce(&mut T) -> Option<A>) -> Option<A> {
        if !self.is_open.load(Ordering::Relaxed) {
            return None;
        }
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = hear(listener.as_mut()?)?;
        *listener = None;
        self.is_open.store(false, Ordering::Relaxed);
        Some(answer)
    }
}
