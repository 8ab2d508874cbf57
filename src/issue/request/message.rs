//! The messages in the body, field by field, and how each kind of field is read from JSON.
//!
//! The `message!` blocks are the server's .proto in other words. A field may be spelled as there or in
//! lowerCamelCase, and only once; `null` leaves it unset; a field that isn't listed is skipped. (So is one
//! named `[some.Type]`, which the server refuses if it happens to know the type.)
//!
//! Not here: what the fields may hold (`super::rules`).
//!
//! Sources: docs/plugnmeet.md section 2; `plugnmeet_gen_token.proto` and `plugnmeet_nats_msg.proto` of
//! plugnmeet-protocol.

use std::collections::BTreeMap;

use super::json::{JsonError, JsonProblem, Key, Reader};
use super::number::Number;

pub(super) fn read(body: &[u8]) -> Result<GenerateTokenReq, JsonError> {
    let mut reader = Reader::new(body);
    let message = GenerateTokenReq::read(&mut reader)?;
    reader.end()?;
    Ok(message)
}

/// A type of field. The default is the value of a field that is not set.
pub(in crate::issue) trait Field: Default {
    /// Reads a value that is not `null`.
    fn read(reader: &mut Reader<'_>) -> Result<Self, JsonError>;
}

macro_rules! message {
    ($(#[$about:meta])* $name:ident { $($field:ident: $kind:ty,)* }) => {
        $(#[$about])*
        #[derive(Debug, Default)]
        #[allow(
            dead_code,
            clippy::struct_field_names,
            reason = "the .proto's names; some are here only because their values must have the right form"
        )]
        pub(in crate::issue) struct $name {
            $(pub(in crate::issue) $field: $kind,)*
        }

        impl Field for $name {
            fn read(reader: &mut Reader<'_>) -> Result<Self, JsonError> {
                let mut message = Self::default();
                let mut given = Vec::new();
                reader.object(|reader, key| {
                    $(if is_spelling(stringify!($field), &key.text) {
                        give(&mut given, stringify!($field), &key)?;
                        if !reader.take_null()? {
                            message.$field = Field::read(reader)?;
                        }
                        return Ok(());
                    })*
                    reader.skip()
                })?;
                Ok(message)
            }
        }
    };
}

pub(super) use message;

message! {
    /// The body of `getJoinToken`.
    GenerateTokenReq {
        room_id: String,
        user_info: Option<UserInfo>,
    }
}

message! {
    /// The user to admit, with the user's rights.
    UserInfo {
        name: String,
        user_id: String,
        is_admin: bool,
        is_hidden: bool,
        user_metadata: Option<UserMetadata>,
        client_type: ClientType,
    }
}

message! {
    /// What the room's participants see of the user.
    UserMetadata {
        profile_pic: Option<String>,
        is_admin: bool,
        record_webcam: Option<bool>,
        is_presenter: bool,
        raised_hand: Option<UserRaisedHand>,
        wait_for_approval: bool,
        preferred_lang: Option<String>,
        lock_settings: Option<LockSettings>,
        metadata_id: Option<String>,
        extra_data: BTreeMap<String, String>,
        ex_user_id: Option<String>,
    }
}

message! {
    /// Does the user ask to speak?
    UserRaisedHand {
        is_raised: bool,
        raised_at: i64,
    }
}

message! {
    /// What the user may not do.
    LockSettings {
        lock_microphone: Option<bool>,
        lock_webcam: Option<bool>,
        lock_screen_sharing: Option<bool>,
        lock_chat: Option<bool>,
        lock_chat_send_message: Option<bool>,
        lock_chat_file_share: Option<bool>,
        lock_private_chat: Option<bool>,
        lock_whiteboard: Option<bool>,
        lock_shared_notepad: Option<bool>,
        lock_reactions: Option<bool>,
    }
}

/// The value of an open enum: a number without a name is kept, a name without a number leaves the field unset.
#[derive(Debug, Default)]
pub(in crate::issue) struct ClientType(pub(super) i32);

impl Field for ClientType {
    fn read(reader: &mut Reader<'_>) -> Result<Self, JsonError> {
        if reader.peek() != Some(b'"') {
            return reader.integer().map(Self);
        }
        Ok(match reader.string()?.as_ref() {
            "HYBRID_WEB" => Self(1),
            _ => Self::default(),
        })
    }
}

impl Field for i64 {
    /// Reads a 64-bit number, also from a string, because JavaScript's numbers are too short for it.
    fn read(reader: &mut Reader<'_>) -> Result<Self, JsonError> {
        if reader.peek() != Some(b'"') {
            return reader.integer();
        }
        let problem = reader.problem(JsonProblem::NotInRange);
        Number::parse(&reader.string()?)
            .and_then(Number::integer)
            .ok_or(problem)
    }
}

impl Field for bool {
    fn read(reader: &mut Reader<'_>) -> Result<Self, JsonError> {
        reader.boolean()
    }
}

impl Field for String {
    fn read(reader: &mut Reader<'_>) -> Result<Self, JsonError> {
        reader.string().map(Into::into)
    }
}

impl Field for BTreeMap<String, String> {
    /// Reads a map. Unlike a field's value, a value in it can't be `null`.
    fn read(reader: &mut Reader<'_>) -> Result<Self, JsonError> {
        let mut map = Self::new();
        reader.object(|reader, key| {
            let earlier = map.insert(key.text.into_owned(), String::read(reader)?);
            earlier.map_or(Ok(()), |_| {
                Err(JsonError {
                    at: key.at,
                    problem: JsonProblem::KeyTwice,
                })
            })
        })?;
        Ok(map)
    }
}

impl<F: Field> Field for Option<F> {
    fn read(reader: &mut Reader<'_>) -> Result<Self, JsonError> {
        F::read(reader).map(Some)
    }
}

/// Notes that a field was set, whatever its value. A second time is an error.
pub(super) fn give(given: &mut Vec<&str>, field: &'static str, key: &Key<'_>) -> Result<(), JsonError> {
    if given.contains(&field) {
        return Err(JsonError {
            at: key.at,
            problem: JsonProblem::FieldTwice(field),
        });
    }
    given.push(field);
    Ok(())
}

/// Is the key this field's name, or the name in lowerCamelCase?
pub(super) fn is_spelling(field: &str, key: &str) -> bool {
    let mut after_underscore = false;
    let lower_camel = field.chars().filter_map(|letter| {
        let is_capital = std::mem::replace(&mut after_underscore, letter == '_');
        match letter {
            '_' => None,
            _ if is_capital => Some(letter.to_ascii_uppercase()),
            _ => Some(letter),
        }
    });
    key == field || key.chars().eq(lower_camel)
}
