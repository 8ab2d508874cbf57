//! What an old process learns after it has handed over, for its last requests end later: told to the new one as it happens.

use arc_swap::ArcSwapOption;
use tokio::sync::mpsc;
use tracing::warn;

use super::parts::{Part, Parts};

/// What waits to be told, one event each. A hand-over of minutes has a handful.
const MOST_WAITING: usize = 4096;

/// The way to a new process; clones are the same.
#[derive(Clone, Debug)]
pub struct Telling(mpsc::Sender<Parts>);

impl Telling {
    pub fn pair() -> (Self, mpsc::Receiver<Parts>) {
        let (telling, told) = mpsc::channel(MOST_WAITING);
        (Self(telling), told)
    }
}

/// Where a module says what it has learned. While there is no new process nobody is told.
#[derive(Debug, Default)]
pub struct Journal(ArcSwapOption<Telling>);

impl Journal {
    /// Tells this process from now on, or nobody.
    pub fn tells(&self, telling: Option<&Telling>) {
        self.0.store(telling.cloned().map(Into::into));
    }

    /// Something was learned. Waits for nobody.
    pub fn learned<P: Part>(&self, event: impl FnOnce() -> P) {
        let telling = self.0.load();
        let Some(telling) = telling.as_deref() else { return };
        let mut parts = Parts::default();
        parts.put(&event());
        if let Err(mpsc::error::TrySendError::Full(_)) = telling.0.try_send(parts) {
            warn!(
                what = P::NAME,
                "The new gateway does not hear what this one has learned"
            );
        }
    }
}
