//! What the client asks of the server: its token verified, as the server verifies it.
//!
//! Sources: contract.md sections 0.9, 4 and 5 (what is checked, and the answers' texts), 6 (`VerifyTokenRes`).

use hyper::{Response, header};
use plugnmeet_gateway::token::{BadToken, Claims, Unverified};

use super::{Rooms, json_answer, keys};
use crate::support::upstream::{AnswerBody, Seen, text_body};

impl Rooms {
    /// Every call wants a token; `verifyToken` tells whose it is, the others take it.
    pub(super) fn api(&self, seen: &Seen, path: &str) -> Response<AnswerBody> {
        match self.verified(seen) {
            Err(message) => common(seen, if path.contains("fileupload") { 400 } else { 401 }, message),
            Ok(_) if path == "/api/refused" => common(seen, 403, "notifications.permission-denied"),
            Ok(claims) => {
                let mut body = vec![0x08, 1];
                for (tag, text) in [
                    (0x12, "token is valid"),
                    (0x2a, claims.room_id.as_str()),
                    (0x32, claims.user_id.as_str()),
                ] {
                    body.extend(field(tag, text));
                }
                protobuf(200, body)
            }
        }
    }

    /// With a minute of leeway, as go-jose has it.
    fn verified(&self, seen: &Seen) -> Result<Claims, &'static str> {
        let token = seen.header("authorization").unwrap_or_default();
        if token.is_empty() {
            return Err("notifications.auth-header-missing");
        }
        match keys().verify(Unverified(token), self.clock.unix()) {
            Err(BadToken::Expired) => Err("notifications.token-expired"),
            Err(_) => Err("notifications.invalid-token"),
            Ok(verified) if self.is_closed(&verified.claims.room_id) => Err("notifications.room-not-active"),
            Ok(verified) => Ok(verified.claims),
        }
    }
}

/// `CommonResponse`, in the form of the request.
fn common(seen: &Seen, status: u16, message: &str) -> Response<AnswerBody> {
    if seen.header("content-type") == Some("application/protobuf") {
        return protobuf(status, field(0x12, message));
    }
    json_answer(
        status,
        &serde_json::json!({"status": false, "msg": message, "status_code": "INVALID_TOKEN_OR_SIGNATURE"}),
    )
}

fn protobuf(status: u16, body: Vec<u8>) -> Response<AnswerBody> {
    let answer = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/protobuf");
    answer.body(text_body(body)).unwrap()
}

fn field(tag: u8, text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    [&[tag, length], text.as_bytes()].concat()
}
