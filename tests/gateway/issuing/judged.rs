//! What a body says, judged as the server judges it; the claims of a token.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{PATH, status_code, wrong_signature};
use crate::support::{API_KEY, Gateway, plugnmeet, token_request, upstream::Upstream};

/// The payload of a token, as the text that was signed.
fn payload(token: &Value) -> String {
    let part = token.as_str().unwrap().split('.').nth(1).unwrap();
    String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// Bodies that real decoders and validators judged (docs/plugnmeet.md section 2).
#[tokio::test]
async fn a_body_is_judged_as_the_server_judges_it() {
    let server = plugnmeet::server().await;
    let upstream = format!(
        "limits.user = '1000/min'\nissuer.mode = 'upstream'\nupstreams.server = ['{}']",
        server.url()
    );
    let upstream = Gateway::with(&upstream).await;
    let embedded = Gateway::with("limits.user = '1000/min'").await;
    let cases = std::fs::read("tests/vectors/generate_token_req_cases.json").unwrap();
    let cases: Vec<Value> = serde_json::from_slice(&cases).unwrap();
    assert!(cases.len() >= 50);
    for case in &cases {
        let body = case["body"].as_str().unwrap();
        let rule = case["go_rules"][0].as_str();
        for (gateway, asks_the_server) in [(&upstream, true), (&embedded, false)] {
            let before = server.requests().len();
            let answer = gateway.ask_for_token(body, &[]).await;
            let code = status_code(&answer);
            let json = answer.json();
            let reached = server.requests().len() - before;
            if case["accept"] == json!(true) {
                assert_eq!(
                    (&json["status"], code.as_str()),
                    (&json!(true), "SUCCESS"),
                    "{case}"
                );
                continue;
            }
            let keys: Vec<_> = json.as_object().unwrap().keys().collect();
            assert_eq!(keys, ["status", "msg", "status_code"], "{case}");
            assert_eq!(json["status"], json!(false), "{case}");
            // Names and ids are the server's to judge; everything else never gets there.
            let expected = usize::from(rule.is_some() && asks_the_server);
            assert_eq!(reached, expected, "{case}");
            match (rule, case["violations"].as_array().map(Vec::as_slice)) {
                (Some(rule), None) => {
                    let rule = rule.split("  [").next().unwrap();
                    assert_eq!(
                        (code.as_str(), &json["msg"]),
                        ("INTERNAL_SERVER_ERROR", &json!(rule))
                    );
                }
                (_, Some([one])) => {
                    let message = format!(
                        "validation error: {}: {}",
                        one["field"].as_str().unwrap(),
                        one["message"].as_str().unwrap()
                    );
                    assert_eq!(
                        (code.as_str(), &json["msg"]),
                        ("INVALID_PARAMETERS", &json!(message))
                    );
                }
                (_, Some(several)) => {
                    let lines = several
                        .iter()
                        .fold("validation errors:".to_owned(), |lines, one| {
                            let field = one["field"].as_str().unwrap();
                            format!("{lines}\n - {field}: {}", one["message"].as_str().unwrap())
                        });
                    assert_eq!(
                        (code.as_str(), &json["msg"]),
                        ("INVALID_PARAMETERS", &json!(lines))
                    );
                }
                (None, None) => assert_eq!(code, "INVALID_PARAMETERS", "{case}"),
            }
        }
    }
}

/// docs/plugnmeet.md section 3: the server looks at the block list and at the room first.
#[tokio::test]
async fn names_that_the_server_keeps_for_itself_are_for_the_issuer_to_judge() {
    let not_active = r#"{"status":false,"msg":"room is not active","status_code":"ROOM_NOT_FOUND"}"#;
    let server = Upstream::answering(not_active).await;
    let upstream = Gateway::in_front_of(&server).await;
    let embedded = Gateway::with("limits.user = '1/min'").await;
    for (name, user_id, message) in [
        (
            "PLUGNMEET_RECORDER_AUTH",
            "ann",
            "name: PLUGNMEET_RECORDER_AUTH is reserved for internal use only",
        ),
        (
            "Ann",
            "ingres_1",
            "user_id: ingres_1 is reserved for internal use only",
        ),
        ("Ann", "sip_1", "user_id: sip_1 is reserved for internal use only"),
        (
            "Ann",
            "ann-native",
            "user_id: suffix -native is reserved for internal use only",
        ),
    ] {
        let body = json!({"room_id": "room01", "user_info": {"name": name, "user_id": user_id}});
        let answer = upstream.ask_for_token(&body.to_string(), &[]).await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, not_active),
            "{user_id}"
        );
        // What is refused takes nothing of the one place a minute.
        for _ in 0..2 {
            let answer = embedded.ask_for_token(&body.to_string(), &[]).await;
            assert_eq!(
                (answer.status, answer.json()),
                (
                    200,
                    json!({"status": false, "msg": message, "status_code": "INTERNAL_SERVER_ERROR"})
                )
            );
        }
    }
    assert_eq!(server.requests().len(), 4);
}

