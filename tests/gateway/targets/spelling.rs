//! Targets and hosts that can be read in two ways.

use super::in_front_of;
use crate::support::{
    Gateway,
    h2::{H2, Outcome},
    raw::RawUpstream,
    upstream::Upstream,
};

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
