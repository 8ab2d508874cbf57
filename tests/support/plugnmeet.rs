//! A stand-in for plugnmeet-server, written to contract.md: it checks signatures, issues and verifies tokens, sends people
//! on to links that it makes, and keeps a record.

mod api;
mod doors;

use std::{
    collections::{HashMap, HashSet},
    fmt::Write,
    ops::Deref,
    sync::{Arc, Mutex},
};

use aws_lc_rs::{digest, hmac};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hyper::{Response, header};
use plugnmeet_gateway::{
    clock::Clock,
    issue::request,
    secret::Secret,
    token::{Claims, TokenKeys},
};
use serde_json::{Value, json};

use super::{
    API_KEY, SECRET,
    upstream::{AnswerBody, Seen, Upstream, text_body},
};

/// A running server; any room is active until it is closed.
pub struct PlugNmeet {
    upstream: Upstream,
    rooms: Arc<Rooms>,
}

/// What its answers depend on beside the request.
struct Rooms {
    clock: Clock,
    /// `client.bbb_join_host`.
    join_host: String,
    closed: Mutex<HashSet<String>>,
    /// When each further meeting of a room began.
    meetings: Mutex<HashMap<String, Vec<i64>>>,
}

/// The server by the machine's own time.
pub async fn server() -> PlugNmeet {
    PlugNmeet::at(&Clock::system(), "https://localhost").await
}

impl PlugNmeet {
    /// By this clock; BBB's and LTI's joins lead to this host.
    pub async fn at(clock: &Clock, join_host: &str) -> Self {
        let rooms = Arc::new(Rooms {
            clock: clock.clone(),
            join_host: join_host.to_owned(),
            closed: Mutex::default(),
            meetings: Mutex::default(),
        });
        let answering = Arc::clone(&rooms);
        let upstream = Upstream::handling(move |seen| {
            let rooms = Arc::clone(&answering);
            async move { with_cors(&seen, rooms.answer(&seen)) }
        })
        .await;
        Self { upstream, rooms }
    }

    /// Ends a room.
    pub fn close(&self, room_id: &str) {
        self.rooms.closed.lock().unwrap().insert(room_id.to_owned());
    }

    /// Another meeting begins in a room of the same id.
    pub fn begin_anew(&self, room_id: &str) {
        self.rooms.closed.lock().unwrap().remove(room_id);
        let now = self.rooms.clock.unix();
        let mut meetings = self.rooms.meetings.lock().unwrap();
        meetings.entry(room_id.to_owned()).or_default().push(now);
    }
}

impl Deref for PlugNmeet {
    type Target = Upstream;

    fn deref(&self) -> &Upstream {
        &self.upstream
    }
}

impl Rooms {
    /// contract.md section 8: routes are compared without regard to case and to a trailing slash, undecoded.
    fn answer(&self, seen: &Seen) -> Response<AnswerBody> {
        let path = seen
            .target
            .split('?')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let path = path.trim_end_matches('/');
        if path == "/auth" || path.starts_with("/auth/") {
            return match refusal(seen) {
                Some((message, code)) => json_answer(
                    401,
                    &json!({"status": false, "msg": message, "status_code": code}),
                ),
                None if path == "/auth/room/getjointoken" && seen.method == "POST" => self.token_answer(seen),
                None if path == "/auth/room/isroomactive" && seen.method == "POST" => self.is_active(seen),
                None if path == "/auth/room/getactiveroominfo" && seen.method == "POST" => {
                    self.active_info(seen)
                }
                None => not_found(),
            };
        }
        match path {
            "/healthcheck" => Response::new(text_body("Healthy")),
            "/lti/v1" if seen.method == "POST" => self.lti_page(seen),
            "/lti/v1/api/room/join" if seen.method == "POST" => self.lti_join(seen),
            _ if path.starts_with("/api/") => self.api(seen, path),
            _ if path.ends_with("/bigbluebutton/api/join") => self.bbb_join(seen),
            _ => not_found(),
        }
    }

    fn is_closed(&self, room_id: &str) -> bool {
        self.closed.lock().unwrap().contains(room_id)
    }

    /// A token as contract.md section 4 has them, valid for ten minutes.
    fn token(&self, change: impl FnOnce(&mut Claims)) -> String {
        let now = self.clock.unix();
        let mut claims = Claims {
            client_type: 0,
            exp: now + 600,
            is_admin: false,
            is_hidden: false,
            iss: API_KEY.into(),
            name: "Ann".into(),
            nbf: now,
            room_id: String::new(),
            sub: String::new(),
            user_id: String::new(),
        };
        change(&mut claims);
        claims.sub.clone_from(&claims.user_id);
        keys().sign(&claims).unwrap().expose().clone()
    }

    /// contract.md section 3.
    fn token_answer(&self, seen: &Seen) -> Response<AnswerBody> {
        let wanted = match request::read(&seen.body).and_then(|wanted| wanted.check_user().map(|()| wanted)) {
            Ok(wanted) => wanted,
            Err(error) => {
                let code = if error.is_internal() {
                    "INTERNAL_SERVER_ERROR"
                } else {
                    "INVALID_PARAMETERS"
                };
                return json_answer(
                    200,
                    &json!({"status": false, "msg": error.to_string(), "status_code": code}),
                );
            }
        };
        let token = self.token(|claims| {
            claims.client_type = wanted.client_type;
            claims.is_admin = wanted.is_admin;
            claims.is_hidden = wanted.is_hidden;
            claims.name = wanted.name;
            claims.room_id = wanted.room_id;
            claims.user_id = wanted.user_id;
        });
        json_answer(
            200,
            &json!({"status": true, "msg": "success", "status_code": "SUCCESS", "token": token}),
        )
    }

