//! Where each path leads.

use super::in_front_of;
use crate::support::{Gateway, plugnmeet::bbb_target, upstream::Upstream};

#[tokio::test]
async fn each_prefix_leads_to_its_own_upstream() {
    let named = ["server", "livekit", "nats", "etherpad", "ingress"];
    let mut upstreams = Vec::new();
    for name in named {
        upstreams.push(Upstream::answering(name).await);
    }
    let url = |at: usize| upstreams[at].url();
    let gateway = Gateway::with(&format!(
        "upstreams.server = ['{}']\nupstreams.livekit = '{}'\nupstreams.nats = '{}'\nupstreams.etherpad = '{}'\nupstreams.ingress = '{}'",
        url(0), url(1), url(2), url(3), url(4)
    ))
    .await;
    for (target, name) in [
        ("/api/x", "server"),
        ("/webhook", "server"),
        ("/livekit/rtc", "livekit"),
        ("/ws", "nats"),
        ("/etherpad/x", "etherpad"),
        ("/whip/x", "ingress"),
    ] {
        assert_eq!(gateway.get(target, &[]).await.text(), name, "{target}");
    }
}

#[tokio::test]
async fn what_is_on_no_route_is_404_and_reaches_nobody() {
    let upstream = Upstream::answering("reached").await;
    let gateway = in_front_of(&upstream).await;
    for target in [
        "/apix",
        "/apis/verifyToken",
        "/authx",
        "/wsx",
        "/livekitx",
        "/livekit2/rtc",
        "/whips",
        "/etherpads/x",
        "/downloads/x",
        "/webhooks",
        "/webhook/x",
        "/lti",
        "/lti/v2",
        "/lti/v1x",
        "/healthCheckx",
        "/key/bigbluebutton/apix",
        "/key/bigbluebutton",
        "/bigbluebutton/api",
        "/a/b/bigbluebutton/api",
        "/WS",
        "/LiveKit/rtc",
        "/conferences",
        "/conference/api/verifyToken",
        "/conference/bigbluebutton/api/join",
        "/.env",
        "/.well-known/x",
        "/index.php",
        "/login",
        "/login.html",
        "/LOGIN.html",
        "/login/x",
        "/loginx",
        "/metrics",
        "/Metrics/",
        "/livez",
        "/readyz",
    ] {
        let answer = gateway.get(target, &[]).await;
        assert_eq!(answer.status, 404, "{target} {answer:?}");
    }
    assert!(upstream.saw_nothing(), "{:?}", upstream.requests());
}

/// An upstream that is not configured has no paths.
#[tokio::test]
async fn without_their_upstream_paths_are_404() {
    let server = Upstream::answering("reached").await;
    let gateway = Gateway::in_front_of(&server).await;
    for target in ["/ws", "/livekit/rtc", "/etherpad/x", "/whip"] {
        assert_eq!(gateway.get(target, &[]).await.status, 404, "{target}");
    }
    assert!(server.saw_nothing());
}

/// docs/plugnmeet.md section 0.1: its router ignores case and a trailing slash, so we do where a path is guarded.
#[tokio::test]
async fn whatever_the_server_takes_for_a_guarded_endpoint_is_guarded_here() {
    let upstream = Upstream::answering("reached").await;
    let gateway = in_front_of(&upstream).await;
    for target in [
        "/auth/room/getJoinToken",
        "/AUTH/Room/getjointoken/",
        "/auth/room/getJoinToken?x=1",
        "/Auth/room/create",
        "/auth",
        "/auth/",
        "/auth/room/getJoin%54oken",
    ] {
        let answer = gateway.post(target, &[], b"{}").await;
        assert_eq!(
            (answer.status, answer.json()["msg"].as_str()),
            (401, Some("Missing API-KEY header.")),
            "{target}"
        );
    }
    assert!(upstream.saw_nothing(), "{:?}", upstream.requests());
    for target in [
        "/API/verifyToken",
        "/HEALTHCHECK/",
        "/Lti/V1/api/room/join",
        &bbb_target("join", "meetingID=a").replace("bigbluebutton/api", "BIGBLUEBUTTON/Api"),
        "/WebHook",
    ] {
        assert_eq!(gateway.get(target, &[]).await.text(), "reached", "{target}");
    }
}

