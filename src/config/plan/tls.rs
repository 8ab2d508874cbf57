//! Certificates, and how long browsers use nothing but HTTPS because of them.

use std::{net::IpAddr, path::Path, time::Duration};

use super::{
    super::{Config, MinVersion, PublicOrigin},
    Found,
};
use crate::{
    acme::AcmeSettings,
    clock::Clock,
    tls::{self, TlsSettings},
};

const KEY: &str = "tls.certs";

/// The default of `tls.certs`.
const OWN_FOLDER: &str = "certs";

pub(super) fn plan(found: &mut Found<'_>, clock: &Clock, acme: Option<&AcmeSettings>) -> TlsSettings {
    let config = found.config;
    let settings = TlsSettings {
        certs: config.tls.certs.clone(),
        acme: acme.map(AcmeSettings::certificates),
        public_host: found.origin.host.clone(),
        hosts: hosts(config),
        handshake: config.timeouts.handshake,
        // One that is ordered takes the place of the one that is made.
        make_anywhere: acme.is_some() || is_a_trial(config, &found.origin),
        turn: config.turn.is_some(),
        only_tls13: config.tls.min_version == MinVersion::Tls13,
    };
    if config.is_refused(&["public_origin", "hosts", "tls.certs", "listen.https"]) {
        return settings;
    }
    match settings.look(clock.unix()) {
        Ok(warnings) => {
            for warning in warnings {
                found.warn(KEY, &warning.to_string());
            }
        }
        Err(problems) => {
            for problem in problems {
                found.problem(config.problem(KEY, problem.to_string(), problem.allowed()));
            }
        }
    }
    settings
}

/// The names for which a certificate is shown. TURN's own names are among them, although nothing of HTTP is served
/// there.
fn hosts(config: &Config) -> Vec<String> {
    let of_turn = config.turn.iter().flat_map(|turn| &turn.names);
    let new = of_turn.filter(|name| !config.hosts.contains(name));
    config.hosts.iter().chain(new).cloned().collect()
}

/// May the gateway put a certificate of its own making into any folder? It may if nobody else calls it, or if the
/// folder is the default one. For a public host, a folder that is named and not there is most likely misspelled.
fn is_a_trial(config: &Config, origin: &PublicOrigin) -> bool {
    let listen = &config.listen;
    listen.is_local()
        || listen.https.iter().all(|addr| addr.port() == 0)
        || tls::is_local(&origin.host)
        || config.tls.certs == Path::new(OWN_FOLDER)
}

/// How long browsers use nothing but HTTPS. None for a name without a dot, which a browser would hold to HTTPS on every
/// port of this machine, and for an address, where browsers ignore it (RFC 6797 section 8.3).
pub(super) fn hsts(config: &Config, origin: &PublicOrigin) -> Option<Duration> {
    let is_name = origin.host.contains('.') && origin.host.parse::<IpAddr>().is_err();
    config.headers.hsts.filter(|_| is_name)
}
