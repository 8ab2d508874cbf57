//! What can be read in two ways, and joins for somebody else.

use super::{FORM, PROTOBUF, bbb_join, breakout, lti_token, server};
use crate::support::{self, Gateway, token_request};

#[tokio::test]
async fn what_can_be_read_in_two_ways_does_not_pass_at_joins() {
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
    gateway.clock.stop();
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
