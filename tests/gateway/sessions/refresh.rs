//! Refreshed by the newer tokens of the client's own calls.

use std::time::Duration;

use super::{GOING, TOKEN, assert_lives_for_token_and_grace, open, path_of, taking_tokens};
use crate::support::Gateway;

#[tokio::test]
async fn a_newer_token_on_its_way_to_the_server_refreshes_the_cookie() {
    let server = taking_tokens().await;
    let gateway = Gateway::in_front_of(&server).await;
    let path = path_of(&gateway, "room01", "ann");
    let first = gateway.token("room01", "ann");
    open(&gateway, &first).await;
    gateway.clock.advance(Duration::from_secs(180));
    let newer = gateway.token("room01", "ann");
    let call = |target: &'static str, fields: Vec<(&'static str, String)>| {
        let gateway = &gateway;
        async move {
            let fields: Vec<(&str, &str)> = fields
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            gateway.post(target, &fields, b"").await
        }
    };
    let authorization = |token: &str| ("Authorization", token.to_owned());
    let site = |site: &str| ("Sec-Fetch-Site", site.to_owned());
    let origin = ("Origin", gateway.origin());
    let foreign = ("Origin", "https://evil.example".to_owned());
    // Not newer, not from a page of ours, not taken, not one token, not one of ours.
    for (target, fields) in [
        (
            "/api/polls/create",
            vec![authorization(&first), site("same-origin")],
        ),
        (
            "/api/polls/create",
            vec![authorization(&newer), site("same-site")],
        ),
        (
            "/api/polls/create",
            vec![authorization(&newer), site("cross-site")],
        ),
        ("/api/polls/create", vec![authorization(&newer)]),
        ("/api/polls/create", vec![authorization(&newer), foreign]),
        ("/api/refused", vec![authorization(&newer), site("same-origin")]),
        (
            "/api/polls/create",
            vec![authorization(&newer), authorization(&newer), site("same-origin")],
        ),
        (
            "/api/polls/create",
            vec![authorization(&format!("Bearer {newer}")), site("same-origin")],
        ),
        (
            "/api/polls/create",
            vec![authorization(&format!("{newer}x")), site("same-origin")],
        ),
        (
            "/download/uploadedFile/x",
            vec![authorization(&newer), site("same-origin")],
        ),
    ] {
        let answer = call(target, fields.clone()).await;
        assert_eq!(answer.header("set-cookie"), None, "{target} {fields:?}");
    }
    let answer = call("/api/polls/create", vec![authorization(&newer), origin.clone()]).await;
    assert_eq!(
        (answer.status, answer.header("cache-control")),
        (200, Some("no-store"))
    );
    let line = answer.header("set-cookie").unwrap();
    for part in [
        &format!("{TOKEN}={newer};"),
        &format!("; Path={path}"),
        "SameSite=Lax",
    ] {
        assert!(line.contains(part), "{line}");
    }
    assert_lives_for_token_and_grace(line);
    let again = call("/api/polls/create", vec![authorization(&newer), origin.clone()]).await;
    assert_eq!(again.header("set-cookie"), None);
    for seen in server.requests() {
        assert_eq!(seen.header("cookie"), None);
    }
}

#[tokio::test]
async fn the_cookie_that_is_there_and_the_logout_that_was_decide_what_is_newer() {
    let server = taking_tokens().await;
    let gateway = Gateway::in_front_of(&server).await;
    let path = path_of(&gateway, "room01", "ann");
    open(&gateway, &gateway.token("room01", "ann")).await;
    let origin = gateway.origin();
    let call = |target: &'static str, token: String, cookie: String| {
        let (gateway, origin) = (&gateway, &origin);
        async move {
            let fields = [
                ("Authorization", token.as_str()),
                ("Origin", origin),
                ("Cookie", &cookie),
            ];
            // For Ann, as a breakout join has to say.
            gateway.post(target, &fields, b"\x12\x03ann").await
        }
    };
    // A breakout room's join is such a call too.
    gateway.clock.advance(Duration::from_secs(180));
    let newest = gateway.token("room01", "ann");
    let answer = call("/api/breakoutRoom/join", newest.clone(), "a=1".into()).await;
    let set = answer.header("set-cookie").unwrap();
    assert!(set.starts_with(&format!("{TOKEN}={newest};")), "{set}");
    // With the cookie there, that is what counts.
    let other = gateway.token("room02", "ann");
    for token in [&newest, &other] {
        let answer = call("/api/x", token.clone(), format!("{TOKEN}={newest}")).await;
        assert_eq!(answer.header("set-cookie"), None);
    }
    // Who has left is not brought back by a call that was still under way.
    let held = format!("{TOKEN}={newest}");
    let leaving = [&GOING[..], &[("Cookie", &held)]].concat();
    gateway.get(&format!("{path}logout"), &leaving).await;
    gateway.clock.advance(Duration::from_secs(180));
    let answer = call("/api/x", gateway.token("room01", "ann"), String::new()).await;
    assert_eq!(answer.header("set-cookie"), None);
}
