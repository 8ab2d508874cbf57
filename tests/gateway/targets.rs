//! Targets and the URL space, over real sockets: what is refused, where each path leads, and in which bytes.

use std::time::Duration;

use crate::support::{
    self, Gateway,
    h2::{H2, Outcome},
    plugnmeet::bbb_target,
    raw::{Ended, Raw, RawUpstream},
    upstream::Upstream,
};
use tokio::net::TcpStream;

const WINDOW: u32 = 65_535;

/// What somebody would read in another way than we do.
const REFUSED: &[(&str, &str)] = &[
    ("/api/../auth/room/create", "the path has a dot segment"),
    ("/api/..", "the path has a dot segment"),
    ("/api/.", "the path has a dot segment"),
    ("/api/./verifyToken", "the path has a dot segment"),
    ("/api/%2e%2e/auth", "the path has a dot segment"),
    ("/api/%2E./auth", "the path has a dot segment"),
    ("/api/.%2e/auth", "the path has a dot segment"),
    ("/api/%2e/verifyToken", "the path has a dot segment"),
    ("/api/%252e%252e/auth", "the path has a dot segment"),
    ("/api/%25252e%25252e/auth", "the path has a dot segment"),
    ("/api/..?x=1", "the path has a dot segment"),
    (
        "/download/uploadedFile/a%2F..%2F..%2Fetc",
        "the path has a dot segment",
    ),
    (
        "/download/uploadedFile/%2e%2e%2fetc",
        "the path has a dot segment",
    ),
    (
        "/download/uploadedFile/a%252F..%252Fb",
        "the path has a dot segment",
    ),
    ("//api/verifyToken", "the path has an empty segment"),
    ("/api//verifyToken", "the path has an empty segment"),
    ("/api/verifyToken//", "the path has an empty segment"),
    ("//", "the path has an empty segment"),
    (
        "//evil.example/%2e%2e?access_token=x",
        "the path has an empty segment",
    ),
    ("/api%2FverifyToken", "the path has an encoded slash"),
    ("/api/a%2fb", "the path has an encoded slash"),
    ("/download/recording/a%2Fb", "the path has an encoded slash"),
    ("/download/uploadedFiles/a%2Fb", "the path has an encoded slash"),
    ("/livekit%2frtc", "the path has an encoded slash"),
    ("/api\\verifyToken", "the path has a backslash"),
    ("/api/%5cverifyToken", "the path has a backslash"),
    ("/api/%5CverifyToken", "the path has a backslash"),
    ("/api/..%5c..%5cetc", "the path has a backslash"),
    ("/api/%255c", "the path has a backslash"),
    ("/download/uploadedFile/a%5Cb", "the path has a backslash"),
    ("/api/a%00b", "the path has a control byte"),
    ("/api/a%0d%0aX-Y:%20z", "the path has a control byte"),
    ("/api/a%7f", "the path has a control byte"),
    ("/api/a%1F", "the path has a control byte"),
    ("/api/a%2", "the path has a broken percent encoding"),
    ("/api/a%g0", "the path has a broken percent encoding"),
];

async fn in_front_of(upstream: &Upstream) -> Gateway {
    Gateway::everything_to(&upstream.url(), "").await
}

#[tokio::test]
async fn every_second_spelling_of_a_path_is_refused_and_reaches_nobody() {
    let upstream = Upstream::answering("reached").await;
    let gateway = in_front_of(&upstream).await;
    for (target, why) in REFUSED {
        let head = gateway.head(&format!("GET {target} HTTP/1.1"));
        let answer = gateway.client().ask_raw(format!("{head}\r\n")).await;
        assert_eq!(
            (answer.status, answer.message().as_str()),
            (400, *why),
            "{target}"
        );
    }
    assert!(upstream.saw_nothing(), "{:?}", upstream.requests());
}

