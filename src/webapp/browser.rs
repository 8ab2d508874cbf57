//! Which kind of browser asks, as far as a page differs by it.

use hyper::{HeaderMap, header::HeaderName};

/// The field by which Chromium, and what is built from it, names itself to secure origins. Firefox and Safari do not send
/// it.
///
/// Source: User-Agent Client Hints, section 3.1.
const SEC_CH_UA: HeaderName = HeaderName::from_static("sec-ch-ua");

/// The kind of a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Browser {
    /// Chrome, Edge, Opera, and all others that are built from Chromium.
    Chromium,
    Other,
}

impl Browser {
    pub fn of(headers: &HeaderMap) -> Self {
        if headers.contains_key(SEC_CH_UA) {
            Self::Chromium
        } else {
            Self::Other
        }
    }
}
