//! Lists of hosts: `cdn.example.org`, `*.example.org` or `*`.
//!
//! An entry goes through the same host parser as the URLs it is compared with, so that case and international names
//! are spelled alike on both sides.
//!
//! Source: WHATWG URL section 3.5 (host parsing).

use url::Host;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostList(Vec<Pattern>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Any,
    Exactly(String),
    /// All hosts at any depth below this name, but not the name itself.
    Below(String),
}

impl HostList {
    /// Makes a list. An empty list means `own` alone. The error is the entry that is not valid.
    pub(super) fn new(entries: &[String], own: &str) -> Result<Self, String> {
        if entries.is_empty() {
            return Ok(Self(vec![Pattern::Exactly(own.to_owned())]));
        }
        entries
            .iter()
            .map(|entry| Pattern::parse(entry).ok_or_else(|| entry.clone()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The hosts as sources of a content security policy, without `own`.
    pub(super) fn csp_sources(&self, own: &str) -> Vec<String> {
        let foreign = self.0.iter().filter_map(|pattern| match pattern {
            Pattern::Any => Some("https:".to_owned()),
            Pattern::Exactly(host) => (host != own).then(|| format!("https://{host}")),
            Pattern::Below(parent) => Some(format!("https://*.{parent}")),
        });
        foreign.collect()
    }

    /// The names on the list, including those that stand for the hosts below them.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.iter().filter_map(|pattern| match pattern {
            Pattern::Any => None,
            Pattern::Exactly(name) | Pattern::Below(name) => Some(name.as_str()),
        })
    }

    /// Is this host on the list? `host` is spelled as the URL parser spells it.
    pub(super) fn holds(&self, host: &str) -> bool {
        self.0.iter().any(|pattern| match pattern {
            Pattern::Any => true,
            Pattern::Exactly(listed) => host == listed,
            Pattern::Below(parent) => host
                .strip_suffix(parent.as_str())
                .is_some_and(|left| left.len() > 1 && left.ends_with('.')),
        })
    }
}

impl Pattern {
    fn parse(entry: &str) -> Option<Self> {
        if entry == "*" {
            return Some(Self::Any);
        }
        if let Some(parent) = entry.strip_prefix("*.") {
            return match listed_host(parent)? {
                Host::Domain(parent) => Some(Self::Below(parent)),
                Host::Ipv4(_) | Host::Ipv6(_) => None,
            };
        }
        listed_host(entry).map(|host| Self::Exactly(host.to_string()))
    }
}

/// Parses a host as an operator may write it: without a second wildcard, percent-encoding, or a dot at either end.
fn listed_host(entry: &str) -> Option<Host> {
    let host = Host::parse(entry).ok().filter(|_| !entry.contains(['*', '%']))?;
    match &host {
        Host::Domain(name) => name.split('.').all(|label| !label.is_empty()).then_some(host),
        Host::Ipv4(_) | Host::Ipv6(_) => Some(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> Result<HostList, String> {
        let entries: Vec<String> = entries.iter().map(|&entry| entry.to_owned()).collect();
        HostList::new(&entries, "own.example")
    }

    #[test]
    fn an_empty_list_is_the_own_host_and_a_list_is_not() {
        assert!(list(&[]).unwrap().holds("own.example"));
        assert!(!list(&[]).unwrap().holds("a.own.example"));
        assert!(!list(&["cdn.example"]).unwrap().holds("own.example"));
    }

    #[test]
    fn a_wildcard_is_below_at_any_depth() {
        let below = list(&["*.Example.ORG"]).unwrap();
        assert!(below.holds("a.example.org"));
        assert!(below.holds("a.b.example.org"));
        for host in [
            "example.org",
            "notexample.org",
            ".example.org",
            "a.example.org.",
            "a.example.org.evil.example",
        ] {
            assert!(!below.holds(host), "{host}");
        }
        assert!(list(&["*"]).unwrap().holds("anything.example"));
    }

    #[test]
    fn an_entry_is_spelled_as_the_url_parser_does() {
        let hosts = list(&["BÜCHER.example", "192.0.2.7", "[2001:DB8::7]"]).unwrap();
        assert!(hosts.holds("xn--bcher-kva.example"));
        assert!(hosts.holds("192.0.2.7"));
        assert!(hosts.holds("[2001:db8::7]"));
        assert!(!hosts.holds("xn--bcher-kvb.example"));
    }

    #[test]
    fn a_policy_allows_the_same_hosts() {
        let hosts = list(&["own.example", "BÜCHER.example", "*.Example.ORG", "*"]).unwrap();
        assert_eq!(
            hosts.csp_sources("own.example"),
            ["https://xn--bcher-kva.example", "https://*.example.org", "https:"]
        );
        assert!(list(&[]).unwrap().csp_sources("own.example").is_empty());
    }

    #[test]
    fn names_an_entry_that_is_no_host() {
        for entry in [
            "",
            " ",
            "a b",
            "https://a.example",
            "a.example/",
            "a.example:443",
            "u@a.example",
            "a.example.",
            ".a.example",
            "a..example",
            "*.",
            "**",
            "*.*.example",
            "a.*.example",
            "*a.example",
            "*.192.0.2.7",
            "*.[::1]",
            "2001:db8::7",
            "%61.example",
            "a.example?",
            "a.example#",
        ] {
            assert_eq!(list(&["good.example", entry]), Err(entry.to_owned()));
        }
    }
}
