//! What the configuration says of pages, and what the client can't do without.
//!
//! Not here: the headers themselves (`super::policy`), the client's policy (`super::client_policy`).
//!
//! Sources: docs/plugnmeet.md section 7 (the policy under which the client was seen to load), CSP level 3.

use std::{collections::BTreeMap, fmt};

use hyper::header::HeaderValue;

use super::source::{CspSource, can_stand};
use crate::design::OperatorSources;

/// Stands for the public origin, which the client calls by its name.
pub(super) const SERVER_URL: &str = "<serverUrl>";

/// Stands where the nonce of a script in the page goes.
pub(super) const NONCE: &str = "<nonce>";

/// Stands for the folders of the client's files at the public origin. SECURITY: not `'self'`, as what people upload lies at
/// our origin too, below `/download`.
pub(super) const OWN_FILES: &str = "<own>";

/// Stands for the same folders at the name that was asked for, if that is another one.
pub(super) const ASKED_FILES: &str = "<asked>";

/// The list of docs/plugnmeet.md section 7, in its order, and where forms may go.
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

/// How the policy of the client's page is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Csp {
    /// Browsers keep to it.
    Enforce,
    /// Browsers only tell what breaks it.
    Report,
    /// Only who may frame the page is said.
    Off,
}

/// What is added to the client's policy, by directive.
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

/// What follows for pages from the configuration.
#[derive(Clone, Debug)]
pub struct PageSettings {
    /// How the policy is sent.
    pub csp: Csp,
    /// Where browsers tell of breaches.
    pub csp_report: Option<String>,
    /// What is opened beside what the client cannot do without.
    pub csp_sources: CspSources,
    /// Sources of style sheets that designs may name.
    pub css_sources: Vec<String>,
    /// Hosts that the operator's own designs name.
    pub operator_sources: OperatorSources,
    /// The origin of the client's files, if it is another one (`staticAssetsPath`).
    pub assets_origin: Option<String>,
    /// What clients see us as.
    pub public_origin: String,
    /// The path below which the client is; empty for the root.
    pub mount: String,
    /// Who may frame the conference, as CSP has it; nobody, if it is empty.
    pub frame_ancestors: Vec<String>,
}

/// A part of the policy that would end its directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageProblem(pub String);

impl fmt::Display for PageProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} can't stand in a policy", self.0)
    }
}

impl std::error::Error for PageProblem {}

/// These sources in one directive.
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
