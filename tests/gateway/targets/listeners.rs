//! The server's health, and the listeners for plain HTTP and for the operator.

use std::sync::Arc;

use tokio::{net::TcpStream, sync::Notify};

use super::plain;
use crate::support::{
    Gateway,
    addr::nobody_listens,
    raw::{Ended, RawUpstream},
    upstream::Upstream,
};

/// docs/plugnmeet.md section 8: the server takes every method there.
#[tokio::test]
async fn the_servers_health_is_asked_for_with_any_method() {
    let upstream = Upstream::answering("Healthy").await;
    let gateway = Gateway::everything_to(&upstream.url(), "").await;
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        for target in ["/healthCheck", "/healthcheck/x"] {
            let answer = gateway.client().request(method, target, &[], b"").await;
            assert_eq!(answer.status, 200, "{method} {target} {answer:?}");
        }
    }
    assert_eq!(upstream.requests().len(), 14);
}

#[tokio::test]
async fn plain_http_leads_to_https_at_a_name_of_ours_and_nowhere_else() {
    let upstream = Upstream::answering("reached").await;
    let gateway = Gateway::with(&format!(
        "public_origin = 'https://conf.example.org:8443'\nhosts = ['meet.example.org']\nupstreams.server = ['{}']",
        upstream.url()
    ))
    .await;
    let ask = async |line: &str, fields: &str| plain(gateway.http, &format!("{line}\r\n{fields}\r\n")).await;
    for (line, host, location) in [
        (
            "GET / HTTP/1.1",
            "conf.example.org",
            "https://conf.example.org:8443/",
        ),
        (
            "GET /a%20b?c=%2F&&d HTTP/1.1",
            "CONF.example.org:80",
            "https://conf.example.org:8443/a%20b?c=%2F&&d",
        ),
        (
            "POST /api/x? HTTP/1.1",
            "meet.example.org",
            "https://meet.example.org:8443/api/x?",
        ),
        (
            "GET /conference/?access_token=x HTTP/1.1",
            "[::1]:80",
            "https://[::1]:8443/conference/?access_token=x",
        ),
    ] {
        let answer = ask(line, &format!("Host: {host}\r\n")).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (308, Some(location)),
            "{line}"
        );
    }
    for (line, fields, status) in [
        ("GET / HTTP/1.1", "Host: evil.example\r\n", 421),
        (
            "GET / HTTP/1.1",
            "X-Forwarded-Host: conf.example.org\r\nHost: evil.example\r\n",
            421,
        ),
        ("GET / HTTP/1.1", "", 400),
        (
            "GET / HTTP/1.1",
            "Host: conf.example.org\r\nHost: conf.example.org\r\n",
            400,
        ),
        ("GET //evil.example/ HTTP/1.1", "Host: conf.example.org\r\n", 400),
        ("GET /\\evil.example/ HTTP/1.1", "Host: conf.example.org\r\n", 400),
        ("GET /a%0d%0ab HTTP/1.1", "Host: conf.example.org\r\n", 400),
        (
            "GET http://evil.example/ HTTP/1.1",
            "Host: conf.example.org\r\n",
            400,
        ),
    ] {
        let answer = ask(line, fields).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (status, None),
            "{line} {fields}"
        );
    }
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn what_plain_http_refuses_is_told_in_the_callers_form() {
    let gateway = Gateway::with("").await;
    let (page, json) = ("text/html; charset=utf-8", "application/json");
    for (line, fields, status, form) in [
        ("GET /conference/", "Accept: text/html\r\n", 421, page),
        ("POST /auth/room/getJoinToken", "Content-Length: 0\r\n", 421, json),
        ("POST /api/verifyToken", "Content-Length: 0\r\n", 421, json),
        (
            "POST /api/verifyToken",
            "Content-Type: application/protobuf\r\nContent-Length: 0\r\n",
            421,
            "application/protobuf",
        ),
        ("GET /api//x", "", 400, json),
        (
            "GET /key/bigbluebutton/api/create",
            "",
            421,
            "application/xml; charset=utf-8",
        ),
        ("TRACE /healthCheck", "Accept: application/json\r\n", 421, json),
    ] {
        let request = format!(
            "{line} HTTP/1.1\r\nHost: evil.example\r\nOrigin: https://lms.example\r\n{fields}Connection: close\r\n\r\n"
        );
        let answer = plain(gateway.http, &request).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, Some(form)),
            "{line} {fields}"
        );
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("*"),
            "{line} {fields}"
        );
    }
}

#[tokio::test]
async fn the_operator_asks_on_a_listener_of_its_own_also_during_a_drain() {
    let answers = Arc::new(Notify::new());
    let last = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast";
    let upstream = RawUpstream::answering_when(&answers, last).await;
    let gateway = Gateway::everything_to(&upstream.url(), "timeouts.drain = '10m'").await;
    let (admin, https, http, client) = (gateway.admin, gateway.https, gateway.http, gateway.client());
    let ask = async |target: &str| {
        let answer = plain(
            admin,
            &format!("GET {target} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n"),
        )
        .await;
        (answer.status, answer.text())
    };
    assert_eq!(ask("/livez").await, (200, "alive\n".into()));
    assert_eq!(ask("/readyz").await, (200, "ready\n".into()));
    assert_eq!(ask("/metrics").await.0, 200);
    assert_eq!(ask("/conference/").await.0, 404);

    let head = gateway.head("GET /api/x HTTP/1.1");
    let mut last = client.raw().await;
    last.send(format!("{head}\r\n")).await;
    upstream.arrival().await;
    let stopping = tokio::spawn(gateway.stop());
    while ask("/readyz").await.0 == 200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask("/readyz").await, (503, "draining\n".into()));
    assert_eq!(ask("/livez").await, (200, "alive\n".into()));
    nobody_listens(https).await;
    nobody_listens(http).await;
    answers.notify_one();
    assert_eq!(last.answer().await.text(), "last");
    assert_eq!(last.rest().await, (Vec::new(), Ended::Cleanly));
    stopping.await.unwrap();
    assert!(
        TcpStream::connect(admin).await.is_err(),
        "nobody is there any more"
    );
}
