//! The conference in a learning platform's frame: with a cookie of that place alone, and with none at all.

use serde_json::json;

use super::{
    HOUR, READY, Stage, assert_frame_in, assert_in,
    support::browser::{Browser, Snapshot, assert_no_leak, text},
};

const ROOM: (&str, &str) = ("room01", "ann");
const LISTED: &str = "session.frame_ancestors = ['https://lms.test']";
const COURSE: &str = "https://lms.test/course";

/// What the browser's settings say of cookies, from the strictest.
const NONE_AT_ALL: (&str, u8) = ("profile.default_content_setting_values.cookies", 2);
const NONE_OF_THIRD_PARTIES: (&str, u8) = ("profile.cookie_controls_mode", 1);

fn browser(stage: &Stage, (setting, value): (&str, u8)) -> Browser {
    stage.browser_with(&[], &json!({setting: value}))
}

/// The platform's page has this link in a frame.
fn frames(stage: &Stage, link: &str, attributes: &str) {
    let html = format!("<h1>Course</h1><iframe {attributes} src=\"{link}\"></iframe>");
    stage.lms.page("/course", &html);
}

/// The platform's page as it opens, and when the frame is through with whatever it was led to.
async fn framed(browser: &mut Browser, until: &str) -> [Snapshot; 2] {
    let opened = browser.step(json!({"tab": 1, "goto": COURSE})).await;
    [opened, settled(browser, until).await]
}

async fn settled(browser: &mut Browser, until: &str) -> Snapshot {
    browser
        .step(json!({"tab": 1, "frame": 1, "once": until, "run": "location.host"}))
        .await
}

#[tokio::test]
async fn in_a_listed_sites_frame_the_session_has_a_cookie_of_that_place_alone() {
    let stage = Stage::with(LISTED).await;
    for setting in [("profile.cookie_controls_mode", 0), NONE_OF_THIRD_PARTIES] {
        let mut browser = browser(&stage, setting);
        let token = stage.token("room01", "ann");
        frames(&stage, &stage.link(&token), "");
        let [opened, shown] = framed(&mut browser, READY).await;
        assert_frame_in(&stage, shown.frame(), ROOM, &token);
        let cookies = shown.0["cookies"].as_array().unwrap();
        assert_eq!(cookies.len(), 2, "{shown}");
        for cookie in cookies {
            assert_eq!(
                (&cookie["sameSite"], &cookie["partitionKey"], &cookie["secure"]),
                (&json!("None"), &json!("https://lms.test"), &json!(true)),
                "{cookie}"
            );
        }
        assert_no_leak(&[&opened, &shown], &token, 1);

        let again = browser
            .step(json!({"tab": 1, "frame": 1, "reload": true, "until": READY}))
            .await;
        assert_frame_in(&stage, again.frame(), ROOM, &token);
        // Elsewhere in the same browser there is no such session.
        let alone = browser
            .step(json!({"tab": 2, "goto": stage.page("room01", "ann")}))
            .await;
        assert!(alone.text().contains("Use your join link"), "{alone}");

        stage.clock.advance(HOUR);
        let later = browser
            .step(json!({"tab": 1, "frame": 1, "reload": true, "until": READY}))
            .await;
        let renewed = text(later.frame(), "cookie").replace("pnm_access_token=", "");
        assert_ne!(renewed, token);
        assert_frame_in(&stage, later.frame(), ROOM, &renewed);
        let jar = later.0["cookies"].as_array().unwrap();
        assert!(
            jar.len() == 2
                && jar
                    .iter()
                    .all(|cookie| cookie["partitionKey"] == "https://lms.test"),
            "{later}"
        );
        assert_no_leak(&[&again, &later], &renewed, 0);
        browser.close().await;
    }
}

#[tokio::test]
async fn a_newer_token_reaches_the_cookie_of_a_frame() {
    let stage = Stage::with(LISTED).await;
    let mut browser = browser(&stage, NONE_OF_THIRD_PARTIES);
    frames(&stage, &stage.link(&stage.token("room01", "ann")), "");
    framed(&mut browser, READY).await;
    stage.clock.advance(HOUR / 20);
    let newer = stage.token("room01", "ann");
    let script = format!("client.renew('{newer}'); client.call('getClientFiles')");
    let renewed = browser.step(json!({"tab": 1, "frame": 1, "run": script})).await;
    assert_frame_in(&stage, renewed.frame(), ROOM, &newer);
    assert_eq!(renewed.0["cookies"].as_array().unwrap().len(), 2, "{renewed}");
}

#[tokio::test]
async fn where_the_browser_keeps_no_cookie_the_page_has_the_token_and_nothing_else_has() {
    let stage = Stage::with(LISTED).await;
    let mut browser = browser(&stage, NONE_AT_ALL);
    let token = stage.token("room01", "ann");
    frames(&stage, &stage.link(&token), "");
    let [opened, shown] = framed(&mut browser, READY).await;
    assert_frame_in(&stage, shown.frame(), ROOM, &token);
    assert_eq!(shown.0["cookies"], json!([]), "{shown}");
    assert_eq!(stage.verified(), token);
    assert_no_leak(&[&opened, &shown], &token, 1);

    // The page was for one time. A reload says what is wrong, and the way round it: the platform's own page.
    let again = browser.step(json!({"tab": 1, "frame": 1, "reload": true})).await;
    let words = text(again.frame(), "text");
    assert!(words.contains("Your browser keeps no cookies"), "{again}");
    let [_, anew] = framed(&mut browser, READY).await;
    assert_frame_in(&stage, anew.frame(), ROOM, &token);
    // Whoever knows the address of the session and nothing more gets nothing, in a frame or out of it.
    frames(&stage, &stage.page("room01", "ann"), "");
    let [_, other] = framed(&mut browser, "true").await;
    assert!(!other.to_string().contains(&token), "{other}");
}

