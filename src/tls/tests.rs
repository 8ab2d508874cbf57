//! Handshakes in memory: versions, groups, names, tickets, and how they fail.

use std::time::Duration;

use rustls::{HandshakeKind, NamedGroup, ProtocolVersion, crypto::CryptoProvider};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::tls::testing::{NOW, certificate, connect, credulous, credulous_of_rsa, made, made_with};

fn settings(dir: &TempDir, public_host: &str) -> TlsSettings {
    TlsSettings {
        certs: dir.path().to_owned(),
        acme: None,
        public_host: public_host.into(),
        hosts: Vec::new(),
        handshake: Duration::from_secs(10),
        make_anywhere: true,
        turn: false,
        only_tls13: false,
    }
}

fn with_one_certificate() -> Tls {
    let dir = tempfile::tempdir().unwrap();
    made(&["conf.example.org"]).write(&dir, "a");
    Tls::new(&settings(&dir, "conf.example.org"), NOW).unwrap()
}

fn any_client() -> rustls::ClientConfig {
    credulous(aws_lc_rs::default_provider(), rustls::ALL_VERSIONS)
}

#[tokio::test]
async fn shows_each_name_its_own_certificate_and_strangers_the_public_hosts() {
    let dir = tempfile::tempdir().unwrap();
    made(&["a.example", "deep.c.example"]).write(&dir, "a");
    made(&["B.Example"]).write(&dir, "b");
    made(&["*.c.example"]).write(&dir, "c");
    made(&["conf.example.org", "192.0.2.7"]).write(&dir, "public");
    let tls = Tls::new(&settings(&dir, "Conf.Example.org"), NOW).unwrap();
    for (name, file) in [
        ("a.example", "a"),
        ("A.EXAMPLE", "a"),
        ("b.example", "b"),
        ("www.c.example", "c"),
        ("deep.c.example", "a"),
        ("c.example", "public"),
        ("far.www.c.example", "public"),
        ("unknown.example", "public"),
        ("192.0.2.99", "public"),
        ("conf.example.org", "public"),
    ] {
        let seen = connect(&tls, name, any_client()).await.unwrap();
        let expected = certificate(&dir.path().join(file).with_extension("pem"));
        assert_eq!(seen.certificate(), expected, "{name}");
    }
}

#[tokio::test]
async fn shows_strangers_the_first_certificate_when_none_is_the_public_hosts() {
    let dir = tempfile::tempdir().unwrap();
    made(&["b.example"]).write(&dir, "b");
    made_with(&["a.example"], &rcgen::PKCS_RSA_SHA256).write(&dir, "a");
    let tls = Tls::new(&settings(&dir, "conf.example.org"), NOW).unwrap();
    let seen = connect(&tls, "unknown.example", any_client()).await.unwrap();
    assert_eq!(seen.certificate(), certificate(&dir.path().join("a.pem")));
    assert_eq!(tls.shared.current.load().warnings().len(), 1);
}

#[tokio::test]
async fn of_two_certificates_a_client_gets_the_one_that_it_can_check() {
    let dir = tempfile::tempdir().unwrap();
    made_with(&["a.example"], &rcgen::PKCS_RSA_SHA256).write(&dir, "a-rsa");
    made(&["a.example"]).write(&dir, "b-ecdsa");
    let tls = Tls::new(&settings(&dir, "a.example"), NOW).unwrap();
    for (client, name, file) in [
        (any_client(), "a.example", "b-ecdsa.pem"),
        (credulous_of_rsa(), "a.example", "a-rsa.pem"),
        (any_client(), "unknown.example", "b-ecdsa.pem"),
        (credulous_of_rsa(), "unknown.example", "a-rsa.pem"),
    ] {
        let seen = connect(&tls, name, client).await.unwrap();
        assert_eq!(
            seen.certificate(),
            certificate(&dir.path().join(file)),
            "{name} {file}"
        );
    }
}

/// A name that somebody has a certificate for is no longer ours to show a self-made one.
#[tokio::test]
async fn a_chosen_certificate_comes_before_the_self_made_one() {
    let dir = tempfile::tempdir().unwrap();
    Tls::new(&settings(&dir, "conf.a.example"), NOW).unwrap();
    made_with(&["*.a.example"], &rcgen::PKCS_RSA_SHA256).write(&dir, "z");
    let tls = Tls::new(&settings(&dir, "conf.a.example"), NOW).unwrap();
    for (name, file) in [
        ("conf.a.example", "z.pem"),
        ("localhost", "development.pem"),
        ("x.example", "z.pem"),
    ] {
        let seen = connect(&tls, name, any_client()).await.unwrap();
        assert_eq!(seen.certificate(), certificate(&dir.path().join(file)), "{name}");
    }
}

#[test]
fn a_certificate_that_browsers_refuse_for_want_of_ocsp_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    made(&["conf.example.org"]).must_staple().write(&dir, "a");
    let refused = Tls::new(&settings(&dir, "conf.example.org"), NOW).unwrap_err();
    let told: Vec<String> = refused.iter().map(ToString::to_string).collect();
    let expected =
        "asks for OCSP stapling (must-staple): CAs have no OCSP any more, and browsers refuse it without";
    assert_eq!(
        told,
        [format!("{}: {expected}", dir.path().join("a.pem").display())]
    );
}

