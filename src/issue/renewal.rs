//! May a session go on? A renewed token is a token issued: for a caller that may still ask for one, within the limits, and
//! for a room that is still open, as far as the server says.
//!
//! Not here: the token itself (`crate::handoff`, which found it in a cookie).
//!
//! Sources: product.md "Session handoff" 4 and "Limits"; contract.md section 8 (`isRoomActive`).

use std::{fmt, time::Duration};

use bytes::Bytes;
use hyper::{
    Method, Request, StatusCode,
    header::{self, HeaderValue},
    http::uri::PathAndQuery,
};
use serde::Deserialize;
use serde_json::json;

use super::{Issue, SERVER, answer::Whole};
use crate::{
    limits::OverLimit,
    observe::{Decision, Outcome},
    proxy::About,
    reply::{Failure, Topic},
    token::Claims,
};

/// Where the server is asked for a room.
const ROOM_PATH: &str = "/auth/room/isRoomActive";

/// For the server to say that a room is closed: a reload does not wait any longer, and the client will ask for itself.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a session ends here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewalRefused {
    /// Who asked for the token may ask for none any more.
    CallerOff,
    /// The server says that the room is no more.
    RoomClosed,
    /// The limits of tokens.
    OverLimit(OverLimit),
}

impl fmt::Display for RenewalRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CallerOff => {
                f.write_str("the token has expired, and whoever asked for it may have no other")
            }
            Self::RoomClosed => f.write_str("the room is closed"),
            Self::OverLimit(over) => over.fmt(f),
        }
    }
}

impl std::error::Error for RenewalRefused {}

impl From<RenewalRefused> for Failure {
    fn from(refused: RenewalRefused) -> Self {
        let (status, topic) = match refused {
            RenewalRefused::CallerOff => (StatusCode::UNAUTHORIZED, Topic::Expired),
            RenewalRefused::RoomClosed => (StatusCode::GONE, Topic::RoomClosed),
            RenewalRefused::OverLimit(over) => return Self::from(over),
        };
        let failure = Self::new(status, refused.code(), refused.to_string()).about(topic);
        match refused {
            // RFC 9110 section 15.5.2.
            RenewalRefused::CallerOff => failure.header(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer error=\"invalid_token\""),
            ),
            RenewalRefused::RoomClosed | RenewalRefused::OverLimit(_) => failure,
        }
    }
}

impl RenewalRefused {
    fn code(self) -> &'static str {
        match self {
            Self::CallerOff => "caller_off",
            Self::RoomClosed => "room_closed",
            Self::OverLimit(_) => "over_limit",
        }
    }
}

impl Issue {
    /// May a token with these claims take the place of the one before? `caller` asked for the first one, if that is
    /// known.
    pub async fn renewal(
        &self,
        claims: &Claims,
        caller: Option<&str>,
        about: &About,
    ) -> Result<(), RenewalRefused> {
        let mut decision = Decision::begin(about.client);
        decision.caller(caller.unwrap_or(SERVER));
        decision.wanted(&claims.room_id, &claims.user_id, Some(claims.is_admin));
        let decided = self.decide_renewal(claims, caller, about).await;
        match decided {
            Ok(()) => decision.end(Outcome::Issued, "renewed", &self.audit),
            Err(refused) => decision.end(Outcome::Refused, refused.code(), &self.audit),
        }
        decided
    }

    async fn decide_renewal(
        &self,
        claims: &Claims,
        caller: Option<&str>,
        about: &About,
    ) -> Result<(), RenewalRefused> {
        if !self.callers.may_go_on(caller, &claims.room_id) {
            return Err(RenewalRefused::CallerOff);
        }
        self.limits
            .issue(caller.unwrap_or(SERVER), &claims.room_id, &claims.user_id)
            .await
            .map_err(RenewalRefused::OverLimit)?;
        if self.embedded.is_none() && self.is_closed(&claims.room_id, about).await {
            return Err(RenewalRefused::RoomClosed);
        }
        Ok(())
    }

    /// Only if the server says so: it stays the judge of everything else when the client asks.
    async fn is_closed(&self, room_id: &str, about: &About) -> bool {
        #[derive(Deserialize)]
        struct Answer {
            status: bool,
            is_active: bool,
        }
        let mut request = Request::new(Bytes::from(json!({ "room_id": room_id }).to_string()));
        *request.method_mut() = Method::POST;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        let body = request.body().clone();
        self.sign_anew(request.headers_mut(), &body);
        let answer = async {
            let path = PathAndQuery::from_static(ROOM_PATH);
            Whole::of(self.server()?.forward_whole(request, path, about).await?).await
        };
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(whole)) => whole
                .json::<Answer>()
                .is_some_and(|answer| answer.status && !answer.is_active),
            Ok(Err(_)) | Err(_) => false,
        }
    }
}
