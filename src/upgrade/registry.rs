//! Which tunnels are open, counted by the name of their upstream.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The tunnels to one upstream.
#[derive(Clone, Debug)]
pub struct Tunnels {
    name: &'static str,
    open: Arc<AtomicUsize>,
}

/// One open tunnel; gone when dropped.
pub(super) struct Open(Arc<AtomicUsize>);

impl Tunnels {
    /// None open yet.
    pub fn to(name: &'static str) -> Self {
        Self {
            name,
            open: Arc::default(),
        }
    }

    /// The upstream's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn enter(&self) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(&self.open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
