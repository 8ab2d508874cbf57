//! What an old process learns of sessions after it has handed over. The new one does the same once more.

use serde::{Deserialize, Serialize};

use super::{HandedOff, Memory};
use crate::handover::Part;

/// One thing that was learned: the call of `Memory` that did it, with what it was called with.
#[derive(Debug, Serialize, Deserialize)]
pub struct Learned(Event);

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Event {
    Issued {
        tag: String,
        caller: String,
    },
    HandedOff {
        tag: String,
        framed: bool,
        exp: i64,
        now: i64,
    },
    Newest {
        tag: String,
        exp: i64,
    },
    Left {
        tag: String,
        now: i64,
    },
    Removed {
        tag: String,
        now: i64,
    },
    Used {
        ticket: String,
    },
}

impl Part for Learned {
    const NAME: &'static str = "learned of a session";
    const VERSION: u32 = 1;
}

impl Learned {
    pub(super) fn issued(tag: &str, caller: &str) -> Self {
        let (tag, caller) = (tag.to_owned(), caller.to_owned());
        Self(Event::Issued { tag, caller })
    }

    pub(super) fn handed_off(tag: &str, handed: &HandedOff) -> Self {
        let &HandedOff { framed, exp, now } = handed;
        Self(Event::HandedOff {
            tag: tag.to_owned(),
            framed,
            exp,
            now,
        })
    }

    pub(super) fn newest(tag: &str, exp: i64) -> Self {
        let tag = tag.to_owned();
        Self(Event::Newest { tag, exp })
    }

    pub(super) fn left(tag: &str, now: i64) -> Self {
        let tag = tag.to_owned();
        Self(Event::Left { tag, now })
    }

    pub(super) fn removed(tag: &str, now: i64) -> Self {
        let tag = tag.to_owned();
        Self(Event::Removed { tag, now })
    }

    pub(super) fn used(ticket: &str) -> Self {
        let ticket = ticket.to_owned();
        Self(Event::Used { ticket })
    }
}

impl Memory {
    /// Learns what an old process has.
    pub fn learn(&self, Learned(event): Learned) {
        match event {
            Event::Issued { tag, caller } => self.issued(&tag, &caller),
            Event::HandedOff {
                tag,
                framed,
                exp,
                now,
            } => drop(self.handed_off(&tag, &HandedOff { framed, exp, now })),
            Event::Newest { tag, exp } => drop(self.is_newest(&tag, exp)),
            Event::Left { tag, now } => self.left(&tag, now),
            Event::Removed { tag, now } => self.removed(&tag, now),
            Event::Used { ticket } => drop(self.first_use(&ticket)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handover::{Parts, Telling};

    const NOW: i64 = 1_800_000_000;

    #[tokio::test]
    async fn what_is_learned_after_the_handover_is_known_to_the_new_process() {
        let (old, new) = (Memory::among(1), Memory::among(1));
        old.left("before", NOW);
        let (telling, mut told) = Telling::pair();
        old.tells(Some(&telling));
        old.issued("ann", "lms");
        let handed = HandedOff {
            framed: true,
            exp: NOW + 600,
            now: NOW,
        };
        old.handed_off("ann", &handed);
        assert_eq!(old.is_newest("ann", NOW + 700), Some(true));
        old.left("bob", NOW + 5);
        old.removed("eve", NOW + 7);
        assert!(old.first_use("ticket"));
        old.tells(None);
        old.left("after", NOW);
        drop(telling);
        while let Some(parts) = told.recv().await {
            let mut parts: Parts = serde_json::from_slice(&serde_json::to_vec(&parts).unwrap()).unwrap();
            new.learn(parts.take().unwrap());
        }
        assert_eq!(new.caller_of("ann").as_deref(), Some("lms"));
        assert_eq!(new.unanswered("ann", NOW), 1);
        assert_eq!(new.is_newest("ann", NOW + 700), None);
        assert!(new.left_after("bob", NOW) && new.removed_since("eve", NOW));
        assert!(!new.first_use("ticket"));
        assert!(!new.left_after("before", NOW - 1) && !new.left_after("after", NOW - 1));
    }
}
