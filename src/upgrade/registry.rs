//! Which tunnels are open, counted by the name of their upstream, for a drain and for metrics.

use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;

use crate::observe::Metrics;

/// The tunnels to one upstream.
#[derive(Clone, Debug)]
pub struct Tunnels {
    name: &'static str,
    silence: Option<Duration>,
    open: Gauge,
}

/// One open tunnel; gone when dropped.
pub(super) struct Open(Gauge);

impl Tunnels {
    /// None open yet. With `silence` a client that says nothing for so long is gone, and so is an upstream that answers
    /// nothing.
    pub fn to(name: &'static str, silence: Option<Duration>, metrics: &Metrics) -> Self {
        Self {
            name,
            silence,
            open: metrics.tunnels(name),
        }
    }

    /// The same tunnels; those that are opened from now on have this silence.
    #[must_use]
    pub fn again(&self, silence: Option<Duration>) -> Self {
        Self {
            silence,
            ..self.clone()
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn silence(&self) -> Option<Duration> {
        self.silence
    }

    /// How many are open.
    pub fn count(&self) -> i64 {
        self.open.get()
    }

    pub(super) fn enter(&self) -> Open {
        self.open.inc();
        Open(self.open.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
