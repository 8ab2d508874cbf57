//! Reads the body of `getJoinToken` into a [`TokenRequest`], or refuses it in the server's words.
//!
//! The body is read exactly as the server reads it. A reader that differs would count limits and write audit lines for
//! another room or user than the one that the server admits, or refuse a caller that the server accepts.
//!
//! `json` takes the bytes apart, `message` knows the fields, `rules` what may stand in them.
//!
//! Not here: the signature over the body and its size (checked before), and whatever needs to know the room.
//!
//! Sources: docs/plugnmeet.md sections 2, 3 and 0.6, 0.7; proto3's JSON mapping as protobuf-go reads it.

mod escape;
mod json;
mod message;
pub(super) mod named;
mod number;
mod rules;
#[cfg(test)]
mod tests;
mod uri;

pub use json::{JsonError, JsonProblem};
pub(super) use rules::is_id;
pub use rules::{Reserved, UserIdProblem, Violation};

/// The user ids of the server's recorder and of its live streams; a room that makes up ids keeps these
/// (docs/plugnmeet.md section 3).
const BOTS: [&str; 2] = ["RECORDER_BOT", "RTMP_BOT"];

/// What a checked body asks for, as far as the gateway uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    /// The room: ASCII letters, digits, `-` and `_`, never empty.
    pub room_id: String,
    /// The name to show, never empty.
    pub name: String,
    /// The user, as sent: maybe empty, maybe odd. See [`TokenRequest::check_user`].
    pub user_id: String,
    /// Asks for an administrator's token.
    pub is_admin: bool,
    /// Asks to be shown as one: the server keeps it in the metadata even where `is_admin` is false.
    pub shown_as_admin: bool,
    /// Asks to be left out of the list of participants.
    pub is_hidden: bool,
    /// 0 for the web client, 1 for one inside a native application; any other number is kept.
    pub client_type: i32,
}

/// Reads and checks a body by every rule that holds whatever the room's state is.
pub fn read(body: &[u8]) -> Result<TokenRequest, RequestError> {
    let message = message::read(body).map_err(RequestError::Json)?;
    rules::check(message).map_err(RequestError::Rules)
}

impl TokenRequest {
    /// Asks for any of an administrator's marks?
    pub fn asks_for_admin(&self) -> bool {
        self.is_admin || self.shown_as_admin
    }

    /// Asks to be a participant whom nobody sees, or one of the two whom the server makes for itself?
    pub fn asks_for_bot(&self) -> bool {
        self.is_hidden || BOTS.contains(&self.user_id.as_str())
    }

    /// Checks the name and the `user_id` with which the user enters the room.
    ///
    /// The server looks at the room first, which may replace the sent id by one of its own, so only whoever issues the
    /// token can ask this.
    pub fn check_user(&self) -> Result<(), RequestError> {
        rules::check_reserved(self).map_err(RequestError::Reserved)?;
        rules::check_final_user_id(&self.user_id).map_err(RequestError::UserId)
    }
}

/// Why a body is refused. Its text is the `msg` of the answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The body is not this message in JSON.
    #[error(transparent)]
    Json(JsonError),
    /// Fields break the rules of the message: all of them, in the message's order.
    #[error("{}", listed(.0))]
    Rules(Vec<Violation>),
    /// A name or an id that the server keeps for its own participants.
    #[error(transparent)]
    Reserved(Reserved),
    /// The user's final id can't be used in a room.
    #[error(transparent)]
    UserId(UserIdProblem),
}

fn listed(violations: &[Violation]) -> String {
    match violations {
        [only] => format!("validation error: {only}"),
        several => {
            let lines = several.iter().map(|violation| format!("\n - {violation}"));
            format!("validation errors:{}", lines.collect::<String>())
        }
    }
}

impl RequestError {
    /// Whether the server blames itself (`INTERNAL_SERVER_ERROR`) or the caller (`INVALID_PARAMETERS`).
    pub fn is_internal(&self) -> bool {
        match self {
            Self::Json(_) | Self::Rules(_) => false,
            Self::Reserved(_) | Self::UserId(_) => true,
        }
    }
}
