//! The settings of TLS, and what a start with them would find.
//!
//! Not here: making what a start makes (`super::development`), reading it (`super::store`).

use std::{net::IpAddr, path::PathBuf, time::Duration};

use super::{CertStore, CoveredNames, TlsProblem, TlsWarning, development, store};
use crate::http::without_brackets;

#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// The folder of `NAME.pem` with `NAME.key`.
    pub certs: PathBuf,
    /// The folder of certificates that were ordered by the gateway; it may be missing.
    pub acme: Option<PathBuf>,
    /// The host of `public_origin`.
    pub public_host: String,
    /// Other hosts that the gateway answers to.
    pub hosts: Vec<String>,
    /// How long a handshake may take.
    pub handshake: Duration,
    /// May a certificate be made in any folder, also one that is missing or has other things in it?
    pub make_anywhere: bool,
    pub turn: bool,
    pub only_tls13: bool,
}

impl TlsSettings {
    pub(super) fn names(&self) -> CoveredNames {
        CoveredNames {
            public: host(&self.public_host),
            hosts: self.hosts.iter().map(|name| host(name)).collect(),
        }
    }

    /// What a start with these finds, and would do: nothing is made here. `now` is in seconds since 1970.
    pub fn look(&self, now: i64) -> Result<Vec<TlsWarning>, Vec<TlsProblem>> {
        let names = self.names();
        let alone = |problem| vec![problem];
        let self_made = || TlsWarning::SelfMade {
            host: names.public.clone(),
            file: development::file(&self.certs),
        };
        if !store::has_pairs(self.acme.as_deref())
            && development::is_needed(&self.certs, &names, now).map_err(alone)?
        {
            development::can_be_made(&self.certs, &names, self.make_anywhere).map_err(alone)?;
            return Ok((!is_local(&names.public)).then(self_made).into_iter().collect());
        }
        let store = CertStore::load(&self.certs, self.acme.as_deref(), &names, now)?;
        let self_made = (store.is_self_made() && !is_local(&names.public)).then(self_made);
        Ok(store.into_warnings().into_iter().chain(self_made).collect())
    }
}

/// Is a host, as certificates have it, one that only this machine or its own network calls?
pub fn is_local(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        Err(_) => {
            let last = host.rsplit('.').next().unwrap_or_default();
            !host.contains('.') || matches!(last, "localhost" | "local" | "test" | "internal")
        }
    }
}

/// A host as certificates have it: lower case, no brackets around an IPv6 address.
fn host(name: &str) -> String {
    without_brackets(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_this_machine_or_its_network_calls_is_local() {
        for host in [
            "localhost",
            "a.localhost",
            "127.0.0.1",
            "::1",
            "10.0.0.7",
            "box",
            "meet.test",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in ["conf.example.org", "192.0.2.7", "2001:db8::1"] {
            assert!(!is_local(host), "{host}");
        }
    }

    #[test]
    fn a_host_is_compared_as_certificates_have_it() {
        assert_eq!(host("Conf.Example.org"), "conf.example.org");
        assert_eq!(host("[2001:DB8::1]"), "2001:db8::1");
    }
}
