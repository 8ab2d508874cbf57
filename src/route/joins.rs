//! Lets joining people wait: a `verifyToken` request waits for its turn (`crate::joining`), and the server's answer
//! says whether the person's WebSocket will follow.
//!
//! A request without a valid token does not wait: the server refuses it at once.
//!
//! Source: docs/plugnmeet.md section 5 (`verifyToken`, and the answer's field 1, `status`).

use std::{
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::{Method, Request, Response, header};

use super::{Router, kinds::tokens};
use crate::{
    client_body::ClientBody,
    joining::{Knock, Person},
    reply::{Body, BoxError, Failure},
    token::Unverified,
};

/// A body that is read before the turn has come, as HTTP/1.1 shows that its client has gone away only behind it. The
/// client's has two bytes.
const SMALL_BODY: usize = 4096;

/// The first bytes of a protobuf answer that admits somebody: `status` (field 1, a varint) is true.
const LET_IN: [u8; 2] = [0x08, 0x01];

impl Router {
    /// Waits until this person may join. None: the request is not one of a person who joins.
    pub(super) async fn knock(&self, request: &Request<ClientBody>) -> Result<Option<Knock>, Failure> {
        if request.method() != Method::POST || self.upstreams.nats.is_none() {
            return Ok(None);
        }
        let Some(token) = tokens(request).next() else {
            return Ok(None);
        };
        let Ok(verified) = self.keys.verify(Unverified(&token), self.clock.unix()) else {
            return Ok(None);
        };
        let claims = verified.claims;
        let person = Person {
            room_id: claims.room_id.into(),
            user_id: claims.user_id.into(),
        };
        let mut turn = pin!(self.joining.knock(person, claims.is_admin));
        let knock = tokio::select! {
            biased;
            knock = &mut turn => knock,
            () = request.body().read_ahead(SMALL_BODY) => turn.await,
        };
        Ok(knock?)
    }
}

/// The same answer, with a body that notices whether it admits somebody.
pub(super) fn watched(knock: Option<Knock>, response: Response<Body>) -> Response<Body> {
    let Some(knock) = knock.filter(|_| response.status().is_success()) else {
        return response;
    };
    // What nobody can read here is taken for good news.
    if response.headers().contains_key(header::CONTENT_ENCODING) {
        knock.let_in();
        return response;
    }
    let is_protobuf = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|media_type| media_type.as_bytes().starts_with(b"application/protobuf"));
    response.map(|body| {
        if body.is_end_stream() {
            return body;
        }
        Body::stream(FirstBytes {
            body,
            is_protobuf,
            seen: Vec::new(),
            knock: Some(knock),
        })
    })
}

/// A body whose first bytes say whether somebody is admitted.
struct FirstBytes {
    body: Body,
    is_protobuf: bool,
    seen: Vec<u8>,
    knock: Option<Knock>,
}

impl FirstBytes {
    fn see(&mut self, bytes: &[u8]) {
        if self.knock.is_none() {
            return;
        }
        let left = LOOKED_AT.saturating_sub(self.seen.len()).min(bytes.len());
        self.seen.extend_from_slice(bytes.get(..left).unwrap_or_default());
        let enough = if self.is_protobuf { LET_IN.len() } else { LOOKED_AT };
        if self.seen.len() >= enough {
            self.decide();
        }
    }

    fn decide(&mut self) {
        let Some(knock) = self.knock.take() else { return };
        let is_let_in = if self.is_protobuf {
            self.seen.starts_with(&LET_IN)
        } else {
            says_true(&self.seen)
        };
        if is_let_in {
            knock.let_in();
        }
        self.seen = Vec::new();
    }
}

/// The number of bytes that are looked at in an answer in JSON, where `status` is the first key.
const LOOKED_AT: usize = 64;

fn says_true(json: &[u8]) -> bool {
    let plain: Vec<u8> = json
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    memchr::memmem::find(&plain, b"\"status\":true").is_some()
}

impl HttpBody for FirstBytes {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.see(data);
                }
                if self.body.is_end_stream() {
                    self.decide();
                }
            }
            None => self.decide(),
            Some(Err(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_so_too() {
        for let_in in [
            r#"{"status":true,"msg":"success"}"#,
            r#"{"msg":"x", "status": true}"#,
        ] {
            assert!(says_true(let_in.as_bytes()));
        }
        for not in [
            r#"{"status":false,"msg":"true"}"#,
            r#"{"msg":"notifications.room-not-active"}"#,
            "",
        ] {
            assert!(!says_true(not.as_bytes()));
        }
    }
}
