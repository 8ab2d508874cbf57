//! The users who were removed from a meeting and blocked in it, as far as this process has seen it.
//!
//! The server checks its own list at two of its endpoints alone, and another endpoint lifts a block (docs/plugnmeet.md
//! section 4). So the gateway remembers blocks too, until the meeting has ended.
//!
//! Some endpoints make up a new id for the user at each join. There the user is also known by the platform's id, and a
//! block of the one is a block of the other. A user who is blocked in a room is also blocked in its breakout rooms.
//!
//! INVARIANT: bounded; the oldest entry is dropped first. Only a removal or a join that the server has confirmed adds
//! an entry.
//!
//! Not here: whether the meeting still runs (`crate::issue`).

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::handover::{Journal, Part, Telling};

mod learned;

pub use learned::Learned;

/// The largest number of entries of each kind, of some 200 bytes each.
const ENTRIES: usize = 20_000;

/// A person who may be blocked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Person {
    /// A participant, by the ids of plugnmeet-server.
    Participant {
        room_id: String,
        /// The user's id in the room.
        user_id: String,
    },
    /// A user by the platform's ids, for rooms that make up ids of their own.
    OfPlatform {
        /// The platform's id of the meeting.
        meeting_id: String,
        /// The platform's id of the user.
        user_id: String,
    },
}

/// A block that may still hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The room in which the user was blocked.
    pub room_id: String,
    /// The server's id of the meeting in which the user was blocked; none if the server did not tell it.
    pub sid: Option<String>,
}

/// The blocks that this process has seen. They are in memory, at most `ENTRIES` of each kind.
#[derive(Default)]
pub struct Blocks {
    state: Mutex<State>,
    journal: Journal,
}

#[derive(Default)]
struct State {
    blocks: Bounded<Person, Block>,
    /// The platform's ids of each participant, by the participant's ids in the room.
    came_as: Bounded<Person, Person>,
    /// The main room of each breakout room.
    parents: Bounded<String, String>,
}

impl Person {
    pub fn participant(room_id: &str, user_id: &str) -> Self {
        Self::Participant {
            room_id: room_id.to_owned(),
            user_id: user_id.to_owned(),
        }
    }
}

/// All of them, as they are handed over: what is oldest comes first.
#[derive(Serialize, Deserialize)]
pub struct HandedBlocks {
    blocks: Vec<(Person, Block)>,
    came_as: Vec<(Person, Person)>,
    parents: Vec<(String, String)>,
}

impl Part for HandedBlocks {
    const NAME: &'static str = "blocks";
    const VERSION: u32 = 1;
}

impl Blocks {
    /// All of it, for a new process.
    pub fn hand_over(&self) -> HandedBlocks {
        self.with(|state| HandedBlocks {
            blocks: state.blocks.oldest_first(),
            came_as: state.came_as.oldest_first(),
            parents: state.parents.oldest_first(),
        })
    }

    /// Goes on with what an old process knew.
    pub fn take_over(&self, handed: HandedBlocks) {
        self.with(|state| {
            for (person, block) in handed.blocks {
                state.blocks.insert(person, block);
            }
            for (person, other) in handed.came_as {
                state.came_as.insert(person, other);
            }
            for (room, parent) in handed.parents {
                state.parents.insert(room, parent);
            }
        });
    }

    /// Tells a new process what it learns from now on, or nobody.
    pub fn tells(&self, telling: Option<&Telling>) {
        self.journal.tells(telling);
    }

    /// Notes that the server has removed and blocked this user.
    pub fn block(&self, room_id: &str, user_id: &str, sid: Option<&str>) {
        self.journal.learned(|| Learned::block(room_id, user_id, sid));
        let block = Block {
            room_id: room_id.to_owned(),
            sid: sid.map(str::to_owned),
        };
        let person = Person::participant(room_id, user_id);
        self.with(|state| {
            if let Some(other) = state.came_as.get(&person).cloned() {
                state.blocks.insert(other, block.clone());
            }
            state.blocks.insert(person, block);
        });
    }

    /// Notes under which id in the room this person got a token.
    pub fn came_as(&self, person: Person, room_id: &str, user_id: &str) {
        let participant = Person::participant(room_id, user_id);
        if person != participant {
            self.journal
                .learned(|| Learned::came_as(&person, room_id, user_id));
            self.with(|state| state.came_as.insert(participant, person));
        }
    }

    /// Notes that a token was issued for a breakout room of `parent`.
    pub fn is_breakout_of(&self, room_id: &str, parent: &str) {
        if room_id != parent {
            self.journal.learned(|| Learned::is_breakout_of(room_id, parent));
            self.with(|state| state.parents.insert(room_id.to_owned(), parent.to_owned()));
        }
    }

    /// The block against this person, in the room or in the main room to which it belongs. It may no longer hold.
    pub fn of(&self, person: &Person) -> Option<Block> {
        self.with(|state| {
            if let Some(block) = state.blocks.get(person) {
                return Some(block.clone());
            }
            let Person::Participant { room_id, user_id } = person else {
                return None;
            };
            let parent = state.parents.get(room_id).map(String::as_str);
            let parent = parent.or_else(|| parent_of(room_id))?;
            let in_parent = Person::participant(parent, user_id);
            state.blocks.get(&in_parent).cloned()
        })
    }

