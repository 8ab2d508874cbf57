//! Which requests are for the endpoint, and what the server gets and answers.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::{PATH, again, assert_refused, status_code};
use crate::support::{
    API_KEY, Gateway,
    addr::{free, own},
    plugnmeet, token_request,
    upstream::Upstream,
};

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
    gateway.clock.stop();
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
    let toml = format!(
        "issuer.mode = 'upstream'\nupstreams.server = ['http://{}']",
        free()
    );
    let gateway = Gateway::with(&toml).await;
    let answer = gateway.ask_for_token(&token_request("room01", "ann"), &[]).await;
    assert_refused(&answer, 502, "INTERNAL_SERVER_ERROR");
}

/// docs/plugnmeet.md section 3: a second token would throw the user out.
#[tokio::test]
async fn a_request_that_broke_off_is_never_sent_again() {
    let listener = TcpListener::bind(own()).await.unwrap();
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