#[tokio::test]
async fn every_second_spelling_of_a_path_is_refused_over_http_2_too() {
    let upstream = Upstream::answering("reached").await;
    let gateway = in_front_of(&upstream).await;
    let authority = format!("localhost:{}", gateway.https.port());
    let mut connection = H2::connect(&gateway.client(), WINDOW).await;
    for (at, (target, _)) in REFUSED.iter().enumerate() {
        let stream = u32::try_from(at * 2 + 1).unwrap();
        connection
            .request(
                stream,
                &[
                    (":method", "GET"),
                    (":scheme", "https"),
                    (":authority", &authority),
                    (":path", target),
                ],
            )
            .await;
        let outcome = connection.outcome(stream).await;
        assert_eq!(outcome, Outcome::Status(400), "{target}");
    }
    assert!(upstream.saw_nothing(), "{:?}", upstream.requests());
}

/// Raw bytes in a target that no URL has; what comes of the connection is the parser's affair.
#[tokio::test]
async fn a_raw_control_byte_or_blank_in_the_target_is_refused() {
    let upstream = Upstream::answering("reached").await;
    let gateway = in_front_of(&upstream).await;
    for target in [
        "/api/a\tb",
        "/api/a\0b",
        "/api/a\x01b",
        "/api/a\x7fb",
        "/api/a b",
        "/api/a\rb",
        "/api/a?x=\x01",
        "/api/a?x=\x7f",
        "/api/a?x=\t",
        "/api/a?x y",
        "/api/a\x0bb",
    ] {
        let head = gateway.head(&format!("GET {target} HTTP/1.1"));
        let answer = gateway
            .client()
            .send_raw(format!("{head}Connection: close\r\n\r\n").as_bytes())
            .await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{target:?} {answer}");
    }
    assert!(upstream.saw_nothing(), "{:?}", upstream.requests());
}

#[tokio::test]
async fn a_fragment_is_refused() {
    let upstream = Upstream::answering("reached").await;
    let gateway = in_front_of(&upstream).await;
    for target in [
        "/api/verifyToken#",
        "/api/verifyToken#x",
        "/api/verifyToken?x=1#y",
        "/#",
    ] {
        let head = gateway.head(&format!("GET {target} HTTP/1.1"));
        let answer = gateway
            .client()
            .send_raw(format!("{head}Connection: close\r\n\r\n").as_bytes())
            .await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{target} {answer}");
        assert!(
            answer.contains("he request target has a fragment"),
            "{target} {answer}"
        );
    }
    assert!(upstream.saw_nothing(), "{:?}", upstream.requests());
}

/// HTTP/2 leaves no raw target to look at: the library cuts a fragment off before anybody sees it.
#[tokio::test]
async fn over_http_2_a_fragment_goes_no_further() {
    let upstream = Upstream::answering("reached").await;
    let gateway = in_front_of(&upstream).await;
    let authority = format!("localhost:{}", gateway.https.port());
    let mut connection = H2::connect(&gateway.client(), WINDOW).await;
    connection
        .request(
            1,
            &[
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", &authority),
                (":path", "/api/verifyToken?x=1#y"),
            ],
        )
        .await;
    let outcome = connection.outcome(1).await;
    assert!(matches!(outcome, Outcome::Status(200)), "{outcome:?}");
    assert_eq!(upstream.only_request().target, "/api/verifyToken?x=1");
}

