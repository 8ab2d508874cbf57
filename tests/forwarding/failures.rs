//! How each kind of caller is told of a failure.

use super::*;

async fn down() -> Gateway {
    to(&nobody().await).await
}

#[tokio::test]
async fn on_auth_a_failure_is_the_servers_json() {
    let gateway = down().await;
    for fields in [
        &SIGNED[..],
        &[SIGNED[0], SIGNED[1], PROTOBUF],
        &[SIGNED[0], SIGNED[1], ("accept", "text/html")],
    ] {
        let answer = gateway.post("/auth/room/create", fields, b"{}").await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (502, Some("application/json"))
        );
        assert_eq!(
            answer.json(),
            json!({"status": false, "msg": "the meeting server can't be reached", "status_code": "INTERNAL_SERVER_ERROR"})
        );
    }
}

/// contract.md section 0.3: anything else and the client hangs on "Loading...".
#[tokio::test]
async fn on_api_a_failure_is_protobuf_to_protobuf_and_else_json() {
    let gateway = down().await;
    let answer = gateway
        .post(
            "/api/verifyToken",
            &[PROTOBUF, ("accept", "text/html")],
            b"\x08\x01",
        )
        .await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (502, Some("application/protobuf"))
    );
    let message = "the meeting server can't be reached";
    let expected = [
        &[0x12, u8::try_from(message.len()).unwrap()],
        message.as_bytes(),
        &[0x18, 7],
    ]
    .concat();
    assert_eq!(answer.body, expected);
    for target in ["/api/verifyToken", "/API/x/y"] {
        let answer = gateway
            .post(
                target,
                &[("content-type", "application/json"), ("accept", "text/html")],
                b"{}",
            )
            .await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (502, Some("application/json"))
        );
        assert_eq!(answer.json()["status_code"], "INTERNAL_SERVER_ERROR");
    }
}

/// contract.md section 5: the uploader retries anything else a hundred times at once.
#[tokio::test]
async fn on_uploads_every_failure_is_400() {
    let silent = RawUpstream::silent().await;
    let small = "sizes.body = '10B'\ntimeouts.response = '200ms'";
    for url in [nobody().await, silent.url()] {
        let gateway = Gateway::everything_to(&url, small).await;
        for (target, body) in [
            ("/api/fileUpload?roomSid=1", "x"),
            ("/api/fileUpload", "more than ten bytes"),
            ("/API/FILEUPLOAD/", "x"),
        ] {
            let answer = gateway.post(target, &[], body.as_bytes()).await;
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (400, Some("application/json")),
                "{target}"
            );
        }
    }
    let gateway = down().await;
    let misdirected = gateway.get("/api/fileUpload", &[("host", "evil.example")]).await;
    assert_eq!(misdirected.status, 400);
    let long = format!("X: {}\r\n\r\n", "y".repeat(40_000));
    let answer = gateway
        .client()
        .ask_raw(gateway.head("GET /api/fileUpload HTTP/1.1") + &long)
        .await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn bbb_is_told_in_its_own_xml_and_people_by_a_page() {
    let gateway = down().await;
    let answer = gateway
        .get(&bbb_target("join", "meetingID=a"), &[("accept", "text/html")])
        .await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (502, Some("text/xml; charset=utf-8"))
    );
    assert!(
        answer
            .text()
            .starts_with("<response><returncode>FAILED</returncode>"),
        "{}",
        answer.text()
    );
    let answer = gateway
        .get("/download/recording/x", &[("accept", "text/html,*/*;q=0.8")])
        .await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (502, Some("text/html; charset=utf-8"))
    );
    assert!(
        answer.text().contains("The meeting can't be reached right now"),
        "{}",
        answer.text()
    );
    assert!(
        answer
            .header("content-security-policy")
            .unwrap()
            .contains("default-src 'none'")
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

/// The client of another origin could not read an answer without it.
#[tokio::test]
async fn failures_on_the_api_are_readable_from_any_origin() {
    let gateway = down().await;
    let origin = ("origin", "https://other.example");
    for target in ["/api/verifyToken", "/auth/room/create", "/api/fileUpload"] {
        let answer = gateway.post(target, &[origin, SIGNED[0], SIGNED[1]], b"{}").await;
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("*"),
            "{target}"
        );
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        let answer = gateway.post(target, &[SIGNED[0], SIGNED[1]], b"{}").await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{target}");
    }
}

#[tokio::test]
async fn the_servers_own_cors_answer_stays_the_only_one() {
    let upstream = Upstream::handling(|seen| async move {
        let mut response = Response::new(text_body("ok"));
        if seen.method == "OPTIONS" {
            *response.status_mut() = 204.try_into().unwrap();
        }
        response
            .headers_mut()
            .insert("access-control-allow-origin", HeaderValue::from_static("*"));
        response
    })
    .await;
    let gateway = to(&upstream.url()).await;
    let preflight = [
        ("origin", "https://other.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "api-key,hash-signature"),
    ];
    for target in ["/api/verifyToken", "/auth/room/create", "/auth/room/getJoinToken"] {
        let answer = gateway.client().request("OPTIONS", target, &preflight, b"").await;
        assert_eq!(
            (answer.status, answer.header("access-control-allow-origin")),
            (204, Some("*")),
            "{target}"
        );
    }
    let answer = gateway.get("/api/x", &preflight[..1]).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
}
