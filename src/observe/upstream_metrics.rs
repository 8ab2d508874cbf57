//! The metrics of upstreams and of their addresses.
//!
//! The metrics of an address that is no longer used are removed, so that names whose addresses change do not fill the
//! memory.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The metric families of all upstreams.
#[derive(Clone)]
pub(super) struct UpstreamFamilies {
    connections: Family<AddressLabels, Gauge>,
    passed_over: Family<AddressLabels, Gauge>,
    failures: Family<FaultLabels, Counter>,
    names: Family<UpstreamLabels, Counter>,
    full: Family<UpstreamLabels, Counter>,
    waiting: Family<UpstreamLabels, Gauge>,
    ports: Gauge,
}

/// The metrics of one upstream.
#[derive(Clone)]
pub struct UpstreamMetrics {
    families: UpstreamFamilies,
    labels: UpstreamLabels,
}

/// The metrics of one address of an upstream.
pub struct AddressMetrics {
    connections: Gauge,
    passed_over: Gauge,
    failures: Family<FaultLabels, Counter>,
    labels: AddressLabels,
}

/// Counts a waiting request until it is dropped.
pub struct Waiting(Gauge);

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct UpstreamLabels {
    upstream: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AddressLabels {
    upstream: &'static str,
    address: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FaultLabels {
    upstream: &'static str,
    address: String,
    fault: &'static str,
}

/// The values of the label for the reason of a failure.
const FAULTS: [&str; 5] = ["refused", "late", "unreachable", "no_port", "silent"];

impl UpstreamFamilies {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let families = Self {
            connections: Family::default(),
            passed_over: Family::default(),
            failures: Family::default(),
            names: Family::default(),
            full: Family::default(),
            waiting: Family::default(),
            ports: Gauge::default(),
        };
        registry.register(
            "upstream_connections",
            "Connections open to an address of an upstream, tunnels and idle ones included",
            families.connections.clone(),
        );
        registry.register(
            "upstream_local_ports",
            "Connections for which the system has local ports, for each address of an upstream",
            families.ports.clone(),
        );
        registry.register(
            "upstream_address_passed_over",
            "1 while an address of an upstream is asked after the others, as it fails",
            families.passed_over.clone(),
        );
        registry.register(
            "upstream_address_failures",
            "Connections that an address of an upstream did not give, and requests that it did not answer, by fault",
            families.failures.clone(),
        );
        registry.register(
            "upstream_name_failures",
            "Times that a name of an upstream could not be looked up",
            families.names.clone(),
        );
        registry.register(
            "upstream_waiting",
            "Requests that wait for a connection, as none is free or the upstream is away",
            families.waiting.clone(),
        );
        registry.register(
            "upstream_full",
            "Requests answered with 503, as all connections that may be were in use",
            families.full.clone(),
        );
        families
    }

    pub(super) fn of(&self, upstream: &'static str) -> UpstreamMetrics {
        let labels = UpstreamLabels { upstream };
        // They are there from the start, so that a first one is seen as a change.
        drop(self.full.get_or_create(&labels));
        drop(self.names.get_or_create(&labels));
        drop(self.waiting.get_or_create(&labels));
        UpstreamMetrics {
            families: self.clone(),
            labels,
        }
    }
}

impl UpstreamMetrics {
    pub fn upstream(&self) -> &'static str {
        self.labels.upstream
    }

    /// Sets the number of local ports for each address.
    pub fn local_ports(&self, ports: usize) {
        self.families.ports.set(i64::try_from(ports).unwrap_or(i64::MAX));
    }

    /// Counts a failed lookup of a name.
    pub fn name_failed(&self) {
        self.families.names.get_or_create(&self.labels).inc();
    }

    /// Counts a request that waits for a connection.
    pub fn waits(&self) -> Waiting {
        let waiting = self.families.waiting.get_or_create_owned(&self.labels);
        waiting.inc();
        Waiting(waiting)
    }

    /// How many wait for a connection.
    pub fn waiting(&self) -> i64 {
        self.families.waiting.get_or_create(&self.labels).get()
    }

    /// Counts a request that has waited in vain.
    pub fn was_full(&self) {
        self.families.full.get_or_create(&self.labels).inc();
    }

    /// The metrics of an address.
    pub fn address(&self, address: String) -> AddressMetrics {
        let labels = self.address_labels(address);
        let passed_over = self.families.passed_over.get_or_create_owned(&labels);
        passed_over.set(0);
        AddressMetrics {
            connections: self.families.connections.get_or_create_owned(&labels),
            passed_over,
            failures: self.families.failures.clone(),
            labels,
        }
    }

    /// Removes the metrics of an address that is no longer used.
    pub fn forget(&self, address: &str) {
        let labels = self.address_labels(address.to_owned());
        self.families.connections.remove(&labels);
        self.families.passed_over.remove(&labels);
        for fault in FAULTS {
            self.families.failures.remove(&labels.with(fault));
        }
    }

    fn address_labels(&self, address: String) -> AddressLabels {
        AddressLabels {
            upstream: self.labels.upstream,
            address,
        }
    }
}

impl AddressMetrics {
    /// Counts a new connection. Returns the number of open ones.
    pub fn opened(&self) -> usize {
        usize::try_from(self.connections.inc() + 1).unwrap_or_default()
    }

    /// Counts a connection that has ended.
    pub fn closed(&self) {
        self.connections.dec();
    }

    /// Sets whether other addresses are tried before this one.
    pub fn passed_over(&self, passed_over: bool) {
        self.passed_over.set(passed_over.into());
    }

    /// Counts a failure of the address.
    pub fn failed(&self, fault: &'static str) {
        self.failures.get_or_create(&self.labels.with(fault)).inc();
    }
}

impl AddressLabels {
    fn with(&self, fault: &'static str) -> FaultLabels {
        FaultLabels {
            upstream: self.upstream,
            address: self.address.clone(),
            fault,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.dec();
    }
}