#[tokio::test]
async fn a_request_names_one_host_and_it_is_ours() {
    let upstream = Upstream::answering("reached").await;
    let gateway = Gateway::with(&format!(
        "public_origin = 'https://Conf.Example.org'\nhosts = ['meet.example.org']\nupstreams.server = ['{}']",
        upstream.url()
    ))
    .await;
    let ask = async |target: &str, fields: &str| {
        let request = format!("GET {target} HTTP/1.1\r\n{fields}Connection: close\r\n\r\n");
        let answer = gateway.client().ask_raw(request).await;
        (answer.status, answer.message())
    };
    let not_one = (400, "the request does not name one host".to_owned());
    for fields in [
        "",
        "Host:\r\n",
        "Host: conf.example.org\r\nHost: conf.example.org\r\n",
        "Host: conf.example.org\r\nX: y\r\nhost: meet.example.org\r\n",
        "Host: conf.example.org, meet.example.org\r\n",
        "Host: conf.example.org meet.example.org\r\n",
        "Host: user@conf.example.org\r\n",
        "Host: conf.example.org:\r\n",
        "Host: conf.example.org:99999\r\n",
        "Host: conf.example.org/x\r\n",
        "Host: https://conf.example.org\r\n",
    ] {
        assert_eq!(ask("/api/x", fields).await, not_one, "{fields}");
    }
    let not_ours = (421, "this host is not served here".to_owned());
    for name in [
        "evil.example",
        "conf.example.org..",
        "conf.example.org.evil.example",
        "xconf.example.org",
        "example.org",
        "127.0.0.2",
        "[::2]:443",
        "0.0.0.0",
    ] {
        assert_eq!(
            ask("/api/x", &format!("Host: {name}\r\n")).await,
            not_ours,
            "{name}"
        );
    }
    assert_eq!(
        ask(
            "/api/x",
            "X-Forwarded-Host: conf.example.org\r\nHost: evil.example\r\n"
        )
        .await,
        not_ours
    );
    assert!(upstream.saw_nothing(), "{:?}", upstream.requests());

    for name in [
        "conf.example.org",
        "CONF.example.ORG:1",
        "meet.example.org:443",
        "localhost",
        "127.0.0.1:8443",
        "[::1]",
        "conf.example.org.",
        "Meet.example.org.:8443",
        "localhost.",
    ] {
        let answer = gateway.get("/api/x", &[("host", name)]).await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "reached"),
            "{name}"
        );
        assert_eq!(upstream.requests().last().unwrap().header("host"), Some(name));
    }
}

