//! Renewed in upstream mode: only while the meeting of the link runs, and its caller may still ask.

use std::time::Duration;

use hyper::Response;
use plugnmeet_gateway::{clock::Clock, secret::Secret, token::TokenKeys};
use serde_json::json;

use super::{HOUR, TOKEN, assert_refused, open, path_of, visit};
use crate::support::{
    API_KEY, Gateway,
    addr::own,
    plugnmeet::PlugNmeet,
    token_request,
    upstream::{AnswerBody, Upstream, text_body},
};

/// The server, for which a room is what this says.
async fn server_saying(room: &'static str) -> Upstream {
    Upstream::handling(move |seen| async move {
        if seen.target == "/auth/room/getActiveRoomInfo" {
            return json_answer(room);
        }
        Response::new(text_body("not found"))
    })
    .await
}

fn json_answer(json: &'static str) -> Response<AnswerBody> {
    let mut response = Response::new(text_body(json));
    response
        .headers_mut()
        .insert("content-type", "application/json".parse().unwrap());
    response
}

#[tokio::test]
async fn a_closed_room_ends_the_session_and_a_server_that_says_nothing_does_not() {
    for (said, status) in [
        (
            r#"{"status":true,"msg":"success","status_code":"SUCCESS","room":{"room_info":{"sid":"s1"}}}"#,
            200,
        ),
        (
            r#"{"status":false,"msg":"room not found in active state","status_code":"ROOM_NOT_FOUND","room":null}"#,
            410,
        ),
        (
            r#"{"status":false,"msg":"error","status_code":"INTERNAL_SERVER_ERROR","room":null}"#,
            200,
        ),
        ("", 200),
    ] {
        let server = server_saying(said).await;
        let gateway = Gateway::in_front_of(&server).await;
        let path = path_of(&gateway, "room01", "ann");
        let jar = open(&gateway, &gateway.token("room01", "ann")).await;
        gateway.clock.advance(HOUR);
        let answer = visit(&gateway, &path, &jar).await;
        assert_eq!(answer.status, status, "{said}");
        if status == 410 {
            assert_refused(&answer, 410, "meeting has ended");
        }
        let requests = server.requests();
        assert_eq!(requests.len(), 2, "at the handoff, and at the renewal");
        let asked = &requests[1];
        assert_eq!(asked.body, json!({"room_id": "room01"}).to_string());
        let signature = gateway.keys.requests().signature(&asked.body);
        assert_eq!(asked.header("hash-signature"), Some(signature.as_str()));
        assert_eq!(asked.header("api-key"), Some(API_KEY));
        assert_eq!(asked.header("cookie"), None);
    }
}

/// A room's id comes from the platform, and a later meeting may have the same one.
#[tokio::test]
async fn no_session_goes_on_into_another_meeting_of_the_same_room() {
    let server = PlugNmeet::at(&Clock::system(), "https://localhost").await;
    let gateway = Gateway::in_front_of(&server).await;
    let path = path_of(&gateway, "room01", "ann");
    let mut jar = open(&gateway, &gateway.token("room01", "ann")).await;
    gateway.clock.advance(HOUR);
    let answer = visit(&gateway, &path, &jar).await;
    assert_eq!(answer.status, 200);
    jar.take(&answer);
    server.begin_anew("room01");
    gateway.clock.advance(HOUR);
    assert_refused(&visit(&gateway, &path, &jar).await, 410, "meeting has ended");
    // Nor does a token of the old one that is put into a link, or an old link.
    let renewed = jar.value(TOKEN).unwrap().to_owned();
    let line = jar.line();
    let answer = gateway
        .get(
            &format!("/conference/?access_token={renewed}"),
            &[("Cookie", &line)],
        )
        .await;
    assert_eq!(answer.status, 401, "its ten minutes are over");
    // A link of the new meeting's begins a session of it.
    let again = open(&gateway, &gateway.token("room01", "ann")).await;
    gateway.clock.advance(HOUR);
    assert_eq!(visit(&gateway, &path, &again).await.status, 200);
}

