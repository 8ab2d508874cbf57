//! One call for identical requests, and how each is counted.

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
    token::{TokenKeys, Unverified},
};
use serde_json::json;

use super::{NEW, OLD, ask, ask_for_token, gateway};
use crate::support::{
    self, Gateway,
    client::Answer,
    plugnmeet, token_request,
    upstream::{Upstream, text_body},
};

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
            tokio::time::sleep(Duration::from_secs(3)).await;
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

/// Somebody asks, and leaves when the server has been asked.
async fn asks_and_leaves(gateway: &Gateway, body: &str, calls: &AtomicUsize) {
    let called = async {
        while calls.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        answer = gateway.ask_for_token(body, &[]) => panic!("{answer:?}"),
        () = called => {}
    }
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
    gateway.clock.stop();
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
    gateway.clock.stop();
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
    asks_and_leaves(&gateway, &body, &calls).await;
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
    asks_and_leaves(&gateway, &body, &calls).await;
    gateway.ask_for_token(&body, &[]).await;
    let metrics = support::client::plain_get(gateway.admin, "/metrics").await.text();
    for reason in ["upstream", "shared"] {
        let line = format!(
            r#"plugnmeet_gateway_tokens_total{{caller="server",outcome="issued",reason="{reason}"}} 1"#
        );
        assert!(metrics.contains(&line), "{line} is not in {metrics}");
    }
}
