//! Signed requests as the SDKs send them, and headers in the server's order.

use super::{PATH, assert_refused, vectors, wrong_signature};
use crate::support::{API_KEY, Gateway, plugnmeet, token_request};

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
    let body = token_request("room01", "ann");
    let good = gateway.keys.requests().signature(body.as_bytes());
    let upper = good.to_uppercase();
    let of_other = gateway.keys.requests().signature(b"{}");
    for signature in ["00", &upper, &of_other, &format!("{good}0"), &good[..63]] {
        let headers = [("API-KEY", API_KEY), ("HASH-SIGNATURE", signature)];
        let answer = gateway.post(PATH, &headers, body.as_bytes()).await;
        assert_refused(&answer, 401, "INVALID_TOKEN_OR_SIGNATURE");
        assert_eq!(answer.json(), wrong_signature());
    }
    assert!(server.saw_nothing());
}

/// Headers, and what the server says to them.
type Row<'a> = (&'a [(&'a str, &'a str)], (&'a str, &'a str));

/// docs/plugnmeet.md section 1: the order and the words are the server's.
#[tokio::test]
async fn the_headers_are_asked_for_in_the_servers_order_and_words() {
    let server = plugnmeet::server().await;
    let missing_key = ("Missing API-KEY header.", "MISSING_REQUIRED_PARAMETER");
    let wrong_key = ("Invalid API key provided.", "INVALID_API_KEY");
    let missing_signature = ("Missing HASH-SIGNATURE header.", "MISSING_REQUIRED_PARAMETER");
    let wrong = (
        "Failed to verify provided authentication details.",
        "INVALID_TOKEN_OR_SIGNATURE",
    );
    let rows: [Row<'_>; 9] = [
        (&[], missing_key),
        (&[("API-KEY", ""), ("HASH-SIGNATURE", "00")], missing_key),
        (&[("HASH-SIGNATURE", "00")], missing_key),
        (&[("API-KEY", "other")], wrong_key),
        (&[("api-key", "PLUGNMEET"), ("HASH-SIGNATURE", "00")], wrong_key),
        (&[("API-KEY", API_KEY)], missing_signature),
        (&[("API-KEY", API_KEY), ("HASH-SIGNATURE", "")], missing_signature),
        (&[("API-KEY", API_KEY), ("HASH-SIGNATURE", "00")], wrong),
        (&[("api-key", API_KEY), ("hash-signature", "zz")], wrong),
    ];
    for gateway in [Gateway::in_front_of(&server).await, Gateway::embedded().await] {
        // No JSON at all: whatever is wrong with the body comes later.
        for (headers, (message, code)) in rows {
            let answer = gateway.post(PATH, headers, b"no json").await;
            assert_refused(&answer, 401, code);
            assert_eq!(answer.json()["msg"], message, "{headers:?}");

            let mut headers = headers.to_vec();
            headers.push(("Content-Type", "application/protobuf"));
            let answer = gateway.post(PATH, &headers, b"no json").await;
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (401, Some("application/protobuf"))
            );
            let length = u8::try_from(message.len()).unwrap();
            let expected = [&[0x12, length], message.as_bytes()].concat();
            assert_eq!(answer.body, expected, "{headers:?}");
        }
    }
    assert!(server.saw_nothing());
}

#[tokio::test]
async fn a_key_or_a_signature_given_twice_is_refused_even_if_both_are_right() {
    let server = plugnmeet::server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let body = token_request("room01", "ann");
    let signature = gateway.keys.requests().signature(body.as_bytes());
    let (key, signature) = (("API-KEY", API_KEY), ("HASH-SIGNATURE", signature.as_str()));
    for (headers, code) in [
        (vec![key, key, signature], "INVALID_API_KEY"),
        (vec![key, ("API-KEY", ""), signature], "INVALID_API_KEY"),
        (vec![key, signature, signature], "INVALID_TOKEN_OR_SIGNATURE"),
        (
            vec![key, ("HASH-SIGNATURE", ""), signature],
            "INVALID_TOKEN_OR_SIGNATURE",
        ),
    ] {
        let answer = gateway.post(PATH, &headers, body.as_bytes()).await;
        assert_refused(&answer, 401, code);
    }
    assert!(server.saw_nothing());
}
