//! Where a message ends: one way to say so, both ways.

use super::*;

/// The answer to a request with these fields and another one hidden in its body; it has to be the only one.
async fn answered_once(gateway: &Gateway, fields: &str) -> RawAnswer {
    let head = gateway.head("POST /api/x HTTP/1.1");
    let smuggled = "GET /auth/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut connection = gateway.client().raw().await;
    let _ = connection
        .try_send(format!("{head}{fields}\r\n0\r\n\r\n{smuggled}"))
        .await;
    let answer = connection.answer().await;
    let (rest, _) = connection.rest().await;
    assert!(
        rest.is_empty(),
        "one answer: {fields} {}",
        String::from_utf8_lossy(&rest)
    );
    answer
}

/// RFC 9112 section 6.3: the smuggler's tools.
#[tokio::test]
async fn two_framings_are_refused_and_the_connection_is_closed() {
    let upstream = RawUpstream::content().await;
    let gateway = to(&upstream.url()).await;
    for fields in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Transfer-Encoding: chunked\r\nX-Between: y\r\nContent-Length: 0\r\n",
        "content-length: 4\r\ncontent-length: 4\r\n",
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: 0\r\nContent-Length: 50\r\n",
    ] {
        let answer = answered_once(&gateway, fields).await;
        assert_eq!(answer.status, 400, "{fields} {answer:?}");
    }
    assert!(upstream.saw_nothing(), "{:?}", upstream.heads());
}

#[tokio::test]
async fn a_framing_that_can_be_read_in_two_ways_is_refused_and_the_connection_is_closed() {
    let upstream = RawUpstream::content().await;
    let gateway = to(&upstream.url()).await;
    for fields in [
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        " Transfer-Encoding: chunked\r\n",
        "X: y\r\n Transfer-Encoding: chunked\r\n",
        "Content-Length: +4\r\n",
        "Content-Length: 4, 4\r\n",
        "Content-Length: 0x4\r\n",
        "Content-Length: -1\r\n",
        "Content-Length:\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Content-Length : 4\r\n",
    ] {
        let answer = answered_once(&gateway, fields).await;
        assert!((400..=501).contains(&answer.status), "{fields} {answer:?}");
    }
    assert!(upstream.saw_nothing(), "{:?}", upstream.heads());
}

/// HTTP/2 has a framing of its own, so a length that lies is nobody's to forward (RFC 9113 section 8.1.1).
#[tokio::test]
async fn over_http_2_a_length_that_lies_does_not_reach_upstream() {
    // It answers when it has as much as the first length says, as servers do.
    let upstream = RawUpstream::acting(|head, mut connection| async move {
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.trim().parse().unwrap());
        if connection.exactly(length).await.is_ok() {
            connection
                .send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .await;
        }
    })
    .await;
    let gateway = to(&upstream.url()).await;
    let authority = format!("localhost:{}", gateway.https.port());
    let request = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", &authority),
        (":path", "/api/x"),
    ];
    let mut taken = Vec::new();
    for (lies, body) in [
        (vec![("content-length", "4"), ("content-length", "40")], "body"),
        (vec![("content-length", "40"), ("content-length", "4")], "body"),
        (vec![("content-length", "4"), ("content-length", "4")], "body"),
        (vec![("content-length", "0"), ("content-length", "40")], ""),
        (vec![("content-length", "4, 40")], "body"),
        (vec![("content-length", "+4")], "body"),
        (vec![("content-length", "3")], "body"),
        (vec![("content-length", "40")], "body"),
        (vec![("transfer-encoding", "chunked")], "0\r\n\r\n"),
        (vec![("connection", "transfer-encoding")], "body"),
    ] {
        let fields = [&request[..], &lies].concat();
        let mut connection = H2::connect(&gateway.client(), 65_535).await;
        if body.is_empty() {
            connection.request(1, &fields).await;
        } else {
            connection.request_with_body_to_come(1, &fields).await;
            connection.body(1, body.as_bytes(), true).await;
        }
        let outcome = connection.outcome(1).await;
        if !matches!(
            outcome,
            Outcome::Status(400) | Outcome::Reset(_) | Outcome::Closed
        ) {
            let seen = upstream.heads().pop();
            let lengths = |head: String| {
                head.lines()
                    .filter(|line| line.starts_with("content-length"))
                    .count()
            };
            taken.push(format!(
                "{lies:?} {outcome:?}, {:?} length(s) upstream",
                seen.map(lengths)
            ));
        }
    }
    assert_eq!(taken, [""; 0]);
}

