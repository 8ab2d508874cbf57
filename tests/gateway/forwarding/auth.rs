//! `/auth`: who is refused there before the server sees it.

use super::*;

const KEY: (&str, &str) = SIGNED[0];
const SIGNATURE: (&str, &str) = SIGNED[1];

/// The message and the server's code for it.
const ENCODED: (u16, &str, &str) = (415, "Content-Encoding is not supported.", "INVALID_PARAMETERS");
const MEDIA_TYPE: (u16, &str, &str) = (
    415,
    "This Content-Type is not supported here.",
    "INVALID_PARAMETERS",
);
const NO_KEY: (u16, &str, &str) = (401, "Missing API-KEY header.", "MISSING_REQUIRED_PARAMETER");
const WRONG_KEY: (u16, &str, &str) = (401, "Invalid API key provided.", "INVALID_API_KEY");
const NO_SIGNATURE: (u16, &str, &str) = (
    401,
    "Missing HASH-SIGNATURE header.",
    "MISSING_REQUIRED_PARAMETER",
);
const WRONG_SIGNATURE: (u16, &str, &str) = (
    401,
    "Failed to verify provided authentication details.",
    "INVALID_TOKEN_OR_SIGNATURE",
);

#[tokio::test]
async fn what_would_change_the_signed_bytes_or_has_no_credentials_does_not_reach_the_server() {
    let upstream = Upstream::answering("reached").await;
    let gateway = to(&upstream.url()).await;
    let typed = |media| vec![KEY, SIGNATURE, ("content-type", media)];
    for (fields, refusal) in [
        (vec![KEY, SIGNATURE, ("content-encoding", "gzip")], ENCODED),
        (vec![("content-encoding", "identity")], ENCODED),
        (typed("multipart/form-data"), MEDIA_TYPE),
        (typed("text/plain; multipart/form-data"), MEDIA_TYPE),
        (vec![SIGNATURE], NO_KEY),
        (vec![("api-key", ""), SIGNATURE], NO_KEY),
        (vec![("api_key", "plugnmeet"), SIGNATURE], NO_KEY),
        (vec![("api-key", "other"), SIGNATURE], WRONG_KEY),
        (vec![KEY], NO_SIGNATURE),
        (vec![KEY, KEY, SIGNATURE], WRONG_KEY),
        (vec![KEY, SIGNATURE, SIGNATURE], WRONG_SIGNATURE),
    ] {
        let answer = gateway.post("/auth/room/create", &fields, b"{}").await;
        let (status, message, code) = refusal;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, Some("application/json")),
            "{fields:?}"
        );
        assert_eq!(
            answer.json(),
            json!({"status": false, "msg": message, "status_code": code}),
            "{fields:?}"
        );
    }
    assert!(upstream.saw_nothing(), "{:?}", upstream.requests());
}

/// docs/plugnmeet.md section 1: without a code.
#[tokio::test]
async fn a_refusal_of_protobuf_is_protobuf() {
    let upstream = Upstream::answering("reached").await;
    let gateway = to(&upstream.url()).await;
    let answer = gateway
        .post("/auth/recorder/notify", &[PROTOBUF, SIGNATURE], b"")
        .await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (401, Some("application/protobuf"))
    );
    assert_eq!(answer.body, &b"\x12\x17Missing API-KEY header."[..]);
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn what_is_in_order_reaches_the_server_which_checks_the_signature() {
    let upstream = Upstream::answering("reached").await;
    let gateway = to(&upstream.url()).await;
    let multipart = [
        KEY,
        SIGNATURE,
        ("content-type", "multipart/form-data; boundary=x"),
        ("room-id", "r"),
    ];
    for (target, fields) in [
        ("/auth/room/uploadWhiteboardFile", &multipart[..]),
        ("/auth/room/create", &SIGNED[..]),
        ("/auth/recorder/notify", &[KEY, SIGNATURE, PROTOBUF][..]),
    ] {
        assert_eq!(
            gateway.post(target, fields, b"--x--").await.text(),
            "reached",
            "{target}"
        );
    }
    assert_eq!(upstream.requests().len(), 3);
}
