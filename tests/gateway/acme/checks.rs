//! Checks of a CA's that are answered, passed on, or nobody's; and what `check` says of `[acme]`.

use std::{io, net::SocketAddr, sync::Arc};

use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::{
    Gateway,
    binary::{anywhere, run},
    pebble::{Kind, Pebble, shown_after},
    raw::Raw,
    upstream::Upstream,
};

async fn ask(at: SocketAddr, request: &str) -> (u16, String, String) {
    let mut connection = Raw::over(TcpStream::connect(at).await.unwrap());
    connection.send(request).await;
    let answer = connection.answer().await;
    (
        answer.status,
        answer.head.clone(),
        String::from_utf8_lossy(&answer.body).into_owned(),
    )
}

fn check(host: &str) -> String {
    format!("GET /.well-known/acme-challenge/abc HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

/// A client that offers this, and trusts nobody.
async fn offer(at: SocketAddr, alpn: &[u8]) -> io::Error {
    let mut config = ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let name = ServerName::try_from("conf.example.org").unwrap();
    let stream = TcpStream::connect(at).await.unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap_err()
}

#[tokio::test]
async fn without_acme_a_check_is_led_to_https_as_all_else_is() {
    let gateway = Gateway::embedded().await;
    let host = format!("localhost:{}", gateway.http.port());
    let (status, head, _) = ask(gateway.http, &check(&host)).await;
    assert_eq!(status, 308, "{head}");
    let (status, _, _) = ask(gateway.http, &check("unknown.example")).await;
    assert_eq!(status, 421);
    gateway.stop().await;
}

#[tokio::test]
async fn a_check_that_is_not_ours_goes_to_the_program_that_answers_it_under_any_name() {
    let certbot = Upstream::answering("abc.thumbprint").await;
    let to = certbot.url().replace("http://", "");
    let gateway = Gateway::with(&format!("acme.pass_to = '{to}'")).await;
    for host in ["localhost", "unknown.example", "192.0.2.7"] {
        let (status, head, body) = ask(gateway.http, &check(host)).await;
        assert_eq!((status, body.as_str()), (200, "abc.thumbprint"), "{head}");
    }
    let request = certbot.requests().pop().unwrap();
    assert_eq!(request.target, "/.well-known/acme-challenge/abc");
    assert_eq!(request.header("host"), Some("192.0.2.7"));
    let post = check("localhost")
        .replace("GET", "POST")
        .replace("\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(ask(gateway.http, &post).await.0, 405);
    let elsewhere = "GET /.well-known/other HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(ask(gateway.http, elsewhere).await.0, 308);
    gateway.stop().await;
}

#[tokio::test]
async fn where_nobody_answers_a_check_it_is_told_so() {
    let gateway = Gateway::with("acme.pass_to = '127.0.0.1:1'").await;
    let (status, _, body) = ask(gateway.http, &check("conf.example.org")).await;
    assert_eq!((status, body.as_str()), (502, "nobody answers this check\n"));
    gateway.stop().await;
}

#[tokio::test]
async fn a_check_by_tls_that_nobody_ordered_fails_in_the_handshake_and_never_is_http() {
    let pebble = Pebble::start(Kind::default()).await;
    let storage = tempfile::tempdir().unwrap();
    let gateway = Gateway::with(&pebble.toml("conf.example.org", storage.path())).await;
    pebble.http.lead_to(&[gateway.http]);
    shown_after(None, gateway.https, "conf.example.org", &pebble).await;
    let refused = offer(gateway.https, b"acme-tls/1").await.to_string();
    assert!(
        refused.contains("AccessDenied") || refused.contains("alert"),
        "{refused}"
    );
    // Whoever offers HTTP sees a certificate, which this client does not trust.
    let shown = offer(gateway.https, b"http/1.1").await.to_string();
    assert!(shown.contains("invalid peer certificate"), "{shown}");
    let (status, _, body) = ask(gateway.http, &check("conf.example.org")).await;
    assert_eq!((status, body.as_str()), (404, "no such check is under way\n"));
    gateway.stop().await;
}

#[tokio::test]
async fn check_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let said = async |more: &[(&str, &str)]| {
        let variables = [&anywhere()[..], more].concat();
        let output = run(folder.path(), &["check"], &variables).await;
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (sound, words) = said(&[("ACME__EMAIL", "admin@example.org")]).await;
    assert!(!sound);
    assert!(
        words.contains("acme.accept_terms: is false, and nothing is ordered without"),
        "{words}"
    );
    let on = ("ACME__ACCEPT_TERMS", "true");
    let (sound, words) = said(&[on]).await;
    assert!(!sound);
    assert!(
        words.contains("acme.names: there is no name to order a certificate for"),
        "{words}"
    );
    let (sound, words) = said(&[on, ("ACME__NAMES", "conf.example.org,localhost")]).await;
    assert!(!sound);
    assert!(
        words.contains("no public CA gives a certificate for it"),
        "{words}"
    );
    let (sound, words) = said(&[on, ("ACME__NAMES", "*.example.org")]).await;
    assert!(!sound);
    assert!(words.contains("acme.names"), "{words}");
    let origin = ("PUBLIC_ORIGIN", "https://conf.example.org");
    let (sound, words) = said(&[on, origin]).await;
    assert!(sound, "{words}");
    std::fs::write(folder.path().join("taken"), "").unwrap();
    let (sound, words) = said(&[on, origin, ("ACME__STORAGE", "taken")]).await;
    assert!(!sound);
    assert!(words.contains("acme.storage: taken: can't be written"), "{words}");
    let (sound, words) = said(&[on, origin, ("ACME__ROOTS", "taken")]).await;
    assert!(!sound);
    assert!(
        words.contains("acme.roots: taken: holds no certificate in PEM form"),
        "{words}"
    );
    // What the CA said the last time.
    let state = folder.path().join("acme/state");
    std::fs::create_dir_all(&state).unwrap();
    let record = r#"{"failures":2,"words":"http-01: no valid A records (dns)"}"#;
    std::fs::write(state.join("conf.example.org.json"), record).unwrap();
    let (sound, words) = said(&[on, origin]).await;
    assert!(sound, "{words}");
    assert!(
        words.contains("no certificate was issued for conf.example.org: http-01: no valid A records (dns)"),
        "{words}"
    );
}
