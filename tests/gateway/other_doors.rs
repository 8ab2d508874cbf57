//! The other doors that issue tokens, over real sockets: what passes, what is refused, what counts.

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::json;

use crate::support::{
    self, Gateway, SECRET, client::Answer, plugnmeet::bbb_target, token_request, upstream::Upstream,
};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const PROTOBUF: (&str, &str) = ("Content-Type", "application/protobuf");

/// Summed up by Python's hashlib: sha1("join" + query + secret).
const JOIN: &str = "fullName=Ann%20B&meetingID=room-1&password=mp&userID=u1";
const JOIN_SUM: &str = "711e4955c622ccd4cd84be4353d6c9dd074e9137";

async fn server() -> Upstream {
    Upstream::answering("the server").await
}

fn bbb_join(meeting_id: &str, user_id: &str) -> String {
    bbb_target("join", &format!("meetingID={meeting_id}&userID={user_id}"))
}

/// What the server signs for a learning platform's page.
fn lti_token(gateway: &Gateway, room_id: &str, user_id: &str) -> String {
    let payload = json!({"iss": "plugnmeet", "sub": user_id, "user_id": user_id, "room_id": room_id,
        "room_title": "Physics", "lti_custom_parameters": {}, "exp": gateway.clock.unix() + 7200});
    let text = format!(
        "{}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#),
        BASE64_URL_SAFE_NO_PAD.encode(payload.to_string())
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = hmac::sign(&key, text.as_bytes());
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// `JoinBreakoutRoomReq` with a room and a user.
fn breakout(room_id: &str, user_id: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for (tag, text) in [(0x0a, room_id), (0x12, user_id)] {
        body.extend([tag, u8::try_from(text.len()).unwrap()]);
        body.extend(text.as_bytes());
    }
    body
}

fn assert_over_limit(answer: &Answer) {
    // BBB's clients are told in its own way, with 200.
    let is_bbb = answer.header("content-type") == Some("application/xml; charset=utf-8");
    assert_eq!(answer.status, if is_bbb { 200 } else { 429 }, "{answer:?}");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    assert!(answer.header("ratelimit-policy").is_some(), "{answer:?}");
}

fn failed(key: &str, message: &str) -> String {
    format!(
        "<response><returncode>FAILED</returncode><messageKey>{key}</messageKey><message>{message}</message></response>"
    )
}

fn assert_failed_xml(answer: &Answer) {
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/xml; charset=utf-8")),
        "{answer:?}"
    );
    assert!(
        answer.text().contains("<returncode>FAILED</returncode>"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn signed_calls_reach_the_server_byte_for_byte() {
    let server = server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let mut sent = Vec::new();
    for target in [
        format!("/plugnmeet/bigbluebutton/api/join?{JOIN}&checksum={JOIN_SUM}"),
        bbb_target("getMeetings", ""),
        bbb_target(
            "create",
            "name=a+b&meetingID=%7e%7E&welcome=x%3Fy%23;z&meta_a=%C3%A9&&logoutURL=https://x/y",
        ),
        bbb_target("end", "meetingID=m&password="),
        format!("/plugnmeet/BigBlueButton/API/join?{JOIN}&checksum={JOIN_SUM}"),
        "/plugnmeet/bigbluebutton/api".into(),
        "/plugnmeet/bigbluebutton/api/".into(),
    ] {
        let answer = gateway.get(&target, &[]).await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "the server"),
            "{target}"
        );
        sent.push(target);
    }
    let seen: Vec<_> = server.requests().into_iter().map(|seen| seen.target).collect();
    assert_eq!(seen, sent);
    assert!(server.requests()[0].header("content-length").is_none());
}

#[tokio::test]
async fn a_signed_form_reaches_the_server_and_so_does_a_presentation_of_any_size() {
    let server = server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let form = format!("{JOIN}&checksum={JOIN_SUM}");
    let path = "/plugnmeet/bigbluebutton/api/join";
    assert_eq!(gateway.post(path, &[FORM], form.as_bytes()).await.status, 200);
    let slides = format!("<modules>{}</modules>", " ".repeat(300_000));
    let create = bbb_target("create", "meetingID=m&name=n");
    let xml = [("Content-Type", "application/xml")];
    assert_eq!(gateway.post(&create, &xml, slides.as_bytes()).await.status, 200);
    let seen = server.requests();
    assert_eq!(
        (seen[0].target.as_str(), &seen[0].body[..]),
        (path, form.as_bytes())
    );
    assert_eq!((&seen[1].target, &seen[1].body[..]), (&create, slides.as_bytes()));
}

#[tokio::test]
async fn no_manipulated_call_reaches_the_server() {
    let server = server().await;
    let gateway = Gateway::with(&format!(
        "issuer.mode = 'upstream'\nupstreams.server = ['{}']\nlimits.failures = '1000/min'",
        server.url()
    ))
    .await;
    let api = "/plugnmeet/bigbluebutton/api";
    let good = format!("{JOIN}&checksum={JOIN_SUM}");
    for target in [
        format!("{api}/join"),
        format!("{api}/join?"),
        format!("{api}/join?{JOIN}"),
        format!("{api}/join?{JOIN_SUM}"),
        format!("{api}/join?{good}?&role=MODERATOR"),
        format!("{api}/join?{good}checksum=&role=MODERATOR"),
        format!("{api}/join?{good}&role=MODERATOR"),
        format!("{api}/join?role=MODERATOR&{good}"),
        format!("{api}/join?{JOIN}&Checksum={JOIN_SUM}"),
        format!("{api}/join?{JOIN}&check%73um={JOIN_SUM}"),
        format!("{api}/join?checksum=&{good}"),
        format!("{api}/join?{JOIN}&checksum="),
        format!("{api}/join?checksum={JOIN_SUM}&{JOIN}"),
        format!("{api}/join?{JOIN};checksum={JOIN_SUM}"),
        format!("{api}/join/?{good}"),
        format!("{api}/end/?join{good}"),
        format!("{api}/create?{good}"),
        format!("/other/bigbluebutton/api/join?{good}"),
        format!("/PlugNmeet/bigbluebutton/api/join?{good}"),
        bbb_target("join", "meetingID=a&meetingid=b"),
    ] {
        for method in ["GET", "POST", "HEAD", "PUT"] {
            let answer = gateway.client().request(method, &target, &[], b"").await;
            if method == "HEAD" {
                assert_eq!((answer.status, answer.text().as_str()), (200, ""), "{target}");
            } else {
                assert_failed_xml(&answer);
            }
        }
    }
    let form = format!("{JOIN}&checksum={JOIN_SUM}");
    let unsigned = JOIN.as_bytes();
    let large = vec![b'a'; 300_000];
    for (target, headers, body, key) in [
        (format!("{api}/join"), vec![FORM], unsigned, "checksumError"),
        (
            format!("{api}/join?role=MODERATOR"),
            vec![FORM],
            form.as_bytes(),
            "parsingError",
        ),
        (
            format!("{api}/join?{form}"),
            vec![FORM],
            form.as_bytes(),
            "parsingError",
        ),
        (
            format!("{api}/join"),
            vec![("Content-Type", "text/plain")],
            form.as_bytes(),
            "checksumError",
        ),
        (
            format!("{api}/join"),
            vec![FORM, FORM],
            form.as_bytes(),
            "media_type",
        ),
        (
            format!("{api}/join"),
            vec![FORM, ("Content-Encoding", "identity")],
            form.as_bytes(),
            "content_encoding",
        ),
        (
            format!("{api}/join?{form}"),
            vec![("Content-Encoding", "gzip")],
            b"",
            "content_encoding",
        ),
        (
            format!("{api}/join?{form}"),
            vec![("Content-Type", "multipart/form-data")],
            b"",
            "media_type",
        ),
        (format!("{api}/join"), vec![FORM], &large, "body_too_large"),
    ] {
        let answer = gateway.post(&target, &headers, body).await;
        assert_failed_xml(&answer);
        let key = format!("<messageKey>{key}</messageKey>");
        assert!(answer.text().contains(&key), "{target} {headers:?} {answer:?}");
    }
    assert!(server.saw_nothing(), "{:?}", server.requests());
}

/// Two `?` and a `#` as bytes on the wire: a client library might tidy them up.
#[tokio::test]
async fn what_a_library_would_tidy_up_is_refused_too() {
    let server = server().await;
    let gateway = Gateway::in_front_of(&server).await;
    for (query, status) in [
        (format!("?{JOIN}&checksum={JOIN_SUM}"), 200),
        (format!("{JOIN}&checksum={JOIN_SUM}#&role=MODERATOR"), 400),
        (format!("{JOIN}&checksum={JOIN_SUM}\t"), 400),
    ] {
        let request = format!(
            "GET /plugnmeet/bigbluebutton/api/join?{query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        );
        let answer = gateway.client().send_raw(request.as_bytes()).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{query} {answer}"
        );
    }
    assert!(server.saw_nothing());
}

#[tokio::test]
async fn guesses_at_a_checksum_are_limited_and_good_calls_are_not() {
    let server = server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let guess = format!(
        "/plugnmeet/bigbluebutton/api/getMeetings?checksum={}",
        "0".repeat(40)
    );
    for _ in 0..20 {
        let answer = gateway.get(&guess, &[]).await;
        assert_eq!(answer.text(), failed("checksumError", "Checksums do not match"));
    }
    let answer = gateway.get(&guess, &[]).await;
    assert_over_limit(&answer);
    assert_failed_xml(&answer);
    assert!(server.saw_nothing());
    assert_eq!(gateway.get(&bbb_target("getMeetings", ""), &[]).await.status, 200);
}

#[tokio::test]
async fn bbb_joins_count_for_the_user_whom_they_name() {
    let server = server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let join = bbb_join("room-1", "u1");
    let form = join.split_once('?').unwrap();
    for at in 0..10 {
        let answer = match at % 2 {
            0 => gateway.get(&join, &[]).await,
            _ => gateway.post(form.0, &[FORM], form.1.as_bytes()).await,
        };
        assert_eq!(answer.status, 200, "{at}");
    }
    let answer = gateway.get(&join, &[]).await;
    assert_over_limit(&answer);
    assert_failed_xml(&answer);
    assert_over_limit(&gateway.post(form.0, &[FORM], form.1.as_bytes()).await);
    assert_eq!(server.requests().len(), 10);
    for other in [
        bbb_join("room-1", "u2"),
        bbb_join("room-2", "u1"),
        bbb_target("getMeetings", ""),
    ] {
        assert_eq!(gateway.get(&other, &[]).await.status, 200, "{other}");
    }
}

#[tokio::test]
async fn a_school_whose_platform_names_no_users_joins_at_once() {
    let server = server().await;
    let gateway = Gateway::in_front_of(&server).await;
    for _ in 0..40 {
        let join = bbb_target("join", "meetingID=room-1&fullName=x");
        assert_eq!(gateway.get(&join, &[]).await.status, 200);
    }
}

/// One limit, whichever door is knocked at.
#[tokio::test]
async fn all_doors_count_together() {
    let server = server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let lti = lti_token(&gateway, "room-1", "u1");
    let own = gateway.token("room-1", "u1");
    let knock = async |at: usize| match at % 4 {
        0 => gateway.get(&bbb_join("room-1", "u1"), &[]).await,
        1 => {
            gateway
                .post("/lti/v1/api/room/join", &[("Authorization", &lti)], b"")
                .await
        }
        2 => {
            let headers = [PROTOBUF, ("Authorization", own.as_str())];
            gateway
                .post("/api/breakoutRoom/join", &headers, &breakout("room-1", "u1"))
                .await
        }
        _ => {
            // Another name each time: the same request twice would be one call.
            let user = json!({"name": format!("Ann {at}"), "user_id": "u1"});
            let body = json!({"room_id": "room-1", "user_info": user}).to_string();
            gateway.ask_for_token(&body, &[]).await
        }
    };
    for at in 0..10 {
        assert_eq!(knock(at).await.status, 200, "{at}");
    }
    for at in 12..16 {
        assert_over_limit(&knock(at).await);
    }
    assert_eq!(server.requests().len(), 10);
}

#[tokio::test]
async fn lti_joins_count_in_every_spelling_of_path_and_token() {
    let server = server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let token = lti_token(&gateway, "room-1", "u1");
    // The last character of the signature has two spare bits, which the server's decoder overlooks.
    let mut spelled = token.clone();
    let last = spelled.pop().unwrap();
    spelled.push(char::from(last as u8 + 1));
    let paths = [
        "/lti/v1/api/room/join",
        "/LTI/v1/API/Room/JOIN",
        "/lti/v1/api/room/join/",
        "/lti/v1/api/room/join?x=1",
    ];
    let mut passed = 0;
    for at in 0..24 {
        let token = if at % 3 == 0 { &spelled } else { &token };
        let answer = gateway
            .post(paths[at % 4], &[("Authorization", token)], b"")
            .await;
        passed += usize::from(answer.status == 200);
        if at >= 10 {
            assert_over_limit(&answer);
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.json()["status_code"], "PERMISSION_DENIED");
        }
    }
    assert_eq!((passed, server.requests().len()), (10, 10));
    assert_eq!(server.requests()[1].header("authorization"), Some(token.as_str()));
    let other = lti_token(&gateway, "room-1", "u2");
    let answer = gateway.post(paths[0], &[("Authorization", &other)], b"").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn breakout_joins_count_in_every_spelling() {
    let server = server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let token = gateway.token("main", "ann");
    let body = breakout("bk1", "ann");
    let plain = [PROTOBUF, ("Authorization", token.as_str())];
    for _ in 0..10 {
        let answer = gateway.post("/api/breakoutRoom/join", &plain, &body).await;
        assert_eq!(answer.status, 200);
    }
    assert_eq!(server.requests()[0].body, body);
    let long = [&body[..], b"\x1a\x04main\x7a\x03???"].concat();
    for (path, body) in [
        ("/api/breakoutRoom/join", &body),
        ("/API/breakoutroom/Join/", &body),
        ("/api/breakoutRoom/join?x=1", &body),
        ("/api/breakoutRoom/join", &long),
    ] {
        let answer = gateway.post(path, &plain, body).await;
        assert_over_limit(&answer);
        assert_eq!(answer.header("content-type"), Some("application/protobuf"));
    }
    let by_query = format!("/api/breakoutRoom/join?Authorization={token}");
    assert_over_limit(&gateway.post(&by_query, &[PROTOBUF], &body).await);
    let broken_line = by_query.replace('.', "%0A.");
    assert_over_limit(&gateway.post(&broken_line, &[PROTOBUF], &body).await);
    // HTTP/2 passes blanks on, which the server's HTTP/1 takes off.
    let blank = format!(" {token} ");
    let headers = [PROTOBUF, ("authorization", blank.as_str())];
    let answer = gateway
        .client()
        .request_h2("POST", "/api/breakoutRoom/join", &headers, &body)
        .await;
    assert_over_limit(&answer);
    assert_eq!(server.requests().len(), 10);

    let bob = gateway.token("main", "bob");
    let headers = [PROTOBUF, ("Authorization", bob.as_str())];
    let body = breakout("bk1", "bob");
    let answer = gateway.post("/api/breakoutRoom/join", &headers, &body).await;
    assert_eq!(answer.status, 200);
}

/// The server refuses them; what counts is what could issue.
#[tokio::test]
async fn bad_tokens_reach_the_server_and_count_for_nobody() {
    let server = server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let expired = gateway.sign(|claims| claims.exp -= 700);
    for token in ["", "x", "a.b.c", &expired] {
        for _ in 0..11 {
            for path in ["/lti/v1/api/room/join", "/api/breakoutRoom/join"] {
                let answer = gateway.post(path, &[("Authorization", token)], b"").await;
                assert_eq!(answer.status, 200, "{path} {token}");
            }
        }
    }
    let good = lti_token(&gateway, "room01", "ann");
    let headers = [("Authorization", good.as_str())];
    assert_eq!(
        gateway.post("/lti/v1/api/room/join", &headers, b"").await.status,
        200
    );
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_does_not_pass_these_doors() {
    let server = server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let tokens = |user: &str| (gateway.token("main", user), lti_token(&gateway, "main", user));
    let ((ann, ann_of_lti), (bob, bob_of_lti)) = (tokens("ann"), tokens("bob"));
    for (path, ann, bob) in [
        ("/lti/v1/api/room/join", &ann_of_lti, &bob_of_lti),
        ("/api/breakoutRoom/join", &ann, &bob),
    ] {
        let (ann_alone, bob_too) = (("Authorization", ann.as_str()), ("Authorization", bob.as_str()));
        for (headers, status) in [
            (vec![ann_alone, bob_too], 400),
            (vec![("Authorization", ""), bob_too], 400),
            (vec![ann_alone, ("Content-Encoding", "gzip")], 415),
            (
                vec![ann_alone, ("Content-Type", "multipart/form-data; boundary=x")],
                415,
            ),
            (vec![ann_alone, PROTOBUF, PROTOBUF], 415),
        ] {
            let answer = gateway.post(path, &headers, &breakout("bk1", "ann")).await;
            assert_eq!(answer.status, status, "{path} {headers:?} {answer:?}");
        }
    }
    // The body is a message and a form at once, and the server would find the token in the form.
    let form = format!("&Authorization={ann}&");
    let mut body = breakout("bk1", "ann");
    body.extend([0x7a, 0x80 | u8::try_from(form.len() & 0x7f).unwrap()]);
    body.push(u8::try_from(form.len() >> 7).unwrap());
    body.extend(form.as_bytes());
    assert_eq!(
        gateway
            .post("/api/breakoutRoom/join", &[FORM], &body)
            .await
            .status,
        415
    );
    let two = format!("/api/breakoutRoom/join?Authorization={ann}&Authorization={bob}");
    assert_eq!(gateway.post(&two, &[PROTOBUF], &body).await.status, 400);
    assert!(server.saw_nothing());
}

#[tokio::test]
async fn no_header_makes_another_method_of_a_request() {
    let server = server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let token = gateway.token("main", "ann");
    let overrides = [
        ("Authorization", token.as_str()),
        ("X-HTTP-Method-Override", "POST"),
        ("X-Method-Override", "POST"),
        ("X-HTTP-Method", "POST"),
        ("x_http_method_override", "POST"),
        ("X-Kept", "1"),
    ];
    assert_eq!(
        gateway.get("/api/breakoutRoom/join", &overrides).await.status,
        200
    );
    let seen = server.only_request();
    assert_eq!((seen.method.as_str(), seen.header("x-kept")), ("GET", Some("1")));
    for (name, _) in &overrides[1..5] {
        assert!(seen.header(name).is_none(), "{name}");
    }
}

/// `getJoinToken` itself: whatever is not exactly a signed request for a token does not reach it.
#[tokio::test]
async fn there_is_no_way_round_the_signature_of_a_request_for_a_token() {
    let server = server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let body = token_request("room01", "ann");
    let signature = gateway.keys.requests().signature(b"room01");
    let signed = [
        ("API-KEY", "plugnmeet"),
        ("HASH-SIGNATURE", signature.as_str()),
        ("Room-Id", "room01"),
    ];
    let multipart = ("Content-Type", "multipart/form-data");
    for path in [
        "/auth/room/getJoinToken",
        "/AUTH/room/GETJOINTOKEN/",
        "/auth/Room/getJoinToken?x=1",
        "/auth//room/getJoinToken",
        "/auth/./room/getJoinToken",
        "/auth/room%2FgetJoinToken",
        "/api/../auth/room/getJoinToken",
    ] {
        for more in [
            vec![multipart],
            vec![("Content-Type", "application/json"), multipart],
            vec![("Content-Encoding", "gzip")],
            vec![("API-KEY", "plugnmeet")],
            vec![("X-HTTP-Method-Override", "POST")],
        ] {
            let headers = [&signed[..], &more[..]].concat();
            for method in ["POST", "GET", "PUT"] {
                let answer = gateway
                    .client()
                    .request(method, path, &headers, body.as_bytes())
                    .await;
                assert!(
                    (400..500).contains(&answer.status),
                    "{method} {path} {more:?} {answer:?}"
                );
            }
        }
    }
    assert!(server.saw_nothing(), "{:?}", server.requests());
}

#[tokio::test]
async fn each_join_is_a_decision_that_is_counted() {
    let server = server().await;
    let gateway = Gateway::in_front_of(&server).await;
    gateway.get(&bbb_join("room-1", "u1"), &[]).await;
    gateway
        .get(&bbb_join("room-1", "u1").replace("u1", "u2"), &[])
        .await;
    let metrics = support::client::plain_get(gateway.admin, "/metrics").await.text();
    for line in [
        r#"plugnmeet_gateway_tokens_total{caller="server",outcome="passed_on",reason="bbb"} 1"#,
        r#"plugnmeet_gateway_tokens_total{caller="unknown",outcome="refused",reason="checksumError"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

/// What nobody has signed decides nothing: else one participant could use everybody's limits up.
#[tokio::test]
async fn a_participant_counts_as_one_however_many_breakout_rooms_it_names() {
    let server = server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let token = gateway.token("room01", "ann");
    let mut statuses = Vec::new();
    for room in 0..12 {
        let body = breakout(&format!("x{room:03}"), "ann");
        let headers = [("Authorization", token.as_str()), PROTOBUF];
        statuses.push(
            gateway
                .post("/api/breakoutRoom/join", &headers, &body)
                .await
                .status,
        );
    }
    assert_eq!(statuses, [[200; 10].as_slice(), &[429, 429]].concat());
}

/// The server issues for the user in the body, whoever's token asks.
#[tokio::test]
async fn a_breakout_token_is_for_the_tokens_own_user_alone() {
    let server = server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let token = gateway.token("main", "ann");
    let path = "/api/breakoutRoom/join";
    let twice = [breakout("bk1", "ann"), breakout("bk1", "bob")].concat();
    let group = [&breakout("bk1", "ann")[..], b"\x13\x12\x03bob\x14"].concat();
    let json = br#"{"breakout_room_id":"bk1","user_id":"ann"}"#.to_vec();
    for (body, status, message) in [
        (
            breakout("bk1", "bob"),
            403,
            "a token for another user can't be asked for",
        ),
        (
            breakout("bk1", "Ann"),
            403,
            "a token for another user can't be asked for",
        ),
        (Vec::new(), 403, "a token for another user can't be asked for"),
        (twice, 400, "the body can't be read, or in more than one way"),
        (group, 400, "the body can't be read, or in more than one way"),
        (json, 400, "the body can't be read, or in more than one way"),
    ] {
        let by_query = format!("{path}?Authorization={token}");
        for (target, headers) in [
            (path, vec![("Authorization", token.as_str()), PROTOBUF]),
            (&by_query, vec![PROTOBUF]),
            (
                "/API/BreakoutRoom/JOIN/",
                vec![("Authorization", token.as_str()), PROTOBUF],
            ),
        ] {
            let answer = gateway.post(target, &headers, &body).await;
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (status, Some("application/protobuf")),
                "{target} {body:?}"
            );
            assert!(answer.text().contains(message), "{answer:?}");
        }
        let plain = [("Authorization", token.as_str())];
        let answer = gateway.post(path, &plain, &body).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, Some("application/json"))
        );
    }
    assert!(server.saw_nothing(), "{:?}", server.requests());
    let headers = [("Authorization", token.as_str()), PROTOBUF];
    let body = breakout("bk1", "ann");
    assert_eq!(gateway.post(path, &headers, &body).await.status, 200);
    assert_eq!(server.only_request().body, body);
}

/// In the server's order and words: the key, the method, the checksum.
#[tokio::test]
async fn bbb_calls_are_refused_as_the_server_refuses_them() {
    let server = server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let api = "/plugnmeet/bigbluebutton/api";
    let good = bbb_target("getMeetings", "");
    let foreign = good.replace("/plugnmeet/", "/other/");
    let create = bbb_target("create", "name=a&meetingID=m");
    let none = format!("{api}/create?name=a&meetingID=m");
    let slash = good.replace("getMeetings", "getMeetings/");
    let (wrong_key, method) = (
        failed("apiKeyError", "invalid api key"),
        failed("error", "unsupported http method"),
    );
    let checksum = failed("checksumError", "Checksums do not match");
    for (verb, target, expected) in [
        ("GET", foreign.as_str(), &wrong_key),
        ("OPTIONS", &foreign, &wrong_key),
        ("GET", "/other/bigbluebutton/api", &wrong_key),
        ("OPTIONS", &create, &method),
        ("PUT", &create, &method),
        ("DELETE", &none, &method),
        ("OPTIONS", api, &method),
        ("GET", &none, &checksum),
        ("POST", &none, &checksum),
        ("GET", &format!("{good}&x=1"), &checksum),
        ("GET", &slash, &checksum),
    ] {
        let answer = gateway.client().request(verb, target, &[], b"").await;
        assert_failed_xml(&answer);
        assert_eq!(&answer.text(), expected, "{verb} {target}");
    }
    assert!(server.saw_nothing(), "{:?}", server.requests());
}

#[tokio::test]
async fn a_server_that_is_down_is_failed_xml_for_bbb_too() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let toml = format!("issuer.mode = 'upstream'\nupstreams.server = ['{url}']\ntimeouts.connect = '1s'");
    let gateway = Gateway::with(&toml).await;
    for target in [bbb_target("getMeetings", ""), bbb_join("room-1", "u1")] {
        assert_failed_xml(&gateway.get(&target, &[]).await);
    }
}

/// Of a list of slides nothing is signed: it goes where the server reads one, and nothing like it anywhere else.
#[tokio::test]
async fn an_unsigned_body_is_taken_where_slides_are_and_nowhere_else() {
    let server = server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let slides = b"<modules><module name=\"presentation\"><document url=\"https://a.example/a.pdf\"/></module></modules>";
    let create = bbb_target("create", "meetingID=m&name=n");
    for media in ["application/xml", "text/xml", "Application/XML; charset=utf-8"] {
        let answer = gateway.post(&create, &[("Content-Type", media)], slides).await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "the server"),
            "{media}"
        );
    }
    assert_eq!(server.requests().len(), 3);
    for (verb, target, headers) in [
        ("POST", create.as_str(), vec![]),
        ("POST", &create, vec![("Content-Type", "text/plain")]),
        ("POST", &create, vec![("Content-Type", "application/xml+x")]),
        ("GET", &create, vec![("Content-Type", "application/xml")]),
        (
            "POST",
            &bbb_join("room-1", "u1"),
            vec![("Content-Type", "application/xml")],
        ),
        (
            "POST",
            &bbb_target("end", "meetingID=m"),
            vec![("Content-Type", "text/xml")],
        ),
    ] {
        let answer = gateway.client().request(verb, target, &headers, slides).await;
        assert_failed_xml(&answer);
        assert!(
            answer.text().contains("<messageKey>parsingError</messageKey>"),
            "{answer:?}"
        );
    }
    assert_eq!(server.requests().len(), 3);
    let empty = gateway.post(&bbb_target("end", "meetingID=m"), &[], b"").await;
    assert_eq!(empty.text(), "the server");
}