/// RFC 9113 section 8.3.1: `:authority` is the host there, and a `Host` that differs is malformed.
#[tokio::test]
async fn over_http_2_the_authority_is_the_host_and_none_may_differ() {
    let upstream = Upstream::answering("reached").await;
    let gateway = in_front_of(&upstream).await;
    let authority = format!("localhost:{}", gateway.https.port());
    let fields = |more: &[(&'static str, &str)]| -> Vec<(String, String)> {
        [(":method", "GET"), (":scheme", "https"), (":path", "/api/x")]
            .iter()
            .chain(more)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    let ask = async |fields: Vec<(String, String)>| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let mut connection = H2::connect(&gateway.client(), WINDOW).await;
        connection.request(1, &fields).await;
        connection.outcome(1).await
    };
    for refused in [
        fields(&[]),
        fields(&[(":authority", &authority), ("host", "evil.example")]),
        fields(&[
            (":authority", &authority),
            ("host", &authority),
            ("host", &authority),
        ]),
        fields(&[(":authority", &authority), (":authority", &authority)]),
    ] {
        let outcome = ask(refused.clone()).await;
        assert!(
            matches!(
                outcome,
                Outcome::Status(400) | Outcome::Reset(_) | Outcome::Closed
            ),
            "{refused:?} {outcome:?}"
        );
    }
    assert_eq!(
        ask(fields(&[(":authority", "evil.example")])).await,
        Outcome::Status(421)
    );
    assert!(upstream.saw_nothing(), "{:?}", upstream.requests());

    assert_eq!(
        ask(fields(&[(":authority", &authority)])).await,
        Outcome::Status(200)
    );
    assert_eq!(upstream.only_request().header("host"), Some(authority.as_str()));
}

/// RFC 9112 section 3.2.2.
#[tokio::test]
async fn an_absolute_target_counts_only_with_the_same_host() {
    let upstream = RawUpstream::content().await;
    let gateway = Gateway::everything_to(&upstream.url(), "").await;
    let ours = format!("localhost:{}", gateway.https.port());
    let ask = async |target: &str, host: &str| {
        gateway
            .client()
            .ask_raw(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await
    };
    for (target, host, status) in [
        (format!("https://{ours}/api/x"), "evil.example", 400),
        ("https://evil.example/api/x".to_owned(), ours.as_str(), 400),
        ("https://evil.example/api/x".to_owned(), "evil.example", 421),
        (format!("https://x@{ours}/api/x"), ours.as_str(), 400),
        (format!("https://{ours}/api/../x"), ours.as_str(), 400),
    ] {
        assert_eq!(ask(&target, host).await.status, status, "{target} {host}");
    }
    assert!(upstream.saw_nothing());
    assert_eq!(
        ask(&format!("https://{ours}/api/x?y=%2F"), &ours).await.status,
        200
    );
    assert_eq!(upstream.only_request_line(), "GET /api/x?y=%2F HTTP/1.1");
}

#[tokio::test]
async fn a_target_that_is_no_path_is_refused() {
    let upstream = Upstream::answering("reached").await;
    let gateway = in_front_of(&upstream).await;
    let ours = format!("localhost:{}", gateway.https.port());
    for line in [
        format!("CONNECT {ours} HTTP/1.1"),
        "CONNECT /api/x HTTP/1.1".into(),
        "OPTIONS * HTTP/1.1".into(),
        "GET * HTTP/1.1".into(),
        "GET api/x HTTP/1.1".into(),
        format!("GET {ours} HTTP/1.1"),
        "GET ?x=1 HTTP/1.1".into(),
    ] {
        let request = format!("{}Connection: close\r\n\r\n", gateway.head(&line));
        let answer = gateway.client().send_raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{line} {answer}");
    }
    assert!(upstream.saw_nothing(), "{:?}", upstream.requests());
}

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

/// The mount is the usual wrong base URL of an integration: what it hears has to be something that it can show.
#[tokio::test]
async fn a_call_of_the_api_below_the_mount_is_told_which_address_was_meant() {
    let upstream = Upstream::answering("reached").await;
    let gateway = in_front_of(&upstream).await;
    let json = ("content-type", "application/json");
    let html = ("accept", "text/html,*/*");
    let origin = gateway.origin();
    for (method, target, fields, meant) in [
        (
            "POST",
            "/conference/auth/room/getJoinToken",
            &[json][..],
            "/auth/room/getJoinToken",
        ),
        (
            "POST",
            "/conference/auth/room/create",
            &[html],
            "/auth/room/create",
        ),
        (
            "POST",
            "/conference/Auth/recorder/notify",
            &[("content-type", "application/protobuf")],
            "/Auth/recorder/notify",
        ),
        ("GET", "/conference/auth/x", &[html, ("api-key", "k")], "/auth/x"),
        ("POST", "/conference/api/verifyToken", &[html], "/api/verifyToken"),
        (
            "POST",
            "/conference/lti/v1/api/room/join",
            &[],
            "/lti/v1/api/room/join",
        ),
        (
            "POST",
            "/conference/download/recording/secret-token",
            &[],
            "/download/recording/***",
        ),
    ] {
        let answer = gateway.client().request(method, target, fields, b"{}").await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (404, Some("application/json")),
            "{target}"
        );
        assert_eq!(
            answer.json(),
            serde_json::json!({
                "status": false,
                "msg": format!("the API has no prefix: its address is {origin}, and {origin}{meant} was meant"),
                "status_code": "NOT_FOUND",
            })
        );
    }
    let bbb = gateway
        .get("/conference/the-key/bigbluebutton/api/create?name=x", &[html])
        .await;
    assert_eq!(bbb.header("content-type"), Some("application/xml; charset=utf-8"));
    assert!(
        bbb.text().contains("/***/bigbluebutton/api/create was meant"),
        "{}",
        bbb.text()
    );
    let page = gateway.get("/conference/auth/room/create", &[html]).await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (404, Some("text/html; charset=utf-8"))
    );
    assert!(upstream.saw_nothing(), "{:?}", upstream.requests());
}

