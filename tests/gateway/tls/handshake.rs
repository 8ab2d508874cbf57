//! Certificates by name, versions, groups, and the self-made certificate.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use rcgen::{CertificateParams, KeyPair};
use rustls::{
    NamedGroup, ProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    version::{TLS12, TLS13},
};
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::{Visitor, certificate};
use crate::support::{
    Gateway,
    raw::{Raw, RawUpstream},
};

/// Writes `NAME.pem` and `NAME.key` for these names.
fn write_certificate(certs: &Path, name: &str, hosts: &[&str]) {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(hosts).unwrap().self_signed(&key).unwrap();
    fs::create_dir_all(certs).unwrap();
    fs::write(certs.join(name).with_extension("pem"), certificate.pem()).unwrap();
    let file = certs.join(name).with_extension("key");
    fs::write(&file, key.serialize_pem()).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test]
async fn each_name_has_its_certificate_and_strangers_see_the_public_hosts() {
    let folder = tempfile::tempdir().unwrap();
    let certs = folder.path().join("certs");
    write_certificate(&certs, "a", &["meet.example.org", "*.rooms.example.org"]);
    write_certificate(&certs, "public", &["conf.example.org", "192.0.2.7"]);
    let gateway = Gateway::in_folder(
        folder,
        "public_origin = 'https://conf.example.org'\nhosts = ['meet.example.org', 'x.rooms.example.org']",
    )
    .await;
    let (a, public) = (certs.join("a.pem"), certs.join("public.pem"));
    for (host, names_host, file) in [
        ("conf.example.org", true, &public),
        ("meet.example.org", true, &a),
        ("MEET.example.org", true, &a),
        ("x.rooms.example.org", true, &a),
        ("conf.example.org", false, &public),
        // An address is no name: `curl https://192.0.2.7`.
        ("192.0.2.7", true, &public),
    ] {
        let visitor = Visitor {
            names_host,
            ..Visitor::trusting(&[&a, &public])
        };
        let stream = visitor.call(&gateway, host).await.unwrap();
        let seen = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
        assert_eq!(seen, certificate(file), "{host} {names_host}");
    }
    let stranger = Visitor::trusting(&[&a, &public])
        .call(&gateway, "stranger.example")
        .await
        .unwrap_err();
    assert!(stranger.to_string().contains("not valid for name"), "{stranger}");
    assert!(
        !certs.join("development.pem").exists(),
        "nothing is made beside chosen ones"
    );
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_and_no_connection_ends() {
    let folder = tempfile::tempdir().unwrap();
    let certs = folder.path().join("certs");
    write_certificate(&certs, "conf", &["conf.example.org"]);
    let gateway = Gateway::in_folder(folder, "public_origin = 'https://conf.example.org'").await;
    let file = certs.join("conf.pem");
    let old = Visitor::trusting(&[&file]);
    let mut open = Raw::over(old.call(&gateway, "conf.example.org").await.unwrap());
    let request = "GET /conference/ HTTP/1.1\r\nHost: conf.example.org\r\n\r\n";
    open.send(request).await;
    assert_eq!(open.answer().await.status, 200);

    write_certificate(&certs, "conf", &["conf.example.org"]);
    let new = Visitor::trusting(&[&file]);
    assert!(
        new.call(&gateway, "conf.example.org").await.is_err(),
        "it is read when somebody says so"
    );
    gateway.reload();
    while new.call(&gateway, "conf.example.org").await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(old.call(&gateway, "conf.example.org").await.is_err());
    open.send(request).await;
    assert_eq!(open.answer().await.status, 200);

    // One without its key changes nothing.
    write_certificate(&certs, "conf", &["conf.example.org"]);
    fs::remove_file(certs.join("conf.key")).unwrap();
    gateway.reload();
    tokio::time::sleep(Duration::from_millis(300)).await;
    new.call(&gateway, "conf.example.org").await.unwrap();
}

/// A name in the handshake opens nothing that `Host` does not; and browsers share a connection among names.
#[tokio::test]
async fn the_name_in_the_handshake_does_not_stand_for_the_host() {
    let upstream = RawUpstream::content().await;
    let gateway = Gateway::everything_to(&upstream.url(), "").await;
    let pem = gateway.certificate();
    let ask = async |host: &str| {
        let stream = Visitor::trusting(&[&pem])
            .call(&gateway, "localhost")
            .await
            .unwrap();
        let mut connection = Raw::over(stream);
        connection
            .send(format!("GET /api/x HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await;
        connection.answer().await.status
    };
    assert_eq!(ask("evil.example").await, 421);
    assert!(upstream.saw_nothing());
    assert_eq!(ask("127.0.0.1").await, 200);
}

/// RFC 6797: half a year on every answer; a browser that once heard it lets nobody past a warning any more, so that a
/// certificate of our own making never says it.
#[tokio::test]
async fn browsers_are_held_to_https_where_the_certificate_is_somebodys() {
    let own = (
        "own",
        "public_origin = 'https://conf.example.org'",
        "conf.example.org",
    );
    let half_a_year = "max-age=15552000";
    for ((name, toml, host), more, expected) in [
        (own, "", Some(half_a_year)),
        (own, "headers.hsts = '2d'", Some("max-age=172800")),
        (own, "headers.hsts = '0s'", None),
        (("", own.1, own.2), "", None),
        (
            ("own", "public_origin = 'https://localhost'", "localhost"),
            "",
            None,
        ),
    ] {
        let folder = TempDir::new().unwrap();
        let certs = folder.path().join("certs");
        let mut pem = certs.join("development.pem");
        if !name.is_empty() {
            write_certificate(&certs, name, &[host]);
            pem = certs.join(name).with_extension("pem");
        }
        let gateway = Gateway::in_folder(folder, &format!("{toml}\nupstreams.server = []\n{more}")).await;
        for line in [
            "GET /conference/",
            "GET /conference",
            "GET /nowhere",
            "GET /conference/assets/config.js",
            "POST /auth/room/getJoinToken",
            "TRACE /",
            "GET /a//b",
        ] {
            let stream = Visitor::trusting(&[&pem]).call(&gateway, host).await.unwrap();
            let mut connection = Raw::over(stream);
            let request = format!("{line} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n");
            connection.send(request).await;
            let answer = connection.answer().await;
            assert_eq!(
                answer.header("strict-transport-security"),
                expected,
                "{line} {toml} {more}"
            );
        }
    }
}

#[tokio::test]
async fn both_sides_agree_on_what_is_spoken() {
    let gateway = Gateway::embedded().await;
    let pem = gateway.certificate();
    for (offered, agreed) in [
        (vec!["h2", "http/1.1"], Some("h2")),
        (vec!["http/1.1", "h2"], Some("h2")),
        (vec!["http/1.1"], Some("http/1.1")),
        (vec![], None),
    ] {
        let alpn = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        let visitor = Visitor {
            alpn,
            ..Visitor::trusting(&[&pem])
        };
        let stream = visitor.call(&gateway, "localhost").await.unwrap();
        assert_eq!(
            stream.get_ref().1.alpn_protocol(),
            agreed.map(str::as_bytes),
            "{offered:?}"
        );
        if agreed != Some("h2") {
            let mut connection = Raw::over(stream);
            connection
                .send(format!("{}\r\n", gateway.head("GET /conference HTTP/1.1")))
                .await;
            assert_eq!(connection.answer().await.status, 308, "{offered:?}");
        }
    }
    for unknown in ["acme-tls/1", "http/1.0", "h2c"] {
        let visitor = Visitor {
            alpn: vec![unknown.into()],
            ..Visitor::trusting(&[&pem])
        };
        let refused = visitor.call(&gateway, "localhost").await.unwrap_err();
        assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
    }
}

#[tokio::test]
async fn tls_1_3_and_1_2_are_spoken() {
    let gateway = Gateway::embedded().await;
    let pem = gateway.certificate();
    for (versions, agreed) in [
        (vec![&TLS13, &TLS12], ProtocolVersion::TLSv1_3),
        (vec![&TLS13], ProtocolVersion::TLSv1_3),
        (vec![&TLS12], ProtocolVersion::TLSv1_2),
    ] {
        let visitor = Visitor {
            versions,
            ..Visitor::trusting(&[&pem])
        };
        let stream = visitor.call(&gateway, "localhost").await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(agreed));
        let mut connection = Raw::over(stream);
        connection
            .send(format!("{}\r\n", gateway.head("GET /conference HTTP/1.1")))
            .await;
        assert_eq!(connection.answer().await.status, 308);
    }
}

/// TLS 1.1 and older end with an alert (RFC 8996); written by hand, as no library of ours speaks it.
#[tokio::test]
async fn older_versions_are_refused() {
    let gateway = Gateway::embedded().await;
    for minor in [0, 1, 2] {
        // ClientHello: version, random, no session, one suite, no compression.
        let body = [&[3, minor][..], &[7; 32], &[0, 0, 2, 0xc0, 0x13, 1, 0]].concat();
        let length = u8::try_from(body.len()).unwrap();
        let record = [&[0x16, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat();
        let mut connection = Raw::over(TcpStream::connect(gateway.https).await.unwrap());
        connection.send(record).await;
        let (answer, _) = connection.rest().await;
        assert_eq!(
            (answer.first(), answer.get(5)),
            (Some(&0x15), Some(&2)),
            "a fatal alert: {answer:?}"
        );
        assert_eq!(answer.len(), 7, "and nothing else");
    }
}

#[tokio::test]
async fn keys_are_exchanged_post_quantum_with_whoever_can() {
    let gateway = Gateway::embedded().await;
    let pem = gateway.certificate();
    for (groups, agreed) in [
        (
            vec![aws_lc_rs::kx_group::X25519MLKEM768],
            NamedGroup::X25519MLKEM768,
        ),
        (
            aws_lc_rs::default_provider().kx_groups,
            NamedGroup::X25519MLKEM768,
        ),
        (vec![aws_lc_rs::kx_group::X25519], NamedGroup::X25519),
        (vec![aws_lc_rs::kx_group::SECP256R1], NamedGroup::secp256r1),
    ] {
        let provider = CryptoProvider {
            kx_groups: groups,
            ..aws_lc_rs::default_provider()
        };
        let visitor = Visitor {
            provider,
            ..Visitor::trusting(&[&pem])
        };
        let stream = visitor.call(&gateway, "localhost").await.unwrap();
        assert_eq!(
            stream.get_ref().1.negotiated_key_exchange_group().unwrap().name(),
            agreed
        );
    }
}

fn both(certs: &Path) -> (Vec<u8>, Vec<u8>) {
    let read = |name: &str| fs::read(certs.join(name)).unwrap();
    (read("development.pem"), read("development.key"))
}

#[tokio::test]
async fn the_self_made_certificate_is_kept_and_its_key_is_its_owners_alone() {
    let gateway = Gateway::embedded().await;
    let certs = gateway.certs();
    let first = both(&certs);
    let key = fs::metadata(certs.join("development.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    let visitor = Visitor::trusting(&[&certs.join("development.pem")]);
    visitor.call(&gateway, "localhost").await.unwrap();
    visitor.call(&gateway, "127.0.0.1").await.unwrap();

    let folder: TempDir = gateway.stop_and_keep_folder().await;
    let again = Gateway::in_folder(folder, "").await;
    assert_eq!(both(&certs), first);
    visitor
        .call(&again, "localhost")
        .await
        .expect("a trust store stays good over a restart");

    let folder = again.stop_and_keep_folder().await;
    let renamed = Gateway::in_folder(folder, "public_origin = 'https://conf.example.org'").await;
    assert_ne!(both(&certs), first, "made anew for another name");
    Visitor::trusting(&[&certs.join("development.pem")])
        .call(&renamed, "conf.example.org")
        .await
        .unwrap();
    visitor.call(&renamed, "localhost").await.unwrap_err();
}

/// Whoever speaks plain HTTP to the HTTPS port is told so; what is nothing sensible at all is let go. Neither holds up
/// anybody.
#[tokio::test]
async fn what_is_no_tls_is_refused() {
    let upstream = RawUpstream::content().await;
    let gateway = Gateway::everything_to(&upstream.url(), "").await;
    for bytes in [
        &b"GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
        &[0; 64],
        b"\x16\x03\x01\xff\xff",
        b"PROXY UNKNOWN\r\n",
    ] {
        let mut connection = Raw::over(TcpStream::connect(gateway.https).await.unwrap());
        connection.send(bytes).await;
        let (answer, _) = connection.rest().await;
        assert_eq!(
            answer.starts_with(b"HTTP/1.1 400 "),
            bytes.starts_with(b"GET "),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    assert!(upstream.saw_nothing());
    assert_eq!(gateway.get("/api/x", &[]).await.status, 200);
}