/// What the server writes into XML where an address belongs.
async fn answering_xml(xml: &str) -> Upstream {
    let xml = xml.to_owned();
    Upstream::handling(move |_| {
        let xml = xml.clone();
        async move {
            hyper::Response::builder()
                .header("content-type", "application/xml; charset=utf-8")
                .body(support::upstream::text_body(xml))
                .unwrap()
        }
    })
    .await
}

#[tokio::test]
async fn addresses_in_recordings_and_joins_can_be_followed() {
    let recordings = "<response><returncode>SUCCESS</returncode><recordings><recording><name>HTTP/1.1</name><playback>\
        <format><url>HTTP/1.1://localhost/download/recording/a.b.c</url></format></playback></recording><recording>\
        <playback><format><url>HTTP/1.1://localhost/download/recording/d.e.f</url></format></playback></recording>\
        </recordings></response>";
    let server = answering_xml(recordings).await;
    let gateway = Gateway::in_front_of(&server).await;
    let answer = gateway.get(&bbb_target("getRecordings", ""), &[]).await;
    let expected = recordings.replace("HTTP/1.1://", "https://");
    assert_eq!((answer.status, answer.text()), (200, expected.clone()));
    assert_eq!(
        answer.header("content-length"),
        Some(expected.len().to_string().as_str())
    );
    // Other calls have none of ours to mend.
    let other = gateway.get(&bbb_target("getMeetings", ""), &[]).await;
    assert_eq!(other.text(), recordings);

    let join = |url: &str| {
        format!(
            "<response><returncode>SUCCESS</returncode><session_token>a.b.c</session_token><url>{url}</url></response>"
        )
    };
    let raw = |fields: &str| {
        let fields = fields.replace('"', "&#34;");
        join(&format!(
            "HTTP/1.1://localhost/?access_token=a.b.c&amp;custom_design={fields}"
        ))
    };
    let start = "https://localhost/?access_token=a.b.c";
    for (xml, url) in [
        (join("HTTP/1.1://localhost/?access_token=a.b.c"), start.to_owned()),
        (
            raw(r##"{"primary_color":"#fff"}"##),
            format!("{start}&amp;custom_design=%7B%22primary_color%22%3A%22%23fff%22%7D"),
        ),
    ] {
        let server = answering_xml(&xml).await;
        let gateway = Gateway::in_front_of(&server).await;
        let target = bbb_target("join", "meetingID=m&fullName=x&redirect=false");
        let answer = gateway.get(&target, &[]).await;
        assert_eq!(answer.text(), join(&url), "{xml}");
        let length = answer.text().len().to_string();
        assert_eq!(answer.header("content-length"), Some(length.as_str()));
        let answer = gateway.client().request_h2("GET", &target, &[], b"").await;
        assert_eq!(answer.text(), join(&url), "{xml}");
    }
    for on_invalid in ["strip", "reject"] {
        let server = answering_xml(&raw(r#"{"primary_color":"}body{"}"#)).await;
        let toml = format!(
            "issuer.mode = 'upstream'\nupstreams.server = ['{}']\ndesign.on_invalid = '{on_invalid}'",
            server.url()
        );
        let gateway = Gateway::with(&toml).await;
        let answer = gateway
            .get(&bbb_target("join", "meetingID=m&fullName=x&redirect=false"), &[])
            .await;
        assert_eq!(answer.text(), join(start), "{on_invalid}");
    }
}