#[tokio::test]
async fn exchanges_keys_post_quantum_with_whoever_can() {
    let only = CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768],
        ..aws_lc_rs::default_provider()
    };
    for provider in [only, aws_lc_rs::default_provider()] {
        let client = credulous(provider, rustls::ALL_VERSIONS);
        let seen = connect(&with_one_certificate(), "conf.example.org", client)
            .await
            .unwrap();
        let group = seen.client.get_ref().1.negotiated_key_exchange_group().unwrap();
        assert_eq!(group.name(), NamedGroup::X25519MLKEM768);
    }
}

#[tokio::test]
async fn speaks_tls_1_2_with_whoever_has_no_newer() {
    let client = credulous(aws_lc_rs::default_provider(), &[&TLS12]);
    let seen = connect(&with_one_certificate(), "conf.example.org", client)
        .await
        .unwrap();
    assert_eq!(
        seen.client.get_ref().1.protocol_version(),
        Some(ProtocolVersion::TLSv1_2)
    );
}

#[tokio::test]
async fn a_client_that_comes_back_resumes_by_its_ticket() {
    let tls = with_one_certificate();
    let client = credulous(aws_lc_rs::default_provider(), &[&TLS12]);
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let seen = connect(&tls, "conf.example.org", client.clone()).await.unwrap();
        assert_eq!(seen.client.get_ref().1.handshake_kind(), Some(expected));
    }
}

#[tokio::test]
async fn agrees_on_what_is_spoken() {
    let tls = with_one_certificate();
    let offering = |protocols: &[&str]| {
        let mut client = any_client();
        client.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        connect(&tls, "conf.example.org", client)
    };
    assert_eq!(
        offering(&["http/1.1", "h2"]).await.unwrap().alpn,
        Negotiated::Http(Protocol::Http2)
    );
    assert_eq!(
        offering(&["http/1.1"]).await.unwrap().alpn,
        Negotiated::Http(Protocol::Http1)
    );
    assert_eq!(
        offering(&[]).await.unwrap().alpn,
        Negotiated::Http(Protocol::Http1)
    );
    assert_eq!(
        offering(&["acme-tls/1"])
            .await
            .err()
            .map(|error| error.to_string()),
        Some("the handshake failed: peer doesn't support any known protocol".into())
    );
}

#[tokio::test]
async fn says_why_a_client_that_speaks_no_tls_is_refused() {
    let (mut client, server) = tokio::io::duplex(1024);
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let refused = with_one_certificate().handshake(server, Vec::new()).await.err();
    assert_eq!(
        refused.map(|error| error.to_string()),
        Some("the handshake failed: received corrupt message of type InvalidContentType".into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_let_go_at_the_deadline() {
    let tls = with_one_certificate();
    let started = tokio::time::Instant::now();
    let (mut client, server) = tokio::io::duplex(1024);
    let refused = tls.handshake(server, Vec::new()).await.err();
    assert!(matches!(refused, Some(HandshakeError::Deadline)));
    assert_eq!(started.elapsed(), Duration::from_secs(10));
    assert_eq!(
        client.read(&mut [0; 8]).await.unwrap(),
        0,
        "its connection is closed"
    );
}

#[tokio::test]
async fn all_problems_are_named_at_once() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.pem"), "").unwrap();
    std::fs::write(dir.path().join("b.pem"), "").unwrap();
    let problems = Tls::new(&settings(&dir, "a.example"), NOW).unwrap_err();
    assert_eq!(problems.len(), 2);
}

#[test]
fn a_look_finds_what_a_start_would_and_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("certs");
    let look = |certs: &std::path::Path, host: &str, make_anywhere| {
        let settings = TlsSettings {
            certs: certs.to_owned(),
            make_anywhere,
            ..settings(&dir, host)
        };
        let told = |all: Vec<TlsWarning>| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        settings
            .look(NOW)
            .map(told)
            .map_err(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let at = |certs: &std::path::Path, what: &str| format!("{}: {what}", certs.display());
    assert_eq!(look(&missing, "localhost", true), Ok(Vec::new()));
    let warned = "the gateway's own certificate is served for conf.example.org, and browsers warn of it: ";
    let file = missing.join("development.pem");
    assert_eq!(
        look(&missing, "conf.example.org", true),
        Ok(vec![format!("{warned}{}", file.display())])
    );
    let none = "holds no certificate for conf.example.org, and one of the gateway's own making belongs into a folder \
                of its own";
    assert_eq!(
        look(&missing, "conf.example.org", false),
        Err(vec![at(&missing, none)])
    );
    assert!(!missing.exists());
    std::fs::create_dir(&missing).unwrap();
    assert!(look(&missing, "conf.example.org", false).is_ok());
    std::fs::create_dir(missing.join("conf.example.org")).unwrap();
    assert_eq!(
        look(&missing, "conf.example.org", false),
        Err(vec![at(&missing, none)])
    );
    let file = dir.path().join("a.pem");
    std::fs::write(&file, "").unwrap();
    assert_eq!(
        look(&file, "localhost", true),
        Err(vec![at(&file, "is a file, and no folder of certificates")])
    );
}
