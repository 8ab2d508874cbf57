//! What other real parts made of the same API: requests that SDKs sent, and bodies that real validators judged
//! (`tests/vectors`). The stand-in has to agree with them as well.

use plugnmeet_gateway::{clock::Clock, secret::Secret, token::RequestKey};
use serde_json::{Value, json};

use super::{
    ask,
    play::{ORIGIN, Request},
    support::{API_KEY, Gateway, SECRET, plugnmeet::PlugNmeet},
};

fn vectors(wanted: impl Fn(&str) -> bool) -> Vec<Value> {
    let files = std::fs::read_dir("tests/vectors").unwrap();
    let mut names: Vec<_> = files
        .map(|file| file.unwrap().path())
        .filter(|path| wanted(&path.file_name().unwrap().to_string_lossy()))
        .collect();
    // A room is made before it is asked about.
    names.sort_by_key(|path| (!path.to_string_lossy().contains("createRoom"), path.clone()));
    names
        .iter()
        .map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
        .collect()
}

/// As they came from the SDKs, with their own signatures; `getJoinToken` has tests of its own.
#[tokio::test]
async fn every_call_that_an_sdk_sent_succeeds_through_a_gateway_and_arrives_as_it_was() {
    let clock = Clock::system();
    let server = PlugNmeet::as_installed(&clock, ORIGIN).await;
    let gateway = Gateway::in_front_of(&server).await;
    let calls = vectors(|name| name.starts_with("plugnmeet-sdk-") && !name.contains("getJoinToken"));
    assert_eq!(calls.len(), 11);
    for call in &calls {
        let headers: Vec<(String, String)> = serde_json::from_value(call["headers"].clone()).unwrap();
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| !["host", "content-length"].contains(&&*name.to_ascii_lowercase()))
            .collect();
        let (path, body) = (call["path"].as_str().unwrap(), call["body"].as_str().unwrap());
        let answer = gateway.post(path, &headers, body.as_bytes()).await;
        assert_eq!(
            (answer.status, &answer.json()["status"]),
            (200, &json!(true)),
            "{call} {answer:?}"
        );
        let seen = server.requests().pop().unwrap();
        assert_eq!((seen.target.as_str(), &*seen.body), (path, body.as_bytes()));
    }
    assert_eq!(server.requests().len(), calls.len());
    let rooms = server.sid("room01");
    assert!(rooms.is_some(), "createRoom made it");
}

/// The real .proto by protobuf-es and protovalidate-es, and the server's own rules.
#[tokio::test]
async fn the_stand_in_judges_bodies_as_real_validators_did() {
    let clock = Clock::system();
    let server = PlugNmeet::at(&clock, ORIGIN).await;
    let cases = vectors(|name| name == "generate_token_req_cases.json").remove(0);
    let cases = cases.as_array().unwrap();
    assert!(cases.len() >= 50);
    let key = RequestKey::new(&Secret::new(SECRET.into()));
    for case in cases {
        let body = case["body"].as_str().unwrap();
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let request = Request {
            method: "POST".into(),
            target: "/auth/room/getJoinToken".into(),
            headers: vec![
                header("API-KEY", API_KEY),
                header("HASH-SIGNATURE", &key.signature(body.as_bytes())),
            ],
            body: body.into(),
        };
        let said = ask(server.addr, &request).await.json();
        let rule = case["go_rules"][0]
            .as_str()
            .and_then(|rule| rule.split("  [").next());
        let violations: Vec<String> = case["violations"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| {
                format!(
                    "{}: {}",
                    one["field"].as_str().unwrap(),
                    one["message"].as_str().unwrap()
                )
            })
            .collect();
        let expected = match (rule, &violations[..]) {
            _ if case["accept"] == true => (true, "SUCCESS", Some("success".to_owned())),
            (Some(rule), _) => (false, "INTERNAL_SERVER_ERROR", Some(rule.to_owned())),
            // The decoder's own words differ from library to library.
            (None, []) => (false, "INVALID_PARAMETERS", None),
            (None, [one]) => (
                false,
                "INVALID_PARAMETERS",
                Some(format!("validation error: {one}")),
            ),
            (None, several) => {
                let lines = several.join("\n - ");
                (
                    false,
                    "INVALID_PARAMETERS",
                    Some(format!("validation errors:\n - {lines}")),
                )
            }
        };
        let (status, code, message) = expected;
        assert_eq!(
            (&said["status"], &said["status_code"]),
            (&json!(status), &json!(code)),
            "{case} {said}"
        );
        if let Some(message) = message {
            assert_eq!(said["msg"], message, "{case}");
        }
    }
}
