//! What the operator sees: the log, an access record for each request, an audit line for each decision on a token, and
//! the metrics.
//!
//! SECURITY: no query string and no secret part of a path is ever written (`redact`).

mod access;
mod acme_metrics;
mod audit;
mod buffer;
mod config_metrics;
mod exposition;
mod joining_metrics;
mod json_line;
mod log;
mod metrics;
mod once_a_minute;
mod redact;
mod taken;
mod upstream_metrics;

pub use access::{AccessLog, AccessRecord, BrokenBy, Records};
pub use audit::{AuditLog, Decision, Outcome};
pub use buffer::{Buffer, Flusher};
pub use config_metrics::ConfigMetrics;
pub use exposition::Exposition;
pub use joining_metrics::{Counted, JoiningMetrics};
pub use log::{Log, LogFormat, LogLevel, LogSettings};
pub use metrics::Metrics;
pub use once_a_minute::OnceAMinute;
pub use redact::redacted;
pub use taken::TakenOut;
pub use upstream_metrics::{AddressMetrics, UpstreamMetrics, Waiting};
