//! `/auth`: who may call, and which call it is.
//!
//! Sources: docs/plugnmeet.md sections 1 and 8.

use aws_lc_rs::hmac;

use super::{
    answer::{Answer, common_json, common_protobuf, json_answer, json_utf8, not_found},
    state::{State, hex},
    wire,
};
use crate::support::{API_KEY, SECRET, upstream::Seen};
use serde_json::{Value, json};

impl State {
    pub(super) fn auth(&mut self, seen: &Seen, route: &str) -> Answer {
        if let Some((message, code)) = refusal(seen) {
            return if seen.first("content-type") == Some("application/protobuf") {
                common_protobuf(401, false, message)
            } else {
                common_json(401, false, message, code)
            };
        }
        if seen.method != "POST" {
            return not_found();
        }
        match route.strip_prefix("/auth/").unwrap_or_default() {
            "getclientfiles" => json_answer(200, &client_files()),
            "room/create" => self.create_room(&seen.body),
            "room/getjointoken" => self.join_token_answer(&seen.body),
            "room/isroomactive" => self.is_room_active(&seen.body),
            "room/getactiveroominfo" => self.active_room_info(&seen.body),
            "room/getactiveroomsinfo" => self.active_rooms_info(),
            "room/endroom" => self.end_room(&seen.body),
            "room/fetchpastrooms" => self.past_rooms(&seen.body),
            "room/broadcasttoroom" => self.broadcast(&seen.body),
            "room/uploadwhiteboardfile" => self.whiteboard_upload(seen),
            "recorder/notify" => recorder_notify(&seen.body),
            call => self.archive(&seen.body, call).unwrap_or_else(not_found),
        }
    }
}

/// In the server's order.
fn refusal(seen: &Seen) -> Option<(&'static str, &'static str)> {
    let given = |name: &str| seen.first(name).filter(|value| !value.is_empty());
    let Some(key) = given("api-key") else {
        return Some(("Missing API-KEY header.", "MISSING_REQUIRED_PARAMETER"));
    };
    if key != API_KEY {
        return Some(("Invalid API key provided.", "INVALID_API_KEY"));
    }
    let Some(signature) = given("hash-signature") else {
        return Some(("Missing HASH-SIGNATURE header.", "MISSING_REQUIRED_PARAMETER"));
    };
    // Anywhere in the value, in this very spelling.
    let multipart = seen
        .first("content-type")
        .is_some_and(|media| media.contains("multipart/form-data"));
    let signed = match (multipart, given("room-id")) {
        (false, _) => &seen.body[..],
        (true, Some(room)) => room.as_bytes(),
        (true, None) => {
            return Some((
                "Missing Room-Id header for multipart request.",
                "MISSING_REQUIRED_PARAMETER",
            ));
        }
    };
    // The hex as text: capitals are another signature.
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    (hex(hmac::sign(&key, signed).as_ref()) != signature).then_some((
        "Failed to verify provided authentication details.",
        "INVALID_TOKEN_OR_SIGNATURE",
    ))
}

/// The names of the client's build that the recorded server had installed.
pub(super) fn client_files() -> Value {
    let (css, js) = (
        ["vendor.CZnR2ujB.css", "main.CwAhzGqq.css"],
        ["main-module.DVWnrogs.js"],
    );
    json!({"status": true, "msg": "success", "status_code": "UNKNOWN_STATUS",
           "css": css, "js": js, "css_files": css, "js_files": js})
}

/// A recorder's report, in protobuf; nothing is made of it here.
fn recorder_notify(body: &[u8]) -> Answer {
    match wire::fields(body) {
        None => json_utf8(
            200,
            &json!({"status": false, "msg": "proto: cannot parse invalid wire-format data"}),
        ),
        Some(_) => json_utf8(200, &json!({"status": true, "msg": "success"})),
    }
}
