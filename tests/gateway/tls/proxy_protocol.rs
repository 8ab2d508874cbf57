//! The PROXY protocol in front of it all.

use std::io;

use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_rustls::client::TlsStream;

use super::{Visitor, told};
use crate::support::{
    Gateway,
    raw::{Ended, Raw, RawUpstream, header},
};

fn v2(command: u8, source: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([0x20 | command, 0x11, 0, 12]);
    header.extend(source);
    header.extend([203, 0, 113, 9, 0x10, 0x92, 0x01, 0xbb]);
    header
}

/// Sends the header, and then what `Visitor` sends.
async fn behind(gateway: &Gateway, header: &[u8]) -> io::Result<Raw<TlsStream<TcpStream>>> {
    let mut stream = TcpStream::connect(gateway.https).await.unwrap();
    stream.write_all(header).await.unwrap();
    let stream = Visitor::trusting(&[&gateway.certificate()])
        .visit(stream, "localhost")
        .await?;
    Ok(Raw::over(stream))
}

/// Who the client is to upstream.
async fn client_seen(gateway: &Gateway, upstream: &RawUpstream, proxy_header: &[u8], fields: &str) -> String {
    let mut connection = behind(gateway, proxy_header).await.unwrap();
    connection
        .send(format!("{}{fields}\r\n", gateway.head("GET /api/x HTTP/1.1")))
        .await;
    assert_eq!(connection.answer().await.status, 200);
    let seen = upstream.heads().pop().unwrap();
    header(&seen, "x-forwarded-for").unwrap().to_owned()
}

#[tokio::test]
async fn a_trusted_balancer_says_who_the_client_is() {
    let upstream = RawUpstream::content().await;
    let gateway = Gateway::everything_to(
        &upstream.url(),
        "listen.proxy_protocol = true\ntrust.proxies = ['127.0.0.1', '10.0.0.0/8']",
    )
    .await;
    for (proxy_header, client) in [
        (
            b"PROXY TCP4 192.0.2.7 203.0.113.9 4242 443\r\n".to_vec(),
            "192.0.2.7",
        ),
        (
            b"PROXY TCP6 2001:db8::7 2001:db8::9 4242 443\r\n".to_vec(),
            "2001:db8::7",
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (v2(1, [192, 0, 2, 8]), "192.0.2.8"),
        // A health check of the balancer's own.
        (v2(0, [192, 0, 2, 8]), "127.0.0.1"),
    ] {
        assert_eq!(client_seen(&gateway, &upstream, &proxy_header, "").await, client);
    }
    // The client that the balancer names is a stranger, and what it says of others does not count.
    let forged = "X-Forwarded-For: 6.6.6.6\r\n";
    assert_eq!(
        client_seen(&gateway, &upstream, &v2(1, [192, 0, 2, 8]), forged).await,
        "192.0.2.8"
    );
    // Unless it is a trusted proxy itself.
    assert_eq!(
        client_seen(&gateway, &upstream, &v2(1, [10, 0, 0, 1]), forged).await,
        "6.6.6.6"
    );
}

#[tokio::test]
async fn a_trusted_balancer_without_a_header_is_refused() {
    let upstream = RawUpstream::content().await;
    let gateway = Gateway::everything_to(
        &upstream.url(),
        "listen.proxy_protocol = true\ntrust.proxies = ['127.0.0.1']\ntimeouts.handshake = '1s'",
    )
    .await;
    for refused in [
        &b""[..],
        b"PROXY TCP4 192.0.2.7 203.0.113.9 4242\r\n",
        b"PROXY TCP4 192.0.2.7 203.0.113.9 4242 443 443\r\n",
        b"PROXY SCTP 192.0.2.7 203.0.113.9 4242 443\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c",
    ] {
        assert!(behind(&gateway, refused).await.is_err(), "{refused:?}");
    }
    // Nor is one waited for beyond the handshake's deadline.
    let mut connection = Raw::over(TcpStream::connect(gateway.https).await.unwrap());
    connection.send("PROXY TCP4 192.").await;
    connection.rest().await;
    assert!(upstream.saw_nothing());
}

/// As `accept-proxy` of `HAProxy`: each connection has a header, so whoever comes from elsewhere has gone around it.
#[tokio::test]
async fn where_headers_are_asked_for_a_stranger_is_refused() {
    let upstream = RawUpstream::content().await;
    let gateway = Gateway::everything_to(
        &upstream.url(),
        "listen.proxy_protocol = true\ntrust.proxies = ['192.0.2.0/24']\ntimeouts.handshake = '10m'",
    )
    .await;
    for header in [
        b"PROXY TCP4 192.0.2.7 203.0.113.9 4242 443\r\n".to_vec(),
        v2(1, [192, 0, 2, 8]),
        Vec::new(),
    ] {
        assert!(behind(&gateway, &header).await.is_err(), "{header:?}");
    }
    // At once: it need not say anything.
    let mut connection = Raw::over(TcpStream::connect(gateway.https).await.unwrap());
    assert_eq!(connection.rest().await, (Vec::new(), Ended::Cleanly));
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn where_no_headers_are_asked_for_one_is_no_header() {
    let upstream = RawUpstream::content().await;
    // Trusted for its fields alone.
    let gateway = Gateway::everything_to(&upstream.url(), "trust.proxies = ['127.0.0.1']").await;
    for header in [
        b"PROXY TCP4 192.0.2.7 203.0.113.9 4242 443\r\n".to_vec(),
        v2(1, [192, 0, 2, 8]),
    ] {
        assert!(behind(&gateway, &header).await.is_err());
    }
    assert!(upstream.saw_nothing());
    assert_eq!(client_seen(&gateway, &upstream, b"", "").await, "127.0.0.1");
}

#[tokio::test]
async fn a_trusted_balancer_that_forgets_the_header_is_warned_about_once_a_minute() {
    let hello = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03AAAAAAAA";
    many_are_told(
        "127.0.0.1",
        hello,
        "Connections of trusted proxies came without",
        30,
    )
    .await;
}

#[tokio::test]
async fn strangers_who_are_refused_are_warned_about_once_a_minute() {
    many_are_told(
        "192.0.2.0/24",
        b"",
        "Connections from outside of trust.proxies",
        31,
    )
    .await;
}

/// Of so many those are told of in the one line that came within a quarter of a second: on a machine that does nothing else,
/// all of them.
async fn many_are_told(trusted: &str, comes: &[u8], warning: &str, all: u64) {
    for attempt in 1.. {
        let line = told(trusted, comes, warning).await;
        assert_eq!(line["level"], "WARN");
        let count = line["count"].as_u64().unwrap();
        if (2..=all).contains(&count) {
            return;
        }
        assert!(count == 1 && attempt < 10, "{line}");
    }
}
