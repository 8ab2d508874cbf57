//! What is known of the real server and stands in no recording: the stand-in has it too.
//!
//! Source: docs/plugnmeet.md sections 0.14, 1, 3, 4, 5 and 11, where it was seen.

use plugnmeet_gateway::{clock::Clock, secret::Secret, token::RequestKey};
use serde_json::json;

use super::{
    ask,
    play::{ORIGIN, Request},
    support::{
        API_KEY, SECRET,
        client::Answer,
        plugnmeet::{
            PlugNmeet, signed_payload,
            wire::{self, Message},
        },
    },
};

/// A request with these fields and this body.
async fn post(server: &PlugNmeet, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let headers = headers.iter();
    let request = Request {
        method: "POST".into(),
        target: target.into(),
        headers: headers
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
        body: body.to_vec(),
    };
    ask(server.addr, &request).await
}

async fn signed(server: &PlugNmeet, target: &str, body: &str) -> Answer {
    let signature = RequestKey::new(&Secret::new(SECRET.into())).signature(body.as_bytes());
    let headers = [("API-KEY", API_KEY), ("HASH-SIGNATURE", &*signature)];
    post(server, target, &headers, body.as_bytes()).await
}

/// With a room, and in it Ann and Bob, who may remove people.
async fn meeting() -> (PlugNmeet, String) {
    let server = PlugNmeet::as_installed(&Clock::system(), ORIGIN).await;
    let room = r#"{"room_id":"room01","metadata":{"room_title":"Room","room_features":{}}}"#;
    assert_eq!(
        signed(&server, "/auth/room/create", room).await.json()["status"],
        true
    );
    let bob = token(&server, "bob", true).await;
    token(&server, "ann", false).await;
    (server, bob)
}

async fn token(server: &PlugNmeet, user_id: &str, is_admin: bool) -> String {
    let user = json!({"name": user_id, "user_id": user_id, "is_admin": is_admin});
    let answer = join(
        server,
        &json!({"room_id": "room01", "user_info": user}).to_string(),
    )
    .await;
    answer["token"].as_str().unwrap_or_default().to_owned()
}

async fn join(server: &PlugNmeet, body: &str) -> serde_json::Value {
    signed(server, "/auth/room/getJoinToken", body).await.json()
}

/// What `/api` says, in protobuf.
async fn api(server: &PlugNmeet, call: &str, token: &str, body: &[u8]) -> (u64, String) {
    let headers = [("Content-Type", "application/protobuf"), ("Authorization", token)];
    let answer = post(server, &format!("/api/{call}"), &headers, body).await;
    let fields = wire::fields(&answer.body).unwrap();
    (wire::number(&fields, 1), wire::text(&fields, 2))
}

#[tokio::test]
async fn a_body_and_a_head_have_their_limits_to_the_byte() {
    let server = PlugNmeet::as_installed(&Clock::system(), ORIGIN).await;
    for (length, status) in [(52_428_800, 200), (52_428_801, 413)] {
        let answer = post(&server, "/healthCheck", &[], &vec![b' '; length]).await;
        assert_eq!(answer.status, status, "{length}");
    }
    let line = "POST /healthCheck HTTP/1.1\r\n".len();
    let rest = line + "x: ".len() + "\r\ncontent-length: 0\r\n\r\n".len();
    for (length, status) in [(4096, 200), (4097, 431)] {
        let filling = "x".repeat(length - rest);
        let headers = [("x", &*filling), ("content-length", "0")];
        assert_eq!(
            post(&server, "/healthCheck", &headers, b"").await.status,
            status,
            "{length}"
        );
    }
}

#[tokio::test]
async fn of_repeated_fields_the_first_counts_even_if_it_is_empty() {
    let server = PlugNmeet::as_installed(&Clock::system(), ORIGIN).await;
    let signature = RequestKey::new(&Secret::new(SECRET.into())).signature(b"{}");
    for (keys, message) in [
        (["", API_KEY], "Missing API-KEY header."),
        (["other", API_KEY], "Invalid API key provided."),
    ] {
        let headers = [
            ("API-KEY", keys[0]),
            ("API-KEY", keys[1]),
            ("HASH-SIGNATURE", &*signature),
        ];
        let answer = post(&server, "/auth/room/isRoomActive", &headers, b"{}").await;
        assert_eq!((answer.status, &answer.json()["msg"]), (401, &json!(message)));
    }
    let headers = [
        ("API-KEY", API_KEY),
        ("API-KEY", "other"),
        ("HASH-SIGNATURE", &*signature),
    ];
    assert_eq!(
        post(&server, "/auth/room/isRoomActive", &headers, b"{}")
            .await
            .status,
        200
    );
}

/// Anywhere in the type, and in this very spelling: then the room is signed, and the body is not.
#[tokio::test]
async fn a_type_with_multipart_in_it_has_the_room_signed() {
    let (server, _) = meeting().await;
    let signature = RequestKey::new(&Secret::new(SECRET.into())).signature(b"any");
    let body = br#"{"room_id":"room01"}"#;
    for (media_type, status) in [
        ("multipart/form-data", 200),
        ("application/json; x=multipart/form-data", 200),
        ("Multipart/Form-Data", 401),
    ] {
        let headers = [
            ("API-KEY", API_KEY),
            ("HASH-SIGNATURE", &*signature),
            ("Room-Id", "any"),
            ("Content-Type", media_type),
        ];
        let answer = post(&server, "/auth/room/isRoomActive", &headers, body).await;
        assert_eq!(answer.status, status, "{media_type}");
    }
}

