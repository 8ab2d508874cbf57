//! Rules between sections: what each value may be and all of them together may not.
//!
//! A rule is checked only where its values are sound, so that one slip is one problem.

use std::net::SocketAddr;

use super::reader::Reader;

/// What the rules ask of the sections; a refused value leaves the side that breaks no rule.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one side of one rule")]
pub(super) struct Facts {
    pub(super) listeners: Vec<(&'static str, SocketAddr)>,
    pub(super) proxy_protocol: bool,
    pub(super) no_proxies: bool,
    pub(super) issuer_is_upstream: bool,
    pub(super) no_secret: bool,
    pub(super) no_server: bool,
    pub(super) login_is_the_client: bool,
}

pub(super) fn check(reader: &mut Reader<'_>, facts: &Facts) {
    if facts.proxy_protocol && facts.no_proxies {
        reader.refuse(
            "listen.proxy_protocol",
            "true needs to know whose header counts",
            "write the balancer's network into trust.proxies",
        );
    }
    if facts.issuer_is_upstream && facts.no_secret {
        reader.refuse(
            "issuer.mode",
            "\"upstream\" needs the server's secret",
            "write plugnmeet.secret or plugnmeet.secret_file",
        );
    }
    if facts.issuer_is_upstream && facts.no_server {
        reader.refuse(
            "issuer.mode",
            "\"upstream\" needs a server to ask",
            "write its address into upstreams.server",
        );
    }
    if facts.login_is_the_client {
        reader.refuse(
            "session.login_url",
            "leads to the client, and so to itself",
            "write the address of what hands links out",
        );
    }
    for (nth, (key, addr)) in facts.listeners.iter().enumerate() {
        let taken = facts.listeners.iter().take(nth).find(|(_, other)| other == addr);
        if let Some((other, _)) = taken
            && addr.port() != 0
        {
            reader.refuse(
                key,
                format!("\"{addr}\" is {other}'s already"),
                "write another port",
            );
        }
    }
}
