//! What is counted of people who join.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// The histogram's bounds in seconds, up to the longest wait that the default settings allow.
const WAITS: [f64; 10] = [0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 300.0];

/// The metrics of people who join.
#[derive(Clone)]
pub struct JoiningMetrics {
    server: Gauge,
    nats: Gauge,
    places: Gauge,
    waiting: Gauge,
    waits: Histogram,
    refused: Counter,
}

/// Counts one in a gauge until it is dropped.
pub struct Counted(Gauge);

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct UpstreamLabels {
    upstream: &'static str,
}

impl JoiningMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let joining = Family::<UpstreamLabels, Gauge>::default();
        let at = |upstream| joining.get_or_create_owned(&UpstreamLabels { upstream });
        let metrics = Self {
            server: at("server"),
            nats: at("nats"),
            places: Gauge::default(),
            waiting: Gauge::default(),
            waits: Histogram::new(WAITS),
            refused: Counter::default(),
        };
        registry.register(
            "joining",
            "People on their way in: server is asked about their token, or nats has not answered yet",
            joining,
        );
        registry.register(
            "joining_places",
            "People who may be on their way in at once; 0 while everybody may",
            metrics.places.clone(),
        );
        registry.register(
            "joining_waiting",
            "People who wait for one of these places",
            metrics.waiting.clone(),
        );
        registry.register(
            "join_wait_seconds",
            "How long people waited who found no place at once",
            metrics.waits.clone(),
        );
        registry.register(
            "join_refused",
            "People with a good token whom NATS refused, as it does when it is asked by too many",
            metrics.refused.clone(),
        );
        metrics
    }

    /// Sets the number of places.
    pub fn places(&self, places: u32) {
        self.places.set(places.into());
    }

    /// Counts a person who waits.
    pub fn waits(&self) -> Counted {
        Counted::of(self.waiting.clone())
    }

    /// Notes how long a person has waited.
    pub fn waited(&self, time: Duration) {
        self.waits.observe(time.as_secs_f64());
    }

    /// Counts a person whom NATS has refused.
    pub fn refused(&self) {
        self.refused.inc();
    }

    /// Counts a person about whose token the server is being asked.
    pub fn asking(&self) -> Counted {
        Counted::of(self.server.clone())
    }

    /// Counts a WebSocket that is being opened.
    pub fn arriving(&self) -> Counted {
        Counted::of(self.nats.clone())
    }
}

impl Counted {
    fn of(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
