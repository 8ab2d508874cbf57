//! nats-server.conf, against the server's file and ours.

use super::{files::Files, finding::Said, nkey::public_key, server::ours};
use crate::official::Found;

const CALLOUT: [&str; 2] = ["authorization", "auth_callout"];

/// Below this, a school's clients are refused.
const FEW_CONNECTIONS: u64 = 1024;

/// The server answers a login within this, if it is well.
const LOGIN_SECONDS: f64 = 5.0;

pub fn ws_url(files: &Files<'_>) -> Vec<Said> {
    let key = ["nats_info", "nats_ws_urls"];
    let place = files.config.place(&key);
    let urls = files.config.texts(&key);
    if urls.is_empty() {
        return files.leads_to_us(None, place, (&["https", "wss"], "/ws"));
    }
    // The client takes any of them.
    let judged = urls
        .into_iter()
        .flat_map(|found| files.leads_to_us(Some(found), place.clone(), (&["https", "wss"], "/ws")));
    let judged: Vec<Said> = judged.collect();
    let wrong: Vec<Said> = judged
        .iter()
        .filter(|said| said.advice.is_some())
        .cloned()
        .collect();
    if wrong.is_empty() {
        judged.into_iter().take(1).collect()
    } else {
        wrong
    }
}

pub fn account(files: &Files<'_>) -> Vec<Said> {
    let Some(account) = files.config.text(&["nats_info", "account"]) else {
        let place = files.config.place(&["nats_info", "account"]);
        return vec![Said::fail("is not set", "write the account of nats-server.conf").at(place)];
    };
    if !files.nats.has(&["accounts", &account.value]) {
        return vec![
            Said::fail(
                format!("NATS has no account {}", account.value),
                "write the same name in config.yaml and in accounts of nats-server.conf",
            )
            .at(account.origin),
        ];
    }
    let key = [CALLOUT[0], CALLOUT[1], "account"];
    match files.nats.text(&key) {
        Some(callout) if callout.value != account.value => vec![
            Said::fail(
                format!(
                    "logins are judged in the account {}, and the server is in {}",
                    callout.value, account.value
                ),
                format!("write {}", account.value),
            )
            .at(callout.origin),
        ],
        _ => vec![Said::ok(account.value)],
    }
}

/// Is the public half of the server's private key in this place?
fn half(files: &Files<'_>, seed: &str, places: &[(Vec<Found<String>>, String)]) -> Vec<Said> {
    let key = ["nats_info", seed];
    let Some(found) = files.config.text(&key) else {
        return vec![
            Said::fail("is not set", "make the keys anew: nsc generate nkey").at(files.config.place(&key)),
        ];
    };
    let Some(public) = public_key(&found.value) else {
        return vec![
            Said::fail(
                "is no private key of NATS",
                "copy it whole, or make the pair anew",
            )
            .at(found.origin),
        ];
    };
    let mut wrong = Vec::new();
    for (held, place) in places {
        if !held.iter().any(|held| held.value == public) {
            let place = held.first().map_or(place.clone(), |held| held.origin.clone());
            wrong.push(
                Said::fail(
                    format!("is another key than that of {seed} in config.yaml, so nobody can log in"),
                    format!("write {public}"),
                )
                .at(place),
            );
        }
    }
    if wrong.is_empty() {
        vec![Said::ok("the two halves belong together")]
    } else {
        wrong
    }
}

fn one(files: &Files<'_>, key: &str) -> (Vec<Found<String>>, String) {
    let path = [CALLOUT[0], CALLOUT[1], key];
    (
        files.nats.text(&path).into_iter().collect(),
        files.nats.place(&path),
    )
}

pub fn user(files: &Files<'_>) -> Vec<Said> {
    let account = files
        .config
        .text(&["nats_info", "account"])
        .map(|found| found.value);
    let account = account.unwrap_or_default();
    let users = ["accounts", account.as_str(), "users"];
    let auth = [CALLOUT[0], CALLOUT[1], "auth_users"];
    half(
        files,
        "nkey",
        &[
            (files.nats.texts(&users, "nkey"), files.nats.place(&users)),
            (files.nats.texts(&auth, ""), files.nats.place(&auth)),
        ],
    )
}

pub fn issuer(files: &Files<'_>) -> Vec<Said> {
    half(files, "auth_callout_issuer_private", &[one(files, "issuer")])
}

pub fn xkey(files: &Files<'_>) -> Vec<Said> {
    half(files, "auth_callout_xkey_private", &[one(files, "xkey")])
}

