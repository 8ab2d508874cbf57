//! Issuing tokens, over real sockets: what the SDKs send, what they get back, and what reaches the server.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::support::{API_KEY, Gateway, client::Answer, plugnmeet, token_request, upstream::Upstream};

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

/// The payload of a token, as the text that was signed.
fn payload(token: &Value) -> String {
    let part = token.as_str().unwrap().split('.').nth(1).unwrap();
    String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
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

/// docs/plugnmeet.md section 1: auth comes before the route, and the route's 404 is text.
#[tokio::test]
async fn any_other_method_with_a_good_signature_is_the_servers_text_404() {
    let server = plugnmeet::server().await;
    for gateway in [Gateway::in_front_of(&server).await, Gateway::embedded().await] {
        for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let body = match method {
                "GET" | "HEAD" => String::new(),
                _ => token_request("room01", "ann"),
            };
            let signature = gateway.keys.requests().signature(body.as_bytes());
            let key = ("API-KEY", API_KEY);
            let signed = [key, ("HASH-SIGNATURE", signature.as_str())];
            let client = gateway.client();
            let answer = client.request(method, PATH, &signed, body.as_bytes()).await;
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (404, Some("text/plain; charset=utf-8")),
                "{method}"
            );
            let text = if method == "HEAD" { "" } else { "not found" };
            assert_eq!(answer.text(), text, "{method}");
            let unsigned = [key, ("HASH-SIGNATURE", "00")];
            let answer = client.request(method, PATH, &unsigned, body.as_bytes()).await;
            assert_eq!(answer.status, 401, "{method}");
        }
    }
    assert!(server.saw_nothing());
}

/// docs/plugnmeet.md section 0.1: the server's router takes them for one endpoint, so they share one limit.
#[tokio::test]
async fn every_spelling_of_the_path_is_the_same_endpoint() {
    let server = plugnmeet::server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let spellings = [
        "/auth/room/getJoinToken",
        "/auth/room/getjointoken",
        "/AUTH/ROOM/GETJOINTOKEN",
        "/Auth/Room/GetJoinToken/",
        "/auth/room/getJoinToken/?x=%7e&access_token=1",
    ];
    for (nth, path) in spellings.iter().cycle().take(15).enumerate() {
        let body = again(&token_request("room01", "ann"), nth);
        let signature = gateway.keys.requests().signature(body.as_bytes());
        let headers = [("API-KEY", API_KEY), ("HASH-SIGNATURE", signature.as_str())];
        let answer = gateway.post(path, &headers, body.as_bytes()).await;
        let expected = if nth < 10 { 200 } else { 429 };
        assert_eq!(answer.status, expected, "{path}");
    }
    let seen: Vec<_> = server.requests().into_iter().map(|seen| seen.target).collect();
    assert_eq!(seen, spellings.repeat(2));
}

#[tokio::test]
async fn a_spelling_that_the_server_does_not_know_is_not_the_endpoint() {
    let server = plugnmeet::server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let body = token_request("room01", "ann");
    let signature = gateway.keys.requests().signature(body.as_bytes());
    let headers = [("API-KEY", API_KEY), ("HASH-SIGNATURE", signature.as_str())];
    for path in [
        "//auth/room/getJoinToken",
        "/auth//room/getJoinToken",
        "/auth/room/getJoinToken//",
        "/auth/room/./getJoinToken",
        "/auth/room/x/%2e%2e/getJoinToken",
        "/auth/room%2FgetJoinToken",
        "/auth/room\\getJoinToken",
    ] {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAPI-KEY: {API_KEY}\r\n\
             HASH-SIGNATURE: {signature}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = gateway.client().send_raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path} {answer}");
    }
    assert!(server.saw_nothing());
    // The server does not decode, and so has another word for it; it is asked, and says so.
    let answer = gateway
        .post("/auth/room/getJoin%54oken", &headers, body.as_bytes())
        .await;
    assert_eq!((answer.status, answer.text()), (404, "not found".to_owned()));
}

