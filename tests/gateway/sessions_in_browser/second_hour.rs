//! A reload in the second hour, and when there is none.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    HOUR, READY, Stage, assert_in, claims,
    support::{
        browser::{Snapshot, assert_no_leak},
        token_request,
    },
    token_in,
};

const ROOM: (&str, &str) = ("room01", "ann");

/// Claims without their times.
fn timeless(token: &str) -> Value {
    let mut claims = claims(token);
    let kept = claims.as_object_mut().unwrap();
    kept.remove("nbf");
    kept.remove("exp");
    claims
}

#[track_caller]
fn assert_page(snapshot: &Snapshot, status: u16, words: &str) {
    assert!(snapshot.text().contains(words), "{words}: {snapshot}");
    assert_eq!(snapshot.answer(snapshot.url())["status"], status, "{snapshot}");
}

#[tokio::test]
async fn a_reload_in_the_second_hour_stays_in_with_a_token_of_the_same_claims() {
    let stage = Stage::with("").await;
    let mut browser = stage.browser();
    let first = stage.token("room01", "ann");
    let joined = browser
        .step(json!({"tab": 1, "goto": stage.link(&first), "until": READY}))
        .await;
    assert_in(&stage, &joined, ROOM, &first);

    stage.clock.advance(HOUR);
    let again = browser
        .step(json!({"tab": 1, "reload": true, "until": READY}))
        .await;
    let second = token_in(&again);
    assert_ne!(first, second);
    assert_in(&stage, &again, ROOM, &second);
    assert_eq!(stage.verified(), second);
    assert_eq!(timeless(&first), timeless(&second));
    let (old, new) = (claims(&first), claims(&second));
    let later = |name: &str| new[name].as_i64().unwrap() - old[name].as_i64().unwrap();
    assert!(
        later("nbf") >= 3600 && later("exp") == later("nbf"),
        "{old} {new}"
    );

    // The renewed one lasts as long, and is renewed in its turn.
    stage.clock.advance(3 * HOUR);
    let again = browser
        .step(json!({"tab": 1, "reload": true, "until": READY}))
        .await;
    let third = token_in(&again);
    assert_ne!(second, third);
    assert_in(&stage, &again, ROOM, &third);
    assert_no_leak(&[&joined, &again], &first, 1);
    for token in [&second, &third] {
        assert_no_leak(&[&joined, &again], token, 0);
    }
}

#[tokio::test]
async fn beyond_the_grace_the_link_has_expired() {
    let stage = Stage::with("session.renew_grace = '1h'").await;
    let mut browser = stage.browser();
    let token = stage.token("room01", "ann");
    browser
        .step(json!({"tab": 1, "goto": stage.link(&token), "until": READY}))
        .await;
    stage.clock.advance(HOUR + Duration::from_secs(601));
    let late = browser.step(json!({"tab": 1, "reload": true})).await;
    // The browser's own clock was not moved, so the cookie is still sent.
    assert_page(&late, 401, "This link has expired");
    // A token in a link is never renewed.
    let link = browser.step(json!({"tab": 1, "goto": stage.link(&token)})).await;
    assert!(link.text().contains("This link has expired"), "{link}");
}

#[tokio::test]
async fn a_session_is_renewed_until_it_has_lasted_as_long_as_one_may() {
    let stage = Stage::with("session.max_age = '5h'").await;
    let mut browser = stage.browser();
    let first = stage.token("room01", "ann");
    browser
        .step(json!({"tab": 1, "goto": stage.link(&first), "until": READY}))
        .await;
    for _ in 0..2 {
        stage.clock.advance(2 * HOUR);
        let again = browser
            .step(json!({"tab": 1, "reload": true, "until": READY}))
            .await;
        assert_in(&stage, &again, ROOM, &token_in(&again));
    }
    stage.clock.advance(HOUR);
    let over = browser.step(json!({"tab": 1, "reload": true})).await;
    assert_page(&over, 401, "This session has lasted its longest time");
    // A new link begins anew.
    let next = stage.token("room01", "ann");
    let anew = browser
        .step(json!({"tab": 1, "goto": stage.link(&next), "until": READY}))
        .await;
    assert_in(&stage, &anew, ROOM, &next);
    stage.clock.advance(2 * HOUR);
    let again = browser
        .step(json!({"tab": 1, "reload": true, "until": READY}))
        .await;
    assert_in(&stage, &again, ROOM, &token_in(&again));
}

#[tokio::test]
async fn who_has_left_is_out_and_a_kept_cookie_is_not_renewed() {
    let stage = Stage::with("").await;
    for way in [
        "location.href = 'logout'.replace(/^/, location.pathname)",
        "const form = document.createElement('form'); form.method = 'post'; \
         form.action = location.pathname + 'logout'; document.body.append(form); form.submit()",
    ] {
        let mut browser = stage.browser();
        let token = stage.token("room01", "ann");
        browser
            .step(json!({"tab": 1, "goto": stage.link(&token), "until": READY}))
            .await;
        // What a script fetches ends nothing.
        let fetched =
            "fetch(location.pathname + 'logout', { method: 'POST' }).then((answer) => answer.status)";
        let refused = browser.step(json!({"tab": 1, "run": fetched})).await;
        assert_eq!(refused.value(), 403, "{refused}");
        browser.step(json!({"tab": 1, "run": way})).await;
        let out = browser
            .step(json!({"tab": 1, "goto": stage.page("room01", "ann")}))
            .await;
        assert!(out.text().contains("Use your join link"), "{out}");
        assert_eq!((out.cookie(), out.jar().len()), ("", 0), "{out}");

        // As a copy of the cookie would have it: the server still takes the token until its end, and nobody renews it.
        let keep = format!(
            "document.cookie = 'pnm_access_token={token}; Path={}; Secure'",
            stage.path("room01", "ann")
        );
        browser.step(json!({"tab": 1, "run": keep})).await;
        stage.clock.advance(HOUR);
        let late = browser.step(json!({"tab": 1, "reload": true})).await;
        assert_page(&late, 401, "This link has expired");
    }
}

