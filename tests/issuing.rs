//! Issuing tokens, over real sockets: what the SDKs send, what they get back, and what reaches the server.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use serde_json::{Value, json};

use support::{Gateway, plugnmeet, token_request};

fn vectors() -> Vec<Value> {
    let mut found: Vec<_> = std::fs::read_dir("tests/vectors")
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|file| file.to_string_lossy().contains("getJoinToken"))
        .collect();
    found.sort();
    assert!(found.len() >= 12, "{found:?}");
    found
        .iter()
        .map(|file| serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap())
        .collect()
}

/// The requests that real SDKs sent, byte for byte as far as a proxy may keep them.
#[tokio::test]
async fn the_captured_requests_of_the_sdks_get_a_token_from_either_issuer() {
    let server = plugnmeet::server().await;
    let upstream = Gateway::in_front_of(&server).await;
    let embedded = Gateway::embedded().await;
    for vector in vectors() {
        let body = vector["body"].as_str().unwrap();
        let headers: Vec<(String, String)> = serde_json::from_value(vector["headers"].clone()).unwrap();
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| !["host", "content-length"].contains(&name.to_ascii_lowercase().as_str()))
            .collect();
        for gateway in [&upstream, &embedded] {
            let answer = gateway
                .post("/auth/room/getJoinToken", &headers, body.as_bytes())
                .await;
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (200, Some("application/json")),
                "{vector}"
            );
            let json = answer.json();
            assert_eq!(json["status_code"], "SUCCESS", "{vector} {json}");
            assert_eq!(json.as_object().unwrap().len(), 4);
        }
    }
    let bodies: Vec<_> = server.requests().into_iter().map(|seen| seen.body).collect();
    let sent: Vec<_> = vectors()
        .iter()
        .map(|vector| vector["body"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(bodies, sent);
}

#[tokio::test]
async fn a_body_with_a_wrong_signature_reaches_nobody() {
    let server = plugnmeet::server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let headers = [("API-KEY", "plugnmeet"), ("HASH-SIGNATURE", "00")];
    let body = token_request("room01", "ann");
    let answer = gateway
        .post("/auth/room/getJoinToken", &headers, body.as_bytes())
        .await;
    assert_eq!(answer.status, 401);
    assert_eq!(
        answer.json(),
        json!({"status": false, "msg": "Failed to verify provided authentication details.",
               "status_code": "INVALID_TOKEN_OR_SIGNATURE"})
    );
    assert!(server.saw_nothing());
}
