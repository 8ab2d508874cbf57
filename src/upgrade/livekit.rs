//! Whose tunnel to LiveKit it is: its client says so in the request.
//!
//! Browsers have the token in the query, in both of the library's protocols; other SDKs in `Authorization`, as LiveKit
//! takes either. LiveKit checks it before it agrees to the WebSocket.
//!
//! Sources: docs/plugnmeet.md section 5, livekit-server `pkg/service/auth.go`.

use hyper::{Request, header};

use crate::{http::exactly_one, token::UnverifiedParticipant};

const PARAMETER: &str = "access_token";
const SCHEME: &str = "Bearer ";

/// Whose it is, as its token says, which nobody has checked yet.
pub fn whose<B>(request: &Request<B>) -> Option<UnverifiedParticipant> {
    if let Some(field) = exactly_one(request.headers(), header::AUTHORIZATION) {
        return UnverifiedParticipant::of_livekit(field.to_str().ok()?.strip_prefix(SCHEME)?);
    }
    let query = request.uri().query()?.as_bytes();
    let (_, token) = form_urlencoded::parse(query).find(|(name, _)| name == PARAMETER)?;
    UnverifiedParticipant::of_livekit(&token)
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

    use super::*;

    fn token(room: &str) -> String {
        let payload = format!(r#"{{"sub":"ann","video":{{"room":"{room}","roomJoin":true}}}}"#);
        format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(payload))
    }

    fn room(request: hyper::http::request::Builder) -> Option<Box<str>> {
        whose(&request.body(()).unwrap()).map(|whose| whose.room_id)
    }

    #[test]
    fn the_token_is_in_the_query_or_in_authorization() {
        let ours = token("room01");
        for target in [
            format!("/livekit/rtc?access_token={ours}&sdk=js"),
            format!("/livekit/rtc/v1?join_request=abc&access_token={ours}"),
            format!("/livekit/rtc?%61ccess_token={ours}"),
        ] {
            assert_eq!(room(Request::get(target)).as_deref(), Some("room01"));
        }
        let field = Request::get("/livekit/rtc").header("authorization", format!("Bearer {ours}"));
        assert_eq!(room(field).as_deref(), Some("room01"));
        for target in [
            "/livekit/rtc",
            "/livekit/rtc?access_token=",
            "/livekit/rtc?access_token=a.b.c",
        ] {
            assert_eq!(room(Request::get(target)), None, "{target}");
        }
    }
}
