//! The metrics, which Prometheus fetches from the admin listener.
//!
//! Labels come from short lists (routes, statuses, names in the configuration, our own words), so their number is
//! bounded whatever clients send.

use std::{collections::BTreeMap, fmt};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{
    acme_metrics::AcmeMetrics,
    config_metrics::ConfigMetrics,
    exposition::{Exposition, as_text},
    joining_metrics::JoiningMetrics,
    upstream_metrics::{UpstreamFamilies, UpstreamMetrics},
};

/// All metrics of one gateway.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    decisions: Family<DecisionLabels, Counter>,
    limits_shared: Gauge,
    limits_local: Counter,
    tunnels: Family<TunnelLabels, Gauge>,
    stray_cookies: Counter,
    design_fields: Family<RuleLabels, Counter>,
    aborted: Family<AbortLabels, Counter>,
    frames_refused: Counter,
    upstreams: UpstreamFamilies,
    connections_refused: Family<ReasonLabels, Counter>,
    certificates: Family<NameLabels, Gauge>,
    config: ConfigMetrics,
    joining: JoiningMetrics,
    tls_handshakes: Family<OutcomeLabels, Counter>,
    acme: AcmeMetrics,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AbortLabels {
    by: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RuleLabels {
    rule: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct NameLabels {
    name: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TunnelLabels {
    upstream: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DecisionLabels {
    caller: String,
    outcome: &'static str,
    reason: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let (requests, decisions) = (Family::default(), Family::default());
        let (limits_shared, limits_local) = (Gauge::default(), Counter::default());
        let mut registry = Registry::with_prefix("plugnmeet_gateway");
        registry.register(
            "requests",
            "Requests answered, by part of the URL space and status",
            requests.clone(),
        );
        registry.register(
            "tokens",
            "Decisions on tokens, by caller, outcome and reason",
            decisions.clone(),
        );
        registry.register(
            "limits_shared",
            "1 while limits are counted in Redis, for all replicas together",
            limits_shared.clone(),
        );
        registry.register(
            "limits_local",
            "Decisions of limits made here because Redis did not answer",
            limits_local.clone(),
        );
        let stray_cookies = Counter::default();
        registry.register(
            "stray_cookies",
            "Page requests with session cookies that were not ours to read, which were cleared",
            stray_cookies.clone(),
        );
        let design_fields = Family::default();
        registry.register(
            "design_fields_taken_out",
            "Fields taken out of designs, by the rule that they break",
            design_fields.clone(),
        );
        let aborted = Family::default();
        registry.register(
            "answers_aborted",
            "Answers that did not come to their end, by who broke them off: client, upstream or limit",
            aborted.clone(),
        );
        let frames_refused = Counter::default();
        registry.register(
            "frames_refused",
            "Pages that other sites asked for in a frame while session.frame_ancestors names nobody",
            frames_refused.clone(),
        );
        let connections_refused = Family::default();
        registry.register(
            "connections_refused",
            "Connections that ended before a request could be read, by reason",
            connections_refused.clone(),
        );
        let certificates = Family::default();
        registry.register(
            "certificate_not_after_seconds",
            "When the certificate that clients of a name get ends, in seconds since 1970",
            certificates.clone(),
        );
        let config = ConfigMetrics::registered(&mut registry);
        let tls_handshakes = Family::default();
        registry.register(
            "tls_handshakes",
            "Handshakes of TLS, by how they ended: done, or why they failed",
            tls_handshakes.clone(),
        );
        let tunnels = Family::default();
        registry.register(
            "tunnels",
            "WebSockets and relays of other protocols open, by upstream",
            tunnels.clone(),
        );
        let upstreams = UpstreamFamilies::registered(&mut registry);
        let joining = JoiningMetrics::registered(&mut registry);
        let acme = AcmeMetrics::registered(&mut registry);
        Self {
            registry,
            requests,
            decisions,
            limits_shared,
            limits_local,
            tunnels,
            stray_cookies,
            design_fields,
            aborted,
            frames_refused,
            upstreams,
            connections_refused,
            certificates,
            config,
            joining,
            tls_handshakes,
            acme,
        }
    }
}

impl Metrics {
    /// Counts an answered request.
    pub(super) fn answered(&self, route: &'static str, status: u16) {
        self.requests
            .get_or_create(&RequestLabels { route, status })
            .inc();
    }

    /// Counts an answer that was broken off.
    pub(super) fn aborted(&self, by: &'static str) {
        self.aborted.get_or_create(&AbortLabels { by }).inc();
    }

    /// When the certificates of names end, in seconds since 1970. Names that are not among them are forgotten.
    pub fn certificates(&self, ends: &BTreeMap<String, i64>) {
        self.certificates.clear();
        for (name, end) in ends {
            let labels = NameLabels { name: name.clone() };
            self.certificates.get_or_create(&labels).set(*end);
        }
    }

    /// What is counted of the configuration.
    pub fn config(&self) -> &ConfigMetrics {
        &self.config
    }

    /// What is counted of certificates by themselves.
    pub fn acme(&self) -> &AcmeMetrics {
        &self.acme
    }

    /// The gauge of open tunnels to an upstream.
    pub fn tunnels(&self, upstream: &'static str) -> Gauge {
        self.tunnels.get_or_create_owned(&TunnelLabels { upstream })
    }

    /// The metrics of people who join.
    pub fn joining(&self) -> JoiningMetrics {
        self.joining.clone()
    }

    /// The metrics of an upstream.
    pub fn upstream(&self, upstream: &'static str) -> UpstreamMetrics {
        self.upstreams.of(upstream)
    }

    /// Counts a decision on a token.
    pub(super) fn decided(&self, caller: &str, outcome: &'static str, reason: &'static str) {
        let labels = DecisionLabels {
            caller: caller.to_owned(),
            outcome,
            reason,
        };
        self.decisions.get_or_create(&labels).inc();
    }

    /// Sets whether limits are counted in Redis.
    pub fn limits_shared(&self, shared: bool) {
        self.limits_shared.set(shared.into());
    }

    /// Counts a decision that should have been made in Redis and was made in this process.
    pub fn limited_locally(&self) {
        self.limits_local.inc();
    }

    /// Counts a request with cookies that could be taken for a session's.
    pub fn stray_cookies(&self) {
        self.stray_cookies.inc();
    }

    /// Counts a field that was taken out of a design by this rule.
    pub fn design_field_taken_out(&self, rule: &'static str) {
        self.design_fields.get_or_create(&RuleLabels { rule }).inc();
    }

    /// Counts a page that another site asked for in a frame, and that browsers leave blank.
    pub fn frame_refused(&self) {
        self.frames_refused.inc();
    }

    /// Counts a connection that ended before a request could be read.
    pub fn connection_refused(&self, reason: &'static str) {
        self.connections_refused
            .get_or_create(&ReasonLabels { reason })
            .inc();
    }

    /// A handshake of TLS has ended.
    pub fn tls_handshake(&self, outcome: &'static str) {
        self.tls_handshakes
            .get_or_create(&OutcomeLabels { outcome })
            .inc();
    }

    /// All metrics in this format.
    pub fn text(&self, format: Exposition) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(match format {
            Exposition::OpenMetrics => text,
            Exposition::Text => as_text(&text),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_told() {
        let metrics = Metrics::default();
        metrics.answered("issue", 200);
        metrics.answered("issue", 200);
        metrics.decided("server", "refused", "over_limit");
        let text = metrics.text(Exposition::OpenMetrics).unwrap();
        for line in [
            r#"plugnmeet_gateway_requests_total{route="issue",status="200"} 2"#,
            r#"plugnmeet_gateway_tokens_total{caller="server",outcome="refused",reason="over_limit"} 1"#,
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