/// A link is good for ten minutes, and a meeting may end and another begin in them.
#[tokio::test]
async fn a_link_of_an_earlier_meeting_begins_no_session_that_goes_on() {
    let clock = Clock::system();
    let server = PlugNmeet::at(&clock, "https://localhost").await;
    let toml = format!(
        "issuer.mode = 'upstream'\nupstreams.server = ['{}']",
        server.url()
    );
    let gateway = Gateway::start(tempfile::tempdir().unwrap(), &clock, &own(), &toml).await;
    let path = path_of(&gateway, "room01", "ann");
    let earlier = gateway.token("room01", "ann");
    let mut jar = open(&gateway, &earlier).await;
    gateway.clock.advance(Duration::from_secs(400));
    jar.take(&visit(&gateway, &path, &jar).await);
    server.begin_anew("room01");
    gateway.clock.advance(Duration::from_secs(4));
    // The token of one's own cookie, put into a link.
    let renewed = jar.value(TOKEN).unwrap().to_owned();
    let target = format!("/conference/?access_token={renewed}");
    jar.take(&gateway.get(&target, &[("Cookie", &jar.line())]).await);
    let by_link = open(&gateway, &earlier).await;
    gateway.clock.advance(HOUR);
    for jar in [&jar, &by_link] {
        assert_refused(&visit(&gateway, &path, jar).await, 410, "meeting has ended");
    }
}

/// Renewed is at the session's own path alone; a program that sends a cookie to the mount is shown the page, and no more.
#[tokio::test]
async fn nothing_is_renewed_at_the_mount_nor_without_any_grace() {
    let gateway = Gateway::embedded().await;
    let jar = open(&gateway, &gateway.token("room01", "ann")).await;
    gateway.clock.advance(HOUR);
    let answer = visit(&gateway, "/conference/", &jar).await;
    assert_refused(&answer, 401, "This link has expired");
    let gateway = Gateway::with("session.renew_grace = '0s'").await;
    let path = path_of(&gateway, "room01", "ann");
    let jar = open(&gateway, &gateway.token("room01", "ann")).await;
    gateway.clock.advance(Duration::from_secs(400));
    let answer = visit(&gateway, &path, &jar).await;
    assert_eq!((answer.status, answer.set_cookie(TOKEN)), (200, None));
}

