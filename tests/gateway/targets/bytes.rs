//! In which bytes a target is forwarded, and what is no target of ours.

use super::{in_front_of, plain};
use crate::support::{Gateway, plugnmeet::bbb_target, raw::RawUpstream, upstream::Upstream};

#[tokio::test]
async fn http_1_0_is_answered_once_and_means_the_public_origin_without_a_host() {
    let upstream = Upstream::answering("reached").await;
    let gateway = in_front_of(&upstream).await;
    let without_host = "GET /api/x HTTP/1.0\r\n\r\n".to_owned();
    for request in [
        without_host,
        format!("{}\r\n", gateway.head("GET /api/x HTTP/1.0")),
    ] {
        let answer = gateway.client().send_raw(request.as_bytes()).await;
        assert!(
            answer.contains(" 200 ") && answer.ends_with("reached"),
            "{answer}"
        );
    }
    let host = format!("localhost:{}", gateway.https.port());
    let seen = upstream.requests();
    assert_eq!(seen.len(), 2);
    assert!(
        seen.iter()
            .all(|request| request.header("host") == Some(host.as_str()))
    );
}

/// BBB's checksums and LTI's signatures cover these bytes.
#[tokio::test]
async fn path_and_query_are_forwarded_in_the_bytes_in_which_they_came() {
    let targets = [
        &bbb_target(
            "join",
            "fullName=J%C3%B6rg+M%c3%bcller&meetingID=a%2Fb&x=%5C%2e%2e",
        ),
        &bbb_target(
            "create",
            "&&a=&=b&a=1&a=2;c&%zz&100%&logo=https://x.example//y/../z",
        ),
        &bbb_target("getMeetings", "x={}|^`'[]~!$()*,:@\\").replace("bigbluebutton", "BigBlueButton"),
        &bbb_target("join", "name=J\u{f6}rg"),
        "/download/uploadedFile/SID%2fa+b%20c%2B%25.pdf",
        "/Download/UploadedFile/SID%2Fx.pdf?y=%2F",
        "/api/a;b=1,2/~c/!$&'()*+=:@/%7e%41",
        "/api/verifyToken/",
        "/api/verifyToken?",
        "/lti/v1",
        "/AUTH/x?y",
        "/healthCheck",
        "/HEALTHcheck/Live/x/?y",
    ];
    for target in targets {
        let upstream = RawUpstream::content().await;
        let gateway = Gateway::everything_to(&upstream.url(), "").await;
        let head = gateway.head(&format!("GET {target} HTTP/1.1"));
        let answer = gateway
            .client()
            .ask_raw(format!("{head}API-KEY: plugnmeet\r\nHASH-SIGNATURE: 0\r\n\r\n"))
            .await;
        assert_eq!(answer.status, 200, "{target} {answer:?}");
        assert_eq!(upstream.only_request_line(), format!("GET {target} HTTP/1.1"));
    }
}

#[tokio::test]
async fn prefixes_are_taken_off_but_for_whip_and_a_token_there_is_none_of_ours() {
    let rows = [
        ("/livekit/rtc?x", "/rtc?x"),
        ("/livekit/settings/regions", "/settings/regions"),
        (
            "/livekit/rtc/v1?access_token=a.b.c&access_token=d&join_request=%2F",
            "/rtc/v1?access_token=a.b.c&access_token=d&join_request=%2F",
        ),
        ("/livekit/rtc/livekit/ws", "/rtc/livekit/ws"),
        ("/ws", "/"),
        ("/ws/", "/"),
        ("/ws?access_token=x", "/?access_token=x"),
        ("/etherpad/p/a%20b/?c", "/p/a%20b/?c"),
        ("/whip", "/whip"),
        ("/whip/key?access_token=", "/whip/key?access_token="),
    ];
    for (target, seen) in rows {
        let upstream = RawUpstream::content().await;
        let gateway = Gateway::everything_to(&upstream.url(), "").await;
        let answer = gateway.get(target, &[]).await;
        assert_eq!(answer.status, 200, "{target}");
        assert_eq!(answer.header("set-cookie"), None);
        assert_eq!(
            upstream.only_request_line(),
            format!("GET {seen} HTTP/1.1"),
            "{target}"
        );
    }
}