/// RFC 9112 section 6.1: taking `chunked` off and forgetting the rest would hand upstream another body than was sent.
#[tokio::test]
async fn a_coding_other_than_chunked_is_refused() {
    let upstream = RawUpstream::content().await;
    let gateway = to(&upstream.url()).await;
    let mut taken = Vec::new();
    for fields in [
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    ] {
        let head = gateway.head("POST /api/x HTTP/1.1");
        let answer = gateway
            .client()
            .ask_raw(format!("{head}{fields}\r\n\r\n0\r\n\r\n"))
            .await;
        if !(400..=501).contains(&answer.status) {
            taken.push(fields);
        }
    }
    assert_eq!(taken, [""; 0]);
    assert!(upstream.saw_nothing());
}

/// A second request is not let in by the first one's framing either.
#[tokio::test]
async fn two_framings_behind_a_good_request_are_refused_too() {
    let upstream = Upstream::answering("ok").await;
    let gateway = to(&upstream.url()).await;
    let head = gateway.head("POST /api/x HTTP/1.1");
    let mut connection = gateway.client().raw().await;
    connection
        .send(format!(
            "{head}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n{head}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ))
        .await;
    assert_eq!(connection.answer().await.status, 200);
    let refused = connection.answer().await;
    assert_eq!(
        (refused.status, refused.message().as_str()),
        (400, "the request's length is given twice")
    );
    assert_eq!(refused.header("connection"), Some("close"));
    assert!(connection.rest().await.0.is_empty());
    assert_eq!(upstream.only_request().body, "hi");
}

#[tokio::test]
async fn a_body_of_either_framing_arrives_whole() {
    let upstream = Upstream::handling(|seen| async move { Response::new(text_body(seen.body)) }).await;
    let gateway = to(&upstream.url()).await;
    let head = gateway.head("POST /api/x HTTP/1.1");
    for (body, framing) in [
        ("Content-Length: 5\r\n\r\nhello", "content-length"),
        (
            "Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nX-Trailer: t\r\n\r\n",
            "transfer-encoding",
        ),
    ] {
        let answer = gateway.client().ask_raw(format!("{head}{body}")).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello"), "{body}");
        let seen = upstream.requests().pop().unwrap();
        assert!(seen.headers.contains_key(framing), "{:?}", seen.headers);
        assert_eq!(
            seen.headers.contains_key("content-length"),
            framing == "content-length"
        );
        assert!(!seen.headers.contains_key("x-trailer"));
    }
    let answer = gateway.client().request_h2("POST", "/api/x", &[], b"hello").await;
    assert_eq!(answer.text(), "hello");
}

/// A body is left out by no method, and by no version: the answer would be to another request than was sent.
#[tokio::test]
async fn a_body_of_unknown_length_arrives_whatever_the_method() {
    let upstream = Upstream::answering("ok").await;
    let gateway = to(&upstream.url()).await;
    let authority = format!("localhost:{}", gateway.https.port());
    for method in ["GET", "HEAD", "OPTIONS", "DELETE", "PUT"] {
        let head = gateway.head(&format!("{method} /api/x HTTP/1.1"));
        let body = "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
        let mut connection = gateway.client().raw().await;
        connection.send(format!("{head}{body}")).await;
        assert!(connection.head().await.unwrap().starts_with("HTTP/1.1 200 "));

        let mut connection = H2::connect(&gateway.client(), 65_535).await;
        let fields = [
            (":method", method),
            (":scheme", "https"),
            (":authority", &authority),
            (":path", "/api/x"),
        ];
        connection.request_with_body_to_come(1, &fields).await;
        connection.body(1, b"hello", true).await;
        assert_eq!(connection.outcome(1).await, Outcome::Status(200), "{method}");
    }
    for seen in upstream.requests() {
        let coding = seen.header("transfer-encoding");
        assert_eq!(
            (&seen.body[..], coding),
            (&b"hello"[..], Some("chunked")),
            "{seen:?}"
        );
    }
    assert_eq!(upstream.requests().len(), 10);
}