pub fn websocket(files: &Files<'_>) -> Vec<Said> {
    let key = ["websocket", "no_tls"];
    if files
        .nats
        .text(&key)
        .is_some_and(|found| matches!(found.value.as_str(), "true" | "yes" | "on"))
    {
        return vec![Said::ok("plain, as the gateway asks")];
    }
    vec![
        Said::fail(
            "NATS wants TLS, and the gateway speaks none to it",
            "write no_tls: true",
        )
        .at(files.nats.place(&key)),
    ]
}

fn number(found: Option<&Found<String>>) -> Option<f64> {
    found?.value.trim_end_matches('s').parse().ok()
}

pub fn port(files: &Files<'_>) -> Vec<Said> {
    let key = ["websocket", "port"];
    let place = files.nats.place(&key);
    let port = files.nats.text(&key).and_then(|found| found.value.parse().ok());
    let Some(port) = port else {
        return vec![Said::fail("is not set, so clients get no WebSocket", "write port: 8222").at(place)];
    };
    ours(
        files,
        "upstreams.nats",
        files.gateway.upstreams.nats.iter(),
        port,
        place,
    )
}

pub fn timeout(files: &Files<'_>) -> Vec<Said> {
    let key = ["authorization", "timeout"];
    let found = files.nats.text(&key);
    match number(found.as_ref()) {
        Some(seconds) if seconds >= LOGIN_SECONDS => vec![Said::ok(format!("{seconds} s"))],
        Some(_) | None => vec![
            Said::warn(
                "logins of a class that comes in one moment are given up too soon",
                "write timeout: 5 or more",
            )
            .at(files.nats.place(&key)),
        ],
    }
}

pub fn connections(files: &Files<'_>) -> Vec<Said> {
    let found = files.nats.text(&["max_connections"]);
    match found
        .as_ref()
        .and_then(|found| Some((found, found.value.parse::<u64>().ok()?)))
    {
        Some((found, most)) if most < FEW_CONNECTIONS => vec![
            Said::warn(
                format!("NATS takes {most} connections, one for each person"),
                "take it out (65,536)",
            )
            .at(found.origin.clone()),
        ],
        Some((_, most)) => vec![Said::ok(format!("{most}"))],
        None => vec![Said::ok("65,536, NATS' default")],
    }
}

pub fn jetstream(files: &Files<'_>) -> Vec<Said> {
    let account = files
        .config
        .text(&["nats_info", "account"])
        .map(|found| found.value);
    let account = account.unwrap_or_default();
    let of_account = ["accounts", account.as_str(), "jetstream"];
    if !files.nats.has(&["jetstream"]) {
        let place = files.nats.place(&["jetstream"]);
        return vec![
            Said::fail(
                "is not on, and plugNmeet keeps its rooms there",
                "write jetstream { store_dir: … }",
            )
            .at(place),
        ];
    }
    let on = files.nats.has(&of_account)
        && files
            .nats
            .text(&of_account)
            .is_none_or(|found| !matches!(found.value.as_str(), "disabled" | "false"));
    if on {
        return vec![Said::ok(format!("on, for {account} too"))];
    }
    vec![
        Said::fail(
            format!("is not on for the account {account}"),
            "write jetstream: enabled into that account",
        )
        .at(files.nats.place(&of_account)),
    ]
}

pub fn volume(files: &Files<'_>) -> Vec<Said> {
    let Some(store) = files.nats.text(&["jetstream", "store_dir"]) else {
        let place = files.nats.place(&["jetstream", "store_dir"]);
        return vec![
            Said::warn(
                "is not set: NATS keeps its files in /tmp",
                "write store_dir: /data/jetstream",
            )
            .at(place),
        ];
    };
    let services = files.compose.names(&["services"]);
    let of_nats = services.iter().find(|service| {
        let image = files.compose.text(&["services", service, "image"]);
        image.is_some_and(|image| image.value.split(':').next() == Some("nats"))
    });
    let Some(service) = of_nats else {
        return vec![Said::skip("NATS is no service of docker-compose.yaml")];
    };
    let key = ["services", service.as_str(), "volumes"];
    let inside = |found: &Found<String>| {
        let folder = found.value.split(':').nth(1).unwrap_or_default().to_owned();
        folder.len() > 1 && std::path::Path::new(&store.value).starts_with(folder)
    };
    if files.compose.texts(&key).iter().any(inside) {
        return vec![Said::ok("on a volume")];
    }
    vec![
        Said::warn(
            format!(
                "{} is on no volume: rooms that run are lost when the container is made anew",
                store.value
            ),
            format!("add ./nats-data:{}", store.value),
        )
        .at(files.compose.place(&key)),
    ]
}
