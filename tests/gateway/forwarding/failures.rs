//! How each kind of caller is told of a failure.

use super::*;

async fn down() -> Gateway {
    Gateway::everything_to(&nobody(), NOT_FOR_LONG).await
}

/// Nobody comes, however long one waits.
const NOT_FOR_LONG: &str = "timeouts.connect = '300ms'\ntimeouts.upgrade = '300ms'\n";

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

/// docs/plugnmeet.md section 0.3: anything else and the client hangs on "Loading...".
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
    assert_eq!(answer.body, common_response(message));
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

/// `CommonResponse` with field 2 alone, as the server refuses.
fn common_response(message: &str) -> Vec<u8> {
    [&[0x12, u8::try_from(message.len()).unwrap()], message.as_bytes()].concat()
}

/// docs/plugnmeet.md section 0.3: the client reads a failure as the answer of the call that it made, and in most of
/// those a third field is something else, at which it hangs for ever.
#[tokio::test]
async fn a_failure_in_protobuf_has_no_third_field_whatever_went_wrong() {
    let silent = RawUpstream::silent().await;
    let small = "sizes.body = '10B'\ntimeouts.response = '200ms'";
    let slow = Gateway::everything_to(&silent.url(), small).await;
    let gateway = down().await;
    let evil = ("host", "evil.example");
    let long = "y".repeat(40_000);
    let told = |answer: &support::client::Answer| {
        let [0x12, length, text @ ..] = &*answer.body else {
            panic!("{answer:?}");
        };
        assert_eq!(usize::from(*length), text.len(), "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/protobuf"));
        answer.status
    };
    let target = "/api/verifyToken";
    assert_eq!(told(&gateway.post(target, &[PROTOBUF], b"\x08\x01").await), 502);
    assert_eq!(told(&slow.post(target, &[PROTOBUF], b"\x08\x01").await), 504);
    assert_eq!(
        told(&slow.post(target, &[PROTOBUF], b"more than ten bytes").await),
        413
    );
    assert_eq!(told(&gateway.post(target, &[PROTOBUF, evil], b"").await), 421);
    assert_eq!(told(&gateway.post("/api/a%2Fb", &[PROTOBUF], b"").await), 400);
    assert_eq!(
        told(&gateway.post(target, &[PROTOBUF, ("x", &long)], b"").await),
        431
    );
    let client = gateway.client();
    assert_eq!(
        told(&client.request("PROPFIND", target, &[PROTOBUF], b"").await),
        405
    );
    let head = gateway.head(&format!("POST {target} HTTP/1.1"));
    let fields = "Content-Type: application/protobuf\r\nContent-Length: 1\r\nTransfer-Encoding: chunked";
    let answer = client.ask_raw(format!("{head}{fields}\r\n\r\n0\r\n\r\n")).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.body,
        common_response("the request's length is given twice")
    );
}

/// docs/plugnmeet.md section 5: the uploader retries anything else a hundred times at once.
#[tokio::test]
async fn on_uploads_every_failure_is_400() {
    let silent = RawUpstream::silent().await;
    let small = format!("{NOT_FOR_LONG}sizes.body = '10B'\ntimeouts.response = '200ms'");
    for url in [nobody(), silent.url()] {
        let gateway = Gateway::everything_to(&url, &small).await;
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
        (200, Some("application/xml; charset=utf-8"))
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

/// A page of another origin sees a broken network in place of an error without it: the server's and the official front's have it on
/// every path (docs/plugnmeet.md section 8).
#[tokio::test]
async fn every_failure_is_readable_from_any_origin() {
    let gateway = down().await;
    let origin = ("origin", "https://other.example");
    let bbb = bbb_target("join", "meetingID=a");
    for (method, target) in [
        ("POST", "/api/verifyToken"),
        ("POST", "/auth/room/create"),
        ("POST", "/auth/room/getJoinToken"),
        ("POST", "/api/fileUpload"),
        ("GET", &bbb),
        ("GET", "/key/bigbluebutton/api/join"),
        ("POST", "/lti/v1"),
        ("POST", "/lti/v1/api/room/isActive"),
        ("GET", "/download/recording/x"),
        ("POST", "/webhook"),
        ("GET", "/healthCheck"),
        ("GET", "/ws"),
        ("GET", "/livekit/rtc"),
        ("GET", "/livekit/debug/pprof/"),
        ("GET", "/etherpad/p/x"),
        ("POST", "/whip/x"),
        ("GET", "/nowhere"),
        ("GET", "/conference/?access_token=x"),
        ("GET", "/conference/nothing.js"),
        ("POST", "/conference/"),
        ("POST", "/conference/auth/room/getJoinToken"),
        ("DELETE", "/"),
        ("PROPFIND", "/"),
        ("GET", "//"),
        ("GET", "/a/../b"),
    ] {
        for accept in ["text/html", "application/json"] {
            let fields = [("accept", accept), SIGNED[0], SIGNED[1], origin];
            let client = gateway.client();
            let answer = client.request(method, target, &fields, b"").await;
            assert_eq!(
                answer.header("access-control-allow-origin"),
                Some("*"),
                "{method} {target}"
            );
            assert_eq!(answer.header("access-control-allow-credentials"), None);
            // The client's files, and word of one that is not there, are for any origin at all times.
            if target == "/conference/nothing.js" {
                continue;
            }
            let answer = client.request(method, target, &fields[..3], b"").await;
            assert_eq!(
                answer.header("access-control-allow-origin"),
                None,
                "{method} {target}"
            );
        }
    }
    let answer = gateway.get("/x", &[origin, ("host", "evil.example")]).await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (421, Some("*"))
    );
    let head = gateway.head("POST /x HTTP/1.1");
    let twice =
        "Origin: https://o.example\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let answer = gateway.client().ask_raw(format!("{head}{twice}")).await;
    assert_eq!(
        (answer.status, header(&answer.head, "access-control-allow-origin")),
        (400, Some("*"))
    );
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

/// LiveKit and its ingress allow every origin too, and the gateway says so for them.
#[tokio::test]
async fn a_preflight_reaches_no_upstream() {
    let upstream = Upstream::answering("").await;
    let gateway = to(&upstream.url()).await;
    for (target, method, allowed) in [
        (
            "/livekit/twirp/livekit.RoomService/ListRooms",
            "POST",
            "POST, GET, OPTIONS, HEAD",
        ),
        ("/livekit/rtc/validate", "GET", "POST, GET, OPTIONS, HEAD"),
        ("/whip/key", "POST", "POST, GET, OPTIONS, HEAD"),
        ("/whip/key/resource", "PATCH", "PATCH"),
        ("/whip/key/resource", "DELETE", "DELETE"),
        ("/etherpad/p/x", "GET", "POST, GET, OPTIONS, HEAD"),
        ("/ws", "GET", "POST, GET, OPTIONS, HEAD"),
    ] {
        let preflight = [
            ("origin", "https://other.example"),
            ("access-control-request-method", method),
        ];
        let answer = gateway.client().request("OPTIONS", target, &preflight, b"").await;
        assert_eq!(
            (
                answer.status,
                answer.header("access-control-allow-origin"),
                answer.header("access-control-allow-methods")
            ),
            (204, Some("*"), Some(allowed)),
            "{method} {target}"
        );
    }
    assert_eq!(upstream.requests().len(), 0);
}
