//! Who may ask for tokens: the server's own key, and integrators who have keys of their own.
//!
//! An integrator's request is checked with the integrator's secret and signed anew for the server's, which then never
//! leaves this machine; so one of them can be limited, or cut off, without the others.
//!
//! Source: product.md "Issuing tokens".

use aws_lc_rs::constant_time;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    secret::Secret,
    token::{RequestKey, TokenKeys},
};

/// An integrator with a key of its own.
#[derive(Clone, Debug)]
pub struct CallerSettings {
    /// For logs, metrics and limits.
    pub name: String,
    /// What it sends as `API-KEY`.
    pub api_key: String,
    /// The secret, and while it is being changed the old one too.
    pub secrets: Vec<Secret<String>>,
    /// The rooms it may use: ids, in which `*` stands for any text.
    pub rooms: Vec<String>,
    /// May it make moderators?
    pub may_issue_admin: bool,
    /// False: cut off.
    pub enabled: bool,
}

/// Everyone who may call.
#[derive(Debug)]
pub(super) struct Callers {
    all: Vec<Caller>,
}

/// One who may call.
#[derive(Debug)]
pub(super) struct Caller {
    name: String,
    api_key: String,
    keys: Vec<RequestKey>,
    rooms: Vec<String>,
    may_issue_admin: bool,
    enabled: bool,
    is_server: bool,
}

/// The name under which the server's own key is logged and limited.
pub const SERVER: &str = "server";

impl Callers {
    /// The server's own key may do anything.
    pub(super) fn new(keys: &TokenKeys, others: &[CallerSettings]) -> Self {
        let server = Caller {
            name: SERVER.to_owned(),
            api_key: keys.api_key().to_owned(),
            keys: vec![keys.requests().clone()],
            rooms: vec!["*".to_owned()],
            may_issue_admin: true,
            enabled: true,
            is_server: true,
        };
        let others = others.iter().map(|caller| Caller {
            name: caller.name.clone(),
            api_key: caller.api_key.clone(),
            keys: caller.secrets.iter().map(RequestKey::new).collect(),
            rooms: caller.rooms.clone(),
            may_issue_admin: caller.may_issue_admin,
            enabled: caller.enabled,
            is_server: false,
        });
        Self {
            all: std::iter::once(server).chain(others).collect(),
        }
    }

    /// Whose API key is this? All are compared, each in constant time.
    pub(super) fn find(&self, unverified: &[u8]) -> Option<&Caller> {
        let mut found = None;
        for caller in &self.all {
            if constant_time::verify_slices_are_equal(caller.api_key.as_bytes(), unverified).is_ok() {
                found = found.or(Some(caller));
            }
        }
        found.filter(|caller| caller.enabled)
    }

    /// May a session in this room go on that this caller asked for? Where nobody knows who did, it may have been anybody
    /// who could, and so one who is cut off.
    pub(super) fn may_go_on(&self, name: Option<&str>, room_id: &str) -> bool {
        let mut callers = self.all.iter();
        match name {
            Some(name) => {
                callers.any(|caller| caller.name == name && caller.enabled && caller.may_use(room_id))
            }
            None => callers.all(|caller| caller.enabled || !caller.may_use(room_id)),
        }
    }
}

impl Caller {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Is it the server's own key, with which a request can go on as it is?
    pub(super) fn is_server(&self) -> bool {
        self.is_server
    }

    /// Has it signed this, with either of its secrets?
    pub(super) fn has_signed(&self, signed: &[u8], unverified: &[u8]) -> bool {
        self.keys.iter().any(|key| key.is_signature(signed, unverified))
    }

    pub(super) fn may_issue_admin(&self) -> bool {
        self.may_issue_admin
    }

    /// May it use every room there is?
    pub(super) fn may_use_all_rooms(&self) -> bool {
        self.rooms.iter().any(|pattern| pattern == "*")
    }

    pub(super) fn may_use(&self, room_id: &str) -> bool {
        self.rooms.iter().any(|pattern| matches(pattern, room_id))
    }
}

/// `*` is any text, also none; everything else is itself.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        // The earliest place leaves the most for what follows.
        let Some(at) = text.find(piece) else { return false };
        text = text.get(at + piece.len()..).unwrap_or_default();
    }
    text.ends_with(last)
}

/// Is this one JSON object, and nothing else?
pub(super) fn is_object(body: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(body).is_ok_and(|value| value.get().starts_with('{'))
}

/// The one room that a body on `/auth` names, under either spelling (contract.md section 2); none if there is none, or
/// if it could be read in two ways.
pub(super) fn room_of(body: &[u8]) -> Option<String> {
    let OneRoom(room) = serde_json::from_slice(body).ok()?;
    room
}

struct OneRoom(Option<String>);

impl<'de> Deserialize<'de> for OneRoom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = OneRoom;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OneRoom, A::Error> {
                let (mut room, mut seen) = (None, 0);
                while let Some(key) = map.next_key::<String>()? {
                    if key == "room_id" || key == "roomId" {
                        room = Some(map.next_value::<String>()?);
                        seen += 1;
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(OneRoom(room.filter(|_| seen == 1)))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, room) in [
            ("*", ""),
            ("*", "x"),
            ("lms-*", "lms-1"),
            ("*-a-*", "x-a-a-y"),
            ("a*b*c", "abc"),
            ("r1", "r1"),
        ] {
            assert!(matches(pattern, room), "{pattern} {room}");
        }
        for (pattern, room) in [
            ("lms-*", "xlms-1"),
            ("r1", "r12"),
            ("a*b*c", "acb"),
            ("*ab", "b"),
            ("a*a", "a"),
            ("", "x"),
        ] {
            assert!(!matches(pattern, room), "{pattern} {room}");
        }
    }

    #[test]
    fn a_body_names_one_room_or_none() {
        assert_eq!(
            room_of(br#"{"room_id":"a","metadata":{"room_id":"b"}}"#),
            Some("a".into())
        );
        assert_eq!(room_of(br#"{"room\u0049d":"a"}"#), Some("a".into()));
        for body in [
            r#"{"room_id":"a","roomId":"a"}"#,
            r#"{"room_id":"a","room_id":"b"}"#,
            "{}",
            "[]",
            r#"{"room_id":1}"#,
        ] {
            assert_eq!(room_of(body.as_bytes()), None, "{body}");
        }
    }
}
