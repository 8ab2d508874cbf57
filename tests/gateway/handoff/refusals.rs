//! Tokens, methods and requests that begin no session.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use plugnmeet_gateway::{secret::Secret, token::TokenKeys};
use serde_json::{Value, json};

use super::{JSON, assert_handed_off, assert_page, cookie, max_age, path_of, set_cookie};
use crate::support::{API_KEY, Gateway, sign};

/// Any payload under the server's own secret, which no honest issuer would have written.
fn signed(gateway: &Gateway, header: &Value, payload: &Value) -> String {
    let text = format!(
        "{}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(header.to_string()),
        BASE64_URL_SAFE_NO_PAD.encode(payload.to_string())
    );
    let hex = gateway.keys.requests().signature(text.as_bytes());
    let bytes: Vec<u8> = (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap())
        .collect();
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

fn payload(gateway: &Gateway) -> Value {
    let now = gateway.clock.unix();
    json!({"exp": now + 600, "iss": API_KEY, "name": "Ann", "nbf": now, "room_id": "room01", "sub": "ann",
           "user_id": "ann"})
}

#[tokio::test]
async fn a_bad_token_sets_nothing_and_the_page_says_which_it_is() {
    let gateway = Gateway::with("limits.failures = '1000/min'").await;
    let expired = gateway.sign(|claims| claims.exp -= 700);
    let early = gateway.sign(|claims| claims.nbf += 100);
    let good = gateway.token("room01", "ann");
    let forged = good.replacen("ey", "eY", 2);
    let mut rows = vec![
        (expired, "token_expired", "This link has expired"),
        (early, "token_not_yet_valid", "This link is not valid yet"),
        (forged, "token_not_genuine", "This link is not genuine"),
    ];
    for (token, code, words) in rows.drain(..) {
        let target = format!("/conference/?a=1&access_token={token}");
        for headers in [&[][..], &[("Cookie", cookie(&good).as_str())]] {
            let answer = gateway.get(&target, headers).await;
            assert_page(&answer, 401, words);
            assert!(answer.header("www-authenticate").is_some());
            assert!(!answer.text().contains(&token));
        }
        for target in [target.as_str(), &format!("/?access_token={token}")] {
            let answer = gateway.get(target, &[JSON]).await;
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (401, Some("application/json"))
            );
            let json = answer.json();
            assert_eq!(
                (&json["status"], &json["code"], &json["status_code"]),
                (&json!(false), &json!(code), &json!("INVALID_TOKEN_OR_SIGNATURE"))
            );
            assert_eq!(answer.header("set-cookie"), None);
            assert!(!answer.text().contains(&token));
        }
    }
}

