//! Session handoff, over real sockets: a link becomes a cookie and a path, and nothing else ever carries its token.

use std::{fmt::Write as _, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use plugnmeet_gateway::{secret::Secret, token::TokenKeys};
use serde_json::{Value, json};

use crate::support::{
    API_KEY, Gateway,
    client::{Answer, plain_get},
    folder_of, sign,
    upstream::Upstream,
};

const FRAME: [(&str, &str); 2] = [("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "cross-site")];
const JSON: (&str, &str) = ("Accept", "application/json");

fn path_of(gateway: &Gateway, room_id: &str, user_id: &str) -> String {
    format!("/conference/s/{}/", gateway.keys.tag(room_id, user_id))
}

fn cookie(token: &str) -> String {
    format!("pnm_access_token={token}")
}

/// The attributes of the token's `Set-Cookie`, in any order; the first part is always name and value.
fn set_cookie(answer: &Answer) -> Vec<String> {
    let cookie = answer
        .set_cookie("pnm_access_token")
        .unwrap_or_else(|| panic!("no cookie: {answer:?}"));
    let mut parts: Vec<String> = cookie.split("; ").map(str::to_owned).collect();
    parts[1..].sort();
    parts
}

/// `Max-Age` of the token's `Set-Cookie`.
fn max_age(answer: &Answer) -> i64 {
    let parts = set_cookie(answer);
    let age = parts.iter().find_map(|part| part.strip_prefix("Max-Age="));
    age.unwrap().parse().unwrap()
}

fn assert_handed_off(answer: &Answer, location: &str) {
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some(location)),
        "{answer:?}"
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(answer.text(), "");
}

/// An answer in words that hands nothing off.
fn assert_page(answer: &Answer, status: u16, words: &str) {
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (status, Some("text/html; charset=utf-8")),
        "{answer:?}"
    );
    assert!(answer.text().contains(words), "{words}: {}", answer.text());
    assert_sets_nothing(answer);
    assert_eq!(answer.header("location"), None);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
}

/// What could pass for a session's cookie may be cleared, and that is all.
fn assert_sets_nothing(answer: &Answer) {
    for cookie in answer.headers.get_all("set-cookie") {
        let cookie = cookie.to_str().unwrap();
        assert!(cookie.contains("; Max-Age=0;"), "{cookie}");
    }
}

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

fn design_link(token: &str, design: &str) -> String {
    format!("/conference/?access_token={token}&{}", design_parameter(design))
}

fn design_parameter(design: &str) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("custom_design", design)
        .finish()
}

// --- the link ---

#[tokio::test]
async fn a_link_becomes_a_cookie_on_a_path_of_its_own() {
    let gateway = Gateway::embedded().await;
    let token = gateway.token("room01", "ann");
    let link = format!("/conference/?access_token={token}");
    let path = path_of(&gateway, "room01", "ann");
    let over_h1 = gateway.get(&link, &[]).await;
    let over_h2 = gateway.client().request_h2("GET", &link, &[], b"").await;
    for answer in [over_h1, over_h2] {
        assert_handed_off(&answer, &path);
        let age = max_age(&answer);
        // Ten minutes of the token, and three hours in which the server would renew it.
        assert!((11_395..=11_400).contains(&age), "{age}");
        assert_eq!(
            set_cookie(&answer),
            [
                cookie(&token),
                format!("Max-Age={age}"),
                format!("Path={path}"),
                "SameSite=Lax".to_owned(),
                "Secure".to_owned()
            ]
        );
    }
}

#[tokio::test]
async fn a_cookie_lives_as_long_as_its_token_and_the_grace() {
    let gateway = Gateway::with("session.renew_grace = '0s'").await;
    let token = gateway.token("room01", "ann");
    gateway.clock.advance(Duration::from_secs(400));
    let answer = gateway
        .get(&format!("/conference/?access_token={token}"), &[])
        .await;
    let age = max_age(&answer);
    assert!((195..=200).contains(&age), "{age}");
}

#[tokio::test]
async fn other_parameters_stay_byte_for_byte_and_in_order() {
    let gateway = Gateway::embedded().await;
    let token = gateway.token("room01", "ann");
    let path = path_of(&gateway, "room01", "ann");
    for (query, left) in [
        ("b=%7e&x=+%2B&access_token=TOKEN&&d&b=2", "b=%7e&x=+%2B&&d&b=2"),
        ("access_token=TOKEN&a=1", "a=1"),
        ("a=1&access_token=TOKEN", "a=1"),
        ("q=access_token=1&access_token=TOKEN", "q=access_token=1"),
        (
            "access_tokens=1&access_token=TOKEN&Access_Token=2",
            "access_tokens=1&Access_Token=2",
        ),
        ("a='()!*,;:@/?[]{}|^`&access_token=TOKEN", "a='()!*,;:@/?[]{}|^`"),
        (
            "redirect=https://evil.example&access_token=TOKEN",
            "redirect=https://evil.example",
        ),
    ] {
        let query = query.replace("TOKEN", &token);
        let request =
            format!("GET /conference/?{query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = gateway.client().send_raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 303 "), "{query} {answer}");
        assert!(
            answer.contains(&format!("location: {path}?{left}\r\n")),
            "{query} {answer}"
        );
    }
}

