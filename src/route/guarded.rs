//! Adds header fields to content that is dangerous at our origin: files that people have uploaded, and a page that asks
//! for the API secret.
//!
//! Browsers save a download and do not show it, because the server marks each as `attachment` (docs/plugnmeet.md
//! section 8). If one is shown all the same, it is in a sandbox, with an origin of its own and without scripts. PDFs
//! still work there: Chromium's viewer (156) was seen to draw the same page with a sandbox and without.
//!
//! Not here: what is such a path (`crate::urls`), whether the login page is among the client's files (`crate::webapp`).
//!
//! Sources: CSP level 3 section 6.4.3 (`sandbox`), Fetch standard "X-Content-Type-Options", docs/plugnmeet.md
//! section 12 (the login page).

use hyper::{
    HeaderMap,
    header::{CONTENT_SECURITY_POLICY, HeaderValue, X_CONTENT_TYPE_OPTIONS},
};

use crate::{
    http::{no_referrer, no_store},
    urls::Content,
};

const LOGIN_POLICY: &str = "connect-src 'self'; form-action 'self'; frame-ancestors 'none'";

/// Adds the header fields that keep this content from acting in our origin.
pub(super) fn apply(content: Content, headers: &mut HeaderMap) {
    match content {
        Content::Plain => {}
        Content::Download => {
            no_sniffing(headers);
            // Beside the server's own, if it has one: both hold.
            headers.append(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
        }
        Content::Login => {
            no_sniffing(headers);
            headers.append(CONTENT_SECURITY_POLICY, HeaderValue::from_static(LOGIN_POLICY));
            no_store(headers);
            no_referrer(headers);
        }
    }
}

fn no_sniffing(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}
