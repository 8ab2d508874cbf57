//! Cookies that a site nearby, or an earlier visit, has put in the way; and links that would take a running session's place.

use serde_json::json;

use super::{
    HOUR, READY, Stage, assert_in,
    support::{
        browser::{Browser, Snapshot, assert_no_leak},
        site::Site,
    },
    token_in,
};

const HOST: &str = "conf.example.test";
const EVIL: &str = "evil.example.test";
const ROOM: (&str, &str) = ("room01", "ann");

/// The conference, and a site nearby.
async fn neighbours(toml: &str) -> (Stage, Site, Browser) {
    let stage = Stage::at(HOST, toml).await;
    let evil = Site::named(EVIL).await;
    let mut names = stage.names().to_vec();
    names.push((EVIL, evil.addr));
    let browser = Browser::knowing(&names, &[], &json!({}));
    (stage, evil, browser)
}

/// A visit to the site nearby, which sets these.
async fn tossed(evil: &Site, browser: &mut Browser, cookies: &[String]) -> Snapshot {
    let fields: Vec<_> = cookies
        .iter()
        .map(|cookie| ("Set-Cookie", cookie.as_str()))
        .collect();
    evil.answer("/toss", "", &fields);
    let visited = browser
        .step(json!({"tab": 2, "goto": format!("https://{EVIL}/toss")}))
        .await;
    let kept = visited.0["cookies"].as_array().unwrap();
    let strays = kept.iter().filter(|cookie| cookie["domain"] == ".example.test");
    // This browser takes no pair for a value without a name; others do.
    let named = cookies.iter().filter(|cookie| !cookie.starts_with('='));
    assert_eq!(strays.count(), named.count(), "{visited}");
    visited
}

/// What is left in the jar: the session's own.
#[track_caller]
fn assert_alone(snapshot: &Snapshot) {
    let cookies = snapshot.0["cookies"].as_array().unwrap();
    let mut names: Vec<_> = cookies
        .iter()
        .map(|cookie| {
            (
                cookie["name"].as_str().unwrap(),
                cookie["domain"].as_str().unwrap(),
            )
        })
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [("__Secure-pnm_session", HOST), ("pnm_access_token", HOST)],
        "{snapshot}"
    );
}

#[tokio::test]
async fn whatever_was_tossed_the_session_is_ones_own_after_one_load_and_the_rest_is_gone() {
    let (stage, evil, mut browser) = neighbours("").await;
    let path = stage.path("room01", "ann");
    let others = stage.token("room66", "mallory");
    let same = stage.gateway.sign(|claims| claims.exp -= 100);
    let domain = "Domain=example.test; Secure";
    for (what, cookies) in [
        (
            "for the parent domain",
            vec![format!("pnm_access_token={others}; {domain}; Path=/")],
        ),
        (
            "for a shorter path",
            vec![format!("pnm_access_token={others}; {domain}; Path=/conference")],
        ),
        (
            "for the very path",
            vec![format!("pnm_access_token={others}; {domain}; Path={path}")],
        ),
        (
            "of nonsense",
            vec![format!("pnm_access_token=x; {domain}; Path={path}")],
        ),
        (
            "out of scripts' reach",
            vec![format!(
                "pnm_access_token={others}; {domain}; Path={path}; HttpOnly"
            )],
        ),
        (
            "all of it, and an older one of one's own",
            vec![
                format!("pnm_access_token={same}; {domain}; Path={path}"),
                format!("pnm_access_token={others}; {domain}; Path=/conference/"),
                format!("=pnm_access_token={others}; {domain}; Path=/"),
                format!("pnm_access_token=; {domain}; Path=/conference/s; HttpOnly"),
            ],
        ),
    ] {
        let before = stage.metric("plugnmeet_gateway_stray_cookies_total").await;
        // Before the link is opened, and again while the session runs.
        tossed(&evil, &mut browser, &cookies).await;
        let token = stage.token("room01", "ann");
        let joined = browser
            .step(json!({"tab": 1, "goto": stage.link(&token), "until": READY}))
            .await;
        assert_in(&stage, &joined, ROOM, &token);
        assert_eq!(stage.verified(), token, "{what}");
        assert_alone(&joined);
        tossed(&evil, &mut browser, &cookies).await;
        let again = browser
            .step(json!({"tab": 1, "reload": true, "until": READY}))
            .await;
        assert_in(&stage, &again, ROOM, &token);
        assert_eq!(stage.verified(), token, "{what}");
        assert_alone(&again);
        assert_eq!(
            stage.metric("plugnmeet_gateway_stray_cookies_total").await,
            before + 2,
            "{what}"
        );
        assert_no_leak(&[&joined, &again], &token, 1);
    }
    // A reload in the second hour goes on with one's own claims.
    tossed(
        &evil,
        &mut browser,
        &[format!("pnm_access_token={others}; {domain}; Path={path}")],
    )
    .await;
    stage.clock.advance(HOUR);
    let later = browser
        .step(json!({"tab": 1, "reload": true, "until": READY}))
        .await;
    assert_in(&stage, &later, ROOM, &token_in(&later));
    assert_alone(&later);
}

