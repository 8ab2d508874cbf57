//! Integrators with keys of their own, and requests that are the same: over real sockets, against a server that checks
//! every signature.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hyper::Response;
use plugnmeet_gateway::{secret::Secret, token::RequestKey};
use serde_json::json;

use support::{
    Gateway,
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

/// contract.md section 1: of an upload the room's id is signed, and not the body.
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

/// A server that takes its time and counts.
async fn slow_server(calls: &Arc<AtomicUsize>) -> Upstream {
    let calls = Arc::clone(calls);
    Upstream::handling(move |_| {
        let call = calls.fetch_add(1, Ordering::Relaxed);
        async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            Response::new(text_body(format!(
                r#"{{"status":true,"msg":"success","token":"{call}"}}"#
            )))
        }
    })
    .await
}

#[tokio::test]
async fn a_double_click_is_one_call_and_both_get_its_answer() {
    let calls = Arc::new(AtomicUsize::new(0));
    let server = slow_server(&calls).await;
    let gateway = Gateway::in_front_of(&server).await;
    let body = token_request("room01", "ann");
    let (one, two) = tokio::join!(
        gateway.ask_for_token(&body, &[]),
        gateway.ask_for_token(&body, &[])
    );
    assert_eq!((one.json(), calls.load(Ordering::Relaxed)), (two.json(), 1));
    assert_eq!(gateway.ask_for_token(&body, &[]).await.json(), one.json());
    let other = gateway.ask_for_token(&token_request("room01", "bob"), &[]).await;
    assert_eq!(other.json()["token"], "1");
    gateway.clock.advance(Duration::from_secs(10));
    assert_eq!(gateway.ask_for_token(&body, &[]).await.json()["token"], "2");
}

#[tokio::test]
async fn a_call_that_broke_off_is_not_made_again() {
    let calls = Arc::new(AtomicUsize::new(0));
    let server = slow_server(&calls).await;
    let gateway = Gateway::with(&format!(
        "issuer.mode = 'upstream'\nissuer.coalesce = '10s'\nupstreams.server = ['{}']",
        server.url()
    ))
    .await;
    let body = token_request("room01", "ann");
    let gone = tokio::time::timeout(Duration::from_millis(50), gateway.ask_for_token(&body, &[])).await;
    assert!(gone.is_err());
    assert_eq!(gateway.ask_for_token(&body, &[]).await.json()["token"], "0");
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

/// The server looks at other fields there, and ignores a room that it does not know.
#[tokio::test]
async fn a_room_in_the_body_opens_no_endpoint_that_looks_at_other_fields() {
    let server = plugnmeet::server().await;
    let gateway = gateway(&server).await;
    for path in [
        "/auth/recording/getDownloadToken",
        "/auth/recording/fetch",
        "/auth/room/getActiveRoomsInfo",
        "/auth/analytics/delete",
        "/auth/recorder/notify",
    ] {
        let body = r#"{"room_id":"moodle-1","record_id":"RM_other","room_ids":["room01"]}"#;
        let answer = ask(&gateway, path, "moodle-key", NEW, body).await;
        assert_eq!(answer.json()["status_code"], "PERMISSION_DENIED", "{path}");
    }
    let answer = ask(&gateway, "/auth/recorder/notify", "lms-key", NEW, "{}").await;
    assert_eq!(answer.json()["status_code"], "PERMISSION_DENIED");
    assert!(server.saw_nothing());
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

/// contract.md section 0.1: another spelling reaches the same handler, and throws the same user out.
#[tokio::test]
async fn another_spelling_of_the_path_is_the_same_call() {
    let calls = Arc::new(AtomicUsize::new(0));
    let server = slow_server(&calls).await;
    let gateway = Gateway::in_front_of(&server).await;
    let body = token_request("room01", "ann");
    for path in [
        "/auth/room/getJoinToken",
        "/AUTH/room/getjointoken/",
        "/auth/room/getJoinToken?x=1",
    ] {
        let answer = ask(&gateway, path, support::API_KEY, support::SECRET, &body).await;
        assert_eq!(answer.json()["token"], "0", "{path}");
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_token_for_a_client_that_left_is_a_decision_too() {
    let calls = Arc::new(AtomicUsize::new(0));
    let server = slow_server(&calls).await;
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
