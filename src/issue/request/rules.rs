//! What the fields may hold: the rules annotated in the .proto, and those that the server's code adds.
//!
//! The texts are the server's, as callers may match on them.
//!
//! Not here: rules that need the room's state (is it running, does it replace ids).
//!
//! Sources: docs/plugnmeet.md section 3; `plugnmeet_gen_token.proto`.

use super::message::GenerateTokenReq;
use super::{TokenRequest, uri};

/// The name under which recorders enter, with rights of their own.
///
/// SECURITY: a token with this name is a recorder's token, whoever asked for it.
const RECORDER_NAME: &str = "PLUGNMEET_RECORDER_AUTH";

/// The beginnings of ids that the server keeps for ingress (with one s), agents and telephones.
const RESERVED_PREFIXES: [&str; 4] = ["ingres_", "pnm_agent-", "pnm_tts_agent-", "sip_"];

/// The end of the id of a user's second connection, from a native application.
const RESERVED_SUFFIX: &str = "-native";

/// A field that breaks a rule of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct Violation {
    /// The field's path, with the names in the .proto.
    pub path: &'static str,
    /// The rule, in the server's words.
    pub message: &'static str,
}

/// A name or an id that the server keeps for its own participants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reserved {
    /// The name is that of a recorder.
    #[error("name: {RECORDER_NAME} is reserved for internal use only")]
    Name,
    /// This id begins with a reserved text.
    #[error("user_id: {0} is reserved for internal use only")]
    UserId(String),
    /// The id ends with a reserved text.
    #[error("user_id: suffix {RESERVED_SUFFIX} is reserved for internal use only")]
    Suffix,
}

/// Why an id can't be used in a room. `FieldPattern` and `UserPrefix` would be mistaken for keys in the server's store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserIdProblem {
    /// The id is empty, or has other characters than ASCII letters, digits, `-` and `_`.
    #[error("user_id should only contain ASCII letters (a-z A-Z), digits (0-9) or -_")]
    Characters,
    /// The id contains `-FIELD_`.
    #[error("user_id cannot contain the reserved pattern '-FIELD_'")]
    FieldPattern,
    /// The id begins with `user_`.
    #[error("user_id cannot start with the reserved pattern 'user_'")]
    UserPrefix,
}

/// Checks the rules of the message. Violations come in the order of the fields in the .proto.
pub(super) fn check(message: GenerateTokenReq) -> Result<TokenRequest, Vec<Violation>> {
    let mut violations = Vec::new();
    let mut rule = |holds: bool, path: &'static str, message: &'static str| {
        if !holds {
            violations.push(Violation { path, message });
        }
    };

    let room_id = message.room_id;
    rule(
        is_id(&room_id),
        "room_id",
        "room_id should only contain letters (a-z A-Z), digits (0-9) or -_",
    );
    rule(message.user_info.is_some(), "user_info", "value is required");
    let Some(user) = message.user_info else {
        return Err(violations);
    };
    rule(!user.name.is_empty(), "user_info.name", "value is required");

    // Unset messages are checked as empty ones: no rule below is broken by an unset field.
    let metadata = user.user_metadata.unwrap_or_default();
    let hand = metadata.raised_hand.unwrap_or_default();
    match metadata.profile_pic.as_deref() {
        None => {}
        Some("") => rule(
            false,
            "user_info.user_metadata.profile_pic",
            "value is empty, which is not a valid URI",
        ),
        Some(pic) => rule(
            uri::is_absolute(pic),
            "user_info.user_metadata.profile_pic",
            "must be a valid URI",
        ),
    }
    rule(
        !metadata.is_presenter,
        "user_info.user_metadata.is_presenter",
        "must equal false",
    );
    rule(
        !hand.is_raised,
        "user_info.user_metadata.raised_hand.is_raised",
        "must equal false",
    );
    rule(
        hand.raised_at == 0,
        "user_info.user_metadata.raised_hand.raised_at",
        "must equal 0",
    );
    rule(
        !metadata.wait_for_approval,
        "user_info.user_metadata.wait_for_approval",
        "must equal false",
    );
    rule(
        metadata.metadata_id.is_none_or(|id| id.is_empty()),
        "user_info.user_metadata.metadata_id",
        "metadata_id should not contain any value",
    );

    if !violations.is_empty() {
        return Err(violations);
    }
    Ok(TokenRequest {
        room_id,
        name: user.name,
        user_id: user.user_id,
        is_admin: user.is_admin,
        shown_as_admin: metadata.is_admin,
        is_hidden: user.is_hidden,
        client_type: user.client_type.0,
    })
}

/// Checks the name and the id in the request. The room may later replace the id.
pub(super) fn check_reserved(request: &TokenRequest) -> Result<(), Reserved> {
    let user_id = request.user_id.as_str();
    if request.name == RECORDER_NAME {
        return Err(Reserved::Name);
    }
    if RESERVED_PREFIXES.iter().any(|prefix| user_id.starts_with(prefix)) {
        return Err(Reserved::UserId(user_id.to_owned()));
    }
    if user_id.ends_with(RESERVED_SUFFIX) {
        return Err(Reserved::Suffix);
    }
    Ok(())
}

/// Checks the id with which the user will be in the room.
pub(super) fn check_final_user_id(user_id: &str) -> Result<(), UserIdProblem> {
    if !is_id(user_id) {
        return Err(UserIdProblem::Characters);
    }
    if user_id.contains("-FIELD_") {
        return Err(UserIdProblem::FieldPattern);
    }
    if user_id.starts_with("user_") {
        return Err(UserIdProblem::UserPrefix);
    }
    Ok(())
}

/// The alphabet of rooms and users: they become parts of subjects and keys, where other characters have a
/// meaning.
pub(in crate::issue) fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}
