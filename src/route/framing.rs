//! Warns the operator of a site that shows the client in a frame although no site may. The person there sees a blank
//! frame, and the browser does not say why.
//!
//! Sources: W3C Fetch Metadata Request Headers; CSP level 3 section 6.4.2 (`frame-ancestors`).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use hyper::{HeaderMap, header};
use tracing::warn;
use url::Url;

use crate::{clock::Clock, observe::Metrics};

/// The seconds between two warnings about one site.
const QUIET_SECS: i64 = 3600;

/// The largest number of sites that are remembered. While it is reached there are no warnings about other sites.
const MAX_SITES: usize = 256;

/// The text for a site that the browser does not name.
const UNKNOWN: &str = "https://SITE.example.org";

/// Warns the operator of frames that browsers leave blank.
pub struct Framing {
    /// Does `session.frame_ancestors` name no site?
    nobody_may: bool,
    /// The time of the last warning about each site, in seconds since 1970.
    told: Arc<Mutex<HashMap<String, i64>>>,
    metrics: Arc<Metrics>,
    clock: Clock,
}

impl Framing {
    /// Makes it. `nobody_may`: does `session.frame_ancestors` name no site?
    pub fn new(nobody_may: bool, metrics: Arc<Metrics>, clock: Clock) -> Self {
        Self {
            nobody_may,
            told: Arc::default(),
            metrics,
            clock,
        }
    }

    /// Under another setting, with what has been told.
    #[must_use]
    pub fn again(&self, nobody_may: bool) -> Self {
        Self {
            nobody_may,
            told: Arc::clone(&self.told),
            metrics: Arc::clone(&self.metrics),
            clock: self.clock.clone(),
        }
    }

    /// Looks at a request for the client's page.
    pub(super) fn watch(&self, headers: &HeaderMap) {
        if !self.nobody_may || !is_framed_by_others(headers) {
            return;
        }
        self.metrics.frame_refused();
        let site = site_of(headers).unwrap_or_else(|| UNKNOWN.to_owned());
        if self.is_news(&site) {
            let line = format!("frame_ancestors = [\"{site}\"]");
            warn!(
                site,
                section = "session",
                line,
                "A site shows the client in a frame, which stays blank as session.frame_ancestors names nobody"
            );
        }
    }

    fn is_news(&self, site: &str) -> bool {
        let now = self.clock.unix();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = |at: i64| now.saturating_sub(at) >= QUIET_SECS;
        if told.get(site).is_some_and(|at| !is_old(*at)) {
            return false;
        }
        if told.len() >= MAX_SITES {
            told.retain(|_, at| !is_old(*at));
        }
        let has_room = told.len() < MAX_SITES;
        if has_room {
            told.insert(site.to_owned(), now);
        }
        has_room
    }
}

fn is_framed_by_others(headers: &HeaderMap) -> bool {
    let is = |name: &str, values: &[&str]| {
        headers
            .get(name)
            .is_some_and(|found| values.iter().any(|value| found == value))
    };
    is("sec-fetch-mode", &["navigate"])
        && is("sec-fetch-dest", &["iframe", "frame", "embed", "object"])
        && is("sec-fetch-site", &["cross-site", "same-site"])
}

/// The origin of the page around the frame, if the browser tells it.
fn site_of(headers: &HeaderMap) -> Option<String> {
    let named = |name| Url::parse(headers.get(name)?.to_str().ok()?).ok();
    let url = [header::REFERER, header::ORIGIN].into_iter().find_map(named)?;
    let origin = url.origin();
    let is_web = matches!(url.scheme(), "https" | "http");
    (is_web && origin.is_tuple()).then(|| origin.ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(clock: Clock) -> Framing {
        Framing::new(true, Arc::new(Metrics::default()), clock)
    }

    fn asked(fields: &[(&'static str, &str)]) -> HeaderMap {
        let fields = fields.iter().map(|(name, value)| {
            (
                header::HeaderName::from_static(name),
                header::HeaderValue::from_str(value).unwrap(),
            )
        });
        fields.collect()
    }

    #[test]
    fn a_frame_of_another_site_is_one_in_any_element() {
        for (mode, dest, site, framed) in [
            ("navigate", "iframe", "cross-site", true),
            ("navigate", "frame", "same-site", true),
            ("navigate", "object", "cross-site", true),
            ("navigate", "embed", "cross-site", true),
            ("navigate", "iframe", "same-origin", false),
            ("navigate", "document", "cross-site", false),
            ("no-cors", "object", "cross-site", false),
        ] {
            let headers = asked(&[
                ("sec-fetch-mode", mode),
                ("sec-fetch-dest", dest),
                ("sec-fetch-site", site),
            ]);
            assert_eq!(is_framed_by_others(&headers), framed, "{mode} {dest} {site}");
        }
    }

    #[test]
    fn a_site_is_named_by_its_origin_alone() {
        for (name, value, site) in [
            (
                "referer",
                "https://lms.example.org:8443/course?id=1",
                Some("https://lms.example.org:8443"),
            ),
            (
                "origin",
                "https://lms.example.org",
                Some("https://lms.example.org"),
            ),
            ("origin", "null", None),
            ("referer", "about:blank", None),
            ("referer", "https://a.example\"]; x", None),
        ] {
            assert_eq!(site_of(&asked(&[(name, value)])).as_deref(), site, "{value}");
        }
    }

    #[test]
    fn each_site_is_news_once_an_hour_and_not_too_many_are() {
        let framing = framing(Clock::system());
        assert!(framing.is_news("https://a.example"));
        assert!(!framing.is_news("https://a.example"));
        assert!(framing.is_news("https://b.example"));
        for nth in 2..MAX_SITES {
            assert!(framing.is_news(&format!("https://s{nth}.example")));
        }
        assert!(!framing.is_news("https://one-too-many.example"));
        for at in framing.told.lock().unwrap().values_mut() {
            *at -= QUIET_SECS;
        }
        assert!(framing.is_news("https://a.example"));
    }
}
