//! The forms in which the server answers.
//!
//! Source: docs/plugnmeet.md section 1; plugnmeet-protocol, `utils/common.go`.

use hyper::{Response, header};
use serde_json::{Value, json};

use super::wire::Message;
use crate::support::upstream::{AnswerBody, text_body};

pub(super) type Answer = Response<AnswerBody>;

/// This media type, exactly.
pub(super) fn of(status: u16, media_type: &str, body: impl Into<bytes::Bytes>) -> Answer {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, media_type)
        .body(text_body(body))
        .unwrap()
}

pub(super) fn plain(status: u16, text: &'static str) -> Answer {
    of(status, "text/plain; charset=utf-8", text)
}

pub(super) fn not_found() -> Answer {
    plain(404, "not found")
}

/// protojson's.
pub(super) fn json_answer(status: u16, value: &Value) -> Answer {
    of(status, "application/json", value.to_string())
}

/// Fiber's own.
pub(super) fn json_utf8(status: u16, value: &Value) -> Answer {
    of(status, "application/json; charset=utf-8", value.to_string())
}

/// `CommonResponse` in JSON.
pub(super) fn common_json(http_status: u16, status: bool, message: &str, code: &str) -> Answer {
    json_answer(
        http_status,
        &json!({"status": status, "msg": message, "status_code": code}),
    )
}

pub(super) fn success() -> Answer {
    common_json(200, true, "success", "SUCCESS")
}

/// An application's error: HTTP says 200.
pub(super) fn refused(message: &str, code: &str) -> Answer {
    common_json(200, false, message, code)
}

/// What the decoder or the rules of the .proto say.
pub(super) fn bad_parameters(message: &str) -> Answer {
    refused(message, "INVALID_PARAMETERS")
}

pub(super) fn protobuf(status: u16, body: Vec<u8>) -> Answer {
    of(status, "application/protobuf", body)
}

/// `CommonResponse` in protobuf, without its code.
pub(super) fn common_protobuf(http_status: u16, status: bool, message: &str) -> Answer {
    let body = Message::default().number(1, status.into()).text(2, message);
    protobuf(http_status, body.build())
}

/// What protovalidate says of these violations.
pub(super) fn violations(found: &[String]) -> String {
    match found {
        [one] => format!("validation error: {one}"),
        several => several
            .iter()
            .fold("validation errors:".to_owned(), |lines, one| {
                format!("{lines}\n - {one}")
            }),
    }
}