/// docs/plugnmeet.md section 0.6: the room may make up ids of its own.
#[tokio::test]
async fn an_empty_or_odd_user_id_is_for_the_issuer_to_judge() {
    let server = Upstream::answering(r#"{"status":true}"#).await;
    let upstream = Gateway::in_front_of(&server).await;
    let embedded = Gateway::embedded().await;
    let alphabet = "user_id should only contain ASCII letters (a-z A-Z), digits (0-9) or -_";
    for (sent, (user_id, message)) in [
        ("", alphabet),
        ("ann@example.org", alphabet),
        ("ännchen", alphabet),
        (
            "a-FIELD_b",
            "user_id cannot contain the reserved pattern '-FIELD_'",
        ),
        ("user_1", "user_id cannot start with the reserved pattern 'user_'"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = token_request("room01", user_id);
        let answer = upstream.ask_for_token(&body, &[]).await;
        assert_eq!(answer.text(), r#"{"status":true}"#, "{user_id}");
        assert_eq!(server.requests().len(), sent + 1);
        let answer = embedded.ask_for_token(&body, &[]).await;
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.json(),
            json!({"status": false, "msg": message, "status_code": "INTERNAL_SERVER_ERROR"})
        );
    }
}

/// docs/plugnmeet.md section 4: these claims, in this order, and no others.
#[tokio::test]
async fn an_embedded_token_has_the_servers_exact_claims() {
    let gateway = Gateway::embedded().await;
    let before = gateway.clock.unix();
    let answer = gateway.ask_for_token(&token_request("room01", "ann"), &[]).await;
    let token = answer.json()["token"].clone();
    let header = token.as_str().unwrap().split('.').next().unwrap();
    assert_eq!(
        BASE64_URL_SAFE_NO_PAD.decode(header).unwrap(),
        br#"{"alg":"HS256","typ":"JWT"}"#
    );
    let claims: Value = serde_json::from_str(&payload(&token)).unwrap();
    let nbf = claims["nbf"].as_i64().unwrap();
    assert!((before..before + 5).contains(&nbf), "{nbf} {before}");
    let plain = format!(
        r#"{{"exp":{},"iss":"plugnmeet","name":"Ann","nbf":{nbf},"room_id":"room01","sub":"ann","user_id":"ann"}}"#,
        nbf + 600
    );
    assert_eq!(payload(&token), plain);

    let gateway = Gateway::with("issuer.token_validity = '5m'\nplugnmeet.api_key = 'plugnmeet'").await;
    let body = r#"{"roomId":"room-02","userInfo":{"name":"<A&B>","userId":"bob_1","isAdmin":true,"isHidden":true,
                   "clientType":"HYBRID_WEB","userMetadata":{"isAdmin":false,"profilePic":"https://a.example/b"}}}"#;
    let token = gateway.ask_for_token(body, &[]).await.json()["token"].clone();
    let claims: Value = serde_json::from_str(&payload(&token)).unwrap();
    let nbf = claims["nbf"].as_i64().unwrap();
    let full = format!(
        "{{\"client_type\":1,\"exp\":{},\"is_admin\":true,\"is_hidden\":true,\"iss\":\"plugnmeet\",\
         \"name\":\"\\u003cA\\u0026B\\u003e\",\"nbf\":{nbf},\"room_id\":\"room-02\",\"sub\":\"bob_1\",\
         \"user_id\":\"bob_1\"}}",
        nbf + 300
    );
    assert_eq!(payload(&token), full);
}

#[tokio::test]
async fn a_token_is_issued_over_http_2_too() {
    let gateway = Gateway::embedded().await;
    let body = token_request("room01", "ann");
    let signature = gateway.keys.requests().signature(body.as_bytes());
    let headers = [("api-key", API_KEY), ("hash-signature", signature.as_str())];
    let client = gateway.client();
    let answer = client.request_h2("POST", PATH, &headers, body.as_bytes()).await;
    assert_eq!(status_code(&answer), "SUCCESS");
    let answer = client.request_h2("POST", PATH, &headers, b"{}").await;
    assert_eq!((answer.status, answer.json()), (401, wrong_signature()));
}
