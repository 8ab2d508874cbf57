//! config.yaml of plugnmeet-server, against ours.

use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use super::{
    files::{Files, is_local, is_private},
    finding::{Said, all_or},
};
use crate::{proxy::Target, token::TokenKeys};

/// In the server's sample, and so known to everybody.
const SAMPLE_SECRET: &str = "zumyyYWqv7KR2kUqvYdq4z4sXg7XTBD2ljT6";

/// The client renews its token each three minutes (docs/plugnmeet.md section 0.11).
const SHORTEST_VALIDITY: Duration = Duration::from_secs(4 * 60);

/// The server's default of `upload_file_settings.max_size`.
const MAX_SIZE_MIB: u64 = 50;

pub fn proxy_header(files: &Files<'_>) -> Vec<Said> {
    match files.config.text(&["client", "proxy_header"]) {
        Some(found) => vec![
            Said::warn(
                "has no effect since plugnmeet-server 2.4",
                "take it out; client.proxy_conf is what counts",
            )
            .at(found.origin),
        ],
        None => vec![Said::ok("no key of old releases")],
    }
}

pub fn proxy_trust(files: &Files<'_>) -> Vec<Said> {
    let conf = ["client", "proxy_conf", "trusted_proxy_ips"];
    if !files.config.is_true(&["client", "proxy_conf", "enabled"]) {
        return vec![Said::ok(
            "the server believes no proxy; the gateway mends its addresses",
        )];
    }
    let local = files
        .gateway
        .upstreams
        .server
        .iter()
        .all(|server| matches!(server, Target::Tcp { host, .. } if is_local(host)));
    if !local {
        return vec![Said::skip(
            "the server is on another machine: it has to trust the gateway's address",
        )];
    }
    let trusted = files.config.texts(&conf);
    let covers = |text: &str| {
        let net = text
            .parse::<IpNet>()
            .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
        net.is_ok_and(|net| net.contains(&std::net::IpAddr::from([127, 0, 0, 1])))
    };
    if trusted.iter().any(|found| covers(&found.value)) {
        vec![Said::ok("the server trusts 127.0.0.1")]
    } else {
        vec![
            Said::fail(
                "the server does not trust 127.0.0.1, from which the gateway calls it",
                "add 127.0.0.1, or BBB's links have the wrong scheme",
            )
            .at(files.config.place(&conf)),
        ]
    }
}

pub fn api_key(files: &Files<'_>) -> Vec<Said> {
    let place = files.config.place(&["client", "api_key"]);
    match files.config.text(&["client", "api_key"]) {
        Some(found) if found.value == files.gateway.plugnmeet.api_key => {
            vec![Said::ok("the server's and the gateway's are equal")]
        }
        Some(_) => vec![
            Said::fail(
                "the server's and the gateway's are different, so every request is 401",
                format!("write the server's into {}", files.ours("plugnmeet.api_key")),
            )
            .at(place),
        ],
        None => vec![Said::fail("is not set", "write one, and the same into gateway.toml").at(place)],
    }
}

pub fn secret(files: &Files<'_>) -> Vec<Said> {
    let place = files.config.place(&["client", "secret"]);
    let Some(theirs) = files.config.text(&["client", "secret"]) else {
        return vec![Said::fail("is not set", "write one: openssl rand -hex 32").at(place)];
    };
    match &files.gateway.plugnmeet.secret {
        None => vec![
            Said::fail(
                "the gateway has a secret of its own making, and not the server's",
                "write plugnmeet.secret_file, and the server's secret into that file",
            )
            .at(files.ours("plugnmeet.secret")),
        ],
        Some(ours) if *ours.expose() == theirs.value => {
            vec![Said::ok("the server's and the gateway's are equal")]
        }
        Some(_) => vec![
            Said::fail(
                "the server's and the gateway's are different, so no token and no request is taken",
                "put the server's into the gateway's secret file, and reload",
            )
            .at(place),
        ],
    }
}

