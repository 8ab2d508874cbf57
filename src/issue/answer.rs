//! Answers on `/auth`: made here in the server's form, or the server's own, kept whole so that it can be shared.

use std::borrow::Cow;

use bytes::Bytes;
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{self, HeaderValue},
};
use serde::Deserialize;

use super::IssueError;
use crate::{
    http::whole,
    reply::{Body, Failure, ServerCode, server_json},
};

/// The largest answer that is read: far more than a token and a message need.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// The longest name in `status_code`; the server's own have up to 31 letters.
const MAX_NAME_BYTES: usize = 64;

/// The server's answer, read whole.
#[derive(Clone)]
pub(super) struct Whole {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Whole {
    pub(super) async fn of(response: Response<Body>) -> Result<Self, Failure> {
        Self::of_at_most(response, MAX_ANSWER_BYTES).await
    }

    pub(super) async fn of_at_most(response: Response<Body>, max_bytes: usize) -> Result<Self, Failure> {
        let (mut head, body) = response.into_parts();
        // Said to callers that send `Origin`, and each that shares this answer is told for itself (`crate::route`).
        head.headers.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        let body = whole(body, max_bytes).await;
        let body = body.map_err(|error| IssueError::AnswerBroken(error).into_failure())?;
        Ok(Self {
            status: head.status,
            headers: head.headers,
            // A copy: what came may be a small part of a buffer that would live as long.
            body: Bytes::copy_from_slice(&body),
        })
    }

    pub(super) fn is_success(&self) -> bool {
        self.status.is_success()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(super) fn body(&self) -> &Bytes {
        &self.body
    }

    /// The token, if the server issued one.
    pub(super) fn token(&self) -> Option<Cow<'_, str>> {
        #[derive(Deserialize)]
        struct Answer<'a> {
            status: bool,
            #[serde(borrow, default)]
            token: Cow<'a, str>,
        }
        let answer = self.json::<Answer<'_>>()?;
        answer.status.then_some(answer.token)
    }

    /// The name with which the server says why it refuses, if it has the form of one.
    pub(super) fn status_code(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Answer {
            status_code: String,
        }
        let answer = serde_json::from_slice::<Answer>(&self.body).ok()?;
        let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        Some(answer.status_code).filter(|name| name.len() <= MAX_NAME_BYTES && is_name(name))
    }

    /// The answer's JSON, if its status is 200.
    pub(super) fn json<'a, T: Deserialize<'a>>(&'a self) -> Option<T> {
        let good = self.status == StatusCode::OK;
        good.then(|| serde_json::from_slice(&self.body).ok()).flatten()
    }

    /// The body, unless it has a content coding.
    pub(super) fn body_if_plain(&self) -> Option<&[u8]> {
        (!self.headers.contains_key(header::CONTENT_ENCODING)).then_some(&self.body)
    }

    /// The same answer with another body.
    pub(super) fn with_body(mut self, body: Bytes) -> Self {
        self.headers.remove(header::CONTENT_LENGTH);
        self.body = body;
        self
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// HTTP 200 with the server's JSON: also for what the server refuses as an application (docs/plugnmeet.md section 1).
pub(super) fn application(message: &str, code: ServerCode) -> Response<Body> {
    json(server_json(false, message, code))
}

pub(super) fn json(json: String) -> Response<Body> {
    let mut response = Response::new(Body::from(json));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_name_of_a_refusal_is_read_and_nothing_else() {
        for (body, name) in [
            (
                r#"{"status":false,"msg":"blocked","status_code":"USER_BLOCKED"}"#,
                Some("USER_BLOCKED"),
            ),
            (r#"{"status":false,"status_code":"eyJhbGciOi.x.y"}"#, None),
            (r#"{"status":false,"status_code":7}"#, None),
            (r#"{"status":false,"msg":"x"}"#, None),
            ("no JSON", None),
        ] {
            let answer = Whole {
                status: StatusCode::OK,
                headers: HeaderMap::new(),
                body: body.into(),
            };
            assert_eq!(answer.status_code().as_deref(), name, "{body}");
        }
    }
}
