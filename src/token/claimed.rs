//! Reads the room and the user that a token claims, without checking the token. The result only says whose WebSocket
//! this is.
//!
//! The upstream checks the token: LiveKit before it accepts a WebSocket, NATS before it passes a message on.
//!
//! Not here: believing a token (`verify`).
//!
//! Sources: docs/plugnmeet.md sections 4 and 5; LiveKit's access tokens (claims `video.room` and `sub`).

use std::fmt;

use serde::Deserialize;

use super::participant::payload;

/// The longest token that is read: more than any join token or token of LiveKit's has.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The longest id of a room or a user that is read: more than the server accepts.
const MAX_ID_BYTES: usize = 512;

/// A room and a user, as a token has them that nobody has checked.
///
/// SECURITY: `Debug` shows neither; a log has no room ids.
#[derive(Clone, PartialEq, Eq)]
pub struct UnverifiedParticipant {
    pub room_id: Box<str>,
    pub user_id: Box<str>,
}

#[derive(Deserialize)]
struct JoinClaims {
    room_id: String,
    #[serde(default)]
    user_id: String,
    #[serde(default)]
    sub: String,
}

#[derive(Deserialize)]
struct LivekitClaims {
    video: Grant,
    #[serde(default)]
    sub: String,
}

#[derive(Deserialize)]
struct Grant {
    room: String,
}

impl UnverifiedParticipant {
    /// Reads plugNmeet's own token, which its client shows to NATS.
    pub fn of_join(token: &str) -> Option<Self> {
        let claims: JoinClaims = claims(token)?;
        let user_id = if claims.user_id.is_empty() {
            claims.sub
        } else {
            claims.user_id
        };
        Self::of(&claims.room_id, &user_id)
    }

    /// Reads a token of LiveKit's. plugNmeet names rooms and users there as it does itself.
    pub fn of_livekit(token: &str) -> Option<Self> {
        let claims: LivekitClaims = claims(token)?;
        Self::of(&claims.video.room, &claims.sub)
    }

    fn of(room_id: &str, user_id: &str) -> Option<Self> {
        let fits = !room_id.is_empty() && room_id.len() <= MAX_ID_BYTES && user_id.len() <= MAX_ID_BYTES;
        fits.then(|| Self {
            room_id: room_id.into(),
            user_id: user_id.into(),
        })
    }
}

fn claims<'de, T: for<'any> Deserialize<'any>>(token: &'de str) -> Option<T> {
    if token.len() > MAX_TOKEN_BYTES {
        return None;
    }
    serde_json::from_slice(&payload(token)?).ok()
}

impl fmt::Debug for UnverifiedParticipant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedParticipant").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::participant::tests::signed, *};

    fn seat(found: Option<UnverifiedParticipant>) -> Option<String> {
        found.map(|found| format!("{}/{}", found.room_id, found.user_id))
    }

    #[test]
    fn reads_both_kinds_of_tokens() {
        let join = signed(&json!({"iss": "x", "sub": "ann", "user_id": "ann", "room_id": "room01"}));
        let livekit = signed(&json!({"sub": "ann", "video": {"room": "room01", "roomJoin": true}}));
        assert_eq!(
            seat(UnverifiedParticipant::of_join(&join)),
            Some("room01/ann".into())
        );
        assert_eq!(
            seat(UnverifiedParticipant::of_livekit(&livekit)),
            Some("room01/ann".into())
        );
        assert_eq!(seat(UnverifiedParticipant::of_livekit(&join)), None);
        assert_eq!(seat(UnverifiedParticipant::of_join(&livekit)), None);
    }

    #[test]
    fn what_can_not_be_read_is_of_nobody() {
        let long = signed(&json!({"room_id": "r".repeat(513), "sub": "ann"}));
        let large = signed(&json!({"room_id": "room01", "x": "x".repeat(8000)}));
        let nowhere = signed(&json!({"room_id": "", "sub": "ann"}));
        for token in ["", "a.b.c", "a.e30.c", &long, &large, &nowhere] {
            assert_eq!(seat(UnverifiedParticipant::of_join(token)), None);
        }
    }

    #[test]
    fn debug_shows_neither_room_nor_user() {
        let join = signed(&json!({"sub": "ann", "room_id": "room01"}));
        assert_eq!(
            format!("{:?}", UnverifiedParticipant::of_join(&join)),
            "Some(UnverifiedParticipant { .. })"
        );
    }
}
