//! Who may ask for tokens: the server's own key, and integrators who have keys of their own.
//!
//! An integrator's request is checked with the integrator's secret and signed anew for the server's, which then never
//! leaves this machine; so one of them can be limited, or cut off, without the others.

use aws_lc_rs::constant_time;
use serde_json::value::RawValue;

use crate::{
    blocks::parent_of,
    secret::Secret,
    token::{RequestKey, TokenKeys},
};

/// An integrator with an API key of its own.
#[derive(Clone, Debug)]
pub struct CallerSettings {
    /// The caller's name in logs, metrics and limits.
    pub name: String,
    /// The key that the caller sends as `API-KEY`.
    pub api_key: String,
    /// The caller's secrets. While a secret is being replaced, the old and the new one both count.
    pub secrets: Vec<Secret<String>>,
    /// The ids of the rooms that the caller may use; `*` stands for any text.
    pub rooms: Vec<String>,
    /// May the caller issue tokens for moderators?
    pub may_issue_admin: bool,
    /// May the caller send requests at all?
    pub enabled: bool,
}

/// All callers: the server's own key and the integrators' keys.
#[derive(Debug)]
pub(super) struct Callers {
    all: Vec<Caller>,
}

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

/// The name under which requests with the server's own key are logged and limited.
pub const SERVER: &str = "server";

impl Callers {
    /// The callers. The server's own key is one of them and may do everything.
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

    /// The caller with this API key. All keys are compared, each in constant time.
    pub(super) fn find(&self, unverified: &[u8]) -> Option<&Caller> {
        let mut found = None;
        for caller in &self.all {
            if constant_time::verify_slices_are_equal(caller.api_key.as_bytes(), unverified).is_ok() {
                found = found.or(Some(caller));
            }
        }
        found.filter(|caller| caller.enabled)
    }

    /// May a session in this room that this caller asked for be renewed? A session without a known caller belongs to
    /// the server's own key, and is not affected when another caller is cut off.
    pub(super) fn may_go_on(&self, name: Option<&str>, room_id: &str) -> bool {
        let name = name.unwrap_or(SERVER);
        self.all
            .iter()
            .any(|caller| caller.name == name && caller.enabled && caller.may_use(room_id))
    }
}

impl Caller {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Is this the server's own key? Then the request is forwarded as it is.
    pub(super) fn is_server(&self) -> bool {
        self.is_server
    }

    /// Is this a signature by one of the caller's secrets?
    pub(super) fn has_signed(&self, signed: &[u8], unverified: &[u8]) -> bool {
        self.keys.iter().any(|key| key.is_signature(signed, unverified))
    }

    pub(super) fn may_issue_admin(&self) -> bool {
        self.may_issue_admin
    }

    /// May the caller use every room?
    pub(super) fn may_use_all_rooms(&self) -> bool {
        self.rooms.iter().any(|pattern| pattern == "*")
    }

    /// May the caller use this room? A caller may also use the breakout rooms of its rooms.
    pub(super) fn may_use(&self, room_id: &str) -> bool {
        let may_use = |room_id: &str| self.rooms.iter().any(|pattern| matches(pattern, room_id));
        may_use(room_id) || parent_of(room_id).is_some_and(may_use)
    }
}

/// Does the text match the pattern? `*` stands for any text, also none; every other character stands for itself.
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

/// Is the body one JSON object and nothing else?
pub(super) fn is_object(body: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(body).is_ok_and(|value| value.get().starts_with('{'))
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

    fn caller(name: &str, rooms: &[&str], enabled: bool) -> CallerSettings {
        CallerSettings {
            name: name.into(),
            api_key: format!("{name}-key"),
            secrets: vec![Secret::new("s3cret".into())],
            rooms: rooms.iter().map(|&room| room.into()).collect(),
            may_issue_admin: false,
            enabled,
        }
    }

    fn callers(others: &[CallerSettings]) -> Callers {
        let keys = TokenKeys::new("plugnmeet".into(), &Secret::new("s3cret".into())).unwrap();
        Callers::new(&keys, others)
    }

    const BREAKOUT: &str = "math-0b7a6f0e-1c2d-4e3f-8a9b-0c1d2e3f4a5b";

    #[test]
    fn a_rooms_breakout_rooms_are_its_callers_and_rooms_that_are_merely_called_alike_are_not() {
        let callers = callers(&[caller("math", &["math"], true)]);
        let math = callers.find(b"math-key").unwrap();
        assert!(math.may_use("math"));
        assert!(math.may_use(BREAKOUT));
        assert!(callers.may_go_on(Some("math"), BREAKOUT));
        for room in [
            "math-2",
            "math-b1",
            "math2",
            "mat",
            "math-",
            "-0b7a6f0e-1c2d-4e3f-8a9b-0c1d2e3f4a5b",
            "0b7a6f0e-1c2d-4e3f-8a9b-0c1d2e3f4a5b",
            "math0b7a6f0e-1c2d-4e3f-8a9b-0c1d2e3f4a5b",
            "math_0b7a6f0e-1c2d-4e3f-8a9b-0c1d2e3f4a5b",
            "math-0b7a6f0e-1c2d-4e3f-8a9b-0c1d2e3f4a5",
            "math-0b7a6f0e-1c2d-4e3f-8a9b-0c1d2e3f4a5bc",
            "math-0b7a6f0e-1c2d-4e3f-8a9b_0c1d2e3f4a5b",
            "math-0b7a6f0e-1c2d-4e3f-8a9b-0c1d2e3f4a5g",
            "art-0b7a6f0e-1c2d-4e3f-8a9b-0c1d2e3f4a5b",
            "math-ä0b7a6f0e-1c2d-4e3f-8a9b-0c1d2e3f4a",
        ] {
            assert!(!math.may_use(room), "{room}");
            assert!(!callers.may_go_on(Some("math"), room), "{room}");
        }
    }

    #[test]
    fn a_session_goes_on_unless_it_is_known_whose_it_is_and_that_one_is_cut_off() {
        let callers = callers(&[caller("on", &["math"], true), caller("off", &["*"], false)]);
        for (name, room, goes_on) in [
            (None, "math", true),
            (None, "any", true),
            (Some(SERVER), "any", true),
            (Some("on"), "math", true),
            (Some("on"), "any", false),
            (Some("off"), "math", false),
            // Taken out of the configuration.
            (Some("gone"), "math", false),
        ] {
            assert_eq!(callers.may_go_on(name, room), goes_on, "{name:?} {room}");
        }
    }
}