#[tokio::test]
async fn the_server_gets_the_body_as_it_came_once_and_never_a_cookie() {
    let server = plugnmeet::server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let body = "\n{ \"user_info\" : {\"user_id\":\"ann\", \"name\":\"\\u0041\\/é\",\t\"odd\":[1e3]},\"room_id\":\"room01\" } ";
    let more = [
        ("Cookie", "pnm_access_token=a.b.c"),
        ("Cookie", "other=1"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Odd", "1"),
    ];
    let answer = gateway.ask_for_token(body, &more).await;
    assert_eq!(status_code(&answer), "SUCCESS");
    let seen = server.only_request();
    assert_eq!(seen.body, body);
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", PATH));
    assert_eq!(seen.header("api-key"), Some(API_KEY));
    assert_eq!(
        seen.header("hash-signature"),
        Some(gateway.keys.requests().signature(body.as_bytes()).as_str())
    );
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(
        seen.header("content-length"),
        Some(body.len().to_string().as_str())
    );
    let host = format!("localhost:{}", gateway.https.port());
    assert_eq!(seen.header("host"), Some(host.as_str()));
    assert_eq!(seen.header("x-odd"), Some("1"));
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert!(!seen.headers.contains_key("cookie"), "{seen:?}");
}

#[tokio::test]
async fn an_answer_of_the_servers_passes_as_it_is() {
    let text = r#"{"status":false, "msg":"room is not active","status_code":"ROOM_NOT_FOUND"}"#;
    let server = Upstream::answering(text).await;
    let gateway = Gateway::in_front_of(&server).await;
    let answer = gateway
        .ask_for_token(
            &token_request("room01", "ann"),
            &[("Accept-Encoding", "gzip, br, zstd")],
        )
        .await;
    assert_eq!((answer.status, answer.text()), (200, text.to_owned()));
    assert_eq!(answer.header("content-encoding"), None);
}

#[tokio::test]
async fn a_server_that_is_down_is_502_in_the_servers_json() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let toml = format!(
        "issuer.mode = 'upstream'\nupstreams.server = ['http://{}']",
        listener.local_addr().unwrap()
    );
    drop(listener);
    let gateway = Gateway::with(&toml).await;
    let answer = gateway.ask_for_token(&token_request("room01", "ann"), &[]).await;
    assert_refused(&answer, 502, "INTERNAL_SERVER_ERROR");
}

/// docs/plugnmeet.md section 3: a second token would throw the user out.
#[tokio::test]
async fn a_request_that_broke_off_is_never_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // Each thread has connections of its own.
    let toml = format!(
        "listen.threads = 1\nissuer.mode = 'upstream'\nupstreams.server = ['http://{}']",
        listener.local_addr().unwrap()
    );
    let gateway = Gateway::with(&toml).await;
    // Answers the first request of a connection, and leaves after having read the second.
    let server = tokio::spawn(async move {
        let mut users = Vec::new();
        while let Ok(Ok((mut stream, _))) = timeout(Duration::from_secs(2), listener.accept()).await {
            users.extend(body_of(&mut stream).await);
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
            stream.write_all(answer).await.unwrap();
            users.extend(body_of(&mut stream).await);
        }
        users
    });
    let (ann, bob) = (token_request("room01", "ann"), token_request("room01", "bob"));
    assert_eq!(gateway.ask_for_token(&ann, &[]).await.text(), "{}");
    let answer = gateway.ask_for_token(&bob, &[]).await;
    assert_refused(&answer, 502, "INTERNAL_SERVER_ERROR");
    assert_eq!(server.await.unwrap(), [ann, bob]);
}

/// The JSON body of the next request, if there is one.
async fn body_of(stream: &mut TcpStream) -> Option<String> {
    let mut seen = Vec::new();
    while !seen.ends_with(b"}}") {
        if stream.read_buf(&mut seen).await.ok()? == 0 {
            return None;
        }
    }
    let text = String::from_utf8(seen).unwrap();
    text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
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

/// The 429 of one limit: the server's JSON, and the same wait wherever one is told.
fn assert_over(answer: &Answer, limit: &str, policy: &str, longest: u64) {
    assert_refused(answer, 429, "PERMISSION_DENIED");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=longest).contains(&wait), "{wait}");
    assert_eq!(
        answer.json()["msg"],
        format!("too many requests: try again in {wait} s")
    );
    assert_eq!(
        answer.header("ratelimit-policy"),
        Some(format!("\"{limit}\";{policy}").as_str())
    );
    assert_eq!(
        answer.header("ratelimit"),
        Some(format!("\"{limit}\";r=0;t={wait}").as_str())
    );
}

#[tokio::test]
async fn one_user_gets_ten_tokens_at_once_and_then_one_every_six_seconds() {
    let server = plugnmeet::server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let ann = token_request("room01", "ann");
    for nth in 0..10 {
        let ann = again(&ann, nth);
        assert_eq!(status_code(&gateway.ask_for_token(&ann, &[]).await), "SUCCESS");
    }
    // The same user in another dress: what is counted is what was asked for.
    let dressed = r#"{"userInfo":{"userId":"ann","name":"Bob"},"roomId":"room01"}"#;
    for body in [ann.as_str(), dressed] {
        let forged = [("X-Forwarded-For", "192.0.2.7"), ("Forwarded", "for=192.0.2.8")];
        assert_over(
            &gateway.ask_for_token(body, &forged).await,
            "user",
            "q=10;w=60",
            6,
        );
    }
    assert_eq!(server.requests().len(), 10);
    for other in [token_request("room01", "bob"), token_request("room02", "ann")] {
        assert_eq!(status_code(&gateway.ask_for_token(&other, &[]).await), "SUCCESS");
    }
    gateway.clock.advance(Duration::from_secs(6));
    assert_eq!(status_code(&gateway.ask_for_token(&ann, &[]).await), "SUCCESS");
    assert_over(&gateway.ask_for_token(&ann, &[]).await, "user", "q=10;w=60", 6);
}

