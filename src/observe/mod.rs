//! What the operator sees: the log, one access record for each request, one audit line for each token, and what is
//! counted.
//!
//! SECURITY: no query string and no secret part of a path is ever written (`redact`).

mod access;
mod audit;
mod buffer;
mod json_line;
mod log;
mod metrics;
mod once_a_minute;
mod redact;
mod taken;

pub use access::{AccessLog, AccessRecord, Records};
pub use audit::{AuditLog, Decision, Outcome};
pub use buffer::{Buffer, Flusher};
pub use log::{Log, LogFormat, LogSettings};
pub use metrics::Metrics;
pub use once_a_minute::OnceAMinute;
pub use redact::redacted;
pub use taken::TakenOut;