    /// Removes all blocks of a meeting that has ended.
    pub fn ended(&self, block: &Block) {
        self.journal.learned(|| Learned::ended(block));
        self.with(|state| state.blocks.retain(|other| other != block));
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The room to which a breakout room belongs, by the form of its id: that of the room, and a UUID (docs/plugnmeet.md
/// section 5).
pub fn parent_of(room_id: &str) -> Option<&str> {
    const UUID: usize = 36;
    let (parent, id) = room_id.split_at_checked(room_id.len().checked_sub(UUID + 1)?)?;
    let id = id.strip_prefix('-')?;
    let is_uuid = id.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    (is_uuid && !parent.is_empty()).then_some(parent)
}

/// A map that drops its oldest entry when it is full.
struct Bounded<K, V> {
    entries: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<K: Clone + Eq + std::hash::Hash, V: Clone> Bounded<K, V> {
    fn oldest_first(&self) -> Vec<(K, V)> {
        let entries = self
            .order
            .iter()
            .filter_map(|key| self.entries.get_key_value(key));
        entries.map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

impl<K: Clone + Eq + std::hash::Hash, V> Bounded<K, V> {
    fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    fn insert(&mut self, key: K, value: V) {
        if self.entries.insert(key.clone(), value).is_some() {
            return;
        }
        self.order.push_back(key);
        while self.entries.len() > ENTRIES
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }

    fn retain(&mut self, keep: impl Fn(&V) -> bool) {
        self.entries.retain(|_, value| keep(value));
        self.order.retain(|key| self.entries.contains_key(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_process_knows_who_is_blocked() {
        let old = Blocks::default();
        old.came_as(
            Person::OfPlatform {
                meeting_id: "meeting".into(),
                user_id: "ann@lms".into(),
            },
            "room",
            "ann",
        );
        old.block("room", "ann", Some("SID"));
        old.is_breakout_of("small", "room");
        let mut parts = crate::handover::Parts::default();
        parts.put(&old.hand_over());

        let new = Blocks::default();
        new.take_over(parts.take().unwrap());
        let block = new.of(&Person::participant("small", "ann")).unwrap();
        assert_eq!(
            (block.room_id.as_str(), block.sid.as_deref()),
            ("room", Some("SID"))
        );
        let as_platform = Person::OfPlatform {
            meeting_id: "meeting".into(),
            user_id: "ann@lms".into(),
        };
        assert_eq!(new.of(&as_platform), Some(block));
        assert_eq!(new.of(&Person::participant("small", "bob")), None);
    }

    const CHILD: &str = "r-123e4567-e89b-12d3-a456-426614174000";

    fn block(room_id: &str, sid: Option<&str>) -> Block {
        Block {
            room_id: room_id.into(),
            sid: sid.map(Into::into),
        }
    }

    #[test]
    fn a_block_stands_in_its_room_and_its_breakout_rooms_until_the_meeting_ends() {
        let blocks = Blocks::default();
        blocks.block("r", "bob", Some("s1"));
        assert_eq!(
            blocks.of(&Person::participant("r", "bob")),
            Some(block("r", Some("s1")))
        );
        assert_eq!(
            blocks.of(&Person::participant(CHILD, "bob")),
            Some(block("r", Some("s1")))
        );
        for (room_id, user_id) in [("r", "ann"), ("r2", "bob"), ("r-2", "bob"), ("x", "bob")] {
            assert_eq!(
                blocks.of(&Person::participant(room_id, user_id)),
                None,
                "{room_id}"
            );
        }
        blocks.is_breakout_of("r-b1", "r");
        assert_eq!(
            blocks.of(&Person::participant("r-b1", "bob")),
            Some(block("r", Some("s1")))
        );
        blocks.block("r", "eve", Some("s2"));
        blocks.ended(&block("r", Some("s1")));
        assert_eq!(blocks.of(&Person::participant("r", "bob")), None);
        assert!(blocks.of(&Person::participant("r", "eve")).is_some());
    }

    #[test]
    fn a_block_in_a_breakout_room_does_not_hold_in_the_room() {
        let blocks = Blocks::default();
        blocks.block(CHILD, "bob", None);
        assert_eq!(blocks.of(&Person::participant("r", "bob")), None);
    }

    #[test]
    fn a_platforms_user_is_blocked_with_the_id_that_the_room_made_up() {
        let blocks = Blocks::default();
        let person = Person::OfPlatform {
            meeting_id: "Physics 1".into(),
            user_id: "u7".into(),
        };
        blocks.came_as(person.clone(), "r", "made-up");
        assert_eq!(blocks.of(&person), None);
        blocks.block("r", "made-up", Some("s1"));
        assert_eq!(blocks.of(&person), Some(block("r", Some("s1"))));
    }

    #[test]
    fn breakout_rooms_are_known_by_their_form() {
        assert_eq!(parent_of(CHILD), Some("r"));
        for other in [
            "r",
            "r-2",
            &CHILD[2..],
            &CHILD[1..],
            "",
            &CHILD.replace("e89b", "xyzw"),
        ] {
            assert_eq!(parent_of(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_oldest_makes_room() {
        let mut map = Bounded::default();
        for at in 0..ENTRIES + 10 {
            map.insert(at, at);
            map.insert(ENTRIES, 0);
        }
        assert_eq!(map.entries.len(), ENTRIES);
        assert_eq!(map.order.len(), ENTRIES);
        assert!(map.get(&0).is_none() && map.get(&(ENTRIES + 9)).is_some());
    }
}