/// Their operators' pages are behind the same prefix.
#[tokio::test]
async fn what_lies_beside_meetings_at_an_upstream_is_404_unless_it_is_exposed() {
    const BESIDE: [(&str, &[&str]); 3] = [
        ("ws", &["/ws/x", "/ws/varz", "/ws/ws"]),
        (
            "livekit",
            &[
                "/livekit",
                "/livekit/",
                "/livekit?x",
                "/livekit/debug/pprof/",
                "/livekit/metrics",
                "/livekit/rtcx",
                "/livekit/Twirp/x",
                "/livekit/%72tc",
            ],
        ),
        (
            "etherpad_admin",
            &[
                "/etherpad/admin",
                "/etherpad/admin/plugins",
                "/etherpad/ADMIN",
                "/etherpad/%61dmin/",
                "/etherpad/%2561dmin",
                "/etherpad/admin-auth/",
            ],
        ),
    ];
    let upstream = Upstream::answering("reached").await;
    let gateway = in_front_of(&upstream).await;
    for target in BESIDE.iter().flat_map(|(_, targets)| *targets) {
        assert_eq!(gateway.get(target, &[]).await.status, 404, "{target}");
    }
    assert!(upstream.saw_nothing(), "{:?}", upstream.requests());
    for (name, targets) in BESIDE {
        let upstream = Upstream::answering("reached").await;
        let gateway =
            Gateway::everything_to(&upstream.url(), &format!("upstreams.expose = ['{name}']")).await;
        for target in targets {
            assert_eq!(gateway.get(target, &[]).await.text(), "reached", "{target}");
        }
        let hidden = BESIDE.iter().filter(|(other, _)| *other != name);
        for target in hidden.flat_map(|(_, targets)| *targets) {
            assert_eq!(gateway.get(target, &[]).await.status, 404, "{name} {target}");
        }
    }
}

/// RFC 9110 section 9.1: methods are told apart by case, and nobody behind us gives one a meaning of its own.
#[tokio::test]
async fn a_method_that_http_does_not_know_is_405_before_any_route() {
    let upstream = Upstream::answering("reached").await;
    let gateway = in_front_of(&upstream).await;
    let client = gateway.client();
    let targets = [
        "/",
        "/conference/",
        "/api/x",
        "/auth/room/getJoinToken",
        "/key/bigbluebutton/api/join",
        "/ws",
        "/livekit/rtc",
        "/etherpad/x",
        "/whip/x",
        "/webhook",
        "/nowhere",
    ];
    for method in ["TRACE", "PROPFIND", "get", "TRACK", "QUERY", "M-SEARCH"] {
        for target in targets {
            let over_1 = client.request(method, target, &[], b"").await;
            let over_2 = client.request_h2(method, target, &[], b"").await;
            for answer in [over_1, over_2] {
                assert_eq!(answer.status, 405, "{method} {target}");
                let allow = "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH";
                assert_eq!(answer.header("allow"), Some(allow), "{method} {target}");
            }
        }
        let answer = client.request(method, "/auth/room/create", &[], b"").await;
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(
            answer.json(),
            serde_json::json!({"status": false, "msg": "this method is not known here", "status_code": "INVALID_PARAMETERS"})
        );
        let plain_http = format!("{method} / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assert_eq!(plain(gateway.http, &plain_http).await.status, 405, "{method}");
    }
    assert!(upstream.saw_nothing(), "{:?}", upstream.requests());
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = client.request(method, "/livekit/rtc", &[], b"").await;
        assert_eq!(answer.text(), "reached", "{method}");
    }
}
