//! The other endpoints that issue tokens, over real sockets: what passes, what is refused, what counts.

mod answers;
mod bbb;
mod counted;
mod refused;

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::json;

use crate::support::{Gateway, SECRET, client::Answer, plugnmeet::bbb_target, upstream::Upstream};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

const PROTOBUF: (&str, &str) = ("Content-Type", "application/protobuf");

/// Summed up by Python's hashlib: sha1("join" + query + secret).
const JOIN: &str = "fullName=Ann%20B&meetingID=room-1&password=mp&userID=u1";

async fn server() -> Upstream {
    Upstream::answering("the server").await
}

fn bbb_join(meeting_id: &str, user_id: &str) -> String {
    bbb_target("join", &format!("meetingID={meeting_id}&userID={user_id}"))
}

/// What the server signs for a learning platform's page.
fn lti_token(gateway: &Gateway, room_id: &str, user_id: &str) -> String {
    let payload = json!({"iss": "plugnmeet", "sub": user_id, "user_id": user_id, "room_id": room_id,
        "room_title": "Physics", "lti_custom_parameters": {}, "exp": gateway.clock.unix() + 7200});
    let text = format!(
        "{}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#),
        BASE64_URL_SAFE_NO_PAD.encode(payload.to_string())
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = hmac::sign(&key, text.as_bytes());
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// `JoinBreakoutRoomReq` with a room and a user.
fn breakout(room_id: &str, user_id: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for (tag, text) in [(0x0a, room_id), (0x12, user_id)] {
        body.extend([tag, u8::try_from(text.len()).unwrap()]);
        body.extend(text.as_bytes());
    }
    body
}

fn assert_over_limit(answer: &Answer) {
    // BBB's clients are told in its own way, with 200.
    let is_bbb = answer.header("content-type") == Some("application/xml; charset=utf-8");
    assert_eq!(answer.status, if is_bbb { 200 } else { 429 }, "{answer:?}");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    assert!(answer.header("ratelimit-policy").is_some(), "{answer:?}");
}

fn failed(key: &str, message: &str) -> String {
    format!(
        "<response><returncode>FAILED</returncode><messageKey>{key}</messageKey><message>{message}</message></response>"
    )
}

fn assert_failed_xml(answer: &Answer) {
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/xml; charset=utf-8")),
        "{answer:?}"
    );
    assert!(
        answer.text().contains("<returncode>FAILED</returncode>"),
        "{answer:?}"
    );
}
