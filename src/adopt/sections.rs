//! Sections of `gateway.toml` that follow from several files: listeners, certificates, upstreams, TURN, relays, Redis.

use std::path::Path;

use super::{AdoptSettings, sources::Sources, toml_writer::TomlWriter};
use crate::official::{Bound, Found, Yaml};

/// The addresses of `listen.https` come back.
pub(super) fn listen(settings: &AdoptSettings, sources: &Sources<'_>, toml: &mut TomlWriter) -> Vec<String> {
    toml.section("[listen]");
    let mut https = vec!["127.0.0.1:8443".to_owned()];
    if settings.behind_haproxy {
        toml.text("https", "127.0.0.1:8443", "--behind-haproxy");
        toml.text("http", "", "--behind-haproxy: HAProxy answers on port 80");
        toml.raw(
            "proxy_protocol",
            "true",
            "--behind-haproxy: HAProxy's send-proxy-v2",
        );
        toml.section("[trust]");
        toml.texts("proxies", &["127.0.0.1".to_owned()], "--behind-haproxy");
    } else {
        let official = |port: u16| (format!("0.0.0.0:{port}"), "the official installer's".to_owned());
        for (key, tls, port) in [("https", true, 443), ("http", false, 80)] {
            let found = sources.haproxy.listens(tls);
            let addrs = if found.is_empty() {
                let (addr, origin) = official(port);
                toml.text(key, &addr, &origin);
                vec![addr]
            } else {
                bound(sources, toml, key, &found).0
            };
            if tls {
                https = addrs;
            }
        }
    }
    toml.section("[tls]");
    match sources.haproxy.certificates() {
        Some((path, line)) => toml.text("certs", path, &sources.taken(line)),
        None => toml.text("certs", &shown(&settings.to.join("certs")), "the gateway's own"),
    }
    https
}

/// Who renews certificates: the gateway, if it is wished for; certbot's checks go on to certbot.
pub(super) fn acme(settings: &AdoptSettings, sources: &Sources<'_>, toml: &mut TomlWriter) {
    let of_certbot = sources.renewals.iter().find_map(|renewal| renewal.port.clone());
    let of_certbot = of_certbot.map(|port| (format!("127.0.0.1:{}", port.value), port.origin));
    let of_haproxy = || {
        let (server, line) = sources.haproxy.server("backend-certbot")?;
        server
            .starts_with("127.0.0.1:")
            .then(|| (server, sources.taken(line)))
    };
    let pass_to = of_certbot.or_else(of_haproxy);
    if settings.acme.is_none() && pass_to.is_none() {
        return;
    }
    toml.section("[acme]");
    if let Some(email) = &settings.acme {
        toml.raw("accept_terms", "true", "--acme: the terms of Let's Encrypt");
        toml.text("email", email, "--acme");
        toml.text("storage", "/var/lib/plugnmeet-gateway/acme", "the gateway's own");
    }
    if let Some((server, origin)) = pass_to {
        toml.text("pass_to", &server, &origin);
    }
}

pub(super) fn upstreams(sources: &Sources<'_>, toml: &mut TomlWriter) {
    let haproxy = &sources.haproxy;
    let of_path = |prefix: &str| {
        let (server, line) = haproxy.server(haproxy.backend_of_path(prefix)?)?;
        Some((server, sources.taken(line)))
    };
    let of_port = |found: Option<Found<u64>>| {
        let found = found?;
        Some((format!("127.0.0.1:{}", found.value), found.origin))
    };
    let port = |yaml: Option<&Yaml<'_>>, key: &str| yaml.and_then(|yaml| yaml.number(&[key]));
    toml.section("[upstreams]");
    let server = of_port(sources.config.number(&["client", "port"]));
    let (server, origin) =
        server.unwrap_or_else(|| ("127.0.0.1:8080".into(), "plugnmeet-server's default".into()));
    if let Some((same, line)) = haproxy.server("bk_plugnmeet_server")
        && same.replace("localhost:", "127.0.0.1:") == server
    {
        sources.taken(line);
    }
    toml.texts("server", &[format!("http://{server}")], &origin);
    let livekit = of_path("/livekit").or_else(|| of_port(port(sources.livekit.as_ref(), "port")));
    let nats = of_path("/ws")
        .or_else(|| {
            of_port(
                sources
                    .nats
                    .as_ref()
                    .and_then(|nats| nats.number(&["websocket", "port"])),
            )
        })
        .or_else(|| Some(("127.0.0.1:8222".into(), "the official installer's".into())));
    let has_etherpad = sources.config.has(&["shared_notepad", "etherpad_hosts"]);
    let etherpad = has_etherpad.then(|| of_path("/etherpad")).flatten();
    let ingress = of_path("/whip").or_else(|| of_port(port(sources.ingress.as_ref(), "whip_port")));
    for (key, found) in [
        ("livekit", livekit),
        ("nats", nats),
        ("etherpad", etherpad),
        ("ingress", ingress),
    ] {
        if let Some((server, origin)) = found {
            toml.text(key, &format!("http://{server}"), &origin);
        }
    }
    let mut expose = vec!["login".to_owned()];
    let mut origin =
        "/login.html, which the installer prints; it asks for the API secret: take it out if nobody uses it"
            .to_owned();
    if sources.config.is_true(&["client", "prometheus", "enable"]) {
        expose.push("metrics".to_owned());
        origin.push_str("; client.prometheus.enable");
    }
    toml.texts("expose", &expose, &origin);
}

