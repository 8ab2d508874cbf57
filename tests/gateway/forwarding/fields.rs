//! Header fields on their way to an upstream: what stays here, what is said anew, what is relied on.

use super::*;

/// RFC 9110 section 7.6.1.
#[tokio::test]
async fn fields_of_this_hop_stay_here_and_all_connection_lines_count() {
    let upstream = RawUpstream::content().await;
    let gateway = to(&upstream.url()).await;
    let head = gateway.head("GET /api/x HTTP/1.1");
    let fields = "Connection: keep-alive, X-One\r\nX-One: 1\r\nX-Two: 2\r\nconnection: ,,x-two , TE\r\nTE: trailers\r\n\
                  Keep-Alive: timeout=5\r\nProxy-Authorization: Basic eA==\r\nProxy-Connection: keep-alive\r\nTrailer: X-T\r\n\
                  Upgrade: h2c\r\nHTTP2-Settings: x\r\nX-Kept: 1\r\nX-Kept: 2\r\nAccept-Encoding: br\r\n";
    assert_eq!(
        gateway
            .client()
            .ask_raw(format!("{head}{fields}\r\n"))
            .await
            .status,
        200
    );
    let seen = upstream.only_head();
    for name in [
        "x-one",
        "x-two",
        "te",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "trailer",
        "upgrade",
        "connection",
        "transfer-encoding",
    ] {
        assert_eq!(header(&seen, name), None, "{name} {seen}");
    }
    let seen = seen.to_ascii_lowercase();
    assert!(
        seen.contains("x-kept: 1\r\n") && seen.contains("x-kept: 2\r\n"),
        "{seen}"
    );
    assert!(seen.contains("accept-encoding: br\r\n"), "{seen}");
}

