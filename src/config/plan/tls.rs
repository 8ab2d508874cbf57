//! Certificates: which there are, and how long browsers are held to HTTPS by them.

use std::{net::IpAddr, time::Duration};

use super::{
    super::{Config, PublicOrigin},
    Found,
};
use crate::{
    clock::Clock,
    tls::{Tls, TlsSettings},
};

pub(super) fn plan(found: &mut Found<'_>, clock: &Clock) -> TlsSettings {
    let config = found.config;
    let settings = TlsSettings {
        certs: config.tls.certs.clone(),
        public_host: found.origin.host.clone(),
        hosts: config.hosts.clone(),
        handshake: config.timeouts.handshake,
    };
    if has_certificates(config) {
        match Tls::new(&settings, clock.unix()) {
            Ok(tls) => found
                .warnings
                .extend(tls.warnings().iter().map(ToString::to_string)),
            Err(problems) => {
                for problem in problems {
                    let allowed = "give each NAME.pem its NAME.key, both valid";
                    found.problem(config.problem("tls.certs", problem.to_string(), allowed));
                }
            }
        }
    }
    settings
}

fn has_certificates(config: &Config) -> bool {
    std::fs::read_dir(&config.tls.certs).is_ok_and(|mut found| {
        found.any(|file| file.is_ok_and(|file| file.path().extension().is_some_and(|e| e == "pem")))
    })
}

/// A browser would hold a name on this machine to HTTPS on every port, and takes none for an address (RFC 6797 section 8.3).
pub(super) fn hsts(config: &Config, origin: &PublicOrigin) -> Option<Duration> {
    let is_name = origin.host.contains('.') && origin.host.parse::<IpAddr>().is_err();
    config.headers.hsts.filter(|_| is_name)
}
