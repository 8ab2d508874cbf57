//! Upstreams that are silent, broken, gone, or several.

use super::*;

#[tokio::test]
async fn a_silent_upstream_is_504() {
    let upstream = RawUpstream::silent().await;
    let gateway = Gateway::everything_to(&upstream.url(), "timeouts.response = '2s'").await;
    for answer in [
        gateway.get("/api/x", &[]).await,
        gateway.post("/api/x", &[], b"{}").await,
        gateway.client().request_h2("GET", "/api/x", &[], b"").await,
        gateway.get("/livekit/rtc", &[]).await,
    ] {
        assert_eq!(answer.status, 504, "{answer:?}");
        assert_eq!(answer.json()["msg"], "the meeting server did not answer in time");
    }
    assert_eq!(upstream.heads().len(), 4, "nothing is asked twice");
}

/// Only the client can say whether half an answer is of use; it must not look whole.
#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let upstream = RawUpstream::acting(move |_, mut connection| async move {
            let piece = if head.contains("chunked") {
                "5\r\nfirst\r\n"
            } else {
                "first"
            };
            connection
                .send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{piece}"))
                .await;
            sleep(Duration::from_millis(50)).await;
        })
        .await;
        let gateway = to(&upstream.url()).await;
        let mut connection = gateway.client().raw().await;
        connection
            .send(format!("{}\r\n", gateway.head("GET /api/x HTTP/1.1")))
            .await;
        let answer = connection.try_answer().await;
        assert!(answer.is_err(), "{head} {answer:?}");
        let answer = gateway.client().try_request_h2("GET", "/api/x").await;
        assert!(answer.is_err(), "{head} {answer:?}");
    }
}

#[tokio::test]
async fn an_answer_that_falls_silent_is_broken_off() {
    let upstream = RawUpstream::acting(|_, mut connection| async move {
        connection
            .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            .await;
        connection.rest().await;
    })
    .await;
    let gateway = Gateway::everything_to(&upstream.url(), "timeouts.idle = '3s'").await;
    let mut connection = gateway.client().raw().await;
    connection
        .send(format!("{}\r\n", gateway.head("GET /api/x HTTP/1.1")))
        .await;
    let answer = connection.try_answer().await;
    assert!(answer.is_err(), "{answer:?}");
}