/// A page is of no use to a program, wherever its call went.
#[tokio::test]
async fn whoever_calls_an_api_gets_the_servers_json_on_any_path() {
    let upstream = Upstream::answering("reached").await;
    let gateway = in_front_of(&upstream).await;
    let html = ("accept", "text/html,*/*");
    for target in [
        "/nowhere",
        "/conference",
        "/conference/",
        "/conference/x",
        "/",
        "/room/getJoinToken",
        "//auth",
    ] {
        for (method, fields) in [
            ("POST", &[html][..]),
            (
                "POST",
                &[html, ("content-type", "application/json; charset=utf-8")],
            ),
            ("PUT", &[html, ("api-key", "k")]),
            ("DELETE", &[html, ("content-type", "application/protobuf")]),
        ] {
            let answer = gateway.client().request(method, target, fields, b"{}").await;
            assert!(answer.status >= 400, "{method} {target}");
            assert_eq!(
                answer.header("content-type"),
                Some("application/json"),
                "{method} {target}"
            );
            let json = answer.json();
            let names: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(names, ["status", "msg", "status_code"], "{method} {target}");
        }
    }
    assert!(upstream.saw_nothing(), "{:?}", upstream.requests());
}

/// DNS rebinding: a page whose name leads to this machine would read what the operator's listener says.
#[tokio::test]
async fn the_operators_listener_is_asked_by_an_address_or_by_a_name_that_is_listed() {
    let gateway = Gateway::with("listen.admin_hosts = ['gateway.internal']").await;
    let admin = gateway.admin;
    let ask = async |fields: &str| {
        let request = format!("GET /metrics HTTP/1.1\r\n{fields}Connection: close\r\n\r\n");
        plain(admin, &request).await.status
    };
    for host in [
        "127.0.0.1",
        "127.0.0.1:9180",
        "10.1.2.3:9180",
        "[::1]:9180",
        "localhost:9180",
        "LocalHost.",
        "Gateway.internal:9180",
        "gateway.internal.",
    ] {
        assert_eq!(ask(&format!("Host: {host}\r\n")).await, 200, "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:9180",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "xlocalhost",
        "gateway.internal.evil.example",
        "evil@127.0.0.1",
        "",
        "127.0.0.1\r\nHost: 127.0.0.1",
    ] {
        assert_eq!(ask(&format!("Host: {host}\r\n")).await, 421, "{host}");
    }
    assert_eq!(ask("").await, 421);
    let old = plain(admin, "GET /livez HTTP/1.0\r\n\r\n").await;
    assert_eq!(old.status, 200);
    let traced = plain(
        admin,
        &format!("TRACE /x HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n"),
    )
    .await;
    assert_eq!(traced.status, 405);
}

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

async fn plain(addr: std::net::SocketAddr, request: &str) -> support::raw::RawAnswer {
    let mut connection = Raw::over(TcpStream::connect(addr).await.unwrap());
    connection.send(request).await;
    connection.answer().await
}

/// docs/plugnmeet.md section 8: the server takes every method there.
#[tokio::test]
async fn the_servers_health_is_asked_for_with_any_method() {
    let upstream = Upstream::answering("Healthy").await;
    let gateway = Gateway::everything_to(&upstream.url(), "").await;
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        for target in ["/healthCheck", "/healthcheck/x"] {
            let answer = gateway.client().request(method, target, &[], b"").await;
            assert_eq!(answer.status, 200, "{method} {target} {answer:?}");
        }
    }
    assert_eq!(upstream.requests().len(), 14);
}