/// What the server says of a room names everybody in it.
#[tokio::test]
async fn the_meeting_of_a_large_room_is_known_too() {
    let people = vec![json!({"user_id": "u", "metadata": "x".repeat(900)}); 700];
    let server = Upstream::handling(move |_| {
        let said = json!({"status": true, "msg": "success", "status_code": "SUCCESS",
            "room": {"room_info": {"sid": "s1", "creation_time": "1"}, "participants_info": people}});
        async move { Response::new(text_body(said.to_string())) }
    })
    .await;
    let gateway = Gateway::in_front_of(&server).await;
    let jar = open(&gateway, &gateway.token("room01", "ann")).await;
    let other = Upstream::handling(|_| async {
        json_answer(r#"{"status":true,"msg":"success","status_code":"SUCCESS","room":{"room_info":{"sid":"s2","creation_time":"1"}}}"#)
    })
    .await;
    let folder = gateway.stop_and_keep_folder().await;
    let gateway = Gateway::in_folder(
        folder,
        &format!("issuer.mode = 'upstream'\nupstreams.server = ['{}']", other.url()),
    )
    .await;
    gateway.clock.advance(HOUR);
    let path = path_of(&gateway, "room01", "ann");
    assert_refused(&visit(&gateway, &path, &jar).await, 410, "meeting has ended");
}

/// A class that comes in one moment asks the server once.
#[tokio::test]
async fn links_of_one_room_ask_once_which_meeting_runs() {
    let server = PlugNmeet::at(&Clock::system(), "https://localhost").await;
    let gateway = Gateway::in_front_of(&server).await;
    for user in 0..20 {
        open(&gateway, &gateway.token("room01", &format!("u{user}"))).await;
    }
    open(&gateway, &gateway.token("room02", "ann")).await;
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn who_was_removed_or_blocked_is_renewed_no_more() {
    // Of a token and a removal in one second the removal counts.
    for (block, seconds) in [(0, 0), (0, 2), (1, 0), (1, 2)] {
        let server = PlugNmeet::at(&Clock::system(), "https://localhost").await;
        let gateway = Gateway::in_front_of(&server).await;
        let path = path_of(&gateway, "room01", "bob");
        let bob = open(&gateway, &gateway.token("room01", "bob")).await;
        let admin = gateway.sign(|claims| claims.is_admin = true);
        gateway.clock.advance(Duration::from_secs(seconds));
        let headers = [
            ("Authorization", &*admin),
            ("Content-Type", "application/protobuf"),
        ];
        let body = [b"\x12\x06room01\x1a\x03bob\x28".as_slice(), &[block]].concat();
        let removed = gateway.post("/api/removeParticipant", &headers, &body).await;
        assert_eq!(removed.status, 200);
        // The old link begins nothing anew.
        let again = open(&gateway, bob.value(TOKEN).unwrap()).await;
        gateway.clock.advance(HOUR);
        for jar in [&bob, &again] {
            assert!(visit(&gateway, &path, jar).await.status >= 401, "{block}");
        }
        // An old link is good as long as its token lasts; it begins nothing that could go on for who is blocked.
        let back = open(&gateway, &gateway.token("room01", "bob")).await;
        gateway.clock.advance(HOUR);
        let status = if block == 1 { 403 } else { 200 };
        assert_eq!(visit(&gateway, &path, &back).await.status, status, "{block}");
    }
}

#[tokio::test]
async fn a_server_that_is_away_or_silent_does_not_end_a_session() {
    let hanging = Upstream::handling(|_| std::future::pending::<Response<AnswerBody>>()).await;
    for url in ["http://127.0.0.1:1", &hanging.url()] {
        let gateway = Gateway::with(&format!("issuer.mode = 'upstream'\nupstreams.server = ['{url}']")).await;
        let path = path_of(&gateway, "room01", "ann");
        let jar = open(&gateway, &gateway.token("room01", "ann")).await;
        gateway.clock.advance(HOUR);
        assert_eq!(visit(&gateway, &path, &jar).await.status, 200, "{url}");
    }
}

fn callers(enabled: bool) -> String {
    format!(
        "[[callers]]\nname = 'moodle'\napi_key = 'moodle-key'\nsecret = 'moodle-secret-that-is-long-enough-1'\nenabled = {enabled}\n\
         [[callers]]\nname = 'canvas'\napi_key = 'canvas-key'\nsecret = 'canvas-secret-that-is-long-enough-1'\nrooms = ['c-*']\n"
    )
}

/// A link by a caller with a key of its own.
async fn link_by(gateway: &Gateway, caller: &str, room: &str, user: &str) -> String {
    let secret = Secret::new(format!("{caller}-secret-that-is-long-enough-1"));
    let keys = TokenKeys::new(format!("{caller}-key"), &secret).unwrap();
    let body = token_request(room, user);
    let answer = gateway
        .post(
            "/auth/room/getJoinToken",
            &[
                ("API-KEY", keys.api_key()),
                ("HASH-SIGNATURE", &keys.requests().signature(body.as_bytes())),
            ],
            body.as_bytes(),
        )
        .await;
    answer.json()["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn sessions_of_a_caller_that_is_switched_off_end_and_those_of_others_go_on() {
    let gateway = Gateway::with(&callers(true)).await;
    let (of_moodle, of_canvas) = (path_of(&gateway, "c-1", "ann"), path_of(&gateway, "c-1", "bob"));
    let moodle = open(&gateway, &link_by(&gateway, "moodle", "c-1", "ann").await).await;
    let canvas = open(&gateway, &link_by(&gateway, "canvas", "c-1", "bob").await).await;
    let of_server = gateway.ask_for_token(&token_request("c-1", "eve"), &[]).await;
    let server = open(&gateway, of_server.json()["token"].as_str().unwrap()).await;
    let eves = path_of(&gateway, "c-1", "eve");
    gateway.clock.advance(HOUR);
    assert_eq!(visit(&gateway, &of_moodle, &moodle).await.status, 200);
    let folder = gateway.stop_and_keep_folder().await;
    let gateway = Gateway::in_folder(folder, &callers(false)).await;
    gateway.clock.advance(HOUR);
    let answer = visit(&gateway, &of_moodle, &moodle).await;
    assert_refused(&answer, 401, "This link has expired");
    assert!(answer.text().contains("may have no other"));
    assert_eq!(visit(&gateway, &of_canvas, &canvas).await.status, 200);
    assert_eq!(visit(&gateway, &eves, &server).await.status, 200);
}
