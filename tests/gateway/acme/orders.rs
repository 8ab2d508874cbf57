//! Orders and renewals: by both kinds of checks, from a CA that refuses nonces, by several gateways.
//!
//! With `PNM_LONG=1` there are 100 renewals beside 1,000 tunnels, else 3 beside 100.

use std::{env, fs, net::SocketAddr, os::unix::fs::PermissionsExt, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};

use crate::support::{
    Gateway,
    pebble::{Kind, Pebble, shown_after},
    peer::Peer,
    redis::Redis,
    websocket::agreed,
};

const NAME: &str = "conf.example.org";
/// Where nobody listens.
const NOBODY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

async fn metrics(gateway: &Gateway) -> String {
    crate::support::client::plain_get(gateway.admin, "/metrics")
        .await
        .text()
}

#[tokio::test]
async fn a_name_gets_a_certificate_by_http_and_browsers_are_held_to_https_from_then_on() {
    let pebble = Pebble::start(Kind::default()).await;
    let storage = tempfile::tempdir().unwrap();
    let gateway = Gateway::with(&pebble.toml(NAME, &storage.path().join("acme"))).await;
    let held = async || {
        let page = gateway.get("/conference/", &[("host", NAME)]).await;
        page.header("strict-transport-security").map(str::to_owned)
    };
    assert_eq!(
        held().await,
        None,
        "browsers warn of a certificate of our own making"
    );
    pebble.http.lead_to(&[gateway.http]);
    pebble.tls.lead_to(&[NOBODY]);
    shown_after(None, gateway.https, NAME, &pebble).await;
    assert_eq!(held().await.as_deref(), Some("max-age=15552000"));
    assert_eq!((pebble.orders(), pebble.tls.checks()), (1, 0));
    let file = storage.path().join(format!("acme/certificates/{NAME}.pem"));
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    let counted = metrics(&gateway).await;
    let line = r#"plugnmeet_gateway_acme_orders_total{outcome="issued"} 1"#;
    assert!(counted.contains(line), "{counted}");
    // Nothing of an answer or an order is left.
    for folder in ["challenges", "orders"] {
        let left = fs::read_dir(storage.path().join("acme").join(folder))
            .unwrap()
            .count();
        assert_eq!(left, 0, "{folder}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn where_port_80_does_not_lead_here_the_next_try_is_by_tls_and_nonces_that_are_refused_cost_nothing() {
    let pebble = Pebble::start(Kind {
        refused_nonces: 90,
        ..Kind::default()
    })
    .await;
    let storage = tempfile::tempdir().unwrap();
    let gateway = Gateway::with(&pebble.toml(NAME, storage.path())).await;
    pebble.http.lead_to(&[NOBODY]);
    pebble.tls.lead_to(&[gateway.https]);
    // The first order fails; the second comes ten minutes later, or when somebody asks.
    let state = storage.path().join(format!("state/{NAME}.json"));
    loop {
        let record = fs::read_to_string(&state).unwrap_or_default();
        if record.contains("\"failed\":\"http\"") {
            assert!(record.contains("http-01: "), "{record}");
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    gateway.clock.advance(Duration::from_secs(700));
    gateway.reload();
    shown_after(None, gateway.https, NAME, &pebble).await;
    assert!(pebble.tls.checks() > 0);
    gateway.stop().await;
}

#[tokio::test]
async fn renewals_close_no_websocket_and_need_no_proof_where_the_ca_remembers_it() {
    let pebble = Pebble::start(Kind {
        reused: 100,
        life: 24,
        ..Kind::default()
    })
    .await;
    let echo = Peer::acting(|mut stream| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let answer = agreed(std::str::from_utf8(&head).unwrap());
        stream.write_all(answer.as_bytes()).await.unwrap();
        let (mut from, mut to) = stream.split();
        tokio::io::copy(&mut from, &mut to).await.ok();
    })
    .await;
    let storage = tempfile::tempdir().unwrap();
    let toml = format!(
        "limits.connections = 0\nupstreams.livekit = 'http://{}'\n{}",
        echo.addr,
        pebble.toml(NAME, storage.path())
    );
    let gateway = Gateway::with(&toml).await;
    pebble.http.lead_to(&[gateway.http]);
    pebble.tls.lead_to(&[gateway.https]);
    let (tunnels, renewals) = match env::var_os("PNM_LONG") {
        Some(_) => (1000, 100),
        None => (100, 3),
    };
    let mut sockets = Vec::new();
    for _ in 0..tunnels {
        let mut stream = gateway.client().connect(b"http/1.1").await;
        let head = gateway.head("GET /livekit/rtc HTTP/1.1")
            + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
               Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        assert!(answer.starts_with(b"HTTP/1.1 101"), "{answer:?}");
        sockets.push(stream);
    }
    let mut leaf = shown_after(None, gateway.https, NAME, &pebble).await;
    let checks = || pebble.http.checks() + pebble.tls.checks();
    let proved = checks();
    for _ in 0..renewals {
        leaf = shown_after(Some(&leaf), gateway.https, NAME, &pebble).await;
    }
    for stream in &mut sockets {
        stream.write_all(&[0x89, 0x80, 0, 0, 0, 0]).await.unwrap();
        let mut echoed = [0; 6];
        stream.read_exact(&mut echoed).await.unwrap();
        assert_eq!(echoed, [0x89, 0x80, 0, 0, 0, 0]);
    }
    assert!(pebble.orders() > renewals);
    assert_eq!(checks(), proved, "it is proved once");
    gateway.stop().await;
}

#[tokio::test]
async fn two_gateways_on_one_folder_order_once_and_both_answer() {
    let pebble = Pebble::start(Kind::default()).await;
    let storage = tempfile::tempdir().unwrap();
    let toml = pebble.toml(NAME, storage.path());
    let (one, other) = tokio::join!(Gateway::with(&toml), Gateway::with(&toml));
    pebble.http.lead_to(&[one.http, other.http]);
    pebble.tls.lead_to(&[one.https, other.https]);
    let leaf = shown_after(None, one.https, NAME, &pebble).await;
    assert_eq!(shown_after(None, other.https, NAME, &pebble).await, leaf);
    assert_eq!(pebble.orders(), 1);
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn two_gateways_on_one_redis_order_once_and_both_answer() {
    let (pebble, redis) = tokio::join!(Pebble::start(Kind::default()), Redis::start());
    let storage = tempfile::tempdir().unwrap();
    let toml = |folder: &str| {
        format!(
            "limits.store = '{}'\n{}",
            redis.url(),
            pebble.toml(NAME, &storage.path().join(folder))
        )
    };
    let (first, second) = (toml("one"), toml("other"));
    let (one, other) = tokio::join!(Gateway::with(&first), Gateway::with(&second));
    // Every check comes to another one than the one before.
    pebble.http.lead_to(&[one.http, other.http]);
    pebble.tls.lead_to(&[one.https, other.https]);
    let leaf = shown_after(None, one.https, NAME, &pebble).await;
    assert_eq!(shown_after(None, other.https, NAME, &pebble).await, leaf);
    assert_eq!(pebble.orders(), 1);
    let kept: String = redis.ask(&["HGET", "pnm-gw:acme:certificates", NAME]).await;
    assert!(!kept.contains("PRIVATE KEY"), "{kept}");
    one.stop().await;
    other.stop().await;
}

/// RFC 8738: proved over plain HTTP at the address itself, and shown to whoever names nobody.
#[tokio::test]
async fn an_address_gets_a_certificate() {
    let pebble = Pebble::start(Kind::default()).await;
    let storage = tempfile::tempdir().unwrap();
    let address = &pebble.http.ip().to_string();
    let toml = pebble
        .toml(address, storage.path())
        .replace("accept_terms", &format!("names = ['{address}']\naccept_terms"));
    let gateway = Gateway::with(&toml).await;
    pebble.http.lead_to(&[gateway.http]);
    pebble.tls.lead_to(&[gateway.https]);
    shown_after(None, gateway.https, address, &pebble).await;
    assert_eq!(pebble.orders(), 1);
    gateway.stop().await;
}