#[tokio::test]
async fn no_login_that_sends_people_back_makes_a_loop() {
    let stage = Stage::with(&format!("{LISTED}\nsession.login_url = 'https://lms.test/login'")).await;
    let logins = || {
        let requests = stage.lms.requests();
        requests.iter().filter(|seen| seen.target == "/login").count()
    };
    for setting in [NONE_AT_ALL, NONE_OF_THIRD_PARTIES] {
        let token = stage.token("room01", "ann");
        let back = format!("<script>location.replace('{}')</script>", stage.link(&token));
        stage.lms.page("/login", &back);
        let mut browser = browser(&stage, setting);
        let before = logins();
        frames(&stage, &stage.link(&token), "");
        let [_, shown] = framed(&mut browser, READY).await;
        assert_frame_in(&stage, shown.frame(), ROOM, &token);
        assert_eq!(logins(), before, "a login was not needed");
        // The login brings a new link, and the link the token.
        browser
            .step(json!({"tab": 1, "frame": 1, "run": "window.old = true; void setTimeout(() => location.reload(), 0)"}))
            .await;
        let again = settled(&mut browser, &format!("!window.old && {READY}")).await;
        assert_frame_in(&stage, again.frame(), ROOM, &token);
        assert!(logins() <= before + 1);
        browser.close().await;
        stage.clock.advance(HOUR / 10);
    }
    // In a window of its own there is no way without cookies, and the page says so after one more try.
    stage.clock.advance(HOUR);
    let mut browser = browser(&stage, NONE_AT_ALL);
    let token = stage.token("room01", "ann");
    let back = format!("<script>location.replace('{}')</script>", stage.link(&token));
    stage.lms.page("/login", &back);
    let before = logins();
    let blocked = browser
        .step(json!({"tab": 1, "goto": stage.link(&token), "until": "document.title.includes('cookies')"}))
        .await;
    assert!(
        blocked.text().contains("Your browser keeps no cookies"),
        "{blocked}"
    );
    assert_eq!(logins(), before + 1);
    assert_eq!(blocked.url(), stage.page("room01", "ann"));
}

#[tokio::test]
async fn a_site_that_is_not_listed_can_frame_neither_the_client_nor_our_pages() {
    for listed in ["", "session.frame_ancestors = ['https://other.test']"] {
        let stage = Stage::with(listed).await;
        let mut browser = stage.browser();
        let token = stage.token("room01", "ann");
        for link in [
            stage.link(&token),
            stage.link("x"),
            format!("{}/conference/", stage.origin()),
        ] {
            frames(&stage, &link, "");
            let blocked = browser.step(json!({"tab": 1, "goto": COURSE})).await;
            assert_eq!(
                text(blocked.frame(), "url"),
                "chrome-error://chromewebdata/",
                "{blocked}"
            );
            assert!(
                blocked.console()[0].as_str().unwrap().contains("frame-ancestors"),
                "{blocked}"
            );
            // A link asks which meeting runs, and that is all.
            for asked in stage.server.requests() {
                assert_eq!(asked.target, "/auth/room/getActiveRoomInfo");
            }
        }
        // And what the frame left in the jar is good for nothing but its own page.
        let own = browser
            .step(json!({"tab": 1, "goto": stage.link(&token), "until": READY}))
            .await;
        assert_in(&stage, &own, ROOM, &token);
    }
}

/// A frame with an origin of its own: scripts in it see neither cookies nor storage, whatever the browser keeps.
#[tokio::test]
async fn in_a_sandbox_the_client_finds_its_token_too() {
    let stage = Stage::with(LISTED).await;
    for setting in [NONE_OF_THIRD_PARTIES, NONE_AT_ALL] {
        let mut browser = browser(&stage, setting);
        let token = stage.token("room01", "ann");
        frames(&stage, &stage.link(&token), "sandbox=\"allow-scripts\"");
        let [opened, shown] = framed(&mut browser, READY).await;
        assert_frame_in(&stage, shown.frame(), ROOM, &token);
        assert_no_leak(&[&opened, &shown], &token, 1);
        if setting == NONE_AT_ALL {
            continue;
        }
        for _ in 0..2 {
            let again = browser
                .step(json!({"tab": 1, "frame": 1, "reload": true, "until": READY}))
                .await;
            assert_eq!(text(again.frame(), "text").trim(), "ann is in room01", "{again}");
            assert_no_leak(&[&again], &stage.verified(), 0);
            stage.clock.advance(HOUR);
        }
        assert_ne!(stage.verified(), token);
    }
}
