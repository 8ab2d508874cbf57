//! The body: its type, its size, its way.

use serde_json::json;

use super::{PATH, assert_refused, raw_head, raw_json, status_code};
use crate::support::{API_KEY, Gateway, plugnmeet, token_request};

#[tokio::test]
async fn what_would_change_the_signed_bytes_is_415_before_anything_else() {
    let server = plugnmeet::server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let body = token_request("room01", "ann");
    let room_signature = gateway.keys.requests().signature(b"room01");
    let attack = [
        ("API-KEY", API_KEY),
        ("Room-Id", "room01"),
        ("HASH-SIGNATURE", room_signature.as_str()),
    ];
    for refused in [
        ("Content-Encoding", "gzip"),
        ("Content-Encoding", "identity"),
        ("Content-Type", "multipart/form-data"),
        ("Content-Type", "multipart/form-data; boundary=x"),
        ("Content-Type", "text/plain; multipart/form-data"),
        ("Content-Type", "Multipart/Form-Data"),
    ] {
        let answer = gateway.post(PATH, &[refused], body.as_bytes()).await;
        assert_refused(&answer, 415, "INVALID_PARAMETERS");
        let headers = [&attack[..], &[refused]].concat();
        let answer = gateway.post(PATH, &headers, body.as_bytes()).await;
        assert_refused(&answer, 415, "INVALID_PARAMETERS");
        let answer = gateway.post("/auth/room/create", &headers, body.as_bytes()).await;
        assert_refused(&answer, 415, "INVALID_PARAMETERS");
    }
    assert!(server.saw_nothing());
}

#[tokio::test]
async fn a_body_of_256_kib_is_taken_and_one_byte_more_is_413() {
    let server = plugnmeet::server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let mut body = token_request("room01", "ann");
    body.extend(std::iter::repeat_n(' ', 256 * 1024 - body.len()));
    assert_eq!(status_code(&gateway.ask_for_token(&body, &[]).await), "SUCCESS");
    assert_eq!(server.only_request().body, body);
    body.push(' ');
    let answer = gateway.ask_for_token(&body, &[]).await;
    assert_refused(&answer, 413, "INVALID_PARAMETERS");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_length_that_is_too_large_is_refused_before_a_byte_of_the_body() {
    let gateway = Gateway::embedded().await;
    for more in [
        "Content-Length: 262145\r\n",
        "Content-Length: 262145\r\nExpect: 100-continue\r\n",
        "Content-Length: 99999999999\r\n",
    ] {
        let answer = gateway
            .client()
            .send_raw(raw_head(&gateway, b"", more).as_bytes())
            .await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains("content-type: application/json\r\n"), "{answer}");
        assert_eq!(raw_json(&answer)["status"], json!(false));
    }
}

#[tokio::test]
async fn a_chunked_body_is_taken_and_one_that_grows_too_large_is_413() {
    let server = plugnmeet::server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let body = token_request("room01", "ann");
    let (first, second) = body.split_at(10);
    let head = raw_head(
        &gateway,
        body.as_bytes(),
        "Transfer-Encoding: chunked\r\nConnection: close\r\n",
    );
    let chunks = format!(
        "{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
        first.len(),
        second.len()
    );
    let answer = gateway.client().send_raw((head + &chunks).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains(r#""status_code":"SUCCESS""#), "{answer}");
    assert_eq!(server.only_request().body, body);

    let spaces = " ".repeat(1024);
    let chunk = format!("400\r\n{spaces}\r\n");
    let head = raw_head(
        &gateway,
        spaces.repeat(257).as_bytes(),
        "Transfer-Encoding: chunked\r\n",
    );
    let answer = gateway
        .client()
        .send_raw((head + &chunk.repeat(257)).as_bytes())
        .await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(raw_json(&answer)["status"], json!(false));
    assert_eq!(server.requests().len(), 1);
}