#[tokio::test]
async fn a_parameter_is_read_as_a_browser_reads_it() {
    let gateway = Gateway::embedded().await;
    let token = gateway.token("room01", "ann");
    let path = path_of(&gateway, "room01", "ann");
    let dots = token.replace('.', "%2E");
    for query in [
        format!("access%5Ftoken={token}"),
        format!("access%5ftoken={token}"),
        format!("%61ccess_token={token}"),
        format!("access_token={dots}"),
        format!("&access_token={token}&"),
    ] {
        let answer = gateway.get(&format!("/conference/?{query}"), &[]).await;
        assert_eq!(answer.status, 303, "{query}");
        let location = answer.header("location").unwrap();
        assert!(
            location.starts_with(&path) && !location.contains("token"),
            "{location}"
        );
        assert_eq!(set_cookie(&answer)[0], cookie(&token));
    }
    // The client would not find it under these names either.
    for query in [
        "Access_Token",
        "access_token%20",
        "access+token",
        "access%255Ftoken",
    ] {
        let answer = gateway.get(&format!("/conference/?{query}={token}"), &[]).await;
        assert_page(&answer, 200, "Use your join link");
    }
}

#[tokio::test]
async fn two_tokens_are_refused_even_if_one_is_empty() {
    let gateway = Gateway::embedded().await;
    let token = gateway.token("room01", "ann");
    for query in [
        "access_token=TOKEN&access_token=TOKEN",
        "access_token=TOKEN&access_token=",
        "access_token=&access_token=TOKEN",
        "access_token&a=1&access_token=TOKEN",
        "access_token=&access_token=",
        "access%5Ftoken=TOKEN&access_token=TOKEN",
        "access_token=TOKEN&%61ccess_toke%6E=",
    ] {
        let query = query.replace("TOKEN", &token);
        for path in ["/conference/", "/conference", "/", "/conference/index.html"] {
            let target = format!("{path}?{query}");
            assert_page(
                &gateway.get(&target, &[]).await,
                400,
                "more than one access_token",
            );
            let answer = gateway.get(&target, &[JSON]).await;
            assert_eq!(
                (answer.status, answer.json()["code"].as_str()),
                (400, Some("two_tokens"))
            );
            assert_eq!(answer.header("set-cookie"), None);
        }
    }
}

#[tokio::test]
async fn a_single_empty_token_is_none() {
    let gateway = Gateway::embedded().await;
    let path = path_of(&gateway, "room01", "ann");
    let session = cookie(&gateway.token("room01", "ann"));
    for query in ["access_token=", "access_token", "access%5Ftoken=&a=1"] {
        let answer = gateway.get(&format!("/conference/?{query}"), &[]).await;
        assert_page(&answer, 200, "Use your join link");
        let target = format!("{path}?{query}");
        let answer = gateway.get(&target, &[("Cookie", &session)]).await;
        assert_page(&answer, 200, "Your session is ready");
        let answer = gateway.get(&format!("/conference?{query}"), &[]).await;
        let location = format!("/conference/?{query}");
        assert_eq!(
            (answer.status, answer.header("location")),
            (308, Some(location.as_str()))
        );
    }
}

// --- bad tokens ---

/// The server's own leeway of 60 s at either end (docs/plugnmeet.md section 0.9).
#[tokio::test]
async fn a_token_has_a_minute_of_leeway_at_either_end() {
    let gateway = Gateway::embedded().await;
    let path = path_of(&gateway, "room01", "ann");
    let link = |token: &str| format!("/conference/?access_token={token}");

    let token = gateway.token("room01", "ann");
    gateway.clock.advance(Duration::from_secs(655));
    let answer = gateway.get(&link(&token), &[]).await;
    assert_handed_off(&answer, &path);
    let age = max_age(&answer);
    assert!((10_735..=10_745).contains(&age), "{age}");
    gateway.clock.advance(Duration::from_secs(10));
    assert_page(
        &gateway.get(&link(&token), &[]).await,
        401,
        "This link has expired",
    );

    let early = gateway.sign(|claims| claims.nbf += 65);
    assert_page(
        &gateway.get(&link(&early), &[]).await,
        401,
        "This link is not valid yet",
    );
    gateway.clock.advance(Duration::from_secs(10));
    assert_handed_off(&gateway.get(&link(&early), &[]).await, &path);
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

// --- where links lead ---

#[tokio::test]
async fn every_door_of_the_client_hands_off() {
    let gateway = Gateway::embedded().await;
    let token = gateway.token("room01", "ann");
    let path = path_of(&gateway, "room01", "ann");
    let other = path_of(&gateway, "room01", "bob");
    for door in [
        "/",
        "/conference",
        "/conference/",
        "/conference/index.html",
        &path,
        path.trim_end_matches('/'),
        &format!("{path}index.html"),
        // A breakout room's link is made from the path of the page that it is on.
        &other,
        other.trim_end_matches('/'),
        &format!("{other}index.html"),
    ] {
        let answer = gateway
            .get(&format!("{door}?x=%7e&access_token={token}"), &[])
            .await;
        assert_handed_off(&answer, &format!("{path}?x=%7e"));
        assert_eq!(set_cookie(&answer)[0], cookie(&token), "{door}");
        assert!(set_cookie(&answer).contains(&format!("Path={path}")), "{door}");
    }
}

#[tokio::test]
async fn doors_without_a_token_lead_to_the_page_with_their_query() {
    let gateway = Gateway::embedded().await;
    let path = path_of(&gateway, "room01", "ann");
    for (from, status, to) in [
        ("/", 302, "/conference/".to_owned()),
        ("/?x=%7e&&y", 302, "/conference/?x=%7e&&y".to_owned()),
        ("/conference", 308, "/conference/".to_owned()),
        ("/conference?x=%7e&&y", 308, "/conference/?x=%7e&&y".to_owned()),
        (path.trim_end_matches('/'), 308, path.clone()),
    ] {
        let answer = gateway.get(from, &[("X-Forwarded-Host", "evil.example")]).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (status, Some(to.as_str())),
            "{from}"
        );
        assert_eq!(answer.header("set-cookie"), None);
    }
}

