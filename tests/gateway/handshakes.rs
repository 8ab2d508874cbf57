//! Handshakes that fail, and what comes to the TLS port that is no TLS: what is answered, counted and logged.

use std::{fs, io, path::Path, sync::Arc, time::Duration};

use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{
    Gateway,
    binary::{Serving, anywhere},
    client::plain_get,
    raw::{Ended, Raw},
};

/// Writes `NAME.pem` and `NAME.key` for these names.
fn certificate_for(folder: &Path, name: &str, hosts: &[&str]) {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(hosts).unwrap().self_signed(&key).unwrap();
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join(name).with_extension("pem"), certificate.pem()).unwrap();
    fs::write(folder.join(name).with_extension("key"), key.serialize_pem()).unwrap();
}

async fn hello_over(stream: TcpStream, pem: &Path, name: &str) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(pem).unwrap()).unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// What `sends` meets at the TLS port of a gateway, and what the gateway's log says of it.
async fn told(sends: &[u8], expected: &str, more: &[(&str, &str)]) -> (Vec<u8>, serde_json::Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let variables = [&anywhere()[..], more].concat();
    let mut serving = Serving::start(folder.path(), &["serve"], &variables).await;
    let call = async || {
        let mut connection = Raw::over(TcpStream::connect(serving.https).await.unwrap());
        connection.try_send(sends).await.ok();
        connection.half_close().await;
        connection.rest().await.0
    };
    let (answer, _, _) = tokio::join!(call(), call(), call());
    serving.says(expected).await;
    let line = serde_json::from_str(serving.said.lines().last().unwrap()).unwrap();
    serving.signal("TERM").await;
    let (_, said) = serving.end().await;
    assert_eq!(said.matches(expected).count(), 1, "{said}");
    (answer, line, said)
}

#[tokio::test]
async fn plain_http_on_the_tls_port_is_told_where_to_go() {
    let (answer, line, _) = told(
        b"GET /conference/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "Plain HTTP was sent to the TLS port",
        &[],
    )
    .await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert!(answer.contains("https://"), "{answer}");
    assert_eq!(line["level"], "INFO");
    assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
}

#[tokio::test]
async fn a_proxy_header_that_nobody_asked_for_is_warned_about() {
    for header in [
        &b"PROXY TCP4 192.0.2.7 203.0.113.9 4242 443\r\n\x16\x03\x01"[..],
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x08\0\x01\0\x02",
    ] {
        // What comes within a quarter of a second is told of in one line; a busy machine may take longer.
        let mut counts = Vec::new();
        while counts.last() != Some(&3.into()) {
            assert!(counts.len() < 10, "{counts:?}");
            let (answer, line, _) = told(header, "Connections began with a PROXY header", &[]).await;
            assert!(answer.is_empty(), "{answer:?}");
            assert_eq!(line["level"], "WARN");
            counts.push(line["count"].clone());
        }
    }
}

#[tokio::test]
async fn handshakes_that_fail_are_told_once_a_minute_and_counted_by_how() {
    // A hello of TLS 1.1.
    let body = [&[3, 2][..], &[7; 32], &[0, 0, 2, 0xc0, 0x13, 1, 0]].concat();
    let length = u8::try_from(body.len()).unwrap();
    let old = [&[0x16, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat();
    let (_, line, _) = told(&old, "A TLS handshake failed", &[]).await;
    assert_eq!(
        (&line["level"], &line["outcome"]),
        (&"INFO".into(), &"version".into())
    );
    assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");

    let gateway = Gateway::with("timeouts.handshake = '3s'").await;
    assert_eq!(gateway.get("/conference", &[]).await.status, 308);
    for (sends, closes) in [
        (old.clone(), false),
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc".to_vec(), true),
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc".to_vec(), false),
        (vec![0; 50], false),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), false),
    ] {
        let mut connection = Raw::over(TcpStream::connect(gateway.https).await.unwrap());
        connection.send(sends).await;
        if closes {
            connection.half_close().await;
        }
        connection.rest().await;
    }
    // The certificate is nobody's that this client trusts.
    let folder = tempfile::tempdir().unwrap();
    certificate_for(folder.path(), "strange", &["localhost"]);
    let pem = folder.path().join("strange.pem");
    let stream = TcpStream::connect(gateway.https).await.unwrap();
    hello_over(stream, &pem, "localhost").await.unwrap_err();
    let mut left = [
        "alert",
        "deadline",
        "done",
        "left",
        "not_tls",
        "plain_http",
        "version",
    ]
    .to_vec();
    let started = Instant::now();
    while !left.is_empty() {
        assert!(started.elapsed() < Duration::from_secs(90), "{left:?}");
        let metrics = plain_get(gateway.admin, "/metrics").await.text();
        left.retain(|outcome| {
            let line = format!("plugnmeet_gateway_tls_handshakes_total{{outcome=\"{outcome}\"}} 1\n");
            !metrics.contains(&line)
        });
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn tls_1_3_can_be_the_oldest_that_is_spoken() {
    let gateway = Gateway::with("tls.min_version = '1.3'").await;
    assert_eq!(gateway.get("/conference", &[]).await.status, 308);
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(gateway.certificate()).unwrap())
        .unwrap();
    let old = ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS12])
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(gateway.https).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let refused = TlsConnector::from(Arc::new(old))
        .connect(name, stream)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("ProtocolVersion"), "{refused}");
    let mut connection = Raw::over(TcpStream::connect(gateway.https).await.unwrap());
    connection.half_close().await;
    assert_eq!(connection.rest().await, (Vec::new(), Ended::Cleanly));
}