#[tokio::test]
async fn an_empty_user_id_is_not_counted_as_one_user() {
    let server = Upstream::answering("{}").await;
    let gateway = Gateway::in_front_of(&server).await;
    for nth in 0..15 {
        let answer = gateway
            .ask_for_token(&again(&token_request("room01", ""), nth), &[])
            .await;
        assert_eq!(answer.status, 200);
    }
    assert_eq!(server.requests().len(), 15);
}

#[tokio::test]
async fn a_refused_body_takes_nothing_from_the_user() {
    let gateway = Gateway::embedded().await;
    for _ in 0..12 {
        let bad = r#"{"room_id":"room01","user_info":{"name":"","user_id":"ann"}}"#;
        assert_eq!(
            status_code(&gateway.ask_for_token(bad, &[]).await),
            "INVALID_PARAMETERS"
        );
    }
    let good = token_request("room01", "ann");
    assert_eq!(status_code(&gateway.ask_for_token(&good, &[]).await), "SUCCESS");
}

#[tokio::test]
async fn a_room_and_a_caller_have_limits_of_their_own() {
    let gateway = Gateway::with("limits.room = '3/min'\nlimits.caller = '5/min'").await;
    for user in ["a", "b", "c"] {
        let answer = gateway.ask_for_token(&token_request("room01", user), &[]).await;
        assert_eq!(status_code(&answer), "SUCCESS");
    }
    let answer = gateway.ask_for_token(&token_request("room01", "d"), &[]).await;
    assert_over(&answer, "room", "q=3;w=60", 20);
    for user in ["a", "b"] {
        let answer = gateway.ask_for_token(&token_request("room02", user), &[]).await;
        assert_eq!(status_code(&answer), "SUCCESS");
    }
    let answer = gateway.ask_for_token(&token_request("room03", "a"), &[]).await;
    assert_over(&answer, "caller", "q=5;w=60", 12);
}

#[tokio::test]
async fn a_school_of_400_behind_one_address_joins_at_nine_o_clock() {
    let server = plugnmeet::server().await;
    let gateway = Gateway::in_front_of(&server).await;
    for user in 0..400 {
        let body = token_request("room01", &format!("pupil-{user}"));
        let answer = gateway.ask_for_token(&body, &[]).await;
        assert_eq!(status_code(&answer), "SUCCESS", "{user}");
    }
    assert_eq!(server.requests().len(), 400);
}

#[tokio::test]
async fn the_21st_bad_signature_is_429_and_a_good_one_still_passes() {
    let server = plugnmeet::server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let body = token_request("room01", "ann");
    let bad = |attempt: u8| {
        let (gateway, body) = (&gateway, &body);
        async move {
            // No word of the client's about its address makes it another one.
            let address = format!("192.0.2.{attempt}");
            let elsewhere = format!("for={address}");
            let headers = [
                ("API-KEY", API_KEY),
                ("HASH-SIGNATURE", "00"),
                ("X-Forwarded-For", address.as_str()),
                ("X-Real-IP", address.as_str()),
                ("Forwarded", elsewhere.as_str()),
            ];
            gateway.post(PATH, &headers, body.as_bytes()).await
        }
    };
    for attempt in 0..20 {
        let answer = bad(attempt).await;
        assert_eq!((answer.status, answer.json()), (401, wrong_signature()));
    }
    assert_over(&bad(20).await, "failures", "q=20;w=60", 3);
    assert_eq!(status_code(&gateway.ask_for_token(&body, &[]).await), "SUCCESS");
    assert_over(&bad(21).await, "failures", "q=20;w=60", 3);
    assert_eq!(server.requests().len(), 1);
    gateway.clock.advance(Duration::from_secs(3));
    assert_eq!(bad(22).await.status, 401);
    assert_eq!(bad(23).await.status, 429);
}

#[tokio::test]
async fn ten_thousand_forged_addresses_are_one_bucket() {
    let gateway = Gateway::embedded().await;
    let statuses = gateway
        .client()
        .statuses(10_000, PATH, |number| {
            let address = format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255);
            [
                ("API-KEY", API_KEY),
                ("HASH-SIGNATURE", "00"),
                ("X-Forwarded-For", &address),
                ("X-Real-IP", &address),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
        })
        .await;
    let told = statuses.iter().filter(|status| **status == 401).count();
    // Twenty at once, and one every three seconds while this runs.
    assert!((20..40).contains(&told), "{told}");
    assert_eq!(
        statuses.iter().filter(|status| **status == 429).count(),
        10_000 - told
    );
}

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
