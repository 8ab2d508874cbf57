//! Integrators with keys of their own, and requests that are the same: over real sockets, against a server that checks
//! every signature.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hyper::Response;
use plugnmeet_gateway::{
    clock::Clock,
    secret::Secret,
    token::{RequestKey, TokenKeys, Unverified},
};
use serde_json::json;

use crate::support::{
    self, Gateway,
    client::Answer,
    plugnmeet, token_request,
    upstream::{Upstream, text_body},
};

const NEW: &str = "new-secret-of-moodle-0123456789abcdef";
const OLD: &str = "old-secret-of-moodle-0123456789abcdef";

/// In front of this server, with one integrator that is held to its own rooms, one that is cut off, and a third.
async fn gateway(server: &Upstream) -> Gateway {
    Gateway::with(&format!(
        "issuer.mode = 'upstream'\nupstreams.server = ['{}']\nlimits.user = '2/min'\n\
         [[callers]]\nname = 'moodle'\napi_key = 'moodle-key'\nsecret = '{NEW}'\nold_secret = '{OLD}'\n\
         rooms = ['moodle-*']\n\
         [[callers]]\nname = 'gone'\napi_key = 'gone-key'\nsecret = '{NEW}'\nenabled = false\n\
         [[callers]]\nname = 'lms'\napi_key = 'lms-key'\nsecret = '{NEW}'\nmay_issue_admin = true\n",
        server.url()
    ))
    .await
}

async fn ask(gateway: &Gateway, path: &str, key: &str, secret: &str, body: &str) -> Answer {
    let signature = RequestKey::new(&Secret::new(secret.into())).signature(body.as_bytes());
    gateway
        .post(
            path,
            &[("API-KEY", key), ("HASH-SIGNATURE", &signature)],
            body.as_bytes(),
        )
        .await
}

async fn ask_for_token(gateway: &Gateway, key: &str, secret: &str, body: &str) -> Answer {
    ask(gateway, "/auth/room/getJoinToken", key, secret, body).await
}

#[tokio::test]
async fn a_callers_request_is_signed_anew_for_the_servers_own_key() {
    let server = plugnmeet::server().await;
    let gateway = gateway(&server).await;
    for secret in [NEW, OLD] {
        let body = token_request("moodle-1", secret.get(..3).unwrap());
        let answer = ask_for_token(&gateway, "moodle-key", secret, &body).await;
        assert_eq!(answer.json()["status_code"], "SUCCESS", "{answer:?}");
        let seen = server.requests().pop().unwrap();
        assert_eq!(
            (seen.header("api-key"), &*seen.body),
            (Some("plugnmeet"), body.as_bytes())
        );
        assert!(
            gateway
                .keys
                .requests()
                .is_signature(&seen.body, seen.header("hash-signature").unwrap().as_bytes())
        );
    }
}

#[tokio::test]
async fn a_caller_is_held_to_its_rooms_and_makes_no_moderators() {
    let server = plugnmeet::server().await;
    let gateway = gateway(&server).await;
    let admin = json!({"room_id": "moodle-1", "user_info": {"name": "A", "user_id": "a", "is_admin": true}});
    let shown = json!({"room_id": "moodle-1", "user_info": {"name": "A", "user_id": "a",
                       "user_metadata": {"is_admin": true}}});
    for body in [
        token_request("room01", "ann"),
        admin.to_string(),
        shown.to_string(),
    ] {
        let answer = ask_for_token(&gateway, "moodle-key", NEW, &body).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some("application/json"))
        );
        let json = answer.json();
        assert_eq!(
            (&json["status"], &json["status_code"]),
            (&json!(false), &json!("PERMISSION_DENIED")),
            "{body}"
        );
    }
    assert!(server.saw_nothing());
    let answer = ask_for_token(&gateway, "lms-key", NEW, &admin.to_string()).await;
    assert_eq!(answer.json()["status_code"], "SUCCESS");
}

#[tokio::test]
async fn a_caller_that_is_cut_off_or_signs_with_anothers_secret_is_refused_as_by_the_server() {
    let server = plugnmeet::server().await;
    let gateway = gateway(&server).await;
    let body = token_request("moodle-1", "ann");
    let answer = ask_for_token(&gateway, "gone-key", NEW, &body).await;
    assert_eq!(
        (answer.status, &answer.json()["status_code"]),
        (401, &json!("INVALID_API_KEY"))
    );
    let answer = ask_for_token(&gateway, "moodle-key", support::SECRET, &body).await;
    assert_eq!(
        (answer.status, &answer.json()["status_code"]),
        (401, &json!("INVALID_TOKEN_OR_SIGNATURE"))
    );
    assert!(server.saw_nothing());
}

