//! Sessions side by side: none gets into another's way, and each tab reloads into its own.

use serde_json::json;

use super::{
    HOUR, READY, Stage, assert_in,
    support::{
        Gateway,
        browser::{Browser, Snapshot, assert_no_leak, text},
    },
    token_in,
};

#[tokio::test]
async fn a_breakout_room_that_the_main_room_opens_leaves_the_main_room_alone() {
    let stage = Stage::with("").await;
    let mut browser = stage.browser();
    let (main, breakout) = (stage.token("room01", "ann"), stage.token("room01-b1", "ann"));
    let design = "custom_design=%7B%22primary_color%22%3A%22red%22%7D";
    let link = format!("{}&{design}", stage.link(&main));
    let joined = browser
        .step(json!({"tab": 1, "goto": link, "until": READY}))
        .await;
    let opened = browser
        .step(json!({"tab": 1, "run": format!("client.breakout('{breakout}')")}))
        .await;
    assert_eq!(opened.value(), true);
    let seen = browser
        .steps(json!([
            {"tab": 2, "once": READY, "run": "client.design()"},
            {"tab": 1, "reload": true, "until": READY},
            {"tab": 2, "reload": true, "until": READY},
        ]))
        .await;
    for (at, room, token) in [
        (0, "room01-b1", &breakout),
        (1, "room01", &main),
        (2, "room01-b1", &breakout),
    ] {
        assert_in(&stage, &seen[at], (room, "ann"), token);
        let address = format!("{}?{design}", stage.page(room, "ann"));
        assert_eq!(seen[at].url(), address, "step {at}");
    }
    assert_eq!(seen[0].value(), &json!({"primary_color": "red"}));
    // In the second hour too, the older tab last.
    stage.clock.advance(HOUR);
    for (tab, room) in [(2, "room01-b1"), (1, "room01")] {
        let again = browser
            .step(json!({"tab": tab, "reload": true, "until": READY}))
            .await;
        assert_in(&stage, &again, (room, "ann"), &token_in(&again));
        assert_no_leak(&[&again], &token_in(&again), 0);
    }
    let all: Vec<&Snapshot> = [&joined, &opened].into_iter().chain(&seen).collect();
    assert_no_leak(&all, &main, 1);
    assert_no_leak(&all, &breakout, 1);
}

#[tokio::test]
async fn two_people_of_one_room_in_two_tabs_stay_who_they_are() {
    let stage = Stage::with("").await;
    let mut browser = stage.browser();
    let (anns, bobs) = (stage.token("room01", "ann"), stage.token("room01", "bob"));
    let seen = browser
        .steps(json!([
            {"tab": 1, "goto": stage.link(&anns), "until": READY},
            {"tab": 2, "goto": stage.link(&bobs), "until": READY},
            {"tab": 1, "reload": true, "until": READY},
            {"tab": 2, "reload": true, "until": READY},
        ]))
        .await;
    for (at, user, token) in [(2, "ann", &anns), (3, "bob", &bobs)] {
        assert_in(&stage, &seen[at], ("room01", user), token);
    }
    stage.clock.advance(HOUR);
    for (tab, user) in [(1, "ann"), (2, "bob")] {
        let again = browser
            .step(json!({"tab": tab, "reload": true, "until": READY}))
            .await;
        assert_in(&stage, &again, ("room01", user), &token_in(&again));
    }
}

#[tokio::test]
async fn a_room_that_is_joined_again_goes_on_with_the_newer_link() {
    let stage = Stage::with("").await;
    let mut browser = stage.browser();
    let first = stage.token("room01", "ann");
    let leave =
        json!({"tab": 1, "goto": format!("{}/logout", stage.page("room01", "ann").trim_end_matches('/'))});
    browser
        .step(json!({"tab": 1, "goto": stage.link(&first), "until": READY}))
        .await;
    stage.clock.advance(HOUR);
    // In a second tab while the first is open; then again after leaving.
    for leaves in [false, true] {
        if leaves {
            browser.step(leave.clone()).await;
        }
        let next = stage.token("room01", "ann");
        let seen = browser
            .steps(json!([
                {"tab": 2, "goto": stage.link(&next), "until": READY},
                {"tab": 2, "reload": true, "until": READY},
                {"tab": 1, "goto": stage.page("room01", "ann"), "until": READY},
            ]))
            .await;
        for snapshot in &seen {
            assert_in(&stage, snapshot, ("room01", "ann"), &next);
        }
        assert_eq!(seen[2].jar().len(), 1, "{}", seen[2]);
        stage.clock.advance(HOUR);
        let again = browser
            .step(json!({"tab": 2, "reload": true, "until": READY}))
            .await;
        assert_in(&stage, &again, ("room01", "ann"), &token_in(&again));
    }
}

