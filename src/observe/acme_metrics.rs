//! What is counted of certificates by themselves: what came of orders, and who fails.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The metrics of certificates by themselves.
pub struct AcmeMetrics {
    orders: Family<OutcomeLabels, Counter>,
    failing: Family<NameLabels, Gauge>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct NameLabels {
    name: String,
}

impl AcmeMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let metrics = Self {
            orders: Family::default(),
            failing: Family::default(),
        };
        registry.register(
            "acme_orders",
            "Orders of certificates, by what came of them: issued, failed, or not_asked where the name does not lead here",
            metrics.orders.clone(),
        );
        registry.register(
            "acme_failing",
            "Orders of a name that have failed in a row",
            metrics.failing.clone(),
        );
        metrics
    }

    /// An order has ended like this.
    pub fn ordered(&self, outcome: &'static str) {
        self.orders.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// So many orders of a name have failed in a row. Names are those of the configuration.
    pub fn failing(&self, name: &str, failures: u32) {
        let labels = NameLabels {
            name: name.to_owned(),
        };
        self.failing.get_or_create(&labels).set(failures.into());
    }
}