pub fn secret_strength(files: &Files<'_>) -> Vec<Said> {
    let Some(found) = files.config.text(&["client", "secret"]) else {
        return vec![Said::skip("there is none")];
    };
    let fresh = "make a new one (openssl rand -hex 32) for server, recorder, integrators and gateway";
    if found.value == SAMPLE_SECRET {
        return vec![
            Said::fail("is the one of the server's sample, which everybody knows", fresh).at(found.origin),
        ];
    }
    if found.value.len() < TokenKeys::SHORT_SECRET_BYTES {
        return vec![
            Said::warn("is shorter than 32 characters, so it can be guessed", fresh).at(found.origin),
        ];
    }
    vec![Said::ok("long, and not the sample's")]
}

pub fn debug(files: &Files<'_>) -> Vec<Said> {
    let key = ["client", "debug"];
    if files.config.is_true(&key) {
        vec![
            Said::warn(
                "is on: the server logs what people send",
                "write false and restart plugnmeet",
            )
            .at(files.config.place(&key)),
        ]
    } else {
        vec![Said::ok("off")]
    }
}

pub fn bbb_join_host(files: &Files<'_>) -> Vec<Said> {
    let key = ["client", "bbb_join_host"];
    let Some(found) = files.config.text(&key) else {
        return vec![Said::ok(
            "not set: the gateway finishes the addresses of BBB joins",
        )];
    };
    let path =
        Url::parse(&found.value).map_or(String::new(), |url| url.path().trim_end_matches('/').to_owned());
    let mount = &files.gateway.client.mount;
    // The gateway takes people from the root to the client.
    let path = if path == *mount { mount.as_str() } else { "" };
    let place = files.config.place(&key);
    files.leads_to_us(Some(found), place, (&["https"], path))
}

/// The server calls `LiveKit` there, and gives the same address to every client (docs/plugnmeet.md section 5).
pub fn livekit_host(files: &Files<'_>) -> Vec<Said> {
    let key = ["livekit_info", "host"];
    let (found, path) = (files.config.text(&key), "/livekit");
    let origin = files.origin();
    if let Some(text) = &found
        && let Ok(url) = Url::parse(&text.value)
        && url.host_str().is_some_and(is_private)
        && origin
            .as_ref()
            .is_none_or(|origin| origin.host_str() != url.host_str())
    {
        let wanted = origin.map_or("https://DOMAIN".to_owned(), |origin| {
            origin.as_str().trim_end_matches('/').to_owned()
        });
        return vec![
            Said::fail(
                format!(
                    "the server gives {} to clients, and no browser elsewhere reaches it: people have no sound and no picture",
                    url.host_str().unwrap_or_default()
                ),
                format!("write {wanted}{path}"),
            )
            .at(text.origin.clone()),
        ];
    }
    files.leads_to_us(found, files.config.place(&key), (&["https", "wss"], path))
}

pub fn livekit_keys(files: &Files<'_>) -> Vec<Said> {
    let key = files.config.text(&["livekit_info", "api_key"]);
    let secret = files.config.text(&["livekit_info", "secret"]);
    let (Some(key), Some(secret)) = (key, secret) else {
        let place = files.config.place(&["livekit_info"]);
        return vec![
            Said::fail(
                "has no api_key or no secret",
                "write a pair of livekit.yaml's keys",
            )
            .at(place),
        ];
    };
    pair_of_livekit(files, &key.value, &secret.value, &key.origin, &secret.origin)
}

/// Are these a key and its secret that `LiveKit` knows?
pub fn pair_of_livekit(
    files: &Files<'_>,
    key: &str,
    secret: &str,
    key_at: &str,
    secret_at: &str,
) -> Vec<Said> {
    match files.livekit.text(&["keys", key]) {
        None => vec![
            Said::fail(
                "LiveKit does not know this key",
                format!("write a key of {} there", files.livekit.place(&["keys"])),
            )
            .at(key_at),
        ],
        Some(known) if known.value == secret => vec![Said::ok("LiveKit's and this one are equal")],
        Some(known) => vec![
            Said::fail(
                "the secret of this key and LiveKit's are different",
                format!("write the same as {}", known.origin.replace(key, "KEY")),
            )
            .at(secret_at),
        ],
    }
}

pub fn token_validity(files: &Files<'_>) -> Vec<Said> {
    let Some(found) = files.config.text(&["client", "token_validity"]) else {
        return vec![Said::ok("10 minutes, the server's default")];
    };
    match duration(&found.value) {
        None => vec![Said::fail("is no duration", "write 10m").at(found.origin)],
        Some(long) if long < SHORTEST_VALIDITY => vec![
            Said::fail(
                "ends before the client renews it, which it does every three minutes",
                "write 10m",
            )
            .at(found.origin),
        ],
        Some(_) => vec![Said::ok(found.value)],
    }
}

