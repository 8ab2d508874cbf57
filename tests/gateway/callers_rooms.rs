//! A caller that is held to rooms, at every endpoint that a learning platform's pages call: its own past rooms, recordings,
//! artifacts and analytics are there, and nobody else's.

use std::time::Duration;

use hyper::Response;
use plugnmeet_gateway::{secret::Secret, token::RequestKey};
use serde_json::{Value, json};

use crate::support::{
    API_KEY, Gateway,
    client::Answer,
    token_request,
    upstream::{AnswerBody, Seen, Upstream, text_body},
};

const SECRET: &str = "secret-of-the-lms-0123456789abcdef";

/// A server with a recording and an artifact in each of two rooms; the ids say nothing of the room.
async fn server() -> Upstream {
    Upstream::handling(|seen| async move { answer(&seen) }).await
}

fn answer(seen: &Seen) -> Response<AnswerBody> {
    let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
    let room = |id: &str| match id {
        "rec-a" | "art-a" | "sid-a" => Some("lms-1"),
        "rec-b" | "art-b" | "sid-b" => Some("other"),
        _ => None,
    };
    let not_found = json!({"status": false, "msg": "recording not found", "status_code": "NOT_FOUND"});
    let said = match seen.target.as_str() {
        "/auth/recording/info" => match room(body["record_id"].as_str().unwrap_or_default()) {
            Some(room_id) => json!({"status": true, "msg": "success", "status_code": "SUCCESS",
                "recording_info": {"record_id": body["record_id"], "room_id": room_id, "room_sid": "x"}}),
            None => not_found,
        },
        "/auth/artifact/info" => match room(body["artifact_id"].as_str().unwrap_or_default()) {
            Some(room_id) => json!({"status": true, "msg": "success", "status_code": "SUCCESS",
                "artifact_info": {"artifact_id": body["artifact_id"], "room_id": room_id}}),
            None => not_found,
        },
        "/auth/recording/fetch" if body["limit"] == 1 => json!({"status": true, "msg": "success",
            "result": {"recordings_list": [{"room_id": room(body["room_sid"].as_str().unwrap_or_default())}]}}),
        "/auth/room/getActiveRoomsInfo" => {
            let text = concat!(
                r#"{"status":true,"msg":"success","status_code":"SUCCESS","rooms":["#,
                r#"{"room_info":{"room_id":"other","joined_participants":"7"},"participants_info":[]}, "#,
                r#"{"room_info":{"room_id":"lms-1","joined_participants":"3","x":null},"participants_info":[]}]}"#
            );
            return Response::new(text_body(text));
        }
        _ => json!({"status": true, "msg": "done", "status_code": "SUCCESS"}),
    };
    Response::new(text_body(said.to_string()))
}

async fn gateway(server: &Upstream) -> Gateway {
    Gateway::with(&format!(
        "issuer.mode = 'upstream'\nupstreams.server = ['{}']\n\
         [[callers]]\nname = 'lms'\napi_key = 'lms-key'\nsecret = '{SECRET}'\nrooms = ['lms-*']\n\
         [[callers]]\nname = 'math'\napi_key = 'math-key'\nsecret = '{SECRET}'\nrooms = ['math']\n",
        server.url()
    ))
    .await
}

async fn ask_as(gateway: &Gateway, key: &str, path: &str, body: &str) -> Answer {
    let signature = RequestKey::new(&Secret::new(SECRET.into())).signature(body.as_bytes());
    let headers = [("API-KEY", key), ("HASH-SIGNATURE", signature.as_str())];
    gateway.post(path, &headers, body.as_bytes()).await
}

async fn ask(gateway: &Gateway, path: &str, body: &str) -> Answer {
    ask_as(gateway, "lms-key", path, body).await
}

fn assert_denied(answer: &Answer, words: &str) {
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    assert_eq!(json["status_code"], "PERMISSION_DENIED", "{json}");
    assert!(json["msg"].as_str().unwrap().contains(words), "{json}");
}

/// Calls that reached the server, questions of the gateway's own apart.
fn calls(server: &Upstream, path: &str) -> usize {
    server
        .requests()
        .iter()
        .filter(|seen| seen.target == path)
        .count()
}