#[tokio::test]
async fn one_callers_limits_never_touch_anothers() {
    let server = plugnmeet::server().await;
    let gateway = gateway(&server).await;
    for at in 0..4 {
        let body = format!("{}{}", token_request("moodle-1", "ann"), " ".repeat(at));
        let status = ask_for_token(&gateway, "moodle-key", NEW, &body).await.status;
        assert_eq!(status, if at < 2 { 200 } else { 429 }, "{at}");
    }
    let answer = ask_for_token(&gateway, "lms-key", NEW, &token_request("moodle-1", "ann")).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn on_other_endpoints_a_caller_is_checked_held_to_its_rooms_and_signed_anew() {
    let server = plugnmeet::server().await;
    let gateway = gateway(&server).await;
    let path = "/auth/room/isRoomActive";
    let answer = ask(&gateway, path, "moodle-key", NEW, r#"{"room_id":"moodle-1"}"#).await;
    assert_eq!(
        (answer.status, &answer.json()["is_active"]),
        (200, &json!(true)),
        "{answer:?}"
    );
    for body in [
        r#"{"room_id":"room01"}"#,
        r#"{"roomId":"moodle-1","room_id":"room01"}"#,
        "{}",
    ] {
        let answer = ask(&gateway, path, "moodle-key", NEW, body).await;
        assert_eq!(answer.json()["status_code"], "PERMISSION_DENIED", "{body}");
    }
    let answer = ask(
        &gateway,
        path,
        "moodle-key",
        "another",
        r#"{"room_id":"moodle-1"}"#,
    )
    .await;
    assert_eq!(answer.status, 401);
    assert_eq!(server.requests().len(), 1);
}

/// The server's secret signs tokens too: over `header.payload`, this would make one.
#[tokio::test]
async fn nothing_but_a_json_object_is_signed_anew() {
    let server = plugnmeet::server().await;
    let gateway = gateway(&server).await;
    let jwt = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJyb29tX2lkIjoicm9vbTAxIn0";
    for path in [
        "/auth/getClientFiles",
        "/auth/room/isRoomActive",
        "/auth/room/getJoinToken",
    ] {
        for body in [
            jwt,
            "",
            "[]",
            "null",
            "\"a\"",
            "{}{}",
            "{} x",
            "{\"a\":1,}",
            "\u{feff}{}",
        ] {
            let answer = ask(&gateway, path, "lms-key", NEW, body).await;
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (200, Some("application/json")),
                "{path} {body}"
            );
            let json = answer.json();
            assert_eq!(
                (&json["status"], &json["status_code"]),
                (&json!(false), &json!("INVALID_PARAMETERS")),
                "{path} {body}"
            );
        }
    }
    let room = |room: &'static str| {
        let signature = RequestKey::new(&Secret::new(NEW.into())).signature(room.as_bytes());
        let gateway = &gateway;
        async move {
            let headers = [
                ("API-KEY", "lms-key"),
                ("HASH-SIGNATURE", signature.as_str()),
                ("Room-Id", room),
                ("Content-Type", "multipart/form-data; boundary=x"),
            ];
            gateway
                .post("/auth/room/uploadWhiteboardFile", &headers, b"--x--")
                .await
        }
    };
    for odd in [jwt, "a b", "a/b"] {
        assert_eq!(
            room(odd).await.json()["status_code"],
            "INVALID_PARAMETERS",
            "{odd}"
        );
    }
    assert!(server.saw_nothing(), "{:?}", server.requests());
    let signature = RequestKey::new(&Secret::new(NEW.into())).signature(b"");
    let headers = [("API-KEY", "lms-key"), ("HASH-SIGNATURE", signature.as_str())];
    let answer = gateway.get("/auth/getClientFiles", &headers).await;
    assert_eq!((answer.status, answer.text()), (404, "not found".to_owned()));
    assert!(server.saw_nothing());
    assert_eq!(
        ask(&gateway, "/auth/getClientFiles", "moodle-key", NEW, " {} ")
            .await
            .status,
        200
    );
    assert_eq!(server.only_request().header("api-key"), Some("plugnmeet"));
}