const MOODLE: &str = "moodle-0123456789abcdef0123456789abcdef";
const CANVAS: &str = "canvas-0123456789abcdef0123456789abcdef";

fn callers(moodle_enabled: bool) -> String {
    format!(
        "[[callers]]\nname = 'moodle'\napi_key = 'moodle-key'\nsecret = '{MOODLE}'\nenabled = {moodle_enabled}\n\
         [[callers]]\nname = 'canvas'\napi_key = 'canvas-key'\nsecret = '{CANVAS}'\n"
    )
}

/// A token that this caller asked for.
async fn asked(stage: &Stage, key: &str, secret: &str, room_id: &str) -> String {
    use plugnmeet_gateway::{secret::Secret, token::RequestKey};
    let body = token_request(room_id, "ann");
    let signature = RequestKey::new(&Secret::new(secret.into())).signature(body.as_bytes());
    let headers = [
        ("API-KEY", key),
        ("HASH-SIGNATURE", signature.as_str()),
        ("Host", stage.host),
    ];
    let answer = stage
        .gateway
        .post("/auth/room/getJoinToken", &headers, body.as_bytes())
        .await;
    answer.json()["token"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer:?}"))
        .to_owned()
}

#[tokio::test]
async fn the_sessions_of_a_caller_that_was_switched_off_end_with_their_tokens() {
    let stage = Stage::with(&callers(true)).await;
    let mut browser = stage.browser();
    let of_moodle = asked(&stage, "moodle-key", MOODLE, "room01").await;
    let of_canvas = asked(&stage, "canvas-key", CANVAS, "room02").await;
    for (tab, token) in [(1, &of_moodle), (2, &of_canvas)] {
        browser
            .step(json!({"tab": tab, "goto": stage.link(token), "until": READY}))
            .await;
    }
    let stage = stage.restarted(&callers(false)).await;
    let still = browser
        .step(json!({"tab": 1, "reload": true, "until": READY}))
        .await;
    assert_in(&stage, &still, ("room01", "ann"), &of_moodle);
    stage.clock.advance(HOUR);
    let refused = browser.step(json!({"tab": 1, "reload": true})).await;
    assert_page(&refused, 401, "This link has expired");
    let goes_on = browser
        .step(json!({"tab": 2, "reload": true, "until": READY}))
        .await;
    assert_in(&stage, &goes_on, ("room02", "ann"), &token_in(&goes_on));
}

#[tokio::test]
async fn a_newer_token_that_the_client_shows_the_server_is_the_cookies_too() {
    let stage = Stage::with("").await;
    let mut browser = stage.browser();
    let first = stage.token("room01", "ann");
    browser
        .step(json!({"tab": 1, "goto": stage.link(&first), "until": READY}))
        .await;
    let call = |token: &str| format!("client.call('verifyToken', '{token}')");

    // As NATS brings them: every three minutes.
    stage.clock.advance(Duration::from_secs(180));
    let second = stage.token("room01", "ann");
    let renew = format!("client.renew('{second}'); client.call('getClientFiles')");
    let renewed = browser.step(json!({"tab": 1, "run": renew})).await;
    assert_eq!(renewed.value()["status"], 200, "{renewed}");
    assert_in(&stage, &renewed, ROOM, &second);

    // Neither what is older or somebody else's, nor what the server refuses.
    let (older, others) = (first.as_str(), stage.token("room02", "ann"));
    stage.clock.advance(Duration::from_secs(180));
    let newer = stage.token("room01", "ann");
    for (script, status) in [
        (call(older), 200),
        (call(&others), 200),
        (call(&stage.token("room01", "bob")), 200),
        (format!("client.call('nothing', '{newer}')"), 404),
        (call(&format!("{newer}x")), 401),
    ] {
        let same = browser.step(json!({"tab": 1, "run": script})).await;
        assert_eq!(same.value()["status"], status, "{same}");
        assert_in(&stage, &same, ROOM, &second);
    }
    // Another origin's page may call the server, and has no say here.
    let from_elsewhere = format!(
        "fetch('{}/api/verifyToken', {{ method: 'POST', headers: {{ Authorization: '{newer}', \
         'Content-Type': 'application/protobuf' }} }}).then((response) => response.status, String)",
        stage.origin()
    );
    let elsewhere = browser
        .steps(json!([
            {"tab": 2, "goto": "https://lms.test/"},
            {"tab": 2, "run": from_elsewhere},
        ]))
        .await;
    assert_eq!(elsewhere[1].value(), 200, "{}", elsewhere[1]);
    assert_eq!(elsewhere[1].jar().len(), 1, "{}", elsewhere[1]);

    // And the cookie is what a reload goes on with, after the first token's end: renewed, so near its own.
    stage.clock.advance(Duration::from_secs(300));
    let again = browser
        .step(json!({"tab": 1, "reload": true, "until": READY}))
        .await;
    let renewed = token_in(&again);
    assert_ne!(renewed, second);
    assert_in(&stage, &again, ROOM, &renewed);
}
