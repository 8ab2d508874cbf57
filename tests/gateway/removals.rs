//! Who was removed from a meeting stays out of it, as far as this gateway can see to that.

use std::sync::{Arc, Mutex};

use hyper::Response;
use serde_json::json;

use crate::support::{
    self, Gateway,
    client::Answer,
    plugnmeet::{bbb_target, signed_payload},
    upstream::{Seen, Upstream, text_body},
};

const PROTOBUF: (&str, &str) = ("Content-Type", "application/protobuf");

/// A server that removes whoever it is asked to, and issues tokens for everybody at all endpoints.
struct Server {
    upstream: Upstream,
    /// The meeting that runs in room01, or none.
    sid: Arc<Mutex<Option<&'static str>>>,
}

impl Server {
    async fn start() -> Self {
        let sid = Arc::new(Mutex::new(Some("first")));
        let running = Arc::clone(&sid);
        let upstream = Upstream::handling(move |seen| {
            let running = *running.lock().unwrap();
            async move { answer(&seen, running) }
        })
        .await;
        Self { upstream, sid }
    }

    async fn gateway(&self) -> Gateway {
        Gateway::in_front_of(&self.upstream).await
    }

    fn runs(&self, sid: Option<&'static str>) {
        *self.sid.lock().unwrap() = sid;
    }

    fn saw(&self, path: &str) -> usize {
        let requests = self.upstream.requests();
        requests
            .iter()
            .filter(|seen| seen.target.starts_with(path))
            .count()
    }
}

fn join_token(room_id: &str, user_id: &str) -> String {
    signed_payload(
        &json!({"iss": "plugnmeet", "sub": user_id, "user_id": user_id, "room_id": room_id,
                            "nbf": 1, "exp": 9_999_999_999_i64}),
    )
}

fn lti_token(user_id: &str) -> String {
    signed_payload(
        &json!({"iss": "plugnmeet", "sub": user_id, "user_id": user_id, "room_id": "room01",
                            "exp": 9_999_999_999_i64, "lti_custom_parameters": {}}),
    )
}

fn answer(seen: &Seen, running: Option<&str>) -> Response<support::upstream::AnswerBody> {
    let json = |value: serde_json::Value| Response::new(text_body(value.to_string()));
    let path = seen.target.split('?').next().unwrap();
    match path {
        "/auth/room/getActiveRoomInfo" if running == Some("broken") => {
            Response::builder().status(500).body(text_body("")).unwrap()
        }
        "/auth/room/getActiveRoomInfo" => json(match running {
            Some(sid) => json!({"status": true, "msg": "success", "status_code": "SUCCESS",
                                "room": {"room_info": {"room_id": "room01", "sid": sid}}}),
            None => json!({"status": false, "msg": "room not found in active state",
                           "status_code": "ROOM_NOT_FOUND", "room": null}),
        }),
        "/api/removeParticipant" if seen.header("x-refuse").is_some() => {
            Response::new(text_body(message(&[(2, "only admin can perform this task")])))
        }
        "/api/removeParticipant" => Response::new(text_body(
            [b"\x08\x01".to_vec(), message(&[(2, "success")])].concat(),
        )),
        "/lti/v1/api/room/join" => {
            json(json!({"status": true, "msg": "success", "token": join_token("room01", "bob")}))
        }
        "/api/breakoutRoom/join" => {
            let token = join_token("room01-b1", "bob");
            Response::new(text_body(
                [b"\x08\x01".to_vec(), message(&[(3, &token)])].concat(),
            ))
        }
        path if path.ends_with("/join") => Response::builder()
            .status(303)
            .header(
                "location",
                format!(
                    "HTTP/1.1://localhost/?access_token={}",
                    join_token("room01", "made-up")
                ),
            )
            .body(text_body(""))
            .unwrap(),
        _ => Response::new(text_body("the server")),
    }
}

/// A protobuf message of texts.
fn message(fields: &[(u8, &str)]) -> Vec<u8> {
    fields
        .iter()
        .flat_map(|(number, text)| {
            let length = text.len();
            let low = u8::try_from(length & 0x7f).unwrap();
            let head = if length < 128 {
                vec![number << 3 | 2, low]
            } else {
                vec![number << 3 | 2, low | 0x80, u8::try_from(length >> 7).unwrap()]
            };
            [head, text.as_bytes().to_vec()].concat()
        })
        .collect()
}

