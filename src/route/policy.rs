//! What pages may do: what the client's page may load and use, and who may put it, or a page of ours, into a frame.
//!
//! No `Cross-Origin-Opener-Policy`: the learning platform's window opens the client and hears that it was closed, and a
//! breakout room is opened by the page of its room. No `Cross-Origin-Embedder-Policy`: logos, pictures, style sheets
//! and embedded players come from hosts that never agreed to it (docs/plugnmeet.md section 12).
//!
//! Not here: the client's content security policy (`super::client_policy`), the headers of files (`crate::webapp`), of
//! what comes from upstreams, which are the upstreams' own.
//!
//! Sources: docs/plugnmeet.md sections 7 (the policy under which the client was seen to load), 8 (CORS) and 12;
//! CSP level 3; Permissions Policy section 5; Fetch standard, "Cross-Origin-Resource-Policy header".

use hyper::{
    HeaderMap,
    header::{
        CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY_REPORT_ONLY, HeaderName, HeaderValue,
        REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    },
};

use super::{
    client_policy::ClientPolicy,
    page_settings::{Csp, PageProblem, PageSettings, joined, value},
};
use crate::{
    check_page::script_source,
    reply::page::{OwnPage, POLICY},
};

const CORP: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");

/// The features that the client's page, and a site that frames it, may use. The framing page must still give each of
/// them to its frame. Others that the client uses, such as autoplay, clipboard and wake lock, are allowed by default
/// and not named.
const DEVICES: [&str; 4] = ["camera", "microphone", "display-capture", "speaker-selection"];

/// The header fields of pages, made once at the start.
#[derive(Debug)]
pub struct PageHeaders {
    own: HeaderValue,
    own_with_forms: HeaderValue,
    /// The policy of the page that tries what the client needs.
    check: HeaderValue,
    /// The policy that says which sites may frame the page, if the main policy is only reported or not sent: it works
    /// only when enforced.
    ancestors: Option<HeaderValue>,
    policy: Option<(HeaderName, ClientPolicy)>,
    permissions: HeaderValue,
    resource_policy: HeaderValue,
}

impl PageHeaders {
    /// Makes all header fields.
    pub fn new(settings: &PageSettings) -> Result<Self, PageProblem> {
        let framed = &settings.frame_ancestors;
        let ancestors = if framed.is_empty() {
            "frame-ancestors 'none'".to_owned()
        } else {
            format!("frame-ancestors {}", joined(framed)?)
        };
        let own = |forms: &str| value(format!("{}; form-action {forms}; {ancestors}", *POLICY));
        let policy = ClientPolicy::new(settings, &ancestors)?;
        // Some browsers do not count WebSockets to `'self'`.
        let sockets = joined(&[settings.public_origin.replacen("https:", "wss:", 1)])?;
        let check = format!(
            "{}; script-src {}; connect-src 'self' {sockets}; form-action 'none'; {ancestors}",
            *POLICY,
            script_source()
        );
        let (policy, alone) = match settings.csp {
            Csp::Enforce => (Some((CONTENT_SECURITY_POLICY, policy)), None),
            Csp::Report => (
                Some((CONTENT_SECURITY_POLICY_REPORT_ONLY, policy)),
                Some(ancestors.clone()),
            ),
            Csp::Off => (None, Some(ancestors.clone())),
        };
        let origins: Vec<&String> = framed.iter().filter(|source| source.contains("://")).collect();
        Ok(Self {
            own: own("'none'")?,
            own_with_forms: own("'self'")?,
            check: value(check)?,
            ancestors: alone.map(value).transpose()?,
            policy,
            permissions: permissions(&origins)?,
            // A page that frames this one may have a COEP, under which it could not load it.
            resource_policy: HeaderValue::from_static(if origins.is_empty() {
                "same-origin"
            } else {
                "cross-origin"
            }),
        })
    }

    /// Adds the fields for the client's page at the authority `asked`. A script in the page may run if it has this
    /// nonce.
    pub(super) fn of_client(&self, headers: &mut HeaderMap, asked: Option<&str>, nonce: Option<&str>) {
        if let Some(ancestors) = &self.ancestors {
            headers.insert(CONTENT_SECURITY_POLICY, ancestors.clone());
        }
        if let Some((name, policy)) = &self.policy {
            headers.insert(name, policy.with(asked, nonce));
        }
        headers.insert(PERMISSIONS, self.permissions.clone());
        // Players of videos refuse to play for pages that don't say where they are; no address of ours has a token.
        headers.insert(
            REFERRER_POLICY,
            HeaderValue::from_static("strict-origin-when-cross-origin"),
        );
        self.of_any(headers);
    }