#[tokio::test]
async fn nothing_but_a_join_token_of_this_server_is_genuine() {
    let gateway = Gateway::with("limits.failures = '1000/min'").await;
    let hs256 = json!({"alg": "HS256", "typ": "JWT"});
    let with = |name: &str, value: Value| {
        let mut changed = payload(&gateway);
        changed[name] = value;
        signed(&gateway, &hs256, &changed)
    };
    let lacking = |name: &str| {
        let mut changed = payload(&gateway);
        changed.as_object_mut().unwrap().remove(name);
        signed(&gateway, &hs256, &changed)
    };
    let good = signed(&gateway, &hs256, &payload(&gateway));
    let other = TokenKeys::new(API_KEY.into(), &Secret::new("another secret".into())).unwrap();
    let now = gateway.clock.unix();
    let foreign = sign(&other, &gateway.clock, |_| {});
    let none = json!({"alg": "none"});
    let unsigned = signed(&gateway, &none, &payload(&gateway));
    let unsigned = unsigned.rsplit_once('.').unwrap().0;
    let mut tokens = vec![
        foreign,
        format!("{unsigned}."),
        signed(&gateway, &none, &payload(&gateway)),
        signed(&gateway, &json!({"alg": "hs256"}), &payload(&gateway)),
        signed(&gateway, &json!({"alg": "HS384"}), &payload(&gateway)),
        signed(&gateway, &json!({"alg": "RS256"}), &payload(&gateway)),
        with("iss", json!("other")),
        with("sub", json!("bob")),
        with("room_id", json!("")),
        with("user_id", json!("")),
        with("exp", json!((now + 600).to_string())),
        with("exp", json!(9_223_372_036_854_775_807_i64)),
        with("exp", json!(1e300)),
        with("exp", json!(253_402_300_800_i64)),
        with("nbf", json!("now")),
        with("room_title", json!("Physics")),
        with("lti_custom_parameters", json!({})),
        signed(
            &gateway,
            &hs256,
            &json!({"exp": now + 600, "iss": API_KEY, "nbf": now, "sub": "room01/a.mp4"}),
        ),
        with("name", json!("a".repeat(3000))),
        "x".to_owned(),
        "a.b.c".to_owned(),
        format!("{good}."),
        format!("{good}%00"),
        format!("{good}%0ax"),
        format!("{good}%3B+Path=/"),
        format!("%20{good}"),
        format!("Bearer+{good}"),
        good.replacen('.', "%00.", 1),
    ];
    tokens.extend(["iss", "sub", "exp", "nbf", "room_id", "user_id"].map(lacking));
    for token in tokens {
        let answer = gateway
            .get(&format!("/conference/?access_token={token}"), &[])
            .await;
        assert_page(&answer, 401, "This link is not genuine");
    }
    // RFC 6265bis section 5.6.2: no cookie lives longer.
    let answer = gateway
        .get(
            &format!(
                "/conference/?access_token={}",
                with("exp", json!(now + 1000 * 86_400))
            ),
            &[],
        )
        .await;
    assert_eq!(max_age(&answer), 400 * 86_400);
    // What a mail program leaves behind a link, the client's own requests lose.
    let left_behind = ["%20", "+", "%0d%0a", "%09", "%E2%80%8B", "%20%E2%80%8B%0a"];
    for behind in left_behind {
        let answer = gateway
            .get(&format!("/conference/?access_token={good}{behind}"), &[])
            .await;
        assert_handed_off(&answer, &path_of(&gateway, "room01", "ann"));
        assert!(set_cookie(&answer)[0].ends_with(&good), "{behind}");
    }
    for token in [good.clone(), lacking("name"), with("extra", json!({"a": [1]}))] {
        let answer = gateway
            .get(&format!("/conference/?access_token={token}"), &[])
            .await;
        assert_handed_off(&answer, &path_of(&gateway, "room01", "ann"));
    }
}

// --- methods and guesses ---

#[tokio::test]
async fn head_answers_like_get_and_sets_nothing() {
    let gateway = Gateway::embedded().await;
    let token = gateway.token("room01", "ann");
    let path = path_of(&gateway, "room01", "ann");
    let client = gateway.client();
    for target in [
        format!("/conference/?a=1&access_token={token}"),
        format!("{path}?access_token={token}&a=1"),
        format!("/?access_token={token}&a=1"),
    ] {
        let answer = client.request("HEAD", &target, &[], b"").await;
        assert_handed_off(&answer, &format!("{path}?a=1"));
        assert_eq!(answer.header("set-cookie"), None);
    }
    let answer = client
        .request("HEAD", "/conference/?access_token=a.b.c", &[], b"")
        .await;
    assert_eq!((answer.status, answer.text()), (401, String::new()));
    let answer = client.request("HEAD", "/conference/", &[], b"").await;
    assert_eq!((answer.status, answer.text()), (200, String::new()));
}

#[tokio::test]
async fn a_prefetch_is_refused_and_sets_nothing() {
    let gateway = Gateway::embedded().await;
    let token = gateway.token("room01", "ann");
    for header in [
        ("Sec-Purpose", "prefetch"),
        ("Sec-Purpose", "prefetch;prerender"),
        ("Sec-Purpose", "prefetch;anonymous-client-ip"),
        ("Purpose", "prefetch"),
        ("X-Purpose", "preview"),
        ("X-Moz", "prefetch"),
    ] {
        for path in ["/conference/", "/conference", "/"] {
            let target = format!("{path}?access_token={token}");
            assert_page(&gateway.get(&target, &[header]).await, 403, "ahead of time");
        }
    }
}

#[tokio::test]
async fn a_link_is_read_and_not_written_to() {
    let gateway = Gateway::embedded().await;
    let token = gateway.token("room01", "ann");
    let path = path_of(&gateway, "room01", "ann");
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        for at in ["/conference/", "/conference", "/", path.as_str()] {
            let target = format!("{at}?access_token={token}");
            let answer = gateway
                .client()
                .request(method, &target, &[("Sec-Fetch-Mode", "navigate")], b"")
                .await;
            assert_page(&answer, 405, "GET, HEAD");
            assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{method} {at}");
        }
        let session = cookie(&token);
        let answer = gateway
            .client()
            .request(method, &path, &[("Cookie", &session)], b"")
            .await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
    }
}
