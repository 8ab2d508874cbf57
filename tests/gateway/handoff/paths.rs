//! At which paths a token is taken, and where people are sent.

use super::{assert_handed_off, assert_page, cookie, path_of, set_cookie};
use crate::support::{Gateway, upstream::Upstream};

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
