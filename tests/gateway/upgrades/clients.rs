//! The programs that plugNmeet's clients really use, and what LiveKit's webhooks do, through upgrades and restarts.
//!
//! With `PNM_LONG=1` NATS is away for as long as the client's library can bear.

use std::{env, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::{Folder, PATIENCE, started};
use crate::support::{
    addr::free,
    binary::Serving,
    client::Client,
    nats::NatsServer,
    node::{NodeProcess, trust},
    raw::RawUpstream,
    upstream::Upstream,
};

/// Ann is in a meeting.
async fn ann(folder: &Folder, gateway: &Serving) -> NodeProcess {
    let certificate = folder.path().join("certs/development.pem");
    let trust = trust(&certificate, gateway.https);
    let url = format!("wss://localhost:{}/ws", gateway.https.port());
    let mut ann = NodeProcess::start("meeting.mjs", &json!({ "url": url }), &trust);
    assert_eq!(ann.next_line().await["connected"], true);
    ann
}

async fn asked(ann: &mut NodeProcess) -> Value {
    ann.say(&json!("?")).await;
    let report = ann.next_line().await;
    assert_eq!(report["alive"], true, "{report}");
    report
}

fn count(report: &Value, event: &str) -> usize {
    let events = report["events"].as_array().unwrap();
    events.iter().filter(|one| *one == event).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_client_notices_nothing_of_ten_upgrades() {
    let (folder, nats) = (Folder::new(), NatsServer::start().await);
    let url = format!("http://{}", nats.address());
    let gateway = started(&folder, &[("UPSTREAMS__NATS", &url)]).await;
    let mut ann = ann(&folder, &gateway).await;
    for _ in 0..10 {
        folder.upgrade().await;
        assert_eq!(asked(&mut ann).await["events"], json!([]));
    }
    let status = folder.status().await;
    let left = &status["old"][gateway.pid().to_string()];
    assert_eq!(left["tunnels"]["nats"], 1, "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_client_is_back_after_each_of_three_restarts() {
    let (folder, nats) = (Folder::new(), NatsServer::start().await);
    let (url, https) = (format!("http://{}", nats.address()), free().to_string());
    let variables = [
        ("UPSTREAMS__NATS", url.as_str()),
        ("LISTEN__HTTPS", &https),
        ("TIMEOUTS__DRAIN", "1s"),
    ];
    let mut gateway = started(&folder, &variables).await;
    let mut ann = ann(&folder, &gateway).await;
    for nth in 1..=3 {
        gateway.signal("TERM").await;
        assert_eq!(gateway.end().await.0, Some(0));
        gateway = started(&folder, &variables).await;
        let report = asked(&mut ann).await;
        // It may have come to the one that was about to go, and then once more.
        let (gone, back) = (count(&report, "disconnect"), count(&report, "reconnect"));
        assert!(gone == back && back >= nth, "{report}");
        println!("restart {nth}: away for {} ms at most", report["away"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_client_is_still_in_the_meeting_when_nats_was_away_and_who_waits_is_seen() {
    let (folder, mut nats) = (Folder::new(), NatsServer::start().await);
    let url = format!("http://{}", nats.address());
    let gateway = started(&folder, &[("UPSTREAMS__NATS", &url)]).await;
    let mut ann = ann(&folder, &gateway).await;
    let away = if env::var_os("PNM_LONG").is_some() { 100 } else { 6 };
    let seen = async {
        let until = Instant::now() + Duration::from_secs(away);
        let mut seen = false;
        while Instant::now() < until {
            seen |= folder.status().await["waiting"]["nats"] == 1;
            sleep(Duration::from_millis(100)).await;
        }
        seen
    };
    let ((), seen) = tokio::join!(nats.restart(Duration::from_secs(away)), seen);
    assert!(seen, "nobody was seen waiting");
    let report = asked(&mut ann).await;
    // The library tells of each of its tries when the last one succeeds; there is one connection all the same.
    assert!(count(&report, "reconnect") >= 1, "{report}");
    let status = folder.status().await;
    assert_eq!(status["waiting"], json!({}), "{status}");
    assert_eq!(status["tunnels"]["nats"], 1, "{status}");
}

/// LiveKit tries five times within 15 s. A busy machine may take longer for a restart: what is called in vain goes nowhere.
async fn webhook(client: Client, body: String) -> bool {
    for wait in [1, 2, 4, 8, 60, 0] {
        let (client, body) = (client.clone(), body.clone());
        // A refused connection is a panic there.
        let sent = tokio::spawn(async move {
            let answer = client.request("POST", "/webhook", &[], body.as_bytes()).await;
            answer.status
        });
        if sent.await.is_ok_and(|status| status == 200) {
            return true;
        }
        sleep(Duration::from_secs(wait)).await;
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_webhook_is_lost_in_a_restart() {
    let (folder, server) = (Folder::new(), Upstream::answering("ok").await);
    let (url, https) = (server.url(), free().to_string());
    let variables = [
        ("UPSTREAMS__SERVER", url.as_str()),
        ("LISTEN__HTTPS", &https),
        ("TIMEOUTS__DRAIN", "1s"),
    ];
    let gateway = started(&folder, &variables).await;
    let client = folder.client(&gateway);
    let mut sending = Vec::new();
    let send = |sending: &mut Vec<_>| {
        let body = format!("event {}", sending.len());
        sending.push(tokio::spawn(webhook(client.clone(), body)));
    };
    for _ in 0..10 {
        send(&mut sending);
        sleep(Duration::from_millis(20)).await;
    }
    gateway.signal("TERM").await;
    let ending = tokio::spawn(gateway.end());
    while !ending.is_finished() {
        send(&mut sending);
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(ending.await.unwrap().0, Some(0));
    for _ in 0..5 {
        send(&mut sending);
    }
    let _second = started(&folder, &variables).await;
    let all = sending.len();
    for one in sending {
        assert!(one.await.unwrap(), "a webhook was given up");
    }
    let seen = server.requests();
    for nth in 0..all {
        let body = format!("event {nth}");
        assert!(seen.iter().any(|seen| seen.body == body), "{body} is lost");
    }
}

/// The stream came behind the last one that GOAWAY counts as taken.
fn was_told_to_go(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<h2::Error>());
    source.is_some_and(|error| {
        error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR)
    })
}

/// RFC 9113 section 6.8: what is on its way is answered, and the client is told to take another connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_of_http_2_loses_nothing_in_an_upgrade_and_is_told_to_go() {
    let server = RawUpstream::acting(|head, mut connection| async move {
        if head.starts_with("GET /api/slow ") {
            sleep(Duration::from_secs(2)).await;
        }
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlast";
        connection.try_send(answer).await.ok();
    })
    .await;
    let (folder, url) = (Folder::new(), server.url());
    let mut gateway = started(&folder, &[("UPSTREAMS__SERVER", &url)]).await;
    let client = folder.client(&gateway);
    let stream = TokioIo::new(client.connect(b"h2").await);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let origin = format!("https://localhost:{}", gateway.https.port());
    let request = |path: &str| {
        Request::get(format!("{origin}{path}"))
            .body(Empty::<Bytes>::new())
            .unwrap()
    };
    let slow = sender.send_request(request("/api/slow"));
    let slow = tokio::spawn(async move {
        slow.await
            .unwrap()
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
    });
    server.arrival().await;
    let upgrading = tokio::spawn(async move {
        let pid = folder.upgrade().await;
        (folder, pid)
    });
    // Until it is told to go.
    while sender.ready().await.is_ok() {
        match sender.send_request(request("/api/quick")).await {
            Ok(answer) => assert_eq!(answer.status(), 200),
            // Told just now: nothing of it was sent, or nothing of it was taken.
            Err(error) if error.is_canceled() || was_told_to_go(&error) => break,
            Err(error) => panic!("a request was lost: {error:?}"),
        }
        sleep(Duration::from_millis(10)).await;
    }
    gateway.says("Handed over").await;
    assert_eq!(slow.await.unwrap(), "last");
    let ended = timeout(PATIENCE, connection)
        .await
        .expect("the connection goes on")
        .unwrap();
    assert!(ended.is_ok(), "{ended:?}");
    let (folder, second) = upgrading.await.unwrap();
    assert_eq!(folder.serving().await, second);
}
