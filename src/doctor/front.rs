//! What is left of the old front, Redis, the client's own settings.

use std::{
    fs,
    path::{Path, absolute},
};

use super::{
    files::{Files, Part},
    finding::{Said, all_or},
};
use crate::{
    limits::StoreSettings,
    official::{Yaml, text},
};

/// The most files that are read of certbot's renewals; a machine has a few.
const MAX_FILES: usize = 200;

/// Behind `HAProxy` everything of its stays.
fn takes_its_place(files: &Files<'_>) -> bool {
    !files.gateway.listen.proxy_protocol
}

pub fn hook(files: &Files<'_>) -> Vec<Said> {
    let hook = files
        .places
        .root
        .join("etc/letsencrypt/renewal-hooks/post/001-restart-haproxy");
    if takes_its_place(files) && hook.exists() {
        let place = hook.display().to_string();
        return vec![
            Said::warn(
                "each renewal starts HAProxy again and drops new connections for a second",
                format!("rm {place}; the gateway takes up new certificates by itself"),
            )
            .at(place),
        ];
    }
    vec![Said::ok("no hook of HAProxy's")]
}

pub fn boot(files: &Files<'_>) -> Vec<Said> {
    let root = &files.places.root;
    let link = root.join("etc/systemd/system/multi-user.target.wants/haproxy.service");
    if takes_its_place(files) && fs::symlink_metadata(&link).is_ok() {
        return vec![
            Said::fail(
                "HAProxy starts at the next boot, and takes the ports",
                "systemctl disable haproxy",
            )
            .at(link.display().to_string()),
        ];
    }
    vec![Said::ok("HAProxy does not start at boot, or stays in front")]
}

pub fn certbot(files: &Files<'_>) -> Vec<Said> {
    let folder = files.places.root.join("etc/letsencrypt/renewal");
    let Ok(found) = fs::read_dir(&folder) else {
        return vec![Said::ok("certbot renews nothing here")];
    };
    let mut wrong = Vec::new();
    for entry in found.flatten().take(MAX_FILES) {
        let name = entry.path().display().to_string();
        let Ok(Some(conf)) = text(&entry.path()) else {
            continue;
        };
        let value = |key: &str| {
            conf.lines().zip(1..).find_map(|(line, nth): (&str, usize)| {
                let (found, value) = line.split_once('=')?;
                (found.trim() == key).then(|| (value.trim().to_owned(), nth))
            })
        };
        let standalone = value("authenticator").is_some_and(|(value, _)| value == "standalone");
        let port = value("http01_port").map_or((80, None), |(port, line)| {
            (port.parse().unwrap_or(80), Some(line))
        });
        let passes = files.gateway.acme.pass_to.as_ref();
        if standalone && takes_its_place(files) && passes.map(|(_, to)| *to) != Some(port.0) {
            let place = port
                .1
                .map_or_else(|| name.clone(), |line| format!("{name}:{line} http01_port"));
            wrong.push(
                Said::fail(
                    format!(
                        "certbot waits on port {} for the CA's checks, and the gateway passes them elsewhere",
                        port.0
                    ),
                    format!(
                        "write pass_to = \"127.0.0.1:{}\" into [acme] of gateway.toml",
                        port.0
                    ),
                )
                .at(place),
            );
        }
    }
    all_or(wrong, "the CA's checks get to whoever renews")
}

pub fn turn_name(files: &Files<'_>) -> Vec<Said> {
    let ours = files.haproxy.backend_of_name().map(|(_, name)| name.to_owned());
    let theirs = files.livekit.text(&["turn", "domain"]);
    match (ours, theirs) {
        (Some(ours), Some(theirs)) if ours != theirs.value => vec![
            Said::warn(
                format!(
                    "haproxy.cfg knows TURN as {ours}, and LiveKit as {}",
                    theirs.value
                ),
                "write one name in both",
            )
            .at(theirs.origin),
        ],
        _ => vec![Said::ok("HAProxy's file and LiveKit's agree")],
    }
}

pub fn behind(files: &Files<'_>) -> Vec<Said> {
    if takes_its_place(files) {
        return vec![Said::ok("the gateway is not behind HAProxy")];
    }
    let port = files.gateway.listen.https_port();
    let mut servers = files
        .haproxy
        .sections
        .iter()
        .flat_map(|section| &section.directives);
    let leads = servers.find(|one| one.is(&["server"]) && one.word(2).ends_with(&format!(":{port}")));
    match leads {
        Some(server) if server.has("send-proxy") || server.has("send-proxy-v2") => {
            vec![Said::ok("HAProxy leads to the gateway, with PROXY headers")]
        }
        Some(server) => vec![
            Said::fail(
                "the gateway waits for PROXY headers, and HAProxy sends none",
                "add send-proxy-v2 to this line",
            )
            .at(format!("haproxy.cfg:{}", server.line)),
        ],
        None => vec![
            Said::fail(
                format!("no server of haproxy.cfg leads to the gateway's port {port}"),
                format!("write server local 127.0.0.1:{port} check send-proxy-v2 ssl verify none into bk_tcp_to_plugnmeet"),
            )
            .at(files.ours("listen.https")),
        ],
    }
}

