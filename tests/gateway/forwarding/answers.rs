//! What upstream says badly, breaks off, or says early; and what a client does that is no fault of upstream's.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;

/// An upstream that answers each request with these bytes, and closes.
async fn saying(bytes: impl Into<String>) -> RawUpstream {
    let bytes = Arc::new(bytes.into());
    RawUpstream::acting(move |_, mut connection| {
        let bytes = Arc::clone(&bytes);
        async move {
            let _ = connection.try_send(bytes.as_bytes()).await;
        }
    })
    .await
}

#[tokio::test]
async fn an_answer_that_breaks_before_its_first_byte_is_told_as_one_that_never_came() {
    for answer in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    ] {
        let upstream = saying(answer).await;
        let gateway = to(&upstream.url()).await;
        for (target, status) in [
            ("/api/verifyToken", 502),
            ("/api/fileUpload", 400),
            ("/auth/x/y", 502),
        ] {
            let over_h1 = gateway.post(target, &SIGNED, b"{}").await;
            let over_h2 = gateway.client().request_h2("POST", target, &SIGNED, b"{}").await;
            for told in [over_h1, over_h2] {
                assert_eq!(told.status, status, "{target} {answer:?} {told:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_a_client_breaks_is_not_told_as_upstreams_failure() {
    let upstream = RawUpstream::acting(|_, mut connection| async move {
        connection.rest().await;
    })
    .await;
    let gateway = to(&upstream.url()).await;
    for target in ["/api/x", "/api/fileUpload"] {
        let head = gateway.head(&format!("POST {target} HTTP/1.1"));
        let mut connection = gateway.client().raw().await;
        connection
            .send(format!("{head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"))
            .await;
        upstream.arrival().await;
        connection.send("nonsense\r\n").await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, 400, "{target} {answer:?}");
        assert!(answer.message().contains("body"), "{answer:?}");
    }
}

/// The server says 413 when it has read its limit, and closes with the rest unread: what is still written to it fails.
#[tokio::test]
async fn an_early_answer_comes_through_while_the_body_is_still_on_its_way() {
    const ANSWER: &str = "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge";
    let upstream = RawUpstream::acting(|_, mut connection| async move {
        let _ = connection.exactly(100_000).await;
        let _ = connection.try_send(ANSWER).await;
    })
    .await;
    let gateway = to(&upstream.url()).await;
    let body = noise(6 << 20);
    for _ in 0..8 {
        let answer = gateway.client().request_h2("POST", "/api/x", &[], &body).await;
        assert_eq!((answer.status, answer.text().as_str()), (413, "large"));
        let answer = gateway
            .client()
            .request_h2("POST", "/api/fileUpload", &[], &body)
            .await;
        assert_eq!((answer.status, answer.text().as_str()), (400, "large"));
        for (framing, size) in [
            (format!("Content-Length: {}", body.len()), String::new()),
            (
                "Transfer-Encoding: chunked".to_owned(),
                format!("{:x}\r\n", body.len()),
            ),
        ] {
            let head = gateway.head("POST /api/x HTTP/1.1");
            let stream = gateway.client().connect(b"http/1.1").await;
            let (reader, mut writer) = tokio::io::split(stream);
            let bytes = [format!("{head}{framing}\r\n\r\n{size}").as_bytes(), &body].concat();
            let sending = tokio::spawn(async move {
                let _ = writer.write_all(&bytes).await;
                let _ = writer.flush().await;
                writer
            });
            let mut seen = Vec::new();
            let mut reader = reader;
            while !seen.ends_with(b"large") {
                let read = timeout(PATIENCE, reader.read_buf(&mut seen)).await;
                assert!(read.unwrap().unwrap() > 0, "{}", String::from_utf8_lossy(&seen));
            }
            assert!(
                seen.starts_with(b"HTTP/1.1 413 "),
                "{}",
                String::from_utf8_lossy(&seen)
            );
            sending.abort();
        }
    }
}

/// An answer that is at its end is all that a client wants: the stop comes soon after it, whatever upstream does.
#[tokio::test]
async fn a_body_is_stopped_soon_after_an_early_answer() {
    let upstream = RawUpstream::acting(|_, mut connection| async move {
        connection
            .send("HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge")
            .await;
        std::future::pending::<()>().await;
    })
    .await;
    let gateway = to(&upstream.url()).await;
    let mut client = H2::connect(&gateway.client(), 65_535).await;
    let authority = gateway.origin().trim_start_matches("https://").to_owned();
    let fields = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", authority.as_str()),
        (":path", "/api/x"),
        ("content-length", "40000000"),
    ];
    client.request_with_body_to_come(1, &fields).await;
    assert_eq!(client.outcome(1).await, Outcome::Status(413));
    let stop = timeout(PATIENCE, client.outcome(1)).await.unwrap();
    assert_eq!(stop, Outcome::Reset(0));
}

#[tokio::test]
async fn what_the_uploader_would_repeat_is_a_400() {
    for (status, told) in [
        (413, 400),
        (431, 400),
        (503, 400),
        (401, 401),
        (400, 400),
        (200, 200),
    ] {
        let upstream = saying(format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nno")).await;
        let gateway = to(&upstream.url()).await;
        for target in ["/api/fileUpload", "/API/fileupload/?x=1"] {
            let answer = gateway.post(target, &[], b"x").await;
            assert_eq!((answer.status, answer.text().as_str()), (told, "no"), "{target}");
        }
        assert_eq!(gateway.post("/api/x", &[], b"x").await.status, status);
    }
}

#[tokio::test]
async fn an_answers_head_is_made_plain_or_refused() {
    let many = "X-Many: y\r\n".repeat(180);
    for (head, told) in [
        ("Content-Length: 5, 5\r\n", Some("content-length: 5")),
        (
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            Some("content-length: 5"),
        ),
        ("X-Old : 1\r\nContent-Length: 5\r\n", Some("x-old: 1")),
        (
            &*format!("{many}Content-Length: 5\r\n"),
            Some("content-length: 5"),
        ),
        (
            "Alt-Svc: h3=\":443\"\r\nContent-Length: 5\r\n",
            Some("content-length: 5"),
        ),
        ("Transfer-Encoding: gzip, chunked\r\n", None),
        ("Transfer-Encoding: xchunked\r\n", None),
        ("Content-Length: nonsense\r\n", None),
        ("Content-Length: 5, 6\r\n", None),
    ] {
        let body = if head.contains("hunked") {
            "5\r\nhello\r\n0\r\n\r\n"
        } else {
            "hello"
        };
        let upstream = saying(format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}")).await;
        let gateway = to(&upstream.url()).await;
        let answer = gateway
            .client()
            .ask_raw(gateway.head("GET /api/x HTTP/1.1") + "\r\n")
            .await;
        let Some(line) = told else {
            assert_eq!(answer.status, 502, "{head} {answer:?}");
            continue;
        };
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello"), "{head}");
        assert!(answer.head.contains(line), "{head} {answer:?}");
        assert_eq!(answer.header("alt-svc"), None);
        let answer = gateway.client().request_h2("GET", "/api/x", &[], b"").await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello"), "{head}");
    }
    for length in ["nonsense", "5, 6", "5, 5"] {
        let upstream = saying(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")).await;
        let gateway = to(&upstream.url()).await;
        let answer = gateway.client().request("HEAD", "/api/x", &[], b"").await;
        let kept = (length == "5, 5").then_some("5");
        assert_eq!(
            (answer.status, answer.header("content-length")),
            (200, kept),
            "{length}"
        );
    }
}

#[tokio::test]
async fn trailers_pass_without_what_changes_the_answer_and_the_answer_is_whole() {
    let upstream = saying(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n5\r\nhello\r\n0\r\n\
         Connection: close\r\nSet-Cookie: a=b\r\nTransfer-Encoding: chunked\r\nX-Sum: 1\r\n\r\n",
    )
    .await;
    let gateway = to(&upstream.url()).await;
    let body = gateway.client().try_request_h2("GET", "/api/x").await.unwrap();
    assert_eq!(body, "hello");
    assert_eq!(gateway.get("/api/x", &[]).await.text(), "hello");
}

#[tokio::test]
async fn a_post_without_a_body_says_so_to_upstream() {
    let upstream = Upstream::answering("here").await;
    let gateway = to(&upstream.url()).await;
    for method in ["POST", "PUT", "PATCH"] {
        gateway.client().request_h2(method, "/api/x", &[], b"").await;
        gateway.client().request(method, "/api/x", &[], b"").await;
    }
    gateway.client().request_h2("GET", "/api/x", &[], b"").await;
    for seen in upstream.requests() {
        let length = (seen.method != "GET").then_some("0");
        assert_eq!(seen.header("content-length"), length, "{seen:?}");
    }
}

#[tokio::test]
async fn slow_uploads_leave_room_for_the_small_calls_of_their_connection() {
    let upstream = RawUpstream::acting(|head, mut connection| async move {
        if head.starts_with("POST /api/slow") {
            while connection.exactly(20_000).await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        } else {
            connection
                .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
                .await;
            connection.rest().await;
        }
    })
    .await;
    let gateway = to(&upstream.url()).await;
    let stream = TokioIo::new(gateway.client().connect(b"h2").await);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let ask = |path: &str, body: Vec<u8>| {
        let uri = format!("{}{path}", gateway.origin());
        let body = Full::new(Bytes::from(body));
        Request::post(uri).body(body).unwrap()
    };
    let uploads: Vec<_> = (0..3)
        .map(|_| tokio::spawn(sender.send_request(ask("/api/slow", noise(5 << 20)))))
        .collect();
    sleep(Duration::from_millis(1500)).await;
    for _ in 0..5 {
        let small = sender.send_request(ask("/api/verifyToken", b"{}".to_vec()));
        // The uploads take minutes.
        let answer = timeout(PATIENCE, small).await.expect("it has to wait");
        assert_eq!(answer.unwrap().status(), 200);
    }
    for upload in uploads {
        upload.abort();
    }
    connection.abort();
}
