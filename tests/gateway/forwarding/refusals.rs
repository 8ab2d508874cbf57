//! What no parser lets through is refused as everything else is: in the caller's form, with a code, and counted.

use super::*;

async fn refused(gateway: &Gateway, request: &[u8]) -> RawAnswer {
    let mut connection = gateway.client().raw().await;
    connection.send(request).await;
    let answer = connection.answer().await;
    assert_eq!(answer.header("connection"), Some("close"), "{answer:?}");
    assert_eq!(connection.rest().await, (Vec::new(), Ended::Cleanly));
    answer
}

const NOT_HTTP: &str = "the request's head is not HTTP";
const NO_NUMBER: &str = "the request's length is no number";

#[tokio::test]
async fn every_head_that_cannot_be_read_is_told_why() {
    let upstream = Upstream::answering("reached").await;
    let gateway = to(&upstream.url()).await;
    let head = gateway.head("POST /api/x HTTP/1.1");
    for (request, status, message) in [
        (
            format!("{head}{}\r\n", "X: y\r\n".repeat(101)),
            431,
            "the request has more than 100 header fields",
        ),
        (
            format!("{head}X: {}\r\n\r\n", "y".repeat(70_000)),
            431,
            "the request's header fields are too large",
        ),
        (format!("{head}bad field\r\n\r\n"), 400, NOT_HTTP),
        (format!("{head}X : y\r\n\r\n"), 400, NOT_HTTP),
        (format!("{head}X: a\r\n b\r\n\r\n"), 400, NOT_HTTP),
        (format!("{head}X: \0\r\n\r\n"), 400, NOT_HTTP),
        (format!("{head}Content-Length: x\r\n\r\n"), 400, NO_NUMBER),
        (format!("{head}Content-Length: 5, 5\r\n\r\n"), 400, NO_NUMBER),
        (
            format!("{head}Content-Length: 18446744073709551615\r\n\r\n"),
            400,
            NO_NUMBER,
        ),
        (
            format!("{head}Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
            400,
            "the request's length is given twice",
        ),
        (
            format!("{head}Transfer-Encoding: gzip\r\n\r\n"),
            400,
            "the only transfer coding taken is chunked",
        ),
        (
            head.replace("/api/x", "/api/x?a={\"b\"}") + "\r\n",
            400,
            "the request target is not a URL",
        ),
        (head.replace("/api/x", "/api/x y") + "\r\n", 400, NOT_HTTP),
        (head.replace("POST", "PO(T") + "\r\n", 400, NOT_HTTP),
        (
            head.replace("HTTP/1.1", "HTTP/9.9") + "\r\n",
            505,
            "HTTP/1.1 is spoken here, and HTTP/2 where TLS agrees on it",
        ),
        (
            head.replace("HTTP/1.1", "HTTP/1.0") + "Transfer-Encoding: chunked\r\n\r\n",
            400,
            "the only transfer coding taken is chunked",
        ),
    ] {
        let answer = refused(&gateway, request.as_bytes()).await;
        let start = &request[..request.len().min(150)];
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, Some("application/json")),
            "{start:?}"
        );
        if request.starts_with("PO(T") {
            continue;
        }
        assert_eq!(answer.message(), message, "{start:?}");
    }
    assert!(upstream.saw_nothing());
    let metrics = support::client::plain_get(gateway.admin, "/metrics").await.text();
    for counted in ["status=\"431\"} 2", "status=\"505\"} 1"] {
        assert!(
            metrics.contains(&format!("requests_total{{route=\"none\",{counted}")),
            "{metrics}"
        );
    }
}

