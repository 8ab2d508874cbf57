//! Which certificate a client is shown: by the name it asks for, and by the signatures it can check.
//!
//! A client that names nobody, or a stranger, gets the certificate of the public host: so `curl https://ADDRESS`, old
//! programs and health checks see something sensible.
//!
//! Sources: RFC 6066 section 3 (server name), RFC 9525 section 6.3 (a wildcard stands for one label).

use std::{collections::HashMap, fmt, sync::Arc};

use rustls::{
    SignatureScheme,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::pair::Pair;

/// Certificates for one name, the preferred first.
type Candidates = Vec<Arc<CertifiedKey>>;

pub(super) struct ByName {
    exact: HashMap<String, Candidates>,
    /// Wildcard certificates by what follows `*.` in the name.
    wildcard: HashMap<String, Candidates>,
    fallback: Candidates,
}

impl ByName {
    /// Both lists in order of preference.
    pub(super) fn new(pairs: &[Pair], fallback: &[&Pair]) -> Self {
        let mut by_name = Self {
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            fallback: fallback.iter().map(|pair| Arc::clone(&pair.key)).collect(),
        };
        let chosen_covers = |name: &str| {
            pairs
                .iter()
                .any(|pair| !pair.leaf.self_made && pair.leaf.covers(name))
        };
        for pair in pairs {
            for name in &pair.leaf.dns {
                // Its exact name would come before a wildcard that somebody has by now.
                if pair.leaf.self_made && chosen_covers(name) {
                    continue;
                }
                let candidates = match name.strip_prefix("*.") {
                    Some(rest) => by_name.wildcard.entry(rest.to_owned()),
                    None => by_name.exact.entry(name.clone()),
                };
                candidates.or_default().push(Arc::clone(&pair.key));
            }
        }
        by_name
    }

    /// rustls hands the name over in lower case. There should be no dot at its end (RFC 6066 section 3), but some clients
    /// send the host as it stands in their address.
    fn candidates(&self, name: Option<&str>) -> &Candidates {
        name.and_then(|name| {
            let name = name.strip_suffix('.').unwrap_or(name);
            self.exact
                .get(name)
                .or_else(|| self.wildcard.get(name.split_once('.')?.1))
        })
        .unwrap_or(&self.fallback)
    }
}

/// The first whose signature the client can check; where there is none, rustls tells the client so.
fn choose(candidates: &Candidates, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
    let first = candidates.first()?;
    let fits = |candidate: &&Arc<CertifiedKey>| candidate.key.choose_scheme(schemes).is_some();
    let chosen = if candidates.len() == 1 {
        first
    } else {
        candidates.iter().find(fits).unwrap_or(first)
    };
    Some(Arc::clone(chosen))
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        choose(self.candidates(hello.server_name()), hello.signature_schemes())
    }
}

impl fmt::Debug for ByName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.exact.keys().chain(self.wildcard.keys());
        f.debug_set().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{pair, testing::made};

    #[test]
    fn a_dot_at_the_end_of_a_name_makes_no_other_name_of_it() {
        let dir = tempfile::tempdir().unwrap();
        made(&["a.example", "*.c.example"]).write(&dir, "a");
        made(&["b.example"]).write(&dir, "b");
        let folder = pair::list(dir.path()).unwrap();
        let pairs: Vec<Pair> = folder
            .values()
            .filter_map(|files| Pair::read(files, &mut Vec::new()))
            .collect();
        let by_name = ByName::new(&pairs, &[&pairs[1]]);
        let shown = |name| Arc::clone(&by_name.candidates(Some(name))[0]);
        for name in ["a.example", "a.example.", "www.c.example."] {
            assert!(Arc::ptr_eq(&shown(name), &pairs[0].key), "{name}");
        }
        for name in ["a.example..", "x.a.example."] {
            assert!(Arc::ptr_eq(&shown(name), &pairs[1].key), "{name}");
        }
    }
}