#[tokio::test]
async fn a_location_is_never_made_of_a_header() {
    let gateway = Gateway::embedded().await;
    let token = gateway.token("room01", "ann");
    let target = format!("/conference/?access_token={token}");
    let forged = [
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Prefix", "/evil"),
        ("X-Original-URL", "/evil"),
        ("Forwarded", "host=evil.example"),
    ];
    let answer = gateway.get(&target, &forged).await;
    assert_handed_off(&answer, &path_of(&gateway, "room01", "ann"));
    let answer = gateway.get(&target, &[("Host", "evil.example")]).await;
    assert_eq!((answer.status, answer.header("set-cookie")), (421, None));
}

/// LiveKit has an `access_token` of its own (docs/plugnmeet.md section 5).
#[tokio::test]
async fn other_upstreams_keep_their_access_token() {
    let livekit = Upstream::answering("livekit").await;
    let gateway = Gateway::with(&format!("upstreams.livekit = '{}'", livekit.url())).await;
    let token = gateway.token("room01", "ann");
    let target = format!("/livekit/rtc?access_token={token}&x=1");
    let answer = gateway.get(&target, &[]).await;
    assert_eq!((answer.status, answer.text()), (200, "livekit".to_owned()));
    assert_eq!(answer.header("set-cookie"), None);
    assert_eq!(
        livekit.only_request().target,
        format!("/rtc?access_token={token}&x=1")
    );
    for target in ["/conference/assets/x.js", "/conference/s/short/", "/elsewhere"] {
        let answer = gateway.get(&format!("{target}?access_token={token}"), &[]).await;
        assert_eq!(
            (answer.status, answer.header("set-cookie")),
            (404, None),
            "{target}"
        );
    }
}