#[tokio::test]
async fn connection_cannot_take_off_what_is_relied_on() {
    let upstream = RawUpstream::content().await;
    let gateway = to(&upstream.url()).await;
    let listed = "host, content-length, content-type, api-key, HASH-SIGNATURE, authorization, room-id, x-forwarded-for, \
                  x-forwarded-proto, x-forwarded-host, origin, content-encoding";
    let answer = gateway
        .post(
            "/api/x",
            &[
                ("connection", listed),
                ("authorization", "a.b.c"),
                ("api-key", "k"),
                ("hash-signature", "s"),
                ("room-id", "r"),
                ("origin", "https://o.example"),
                ("content-type", "application/json"),
                ("content-encoding", "identity"),
            ],
            b"{}",
        )
        .await;
    assert_eq!(answer.status, 200);
    let seen = upstream.only_head();
    let host = format!("localhost:{}", gateway.https.port());
    for (name, value) in [
        ("host", host.as_str()),
        ("content-length", "2"),
        ("content-type", "application/json"),
        ("authorization", "a.b.c"),
        ("api-key", "k"),
        ("hash-signature", "s"),
        ("room-id", "r"),
        ("origin", "https://o.example"),
        ("content-encoding", "identity"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", host.as_str()),
    ] {
        assert_eq!(header(&seen, name), Some(value), "{name} {seen}");
    }
}

/// What guards an endpoint must not be taken off by its own request either.
#[tokio::test]
async fn connection_cannot_take_the_signature_off_a_request_that_is_checked_here() {
    let server = plugnmeet::server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let body = r#"{"room_id":"room01"}"#;
    let signature = gateway.keys.requests().signature(body.as_bytes());
    for target in ["/auth/room/isRoomActive", "/AUTH/room/isRoomActive/"] {
        let answer = gateway
            .post(
                target,
                &[
                    ("connection", "api-key, hash-signature"),
                    ("api-key", "plugnmeet"),
                    ("hash-signature", &signature),
                    ("content-type", "application/json"),
                ],
                body.as_bytes(),
            )
            .await;
        assert_eq!(
            (answer.status, answer.json()["is_active"].as_bool()),
            (200, Some(true))
        );
    }
}

const CLAIMS: [(&str, &str); 33] = [
    ("x-forwarded-for", "6.6.6.6"),
    ("x-forwarded-for", "7.7.7.7, 8.8.8.8"),
    ("x-forwarded-proto", "http"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-port", "1"),
    ("x-forwarded-server", "evil"),
    ("x-forwarded-scheme", "http"),
    ("x-forwarded-ssl", "off"),
    ("x-real-ip", "6.6.6.6"),
    ("x-client-ip", "6.6.6.6"),
    ("true-client-ip", "6.6.6.6"),
    ("cf-connecting-ip", "6.6.6.6"),
    ("forwarded", "for=6.6.6.6"),
    ("x-original-forwarded-for", "6.6.6.6"),
    // The server's web framework believes some of these of anybody.
    ("x-url-scheme", "http"),
    ("x-scheme", "http"),
    ("front-end-https", "off"),
    ("x-arr-ssl", "6.6.6.6"),
    ("x-remote-ip", "6.6.6.6"),
    ("x-remote-addr", "6.6.6.6"),
    ("remote-addr", "6.6.6.6"),
    ("x-envoy-external-address", "6.6.6.6"),
    // What balancers and content networks write.
    ("x-originating-ip", "6.6.6.6"),
    ("x-forward-for", "6.6.6.6"),
    ("x-sucuri-clientip", "6.6.6.6"),
    ("x-nf-client-connection-ip", "6.6.6.6"),
    ("do-connecting-ip", "6.6.6.6"),
    ("incap-client-ip", "6.6.6.6"),
    ("ali-cdn-real-ip", "6.6.6.6"),
    ("cdn-src-ip", "6.6.6.6"),
    ("cf-visitor", "{\"scheme\":\"http\"}"),
    ("cloudfront-forwarded-proto", "http"),
    ("x-vercel-forwarded-for", "6.6.6.6"),
];

#[tokio::test]
async fn who_the_client_is_is_said_anew() {
    let upstream = Upstream::answering("").await;
    let gateway = to(&upstream.url()).await;
    let host = format!("localhost:{}", gateway.https.port());
    gateway.get("/api/x", &CLAIMS).await;
    gateway.client().request_h2("GET", "/api/x", &CLAIMS, b"").await;
    for seen in upstream.requests() {
        for (name, value) in [
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", host.as_str()),
            ("host", host.as_str()),
        ] {
            let values: Vec<_> = seen.headers.get_all(name).iter().collect();
            assert_eq!(values, [value], "{name}");
        }
        for (name, _) in CLAIMS
            .iter()
            .filter(|(name, _)| !["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"].contains(name))
        {
            assert!(!seen.headers.contains_key(*name), "{name}");
        }
        assert!(!format!("{:?}", seen.headers).contains("6.6.6.6"));
    }
    assert_eq!(upstream.requests().len(), 2);
}

/// Read from the end, as far as trusted proxies have written it.
#[tokio::test]
async fn a_trusted_proxys_word_counts_and_its_clients_does_not() {
    for (trusted, claims, client) in [
        ("[]", vec!["192.0.2.7"], "127.0.0.1"),
        ("['10.0.0.0/8']", vec!["192.0.2.7"], "127.0.0.1"),
        ("['127.0.0.0/8']", vec!["192.0.2.7"], "192.0.2.7"),
        ("['127.0.0.1']", vec!["6.6.6.6, 192.0.2.7"], "192.0.2.7"),
        (
            "['127.0.0.1', '10.0.0.0/8']",
            vec!["6.6.6.6", "192.0.2.7 , 10.0.0.9"],
            "192.0.2.7",
        ),
        (
            "['127.0.0.1', '10.0.0.0/8']",
            vec!["6.6.6.6, 192.0.2.7", "10.0.0.9"],
            "192.0.2.7",
        ),
        ("['127.0.0.1']", vec!["2001:db8::7"], "2001:db8::7"),
        ("['127.0.0.1']", vec!["192.0.2.7, unknown"], "127.0.0.1"),
        ("['127.0.0.1']", vec![], "127.0.0.1"),
    ] {
        let upstream = Upstream::answering("").await;
        let gateway = Gateway::everything_to(&upstream.url(), &format!("trust.proxies = {trusted}")).await;
        let fields: Vec<_> = claims.iter().map(|claim| ("x-forwarded-for", *claim)).collect();
        gateway.get("/api/x", &fields).await;
        assert_eq!(
            upstream.only_request().header("x-forwarded-for"),
            Some(client),
            "{trusted} {claims:?}"
        );
    }
}

#[tokio::test]
async fn names_with_an_underscore_and_cookies_do_not_reach_the_server() {
    let upstream = RawUpstream::content().await;
    let gateway = to(&upstream.url()).await;
    let fields = [
        ("api_key", "k"),
        ("X_Forwarded_For", "6.6.6.6"),
        ("hash_signature", "s"),
        ("cookie", "pnm_access_token=x"),
        ("cookie", "a=b"),
    ];
    for target in [
        "/api/x",
        "/download/recording/x",
        &bbb_target("join", "meetingID=a"),
        "/healthCheck",
        "/livekit/rtc",
        "/ws",
        "/whip",
    ] {
        gateway.get(target, &fields).await;
        let seen = upstream.heads().pop().unwrap();
        assert!(!seen.contains('_'), "{target} {seen}");
        assert_eq!(header(&seen, "cookie"), None, "{target}");
    }
    gateway.client().request_h2("GET", "/api/x", &fields, b"").await;
    let seen = upstream.heads().pop().unwrap();
    assert!(!seen.contains('_') && header(&seen, "cookie").is_none(), "{seen}");
}

/// Many proxies pass on whatever their own client claims.
#[tokio::test]
async fn what_a_trusted_proxy_says_of_the_host_is_held_to_ours() {
    let upstream = Upstream::answering("").await;
    let config = "trust.proxies = ['127.0.0.1']\nhosts = ['meet.example.org']";
    let gateway = Gateway::everything_to(&upstream.url(), config).await;
    let own = format!("localhost:{}", gateway.https.port());
    for (claimed, seen) in [
        (&["meet.example.org"][..], "meet.example.org"),
        (&["MEET.example.org:444"], "MEET.example.org:444"),
        (&["evil.example"], &own),
        (&["meet.example.org.evil.example"], &own),
        (&["x@meet.example.org"], &own),
        (&["meet.example.org", "meet.example.org"], &own),
        (&["meet.example.org, evil.example"], &own),
        (&[], &own),
    ] {
        let fields: Vec<_> = claimed.iter().map(|host| ("x-forwarded-host", *host)).collect();
        gateway.get("/api/x", &fields).await;
        let request = upstream.requests().pop().unwrap();
        assert_eq!(request.header("x-forwarded-host"), Some(seen), "{claimed:?}");
        assert_eq!(request.header("host"), Some(own.as_str()));
    }
}

/// CVE-2016-5385: behind CGI it is the variable `HTTP_PROXY`.
#[tokio::test]
async fn no_request_says_where_an_upstream_sends_its_own() {
    let upstream = RawUpstream::content().await;
    let gateway = to(&upstream.url()).await;
    for target in ["/api/x", "/etherpad/p/x", "/livekit/rtc", "/webhook"] {
        gateway
            .get(target, &[("proxy", "http://evil.example"), ("x-kept", "1")])
            .await;
        let seen = upstream.heads().pop().unwrap();
        assert_eq!(
            (header(&seen, "proxy"), header(&seen, "x-kept")),
            (None, Some("1")),
            "{target}"
        );
    }
}

/// A cookie is bytes: one that is no ASCII must not cost Etherpad all the others.
#[tokio::test]
async fn cookies_reach_etherpad_in_the_bytes_in_which_they_came() {
    let upstream = Upstream::answering("").await;
    let gateway = to(&upstream.url()).await;
    let mut request = gateway.head("GET /etherpad/p/x HTTP/1.1").into_bytes();
    request
        .extend(b"Cookie: a=\xc3\xa4; pnm_access_token=a.b.c\r\nCookie: b=\xe4; express_sid=s%3Ax\r\n\r\n");
    assert_eq!(gateway.client().ask_raw(request).await.status, 200);
    let seen = upstream.only_request();
    let cookies: Vec<_> = seen
        .headers
        .get_all("cookie")
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    assert_eq!(cookies, [b"a=\xc3\xa4; b=\xe4; express_sid=s%3Ax"]);
}

/// The prefix that was taken off a request comes back in what the upstream says of its own paths.
#[tokio::test]
async fn etherpad_sends_people_and_cookies_below_its_prefix() {
    let upstream = Upstream::handling(|seen| async move {
        let mut response = Response::new(text_body(""));
        *response.status_mut() = 302.try_into().unwrap();
        let location = if seen.target == "/own" {
            format!("https://{}/p/b?x=/c", seen.header("host").unwrap())
        } else {
            seen.target.trim_start_matches("/to?").to_owned()
        };
        let headers = response.headers_mut();
        headers.insert("location", HeaderValue::try_from(location).unwrap());
        headers.append(
            "set-cookie",
            HeaderValue::from_static("express_sid=s; Path=/; HttpOnly"),
        );
        headers.append("set-cookie", HeaderValue::from_static("prefs=x"));
        response
    })
    .await;
    let gateway = to(&upstream.url()).await;
    for (target, location) in [
        ("/etherpad/own", "/etherpad/p/b?x=/c"),
        ("/etherpad/to?/p/b", "/etherpad/p/b"),
        ("/etherpad/to?p/b", "p/b"),
        ("/etherpad/to?https://other.example/p", "https://other.example/p"),
    ] {
        let answer = gateway.get(target, &[]).await;
        assert_eq!(answer.header("location"), Some(location), "{target}");
        let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
        assert_eq!(
            cookies,
            ["express_sid=s; Path=/etherpad/; HttpOnly", "prefs=x"],
            "{target}"
        );
    }
}

/// LTI signs host and path; BBB's links are built from it.
#[tokio::test]
async fn host_stays_as_the_client_wrote_it() {
    let upstream = Upstream::answering("").await;
    let gateway = Gateway::everything_to(&upstream.url(), "hosts = ['Meet.example.org']").await;
    for host in ["meet.example.org", "MEET.example.org:443", "localhost"] {
        gateway.get("/lti/v1", &[("host", host)]).await;
        assert_eq!(upstream.requests().pop().unwrap().header("host"), Some(host));
    }
    gateway.client().request_h2("GET", "/lti/v1", &[], b"").await;
    let ours = format!("localhost:{}", gateway.https.port());
    assert_eq!(
        upstream.requests().pop().unwrap().header("host"),
        Some(ours.as_str())
    );
}

/// docs/plugnmeet.md section 0.14: request line and header together may have 4096 bytes there.
#[tokio::test]
async fn what_is_added_is_small() {
    let upstream = RawUpstream::content().await;
    let gateway = to(&upstream.url()).await;
    let head = format!(
        "{}X-Pad: {}\r\n\r\n",
        gateway.head("GET /api/x HTTP/1.1"),
        "p".repeat(3000)
    );
    gateway.client().ask_raw(&head).await;
    let added = upstream.only_head().len() - head.len();
    assert!(added < 200, "{added}");
}
