//! How many connections there may be to an upstream, and who waits for one.

use super::{
    reach::{EMPTY, count, keep_answering, until_count, upgrade},
    *,
};
use crate::support::websocket::agreed;

#[tokio::test]
async fn who_finds_no_free_connection_waits_and_is_then_told_in_its_own_form() {
    let upstream = RawUpstream::silent().await;
    let gateway = Gateway::everything_to(
        &upstream.url(),
        "upstreams.max_connections = 1\ntimeouts.connect = '400ms'",
    )
    .await;
    let mut holder = gateway.client().raw().await;
    holder
        .send(format!("{}\r\n", gateway.head("GET /api/x HTTP/1.1")))
        .await;
    upstream.arrival().await;

    let started = Instant::now();
    let answer = gateway.post("/api/x", &[], b"{}").await;
    assert!(started.elapsed() >= Duration::from_millis(400));
    let refusal =
        json!({"status": false, "msg": "the meeting server is too busy", "status_code": "INTERNAL"});
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(answer.json()["msg"], refusal["msg"]);
    assert_eq!(answer.json()["status"], refusal["status"]);
    let answer = gateway.post("/api/x", &[PROTOBUF], b"\x08\x01").await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (503, Some("application/protobuf"))
    );
    assert_eq!(answer.body[..], b"\x12\x1ethe meeting server is too busy"[..]);
    let answer = gateway.post("/api/fileUpload", &[], b"x").await;
    assert_eq!(
        (answer.status, answer.json()["msg"].as_str()),
        (400, Some("the meeting server is too busy"))
    );
    let page = [("accept", "text/html"), ("accept-language", "de")];
    let answer = gateway.get("/download/recording/x", &page).await;
    assert_eq!(answer.status, 503);
    assert!(
        answer
            .text()
            .contains("Der Besprechungsserver ist gerade überlastet."),
        "{answer:?}"
    );
    assert_eq!(
        gateway
            .client()
            .request_h2("GET", "/api/x", &[], b"")
            .await
            .status,
        503
    );

    assert_eq!(upstream.heads().len(), 1, "nobody else got there");
    assert_eq!(
        count(&gateway, "upstream_full_total{upstream=\"server\"}").await,
        Some(5)
    );
    assert_eq!(
        count(&gateway, "upstream_waiting{upstream=\"server\"}").await,
        Some(0)
    );
    // Another upstream has places of its own.
    drop(gateway.client().raw().await);
    assert_eq!(
        count(&gateway, "upstream_full_total{upstream=\"nats\"}").await,
        Some(0)
    );

    // The place is free when its holder has left.
    drop(holder);
    until_count(
        &gateway,
        &format!(
            "upstream_connections{{upstream=\"server\",address=\"{}\"}}",
            upstream.addr
        ),
        0,
    )
    .await;
    let mut next = gateway.client().raw().await;
    next.send(format!("{}\r\n", gateway.head("GET /api/x HTTP/1.1")))
        .await;
    upstream.arrival().await;
}

/// On whichever thread a request is, it uses the connections that are there.
#[tokio::test]
async fn those_who_wait_are_served_over_the_connections_that_become_free() {
    let upstream = RawUpstream::acting(|_, mut connection| async move {
        loop {
            sleep(Duration::from_millis(10)).await;
            if connection.try_send(EMPTY).await.is_err() || connection.head().await.is_err() {
                return;
            }
        }
    })
    .await;
    let gateway = Gateway::everything_to(
        &upstream.url(),
        "upstreams.max_connections = 2\ntimeouts.connect = '10m'\nlisten.threads = 4",
    )
    .await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let client = gateway.client();
        asking.spawn(async move { client.request("POST", "/api/x", &[], b"{}").await.status });
    }
    while let Some(status) = asking.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    assert_eq!(upstream.heads().len(), 2, "connections, by their first heads");
}

#[tokio::test]
async fn tunnels_have_places_too() {
    let upstream = RawUpstream::acting(|head, mut connection| async move {
        connection.send(agreed(&head)).await;
        connection.rest().await;
    })
    .await;
    let gateway = Gateway::everything_to(
        &upstream.url(),
        "upstreams.max_connections = 2\ntimeouts.connect = '3s'",
    )
    .await;
    let open = async || {
        let mut socket = gateway.client().raw().await;
        socket.send(upgrade("/ws")).await;
        let status = socket.answer().await.status;
        (status, socket)
    };
    let (first, second, third) = (open().await, open().await, open().await);
    assert_eq!([first.0, second.0, third.0], [101, 101, 503]);
    let addr = upstream.addr;
    let connections = format!("upstream_connections{{upstream=\"nats\",address=\"{addr}\"}}");
    assert_eq!(count(&gateway, &connections).await, Some(2));
    assert_eq!(upstream.heads().len(), 2);
    // LiveKit has places of its own.
    let mut socket = gateway.client().raw().await;
    socket.send(upgrade("/livekit/rtc")).await;
    assert_eq!(socket.answer().await.status, 101);

    drop(first);
    until_count(&gateway, &connections, 1).await;
    assert_eq!(open().await.0, 101);
}

/// What an idle connection holds is no place, but it is a connection: there are no more than are allowed.
#[tokio::test]
async fn idle_connections_are_used_before_there_are_too_many() {
    let upstream = RawUpstream::acting(|_, connection| keep_answering(connection)).await;
    let gateway = Gateway::everything_to(
        &upstream.url(),
        "upstreams.max_connections = 1\nlisten.threads = 4",
    )
    .await;
    for _ in 0..12 {
        assert_eq!(gateway.post("/api/x", &[], b"{}").await.status, 200);
    }
    assert_eq!(upstream.heads().len(), 1, "connections, by their first heads");
}
