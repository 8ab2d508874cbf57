//! The page of a session, and the page without one.

use std::time::Duration;

use super::{JSON, assert_handed_off, assert_page, assert_sets_nothing, cookie, path_of, set_cookie};
use crate::support::{Gateway, client::Answer, folder_of};

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
