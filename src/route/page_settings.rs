//! The settings of pages' header fields, and the sources that the client needs.
//!
//! Not here: the headers themselves (`super::policy`), the client's policy (`super::client_policy`).
//!
//! Sources: docs/plugnmeet.md section 7 (the policy under which the client was seen to load), CSP level 3.

use std::collections::BTreeMap;

use hyper::header::HeaderValue;

use super::source::{CspSource, can_stand};
use crate::design::OperatorSources;

/// The placeholder for the public origin. It is the name that the client uses in its configuration.
pub(super) const SERVER_URL: &str = "<serverUrl>";

/// The placeholder for the nonce of a script in the page.
pub(super) const NONCE: &str = "<nonce>";

/// Stands for the folders of the client's files at the public origin. SECURITY: not `'self'`, as what people upload lies at
/// our origin too, below `/download`.
pub(super) const OWN_FILES: &str = "<own>";

/// The placeholder for the folders of the client's files at the requested name, if it is not the public one.
pub(super) const ASKED_FILES: &str = "<asked>";

/// The sources that the client needs (docs/plugnmeet.md section 7), in the order of that list, and the targets of
/// forms.
pub(super) const CLIENT: [(&str, &[&str]); 12] = [
    ("default-src", &["'self'"]),
    (
        "script-src",
        &[OWN_FILES, ASKED_FILES, "'wasm-unsafe-eval'", NONCE],
    ),
    ("worker-src", &["'self'", "blob:"]),
    ("style-src", &[OWN_FILES, ASKED_FILES, "'unsafe-inline'"]),
    ("img-src", &["'self'", "data:", "blob:", "https:"]),
    ("font-src", &["'self'", "data:"]),
    ("media-src", &["'self'", "blob:", "https:"]),
    ("connect-src", &["'self'", "ws:", "wss:", SERVER_URL]),
    ("frame-src", &["https:"]),
    ("object-src", &["'none'"]),
    ("base-uri", &["'self'"]),
    ("form-action", &["'self'"]),
];

/// How the content security policy of the client's page is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Csp {
    /// As a policy that browsers enforce.
    Enforce,
    /// As a policy that browsers only report breaches of.
    Report,
    /// Not at all, except for the sites that may frame the page.
    Off,
}

/// The sources that the configuration adds to the client's policy, by directive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CspSources(BTreeMap<&'static str, Vec<CspSource>>);

impl CspSources {
    /// The directives to which sources can be added.
    pub fn directives() -> impl Iterator<Item = &'static str> {
        CLIENT
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| name.ends_with("-src"))
    }

    /// Adds these to a directive, in place of what was to be added before; `None` if there is no such directive.
    pub fn set(&mut self, directive: &str, sources: Vec<CspSource>) -> Option<()> {
        let known = Self::directives().find(|known| *known == directive)?;
        if sources.is_empty() {
            self.0.remove(known);
        } else {
            self.0.insert(known, sources);
        }
        Some(())
    }

    pub(super) fn of(&self, directive: &str) -> impl Iterator<Item = &str> {
        let sources = self.0.get(directive).into_iter().flatten();
        sources.map(CspSource::as_str)
    }
}

/// The settings of the pages' header fields.
#[derive(Clone, Debug)]
pub struct PageSettings {
    /// How the policy of the client's page is sent.
    pub csp: Csp,
    /// The address to which browsers report breaches.
    pub csp_report: Option<String>,
    /// The sources that are added to those that the client needs.
    pub csp_sources: CspSources,
    /// The sources of style sheets that designs may name.
    pub css_sources: Vec<String>,
    /// The hosts that the operator's own designs name.
    pub operator_sources: OperatorSources,
    /// The origin of the client's files (`staticAssetsPath`), if it is another origin.
    pub assets_origin: Option<String>,
    /// The origin at which clients reach the gateway.
    pub public_origin: String,
    /// The path below which the client is; empty for the root.
    pub mount: String,
    /// The sources of the gateway's own scripts in the page: hashes in quotes.
    pub scripts: Vec<String>,
    /// The sites that may frame the conference, as sources of a policy. If it is empty, no site may.
    pub frame_ancestors: Vec<String>,
}

/// A value that can't stand in a policy because it would end its directive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{:?} can't stand in a policy", .0)]
pub struct PageProblem(pub String);

/// These sources as one directive's value.
pub(super) fn joined<T: AsRef<str>>(sources: &[T]) -> Result<String, PageProblem> {
    let sources: Vec<&str> = sources.iter().map(AsRef::as_ref).collect();
    match sources.iter().find(|source| !can_stand(source)) {
        Some(bad) => Err(PageProblem((*bad).to_owned())),
        None => Ok(sources.join(" ")),
    }
}

pub(super) fn value(text: String) -> Result<HeaderValue, PageProblem> {
    HeaderValue::try_from(&text).map_err(|_| PageProblem(text))
}
