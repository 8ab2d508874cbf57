//! Whose room is it? Recordings, artifacts and sessions are named by ids that say nothing of a room, so the server is
//! asked, and what it says is kept for a minute.
//!
//! INVARIANT: bounded in number, and by the length of an id. A thing never moves to another room, so that what is kept
//! can only be of a thing that is gone by now, and of such the server says so itself.
//!
//! Source: docs/plugnmeet.md section 8.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};

use super::{Issue, answer::Whole};
use crate::{
    clock::Clock,
    context::RequestContext,
    urls::{Listed, Thing},
};

/// How long the server's word on a thing is kept.
const OWNER_KEPT: Duration = Duration::from_secs(60);

/// Things whose rooms are kept at once: half a KiB each at most.
const OWNERS: usize = 4_096;

/// An id of the server's is a UUID, or a room's session with a time behind it.
const MAX_ID_BYTES: usize = 256;

/// For the server to say whose room it is.
const OWNER_PATIENCE: Duration = Duration::from_secs(5);

/// What belongs to a room.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Asked {
    /// One thing, by its id.
    Thing(Thing, String),
    /// All recordings of this session.
    RecordingsOf(String),
    /// All artifacts of this session.
    ArtifactsOf(String),
}

/// What the server says of it.
pub(super) enum Owner {
    /// It belongs to this room.
    Room(String),
    /// There is no such thing: the server's own answer.
    Nobody(Whole),
    /// There is an answer, but no room in it.
    Unsaid,
    /// There is no answer.
    Silence,
}

impl Asked {
    /// What this session of a list is asked for, if such a list has sessions.
    pub(super) fn session(listed: Listed, room_sid: String) -> Option<Self> {
        match listed {
            Listed::PastRooms => None,
            Listed::Recordings => Some(Self::RecordingsOf(room_sid)),
            Listed::Artifacts => Some(Self::ArtifactsOf(room_sid)),
        }
    }

    fn id(&self) -> &str {
        match self {
            Self::Thing(_, id) | Self::RecordingsOf(id) | Self::ArtifactsOf(id) => id,
        }
    }

    /// Where the server is asked, with which body, and where in its answer the room's id stands.
    fn question(&self) -> (&'static str, Value, &'static str) {
        match self {
            Self::Thing(Thing::Recording, id) => (
                "/auth/recording/info",
                json!({ "record_id": id }),
                "/recording_info/room_id",
            ),
            Self::Thing(Thing::Artifact | Thing::Analytics, id) => (
                "/auth/artifact/info",
                json!({ "artifact_id": id }),
                "/artifact_info/room_id",
            ),
            Self::RecordingsOf(sid) => (
                "/auth/recording/fetch",
                json!({ "room_sid": sid, "limit": 1 }),
                "/result/recordings_list/0/room_id",
            ),
            Self::ArtifactsOf(sid) => (
                "/auth/artifact/fetch",
                json!({ "room_sid": sid, "limit": 1 }),
                "/result/artifacts_list/0/room_id",
            ),
        }
    }
}

/// What the server has said lately.
pub(super) struct Owners {
    known: Mutex<HashMap<Asked, Known>>,
    clock: Clock,
}

struct Known {
    room_id: String,
    until: Duration,
}

impl Owners {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            known: Mutex::default(),
            clock,
        }
    }

    fn room(&self, asked: &Asked) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known
            .get(asked)
            .filter(|known| self.clock.steady() < known.until)?;
        Some(known.room_id.clone())
    }

    fn keep(&self, asked: Asked, room_id: String) {
        let now = self.clock.steady();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= OWNERS {
            known.retain(|_, known| now < known.until);
        }
        // Full of fresh ones: whoever floods it loses nothing but the time of another question.
        if known.len() >= OWNERS {
            known.clear();
        }
        let until = now + OWNER_KEPT;
        known.insert(asked, Known { room_id, until });
    }
}

impl Issue {
    /// To which room does this belong?
    pub(super) async fn owner(&self, asked: Asked, context: &RequestContext) -> Owner {
        if asked.id().is_empty() || asked.id().len() > MAX_ID_BYTES {
            return Owner::Unsaid;
        }
        if let Some(room_id) = self.state.owners.room(&asked) {
            return Owner::Room(room_id);
        }
        let (path, body, place) = asked.question();
        let Some(whole) = self.ask(path, &body, context, OWNER_PATIENCE).await else {
            return Owner::Silence;
        };
        let Some(said) = whole.json::<Value>() else {
            return Owner::Unsaid;
        };
        if said.get("status") == Some(&Value::Bool(false)) {
            return Owner::Nobody(whole);
        }
        match said.pointer(place).and_then(Value::as_str) {
            Some(room_id) if room_id.len() <= MAX_ID_BYTES => {
                self.state.owners.keep(asked, room_id.to_owned());
                Owner::Room(room_id.to_owned())
            }
            Some(_) | None => Owner::Unsaid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(id: usize) -> Asked {
        Asked::Thing(Thing::Recording, id.to_string())
    }

    #[test]
    fn a_room_is_known_for_a_minute_and_by_the_very_thing() {
        let clock = Clock::system();
        let owners = Owners::new(clock.clone());
        owners.keep(recording(1), "room01".into());
        assert_eq!(owners.room(&recording(1)).as_deref(), Some("room01"));
        assert_eq!(owners.room(&recording(2)), None);
        assert_eq!(owners.room(&Asked::Thing(Thing::Artifact, "1".into())), None);
        clock.advance(OWNER_KEPT);
        assert_eq!(owners.room(&recording(1)), None);
    }

    #[test]
    fn no_flood_of_things_takes_more_than_its_room() {
        let owners = Owners::new(Clock::system());
        for id in 0..3 * OWNERS {
            owners.keep(recording(id), "room01".into());
            assert!(owners.known.lock().unwrap().len() <= OWNERS);
        }
        assert_eq!(owners.room(&recording(3 * OWNERS - 1)).as_deref(), Some("room01"));
    }
}
