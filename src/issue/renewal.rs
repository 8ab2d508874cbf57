//! Decides whether a session's token may be renewed. A renewed token is an issued token. So the caller must still be
//! allowed to ask for one, the limit of renewals must not be reached, the participant must not be blocked, and the
//! meeting must be the one of the first token.
//!
//! Not here: finding the token in a cookie and signing it anew (`crate::session`).
//!
//! Sources: docs/plugnmeet.md sections 4 and 8 (`getActiveRoomInfo`).

use hyper::{
    StatusCode,
    header::{self, HeaderValue},
};

use super::{Issue, SERVER, meeting::Meeting};
use crate::{
    blocks::Person,
    context::RequestContext,
    limits::OverLimit,
    observe::{Decision, Outcome},
    reply::{Failure, Topic},
    token::Claims,
};

/// A session that asks for a renewed token, or whether it may get one.
#[derive(Clone, Copy, Debug)]
pub struct GoingOn<'a> {
    /// The claims of the session's token.
    pub claims: &'a Claims,
    /// The caller who asked for the first token, if known.
    pub caller: Option<&'a str>,
    /// The server's id of the meeting that ran when the link was opened, if known.
    pub meeting: Option<&'a str>,
    /// Is a token to be issued? If not, the question is only whether one would be.
    pub issues: bool,
}

/// Why a token is not renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenewalRefused {
    /// The caller who asked for the first token may not ask for this room any more.
    #[error("the token has expired, and whoever asked for it may have no other")]
    CallerOff,
    /// The meeting is over. Another meeting in the same room does not count.
    #[error("the room is closed")]
    RoomClosed,
    /// An admin has removed the participant and blocked them in this meeting.
    #[error("this user is blocked to join this session")]
    Blocked,
    /// The limit of renewals has been reached.
    #[error(transparent)]
    OverLimit(OverLimit),
}

impl From<RenewalRefused> for Failure {
    fn from(refused: RenewalRefused) -> Self {
        let (status, topic) = match refused {
            RenewalRefused::CallerOff => (StatusCode::UNAUTHORIZED, Topic::Expired),
            RenewalRefused::RoomClosed => (StatusCode::GONE, Topic::RoomClosed),
            RenewalRefused::Blocked => (StatusCode::FORBIDDEN, Topic::NotAllowed),
            RenewalRefused::OverLimit(over) => return Self::from(over),
        };
        let failure = Self::new(status, refused.code(), refused.to_string()).about(topic);
        match refused {
            // RFC 9110 section 15.5.2.
            RenewalRefused::CallerOff => failure.header(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer error=\"invalid_token\""),
            ),
            RenewalRefused::RoomClosed | RenewalRefused::Blocked | RenewalRefused::OverLimit(_) => failure,
        }
    }
}

impl RenewalRefused {
    fn code(self) -> &'static str {
        match self {
            Self::CallerOff => "caller_off",
            Self::RoomClosed => "room_closed",
            Self::Blocked => "user_blocked",
            Self::OverLimit(_) => "over_limit",
        }
    }
}

impl Issue {
    /// May a token with these claims take the place of the one before? Tells the meeting that runs now, if that is known.
    pub async fn renewal(
        &self,
        session: GoingOn<'_>,
        context: &RequestContext,
    ) -> Result<Option<String>, RenewalRefused> {
        let claims = session.claims;
        let mut decision = Decision::begin(context.id(), context.client());
        decision.caller(session.caller.unwrap_or(SERVER));
        decision.wanted(&claims.room_id, &claims.user_id, Some(claims.is_admin));
        let decided = self.decide_renewal(session, context).await;
        match &decided {
            Ok(_) if session.issues => decision.end(Outcome::Issued, "renewed", &self.audit),
            Ok(_) => {}
            Err(refused) => decision.end(Outcome::Refused, refused.code(), &self.audit),
        }
        decided
    }

    async fn decide_renewal(
        &self,
        session: GoingOn<'_>,
        context: &RequestContext,
    ) -> Result<Option<String>, RenewalRefused> {
        let (room_id, user_id) = (&*session.claims.room_id, &*session.claims.user_id);
        if !self.callers.may_go_on(session.caller, room_id) {
            return Err(RenewalRefused::CallerOff);
        }
        if session.issues {
            let counted = self.limits.renewal(room_id, user_id).await;
            counted.map_err(RenewalRefused::OverLimit)?;
        }
        let person = Person::participant(room_id, user_id);
        if self.not_blocked(&person, context).await.is_err() {
            return Err(RenewalRefused::Blocked);
        }
        // What the server does not say is no reason to refuse: it stays the judge when the client asks it.
        match self.recent_meeting(room_id, context).await {
            Meeting::Ended => Err(RenewalRefused::RoomClosed),
            Meeting::Running { sid, .. } if session.meeting.is_some_and(|meeting| meeting != sid) => {
                Err(RenewalRefused::RoomClosed)
            }
            Meeting::Running { sid, .. } => Ok(Some(sid)),
            Meeting::Unknown => Ok(None),
        }
    }
}
