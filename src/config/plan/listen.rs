//! Listeners and what they share: names, threads, places, deadlines of connections.

use std::{io, net::SocketAddr, num::NonZeroUsize, thread};

use super::{
    super::{Config, Problem, PublicOrigin},
    Found,
};
use crate::{
    addr::Networks,
    conn::ConnSettings,
    listen::HttpsSettings,
    places::{Budget, PlacesSettings},
    route::Hosts,
};

/// Warns if `public_origin` has a port on which the gateway does not listen. A proxy or a container's port mapping may
/// lead from there to the gateway, but only a proxy in `trust.proxies` can be known of.
pub(super) fn warn(found: &mut Found<'_>, https_port: u16) {
    let config = found.config;
    let called = found.origin.port.unwrap_or(443);
    let ports = || config.listen.https.iter().map(SocketAddr::port);
    let is_there = ports().any(|port| port == 0 || port == called) || called == https_port;
    if config.is_refused(&["listen.https", "trust.proxies"]) {
        return;
    }
    if config.public_origin.is_none() || is_there || !config.trust.proxies.is_empty() {
        return;
    }
    let what = format!(
        "is called at port {called}, and listen.https is at port {https_port}: nobody gets here, unless something in front \
         of the gateway leads from one to the other"
    );
    found.warn("public_origin", &what);
}

pub(super) fn hosts(config: &Config, origin: &PublicOrigin) -> Hosts {
    Hosts::new(&origin.host, &config.hosts, config.listen.is_local()).at_port(origin.port)
}

pub(super) fn threads(config: &Config) -> NonZeroUsize {
    let cores = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    config.listen.threads.unwrap_or_else(cores)
}

pub(super) fn places(config: &Config, budget: &Budget) -> PlacesSettings {
    PlacesSettings {
        most: budget.clients,
        for_one: config.connections,
        proxies: config.trust.proxies.clone(),
    }
}

/// The operator's connections have a few places of their own, for the case that clients have taken all of theirs.
pub(super) fn admin_places() -> PlacesSettings {
    PlacesSettings {
        most: Budget::ADMIN,
        for_one: None,
        proxies: Networks::default(),
    }
}

pub(super) fn https(config: &Config) -> HttpsSettings {
    HttpsSettings {
        proxy_protocol: config.listen.proxy_protocol,
        proxies: config.trust.proxies.clone(),
        deadline: config.timeouts.handshake,
    }
}

pub(super) fn conn(config: &Config) -> ConnSettings {
    ConnSettings {
        header: config.timeouts.header,
        idle: config.timeouts.idle,
        max_header_bytes: config.sizes.header_bytes,
        small_body_bytes: config.sizes.token_body_bytes,
        proxies: config.trust.proxies.clone(),
    }
}

/// An address on which the gateway can't listen.
#[derive(Debug)]
pub struct NotListening {
    pub addr: SocketAddr,
    /// Which address it is, and why the gateway can't listen on it.
    pub problem: Problem,
    /// Does the reason depend on who starts the gateway, and when, more than on the configuration? Somebody may listen
    /// there, perhaps this very gateway; or the port is only for root and for services that have the right to it.
    pub of_the_moment: bool,
}

impl Config {
    /// The addresses of all listeners but those of `[[tcp]]`, by key. None: there is no such listener, or its value was
    /// refused.
    pub fn listeners(&self) -> [(&'static str, &[SocketAddr]); 4] {
        let listen = &self.listen;
        let all = [
            ("listen.https", &listen.https),
            ("listen.http", &listen.http),
            ("listen.plain", &listen.plain),
            ("listen.admin", &listen.admin),
        ];
        all.map(|(key, addrs)| {
            let is_refused = self.is_refused(&[key]);
            (key, if is_refused { &[] } else { addrs.as_slice() })
        })
    }

    /// The addresses of each of `[[tcp]]`, in their order.
    pub fn tcp_listeners(&self) -> impl Iterator<Item = &[SocketAddr]> {
        self.tcp.iter().map(|tcp| tcp.listen.as_slice())
    }

    /// As `not_listening`, for the listener of `[[tcp]]` with this number, from 0. None: there is no such listener.
    pub fn tcp_not_listening(&self, nth: usize, addr: SocketAddr, error: &io::Error) -> Option<NotListening> {
        let tcp = self.tcp.get(nth)?;
        let mut deaf = self.not_listening("tcp.listen", addr, error);
        deaf.problem.file.clone_from(&tcp.place.file);
        deaf.problem.line = tcp.place.line;
        Some(deaf)
    }

    /// Why the gateway can't listen on an address, and what to do about it.
    pub fn not_listening(&self, key: &str, addr: SocketAddr, error: &io::Error) -> NotListening {
        let known = [
            (
                io::ErrorKind::AddrInUse,
                "unless it is this gateway, stop what listens there, or write another port",
            ),
            (
                io::ErrorKind::PermissionDenied,
                "write a port from 1024 on, or give the gateway CAP_NET_BIND_SERVICE",
            ),
            (
                io::ErrorKind::AddrNotAvailable,
                "write an address of this machine, or 0.0.0.0 for all of them",
            ),
        ];
        let kind = error.kind();
        let allowed = known.iter().find(|(known, _)| *known == kind);
        let allowed = allowed.map_or("write another address", |(_, allowed)| allowed);
        NotListening {
            addr,
            problem: self.problem(key, format!("can't listen on {addr}: {error}"), allowed),
            of_the_moment: matches!(kind, io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied),
        }
    }
}