#[tokio::test]
async fn login_and_metrics_are_forwarded_once_they_are_exposed() {
    for (exposed, reached, hidden) in [
        (
            "'login'",
            ["/login", "/login.html", "/LOGINx"],
            ["/metrics", "/Metrics", "/metrics/"],
        ),
        (
            "'metrics'",
            ["/metrics", "/Metrics", "/metrics/"],
            ["/login", "/login.html", "/LOGINx"],
        ),
    ] {
        let upstream = Upstream::answering("reached").await;
        let gateway =
            Gateway::everything_to(&upstream.url(), &format!("upstreams.expose = [{exposed}]")).await;
        for target in hidden {
            assert_eq!(gateway.get(target, &[]).await.status, 404, "{target}");
        }
        assert!(upstream.saw_nothing());
        for target in reached {
            assert_eq!(gateway.get(target, &[]).await.text(), "reached", "{target}");
        }
    }
}

#[tokio::test]
async fn the_way_to_the_mount_keeps_the_query_and_names_no_host() {
    let upstream = Upstream::answering("reached").await;
    let gateway = in_front_of(&upstream).await;
    for (target, status, location) in [
        ("/", 302, "/conference/"),
        ("/?a=%2F&b", 302, "/conference/?a=%2F&b"),
        ("/conference", 308, "/conference/"),
        ("/conference?a=b%20c&&d=\\", 308, "/conference/?a=b%20c&&d=\\"),
    ] {
        let answer = gateway.get(target, &[("x-forwarded-host", "evil.example")]).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (status, Some(location)),
            "{target}"
        );
    }
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn a_token_is_handed_off_at_once_wherever_people_are_sent() {
    let upstream = Upstream::answering("reached").await;
    let gateway = in_front_of(&upstream).await;
    let token = gateway.token("room01", "ann");
    for path in ["/", "/conference", "/conference/", "/conference/index.html"] {
        let answer = gateway
            .get(&format!("{path}?x=1&access_token={token}&y=%2F"), &[])
            .await;
        assert_eq!(answer.status, 303, "{path} {answer:?}");
        let location = answer.header("location").unwrap();
        assert!(
            location.starts_with("/conference/s/") && location.ends_with("/?x=1&y=%2F"),
            "{location}"
        );
        assert!(
            answer
                .set_cookie("pnm_access_token")
                .unwrap()
                .starts_with(&format!("pnm_access_token={token};"))
        );
    }
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn mounted_at_the_root_the_client_leaves_the_upstreams_their_paths() {
    let upstream = Upstream::answering("reached").await;
    let gateway = Gateway::everything_to(&upstream.url(), "client.mount = '/'").await;
    let token = gateway.token("room01", "ann");
    let answer = gateway.get(&format!("/?access_token={token}"), &[]).await;
    assert_eq!(answer.status, 303);
    let location = answer.header("location").unwrap();
    assert!(location.starts_with("/s/"), "{location}");
    let page = gateway
        .get(location, &[("cookie", &format!("pnm_access_token={token}"))])
        .await;
    assert_eq!(page.status, 200, "{page:?}");
    assert_eq!(gateway.get("/assets/config.js", &[]).await.status, 200);
    assert_eq!(gateway.get("/nothing.js", &[]).await.status, 404);
    assert_eq!(gateway.get("/metrics", &[]).await.status, 404);
    assert_eq!(gateway.get("/login.html", &[]).await.status, 404);
    assert!(upstream.saw_nothing());
    for target in [
        "/api/verifyToken",
        "/ws",
        "/livekit/rtc",
        &bbb_target("join", "meetingID=a"),
        "/healthCheck",
    ] {
        assert_eq!(gateway.get(target, &[]).await.text(), "reached", "{target}");
    }
}
