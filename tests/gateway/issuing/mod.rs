//! Issuing tokens, over real sockets: what the SDKs send, what they get back, and what reaches the server.

mod body;
mod browsers;
mod endpoint;
mod judged;
mod limits;
mod sdks;

use serde_json::{Value, json};

use crate::support::{API_KEY, Gateway, client::Answer};

const PATH: &str = "/auth/room/getJoinToken";

/// What the server says to a body with a wrong signature.
fn wrong_signature() -> Value {
    json!({"status": false, "msg": "Failed to verify provided authentication details.",
           "status_code": "INVALID_TOKEN_OR_SIGNATURE"})
}

/// An answer of the gateway's own on `/auth`: exactly `application/json`, exactly these fields.
fn assert_refused(answer: &Answer, status: u16, server_code: &str) {
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (status, Some("application/json")),
        "{answer:?}"
    );
    let json = answer.json();
    let keys: Vec<_> = json.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["status", "msg", "status_code"], "{json}");
    assert_eq!(
        (&json["status"], &json["status_code"]),
        (&json!(false), &json!(server_code)),
        "{json}"
    );
}

fn status_code(answer: &Answer) -> String {
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/json")),
        "{answer:?}"
    );
    answer.json()["status_code"].as_str().unwrap().to_owned()
}

/// A signed request over HTTP/1.1, byte for byte, up to the blank line.
fn raw_head(gateway: &Gateway, signed: &[u8], more: &str) -> String {
    format!(
        "POST {PATH} HTTP/1.1\r\nHost: localhost\r\nAPI-KEY: {API_KEY}\r\nHASH-SIGNATURE: {}\r\n{more}\r\n",
        gateway.keys.requests().signature(signed)
    )
}

/// The body of an answer that came raw.
fn raw_json(answer: &str) -> Value {
    let body = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{answer:?}"))
        .1;
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

/// The same request, signed apart.
fn again(body: &str, nth: usize) -> String {
    format!("{body}{}", " ".repeat(nth))
}

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
