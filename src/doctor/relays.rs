//! TURN, as livekit.yaml has it, against ours.

use std::{net::IpAddr, path::Path};

use ipnet::IpNet;

use super::{
    files::{Files, is_local},
    finding::Said,
    media::{READS_HEADERS, image, tag},
};
use crate::{
    proxy::Target,
    tls::{CertStore, CoveredNames},
    turn::TurnHeader,
};

const ENABLED: [&str; 2] = ["turn", "enabled"];

fn is_on(files: &Files<'_>) -> bool {
    files.livekit.is_true(&ENABLED)
}

fn off() -> Vec<Said> {
    vec![Said::skip("LiveKit has no TURN; see turn.enabled")]
}

pub fn enabled(files: &Files<'_>) -> Vec<Said> {
    if is_on(files) {
        return vec![Said::ok("on")];
    }
    vec![
        Said::warn(
            "is off: people behind strict firewalls see and hear nobody",
            "write enabled: true, domain, tls_port: 5349, external_tls: true and udp_port: 443 into turn",
        )
        .at(files.livekit.place(&ENABLED)),
    ]
}

pub fn external_tls(files: &Files<'_>) -> Vec<Said> {
    if !is_on(files) {
        return off();
    }
    let key = ["turn", "external_tls"];
    if files.livekit.is_true(&key) {
        return vec![Said::ok("TLS ends in front of LiveKit")];
    }
    let domain = files.livekit.text(&["turn", "domain"]);
    let shared = domain.is_none_or(|domain| {
        Some(domain.value.as_str()) == files.origin().as_ref().and_then(|url| url.host_str())
    });
    let advice = "write external_tls: true";
    let place = files.livekit.place(&key);
    vec![if shared {
        Said::fail(
            "LiveKit ends TLS itself, which can't work on the domain of the page",
            advice,
        )
        .at(place)
    } else {
        Said::warn(
            "LiveKit ends TLS itself, and needs a certificate of its own",
            advice,
        )
        .at(place)
    }]
}

pub fn upstream(files: &Files<'_>) -> Vec<Said> {
    if !is_on(files) {
        return off();
    }
    let key = ["turn", "tls_port"];
    let place = files.livekit.place(&key);
    let Some(port) = files.livekit.number(&key).filter(|port| port.value > 0) else {
        return vec![
            Said::fail("is not set, so there is no TURN over TLS", "write tls_port: 5349").at(place),
        ];
    };
    let port = port.value;
    match files.gateway.turn.as_ref().map(|turn| &turn.upstream) {
        None => vec![
            Said::fail(
                "LiveKit offers TURN at port 443, and the gateway does not serve it",
                format!("write [turn] with upstream = \"127.0.0.1:{port}\" into gateway.toml"),
            )
            .at(place),
        ],
        Some(Target::Tcp { port: ours, .. }) if u64::from(*ours) == port => {
            vec![Said::ok(format!("the gateway leads to port {port}"))]
        }
        Some(_) => vec![
            Said::fail(
                format!("is {port}, and the gateway leads elsewhere"),
                format!(
                    "write upstream = \"127.0.0.1:{port}\" at {}",
                    files.ours("turn.upstream")
                ),
            )
            .at(place),
        ],
    }
}

pub fn names(files: &Files<'_>) -> Vec<Said> {
    if !is_on(files) {
        return off();
    }
    let Some(domain) = files.livekit.text(&["turn", "domain"]) else {
        let place = files.livekit.place(&["turn", "domain"]);
        return vec![
            Said::fail(
                "is not set, so browsers get no TURN over TLS",
                "write a name of this machine",
            )
            .at(place),
        ];
    };
    let public = files.origin();
    let shared = public.as_ref().and_then(|url| url.host_str()) == Some(domain.value.as_str());
    let known = files.gateway.turn.as_ref();
    if shared || known.is_some_and(|turn| turn.names.contains(&domain.value.to_ascii_lowercase())) {
        return vec![Said::ok(domain.value)];
    }
    vec![
        Said::fail(
            format!("{} is no name of the gateway's", domain.value),
            format!("write names = [\"{}\"] into [turn] of gateway.toml", domain.value),
        )
        .at(domain.origin),
    ]
}

