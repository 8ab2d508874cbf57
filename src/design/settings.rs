//! The settings of designs: which hosts may serve style sheets and images, what happens to a design that breaks a rule,
//! and which designs have names.
//!
//! Not here: the keys' names and defaults in the configuration file.

use std::collections::BTreeMap;

use serde_json::Value;
use url::Url;

use super::Design;
use super::hosts::HostList;
use super::own::OwnOrigin;

/// What happens to a design that breaks a rule (`design.on_invalid`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnInvalid {
    /// The request is refused, and the answer says why.
    Reject,
    /// The bad fields are taken out, and the rest is used.
    Strip,
}

/// The checked settings of `[design]` and `[designs]`.
#[derive(Debug, Clone)]
pub struct DesignSettings {
    /// May a link bring a design of its own? If not, it can only name one of the operator's.
    pub from_links: bool,
    /// The operator's designs, by name.
    pub named: BTreeMap<String, Design>,
    /// `designCustomization` of the client's configuration: an object, or the text of one.
    pub customization: Option<Value>,
    pub(super) on_invalid: OnInvalid,
    pub(super) css_hosts: HostList,
    pub(super) image_hosts: HostList,
    pub(super) own: OwnOrigin,
}

impl DesignSettings {
    /// Checks the two lists. An entry is a host (`cdn.example.org`), all hosts below one (`*.example.org`, without
    /// `example.org` itself) or `*`; an empty list is the gateway's own host, and ports don't count.
    pub fn new(
        on_invalid: OnInvalid,
        css_hosts: &[String],
        image_hosts: &[String],
        public_origin: &Url,
    ) -> Result<Self, DesignProblem> {
        let own = OwnOrigin::of(public_origin).ok_or(DesignProblem::NoOwnHost)?;
        let list = |key, entries| {
            HostList::new(entries, own.host()).map_err(|entry| DesignProblem::NotAHost { key, entry })
        };
        Ok(Self {
            from_links: true,
            named: BTreeMap::new(),
            customization: None,
            on_invalid,
            css_hosts: list("css_hosts", css_hosts)?,
            image_hosts: list("image_hosts", image_hosts)?,
            own,
        })
    }

    /// Adds the gateway's other names, and the path below which the client is.
    #[must_use]
    pub fn serving(mut self, hosts: &[String], mount: &str) -> Self {
        self.own.serve(hosts, mount);
        self
    }
}

/// Why the settings are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DesignProblem {
    /// An entry of a list is none of the three valid forms.
    #[error(
        "{entry:?} in {key} is not a host; write one as \"cdn.example.org\", all below one as \"*.example.org\", \
                 or \"*\" for any"
    )]
    NotAHost {
        /// The list's key under `[design]`.
        key: &'static str,
        /// The entry as it is in the file.
        entry: String,
    },
    /// The public origin has no host, so that the entry `own` would mean nothing.
    #[error("the public origin has no host")]
    NoOwnHost,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(css: &[&str], images: &[&str], origin: &str) -> Option<DesignProblem> {
        let owned = |list: &[&str]| list.iter().map(|&entry| entry.to_owned()).collect::<Vec<_>>();
        let origin = Url::parse(origin).unwrap();
        DesignSettings::new(OnInvalid::Reject, &owned(css), &owned(images), &origin).err()
    }

    #[test]
    fn names_the_list_and_the_entry_that_is_no_host() {
        let origin = "https://conf.example.org";
        assert_eq!(problem(&["cdn.example.org"], &["*"], origin), None);
        assert_eq!(
            problem(&["cdn.example.org", "https://x.example"], &["*"], origin),
            Some(DesignProblem::NotAHost {
                key: "css_hosts",
                entry: "https://x.example".to_owned()
            })
        );
        let found = problem(&[], &["a b"], origin).unwrap();
        assert_eq!(
            found,
            DesignProblem::NotAHost {
                key: "image_hosts",
                entry: "a b".to_owned()
            }
        );
        assert_eq!(
            found.to_string(),
            "\"a b\" in image_hosts is not a host; write one as \"cdn.example.org\", all below one as \
             \"*.example.org\", or \"*\" for any"
        );
    }

    #[test]
    fn needs_an_origin_with_a_host() {
        assert_eq!(problem(&[], &[], "data:,x"), Some(DesignProblem::NoOwnHost));
    }
}