#[tokio::test]
async fn lists_are_of_rooms_that_are_all_its_own() {
    let server = server().await;
    let gateway = gateway(&server).await;
    for path in [
        "/auth/room/fetchPastRooms",
        "/auth/recording/fetch",
        "/auth/analytics/fetch",
        "/auth/artifact/fetch",
    ] {
        for body in [
            r#"{"room_ids":["lms-1","lms-2"]}"#,
            r#"{"roomIds":["lms-1"],"from":0}"#,
        ] {
            assert_eq!(
                ask(&gateway, path, body).await.json()["msg"],
                "done",
                "{path} {body}"
            );
        }
        assert_eq!(calls(&server, path), 2);
        for (body, words) in [
            (r#"{"room_ids":["lms-1","other"]}"#, "may not use this room"),
            (r#"{"room_ids":[]}"#, "none means all rooms"),
            ("{}", "none means all rooms"),
            (r#"{"room_ids":["lms-1"],"roomIds":["other"]}"#, "can't be read"),
        ] {
            assert_denied(&ask(&gateway, path, body).await, words);
        }
        assert_eq!(
            ask(&gateway, path, r#"{"room_ids":["lms-1/x"]}"#).await.json()["status_code"],
            "INVALID_PARAMETERS"
        );
        assert_eq!(calls(&server, path), 2, "{path}");
    }
}

#[tokio::test]
async fn a_thing_is_judged_by_the_room_that_the_server_names_and_asked_once_a_minute() {
    let server = server().await;
    let gateway = gateway(&server).await;
    for (path, name, info) in [
        (
            "/auth/recording/getDownloadToken",
            "record_id",
            "/auth/recording/info",
        ),
        ("/auth/recording/delete", "recordId", "/auth/recording/info"),
        ("/auth/artifact/delete", "artifact_id", "/auth/artifact/info"),
        (
            "/auth/analytics/getDownloadToken",
            "file_id",
            "/auth/artifact/info",
        ),
    ] {
        let kind = if info.contains("recording") { "rec" } else { "art" };
        let body = |room: &str| format!(r#"{{"{name}":"{kind}-{room}"}}"#);
        for _ in 0..3 {
            assert_eq!(
                ask(&gateway, path, &body("a")).await.json()["msg"],
                "done",
                "{path}"
            );
            assert_denied(&ask(&gateway, path, &body("b")).await, "may not use this room");
        }
        // What is not there is told in the server's own words.
        let answer = ask(&gateway, path, &body("none")).await.json();
        assert_eq!(answer["status_code"], "NOT_FOUND", "{path}");
        assert_denied(&ask(&gateway, path, "{}").await, "names none");
        assert_eq!(calls(&server, path), 3, "{path}");
    }
    let asked = calls(&server, "/auth/recording/info");
    ask(&gateway, "/auth/recording/delete", r#"{"record_id":"rec-a"}"#).await;
    assert_eq!(calls(&server, "/auth/recording/info"), asked);
    gateway.clock.advance(Duration::from_secs(61));
    ask(&gateway, "/auth/recording/delete", r#"{"record_id":"rec-a"}"#).await;
    assert_eq!(calls(&server, "/auth/recording/info"), asked + 1);
    let question = server
        .requests()
        .into_iter()
        .find(|seen| seen.target.ends_with("/info"))
        .unwrap();
    assert_eq!(question.header("api-key"), Some(API_KEY));
}

#[tokio::test]
async fn a_merge_is_of_recordings_that_are_all_its_own() {
    let server = server().await;
    let gateway = gateway(&server).await;
    let path = "/auth/recording/mergeRecordings";
    for body in [
        r#"{"by_ids":{"room_id":"lms-1","recording_ids":["rec-a"]}}"#,
        r#"{"by_session":{"room_sid":"sid-a"}}"#,
    ] {
        assert_eq!(ask(&gateway, path, body).await.json()["msg"], "done", "{body}");
    }
    for body in [
        r#"{"by_ids":{"room_id":"lms-1","recording_ids":["rec-a","rec-b"]}}"#,
        r#"{"by_ids":{"room_id":"other","recording_ids":["rec-a"]}}"#,
        r#"{"by_session":{"room_sid":"sid-b"}}"#,
        "{}",
    ] {
        assert_denied(&ask(&gateway, path, body).await, "");
    }
    assert_eq!(calls(&server, path), 2);
}

#[tokio::test]
async fn of_the_active_rooms_it_hears_of_its_own() {
    let server = server().await;
    let gateway = gateway(&server).await;
    let answer = ask(&gateway, "/auth/room/getActiveRoomsInfo", "{}").await;
    assert_eq!(
        answer.text(),
        r#"{"status":true,"msg":"success","status_code":"SUCCESS","rooms":[{"room_info":{"room_id":"lms-1","joined_participants":"3","x":null},"participants_info":[]}]}"#
    );
    assert_eq!(
        answer.header("content-length"),
        Some(answer.text().len().to_string().as_str())
    );
    let none = ask_as(&gateway, "math-key", "/auth/room/getActiveRoomsInfo", "{}").await;
    assert_eq!(
        none.json(),
        json!({"status": false, "msg": "no active room found", "status_code": "NOT_FOUND", "rooms": []})
    );
}

#[tokio::test]
async fn what_can_not_be_held_to_rooms_stays_closed_and_says_so() {
    let server = server().await;
    let gateway = gateway(&server).await;
    for path in ["/auth/room/fromTomorrow", "/auth/x", "/auth"] {
        let answer = ask(&gateway, path, r#"{"room_id":"lms-1"}"#).await;
        assert_denied(&answer, "can't be held to them");
    }
    assert_denied(
        &ask(&gateway, "/auth/recorder/notify", "{}").await,
        "for recorders",
    );
    assert!(server.saw_nothing());
}

/// docs/plugnmeet.md section 5: `PARENT-UUID`.
#[tokio::test]
async fn breakout_rooms_of_its_rooms_are_its_own_and_rooms_of_longer_names_are_not() {
    let server = server().await;
    let gateway = gateway(&server).await;
    let path = "/auth/room/isRoomActive";
    let breakout = r#"{"room_id":"math-123e4567-e89b-12d3-a456-426614174000"}"#;
    assert_eq!(
        ask_as(&gateway, "math-key", path, breakout).await.json()["msg"],
        "done"
    );
    for other in ["math-2", "math2", "amath-123e4567-e89b-12d3-a456-426614174000"] {
        let body = json!({ "room_id": other }).to_string();
        assert_denied(
            &ask_as(&gateway, "math-key", path, &body).await,
            "may not use this room",
        );
    }
}

#[tokio::test]
async fn who_makes_no_moderators_makes_no_hidden_participants_and_no_bots() {
    let server = server().await;
    let gateway = gateway(&server).await;
    let hidden = json!({"room_id": "lms-1", "user_info": {"name": "A", "user_id": "a", "is_hidden": true}});
    for body in [
        hidden.to_string(),
        token_request("lms-1", "RECORDER_BOT"),
        token_request("lms-1", "RTMP_BOT"),
    ] {
        assert_denied(
            &ask(&gateway, "/auth/room/getJoinToken", &body).await,
            "hidden tokens",
        );
    }
    assert!(server.saw_nothing());
}
