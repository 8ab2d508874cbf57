//! Connections to all upstreams together. Their descriptors are one budget (`crate::places`): an upstream may have what the
//! others leave, and no more.
//!
//! A connection that rests is closed where another upstream needs its descriptor.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;

use super::seldom::Seldom;

/// Shared by all upstreams; clones are the same.
#[derive(Clone)]
pub struct Total(Arc<State>);

struct State {
    /// For connections that are in use.
    free: Arc<Semaphore>,
    most: usize,
    /// In use or not.
    open: AtomicUsize,
    /// Of each upstream; closes one connection that rests, and says whether there was one. None: the upstream is gone.
    closers: Mutex<Vec<Closer>>,
    told: Seldom,
}

type Closer = Box<dyn Fn(CloserCall) -> Option<bool> + Send + Sync>;

/// What a closer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloserCall {
    /// Is the upstream still there? Nothing is closed.
    IsThere,
    /// Close one connection that rests, if there is one.
    CloseOne,
}

impl Total {
    /// At most so many.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(State {
            free: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            most,
            open: AtomicUsize::new(0),
            closers: Mutex::default(),
            told: Seldom::default(),
        }))
    }

    /// The right to use one, if there is one at once.
    pub(super) fn try_take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.free).try_acquire_owned().ok()
    }

    /// The right to use one, in the order in which it was asked for.
    pub(super) async fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.free).acquire_owned().await.ok()
    }

    /// Are all in use? Told now and then.
    pub(super) fn is_used_up(&self) -> bool {
        let used_up = self.0.free.available_permits() == 0;
        if used_up && self.0.told.now() {
            warn!(
                most = self.0.most,
                "As many connections to upstreams are in use as there are file descriptors for; others wait: raise the limit \
                 of open files (LimitNOFILE)"
            );
        }
        used_up
    }

    /// One more is opened; false if that would be too many.
    pub(super) fn add(&self) -> bool {
        let one_more = |open: usize| (open < self.0.most).then_some(open + 1);
        let open = &self.0.open;
        open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .is_ok()
    }

    /// One more is opened, as another is about to end.
    pub(super) fn add_in_advance(&self) {
        self.0.open.fetch_add(1, Ordering::Relaxed);
    }

    /// One is closed.
    pub(super) fn remove(&self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// One more upstream; those that are gone by now are forgotten.
    pub(super) fn closing_by(&self, closer: impl Fn(CloserCall) -> Option<bool> + Send + Sync + 'static) {
        let mut closers = self.0.closers.lock().unwrap_or_else(PoisonError::into_inner);
        closers.retain(|closer| closer(CloserCall::IsThere).is_some());
        closers.push(Box::new(closer));
    }

    /// Closes a connection that rests, whose ever it is, if there are as many as may be.
    pub(super) fn make_room(&self) {
        if self.0.open.load(Ordering::Relaxed) >= self.0.most {
            let closers = self.0.closers.lock().unwrap_or_else(PoisonError::into_inner);
            closers
                .iter()
                .any(|close| close(CloserCall::CloseOne) == Some(true));
        }
    }
}