    /// Adds the fields for a page of the gateway's own.
    pub(super) fn of_own(&self, headers: &mut HeaderMap, page: OwnPage) {
        let policy = match page {
            OwnPage::Plain => &self.own,
            OwnPage::Forms => &self.own_with_forms,
            OwnPage::Check => {
                // What the client may use here is what is tried.
                headers.insert(PERMISSIONS, self.permissions.clone());
                &self.check
            }
        };
        headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
        self.of_any(headers);
    }

    fn of_any(&self, headers: &mut HeaderMap) {
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // What stands in a shared file's place is shared as the file would be.
        headers
            .entry(CORP)
            .or_insert_with(|| self.resource_policy.clone());
    }
}

/// An allowlist as a structured field (RFC 8941): the page itself, and these origins in quotes.
fn permissions(origins: &[&String]) -> Result<HeaderValue, PageProblem> {
    let origins: String = origins.iter().flat_map(|origin| [" \"", origin, "\""]).collect();
    let mut policy: Vec<String> = DEVICES
        .iter()
        .map(|device| format!("{device}=(self{origins})"))
        .collect();
    // Players of videos and external pages in the meeting go full screen too.
    policy.push("fullscreen=*".to_owned());
    value(policy.join(", "))
}

#[cfg(test)]
mod tests {
    use super::{super::source::CspSource, *};

    fn owned(list: &[&str]) -> Vec<String> {
        list.iter().map(|&text| text.to_owned()).collect()
    }

    fn client_headers(settings: &PageSettings, nonce: Option<&str>) -> HeaderMap {
        headers_at(settings, None, nonce)
    }

    fn headers_at(settings: &PageSettings, asked: Option<&str>, nonce: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        PageHeaders::new(settings)
            .unwrap()
            .of_client(&mut headers, asked, nonce);
        headers
    }

    const CONTRACT: &str = "default-src 'self'; script-src https://conf.example.org/conference/assets/ \
                            https://conf.example.org/conference/r/ https://conf.example.org/assets/ \
                            'wasm-unsafe-eval'; worker-src 'self' blob:; style-src \
                            https://conf.example.org/conference/assets/ https://conf.example.org/conference/r/ \
                            https://conf.example.org/assets/ 'unsafe-inline'; img-src 'self' data: blob: https:; \
                            font-src 'self' data:; media-src 'self' blob: https:; connect-src 'self' ws: wss: \
                            https://conf.example.org; frame-src https:; object-src 'none'; base-uri 'self'; \
                            form-action 'self'";