#[tokio::test]
async fn one_session_for_the_whole_mount_is_the_plain_form() {
    let gateway = Gateway::with("session.scope = 'mount'").await;
    let token = gateway.token("room01", "ann");
    for door in ["/", "/conference", "/conference/"] {
        let answer = gateway
            .get(&format!("{door}?access_token={token}&a=1"), &[])
            .await;
        assert_handed_off(&answer, "/conference/?a=1");
        assert!(set_cookie(&answer).contains(&"Path=/conference".to_owned()));
    }
    let session = cookie(&token);
    let answer = gateway.get("/conference/", &[("Cookie", &session)]).await;
    assert_page(&answer, 200, "room01");
    let path = path_of(&gateway, "room01", "ann");
    let answer = gateway.get(&path, &[("Cookie", &session)]).await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn the_client_can_live_at_the_root() {
    let gateway = Gateway::with("client.mount = '/'").await;
    let token = gateway.token("room01", "ann");
    let path = format!("/s/{}/", gateway.keys.tag("room01", "ann"));
    let answer = gateway.get(&format!("/?access_token={token}"), &[]).await;
    assert_handed_off(&answer, &path);
    assert!(set_cookie(&answer).contains(&format!("Path={path}")));
    let answer = gateway.get(&path, &[("Cookie", &cookie(&token))]).await;
    assert_page(&answer, 200, "room01");
    assert_page(&gateway.get("/", &[]).await, 200, "Use your join link");

    let gateway = Gateway::with("client.mount = '/'\nsession.scope = 'mount'").await;
    let token = gateway.token("room01", "ann");
    let answer = gateway.get(&format!("/?access_token={token}"), &[]).await;
    assert_handed_off(&answer, "/");
    assert!(set_cookie(&answer).contains(&"Path=/".to_owned()));
}

#[tokio::test]
async fn one_participation_has_one_path_and_each_has_its_own() {
    let (one, two) = (Gateway::embedded().await, Gateway::embedded().await);
    let path = |gateway: &Gateway, answer: &Answer| {
        assert_eq!(answer.status, 303);
        let location = answer.header("location").unwrap().to_owned();
        assert!(
            set_cookie(answer).contains(&format!("Path={location}")),
            "{gateway:p}"
        );
        location
    };
    let mut paths = Vec::new();
    for (room, user) in [
        ("room01", "ann"),
        ("room01", "bob"),
        ("room02", "ann"),
        ("room0", "1ann"),
    ] {
        let token = one.token(room, user);
        let link = format!("/conference/?access_token={token}");
        let here = path(&one, &one.get(&link, &[]).await);
        assert_eq!(here, path(&two, &two.get(&link, &[]).await), "replicas agree");
        assert!(!paths.contains(&here));
        paths.push(here);
    }
}

// --- the page ---

#[tokio::test]
async fn with_its_cookie_a_session_path_is_the_page() {
    let gateway = Gateway::embedded().await;
    let path = path_of(&gateway, "room01", "ann");
    let token = gateway.token("room01", "ann");
    let session = cookie(&token);
    let mixed = format!("a=1; {session}; pnm_access_token=other");
    for target in [path.clone(), format!("{path}index.html"), format!("{path}?x=1")] {
        for cookies in [&session, &mixed] {
            let answer = gateway.get(&target, &[("Cookie", cookies)]).await;
            assert_eq!(answer.status, 200);
            assert!(answer.text().contains("Your session is ready"));
            for shown in ["room01", "Ann", "ann"] {
                assert!(answer.text().contains(shown), "{shown}");
            }
            assert!(!answer.text().contains(&token));
        }
    }
    let answer = gateway
        .client()
        .request("HEAD", &path, &[("Cookie", &session)], b"")
        .await;
    assert_eq!((answer.status, answer.text()), (200, String::new()));
}

#[tokio::test]
async fn a_client_folder_takes_the_pages_place() {
    let client = folder_of(&[(
        "index.html",
        "<!doctype html><html><head><title>c</title></head></html>",
    )]);
    let gateway = Gateway::with(&format!("client.path = '{}'", client.path().display())).await;
    let path = path_of(&gateway, "room01", "ann");
    let session = cookie(&gateway.token("room01", "ann"));
    let answer = gateway.get(&path, &[("Cookie", &session)]).await;
    assert_eq!((answer.status, answer.header("set-cookie")), (200, None));
    assert_eq!(
        answer.text(),
        "<!doctype html><html><head><base href=\"/conference/\"><title>c</title></head></html>"
    );
    // Sixteen megabytes of client could only say "token missing".
    for target in [path.as_str(), "/conference/", "/conference/index.html"] {
        assert_page(&gateway.get(target, &[]).await, 200, "Use your join link");
    }
}

#[tokio::test]
async fn without_a_session_of_this_path_there_is_a_light_page() {
    let gateway = Gateway::embedded().await;
    let path = path_of(&gateway, "room01", "ann");
    let bobs = cookie(&gateway.token("room01", "bob"));
    for (target, headers) in [
        ("/conference/", vec![]),
        (path.as_str(), vec![]),
        (path.as_str(), vec![("Cookie", bobs.as_str())]),
        (path.as_str(), vec![("Cookie", "pnm_access_token=")]),
        (
            path.as_str(),
            vec![("Cookie", "x_pnm_access_token=1; pnm_access_tokens=2")],
        ),
    ] {
        let answer = gateway.get(target, &headers).await;
        assert_page(&answer, 200, "Use your join link");
        assert!(answer.body.len() < 4096, "{}", answer.body.len());
        assert!(!answer.text().contains("room01"));
    }
}

#[tokio::test]
async fn a_cookie_that_is_no_good_is_told_apart_too() {
    let gateway = Gateway::with("session.renew_grace = '0s'").await;
    let path = path_of(&gateway, "room01", "ann");
    let session = cookie(&gateway.token("room01", "ann"));
    let forged = format!("{session}x");
    let answer = gateway.get(&path, &[("Cookie", &forged)]).await;
    assert_page(&answer, 401, "This link is not genuine");
    gateway.clock.advance(Duration::from_secs(665));
    let answer = gateway.get(&path, &[("Cookie", &session)]).await;
    assert_page(&answer, 401, "This link has expired");
    let answer = gateway.get(&path, &[("Cookie", &session), JSON]).await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (401, Some("token_expired"))
    );
}

#[tokio::test]
async fn people_without_a_session_can_be_sent_to_a_login() {
    let gateway = Gateway::with("session.login_url = 'https://lms.example.org/login?to=conf'").await;
    let path = path_of(&gateway, "room01", "ann");
    let bobs = cookie(&gateway.token("room01", "bob"));
    for (target, headers) in [
        ("/conference/", vec![]),
        ("/conference/?x=1", vec![]),
        (path.as_str(), vec![("Cookie", bobs.as_str())]),
    ] {
        let answer = gateway.get(target, &headers).await;
        assert_handed_off(&answer, "https://lms.example.org/login?to=conf");
        assert_sets_nothing(&answer);
    }
    let answer = gateway.get("/conference/?access_token=a.b.c", &[]).await;
    assert_page(&answer, 401, "This link is not genuine");
    let own = cookie(&gateway.token("room01", "ann"));
    let answer = gateway.get(&path, &[("Cookie", &own)]).await;
    assert_page(&answer, 200, "Your session is ready");
}

// --- frames ---