/// Does LiveKit take TURN over TLS from somebody who ends TLS?
pub(super) fn turn(sources: &Sources<'_>, toml: &mut TomlWriter) {
    let Some(livekit) = &sources.livekit else { return };
    if !livekit.is_true(&["turn", "enabled"]) || !livekit.is_true(&["turn", "external_tls"]) {
        return;
    }
    let Some(port) = livekit.number(&["turn", "tls_port"]) else {
        return;
    };
    let of_haproxy = sources.haproxy.backend_of_name().and_then(|(backend, _)| {
        let (server, line) = sources.haproxy.server(backend)?;
        Some((server, sources.taken(line)))
    });
    let (server, origin) = of_haproxy.unwrap_or_else(|| (format!("127.0.0.1:{}", port.value), port.origin));
    toml.section("[turn]");
    toml.text("upstream", &server, &origin);
    if let Some(domain) = livekit
        .text(&["turn", "domain"])
        .filter(|domain| domain.value != sources.host)
    {
        toml.texts("names", &[domain.value], &domain.origin);
    }
}

pub(super) fn relays(sources: &Sources<'_>, toml: &mut TomlWriter) {
    for (listen, (server, of_server)) in sources.haproxy.relays() {
        sources.taken(of_server);
        toml.section("[[tcp]]");
        let (_, origin) = bound(sources, toml, "listen", &listen);
        toml.text("upstream", &server, &origin);
    }
}

/// The addresses of a listener, each once; they come back, and where the first stands.
fn bound(sources: &Sources<'_>, toml: &mut TomlWriter, key: &str, found: &[Bound]) -> (Vec<String>, String) {
    let mut addrs: Vec<String> = Vec::new();
    let mut origins = Vec::new();
    for (addr, line) in found {
        let origin = sources.taken(*line);
        if !addrs.contains(addr) {
            addrs.push(addr.clone());
        }
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    let origin = origins.join(", ");
    match addrs.as_slice() {
        [one] => toml.text(key, one, &origin),
        several => toml.texts(key, several, &origin),
    }
    (addrs, origins.into_iter().next().unwrap_or_default())
}

/// plugNmeet's own Redis, as an address. Sentinels with words of their own for a password can't be asked.
pub(super) fn redis(config: &Yaml<'_>) -> Option<Found<String>> {
    let text = |key: &str| config.text(&["redis_info", key]);
    let scheme = if config.is_true(&["redis_info", "use_tls"]) {
        "rediss"
    } else {
        "redis"
    };
    let encoded = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let user = text("username")
        .map(|user| encoded(&user.value))
        .unwrap_or_default();
    let credentials = match text("password") {
        Some(password) => format!("{user}:{}@", encoded(&password.value)),
        None => String::new(),
    };
    if let Some(master) = text("sentinel_master_name") {
        let hosts = config.texts(&["redis_info", "sentinel_addresses"]);
        let hosts: Vec<String> = hosts.into_iter().map(|found| found.value).collect();
        let unreachable = hosts.is_empty() || text("sentinel_password").is_some();
        let address = format!(
            "redis+sentinel://{credentials}{}/{}",
            hosts.join(","),
            master.value
        );
        return (!unreachable).then(|| master.map(|_| address));
    }
    let host = text("host")?;
    let db = config
        .number(&["redis_info", "db"])
        .filter(|db| db.value > 0)
        .map_or_else(String::new, |db| format!("/{}", db.value));
    let address = format!("{scheme}://{credentials}{}{db}", host.value);
    Some(host.map(|_| address))
}

pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}
