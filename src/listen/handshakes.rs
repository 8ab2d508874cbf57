//! Counts how TLS handshakes end, and logs the failed ones: the first of each kind in a minute, with the client's
//! address.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tracing::{debug, info};

use crate::{observe::Metrics, tls::HandshakeError};

/// The time between two log lines about the same kind of failure.
const EVERY: Duration = Duration::from_secs(60);

/// Counts and logs handshakes. Clones share what was logged.
#[derive(Clone)]
pub(super) struct Handshakes {
    metrics: Arc<Metrics>,
    /// When each outcome was logged last. There are only a few outcomes.
    told: Arc<Mutex<HashMap<&'static str, Instant>>>,
    /// Is it normal that clients leave in the middle of a handshake? Then that is not logged as a failure at the level
    /// `info`.
    leaving_is_normal: bool,
}

impl Handshakes {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            told: Arc::default(),
            leaving_is_normal: false,
        }
    }

    /// Makes leaving in the middle of a handshake normal. Browsers do so on connections for TURN, as they open more of
    /// them than they need.
    pub(super) fn leaving_is_normal(&mut self) {
        self.leaving_is_normal = true;
    }

    pub(super) fn succeeded(&self) {
        self.metrics.tls_handshake("done");
    }

    pub(super) fn failed(&self, peer: SocketAddr, error: &HandshakeError) {
        let outcome = error.outcome();
        self.metrics.tls_handshake(outcome);
        let quiet = outcome == "left" && self.leaving_is_normal;
        if !quiet && self.is_first(outcome) {
            info!(%peer, outcome, %error, "A TLS handshake failed; others that end so are not told for a minute");
        } else {
            debug!(%peer, outcome, %error, "A TLS handshake failed");
        }
    }

    /// Notes that a connection began with plain HTTP in the place of a TLS hello.
    pub(super) fn was_plain_http(&self, peer: SocketAddr) {
        self.metrics.tls_handshake("plain_http");
        if self.is_first("plain_http") {
            info!(%peer, outcome = "plain_http", "Plain HTTP was sent to the TLS port, and answered with 400");
        }
    }

    fn is_first(&self, outcome: &'static str) -> bool {
        let now = Instant::now();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let first = told
            .get(outcome)
            .is_none_or(|last| now.saturating_duration_since(*last) >= EVERY);
        if first {
            told.insert(outcome, now);
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_of_each_kind_is_told_and_again_after_a_minute() {
        let handshakes = Handshakes::new(Arc::default());
        assert!(handshakes.is_first("alert") && handshakes.is_first("left"));
        assert!(!handshakes.is_first("alert"));
        tokio::time::advance(EVERY).await;
        assert!(handshakes.is_first("alert"));
        assert!(!handshakes.is_first("alert"));
    }
}