#[tokio::test]
async fn an_upstream_that_closes_or_speaks_no_http_is_502() {
    for bytes in [
        "",
        "SSH-2.0-OpenSSH_9.9\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
    ] {
        let upstream = RawUpstream::answering(bytes).await;
        let gateway = to(&upstream.url()).await;
        let answer = gateway.post("/api/x", &[], b"{}").await;
        assert_eq!(
            (answer.status, answer.json()["msg"].as_str()),
            (502, Some("the meeting server's answer broke off")),
            "{bytes}"
        );
        assert_eq!(upstream.heads().len(), 1, "nothing is asked twice: {bytes}");
    }
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_502_within_the_deadline() {
    let (addr, _queued, _listener) = black_hole().await;
    for url in [nobody(), format!("http://{addr}")] {
        let gateway = Gateway::everything_to(&url, "timeouts.connect = '400ms'").await;
        // The system would try for two minutes.
        let answer = gateway.get("/api/x", &[]).await;
        assert_eq!(
            (answer.status, answer.json()["msg"].as_str()),
            (502, Some("the meeting server can't be reached")),
            "{url}"
        );
    }
}

#[tokio::test]
async fn of_several_servers_those_that_are_there_answer() {
    let (addr, _queued, _listener) = black_hole().await;
    let (first, second) = (
        Upstream::answering("first").await,
        Upstream::answering("second").await,
    );
    let gateway = Gateway::with(&format!(
        "timeouts.connect = '1200ms'\nupstreams.server = ['{}', '{}', 'http://{addr}', '{}']",
        nobody(),
        first.url(),
        second.url()
    ))
    .await;
    for _ in 0..6 {
        // A connection of its own each time, as the pool would keep the first.
        let answer = gateway.post("/api/x", &[("connection", "close")], b"{}").await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(
        first.requests().len() + second.requests().len(),
        6,
        "nothing is asked twice"
    );
}

/// An upstream closes idle connections when it likes; a request must not be lost to one.
#[tokio::test]
async fn a_connection_that_upstream_has_closed_is_not_used_again() {
    let upstream = RawUpstream::acting(|_, mut connection| async move {
        connection
            .send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .await;
    })
    .await;
    let gateway = to(&upstream.url()).await;
    for _ in 0..20 {
        assert_eq!(gateway.post("/api/x", &[], b"{}").await.status, 200);
    }
    assert_eq!(upstream.heads().len(), 20);
}

#[tokio::test]
async fn connections_to_an_upstream_are_used_again() {
    let upstream = RawUpstream::acting(|_, mut connection| async move {
        loop {
            connection
                .send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                .await;
            if connection.head().await.is_err() {
                return;
            }
        }
    })
    .await;
    // Each thread has connections of its own.
    let gateway = Gateway::everything_to(&upstream.url(), "listen.threads = 1").await;
    for _ in 0..5 {
        assert_eq!(gateway.get("/api/x", &[]).await.status, 200);
    }
    assert_eq!(upstream.heads().len(), 1, "one connection, by its first head");
}

#[tokio::test]
async fn switching_protocols_unasked_is_502() {
    let upstream = RawUpstream::answering(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nraw",
    )
    .await;
    let gateway = to(&upstream.url()).await;
    let answer = gateway.get("/api/x", &[]).await;
    assert_eq!(
        (answer.status, answer.json()["msg"].as_str()),
        (502, Some("upstream answered a handshake that was not asked for"))
    );
    assert_eq!(
        gateway
            .client()
            .request_h2("GET", "/livekit/rtc", &[], b"")
            .await
            .status,
        502
    );
}

/// RFC 9110 section 9.2.2: asking twice does no harm where the method says so, and only there.
#[tokio::test]
async fn what_meets_the_end_of_an_idle_connection_goes_once_more_if_it_is_harmless() {
    for (method, body, status, asked) in [
        ("GET", "", 200, 3),
        ("HEAD", "", 200, 3),
        ("OPTIONS", "", 200, 3),
        ("GET", "a body", 502, 2),
        ("POST", "", 502, 2),
        ("DELETE", "", 502, 2),
    ] {
        let upstream = RawUpstream::acting(|_, mut connection| async move {
            connection
                .send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                .await;
            // The next request is read, and the connection ends without an answer.
            connection.until(b"\r\n\r\n").await.ok();
        })
        .await;
        // Each thread has connections of its own.
        let gateway = Gateway::everything_to(&upstream.url(), "listen.threads = 1").await;
        assert_eq!(gateway.get("/api/first", &[]).await.status, 200);
        let answer = gateway
            .client()
            .request(method, "/api/x", &[], body.as_bytes())
            .await;
        assert_eq!(answer.status, status, "{method} {body}");
        assert_eq!(upstream.heads().len() + 1, asked, "{method} {body}");
    }
}

/// An answer that has begun may have been the answer to something that was done.
#[tokio::test]
async fn an_answer_that_breaks_after_its_first_byte_is_not_asked_for_again() {
    for beginning in ["H", "HTTP/1.1 200 OK\r\nContent-Le"] {
        let upstream = RawUpstream::acting(move |_, mut connection| async move {
            connection
                .send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                .await;
            connection.until(b"\r\n\r\n").await.ok();
            connection.send(beginning).await;
        })
        .await;
        // Each thread has connections of its own.
        let gateway = Gateway::everything_to(&upstream.url(), "listen.threads = 1").await;
        assert_eq!(gateway.get("/api/first", &[]).await.status, 200);
        assert_eq!(gateway.get("/api/x", &[]).await.status, 502, "{beginning}");
        assert_eq!(upstream.heads().len(), 1, "one connection, by its first head");
    }
}

/// Nothing was sent, so any request may wait for a server that is being started again.
#[tokio::test]
async fn an_upstream_that_refuses_is_asked_until_it_is_there_again() {
    let addr = free();
    let gateway = Gateway::everything_to(&format!("http://{addr}"), "timeouts.connect = '10m'").await;
    let server = tokio::spawn(async move {
        sleep(Duration::from_millis(700)).await;
        let listener = tokio::net::TcpListener::bind(addr).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = Raw::over(stream);
        let head = connection.head().await.unwrap();
        connection
            .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nup")
            .await;
        head
    });
    let answer = gateway.post("/api/verifyToken", &[], b"\x08\x01").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "up"));
    assert!(server.await.unwrap().starts_with("POST /api/verifyToken"));
}
