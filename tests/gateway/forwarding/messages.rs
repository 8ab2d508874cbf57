//! Connections with several messages, and answers as they come back.

use super::*;

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let upstream = Upstream::handling(|seen| async move {
        if seen.target.ends_with('1') {
            sleep(Duration::from_millis(100)).await;
        }
        Response::new(text_body(format!(
            "{} {}",
            seen.target,
            String::from_utf8_lossy(&seen.body)
        )))
    })
    .await;
    let gateway = to(&upstream.url()).await;
    let (get, post) = (
        gateway.head("GET /api/1 HTTP/1.1"),
        gateway.head("POST /api/2 HTTP/1.1"),
    );
    let (page, last) = (
        gateway.head("GET /conference HTTP/1.1"),
        gateway.head("GET /api/4 HTTP/1.1"),
    );
    let mut connection = gateway.client().raw().await;
    connection
        .send(format!(
            "{get}\r\n{post}Content-Length: 2\r\n\r\nhi{page}\r\n{last}Connection: close\r\n\r\n"
        ))
        .await;
    assert_eq!(connection.answer().await.text(), "/api/1 ");
    assert_eq!(connection.answer().await.text(), "/api/2 hi");
    assert_eq!(connection.answer().await.status, 308);
    let answer = connection.answer().await;
    assert_eq!(
        (answer.text().as_str(), answer.header("connection")),
        ("/api/4 ", Some("close"))
    );
    assert_eq!(connection.rest().await, (Vec::new(), Ended::Cleanly));
}

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let upstream = Upstream::answering("ok").await;
    let gateway = to(&upstream.url()).await;
    let mut connection = gateway.client().raw().await;
    for target in ["/api/a", "/nowhere", "/conference", "/api/%2e%2e", "/api/b"] {
        connection
            .send(format!("{}\r\n", gateway.head(&format!("GET {target} HTTP/1.1"))))
            .await;
        let answer = connection.answer().await;
        assert_eq!(answer.header("connection"), None, "{target} {answer:?}");
    }
    assert_eq!(upstream.requests().len(), 2);
}

/// What nobody reads is still no request.
#[tokio::test]
async fn a_body_that_nobody_asked_for_is_not_taken_for_a_request() {
    let upstream = Upstream::answering("reached").await;
    let gateway = to(&upstream.url()).await;
    let hidden = gateway.head("GET /api/hidden HTTP/1.1") + "\r\n";
    for line in [
        "GET /conference HTTP/1.1",
        "POST /conference/ HTTP/1.1",
        "POST /nowhere HTTP/1.1",
        "POST /api/%2e%2e HTTP/1.1",
        "GET /assets/config.js HTTP/1.1",
        "POST /auth/room/create HTTP/1.1",
        "OPTIONS /auth/room/getJoinToken HTTP/1.1",
    ] {
        let head = gateway.head(line);
        for framed in [
            format!("Content-Length: {}\r\n\r\n{hidden}", hidden.len()),
            format!(
                "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{hidden}\r\n0\r\n\r\n",
                hidden.len()
            ),
        ] {
            let mut connection = gateway.client().raw().await;
            connection.send(format!("{head}{framed}")).await;
            let last = gateway.head("GET /nowhere HTTP/1.1") + "Connection: close\r\n\r\n";
            let _ = connection.try_send(last).await;
            assert_ne!(connection.answer().await.text(), "reached", "{line}");
            if let Ok(next) = connection.try_answer().await {
                assert_eq!(next.status, 404, "{line} {next:?}");
            }
        }
    }
    assert!(upstream.saw_nothing(), "{:?}", upstream.requests());
}

/// HTTP/1.0 has no `chunked`: the end of the connection ends an answer without a length, and the answer says so.
#[tokio::test]
async fn to_http_1_0_an_answer_without_a_length_says_that_the_connection_closes() {
    let answers = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let upstream = RawUpstream::answering(answers).await;
    let gateway = to(&upstream.url()).await;
    let head = gateway.head("GET /api/x HTTP/1.0") + "Connection: keep-alive\r\n\r\n";
    let mut connection = gateway.client().raw().await;
    connection.send(&head).await;
    let told = connection.head().await.unwrap();
    assert_eq!(header(&told, "connection"), Some("close"), "{told}");
    assert_eq!(connection.rest().await, (b"ok".to_vec(), Ended::Cleanly));

    let page = gateway.head("GET /conference/ HTTP/1.0") + "Connection: keep-alive\r\n\r\n";
    let mut connection = gateway.client().raw().await;
    for _ in 0..2 {
        connection.send(&page).await;
        assert_eq!(connection.answer().await.header("connection"), Some("keep-alive"));
    }
}

