//! What a caller may do, and how its requests are signed anew.

use plugnmeet_gateway::{secret::Secret, token::RequestKey};
use serde_json::json;

use super::{NEW, OLD, ask, ask_for_token, gateway};
use crate::support::{self, plugnmeet, token_request};

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
    gateway.clock.stop();
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