#[tokio::test]
async fn without_a_client_there_is_a_page_that_shows_each_session() {
    let gateway = Gateway::embedded().await;
    let origin = gateway.origin();
    let (anns, bobs) = (gateway.token("room01", "ann"), gateway.token("room02", "bob"));
    let link = |token: &str| format!("{origin}/conference/?access_token={token}&lang=de");
    let path = |room: &str, user: &str| format!("/conference/s/{}/", gateway.keys.tag(room, user));
    let seen = Browser::of_localhost(gateway.https)
        .steps(json!([
            {"tab": 1, "goto": link(&anns)},
            {"tab": 1, "reload": true},
            {"tab": 2, "goto": link(&bobs)},
            {"tab": 1, "reload": true},
            {"tab": 2, "reload": true},
            {"tab": 1, "goto": format!("{origin}/conference/")},
            {"tab": 1, "back": true},
        ]))
        .await;
    for (at, room, user, token) in [
        (0, "room01", "ann", &anns),
        (1, "room01", "ann", &anns),
        (2, "room02", "bob", &bobs),
        (3, "room01", "ann", &anns),
        (4, "room02", "bob", &bobs),
        (6, "room01", "ann", &anns),
    ] {
        let snapshot = &seen[at];
        let address = format!("{origin}{}?lang=de", path(room, user));
        assert_eq!(snapshot.url(), address, "step {at}");
        assert_eq!(
            snapshot.cookie(),
            format!("pnm_access_token={token}"),
            "step {at}"
        );
        for shown in ["Your session is ready", room, "Ann", user] {
            assert!(snapshot.text().contains(shown), "step {at}: {snapshot}");
        }
    }
    // At the mount itself there is no session, as both live on paths of their own.
    assert!(seen[5].text().contains("Use your join link"));
    assert_eq!(seen[5].cookie(), "");
    let jar = seen[6].0["cookies"].as_array().unwrap();
    for cookie in jar {
        let hidden = text(cookie, "name") == "__Secure-pnm_session";
        assert_eq!(
            (&cookie["secure"], &cookie["httpOnly"], &cookie["sameSite"]),
            (&json!(true), &json!(hidden), &json!("Lax")),
            "{cookie}"
        );
    }
    let (of_ann, of_bob) = (path("room01", "ann"), path("room02", "bob"));
    let mut expected = [(of_ann.as_str(), anns.as_str()), (of_bob.as_str(), bobs.as_str())];
    expected.sort_unstable();
    assert_eq!(seen[6].jar(), expected);
    let all: Vec<&Snapshot> = seen.iter().collect();
    assert_no_leak(&all, &anns, 1);
    assert_no_leak(&all, &bobs, 1);
    for snapshot in &seen {
        assert!(snapshot.console().is_empty(), "{snapshot}");
    }
}

#[tokio::test]
async fn all_sessions_share_the_clients_files_and_only_their_pages_see_cookies() {
    let stage = Stage::with("").await;
    let mut browser = stage.browser();
    let token = stage.token("room01", "ann");
    let loaded = browser
        .step(json!({"tab": 1, "goto": stage.link(&token), "until": READY}))
        .await;
    let computed =
        "[document.baseURI, window.plugNmeetConfig.serverUrl, getComputedStyle(document.body).color]";
    let read = browser.step(json!({"tab": 1, "run": computed})).await;
    assert_eq!(
        read.value(),
        &json!([
            "https://conf.test/conference/",
            "https://conf.test",
            "rgb(1, 2, 3)"
        ])
    );
    for request in loaded.requests() {
        let (address, is_page) = (text(request, "url"), text(request, "type") == "document");
        let shared = ["/conference/assets/", "/conference/r/", "/api/"];
        assert!(
            is_page || shared.iter().any(|part| address.contains(part)) || address.starts_with("data:"),
            "{address}"
        );
        assert!(is_page || request["headers"]["cookie"].is_null(), "{request:#}");
    }
    assert!(loaded.console().is_empty(), "{loaded}");
}
