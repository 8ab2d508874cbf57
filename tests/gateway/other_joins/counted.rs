//! Each join counts for its user, at every endpoint and in every spelling.

use serde_json::json;

use super::{FORM, PROTOBUF, assert_failed_xml, assert_over_limit, bbb_join, breakout, lti_token, server};
use crate::support::{Gateway, plugnmeet::bbb_target};

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

/// There is one limit for all endpoints.
#[tokio::test]
async fn all_join_endpoints_count_together() {
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
