//! One place while somebody has it.

use std::{
    net::IpAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit},
    time::Instant,
};

use super::{JUST_NOW, State};
use crate::{addr::ClientAddr, workers::Load};

/// The place of one connection; free again when the last clone is dropped.
#[derive(Clone)]
pub struct Place(Arc<Held>);

pub(super) struct Held {
    pub(super) key: u64,
    pub(super) seen: Arc<Seen>,
    pub(super) prefix: OnceLock<IpAddr>,
    pub(super) state: Arc<State>,
    pub(super) _free: OwnedSemaphorePermit,
    pub(super) _load: Load,
}

/// What is known of a connection by those who look for an idle one.
pub(super) struct Seen {
    since: Instant,
    spoke: AtomicBool,
    /// Since when it is idle; none while it is not.
    idle_since: OnceLock<Box<dyn Fn() -> Option<Instant> + Send + Sync>>,
    has_to_go: AtomicBool,
    /// Rings when it has.
    told: Notify,
}

impl Place {
    pub(super) fn new(held: Held) -> Self {
        Self(Arc::new(held))
    }

    /// Counts it for this client. False: the client has as many as one may have.
    pub fn belongs_to(&self, client: ClientAddr) -> bool {
        self.0.state.count(client, &self.0.prefix)
    }

    /// The first byte is there.
    pub fn spoke(&self) {
        self.0.seen.spoke.store(true, Ordering::Relaxed);
    }

    /// From now on this says since when the connection is idle, or none while it is not.
    pub fn watch(&self, idle_since: impl Fn() -> Option<Instant> + Send + Sync + 'static) {
        self.0.seen.idle_since.set(Box::new(idle_since)).ok();
    }

    /// Resolves when somebody else needs the place more.
    pub async fn has_to_go(&self) {
        let told = self.0.seen.told.notified();
        if !self.0.seen.is_told() {
            told.await;
        }
    }

    #[cfg(test)]
    pub(super) fn is_told(&self) -> bool {
        self.0.seen.is_told()
    }
}

impl Seen {
    pub(super) fn new() -> Self {
        Self {
            since: Instant::now(),
            spoke: AtomicBool::new(false),
            idle_since: OnceLock::new(),
            has_to_go: AtomicBool::new(false),
            told: Notify::new(),
        }
    }

    /// Since when it is idle, if that is as long as `at_least`. A handshake that is under way has `JUST_NOW` in any case.
    pub(super) fn idle_since(&self, now: Instant, at_least: Duration) -> Option<Instant> {
        if self.is_told() {
            return None;
        }
        let (since, at_least) = match self.idle_since.get() {
            Some(idle_since) => (idle_since()?, at_least),
            None if self.spoke.load(Ordering::Relaxed) => (self.since, JUST_NOW),
            None => (self.since, at_least),
        };
        (now.saturating_duration_since(since) >= at_least).then_some(since)
    }

    pub(super) fn tell_to_go(&self) {
        self.has_to_go.store(true, Ordering::SeqCst);
        self.told.notify_waiters();
    }

    fn is_told(&self) -> bool {
        self.has_to_go.load(Ordering::SeqCst)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let told = self.seen.is_told();
        self.state.leave(self.key, self.prefix.get(), told);
    }
}