#[tokio::test]
async fn plain_http_leads_to_https_at_a_name_of_ours_and_nowhere_else() {
    let upstream = Upstream::answering("reached").await;
    let gateway = Gateway::with(&format!(
        "public_origin = 'https://conf.example.org:8443'\nhosts = ['meet.example.org']\nupstreams.server = ['{}']",
        upstream.url()
    ))
    .await;
    let ask = async |line: &str, fields: &str| plain(gateway.http, &format!("{line}\r\n{fields}\r\n")).await;
    for (line, host, location) in [
        (
            "GET / HTTP/1.1",
            "conf.example.org",
            "https://conf.example.org:8443/",
        ),
        (
            "GET /a%20b?c=%2F&&d HTTP/1.1",
            "CONF.example.org:80",
            "https://conf.example.org:8443/a%20b?c=%2F&&d",
        ),
        (
            "POST /api/x? HTTP/1.1",
            "meet.example.org",
            "https://meet.example.org:8443/api/x?",
        ),
        (
            "GET /conference/?access_token=x HTTP/1.1",
            "[::1]:80",
            "https://[::1]:8443/conference/?access_token=x",
        ),
    ] {
        let answer = ask(line, &format!("Host: {host}\r\n")).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (308, Some(location)),
            "{line}"
        );
    }
    for (line, fields, status) in [
        ("GET / HTTP/1.1", "Host: evil.example\r\n", 421),
        (
            "GET / HTTP/1.1",
            "X-Forwarded-Host: conf.example.org\r\nHost: evil.example\r\n",
            421,
        ),
        ("GET / HTTP/1.1", "", 400),
        (
            "GET / HTTP/1.1",
            "Host: conf.example.org\r\nHost: conf.example.org\r\n",
            400,
        ),
        ("GET //evil.example/ HTTP/1.1", "Host: conf.example.org\r\n", 400),
        ("GET /\\evil.example/ HTTP/1.1", "Host: conf.example.org\r\n", 400),
        ("GET /a%0d%0ab HTTP/1.1", "Host: conf.example.org\r\n", 400),
        (
            "GET http://evil.example/ HTTP/1.1",
            "Host: conf.example.org\r\n",
            400,
        ),
    ] {
        let answer = ask(line, fields).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (status, None),
            "{line} {fields}"
        );
    }
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn the_operator_asks_on_a_listener_of_its_own_also_during_a_drain() {
    let upstream = RawUpstream::acting(|_, mut connection| async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        connection
            .send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast")
            .await;
    })
    .await;
    let gateway = Gateway::everything_to(&upstream.url(), "").await;
    let (admin, https, http, client) = (gateway.admin, gateway.https, gateway.http, gateway.client());
    let ask = async |target: &str| {
        let answer = plain(
            admin,
            &format!("GET {target} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n"),
        )
        .await;
        (answer.status, answer.text())
    };
    assert_eq!(ask("/livez").await, (200, "alive\n".into()));
    assert_eq!(ask("/readyz").await, (200, "ready\n".into()));
    assert_eq!(ask("/metrics").await.0, 200);
    assert_eq!(ask("/conference/").await.0, 404);

    let head = gateway.head("GET /api/x HTTP/1.1");
    let mut last = client.raw().await;
    last.send(format!("{head}\r\n")).await;
    upstream.arrival().await;
    let stopping = tokio::spawn(gateway.stop());
    while ask("/readyz").await.0 == 200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask("/readyz").await, (503, "draining\n".into()));
    assert_eq!(ask("/livez").await, (200, "alive\n".into()));
    assert!(TcpStream::connect(https).await.is_err(), "nothing new is taken");
    assert!(TcpStream::connect(http).await.is_err(), "nothing new is taken");
    assert_eq!(last.answer().await.text(), "last");
    assert_eq!(last.rest().await, (Vec::new(), Ended::Cleanly));
    stopping.await.unwrap();
    assert!(
        TcpStream::connect(admin).await.is_err(),
        "nobody is there any more"
    );
}
