//! The parts that stand beside the front, and what follows from their files: NATS, SIP, the containers, certbot.

use super::{rows::Row, sources::Sources};
use crate::official::Found;

/// Services of the installer's that hold an upstream of ours.
const UPSTREAMS: [&str; 5] = ["plugnmeet", "livekit", "livekit-ingress", "nats", "etherpad"];

/// For a login, in seconds: NATS' own callout asks plugnmeet-server meanwhile (docs/plugnmeet.md section 5).
const LOGIN_SECONDS: u64 = 5;

/// What follows from them.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) rows: Vec<Row>,
    pub(super) losses: Vec<String>,
    pub(super) questions: Vec<String>,
}

impl Parts {
    pub(super) fn of(sources: &Sources<'_>) -> Self {
        let mut parts = Self::default();
        parts.nats(sources);
        parts.sip(sources);
        parts.containers(sources);
        parts.certbot(sources);
        parts
    }

    fn row(&mut self, found: &Found<String>, new: &str) {
        let (at, key) = found.origin.rsplit_once(' ').unwrap_or((&found.origin, ""));
        let at = at.rsplit('/').next().unwrap_or(at);
        self.rows.push(Row {
            at: at.to_owned(),
            old: format!("{key} {}", found.value),
            new: new.to_owned(),
        });
    }

    fn nats(&mut self, sources: &Sources<'_>) {
        let Some(nats) = &sources.nats else { return };
        if let Some(port) = nats.text(&["websocket", "port"]) {
            self.row(&port, "upstreams.nats");
            let asked = sources.haproxy.backend_of_path("/ws");
            if let Some((server, line)) = asked.and_then(|backend| sources.haproxy.server(backend))
                && !server.ends_with(&format!(":{}", port.value))
            {
                self.losses.push(format!(
                    "{} says {}, and {}:{line} {server}: one of them is wrong, and HAProxy's counts",
                    port.origin, port.value, sources.haproxy_name
                ));
            }
        }
        match nats.text(&["websocket", "no_tls"]) {
            Some(plain) if plain.value == "true" => self.row(&plain, "upstreams.nats is plain HTTP"),
            Some(_) | None => self.losses.push(
                "nats-server.conf: websocket has no `no_tls: true`: NATS wants TLS, and the gateway speaks to it without".to_owned(),
            ),
        }
        let Some(timeout) = nats.text(&["authorization", "timeout"]) else {
            return;
        };
        self.row(
            &timeout,
            "upstreams.joining: only as many log in at once as it has time for",
        );
        if timeout
            .value
            .parse()
            .is_ok_and(|seconds: u64| seconds < LOGIN_SECONDS)
        {
            self.questions.push(format!(
                "{} is {}: in a join storm NATS refuses people for good; {LOGIN_SECONDS} is the installer's",
                timeout.origin, timeout.value
            ));
        }
    }

    fn sip(&mut self, sources: &Sources<'_>) {
        let Some(sip) = &sources.sip else { return };
        for key in ["sip_port", "rtp_port"] {
            if let Some(port) = sip.text(&[key]) {
                self.row(&port, "not the front's: it stays as it is");
            }
        }
        if let Some(address) = sip.text(&["ws_url"]) {
            let through_us = address.value.contains(&format!("://{}/livekit", sources.host));
            let new = if through_us {
                "comes through the gateway, at /livekit"
            } else {
                "not through the front"
            };
            self.row(&address, new);
        }
    }

    fn containers(&mut self, sources: &Sources<'_>) {
        let Some(compose) = &sources.compose else { return };
        for service in compose.names(&["services"]) {
            let of = |key| compose.text(&["services", &service, key]);
            if service.contains("haproxy") {
                self.losses.push(format!(
                    "docker-compose.yaml: {service} runs in a container; swap stops haproxy.service alone, so stop and remove it first"
                ));
            }
            let on_host = of("network_mode").is_some_and(|mode| mode.value == "host");
            let reached = if on_host {
                "on the host's network: 127.0.0.1 is right"
            } else {
                "reached by the ports that it publishes"
            };
            if let Some(image) = of("image") {
                self.row(&image, reached);
            }
            let published = !compose.texts(&["services", &service, "ports"]).is_empty();
            if UPSTREAMS.contains(&service.as_str()) && !on_host && !published {
                self.losses.push(format!(
                    "docker-compose.yaml: {service} is not on the host's network and publishes no port, so nothing here can reach it"
                ));
            }
        }
    }

    fn certbot(&mut self, sources: &Sources<'_>) {
        for renewal in &sources.renewals {
            match &renewal.port {
                Some(port) => self.row(port, "acme.pass_to"),
                None if renewal.needs_port_80 => self.questions.push(format!(
                    "certbot renews {} by `{}`, which needs port 80 for itself or a web server of its own: certbot reconfigure \
                     --cert-name {0} --standalone --http-01-port 9080",
                    renewal.name, renewal.authenticator
                )),
                None => {}
            }
        }
        for hook in &sources.hooks {
            self.questions.push(format!(
                "{} starts HAProxy again at each renewal; swap takes its right to run (chmod a-x), swap --back gives it back",
                hook.display()
            ));
        }
    }
}
