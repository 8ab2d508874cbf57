//! What an old process learns of blocks after it has handed over. The new one does the same once more.

use serde::{Deserialize, Serialize};

use super::{Block, Blocks, Person};
use crate::handover::Part;

/// One thing that was learned: the call of `Blocks` that did it, with what it was called with.
#[derive(Debug, Serialize, Deserialize)]
pub struct Learned(Event);

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Event {
    Block {
        room_id: String,
        user_id: String,
        sid: Option<String>,
    },
    CameAs {
        person: Person,
        room_id: String,
        user_id: String,
    },
    IsBreakoutOf {
        room_id: String,
        parent: String,
    },
    Ended(Block),
}

impl Part for Learned {
    const NAME: &'static str = "learned of a block";
    const VERSION: u32 = 1;
}

impl Learned {
    pub(super) fn block(room_id: &str, user_id: &str, sid: Option<&str>) -> Self {
        Self(Event::Block {
            room_id: room_id.to_owned(),
            user_id: user_id.to_owned(),
            sid: sid.map(str::to_owned),
        })
    }

    pub(super) fn came_as(person: &Person, room_id: &str, user_id: &str) -> Self {
        Self(Event::CameAs {
            person: person.clone(),
            room_id: room_id.to_owned(),
            user_id: user_id.to_owned(),
        })
    }

    pub(super) fn is_breakout_of(room_id: &str, parent: &str) -> Self {
        let (room_id, parent) = (room_id.to_owned(), parent.to_owned());
        Self(Event::IsBreakoutOf { room_id, parent })
    }

    pub(super) fn ended(block: &Block) -> Self {
        Self(Event::Ended(block.clone()))
    }
}

impl Blocks {
    /// Learns what an old process has.
    pub fn learn(&self, Learned(event): Learned) {
        match event {
            Event::Block {
                room_id,
                user_id,
                sid,
            } => self.block(&room_id, &user_id, sid.as_deref()),
            Event::CameAs {
                person,
                room_id,
                user_id,
            } => self.came_as(person, &room_id, &user_id),
            Event::IsBreakoutOf { room_id, parent } => self.is_breakout_of(&room_id, &parent),
            Event::Ended(block) => self.ended(&block),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handover::{Parts, Telling};

    #[tokio::test]
    async fn what_is_learned_after_the_handover_is_known_to_the_new_process() {
        let (old, new) = (Blocks::default(), Blocks::default());
        let person = Person::OfPlatform {
            meeting_id: "meeting".into(),
            user_id: "ann@lms".into(),
        };
        let (telling, mut told) = Telling::pair();
        old.tells(Some(&telling));
        old.came_as(person.clone(), "room", "ann");
        old.is_breakout_of("small", "room");
        old.block("room", "ann", Some("SID"));
        old.block("room2", "bob", None);
        let over = old.of(&Person::participant("room2", "bob")).unwrap();
        old.ended(&over);
        old.tells(None);
        drop(telling);
        while let Some(parts) = told.recv().await {
            let mut parts: Parts = serde_json::from_slice(&serde_json::to_vec(&parts).unwrap()).unwrap();
            new.learn(parts.take().unwrap());
        }
        assert!(new.of(&person).is_some());
        assert!(new.of(&Person::participant("small", "ann")).is_some());
        assert_eq!(new.of(&Person::participant("room2", "bob")), None);
    }
}