/// A Redis, as a file names it: where, the database, who asks. The password only for comparing.
struct Named {
    at: String,
    db: u64,
    password: String,
    place: String,
}

fn named(yaml: &Yaml<'_>, section: &str, host: &str) -> Option<Named> {
    let text = |key: &str| yaml.text(&[section, key]).map(|found| found.value);
    let at = match text("sentinel_master_name") {
        Some(master) => {
            let mut all: Vec<String> = yaml
                .texts(&[section, "sentinel_addresses"])
                .into_iter()
                .map(|found| found.value)
                .collect();
            all.sort();
            format!("{master} of {}", all.join(","))
        }
        None => text(host)?,
    };
    Some(Named {
        at: at.replace("localhost", "127.0.0.1"),
        db: yaml.number(&[section, "db"]).map_or(0, |db| db.value),
        password: text("password").unwrap_or_default(),
        place: yaml.place(&[section, host]),
    })
}

pub fn redis(files: &Files<'_>) -> Vec<Said> {
    let Some(server) = named(&files.config, "redis_info", "host") else {
        let place = files.config.place(&["redis_info", "host"]);
        return vec![Said::fail("names no Redis", "write host: localhost:6379").at(place)];
    };
    let others = [&files.livekit, &files.ingress, &files.sip];
    let mut wrong = Vec::new();
    for other in others
        .into_iter()
        .filter_map(|yaml| named(yaml, "redis", "address"))
    {
        let differs = if other.at != server.at {
            Some("is another Redis than the server's")
        } else if other.db != server.db {
            Some("is another database than the server's")
        } else if other.password != server.password {
            Some("has another password than the server's file")
        } else {
            None
        };
        if let Some(differs) = differs {
            let advice = "write the same as redis_info of config.yaml: they meet there";
            wrong.push(Said::fail(differs, advice).at(other.place));
        }
    }
    all_or(wrong, "all parts name the same")
}

pub fn sentinels(files: &Files<'_>) -> Vec<Said> {
    let key = ["redis_info", "sentinel_password"];
    let counts_there = matches!(files.gateway.limits.store, StoreSettings::Redis(_));
    match files.config.text(&key) {
        Some(found) if !counts_there => vec![
            Said::warn(
                "the Sentinels have a password of their own, with which the gateway can't ask them: it counts limits for itself",
                "with several gateways write a Redis into limits.store",
            )
            .at(found.origin),
        ],
        _ => vec![Said::ok("nothing that the gateway can't ask")],
    }
}

pub fn server_url(files: &Files<'_>) -> Vec<Said> {
    let Some(script) = &files.script else {
        return vec![
            Said::warn(
                "has no object window.plugNmeetConfig",
                "copy config_sample.js to config.js, and set serverUrl",
            )
            .at(files.script_name.clone()),
        ];
    };
    let Some(url) = &script.server else {
        return vec![Said::ok("found out by the browser, or made by the gateway")];
    };
    let Some(origin) = files.origin() else {
        return vec![Said::skip("no file says what the public origin is")];
    };
    let wanted = origin.as_str().trim_end_matches('/');
    let mounted = format!("{wanted}{}", files.gateway.client.mount);
    if [wanted, &mounted].contains(&url.trim_end_matches('/')) {
        return vec![Said::ok(wanted)];
    }
    vec![
        Said::warn(
            format!("is {url}, and people come to {wanted}"),
            format!("write serverUrl: '{wanted}'"),
        )
        .at(format!("{} serverUrl", files.script_name)),
    ]
}

pub fn client_path(files: &Files<'_>) -> Vec<Said> {
    let Some(theirs) = &files.client_folder else {
        return vec![Said::skip("client.path is not set in config.yaml")];
    };
    let place = files.config.place(&["client", "path"]);
    if !files.has(Part::Gateway) {
        return vec![Said::ok(theirs.display().to_string())];
    }
    match &files.gateway.client.path {
        None => vec![
            Said::fail(
                "the gateway serves a page of its own in the client's place",
                format!(
                    "write path = \"{}\" into [client] of gateway.toml",
                    theirs.display()
                ),
            )
            .at(files.ours("client.path")),
        ],
        Some(ours) if same(ours, theirs) => vec![Said::ok("the gateway serves the server's client")],
        Some(ours) => vec![
            Said::warn(
                format!(
                    "the gateway serves {}, and updates go to {}",
                    ours.display(),
                    theirs.display()
                ),
                format!("name one of them in both; see {}", files.ours("client.path")),
            )
            .at(place),
        ],
    }
}

fn same(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().or_else(|_| absolute(path));
    match (whole(one), whole(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

pub fn readable(files: &Files<'_>) -> Vec<Said> {
    let broken = files.broken.iter().map(|broken| {
        Said::fail(
            broken.why.clone(),
            "mend it, or run doctor as a user who may read it",
        )
        .at(broken.file.clone())
    });
    let broken: Vec<Said> = broken.collect();
    if broken.is_empty() && !files.has(Part::Config) {
        let folder = files.places.from.display();
        return vec![Said::skip(format!(
            "{folder} has no config.yaml; name the installation by --from"
        ))];
    }
    let names: Vec<&str> = files.there.iter().map(|part| part.name()).collect();
    all_or(broken, names.join(", "))
}
