//! Preflights, and other endpoints with a signature.

use serde_json::json;

use super::{PATH, assert_refused, raw_head, raw_json, status_code};
use crate::support::{API_KEY, Gateway, client::Answer, plugnmeet, token_request};

/// One path of each kind that is the server's.
const API_PATHS: [&str; 11] = [
    PATH,
    "/auth/room/create",
    "/AUTH/nothing",
    "/api/verifyToken",
    "/api/breakoutRoom/join",
    "/plugnmeet/bigbluebutton/api/join",
    "/lti/v1",
    "/lti/v1/api/room/join",
    "/download/recording/x",
    "/webhook",
    "/healthCheck",
];

/// docs/plugnmeet.md section 8: a preflight is answered before anyone asks for a signature.
#[tokio::test]
async fn a_preflight_is_answered_as_the_server_answers_it_and_reaches_nobody() {
    let server = plugnmeet::server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let headers = [
        ("Origin", "https://lms.example.org"),
        ("Access-Control-Request-Method", "POST"),
        (
            "Access-Control-Request-Headers",
            "api-key,hash-signature,content-type",
        ),
    ];
    let of_the_server = |answer: &Answer, name| answer.header(name).map(str::to_owned);
    for path in API_PATHS {
        for asked in [&headers[..], &headers[..2]] {
            let answer = gateway.client().request("OPTIONS", path, asked, b"").await;
            assert_eq!((answer.status, answer.text()), (204, String::new()), "{path}");
            for (name, value) in [
                (
                    "vary",
                    Some("Access-Control-Request-Method, Access-Control-Request-Headers, Origin"),
                ),
                ("access-control-allow-origin", Some("*")),
                ("access-control-allow-methods", Some("POST, GET, OPTIONS, HEAD")),
                (
                    "access-control-allow-headers",
                    asked.get(2).map(|(_, wanted)| *wanted),
                ),
                ("access-control-allow-credentials", None),
                ("access-control-max-age", None),
                ("content-type", None),
            ] {
                assert_eq!(of_the_server(&answer, name).as_deref(), value, "{path} {name}");
            }
        }
    }
    assert!(server.saw_nothing());
}

#[tokio::test]
async fn any_other_options_is_no_way_past_a_check() {
    let server = plugnmeet::server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let origin = ("Origin", "https://lms.example.org");
    let wanted = ("Access-Control-Request-Method", "POST");
    for headers in [
        vec![],
        vec![origin],
        vec![wanted],
        vec![("Origin", ""), wanted],
        vec![origin, ("Access-Control-Request-Method", "")],
    ] {
        for path in [PATH, "/auth/room/create", "/auth/recorder/notify"] {
            let answer = gateway.client().request("OPTIONS", path, &headers, b"{}").await;
            assert_refused(&answer, 401, "MISSING_REQUIRED_PARAMETER");
        }
        let answer = gateway
            .client()
            .request("OPTIONS", "/plugnmeet/bigbluebutton/api/join", &headers, b"")
            .await;
        assert!(
            answer
                .text()
                .contains("<message>unsupported http method</message>"),
            "{answer:?}"
        );
    }
    assert!(server.saw_nothing(), "{:?}", server.requests());
}

#[tokio::test]
async fn scripts_of_any_origin_may_read_the_answer() {
    let server = plugnmeet::server().await;
    let body = token_request("room01", "ann");
    let origin = [("Origin", "https://lms.example.org")];
    for gateway in [Gateway::in_front_of(&server).await, Gateway::embedded().await] {
        let good = gateway.ask_for_token(&body, &origin).await;
        let bad = gateway.post(PATH, &origin, body.as_bytes()).await;
        for (answer, status) in [(good, 200), (bad, 401)] {
            assert_eq!(
                (answer.status, answer.header("access-control-allow-origin")),
                (status, Some("*"))
            );
        }
        let answer = gateway.ask_for_token(&body, &[]).await;
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

/// RFC 9110 section 7.6.1 would have them taken off; the signature relies on them.
#[tokio::test]
async fn connection_can_not_take_off_what_is_signed() {
    let server = plugnmeet::server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let more = [
        ("Connection", "api-key, hash-signature, content-type, x-odd"),
        ("X-Odd", "1"),
    ];
    let answer = gateway
        .ask_for_token(&token_request("room01", "ann"), &more)
        .await;
    assert_eq!(status_code(&answer), "SUCCESS");
    let seen = server.only_request();
    assert!(seen.headers.contains_key("content-type"), "{seen:?}");
    assert!(!seen.headers.contains_key("x-odd"), "{seen:?}");
}

#[tokio::test]
async fn multipart_is_taken_where_uploads_are_and_nowhere_else() {
    let server = plugnmeet::server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let signature = gateway.keys.requests().signature(b"room01");
    let headers = [
        ("API-KEY", API_KEY),
        ("HASH-SIGNATURE", signature.as_str()),
        ("Room-Id", "room01"),
        ("Content-Type", "multipart/form-data; boundary=x"),
    ];
    let uploads = [
        "/auth/room/uploadWhiteboardFile",
        "/Auth/ROOM/uploadwhiteboardfile/",
    ];
    for path in uploads {
        let answer = gateway.post(path, &headers, b"--x--").await;
        assert_eq!(
            (answer.status, &answer.json()["msg"]),
            (
                400,
                &json!("there is no uploaded file associated with the given key")
            )
        );
    }
    for path in [
        "/auth/room/uploadWhiteboardFile/x",
        "/auth/uploadWhiteboardFile",
        "/auth/room/create",
        "/auth",
    ] {
        let answer = gateway.post(path, &headers, b"--x--").await;
        assert_refused(&answer, 415, "INVALID_PARAMETERS");
    }
    let seen: Vec<_> = server.requests().into_iter().map(|seen| seen.target).collect();
    assert_eq!(seen, uploads);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let gateway = Gateway::with("timeouts.header = '1s'").await;
    let head = raw_head(&gateway, b"{}", "Content-Length: 2\r\nConnection: close\r\n");
    let answer = gateway.client().send_raw((head + "{").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(raw_json(&answer)["status"], json!(false));
}

#[tokio::test]
async fn over_http_2_too_large_a_body_is_413() {
    let gateway = Gateway::embedded().await;
    let headers = [("api-key", API_KEY), ("hash-signature", "00")];
    let body = vec![b' '; 300_000];
    let answer = gateway.client().request_h2("POST", PATH, &headers, &body).await;
    assert_refused(&answer, 413, "INVALID_PARAMETERS");
}

/// The server checks these itself; who guesses there is counted all the same.
#[tokio::test]
async fn wrong_signatures_on_other_endpoints_count_as_failures_and_good_ones_still_pass() {
    let server = plugnmeet::server().await;
    let gateway = Gateway::in_front_of(&server).await;
    gateway.clock.stop();
    let ask = async |signature: &str| {
        let headers = [("API-KEY", "plugnmeet"), ("HASH-SIGNATURE", signature)];
        gateway
            .post("/auth/room/isRoomActive", &headers, b"{}")
            .await
            .status
    };
    for _ in 0..20 {
        assert_eq!(ask("00").await, 401);
    }
    assert_eq!(ask("00").await, 429);
    assert_eq!(ask(&gateway.keys.requests().signature(b"{}")).await, 200);
}