async fn remove(gateway: &Gateway, user_id: &str, block: bool, more: &[(&str, &str)]) -> Answer {
    let token = gateway.sign(|claims| claims.is_admin = true);
    let mut body = message(&[(1, "x"), (2, "room01"), (3, user_id), (4, "be good")]);
    body.extend([0x28, u8::from(block)]);
    let mut headers = vec![("Authorization", &*token), PROTOBUF];
    headers.extend_from_slice(more);
    gateway.post("/api/removeParticipant", &headers, &body).await
}

async fn lti_join(gateway: &Gateway, user_id: &str) -> u16 {
    let token = lti_token(user_id);
    let headers = [("Authorization", &*token), ("Content-Type", "application/json")];
    gateway
        .post("/lti/v1/api/room/join", &headers, b"{}")
        .await
        .status
}

async fn breakout_join(gateway: &Gateway, room_id: &str) -> u16 {
    let token = gateway.token(room_id, "bob");
    let headers = [("Authorization", &*token), PROTOBUF];
    let body = message(&[(1, "room01-b1"), (2, "bob")]);
    gateway
        .post("/api/breakoutRoom/join", &headers, &body)
        .await
        .status
}

#[tokio::test]
async fn who_is_blocked_gets_no_token_at_any_door_until_the_meeting_has_ended() {
    let server = Server::start().await;
    let gateway = server.gateway().await;
    assert_eq!(lti_join(&gateway, "bob").await, 200);
    assert_eq!(breakout_join(&gateway, "room01").await, 200);
    let removed = remove(&gateway, "bob", true, &[]).await;
    assert_eq!(
        (removed.status, removed.body.as_ref()),
        (200, &b"\x08\x01\x12\x07success"[..])
    );
    let before = (server.saw("/lti"), server.saw("/api/breakoutRoom"));
    assert_eq!(lti_join(&gateway, "bob").await, 403);
    assert_eq!(breakout_join(&gateway, "room01").await, 403);
    // A breakout room of that room, which was seen to be one.
    assert_eq!(breakout_join(&gateway, "room01-b1").await, 403);
    assert_eq!((server.saw("/lti"), server.saw("/api/breakoutRoom")), before);
    assert_eq!(lti_join(&gateway, "ann").await, 200, "nobody else is blocked");
    server.runs(Some("second"));
    assert_eq!(lti_join(&gateway, "bob").await, 200);
    // And the block is not asked about again.
    server.runs(Some("first"));
    assert_eq!(lti_join(&gateway, "bob").await, 200);
}

#[tokio::test]
async fn a_block_ends_with_the_meeting_and_not_with_a_server_that_does_not_say() {
    let server = Server::start().await;
    let gateway = server.gateway().await;
    remove(&gateway, "bob", true, &[]).await;
    server.runs(Some("broken"));
    assert_eq!(lti_join(&gateway, "bob").await, 403);
    server.runs(None);
    assert_eq!(lti_join(&gateway, "bob").await, 200);
}

#[tokio::test]
async fn only_what_the_server_has_done_is_remembered() {
    let server = Server::start().await;
    let gateway = server.gateway().await;
    let refused = remove(&gateway, "bob", true, &[("x-refuse", "1")]).await;
    assert_eq!(
        refused.body.as_ref(),
        message(&[(2, "only admin can perform this task")])
    );
    assert_eq!(lti_join(&gateway, "bob").await, 200);
    remove(&gateway, "bob", false, &[]).await;
    assert_eq!(lti_join(&gateway, "bob").await, 200, "removed, and not blocked");
    let packed = remove(&gateway, "bob", true, &[("Content-Encoding", "gzip")]).await;
    assert_eq!(packed.status, 415, "{packed:?}");
}

#[tokio::test]
async fn a_platforms_user_is_blocked_under_the_id_that_the_room_made_up() {
    let server = Server::start().await;
    let gateway = server.gateway().await;
    let join = |user_id: &str| bbb_target("join", &format!("meetingID=Physics%201&userID={user_id}"));
    assert_eq!(gateway.get(&join("u7"), &[]).await.status, 303);
    remove(&gateway, "made-up", true, &[]).await;
    let before = server.saw("/plugnmeet");
    let refused = gateway.get(&join("u7"), &[]).await;
    assert!(
        refused.text().contains("<returncode>FAILED</returncode>"),
        "{refused:?}"
    );
    assert!(
        refused
            .text()
            .contains("this user is blocked to join this session"),
        "{refused:?}"
    );
    assert_eq!(server.saw("/plugnmeet"), before);
    assert_eq!(gateway.get(&join("u8"), &[]).await.status, 303);
}