#[tokio::test]
async fn a_token_may_stand_in_the_query_or_in_a_form() {
    let (server, bob) = meeting().await;
    let form =
        format!("--b\r\nContent-Disposition: form-data; name=\"Authorization\"\r\n\r\n{bob}\r\n--b--\r\n");
    for (target, media_type, body) in [
        (
            format!("/api/getClientFiles?Authorization={bob}"),
            "text/plain",
            String::new(),
        ),
        (
            "/api/getClientFiles".into(),
            "application/x-www-form-urlencoded",
            format!("a=b&Authorization={bob}"),
        ),
        (
            "/api/getClientFiles".into(),
            "multipart/form-data; boundary=b",
            form,
        ),
    ] {
        let answer = post(&server, &target, &[("Content-Type", media_type)], body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{media_type} {answer:?}");
    }
    assert_eq!(post(&server, "/api/getClientFiles", &[], b"").await.status, 401);
}

#[tokio::test]
async fn names_that_it_keeps_for_itself_are_refused_after_the_room() {
    let (server, _) = meeting().await;
    let wanted =
        |room: &str| json!({"room_id": room, "user_info": {"name": "A", "user_id": "sip_1"}}).to_string();
    assert_eq!(join(&server, &wanted("other")).await["msg"], "room is not active");
    let said = join(&server, &wanted("room01")).await;
    assert_eq!(said["msg"], "user_id: sip_1 is reserved for internal use only");
}

/// A block is known to `verifyToken` and `getJoinToken` alone, and LTI's join takes it away.
#[tokio::test]
async fn a_block_holds_at_two_endpoints_and_lti_lifts_it() {
    let (server, bob) = meeting().await;
    let ann = token(&server, "ann", false).await;
    assert_eq!(
        api(&server, "verifyToken", &ann, b"").await,
        (1, "token is valid".into())
    );
    let sid = server.sid("room01").unwrap();
    let remove = |user_id: &str| {
        let body = Message::default()
            .text(1, &sid)
            .text(2, "room01")
            .text(3, user_id);
        body.number(5, 1).build()
    };
    let not_admin = (0, "only admin can perform this task".to_owned());
    assert_eq!(
        api(&server, "removeParticipant", &ann, &remove("bob")).await,
        not_admin
    );
    let removed = (1, "success".to_owned());
    assert_eq!(
        api(&server, "removeParticipant", &bob, &remove("ann")).await,
        removed
    );

    let blocked = (0, "notifications.you-are-blocked".to_owned());
    assert_eq!(api(&server, "verifyToken", &ann, b"").await, blocked);
    let wanted = r#"{"room_id":"room01","user_info":{"name":"A","user_id":"ann"}}"#;
    assert_eq!(join(&server, wanted).await["status_code"], "USER_BLOCKED");

    let headers = [("Authorization", &*ann), ("Content-Type", "application/json")];
    let again = post(&server, "/lti/v1/api/room/join", &headers, b"{}").await;
    let again = again.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(
        api(&server, "verifyToken", &again, b"").await,
        (1, "token is valid".into())
    );
}

/// A token that is genuine is not enough: its user has to have been added to this very meeting.
#[tokio::test]
async fn who_was_not_added_is_not_known_nor_is_who_was_in_the_meeting_before() {
    let (server, bob) = meeting().await;
    let unknown = (0, "notifications.user-info-not-found".to_owned());
    let made_up = signed_payload(
        &json!({"iss": API_KEY, "sub": "eve", "user_id": "eve", "room_id": "room01", "name": "Eve"}),
    );
    assert_eq!(api(&server, "verifyToken", &made_up, b"").await, unknown);
    let before = server.sid("room01");
    server.begin_anew("room01");
    assert_ne!(server.sid("room01"), before);
    assert_eq!(api(&server, "verifyToken", &bob, b"").await, unknown);
}

/// For whoever the body names, with that user's name and rights.
#[tokio::test]
async fn a_breakout_rooms_token_is_for_the_user_in_the_body() {
    let (server, bob) = meeting().await;
    let user = Message::default().text(1, "bob").build();
    let room = Message::default()
        .text(1, "b1")
        .text(2, "Group")
        .bytes(3, &user)
        .build();
    let create = Message::default().bytes(5, &room).build();
    assert_eq!(
        api(&server, "breakoutRoom/create", &bob, &create).await,
        (1, "success".into())
    );
    let ann = token(&server, "ann", false).await;
    let join = |user_id: &str| Message::default().text(1, "room01-b1").text(2, user_id).build();
    let not_invited = (0, "user is not allowed to join this breakout room".to_owned());
    assert_eq!(
        api(&server, "breakoutRoom/join", &ann, &join("ann")).await,
        not_invited
    );

    let headers = [
        ("Content-Type", "application/protobuf"),
        ("Authorization", ann.as_str()),
    ];
    let answer = post(&server, "/api/breakoutRoom/join", &headers, &join("bob")).await;
    let token = wire::text(&wire::fields(&answer.body).unwrap(), 3);
    let claims = super::play::claims(&token);
    assert_eq!(
        (&claims["room_id"], &claims["user_id"]),
        (&json!("room01-b1"), &json!("bob"))
    );
    assert_eq!(claims["is_admin"], true);
}