/// docs/plugnmeet.md section 1: of an upload the room's id is signed, and not the body.
#[tokio::test]
async fn a_callers_upload_is_signed_anew_by_its_room() {
    let server = plugnmeet::server().await;
    let gateway = gateway(&server).await;
    let upload = async |room: &'static str| {
        let signature = RequestKey::new(&Secret::new(NEW.into())).signature(room.as_bytes());
        let headers = [
            ("API-KEY", "moodle-key"),
            ("HASH-SIGNATURE", &signature),
            ("Room-Id", room),
            ("Content-Type", "multipart/form-data; boundary=x"),
        ];
        gateway
            .post("/auth/room/uploadWhiteboardFile", &headers, b"--x--")
            .await
    };
    // There is no file in it, which the server says once its signature check has let it by.
    let answer = upload("moodle-1").await;
    assert_eq!(
        (answer.status, &answer.json()["status_code"]),
        (400, &json!("INVALID_PARAMETERS"))
    );
    assert_eq!(server.only_request().header("api-key"), Some("plugnmeet"));
    assert_eq!(upload("room01").await.json()["status_code"], "PERMISSION_DENIED");
    assert_eq!(server.requests().len(), 1);
}

/// For whom a slow server issues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Issues {
    /// The user who was sent.
    ForTheSent,
    /// One whom it makes up for each call.
    ForMadeUp,
    /// Nobody, as an application.
    Nothing,
    /// Nobody: it is out of order.
    Error,
}

/// A server that takes its time and counts its calls; the name in each token is its call's number.
async fn slow_server(calls: &Arc<AtomicUsize>, issues: Issues) -> Upstream {
    let calls = Arc::clone(calls);
    let keys =
        Arc::new(TokenKeys::new(support::API_KEY.into(), &Secret::new(support::SECRET.into())).unwrap());
    Upstream::handling(move |seen| {
        let call = calls.fetch_add(1, Ordering::Relaxed);
        let keys = Arc::clone(&keys);
        async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let sent: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
            let token = support::sign(&keys, &Clock::system(), |claims| {
                let user_id = match issues {
                    Issues::ForMadeUp => format!("made-up-{call}"),
                    Issues::ForTheSent | Issues::Nothing | Issues::Error => {
                        sent["user_info"]["user_id"].as_str().unwrap().to_owned()
                    }
                };
                sent["room_id"].as_str().unwrap().clone_into(&mut claims.room_id);
                claims.name = call.to_string();
                claims.sub.clone_from(&user_id);
                claims.user_id = user_id;
            });
            let mut response = Response::new(text_body(
                match issues {
                    Issues::Nothing | Issues::Error => {
                        json!({"status": false, "msg": "room is not active", "status_code": "ROOM_NOT_FOUND"})
                    }
                    Issues::ForTheSent | Issues::ForMadeUp => {
                        json!({"status": true, "msg": "success", "status_code": "SUCCESS", "token": token})
                    }
                }
                .to_string(),
            ));
            if issues == Issues::Error {
                *response.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
            }
            response
        }
    })
    .await
}

/// The number of the call that a token is of.
fn call_of(gateway: &Gateway, answer: &Answer) -> String {
    let json = answer.json();
    let token = json["token"].as_str().unwrap_or_else(|| panic!("{json}"));
    let verified = gateway.keys.verify(Unverified(token), Clock::system().unix());
    verified.unwrap().claims.name
}

async fn three_at_once(gateway: &Gateway, body: &str) -> [Answer; 3] {
    let (one, two, three) = tokio::join!(
        gateway.ask_for_token(body, &[]),
        gateway.ask_for_token(body, &[]),
        gateway.ask_for_token(body, &[])
    );
    [one, two, three]
}