#[tokio::test]
async fn a_person_gets_a_page_and_a_script_from_elsewhere_may_read_it() {
    let upstream = Upstream::answering("reached").await;
    let gateway = to(&upstream.url()).await;
    let request = "GET /conference/?access_token=secret&x=\"y\" HTTP/1.1\r\nAccept: text/html\r\nOrigin: https://a.example\r\n\r\n";
    let answer = refused(&gateway, request.as_bytes()).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert!(!answer.text().contains("secret"));
    let mut connection = gateway.client().raw().await;
    connection.send(request.replace("GET", "HEAD")).await;
    let head = connection.head().await.unwrap();
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    assert_eq!(connection.rest().await, (Vec::new(), Ended::Cleanly));
}

#[tokio::test]
async fn a_bad_request_line_in_several_records_keeps_its_answer() {
    let upstream = Upstream::answering("reached").await;
    let gateway = to(&upstream.url()).await;
    for pieces in [
        &["NONSENSE\r", "\n", "and more\r\n", "\r\n"][..],
        &["GET / HTTP/1.1\r\nbad fi", "eld\r\n", "X: y\r\n", "\r\n"],
    ] {
        let mut connection = gateway.client().raw().await;
        for piece in pieces {
            connection.try_send(piece).await.ok();
            sleep(Duration::from_millis(30)).await;
        }
        let answer = connection.answer().await;
        assert_eq!(answer.status, 400, "{pieces:?}");
        assert_eq!(connection.rest().await, (Vec::new(), Ended::Cleanly));
    }
    // What came before it is answered first.
    let mut connection = gateway.client().raw().await;
    let good = gateway.head("GET /api/x HTTP/1.1");
    connection
        .send(format!("{good}\r\nNONSENSE\r\n\r\n{good}\r\n"))
        .await;
    assert_eq!(connection.answer().await.status, 200);
    assert_eq!(connection.answer().await.status, 400);
    assert_eq!(connection.rest().await, (Vec::new(), Ended::Cleanly));
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn plain_http_on_the_tls_port_is_told_so() {
    let upstream = Upstream::answering("reached").await;
    let gateway = to(&upstream.url()).await;
    for (request, media) in [
        (
            "GET /conference/ HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n",
            "text/html; charset=utf-8",
        ),
        (
            "POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
            "application/json",
        ),
        ("GET /api/x HTTP/1.0\r\n\r\n", "application/json"),
    ] {
        let mut connection = Raw::over(TcpStream::connect(gateway.https).await.unwrap());
        connection.send(request).await;
        let answer = connection.answer().await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (400, Some(media)),
            "{request}"
        );
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(answer.text().contains("https"), "{answer:?}");
        assert_eq!(connection.rest().await, (Vec::new(), Ended::Cleanly));
    }
    assert!(upstream.saw_nothing());
    // Bytes that are neither.
    let mut connection = Raw::over(TcpStream::connect(gateway.https).await.unwrap());
    connection.send("\x01\x02\x03\x04\x05\x06").await;
    connection.rest().await;
    // It is counted behind its end.
    let counted = "plugnmeet_gateway_connections_refused_total{reason=\"tls\"} 1";
    support::until(counted, async || {
        let metrics = support::client::plain_get(gateway.admin, "/metrics").await.text();
        metrics.contains(counted)
    })
    .await;
}

#[tokio::test]
async fn http_1_0_without_a_host_means_the_public_origin() {
    let upstream = RawUpstream::content().await;
    let gateway = to(&upstream.url()).await;
    let answer = gateway.client().ask_raw("GET /api/x HTTP/1.0\r\n\r\n").await;
    assert_eq!(answer.status, 200);
    let host = format!("localhost:{}", gateway.https.port());
    assert_eq!(header(&upstream.only_head(), "host"), Some(host.as_str()));
    let mut plain = Raw::over(TcpStream::connect(gateway.http).await.unwrap());
    plain.send("GET /a HTTP/1.0\r\n\r\n").await;
    let answer = plain.answer().await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (308, Some(format!("https://{host}/a").as_str()))
    );
    assert_eq!(
        gateway
            .client()
            .ask_raw("GET /api/x HTTP/1.1\r\n\r\n")
            .await
            .status,
        400
    );
}
