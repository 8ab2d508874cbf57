//! The limit on connections to all upstreams together. Their file descriptors are one budget (`crate::places`): an
//! upstream can have those that the others leave, and no more.
//!
//! An idle connection is closed when another upstream needs its descriptor.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;

use super::seldom::Seldom;

/// The limit that all upstreams share; clones are the same limit.
#[derive(Clone)]
pub struct Total(Arc<State>);

struct State {
    /// One permit for each connection that may still come into use.
    free: Arc<Semaphore>,
    most: usize,
    /// The number of open connections, in use or idle.
    open: AtomicUsize,
    /// One function for each upstream. Asked for `Wanted::Room` it closes one idle connection, and returns whether
    /// there was one. It returns None if the upstream is gone.
    closers: Mutex<Vec<Closer>>,
    told: Seldom,
}

type Closer = Box<dyn Fn(CloserCall) -> Option<bool> + Send + Sync>;

/// What a closer is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloserCall {
    /// Is the upstream still there? Nothing is closed.
    IsThere,
    /// Close one connection that rests, if there is one.
    CloseOne,
}

impl Total {
    /// A limit of `most` connections, both in use and open.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(State {
            free: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            most,
            open: AtomicUsize::new(0),
            closers: Mutex::default(),
            told: Seldom::default(),
        }))
    }

    /// The right to use one connection. None: all are in use.
    pub(super) fn try_take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.free).try_acquire_owned().ok()
    }

    /// Waits for the right to use one connection. Whoever came first gets it first.
    pub(super) async fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.free).acquire_owned().await.ok()
    }

    /// Are all connections in use? If so the log says it, at most once a minute.
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

    /// Counts one more open connection. Returns false, and counts nothing, if there are as many as allowed.
    pub(super) fn add(&self) -> bool {
        let one_more = |open: usize| (open < self.0.most).then_some(open + 1);
        let open = &self.0.open;
        open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .is_ok()
    }

    /// Counts one more open connection even if there are as many as allowed, because another is about to end.
    pub(super) fn add_in_advance(&self) {
        self.0.open.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one open connection less.
    pub(super) fn remove(&self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// One more upstream; those that are gone by now are forgotten.
    pub(super) fn closing_by(&self, closer: impl Fn(CloserCall) -> Option<bool> + Send + Sync + 'static) {
        let mut closers = self.0.closers.lock().unwrap_or_else(PoisonError::into_inner);
        closers.retain(|closer| closer(CloserCall::IsThere).is_some());
        closers.push(Box::new(closer));
    }

    /// Closes an idle connection, of whichever upstream, if there are as many open connections as allowed.
    pub(super) fn make_room(&self) {
        if self.0.open.load(Ordering::Relaxed) >= self.0.most {
            let closers = self.0.closers.lock().unwrap_or_else(PoisonError::into_inner);
            closers
                .iter()
                .any(|close| close(CloserCall::CloseOne) == Some(true));
        }
    }
}