pub fn certificate(files: &Files<'_>) -> Vec<Said> {
    let Some(domain) = files.livekit.text(&["turn", "domain"]).filter(|_| is_on(files)) else {
        return off();
    };
    let acme = &files.gateway.acme;
    let storage = acme.accept_terms.then_some(acme.settings.storage.as_path());
    let certs: &Path = &files.gateway.tls.certs;
    let names = CoveredNames {
        public: domain.value.clone(),
        hosts: Vec::new(),
    };
    let Ok(store) = CertStore::load(certs, storage, &names, files.now) else {
        return vec![Said::skip(format!(
            "{} can't be read; see gateway.configuration",
            certs.display()
        ))];
    };
    let covers = |name: &String| {
        let rest = domain.value.split_once('.').map(|(_, rest)| rest);
        *name == domain.value || (rest.is_some() && name.strip_prefix("*.") == rest)
    };
    match store
        .files()
        .into_iter()
        .find(|file| file.names.iter().any(covers))
    {
        Some(file) => vec![Said::ok(format!(
            "{} has {}, until {}",
            file.file.display(),
            domain.value,
            file.last_day
        ))],
        None => vec![
            Said::fail(
                format!("no certificate in {} is for {}", certs.display(), domain.value),
                "order one with this name, too; or use the domain of the page",
            )
            .at(domain.origin),
        ],
    }
}

pub fn proxy_protocol(files: &Files<'_>) -> Vec<Said> {
    let Some(turn) = files.gateway.turn.as_ref().filter(|_| is_on(files)) else {
        return vec![Said::skip("TURN is not served by the gateway")];
    };
    let key = ["turn", "proxy_protocol"];
    let reads = files.livekit.is_true(&key);
    let place = files.livekit.place(&key);
    let version = image(&files.compose, "livekit/livekit-server").and_then(|image| tag(&image));
    match (turn.proxy_protocol, reads) {
        (TurnHeader::V2, false) => vec![
            Said::fail(
                "the gateway sends PROXY headers, and LiveKit reads none",
                "write proxy_protocol: true (LiveKit 1.13.7), or take proxy_protocol out of [turn] in gateway.toml",
            )
            .at(place),
        ],
        (TurnHeader::Off, true) => vec![
            Said::fail(
                "LiveKit waits for PROXY headers, and the gateway sends none",
                format!("write proxy_protocol = \"auto\" at {}", files.ours("turn.proxy_protocol")),
            )
            .at(place),
        ],
        (TurnHeader::Auto | TurnHeader::V2, true) => trusted(files, &turn.upstream, turn.proxy_protocol),
        (TurnHeader::Auto | TurnHeader::Off, false) if version.is_some_and(|version| version < READS_HEADERS) => {
            vec![Said::ok("this LiveKit reads no PROXY header, and gets none")]
        }
        (TurnHeader::Auto | TurnHeader::Off, false) => vec![
            Said::warn(
                "LiveKit takes the gateway for the client, and Firefox may refuse what it then hears",
                "write proxy_protocol: true (LiveKit 1.13.7)",
            )
            .at(place),
        ],
    }
}

/// Does `LiveKit` believe headers from where the gateway calls?
fn trusted(files: &Files<'_>, upstream: &Target, header: TurnHeader) -> Vec<Said> {
    let key = ["turn", "proxy_protocol_trusted_cidrs"];
    let cidrs: Vec<IpNet> = files
        .livekit
        .texts(&key)
        .iter()
        .filter_map(|found| found.value.parse().ok())
        .collect();
    let believes = |ip: IpAddr| {
        if cidrs.is_empty() {
            ip.is_loopback()
        } else {
            cidrs.iter().any(|net| net.contains(&ip))
        }
    };
    let loopback = IpAddr::from([127, 0, 0, 1]);
    let from = match upstream {
        Target::Tcp { host, .. } if is_local(host) => Some(loopback),
        Target::Tcp { host, .. } => host.parse().ok(),
        Target::Unix(_) => None,
    };
    // One that is found by asking takes loopback where that is trusted.
    let well = from.is_none_or(believes) || (header == TurnHeader::Auto && believes(loopback));
    if well {
        return vec![Said::ok("LiveKit reads PROXY headers of the gateway's")];
    }
    let shown = from.map_or(String::new(), |ip| ip.to_string());
    vec![
        Said::fail(
            format!(
                "LiveKit believes no PROXY header from {shown}, and closes such connections without a word"
            ),
            format!("add {shown}/32, or let the gateway call 127.0.0.1"),
        )
        .at(files.livekit.place(&key)),
    ]
}

pub fn udp_port(files: &Files<'_>) -> Vec<Said> {
    if !is_on(files) {
        return off();
    }
    let key = ["turn", "udp_port"];
    match files.livekit.number(&key).filter(|port| port.value > 0) {
        Some(port) => vec![Said::ok(format!("port {}", port.value))],
        None => vec![
            Said::warn(
                "there is no TURN over UDP, which is faster than over TLS",
                "write udp_port: 443",
            )
            .at(files.livekit.place(&key)),
        ],
    }
}
