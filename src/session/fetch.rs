//! The request fields with which a browser says what it will do with the answer, and whose page sent the request.
//!
//! SECURITY: scripts can't set these fields, but a client that is no browser can. So they only decide what protects the
//! client that sends them.
//!
//! Sources: W3C Fetch Metadata Request Headers; RFC 6454 section 7 (`Origin`).

use hyper::{
    HeaderMap,
    header::{self, HeaderName},
};

use crate::http::is_for_frame;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What the browser will do with the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// Show it as a page that somebody visits.
    Document,
    /// Show it as the document of a frame.
    Frame,
    /// Use it within a page: as an image, a style sheet, a script, or as data for a script.
    Part,
    /// Unknown: the client is an old browser or no browser.
    Unsaid,
}

impl Destination {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let said = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        match (said("sec-fetch-mode"), said("sec-fetch-dest")) {
            (Some(mode), _) if mode != "navigate" => Self::Part,
            (_, Some("document")) => Self::Document,
            _ if is_for_frame(headers) => Self::Frame,
            (_, Some(_)) => Self::Part,
            (_, None) => Self::Unsaid,
        }
    }
}

/// Does the browser prefetch this page, without knowing that somebody wants it? Checks the current and the older
/// fields.
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

/// May this be a page visit? Also true for clients that do not tell, such as scripts and older browsers.
pub(super) fn may_be_navigation(headers: &HeaderMap) -> bool {
    Destination::of(headers) != Destination::Part
}

/// Does the browser say that this is a page visit?
pub(super) fn is_navigation(headers: &HeaderMap) -> bool {
    headers
        .get("sec-fetch-mode")
        .is_some_and(|mode| mode == "navigate")
}

/// Did a page of this origin send the request? False if the client does not tell.
pub(super) fn is_same_origin(headers: &HeaderMap, authority: &str) -> bool {
    match headers.get(SEC_FETCH_SITE) {
        Some(site) => site == "same-origin",
        None => headers
            .get(header::ORIGIN)
            .and_then(|origin| origin.to_str().ok()?.strip_prefix("https://"))
            .is_some_and(|origin| origin.eq_ignore_ascii_case(authority)),
    }
}

/// Does the browser say that another site's page sent the request?
pub(super) fn is_of_another_site(headers: &HeaderMap, authority: &str) -> bool {
    match headers.get(SEC_FETCH_SITE) {
        Some(site) => site != "same-origin" && site != "none",
        None => headers.contains_key(header::ORIGIN) && !is_same_origin(headers, authority),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn for_what_a_browser_asks() {
        let of = |mode: Option<&'static str>, destination: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            for (name, value) in [("sec-fetch-mode", mode), ("sec-fetch-dest", destination)] {
                if let Some(value) = value {
                    headers.insert(name, HeaderValue::from_static(value));
                }
            }
            Destination::of(&headers)
        };
        let navigate = Some("navigate");
        assert_eq!(of(navigate, Some("document")), Destination::Document);
        for frame in crate::http::FRAMES {
            assert_eq!(of(navigate, Some(frame)), Destination::Frame, "{frame}");
        }
        for (mode, destination) in [
            (Some("no-cors"), Some("image")),
            (Some("cors"), Some("empty")),
            (Some("no-cors"), Some("object")),
            (Some("same-origin"), None),
            (None, Some("style")),
        ] {
            assert_eq!(
                of(mode, destination),
                Destination::Part,
                "{mode:?} {destination:?}"
            );
        }
        assert_eq!(of(None, None), Destination::Unsaid);
        assert_eq!(of(navigate, None), Destination::Unsaid);
    }
}