    #[test]
    fn the_clients_policy_is_the_one_under_which_it_was_seen_to_load() {
        let headers = client_headers(&PageSettings::of_a_test(), None);
        assert_eq!(
            headers["content-security-policy"],
            format!("{CONTRACT}; frame-ancestors 'none'")
        );
        assert_eq!(
            headers["permissions-policy"],
            "camera=(self), microphone=(self), display-capture=(self), speaker-selection=(self), fullscreen=*"
        );
        assert_eq!(headers["referrer-policy"], "strict-origin-when-cross-origin");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["cross-origin-resource-policy"], "same-origin");
        assert_eq!(headers.len(), 5);
    }

    #[test]
    fn a_policy_that_is_only_reported_leaves_the_framing_enforced() {
        let report = PageSettings {
            csp: Csp::Report,
            csp_report: Some("https://reports.example.org/csp".to_owned()),
            ..PageSettings::of_a_test()
        };
        let headers = client_headers(&report, None);
        assert_eq!(headers["content-security-policy"], "frame-ancestors 'none'");
        assert_eq!(
            headers["content-security-policy-report-only"],
            format!("{CONTRACT}; report-uri https://reports.example.org/csp")
        );
        let off = PageSettings {
            csp: Csp::Off,
            ..PageSettings::of_a_test()
        };
        let headers = client_headers(&off, Some("abc"));
        assert_eq!(headers["content-security-policy"], "frame-ancestors 'none'");
        assert!(!headers.contains_key("content-security-policy-report-only"));
    }

    #[test]
    fn what_is_opened_follows_what_the_client_needs() {
        let mut settings = PageSettings {
            css_sources: owned(&["https://cdn.example.org", "https://*.example.org"]),
            ..PageSettings::of_a_test()
        };
        let sources = |texts: &[&str]| texts.iter().map(|text| CspSource::parse(text).unwrap()).collect();
        let opened = &mut settings.csp_sources;
        opened.set("connect-src", sources(&["https:", "wss:"])).unwrap();
        opened.set("object-src", sources(&["https://a.example"])).unwrap();
        opened
            .set("style-src", sources(&["https://cdn.example.org"]))
            .unwrap();
        assert_eq!(opened.set("base-uri", Vec::new()), None);
        assert_eq!(opened.set("frame-ancestors", Vec::new()), None);
        let headers = client_headers(&settings, None);
        let policy = headers["content-security-policy"].to_str().unwrap();
        for directive in [
            "style-src https://conf.example.org/conference/assets/ https://conf.example.org/conference/r/ \
             https://conf.example.org/assets/ 'unsafe-inline' https://cdn.example.org https://*.example.org;",
            "connect-src 'self' ws: wss: https://conf.example.org https:;",
            "object-src https://a.example;",
        ] {
            assert!(policy.contains(directive), "{directive} in {policy}");
        }
    }

    #[test]
    fn a_nonce_lets_one_script_run_and_a_bad_one_none() {
        let headers = client_headers(&PageSettings::of_a_test(), Some("cmFuZG9t"));
        let policy = headers["content-security-policy"].to_str().unwrap();
        let scripts = "/assets/ 'wasm-unsafe-eval' 'nonce-cmFuZG9t'; worker-src";
        assert!(policy.contains(scripts), "{policy}");
        let headers = client_headers(&PageSettings::of_a_test(), Some("a\r\nb"));
        assert_eq!(
            headers["content-security-policy"],
            format!("{CONTRACT}; frame-ancestors 'none'")
        );
    }

    #[test]
    fn who_may_frame_the_page_may_use_what_it_uses() {
        let framed = PageSettings {
            frame_ancestors: owned(&["'self'", "https://lms.example.org", "https://*.example.net"]),
            ..PageSettings::of_a_test()
        };
        let headers = client_headers(&framed, None);
        let policy = headers["content-security-policy"].to_str().unwrap();
        let ancestors = "; frame-ancestors 'self' https://lms.example.org https://*.example.net";
        assert!(policy.ends_with(ancestors), "{policy}");
        let list = "(self \"https://lms.example.org\" \"https://*.example.net\")";
        assert_eq!(
            headers["permissions-policy"],
            format!(
                "camera={list}, microphone={list}, display-capture={list}, speaker-selection={list}, fullscreen=*"
            )
        );
        assert_eq!(headers["cross-origin-resource-policy"], "cross-origin");
        let by_ourselves = PageSettings {
            frame_ancestors: owned(&["'self'"]),
            ..PageSettings::of_a_test()
        };
        let headers = client_headers(&by_ourselves, None);
        assert_eq!(headers["cross-origin-resource-policy"], "same-origin");
    }

    #[test]
    fn a_page_of_ours_sends_forms_only_where_it_has_some() {
        let pages = PageHeaders::new(&PageSettings::of_a_test()).unwrap();
        let policy = |page| {
            let mut headers = HeaderMap::new();
            pages.of_own(&mut headers, page);
            headers["content-security-policy"].to_str().unwrap().to_owned()
        };
        let without = policy(OwnPage::Plain);
        assert!(
            without.starts_with("default-src 'none'; style-src 'sha256-"),
            "{without}"
        );
        assert!(without.ends_with("; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"));
        assert_eq!(
            policy(OwnPage::Forms),
            without.replace("form-action 'none'", "form-action 'self'")
        );
        let parts = format!(
            "script-src {}; connect-src 'self' wss://conf.example.org; form-action 'none'",
            script_source()
        );
        assert_eq!(
            policy(OwnPage::Check),
            without.replace("form-action 'none'", &parts)
        );
    }

    #[test]
    fn nothing_ends_its_directive() {
        let bad = "https://a.example; script-src *".to_owned();
        let refused = |change: fn(&mut PageSettings, String)| {
            let mut settings = PageSettings::of_a_test();
            change(&mut settings, bad.clone());
            PageHeaders::new(&settings).err()
        };
        let problem = Some(PageProblem(bad.clone()));
        assert_eq!(
            refused(|settings, bad| settings.frame_ancestors.push(bad)),
            problem
        );
        assert_eq!(refused(|settings, bad| settings.css_sources.push(bad)), problem);
        assert_eq!(refused(|settings, bad| settings.public_origin = bad), problem);
        assert_eq!(refused(|settings, bad| settings.csp_report = Some(bad)), problem);
    }
}
