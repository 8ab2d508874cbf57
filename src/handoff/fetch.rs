//! What a browser says of a request beside its target: why it asks, for what, and on whose behalf.
//!
//! SECURITY: scripts can't set these fields, but anybody who is no browser can. So they only ever decide what is good for
//! the one who sent them.
//!
//! Sources: W3C Fetch Metadata Request Headers; RFC 6454 section 7 (`Origin`).

use hyper::{
    HeaderMap,
    header::{self, HeaderName},
};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Is a browser only guessing that this page will be wanted? Old and new names of the same announcement.
pub fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-purpose", "x-moz"]
        .iter()
        .any(|name| {
            headers.get_all(*name).iter().any(|value| {
                value.to_str().is_ok_and(|value| {
                    let value = value.to_ascii_lowercase();
                    ["prefetch", "prerender", "preview"]
                        .iter()
                        .any(|word| value.contains(word))
                })
            })
        })
}

/// The document of a frame in another site's page.
pub(super) fn is_cross_site_frame(headers: &HeaderMap) -> bool {
    says(headers, "sec-fetch-dest", "iframe") && says(headers, "sec-fetch-site", "cross-site")
}

/// A page that somebody goes to, as far as anything is said of it: scripts and older browsers say nothing.
pub(super) fn may_be_navigation(headers: &HeaderMap) -> bool {
    headers
        .get("sec-fetch-mode")
        .is_none_or(|mode| mode == "navigate")
}

/// A page that somebody goes to with a browser.
pub(super) fn is_navigation(headers: &HeaderMap) -> bool {
    says(headers, "sec-fetch-mode", "navigate")
}

/// Did a page of this very origin ask for it? Not so where nothing is said.
pub(super) fn is_same_origin(headers: &HeaderMap, authority: &str) -> bool {
    match headers.get(SEC_FETCH_SITE) {
        Some(site) => site == "same-origin",
        None => headers
            .get(header::ORIGIN)
            .and_then(|origin| origin.to_str().ok()?.strip_prefix("https://"))
            .is_some_and(|origin| origin.eq_ignore_ascii_case(authority)),
    }
}

/// Does a browser say that something other than a page of ours led here: another site, or the person's own hand?
pub(super) fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    headers
        .get(SEC_FETCH_SITE)
        .is_some_and(|site| site != "same-origin")
}

/// Does a browser say that another site asked for it?
pub(super) fn is_of_another_site(headers: &HeaderMap, authority: &str) -> bool {
    match headers.get(SEC_FETCH_SITE) {
        Some(site) => site != "same-origin" && site != "none",
        None => headers.contains_key(header::ORIGIN) && !is_same_origin(headers, authority),
    }
}

fn says(headers: &HeaderMap, name: &str, value: &str) -> bool {
    headers.get(name).is_some_and(|found| found == value)
}
