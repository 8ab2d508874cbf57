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

/// What of a page shows a document that somebody goes to.
const FRAMES: [&str; 5] = ["iframe", "frame", "object", "embed", "fencedframe"];

/// For what a browser asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// A page that somebody goes to.
    Document,
    /// The document of a frame.
    Frame,
    /// An image, a style sheet, a script or what a script fetches: nobody goes anywhere.
    Part,
    /// Nothing is said of it: no browser, or an old one.
    Unsaid,
}

impl Destination {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let said = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        match (said("sec-fetch-mode"), said("sec-fetch-dest")) {
            (Some(mode), _) if mode != "navigate" => Self::Part,
            (_, Some("document")) => Self::Document,
            (_, Some(destination)) if FRAMES.contains(&destination) => Self::Frame,
            (_, Some(_)) => Self::Part,
            (_, None) => Self::Unsaid,
        }
    }
}

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

/// A page that somebody goes to, as far as anything is said of it: scripts and older browsers say nothing.
pub(super) fn may_be_navigation(headers: &HeaderMap) -> bool {
    Destination::of(headers) != Destination::Part
}

/// A page that somebody goes to with a browser.
pub(super) fn is_navigation(headers: &HeaderMap) -> bool {
    headers
        .get("sec-fetch-mode")
        .is_some_and(|mode| mode == "navigate")
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

/// Does a browser say that another site asked for it?
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
        for frame in FRAMES {
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