#[tokio::test]
async fn a_tossed_session_without_a_link_of_ones_own_is_none() {
    let (stage, evil, mut browser) = neighbours("").await;
    let others = stage.token("room66", "mallory");
    let domain = "Domain=example.test; Secure";
    let path = stage.path("room01", "ann");
    for path in ["/", "/conference", &path] {
        let cookie = format!("pnm_access_token={others}; {domain}; Path={path}");
        tossed(&evil, &mut browser, &[cookie]).await;
        let none = browser
            .step(json!({"tab": 1, "goto": stage.page("room01", "ann")}))
            .await;
        assert!(none.text().contains("Use your join link"), "{none}");
        assert_eq!(none.0["cookies"], json!([]), "{none}");
    }
    assert!(stage.server.saw_nothing());
}

const MOUNT: &str = "session.scope = 'mount'";

/// In the plain form, where one path is for all.
#[track_caller]
fn assert_at_mount(snapshot: &Snapshot, user_id: &str, room_id: &str, token: &str) {
    assert!(snapshot.url().ends_with(".test/conference/"), "{snapshot}");
    assert_eq!(
        snapshot.text().trim(),
        format!("{user_id} is in {room_id}"),
        "{snapshot}"
    );
    assert_eq!(
        snapshot.cookie(),
        format!("pnm_access_token={token}"),
        "{snapshot}"
    );
}

#[tokio::test]
async fn another_sites_link_with_somebody_elses_token_asks_before_it_takes_a_sessions_place() {
    let stage = Stage::with(MOUNT).await;
    let mut browser = stage.browser();
    let (mine, trap) = (stage.token("room01", "ann"), stage.token("room66", "mallory"));
    let joined = browser
        .step(json!({"tab": 1, "goto": stage.link(&mine), "until": READY}))
        .await;
    assert_at_mount(&joined, "ann", "room01", &mine);
    stage.lms.page(
        "/course",
        &format!("<a href=\"{}\">Come here</a>", stage.link(&trap)),
    );
    let ask = json!([
        {"tab": 2, "goto": "https://lms.test/course"},
        {"tab": 2, "click": "a", "until": "document.querySelector('form') !== null"},
    ]);
    let asked = browser.steps(ask.clone()).await.pop().unwrap();
    assert_eq!(asked.url(), "https://conf.test/conference/switch");
    for word in ["You are in another meeting already", "room01", "room66", "Stay"] {
        assert!(asked.text().contains(word), "{word}: {asked}");
    }
    assert_no_leak(&[&joined, &asked], &trap, 1);
    // Nothing has changed until there is an answer, whatever the page in the first tab does.
    let running = browser
        .step(json!({"tab": 1, "reload": true, "until": READY}))
        .await;
    assert_at_mount(&running, "ann", "room01", &mine);
    let stayed = browser
        .step(json!({"tab": 2, "click": "a.button", "until": READY}))
        .await;
    assert_at_mount(&stayed, "ann", "room01", &mine);

    browser.steps(ask).await;
    let left = browser
        .step(json!({"tab": 2, "click": "form button", "until": READY}))
        .await;
    assert_at_mount(&left, "mallory", "room66", &trap);
    assert!(!left.0["cookies"].to_string().contains("pnm_waiting"), "{left}");
    assert_no_leak(&[&left], &trap, 0);
}

#[tokio::test]
async fn the_clients_own_windows_do_not_ask_and_ones_own_link_to_another_room_does() {
    let stage = Stage::with(MOUNT).await;
    let mut browser = stage.browser();
    let (main, breakout) = (stage.token("room01", "ann"), stage.token("room01-b1", "ann"));
    browser
        .step(json!({"tab": 1, "goto": stage.link(&main), "until": READY}))
        .await;
    let seen = browser
        .steps(json!([
            {"tab": 1, "run": format!("client.breakout('{breakout}')")},
            {"tab": 2, "once": READY, "run": "1"},
        ]))
        .await;
    assert_at_mount(&seen[1], "ann", "room01-b1", &breakout);
    // The same person's next room, by a link elsewhere.
    let next = stage.token("room02", "ann");
    stage
        .lms
        .page("/course", &format!("<a href=\"{}\">Next</a>", stage.link(&next)));
    let seen = browser
        .steps(json!([
            {"tab": 2, "goto": "https://lms.test/course"},
            {"tab": 2, "click": "a", "until": "document.title === 'You are in another meeting already'"},
            {"tab": 2, "click": "form button", "until": READY},
        ]))
        .await;
    assert_at_mount(&seen[2], "ann", "room02", &next);
}

#[tokio::test]
async fn in_the_plain_form_too_a_tossed_cookie_changes_nothing() {
    let (stage, evil, mut browser) = neighbours(MOUNT).await;
    let (mine, others) = (stage.token("room01", "ann"), stage.token("room66", "mallory"));
    let joined = browser
        .step(json!({"tab": 1, "goto": stage.link(&mine), "until": READY}))
        .await;
    assert_at_mount(&joined, "ann", "room01", &mine);
    for path in ["/", "/conference", "/conference/"] {
        let cookie = format!("pnm_access_token={others}; Domain=example.test; Secure; Path={path}");
        tossed(&evil, &mut browser, &[cookie]).await;
        let again = browser
            .step(json!({"tab": 1, "reload": true, "until": READY}))
            .await;
        assert_at_mount(&again, "ann", "room01", &mine);
        assert_eq!(stage.verified(), mine);
    }
    stage.clock.advance(HOUR);
    let later = browser
        .step(json!({"tab": 1, "reload": true, "until": READY}))
        .await;
    assert_at_mount(&later, "ann", "room01", &token_in(&later));
}
