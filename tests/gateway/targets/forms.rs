//! In which form each caller is told of an error.

use super::{in_front_of, plain};
use crate::support::{Gateway, upstream::Upstream};

/// The mount is the usual wrong base URL of an integration: what it hears has to be something that it can show.
#[tokio::test]
async fn a_call_of_the_api_below_the_mount_is_told_which_address_was_meant() {
    let upstream = Upstream::answering("reached").await;
    let gateway = in_front_of(&upstream).await;
    let json = ("content-type", "application/json");
    let html = ("accept", "text/html,*/*");
    let origin = gateway.origin();
    for (method, target, fields, meant) in [
        (
            "POST",
            "/conference/auth/room/getJoinToken",
            &[json][..],
            "/auth/room/getJoinToken",
        ),
        (
            "POST",
            "/conference/auth/room/create",
            &[html],
            "/auth/room/create",
        ),
        (
            "POST",
            "/conference/Auth/recorder/notify",
            &[("content-type", "application/protobuf")],
            "/Auth/recorder/notify",
        ),
        ("GET", "/conference/auth/x", &[html, ("api-key", "k")], "/auth/x"),
        ("POST", "/conference/api/verifyToken", &[html], "/api/verifyToken"),
        (
            "POST",
            "/conference/lti/v1/api/room/join",
            &[],
            "/lti/v1/api/room/join",
        ),
        (
            "POST",
            "/conference/download/recording/secret-token",
            &[],
            "/download/recording/***",
        ),
    ] {
        let answer = gateway.client().request(method, target, fields, b"{}").await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (404, Some("application/json")),
            "{target}"
        );
        assert_eq!(
            answer.json(),
            serde_json::json!({
                "status": false,
                "msg": format!("the API has no prefix: its address is {origin}, and {origin}{meant} was meant"),
                "status_code": "NOT_FOUND",
            })
        );
    }
    let bbb = gateway
        .get("/conference/the-key/bigbluebutton/api/create?name=x", &[html])
        .await;
    assert_eq!(bbb.header("content-type"), Some("application/xml; charset=utf-8"));
    assert!(
        bbb.text().contains("/***/bigbluebutton/api/create was meant"),
        "{}",
        bbb.text()
    );
    let page = gateway.get("/conference/auth/room/create", &[html]).await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (404, Some("text/html; charset=utf-8"))
    );
    assert!(upstream.saw_nothing(), "{:?}", upstream.requests());
}

/// A page is of no use to a program, wherever its call went.
#[tokio::test]
async fn whoever_calls_an_api_gets_the_servers_json_on_any_path() {
    let upstream = Upstream::answering("reached").await;
    let gateway = in_front_of(&upstream).await;
    let html = ("accept", "text/html,*/*");
    for target in [
        "/nowhere",
        "/conference",
        "/conference/",
        "/conference/x",
        "/",
        "/room/getJoinToken",
        "//auth",
    ] {
        for (method, fields) in [
            ("POST", &[html][..]),
            (
                "POST",
                &[html, ("content-type", "application/json; charset=utf-8")],
            ),
            ("PUT", &[html, ("api-key", "k")]),
            ("DELETE", &[html, ("content-type", "application/protobuf")]),
        ] {
            let answer = gateway.client().request(method, target, fields, b"{}").await;
            assert!(answer.status >= 400, "{method} {target}");
            assert_eq!(
                answer.header("content-type"),
                Some("application/json"),
                "{method} {target}"
            );
            let json = answer.json();
            let names: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(names, ["status", "msg", "status_code"], "{method} {target}");
        }
    }
    assert!(upstream.saw_nothing(), "{:?}", upstream.requests());
}

/// DNS rebinding: a page whose name leads to this machine would read what the operator's listener says.
#[tokio::test]
async fn the_operators_listener_is_asked_by_an_address_or_by_a_name_that_is_listed() {
    let gateway = Gateway::with("listen.admin_hosts = ['gateway.internal']").await;
    let admin = gateway.admin;
    let ask = async |fields: &str| {
        let request = format!("GET /metrics HTTP/1.1\r\n{fields}Connection: close\r\n\r\n");
        plain(admin, &request).await.status
    };
    for host in [
        "127.0.0.1",
        "127.0.0.1:9180",
        "10.1.2.3:9180",
        "[::1]:9180",
        "localhost:9180",
        "LocalHost.",
        "Gateway.internal:9180",
        "gateway.internal.",
    ] {
        assert_eq!(ask(&format!("Host: {host}\r\n")).await, 200, "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:9180",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "xlocalhost",
        "gateway.internal.evil.example",
        "evil@127.0.0.1",
        "",
        "127.0.0.1\r\nHost: 127.0.0.1",
    ] {
        assert_eq!(ask(&format!("Host: {host}\r\n")).await, 421, "{host}");
    }
    assert_eq!(ask("").await, 421);
    let old = plain(admin, "GET /livez HTTP/1.0\r\n\r\n").await;
    assert_eq!(old.status, 200);
    let traced = plain(
        admin,
        &format!("TRACE /x HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n"),
    )
    .await;
    assert_eq!(traced.status, 405);
}
