//! `adopt`: what follows from the parts beside the front, and what is written beside the configuration.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::adopting::{CONFIG, HAPROXY, NATS, RENEWAL, adopt, machine, short, written};

fn put(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn read(folder: &Path, name: &str) -> String {
    short(folder, &fs::read_to_string(folder.join(name)).unwrap())
}

#[tokio::test]
async fn what_follows_from_the_parts_is_shown() {
    let folder = machine(CONFIG, HAPROXY);
    put(
        folder.path(),
        "letsencrypt/renewal/conf.example.org.conf",
        RENEWAL,
    );
    let (status, said, errors) = adopt(folder.path(), &["--dry-run"]).await;
    assert_eq!((status, errors.as_str()), (0, ""));
    for (at, old, new) in [
        ("nats-server.conf:3", "websocket.port 8222", "upstreams.nats"),
        (
            "nats-server.conf:4",
            "websocket.no_tls true",
            "upstreams.nats is plain HTTP",
        ),
        (
            "nats-server.conf:23",
            "authorization.timeout 5",
            "upstreams.joining: only as many log in at once as it has time for",
        ),
        (
            "sip.yaml:6",
            "sip_port 5060",
            "not the front's: it stays as it is",
        ),
        (
            "sip.yaml:4",
            "ws_url https://conf.example.org/livekit",
            "comes through the gateway, at /livekit",
        ),
        (
            "docker-compose.yaml:4",
            "services.livekit.image livekit/livekit-server:v1.9",
            "on the host's network: 127.0.0.1 is right",
        ),
        ("conf.example.org.conf:8", "http01_port 9080", "acme.pass_to"),
    ] {
        let row = said
            .lines()
            .find(|row| row.starts_with(&format!("{at} ")))
            .unwrap_or_else(|| panic!("{at} is not in\n{said}"));
        assert!(row.contains(old) && row.ends_with(new), "{row}");
    }
    assert!(
        said.contains(
            "pass_to = \"127.0.0.1:9080\" # letsencrypt/renewal/conf.example.org.conf:8 http01_port"
        ),
        "{said}"
    );
    assert!(!folder.path().join("letsencrypt/renewal-hooks").exists());
}

#[tokio::test]
async fn parts_that_nothing_here_could_reach_stop_it() {
    let folder = machine(CONFIG, HAPROXY);
    let compose = "services:\n  nats:\n    image: nats:2.10-alpine\n  haproxy:\n    image: haproxy\n    ports: [\"443:443\"]\n";
    put(folder.path(), "opt/docker-compose.yaml", compose);
    put(
        folder.path(),
        "opt/nats-server.conf",
        &NATS.replace("8222", "8333").replace("no_tls: true", ""),
    );
    let (status, _, errors) = adopt(folder.path(), &[]).await;
    assert_eq!(status, 1);
    let told = errors.trim_end().rsplit_once("it is:\n").unwrap().1;
    let told: Vec<_> = told.lines().collect();
    assert_eq!(
        told,
        [
            "opt/nats-server.conf:3 websocket.port says 8333, and haproxy/haproxy.cfg:86 127.0.0.1:8222: one of them is wrong, and \
             HAProxy's counts",
            "nats-server.conf: websocket has no `no_tls: true`: NATS wants TLS, and the gateway speaks to it without",
            "docker-compose.yaml: nats is not on the host's network and publishes no port, so nothing here can reach it",
            "docker-compose.yaml: haproxy runs in a container; swap stops haproxy.service alone, so stop and remove it first",
        ]
    );
    let (status, said, _) = adopt(folder.path(), &["--accept-losses"]).await;
    assert_eq!(status, 0);
    assert_eq!(
        said.lines().filter(|line| line.starts_with("Lost: ")).count(),
        4,
        "{said}"
    );
}

#[tokio::test]
async fn an_official_rule_with_one_more_condition_stops_it() {
    let more = HAPROXY.replace(
        "use_backend bk_nats if nats",
        "use_backend bk_nats if nats { src 192.0.2.0/24 }",
    );
    let folder = machine(CONFIG, &more);
    let (status, _, errors) = adopt(folder.path(), &[]).await;
    assert_eq!(status, 1);
    let told = errors.trim_end().rsplit_once("it is:\n").unwrap().1;
    assert!(
        told.lines()
            .any(|line| line
                .ends_with("frontend ft_plugnmeet: use_backend bk_nats if nats { src 192.0.2.0/24 }")),
        "{told}"
    );
    assert!(!folder.path().join("etc").exists());
}

#[tokio::test]
async fn drop_ins_and_certbots_hook_are_written_and_left_alone_once_edited() {
    let folder = machine(CONFIG, HAPROXY);
    put(
        folder.path(),
        "letsencrypt/renewal/conf.example.org.conf",
        RENEWAL,
    );
    put(
        folder.path(),
        "letsencrypt/renewal-hooks/post/001-restart-haproxy",
        "systemctl restart haproxy\n",
    );
    fs::create_dir(folder.path().join("units")).unwrap();
    let (status, said, errors) = adopt(folder.path(), &[]).await;
    assert_eq!((status, errors.as_str()), (0, ""), "{said}");
    assert!(
        said.contains("To decide: letsencrypt/renewal-hooks/post/001-restart-haproxy starts HAProxy again at each renewal"),
        "{said}"
    );
    let socket = read(folder.path(), "units/plugnmeet-gateway.socket.d/adopt.conf");
    assert!(
        socket.ends_with("[Socket]\n# listen.https\nListenStream=\nListenStream=0.0.0.0:443\n"),
        "{socket}"
    );
    let service = read(folder.path(), "units/plugnmeet-gateway.service.d/adopt.conf");
    assert!(
        service.contains("\nCacheDirectory=plugnmeet-gateway\n"),
        "{service}"
    );
    let hook = "letsencrypt/renewal-hooks/deploy/plugnmeet-gateway";
    let path = folder.path().join(hook);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
    let script = read(folder.path(), hook);
    assert!(
        script.starts_with("#!/bin/sh\n# Made by plugnmeet-gateway adopt, checksum "),
        "{script}"
    );
    assert!(
        script.contains("chgrp -R plugnmeet-gateway \"letsencrypt/archive/conf.example.org\"\n"),
        "{script}"
    );
    // Twice changes nothing.
    let (_, said, _) = adopt(folder.path(), &[]).await;
    assert_eq!(said.matches(": unchanged").count(), 5, "{said}");
    // What a person has edited stays.
    let edited = format!("{script}# by hand\n");
    fs::write(&path, &edited).unwrap();
    let (status, _, errors) = adopt(folder.path(), &[]).await;
    assert_eq!(status, 1);
    assert!(errors.contains(&format!("{hook} was edited by hand")), "{errors}");
    let (status, said, _) = adopt(folder.path(), &["--force"]).await;
    assert_eq!(status, 0);
    assert!(
        said.contains(&format!("the edited one is {hook}.before-adopt-1")),
        "{said}"
    );
    let kept = folder.path().join(format!("{hook}.before-adopt-1"));
    assert_eq!(fs::read_to_string(&kept).unwrap(), edited);
    assert_eq!(
        fs::metadata(kept).unwrap().permissions().mode() & 0o111,
        0,
        "certbot would run it"
    );
}

#[tokio::test]
async fn the_gateway_may_order_certificates_itself() {
    let folder = machine(CONFIG, HAPROXY);
    put(
        folder.path(),
        "letsencrypt/renewal/conf.example.org.conf",
        RENEWAL,
    );
    let (status, _, errors) = adopt(folder.path(), &["--acme", "admin@example.org"]).await;
    assert_eq!((status, errors.as_str()), (0, ""));
    let toml = written(folder.path());
    for line in ["accept_terms = true # ", "email = \"admin@example.org\" # --acme"] {
        assert!(toml.contains(line), "{line} is not in\n{toml}");
    }
    assert!(!folder.path().join("letsencrypt/renewal-hooks").exists());
}
