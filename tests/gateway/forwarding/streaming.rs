//! Bodies on their way: piece by piece, whole, and early answers.

use super::*;

#[tokio::test]
async fn an_answer_comes_piece_by_piece_as_upstream_sends_it() {
    for framing in [
        "Transfer-Encoding: chunked",
        "Content-Length: 10",
        "Connection: close",
    ] {
        let (go_on, mut may_go_on) = mpsc::unbounded_channel::<()>();
        let (told, tells) = mpsc::unbounded_channel::<()>();
        let tells = std::sync::Arc::new(tokio::sync::Mutex::new(tells));
        let upstream = RawUpstream::acting(move |_, mut connection| {
            let tells = std::sync::Arc::clone(&tells);
            async move {
                let chunked = framing.contains("chunked");
                let piece = |text: &str| {
                    if chunked {
                        format!("5\r\n{text}\r\n")
                    } else {
                        text.to_owned()
                    }
                };
                connection
                    .send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{}", piece("first")))
                    .await;
                tells.lock().await.recv().await.unwrap();
                connection.send(piece("-last")).await;
                if chunked {
                    connection.send("0\r\n\r\n").await;
                }
            }
        })
        .await;
        let gateway = to(&upstream.url()).await;
        let mut connection = gateway.client().raw().await;
        connection
            .send(format!(
                "{}\r\n",
                gateway.head("GET /download/recording/x HTTP/1.1")
            ))
            .await;
        connection.head().await.unwrap();
        connection.until(b"first").await.unwrap();
        go_on.send(()).unwrap();
        may_go_on.recv().await.unwrap();
        told.send(()).unwrap();
        connection.until(b"-last").await.unwrap();
    }
}

#[tokio::test]
async fn an_upload_goes_piece_by_piece_as_the_client_sends_it() {
    for (framing, first, last) in [
        ("Content-Length: 10", "first", "-last"),
        (
            "Transfer-Encoding: chunked",
            "5\r\nfirst\r\n",
            "5\r\n-last\r\n0\r\n\r\n",
        ),
    ] {
        let (log, mut lines) = mpsc::unbounded_channel::<&str>();
        let upstream = RawUpstream::acting(move |_, mut connection| {
            let log = log.clone();
            async move {
                connection.until(b"first").await.unwrap();
                log.send("first").unwrap();
                connection.until(b"-last").await.unwrap();
                connection
                    .send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    .await;
            }
        })
        .await;
        let gateway = to(&upstream.url()).await;
        let mut connection = gateway.client().raw().await;
        let head = gateway.head("POST /api/x HTTP/1.1");
        connection.send(format!("{head}{framing}\r\n\r\n{first}")).await;
        let line = timeout(PATIENCE, lines.recv())
            .await
            .expect("the first piece goes on alone");
        assert_eq!(line, Some("first"));
        connection.send(last).await;
        assert_eq!(connection.answer().await.status, 200);
    }
}

#[tokio::test]
async fn large_bodies_arrive_intact_both_ways() {
    let upstream = Upstream::handling(|seen| async move { Response::new(text_body(seen.body)) }).await;
    let gateway = to(&upstream.url()).await;
    let body = noise(10 << 20);
    for h2 in [false, true] {
        let client = gateway.client();
        let answer = if h2 {
            client.request_h2("POST", "/api/x", &[], &body).await
        } else {
            client.request("POST", "/api/x", &[], &body).await
        };
        assert_eq!(answer.status, 200);
        assert!(answer.body == body, "http/2: {h2}");
        assert!(upstream.requests().pop().unwrap().body == body, "http/2: {h2}");
    }
}

/// Nobody has to wait for the rest of an upload to be told that it is in vain.
#[tokio::test]
async fn an_early_answer_of_upstreams_comes_through() {
    let upstream = RawUpstream::acting(|_, mut connection| async move {
        connection
            .send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
            .await;
        std::future::pending::<()>().await;
    })
    .await;
    let gateway = to(&upstream.url()).await;
    let mut connection = gateway.client().raw().await;
    let head = gateway.head("POST /api/x HTTP/1.1");
    connection
        .send(format!("{head}Content-Length: 1000000\r\n\r\nfirst"))
        .await;
    let answer = connection.answer().await;
    assert_eq!((answer.status, answer.text().as_str()), (403, "no"));
}
