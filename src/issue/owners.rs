//! Finds the room of a recording, an artifact or a session. Their ids say nothing about a room, so the server is asked,
//! and its answer is kept for a minute.
//!
//! INVARIANT: the number of answers and the length of an id are bounded. A thing never moves to another room. A kept
//! answer can only be about a thing that is deleted by now, and then the server itself answers so.
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

/// How long the server's answer is kept.
const OWNER_KEPT: Duration = Duration::from_secs(60);

/// The largest number of answers that are kept, of half a KiB each at most.
const OWNERS: usize = 4_096;

/// The longest id for which the server is asked. Its ids are UUIDs, or a session's id with a time behind it.
const MAX_ID_BYTES: usize = 256;

/// The time for the server's answer.
const OWNER_PATIENCE: Duration = Duration::from_secs(5);

/// A thing, or a group of things, whose room is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Thing(Thing, String),
    /// All recordings of this session.
    RecordingsOf(String),
    /// All artifacts of this session.
    ArtifactsOf(String),
}

/// The server's answer to the question whose room it is.
pub(super) enum Owner {
    /// The thing belongs to this room.
    Room(String),
    /// There is no such thing: this is the server's answer.
    Nobody(Whole),
    /// The server's answer names no room, or the id is one that the server can't have.
    Unsaid,
    /// The server did not answer in time.
    Silence,
}

impl Subject {
    /// The question for the session that a call for a list names. None for lists without sessions.
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

    /// The endpoint to ask, the request's body, and the place of the room's id in the answer.
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

/// The answers that are kept.
pub(super) struct Owners {
    known: Mutex<HashMap<Subject, Known>>,
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

    fn room(&self, asked: &Subject) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known
            .get(asked)
            .filter(|known| self.clock.steady() < known.until)?;
        Some(known.room_id.clone())
    }

    fn keep(&self, asked: Subject, room_id: String) {
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
    /// The room to which this belongs: the kept answer, or the server's.
    pub(super) async fn owner(&self, asked: Subject, context: &RequestContext) -> Owner {
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

    fn recording(id: usize) -> Subject {
        Subject::Thing(Thing::Recording, id.to_string())
    }

    #[test]
    fn a_room_is_known_for_a_minute_and_by_the_very_thing() {
        let clock = Clock::system();
        let owners = Owners::new(clock.clone());
        owners.keep(recording(1), "room01".into());
        assert_eq!(owners.room(&recording(1)).as_deref(), Some("room01"));
        assert_eq!(owners.room(&recording(2)), None);
        assert_eq!(owners.room(&Subject::Thing(Thing::Artifact, "1".into())), None);
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