#[tokio::test]
async fn a_double_click_is_one_call_and_nothing_is_kept_after_its_answer() {
    let calls = Arc::new(AtomicUsize::new(0));
    let server = slow_server(&calls, Issues::ForTheSent).await;
    let gateway = Gateway::in_front_of(&server).await;
    let body = token_request("room01", "ann");
    for answer in three_at_once(&gateway, &body).await {
        assert_eq!(call_of(&gateway, &answer), "0");
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    let later = gateway.ask_for_token(&body, &[]).await;
    assert_eq!(call_of(&gateway, &later), "1");
}

/// docs/plugnmeet.md section 0.6: with `auto_gen_user_id` each of them is somebody else.
#[tokio::test]
async fn a_token_for_another_user_than_was_sent_is_shared_with_nobody() {
    let calls = Arc::new(AtomicUsize::new(0));
    let server = slow_server(&calls, Issues::ForMadeUp).await;
    let gateway = Gateway::in_front_of(&server).await;
    for user_id in ["guest", ""] {
        let before = calls.load(Ordering::Relaxed);
        let answers = three_at_once(&gateway, &token_request("room01", user_id)).await;
        let mut seen: Vec<_> = answers.iter().map(|answer| call_of(&gateway, answer)).collect();
        seen.sort_unstable();
        let expected: Vec<_> = (before..before + 3).map(|call| call.to_string()).collect();
        assert_eq!(seen, expected, "{user_id}");
    }
}

#[tokio::test]
async fn a_failure_is_shared_with_nobody_and_each_asks_once() {
    for (issues, status) in [(Issues::Nothing, 200), (Issues::Error, 500)] {
        let calls = Arc::new(AtomicUsize::new(0));
        let server = slow_server(&calls, issues).await;
        let gateway = Gateway::in_front_of(&server).await;
        for answer in three_at_once(&gateway, &token_request("room01", "ann")).await {
            assert_eq!(
                (answer.status, &answer.json()["msg"]),
                (status, &json!("room is not active"))
            );
        }
        assert_eq!(calls.load(Ordering::Relaxed), 3, "{issues:?}");
    }
}

#[tokio::test]
async fn nothing_is_shared_where_it_is_switched_off() {
    let calls = Arc::new(AtomicUsize::new(0));
    let server = slow_server(&calls, Issues::ForTheSent).await;
    let gateway = Gateway::with(&format!(
        "issuer.mode = 'upstream'\nissuer.coalesce = false\nupstreams.server = ['{}']",
        server.url()
    ))
    .await;
    three_at_once(&gateway, &token_request("room01", "ann")).await;
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}

/// Each is limited and can be cut off alone.
#[tokio::test]
async fn the_same_body_of_two_callers_is_two_calls() {
    let calls = Arc::new(AtomicUsize::new(0));
    let server = slow_server(&calls, Issues::ForTheSent).await;
    let gateway = gateway(&server).await;
    let body = token_request("moodle-1", "ann");
    let (one, two, old) = tokio::join!(
        ask_for_token(&gateway, "moodle-key", NEW, &body),
        ask_for_token(&gateway, "lms-key", NEW, &body),
        ask_for_token(&gateway, "moodle-key", OLD, &body),
    );
    assert_ne!(call_of(&gateway, &one), call_of(&gateway, &two));
    assert_eq!(call_of(&gateway, &one), call_of(&gateway, &old));
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn requests_that_share_an_answer_count_once() {
    let calls = Arc::new(AtomicUsize::new(0));
    let server = slow_server(&calls, Issues::ForTheSent).await;
    let gateway = Gateway::with(&format!(
        "issuer.mode = 'upstream'\nlimits.user = '2/min'\nupstreams.server = ['{}']",
        server.url()
    ))
    .await;
    let body = token_request("room01", "ann");
    for _ in 0..2 {
        for answer in three_at_once(&gateway, &body).await {
            assert_eq!(answer.status, 200);
        }
    }
    for answer in three_at_once(&gateway, &body).await {
        assert_eq!(answer.status, 429);
    }
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

/// A platform that sends one constant id, into a room that makes up its own.
#[tokio::test]
async fn who_became_another_user_takes_no_place_of_the_one_who_was_sent() {
    let calls = Arc::new(AtomicUsize::new(0));
    let server = slow_server(&calls, Issues::ForMadeUp).await;
    let toml = format!(
        "issuer.mode = 'upstream'\nlimits.user = '2/min'\nlimits.room = '5/min'\nupstreams.server = ['{}']",
        server.url()
    );
    let gateway = Gateway::with(&toml).await;
    let body = token_request("room01", "guest");
    for _ in 0..5 {
        assert_eq!(gateway.ask_for_token(&body, &[]).await.status, 200);
    }
    let over = gateway.ask_for_token(&body, &[]).await;
    assert_eq!(over.header("ratelimit-policy"), Some("\"room\";q=5;w=60"));
    let server = slow_server(&calls, Issues::Nothing).await;
    let gateway = Gateway::with(&toml.replace(
        &toml[toml.find("http").unwrap()..],
        &format!("{}']", server.url()),
    ))
    .await;
    for status in [200, 200, 429] {
        assert_eq!(gateway.ask_for_token(&body, &[]).await.status, status);
    }
}

#[tokio::test]
async fn a_call_that_broke_off_is_not_made_again() {
    let calls = Arc::new(AtomicUsize::new(0));
    let server = slow_server(&calls, Issues::ForTheSent).await;
    let gateway = Gateway::in_front_of(&server).await;
    let body = token_request("room01", "ann");
    let gone = tokio::time::timeout(Duration::from_millis(50), gateway.ask_for_token(&body, &[])).await;
    assert!(gone.is_err());
    let second = gateway.ask_for_token(&body, &[]).await;
    assert_eq!(call_of(&gateway, &second), "0");
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn decisions_are_counted_by_caller_outcome_and_reason() {
    let server = plugnmeet::server().await;
    let gateway = gateway(&server).await;
    ask_for_token(&gateway, "moodle-key", NEW, &token_request("moodle-1", "ann")).await;
    ask_for_token(&gateway, "moodle-key", NEW, &token_request("room01", "ann")).await;
    ask_for_token(&gateway, "moodle-key", "another", &token_request("room01", "ann")).await;
    ask_for_token(&gateway, "lms-key", NEW, &token_request("room01", "odd id")).await;
    let metrics = support::client::plain_get(gateway.admin, "/metrics").await;
    for line in [
        r#"plugnmeet_gateway_tokens_total{caller="moodle",outcome="issued",reason="upstream"} 1"#,
        r#"plugnmeet_gateway_tokens_total{caller="moodle",outcome="refused",reason="room_not_allowed"} 1"#,
        r#"plugnmeet_gateway_tokens_total{caller="unknown",outcome="refused",reason="wrong_signature"} 1"#,
        r#"plugnmeet_gateway_tokens_total{caller="lms",outcome="refused_by_server",reason="upstream"} 1"#,
        r#"plugnmeet_gateway_requests_total{route="issue",status="200"} 3"#,
    ] {
        assert!(
            metrics.text().contains(line),
            "{line} is not in {}",
            metrics.text()
        );
    }
}

/// One caller's flood of users fills nobody else's memory: each has counts of its own.
#[tokio::test]
async fn a_flood_of_one_callers_users_leaves_the_others_alone() {
    let server = plugnmeet::server().await;
    let gateway = Gateway::with(&format!(
        "issuer.mode = 'upstream'\nupstreams.server = ['{}']\nlimits.caller = '5/min'\n\
         [[callers]]\nname = 'noisy'\napi_key = 'noisy-key'\nsecret = '{NEW}'\n\
         [[callers]]\nname = 'quiet'\napi_key = 'quiet-key'\nsecret = '{NEW}'\n",
        server.url()
    ))
    .await;
    let mut issued = 0;
    for user in 0..12 {
        let body = token_request("room01", &format!("u{user}"));
        issued += u32::from(ask_for_token(&gateway, "noisy-key", NEW, &body).await.status == 200);
    }
    assert_eq!(issued, 5);
    let answer = ask_for_token(&gateway, "quiet-key", NEW, &token_request("room01", "u1")).await;
    assert_eq!(answer.status, 200);
}

/// docs/plugnmeet.md section 0.1: another spelling reaches the same handler, and throws the same user out.
#[tokio::test]
async fn another_spelling_of_the_path_is_the_same_call() {
    let calls = Arc::new(AtomicUsize::new(0));
    let server = slow_server(&calls, Issues::ForTheSent).await;
    let gateway = Gateway::in_front_of(&server).await;
    let body = token_request("room01", "ann");
    let ask = |path| ask(&gateway, path, support::API_KEY, support::SECRET, &body);
    let (one, two, three) = tokio::join!(
        ask("/auth/room/getJoinToken"),
        ask("/AUTH/room/getjointoken/"),
        ask("/auth/room/getJoinToken?x=1"),
    );
    for answer in [one, two, three] {
        assert_eq!(call_of(&gateway, &answer), "0");
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_token_for_a_client_that_left_is_a_decision_too() {
    let calls = Arc::new(AtomicUsize::new(0));
    let server = slow_server(&calls, Issues::ForTheSent).await;
    let gateway = Gateway::in_front_of(&server).await;
    let body = token_request("room01", "ann");
    let gone = tokio::time::timeout(Duration::from_millis(50), gateway.ask_for_token(&body, &[])).await;
    assert!(gone.is_err());
    gateway.ask_for_token(&body, &[]).await;
    let metrics = support::client::plain_get(gateway.admin, "/metrics").await.text();
    for reason in ["upstream", "shared"] {
        let line = format!(
            r#"plugnmeet_gateway_tokens_total{{caller="server",outcome="issued",reason="{reason}"}} 1"#
        );
        assert!(metrics.contains(&line), "{line} is not in {metrics}");
    }
}