#[tokio::test]
async fn two_framings_of_an_answer_do_not_reach_the_client() {
    for fields in [
        "Content-Length: 2\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 200",
    ] {
        let upstream = RawUpstream::acting(move |_, mut connection| async move {
            connection
                .send(format!(
                    "HTTP/1.1 200 OK\r\n{fields}\r\n\r\n4\r\nbody\r\n0\r\n\r\n"
                ))
                .await;
        })
        .await;
        let gateway = to(&upstream.url()).await;
        let request = gateway.head("GET /api/x HTTP/1.1") + "\r\n";
        let answer = gateway.client().ask_raw(request).await;
        assert!(
            answer.status == 502 || (answer.status == 200 && answer.text() == "body"),
            "{fields} {answer:?}"
        );
        let body = gateway.client().try_request_h2("GET", "/api/x").await;
        assert!(
            body.as_ref()
                .is_ok_and(|body| body == "body" || body.starts_with(b"{")),
            "{fields} {body:?}"
        );
    }
}

#[tokio::test]
async fn head_has_the_fields_of_get_and_no_body() {
    let upstream = RawUpstream::acting(|head, mut connection| async move {
        assert!(head.starts_with("HEAD "), "{head}");
        connection
            .send("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nContent-Type: video/mp4\r\nETag: \"x\"\r\n\r\n")
            .await;
    })
    .await;
    let gateway = to(&upstream.url()).await;
    let mut connection = gateway.client().raw().await;
    let head = gateway.head("HEAD /download/recording/x HTTP/1.1");
    connection.send(format!("{head}Connection: close\r\n\r\n")).await;
    let answer = connection.head().await.unwrap();
    for (name, value) in [
        ("content-length", "1234"),
        ("content-type", "video/mp4"),
        ("etag", "\"x\""),
    ] {
        assert_eq!(header(&answer, name), Some(value));
    }
    assert_eq!(connection.rest().await, (Vec::new(), Ended::Cleanly));
    let answer = gateway
        .client()
        .request_h2("HEAD", "/download/recording/x", &[], b"")
        .await;
    assert_eq!(
        (answer.header("content-length"), answer.body.len()),
        (Some("1234"), 0)
    );
}

/// RFC 9113 section 8.1: an answer to `HEAD` ends with its head; a body after it is a connection error for many clients.
#[tokio::test]
async fn over_http_2_head_has_no_body_either_whoever_answers() {
    let upstream = RawUpstream::content().await;
    let gateway = Gateway::everything_to(&upstream.url(), "session.frame_ancestors = []").await;
    let authority = format!("localhost:{}", gateway.https.port());
    let token = gateway.token("room01", "ann");
    let mut connection = H2::connect(&gateway.client(), 65_535).await;
    let link = format!("/conference/?x={}", &token[..10]);
    for (at, path) in [
        "/conference/",
        &link,
        "/conference/?access_token=x",
        "/conference/assets/config.js",
        "/conference/nothing.js",
        "/nowhere",
        "/",
        "/api/a%2Fb",
        "/auth/room/create",
        "/auth/room/getJoinToken",
        "/key/bigbluebutton/api/join?meetingID=a",
        "/lti/v1",
        "/download/recording/x",
        "/livekit/debug/",
    ]
    .iter()
    .enumerate()
    {
        let stream = u32::try_from(at * 2 + 1).unwrap();
        let fields = [
            (":method", "HEAD"),
            (":scheme", "https"),
            (":authority", authority.as_str()),
            (":path", path),
        ];
        connection.request(stream, &fields).await;
        assert!(connection.ends_with_its_head(stream).await, "{path}");
    }
}