#[tokio::test]
async fn in_a_frame_of_a_site_that_may_frame_us_the_cookie_is_partitioned() {
    let gateway = Gateway::with("session.frame_ancestors = ['https://lms.example.org', \"'self'\"]").await;
    let token = gateway.token("room01", "ann");
    let link = format!("/conference/?access_token={token}");
    let path = path_of(&gateway, "room01", "ann");
    let answer = gateway.get(&link, &FRAME).await;
    let (to, ticket) = answer.header("location").unwrap().split_once('?').unwrap();
    assert_eq!((answer.status, to), (303, &*path));
    assert!(
        ticket.starts_with("pnm_ticket=") && !ticket.contains(&token),
        "{ticket}"
    );
    let age = max_age(&answer);
    assert_eq!(
        set_cookie(&answer),
        [
            cookie(&token),
            format!("Max-Age={age}"),
            "Partitioned".to_owned(),
            format!("Path={path}"),
            "SameSite=None".to_owned(),
            "Secure".to_owned()
        ]
    );
    // Who frames the frame is not said, so whatever is framed may be in a page of another site.
    for destination in ["iframe", "frame", "object", "embed"] {
        for site in ["cross-site", "same-site", "same-origin", "none"] {
            let headers = [
                ("Sec-Fetch-Dest", destination),
                ("Sec-Fetch-Site", site),
                ("Sec-Fetch-Mode", "navigate"),
            ];
            let parts = set_cookie(&gateway.get(&link, &headers).await);
            assert!(
                parts.contains(&"SameSite=None".to_owned()) && parts.contains(&"Partitioned".to_owned()),
                "{headers:?} {parts:?}"
            );
        }
    }
    for headers in [
        vec![],
        vec![("Sec-Fetch-Site", "cross-site")],
        vec![("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Mode", "navigate")],
    ] {
        let parts = set_cookie(&gateway.get(&link, &headers).await);
        assert!(
            parts.contains(&"SameSite=Lax".to_owned()) && !parts.contains(&"Partitioned".to_owned()),
            "{headers:?} {parts:?}"
        );
    }
}

/// Only somebody who goes there begins a session: a picture in a meeting's page does not.
#[tokio::test]
async fn a_part_of_a_page_hands_nothing_off() {
    for scope in ["session", "mount"] {
        let gateway = Gateway::with(&format!("session.scope = '{scope}'")).await;
        let link = format!("/conference/?access_token={}", gateway.token("room01", "ann"));
        for (mode, destination) in [
            ("no-cors", "image"),
            ("no-cors", "script"),
            ("no-cors", "style"),
            ("cors", "empty"),
            ("no-cors", "object"),
        ] {
            let headers = [("Sec-Fetch-Mode", mode), ("Sec-Fetch-Dest", destination)];
            let answer = gateway.get(&link, &headers).await;
            assert_eq!(
                (answer.status, answer.header("set-cookie")),
                (403, None),
                "{destination}"
            );
        }
    }
}

#[tokio::test]
async fn where_nobody_may_frame_us_a_frame_changes_nothing() {
    let gateway = Gateway::embedded().await;
    let token = gateway.token("room01", "ann");
    let answer = gateway
        .get(&format!("/conference/?access_token={token}"), &FRAME)
        .await;
    assert!(set_cookie(&answer).contains(&"SameSite=Lax".to_owned()));
}

#[tokio::test]
async fn pages_say_who_may_frame_them() {
    let client = folder_of(&[("index.html", "<head></head>")]);
    let path = format!("client.path = '{}'\n", client.path().display());
    for (ancestors, expected) in [
        ("", "frame-ancestors 'none'"),
        (
            "session.frame_ancestors = ['https://lms.example.org', 'https://*.example.net']\n",
            "frame-ancestors https://lms.example.org https://*.example.net",
        ),
    ] {
        let with_client = Gateway::with(&format!("{ancestors}{path}")).await;
        let without = Gateway::with(ancestors).await;
        let session = cookie(&with_client.token("room01", "ann"));
        let at = path_of(&with_client, "room01", "ann");
        let answer = with_client.get(&at, &[("Cookie", &session)]).await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.ends_with(&format!("; {expected}")), "{policy}");
        assert_eq!(answer.header("x-frame-options"), None);
        let demo = without.get(&at, &[("Cookie", &session)]).await;
        let light = with_client.get("/conference/", &[]).await;
        let refused = with_client.get("/conference/?access_token=x", &[]).await;
        for answer in [demo, light, refused] {
            let policy = answer.header("content-security-policy").unwrap();
            assert!(policy.starts_with("default-src 'none'; "), "{policy}");
            assert!(policy.ends_with(&format!("; {expected}")), "{policy}");
        }
    }
}

// --- custom_design ---

const GOOD: &str = r##"{"primary_color":"#00a1f2","custom_logo":"https://cdn.example.org/a.png"}"##;

#[tokio::test]
async fn a_good_design_stays_as_it_came() {
    let gateway = Gateway::embedded().await;
    let token = gateway.token("room01", "ann");
    let path = path_of(&gateway, "room01", "ann");
    // Neither of these spellings is the other.
    for design in [
        design_parameter(GOOD),
        "custom_design=%7b%22primary_color%22:%22red%22%7d".to_owned(),
        "custom%5Fdesign={%22primary_color%22:+%22rgb(1,+2,+3)%22}".to_owned(),
    ] {
        let answer = gateway
            .get(&format!("/conference/?{design}&access_token={token}&a=1"), &[])
            .await;
        assert_handed_off(&answer, &format!("{path}?{design}&a=1"));
        assert!(answer.set_cookie("pnm_access_token").is_some());
        let answer = gateway
            .get(&format!("{path}?{design}"), &[("Cookie", &cookie(&token))])
            .await;
        assert_page(&answer, 200, "primary_color");
    }
}

