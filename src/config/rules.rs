//! Rules between sections: values that are allowed alone, and not together.
//!
//! A rule is checked only where the values that it is about were not refused, so that one slip is one problem.

use super::{
    reader::Findings,
    shape::{Config, Session},
};
use crate::{
    addr::{Spot, spots},
    issue::Mode,
};

/// The key that breaks a rule, why, and what to write.
type Breach = (&'static str, &'static str, &'static str);

pub(super) fn check(config: &Config, found: &Findings) {
    let sound = |keys: &[&str]| keys.iter().all(|key| !found.is_refused(key));
    let upstream = matches!(config.issuer.mode, Mode::Upstream);
    let no_secret = config.plugnmeet.secret.is_none();
    let rules: [(bool, Breach); 5] = [
        (
            config.listen.proxy_protocol && config.trust.proxies.is_empty() && sound(&["trust.proxies"]),
            (
                "listen.proxy_protocol",
                "true needs to know whose header counts",
                "write the balancer's network into trust.proxies",
            ),
        ),
        (
            !config.listen.plain.is_empty() && config.trust.proxies.is_empty() && sound(&["trust.proxies"]),
            (
                "listen.plain",
                "needs to know which balancers end TLS",
                "write the balancers' network into trust.proxies",
            ),
        ),
        (
            upstream && no_secret && sound(&["plugnmeet.secret", "plugnmeet.secret_file"]),
            (
                "issuer.mode",
                "\"upstream\" needs the server's secret",
                "write plugnmeet.secret or plugnmeet.secret_file",
            ),
        ),
        (
            upstream && config.upstreams.server.is_empty() && sound(&["upstreams.server"]),
            (
                "issuer.mode",
                "\"upstream\" needs a server to ask",
                "write its address into upstreams.server",
            ),
        ),
        (
            login_is_the_client(config, &config.session) && sound(&["client.mount"]),
            (
                "session.login_url",
                "leads to the client, and so to itself",
                "write the address of what hands links out",
            ),
        ),
    ];
    for (broken, (key, why, allowed)) in rules {
        if broken {
            found.refuse(key, why, allowed);
        }
    }
    listeners(config, found);
}

/// Does `session.login_url` lead to the client? Whoever is sent there has no session, and would be sent there again.
fn login_is_the_client(config: &Config, session: &Session) -> bool {
    let (Some(origin), Some(login)) = (&config.public_origin, &session.login_url) else {
        return false;
    };
    let below = login.path().strip_prefix(config.client.mount.as_str());
    login.host_str() == Some(&origin.host)
        && below.is_some_and(|below| matches!(below, "" | "/" | "/index.html") || below.starts_with("/s/"))
}

/// The most addresses on which one gateway listens: all of them go over to a successor at once.
const MOST_LISTENERS: usize = 100;

fn listeners(config: &Config, found: &Findings) {
    let listen = &config.listen;
    let all = [
        ("listen.https", &listen.https),
        ("listen.http", &listen.http),
        ("listen.plain", &listen.plain),
        ("listen.admin", &listen.admin),
    ];
    let tcp = config.tcp.iter().map(|tcp| ("tcp.listen", &tcp.listen));
    let keys = all
        .into_iter()
        .filter(|(key, _)| !found.is_refused(key))
        .chain(tcp);
    // An IPv6 address takes IPv4 too, unless its own list says otherwise.
    let sound: Vec<(&str, Spot)> = keys
        .flat_map(|(key, addrs)| spots(addrs).map(move |spot| (key, spot)))
        .filter(|(_, spot)| spot.addr.port() != 0)
        .collect();
    for (nth, (key, spot)) in sound.iter().enumerate() {
        if let Some((other, its)) = sound.iter().take(nth).find(|(_, other)| other.overlaps(spot)) {
            let addr = spot.addr;
            let why = if its.addr == addr {
                format!("\"{addr}\" is {other}'s already")
            } else {
                format!("\"{addr}\" is taken by {other}'s \"{}\"", its.addr)
            };
            found.refuse(key, why, "write another port");
        }
    }
    if let Some((key, _)) = sound.get(MOST_LISTENERS) {
        let why = format!("has one address more than the {MOST_LISTENERS} that there may be in all");
        found.refuse(key, why, "write fewer");
    }
}