    /// contract.md section 8; of all that the server tells, what tells meetings apart.
    fn active_info(&self, seen: &Seen) -> Response<AnswerBody> {
        let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
        let room_id = body["room_id"].as_str().unwrap_or_default();
        if self.is_closed(room_id) {
            return json_answer(
                200,
                &json!({"status": false, "msg": "room not found in active state",
                        "status_code": "ROOM_NOT_FOUND", "room": null}),
            );
        }
        let meetings = self.meetings.lock().unwrap();
        let later = meetings.get(room_id).map(Vec::as_slice).unwrap_or_default();
        let sid = format!("{:08}-0000-4000-8000-000000000000", later.len());
        let began = later.last().copied().unwrap_or(1).to_string();
        json_answer(
            200,
            &json!({"status": true, "msg": "success", "status_code": "SUCCESS",
                    "room": {"room_info": {"room_id": room_id, "sid": sid, "creation_time": began}, "participants_info": []}}),
        )
    }

    /// contract.md section 8.
    fn is_active(&self, seen: &Seen) -> Response<AnswerBody> {
        let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
        let active = !self.is_closed(body["room_id"].as_str().unwrap_or_default());
        let message = if active {
            "room is active"
        } else {
            "room is not active"
        };
        json_answer(200, &json!({"status": true, "msg": message, "is_active": active}))
    }
}

/// contract.md section 8: answered when `Origin` is sent, and a preflight before anything else is looked at.
fn with_cors(seen: &Seen, answer: Response<AnswerBody>) -> Response<AnswerBody> {
    let Some(_) = seen.header("origin") else {
        return answer;
    };
    let mut answer = answer;
    if seen.method == "OPTIONS" {
        answer = Response::builder()
            .status(204)
            .header(header::ACCESS_CONTROL_ALLOW_METHODS, "POST, GET, OPTIONS, HEAD")
            .header(
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                seen.header("access-control-request-headers").unwrap_or_default(),
            )
            .body(text_body(""))
            .unwrap();
    }
    answer
        .headers_mut()
        .insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*".parse().unwrap());
    answer
}

fn keys() -> TokenKeys {
    TokenKeys::new(API_KEY.into(), &Secret::new(SECRET.into())).unwrap()
}

/// Any payload, signed as the server signs its tokens of every kind.
pub fn signed_payload(payload: &Value) -> String {
    let text = format!(
        "{}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#),
        BASE64_URL_SAFE_NO_PAD.encode(payload.to_string())
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = hmac::sign(&key, text.as_bytes());
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// contract.md section 1, in the server's order.
fn refusal(seen: &Seen) -> Option<(&'static str, &'static str)> {
    let given = |name: &str| seen.header(name).filter(|value| !value.is_empty());
    let Some(key) = given("api-key") else {
        return Some(("Missing API-KEY header.", "MISSING_REQUIRED_PARAMETER"));
    };
    if key != API_KEY {
        return Some(("Invalid API key provided.", "INVALID_API_KEY"));
    }
    let Some(signature) = given("hash-signature") else {
        return Some(("Missing HASH-SIGNATURE header.", "MISSING_REQUIRED_PARAMETER"));
    };
    let multipart = seen
        .header("content-type")
        .is_some_and(|media| media.contains("multipart/form-data"));
    let signed = match (multipart, given("room-id")) {
        (false, _) => seen.body.to_vec(),
        (true, Some(room)) => room.as_bytes().to_vec(),
        (true, None) => {
            return Some((
                "Missing Room-Id header for multipart request.",
                "MISSING_REQUIRED_PARAMETER",
            ));
        }
    };
    (!keys().requests().is_signature(&signed, signature.as_bytes())).then_some((
        "Failed to verify provided authentication details.",
        "INVALID_TOKEN_OR_SIGNATURE",
    ))
}

fn json_answer(status: u16, value: &Value) -> Response<AnswerBody> {
    let mut response = Response::new(text_body(value.to_string()));
    *response.status_mut() = status.try_into().unwrap();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    response
}

fn not_found() -> Response<AnswerBody> {
    let mut response = Response::new(text_body("not found"));
    *response.status_mut() = 404.try_into().unwrap();
    response
}

/// The checksum of a BBB call: over the method, the query without it, and the secret, as the server has it.
pub fn bbb_checksum(method: &str, query: &str) -> String {
    let signed = format!("{method}{query}{SECRET}");
    let sum = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, signed.as_bytes());
    sum.as_ref().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// A BBB call as its clients send it: the checksum last.
pub fn bbb_target(method: &str, query: &str) -> String {
    let separator = if query.is_empty() { "" } else { "&" };
    let sum = bbb_checksum(method, query);
    format!("/{API_KEY}/bigbluebutton/api/{method}?{query}{separator}checksum={sum}")
}