/// As Go writes them: `10m`, `1h30m`, `90s`.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut whole = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|char: char| !char.is_ascii_digit() && char != '.')?;
        let (number, behind) = rest.split_at_checked(digits)?;
        let unit = behind
            .find(|char: char| char.is_ascii_digit())
            .unwrap_or(behind.len());
        let (unit, behind) = behind.split_at_checked(unit)?;
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        whole += number.parse::<f64>().ok()? * seconds;
        rest = behind;
    }
    Duration::try_from_secs_f64(whole)
        .ok()
        .filter(|_| !text.is_empty())
}

pub fn upload_size(files: &Files<'_>) -> Vec<Said> {
    let key = ["upload_file_settings", "max_size"];
    let found = files.config.number(&key);
    let (mib, place) = found.map_or((MAX_SIZE_MIB, files.config.place(&key)), |found| {
        (found.value, found.origin)
    });
    let ours = files.gateway.sizes.body_bytes;
    if mib.saturating_mul(1 << 20) <= ours {
        return vec![Said::ok(format!("{mib} MiB fit through the gateway"))];
    }
    vec![
        Said::fail(
            format!(
                "the server takes files of {mib} MiB, and the gateway {} MiB",
                ours >> 20
            ),
            format!("write body = \"{mib}MiB\" at {}", files.ours("sizes.body")),
        )
        .at(place),
    ]
}

pub fn upload_folder(files: &Files<'_>) -> Vec<Said> {
    let key = ["upload_file_settings", "path"];
    let servers = files.gateway.upstreams.server.len();
    let path = files.config.text(&key);
    let shared = path.as_ref().is_some_and(|path| path.value.starts_with('/'));
    if servers < 2 || shared {
        return vec![Said::ok("one server, or a folder that servers can share")];
    }
    vec![
        Said::warn(
            format!("{servers} servers, and files in a folder of this one"),
            "name a folder that all of them share",
        )
        .at(files.config.place(&key)),
    ]
}

pub fn port(files: &Files<'_>) -> Vec<Said> {
    let port = files
        .config
        .number(&["client", "port"])
        .map_or(8080, |port| port.value);
    let place = files.config.place(&["client", "port"]);
    ours(
        files,
        "upstreams.server",
        files.gateway.upstreams.server.iter(),
        port,
        place,
    )
}

/// Is one of our upstreams on this machine at this port, if it is on this machine at all?
pub fn ours<'f>(
    files: &Files<'_>,
    key: &str,
    targets: impl Iterator<Item = &'f Target>,
    port: u64,
    place: String,
) -> Vec<Said> {
    let mut here = targets.filter_map(|target| match target {
        Target::Tcp { host, port } => Some((is_local(host), u64::from(*port))),
        Target::Unix(_) => None,
    });
    match here.find(|(local, ours)| !*local || *ours == port) {
        Some((true, _)) => vec![Said::ok(format!("the gateway asks at port {port}"))],
        Some((false, _)) => vec![Said::skip("it is on another machine")],
        None => vec![
            Said::fail(
                format!("listens on port {port}, and the gateway asks elsewhere"),
                format!("write http://127.0.0.1:{port} at {}", files.ours(key)),
            )
            .at(place),
        ],
    }
}

pub fn hosts_agree(files: &Files<'_>) -> Vec<Said> {
    let wrong = files.origin().is_none().then(|| {
        Said::fail(
            "no file says at which address people come",
            "write public_origin in gateway.toml",
        )
        .at(files.ours("public_origin"))
    });
    let known = files.origin().map_or(String::new(), |url| url.to_string());
    all_or(wrong.into_iter().collect(), known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        let seconds = |text: &str| duration(text).map(|long| long.as_secs());
        assert_eq!(seconds("10m"), Some(600));
        assert_eq!(seconds("1h30m"), Some(5400));
        assert_eq!(seconds("1.5m"), Some(90));
        for none in ["", "10", "m", "10 m", "1d"] {
            assert_eq!(seconds(none), None, "{none}");
        }
    }
}
