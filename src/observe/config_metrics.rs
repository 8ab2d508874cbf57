//! What is counted of the configuration: how often it was read again, and which is in use since when.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The metrics of the configuration.
pub struct ConfigMetrics {
    reloads: Family<OutcomeLabels, Counter>,
    taken_up: Gauge,
    in_use: Family<HashLabels, Gauge>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct HashLabels {
    hash: String,
}

impl ConfigMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let metrics = Self {
            reloads: Family::default(),
            taken_up: Gauge::default(),
            in_use: Family::default(),
        };
        registry.register(
            "config_reloads",
            "Times that the configuration was read again, by what came of it: taken or refused",
            metrics.reloads.clone(),
        );
        registry.register(
            "config_taken_up_seconds",
            "When the configuration in use was taken up, in seconds since 1970",
            metrics.taken_up.clone(),
        );
        registry.register(
            "config",
            "1, with the hash of the configuration in use",
            metrics.in_use.clone(),
        );
        for outcome in ["taken", "refused"] {
            // They are there from the start, so that a first one is seen as a change.
            drop(metrics.reloads.get_or_create(&OutcomeLabels { outcome }));
        }
        metrics
    }

    /// It was read again, and taken up or refused.
    pub fn reloaded(&self, taken: bool) {
        let outcome = if taken { "taken" } else { "refused" };
        self.reloads.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// The one with this hash is in use from now on, in seconds since 1970.
    pub fn in_use(&self, hash: &str, now: i64) {
        self.taken_up.set(now);
        self.in_use.clear();
        let hash = hash.to_owned();
        self.in_use.get_or_create(&HashLabels { hash }).set(1);
    }
}