/// docs/plugnmeet.md section 7: an empty one is none to the client either.
#[tokio::test]
async fn an_empty_design_is_none() {
    for on_invalid in ["reject", "strip"] {
        let gateway = Gateway::with(&format!("design.on_invalid = '{on_invalid}'")).await;
        let token = gateway.token("room01", "ann");
        let path = path_of(&gateway, "room01", "ann");
        for design in [
            "custom_design=",
            "custom_design",
            "custom_design=%7B%7D",
            "custom_design={+}",
        ] {
            let answer = gateway
                .get(&format!("/conference/?access_token={token}&{design}"), &[])
                .await;
            assert_handed_off(&answer, &format!("{path}?{design}"));
            let answer = gateway
                .get(&format!("{path}?{design}"), &[("Cookie", &cookie(&token))])
                .await;
            assert_page(&answer, 200, "Your session is ready");
        }
    }
}

#[tokio::test]
async fn a_bad_design_is_refused_with_field_value_and_rule() {
    let gateway = Gateway::with("design.on_invalid = 'reject'").await;
    let token = gateway.token("room01", "ann");
    let session = cookie(&token);
    let path = path_of(&gateway, "room01", "ann");
    let long = format!(r#"{{"primary_color":"red","x":"{}"}}"#, "a".repeat(4096));
    for (design, words) in [
        (r#"{"primary_color":"red}body{display:none"}"#, "primary_color"),
        (
            r#"{"primary_color":"url(https://a.example)"}"#,
            "is not a CSS colour",
        ),
        (r#"{"primary_color":{"a":"red"}}"#, "must be a string"),
        (r#"{"primary_color":7}"#, "must be a string"),
        (r#"{"primary_color":null}"#, "must be a string"),
        (
            r#"{"primary_color":"red","primary_color":"blue"}"#,
            "appears more than once",
        ),
        (
            r#"{"custom_logo":"http://a.example/a.png"}"#,
            "must be an https URL",
        ),
        (
            r#"{"custom_logo":"https://u:p@a.example/a.png"}"#,
            "user name or password",
        ),
        (
            r#"{"custom_logo":"https://192.168.0.1/a.png"}"#,
            "private address",
        ),
        (
            r#"{"background_image":"https://169.254.169.254/"}"#,
            "private address",
        ),
        (
            r#"{"custom_css_url":"https://evil.example/a.css"}"#,
            "is not in design.css_hosts",
        ),
        (
            r#"{"background_image":"https://a.example/a\"b"}"#,
            "must be percent-encoded",
        ),
        ("null", "must be a JSON object"),
        ("[]", "must be a JSON object"),
        ("\"red\"", "must be a JSON object"),
        ("{\"primary_color\":\"red\"", "is not valid JSON"),
        ("{\"primary_color\":\"red\"} x", "is not valid JSON"),
        (&long, "must be at most 4096 bytes"),
    ] {
        let answer = gateway.get(&design_link(&token, design), &[]).await;
        assert_page(&answer, 400, words);
        assert!(!answer.text().contains(&token));
        let target = format!("{path}?{}", design_parameter(design));
        assert_page(&gateway.get(&target, &[("Cookie", &session)]).await, 400, words);
        let answer = gateway.get(&target, &[("Cookie", &session), JSON]).await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (400, Some("bad_design"))
        );
    }
    let answer = gateway
        .get(
            &design_link(&token, r#"{"primary_color":"<b>","footer_icon_color":"x y"}"#),
            &[],
        )
        .await;
    let text = answer.text();
    for part in [
        "primary_color `&lt;b&gt;` is not",
        "footer_icon_color `x y` is not a CSS colour",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn two_designs_are_refused_whatever_becomes_of_bad_ones() {
    let good = design_parameter(GOOD);
    for on_invalid in ["reject", "strip"] {
        let gateway = Gateway::with(&format!("design.on_invalid = '{on_invalid}'")).await;
        let token = gateway.token("room01", "ann");
        let path = path_of(&gateway, "room01", "ann");
        for two in [
            format!("{good}&{good}"),
            format!("custom_design=&{good}"),
            format!("{good}&custom%5Fdesign"),
        ] {
            let answer = gateway
                .get(&format!("/conference/?access_token={token}&{two}"), &[])
                .await;
            assert_page(&answer, 400, "more than one custom_design");
            let answer = gateway
                .get(&format!("{path}?{two}"), &[("Cookie", &cookie(&token))])
                .await;
            assert_page(&answer, 400, "more than one custom_design");
        }
    }
}

#[tokio::test]
async fn bad_fields_can_be_stripped_and_the_rest_stays() {
    let gateway = Gateway::embedded().await;
    let token = gateway.token("room01", "ann");
    let session = cookie(&token);
    let path = path_of(&gateway, "room01", "ann");
    let mixed = r##"{"primary_color":"#00a1f2","secondary_color":"}x","odd":1}"##;
    let left = "custom_design=%7B%22primary_color%22%3A%22%2300a1f2%22%7D";
    let answer = gateway
        .get(
            &format!(
                "/conference/?a=%7e&{}&access_token={token}&b",
                design_parameter(mixed)
            ),
            &[],
        )
        .await;
    assert_handed_off(&answer, &format!("{path}?a=%7e&{left}&b"));
    assert!(answer.set_cookie("pnm_access_token").is_some());
    // The page itself must not be shown under an address that the client would read otherwise.
    let target = format!("{path}?a=%7e&{}", design_parameter(mixed));
    let answer = gateway.get(&target, &[("Cookie", &session)]).await;
    assert_handed_off(&answer, &format!("{path}?a=%7e&{left}"));
    let answer = gateway
        .get(&format!("{path}?a=%7e&{left}"), &[("Cookie", &session)])
        .await;
    assert_page(&answer, 200, "primary_color");

    for hopeless in ["null", "[]", "{", r#"{"odd":1}"#, r#"{"primary_color":null}"#] {
        let answer = gateway.get(&design_link(&token, hopeless), &[]).await;
        assert_handed_off(&answer, &path);
        let target = format!("{path}?x&{}", design_parameter(hopeless));
        let answer = gateway.get(&target, &[("Cookie", &session)]).await;
        assert_handed_off(&answer, &format!("{path}?x"));
    }
}

#[tokio::test]
async fn hosts_of_style_sheets_and_images_are_the_operators_choice() {
    let gateway = Gateway::with(
        "public_origin = 'https://conf.example.org'\ndesign.on_invalid = 'reject'\n\
         design.css_hosts = ['*.example.net']\ndesign.image_hosts = ['cdn.example.org']",
    )
    .await;
    let token = gateway.token("room01", "ann");
    let host = ("Host", "conf.example.org");
    for (design, status) in [
        (r#"{"custom_css_url":"https://a.example.net/a.css"}"#, 303),
        (r#"{"custom_css_url":"https://example.net/a.css"}"#, 400),
        (r#"{"custom_css_url":"https://conf.example.org/a.css"}"#, 400),
        (r#"{"custom_logo":"https://cdn.example.org/a.png"}"#, 303),
        (r#"{"custom_logo":"https://a.cdn.example.org/a.png"}"#, 400),
    ] {
        let answer = gateway.get(&design_link(&token, design), &[host]).await;
        assert_eq!(answer.status, status, "{design}");
    }
    let gateway =
        Gateway::with("public_origin = 'https://conf.example.org'\ndesign.on_invalid = 'reject'").await;
    for (design, status) in [
        (
            r#"{"custom_css_url":"https://conf.example.org/assets/a.css"}"#,
            303,
        ),
        (
            r#"{"custom_css_url":"https://conf.example.org/conference/assets/a.css"}"#,
            303,
        ),
        (r#"{"custom_css_url":"https://conf.example.org/a.css"}"#, 400),
        (
            r#"{"custom_logo":"https://conf.example.org/conference/logout"}"#,
            400,
        ),
        (r#"{"custom_css_url":"https://cdn.example.org/a.css"}"#, 400),
        (r#"{"custom_logo":"https://anything.example.org/a.png"}"#, 303),
    ] {
        let answer = gateway.get(&design_link(&token, design), &[host]).await;
        assert_eq!(answer.status, status, "{design}");
    }
}

/// A browser is led away from the token first, and says there what is wrong with the design. Who asks otherwise reads it at
/// once.
#[tokio::test]
async fn a_navigation_with_a_bad_design_loses_the_token_first() {
    let gateway = Gateway::with("design.on_invalid = 'reject'").await;
    let token = gateway.token("room01", "ann");
    let link = format!("{}&a=%20b", design_link(&token, "null"));
    let target = format!(
        "{}?{}&a=%20b",
        path_of(&gateway, "room01", "ann"),
        design_parameter("null")
    );
    for accept in [
        "text/html",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "application/json;q=0.5, text/html",
    ] {
        let answer = gateway.get(&link, &[("Accept", accept)]).await;
        assert_handed_off(&answer, &target);
        assert!(answer.set_cookie("pnm_access_token").is_some(), "{accept}");
        let page = [("Accept", accept), ("Cookie", &*cookie(&token))];
        assert_page(&gateway.get(&target, &page).await, 400, "must be a JSON object");
    }
    for fields in [
        &[][..],
        &[("Accept", "*/*")],
        &[("Accept", "text/html;q=0, */*")],
        &[JSON],
        &[
            ("Accept", "text/html"),
            ("Sec-Fetch-Dest", "image"),
            ("Sec-Fetch-Mode", "no-cors"),
        ],
    ] {
        let answer = gateway.get(&link, fields).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (400, None),
            "{fields:?}"
        );
        assert_sets_nothing(&answer);
    }
    let head = gateway
        .client()
        .request("HEAD", &link, &[("Accept", "text/html")], b"")
        .await;
    assert_eq!(
        (head.status, head.header("location")),
        (303, Some(target.as_str()))
    );
    assert_sets_nothing(&head);
}

// --- leaks and limits ---

#[tokio::test]
async fn no_answer_carries_the_token_anywhere_but_in_the_cookie() {
    let gateway = Gateway::with("limits.failures = '1000/min'").await;
    let good = gateway.token("room01", "ann");
    let expired = gateway.sign(|claims| claims.exp -= 700);
    let session = cookie(&good);
    let path = path_of(&gateway, "room01", "ann");
    let bad_design = design_parameter("null");
    for token in [good.as_str(), expired.as_str(), "not-a-token-but-a-secret"] {
        for target in [
            format!("/conference/?access_token={token}"),
            format!("/conference?access_token={token}&a=1"),
            format!("/?access_token={token}"),
            format!("{path}?access_token={token}"),
            format!("/conference/?access_token={token}&access_token={token}"),
            format!("/conference/?access_token={token}&{bad_design}"),
            format!("/conference/assets/{token}?access_token={token}"),
            format!("/conference/s/{token}/?access_token={token}"),
            format!("/nowhere?access_token={token}"),
            format!("//conference/?access_token={token}"),
            format!("/auth/room/getJoinToken?access_token={token}"),
            format!("/livekit/rtc?access_token={token}"),
        ] {
            for more in [&[][..], &[JSON], &[("Cookie", session.as_str())]] {
                for method in ["GET", "POST", "OPTIONS"] {
                    let answer = gateway.client().request(method, &target, more, b"").await;
                    let mut seen = answer.text();
                    for (name, value) in &answer.headers {
                        if name != "set-cookie" {
                            writeln!(seen, "{name}: {}", value.to_str().unwrap()).unwrap();
                        }
                    }
                    let signature = token.rsplit('.').next().unwrap();
                    assert!(!seen.contains(signature), "{method} {target}\n{seen}");
                    assert!(
                        !seen.contains(good.rsplit('.').next().unwrap()),
                        "{target}\n{seen}"
                    );
                }
            }
        }
    }
}

/// A 308 may be kept for ever unless it says otherwise, and this one has the token in its address.
#[tokio::test]
async fn a_link_that_came_over_plain_http_is_sent_on_and_kept_by_nobody() {
    let gateway = Gateway::embedded().await;
    let target = format!("/conference/?access_token={}", gateway.token("room01", "ann"));
    let answer = plain_get(gateway.http, &target).await;
    assert_eq!((answer.status, answer.text()), (308, String::new()));
    assert_eq!(answer.header("set-cookie"), None);
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

/// A school that clicks on yesterday's link.
#[tokio::test]
async fn genuine_links_of_another_time_are_no_guesses() {
    let gateway = Gateway::embedded().await;
    let expired = gateway.sign(|claims| claims.exp -= 700);
    let early = gateway.sign(|claims| claims.nbf += 700);
    for _ in 0..15 {
        let answer = gateway.get(&format!("/?access_token={expired}"), &[]).await;
        assert_page(&answer, 401, "This link has expired");
        let answer = gateway
            .get(&format!("/conference/?access_token={early}"), &[])
            .await;
        assert_eq!(answer.status, 401);
    }
    for _ in 0..20 {
        let forged = format!("/?access_token={expired}x");
        assert_eq!(gateway.get(&forged, &[]).await.status, 401);
    }
    assert_eq!(gateway.get("/?access_token=a.b.c", &[]).await.status, 429);
    // Nor is anybody told to wait who is only late.
    assert_eq!(
        gateway
            .get(&format!("/?access_token={expired}"), &[])
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn the_21st_bad_link_is_429_and_a_good_one_still_passes() {
    let gateway = Gateway::embedded().await;
    let good = format!("/conference/?access_token={}", gateway.token("room01", "ann"));
    for attempt in 0..20 {
        let address = format!("192.0.2.{attempt}");
        let forged = [("X-Forwarded-For", address.as_str()), ("X-Real-IP", &address)];
        let answer = gateway.get("/conference/?access_token=a.b.c", &forged).await;
        assert_page(&answer, 401, "This link is not genuine");
    }
    let answer = gateway.get("/?access_token=a.b.c", &[]).await;
    assert_page(&answer, 429, "Too many attempts");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3).contains(&wait), "{wait}");
    assert_eq!(answer.header("ratelimit-policy"), Some("\"failures\";q=20;w=60"));
    let answer = gateway.get("/?access_token=a.b.c", &[JSON]).await;
    assert_eq!(
        (answer.status, answer.json()["status_code"].as_str()),
        (429, Some("PERMISSION_DENIED"))
    );
    // One household, one count: signatures too.
    let guess = [("API-KEY", API_KEY), ("HASH-SIGNATURE", "00")];
    assert_eq!(
        gateway.post("/auth/room/getJoinToken", &guess, b"").await.status,
        429
    );
    assert_handed_off(
        &gateway.get(&good, &[]).await,
        &path_of(&gateway, "room01", "ann"),
    );
    gateway.clock.advance(Duration::from_secs(3));
    assert_eq!(gateway.get("/?access_token=a.b.c", &[]).await.status, 401);
}

/// docs/plugnmeet.md section 0.9: the server takes it for another minute, and so does the cookie.
#[tokio::test]
async fn a_token_within_the_leeway_gets_a_cookie_that_lasts_as_long() {
    let gateway = Gateway::with("session.renew_grace = '0s'").await;
    let token = gateway.sign(|claims| claims.exp -= 630);
    let answer = gateway
        .get(&format!("/conference/?access_token={token}"), &[])
        .await;
    let cookie = answer.set_cookie("pnm_access_token").unwrap();
    let lives: i64 = cookie
        .split("Max-Age=")
        .nth(1)
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!((28..=30).contains(&lives), "{cookie}");
}

#[tokio::test]
async fn a_script_without_a_session_is_told_in_json() {
    let gateway = Gateway::embedded().await;
    let answer = gateway
        .get("/conference/", &[("accept", "application/json")])
        .await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/json"))
    );
    assert_eq!(answer.json()["code"], "no_session");
}
