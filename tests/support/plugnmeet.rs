//! A stand-in for plugnmeet-server, written to contract.md: it checks signatures, issues tokens, and keeps a record.

use std::fmt::Write;

use aws_lc_rs::digest;
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

/// The server, with any room active.
pub async fn server() -> Upstream {
    Upstream::handling(|seen| async move { answer(&seen) }).await
}

/// contract.md section 8: routes are compared without regard to case and to a trailing slash, undecoded.
fn answer(seen: &Seen) -> Response<AnswerBody> {
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
            None if path == "/auth/room/getjointoken" && seen.method == "POST" => token_answer(seen),
            None if path == "/auth/room/isroomactive" && seen.method == "POST" => json_answer(
                200,
                &json!({"status": true, "msg": "room is active", "is_active": true}),
            ),
            None => not_found(),
        };
    }
    match path {
        "/healthcheck" => Response::new(text_body("Healthy")),
        "/api/verifytoken" => {
            let mut response = Response::new(text_body("\u{8}\u{1}"));
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, "application/protobuf".parse().unwrap());
            response
        }
        _ => not_found(),
    }
}

/// contract.md section 1, in the server's order.
fn refusal(seen: &Seen) -> Option<(&'static str, &'static str)> {
    let keys = TokenKeys::new(API_KEY.into(), &Secret::new(SECRET.into())).unwrap();
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
    (!keys.requests().is_signature(&signed, signature.as_bytes())).then_some((
        "Failed to verify provided authentication details.",
        "INVALID_TOKEN_OR_SIGNATURE",
    ))
}

/// contract.md sections 3 and 4.
fn token_answer(seen: &Seen) -> Response<AnswerBody> {
    let wanted =
        match request::read(&seen.body).and_then(|wanted| wanted.check_final_user_id().map(|()| wanted)) {
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
    let keys = TokenKeys::new(API_KEY.into(), &Secret::new(SECRET.into())).unwrap();
    let now = Clock::system().unix();
    let token = keys
        .sign(&Claims {
            client_type: wanted.client_type,
            exp: now + 600,
            is_admin: wanted.is_admin,
            is_hidden: wanted.is_hidden,
            iss: API_KEY.into(),
            name: wanted.name,
            nbf: now,
            room_id: wanted.room_id,
            sub: wanted.user_id.clone(),
            user_id: wanted.user_id,
        })
        .unwrap();
    json_answer(
        200,
        &json!({"status": true, "msg": "success", "status_code": "SUCCESS", "token": token.expose()}),
    )
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
