//! What the operator sees: the log, and one access record for each request.
//!
//! SECURITY: no query string and no secret part of a path is ever written (`redact`).

mod access;
mod log;
mod redact;

pub use access::AccessRecord;
pub use log::{LogFormat, LogSettings, start};
pub use redact::redacted;