/// RFC 9110 section 9.3.2: the fields are those of `GET`.
#[tokio::test]
async fn what_is_answered_here_has_the_length_of_get_in_the_answer_to_head() {
    let gateway = down_without_upstreams().await;
    for target in [
        "/conference/",
        "/nowhere",
        "/conference/assets/config.js",
        "/auth/room/create",
    ] {
        let client = gateway.client();
        let got = client.request("GET", target, &[], b"").await;
        for head in [
            client.request("HEAD", target, &[], b"").await,
            client.request_h2("HEAD", target, &[], b"").await,
        ] {
            assert_eq!((head.status, head.body.len()), (got.status, 0), "{target}");
            assert_eq!(
                head.header("content-length"),
                got.header("content-length"),
                "{target}"
            );
            assert_eq!(
                head.header("content-length"),
                Some(got.body.len().to_string().as_str())
            );
        }
    }
}

async fn down_without_upstreams() -> Gateway {
    Gateway::with("upstreams.server = []").await
}

#[tokio::test]
async fn an_answer_without_a_body_stays_one() {
    for line in [
        "204 No Content",
        "304 Not Modified",
        "200 OK\r\nContent-Length: 0",
    ] {
        let upstream = RawUpstream::acting(move |_, mut connection| async move {
            connection
                .send(format!("HTTP/1.1 {line}\r\nETag: \"x\"\r\n\r\n"))
                .await;
        })
        .await;
        let gateway = to(&upstream.url()).await;
        let mut connection = gateway.client().raw().await;
        for _ in 0..2 {
            connection
                .send(format!("{}\r\n", gateway.head("GET /api/x HTTP/1.1")))
                .await;
            let answer = connection.answer().await;
            assert_eq!(
                (
                    answer.header("transfer-encoding"),
                    answer.body.len(),
                    answer.header("etag")
                ),
                (None, 0, Some("\"x\"")),
                "{line}"
            );
        }
    }
}

/// docs/plugnmeet.md section 0.19 and the rest: redirects, cookies and odd statuses are upstream's business.
#[tokio::test]
async fn upstreams_answer_is_passed_on_but_for_the_fields_of_its_hop() {
    let upstream = RawUpstream::answering(
        "HTTP/1.1 307 Elsewhere\r\nLocation: https://files.example/x?y=%2F\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
         Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nTrailer: X-T\r\nUpgrade: h2c\r\n\
         X-Kept: 1\r\nServer: fasthttp\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-T: 1\r\n\r\n",
    )
    .await;
    let gateway = to(&upstream.url()).await;
    for answer in [
        gateway.get("/download/recording/x", &[]).await,
        gateway
            .client()
            .request_h2("GET", "/download/recording/x", &[], b"")
            .await,
    ] {
        assert_eq!((answer.status, answer.text().as_str()), (307, "body"));
        assert_eq!(answer.header("location"), Some("https://files.example/x?y=%2F"));
        assert_eq!(answer.header("x-kept"), Some("1"));
        assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
        for name in [
            "x-hop",
            "keep-alive",
            "proxy-authenticate",
            "trailer",
            "upgrade",
            "proxy-connection",
        ] {
            assert_eq!(answer.header(name), None, "{name}");
        }
        assert!(!format!("{:?}", answer.headers.get("connection")).contains("hop"));
    }
}

/// RFC 9110 section 10.1.1: the client waits for our word before it sends a body.
#[tokio::test]
async fn a_client_that_expects_100_gets_it_or_the_final_answer() {
    let upstream = Upstream::answering("taken").await;
    let gateway = Gateway::everything_to(&upstream.url(), "sizes.body = '1KiB'").await;
    let head = gateway.head("POST /api/x HTTP/1.1");
    let mut connection = gateway.client().raw().await;
    connection
        .send(format!("{head}Expect: 100-continue\r\nContent-Length: 4\r\n\r\n"))
        .await;
    let interim = connection.head().await.unwrap();
    assert!(interim.starts_with("HTTP/1.1 100 "), "{interim}");
    connection.send("body").await;
    assert_eq!(connection.answer().await.text(), "taken");
    assert_eq!(upstream.only_request().body, "body");
    assert_eq!(upstream.only_request().header("expect"), None);

    let mut connection = gateway.client().raw().await;
    connection
        .send(format!(
            "{head}Expect: 100-continue\r\nContent-Length: 2000\r\n\r\n"
        ))
        .await;
    assert_eq!(connection.answer().await.status, 413);
    // Whether a body follows now is the client's choice, so nothing more can be told apart here.
    assert_eq!(connection.rest().await, (Vec::new(), Ended::Cleanly));
    assert_eq!(upstream.requests().len(), 1);
}
