//! What is remembered, as a gateway hands it over to a new one.

use std::sync::{Arc, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Generations, Known, Memory};
use crate::handover::Part;

/// What is remembered, as it is handed over: what is longest untouched comes first.
#[derive(Serialize, Deserialize)]
pub struct Remembered {
    sessions: Vec<(Box<str>, HandedSession)>,
    tickets: Vec<Box<str>>,
}

#[derive(Serialize, Deserialize)]
struct HandedSession {
    caller: Option<String>,
    newest_exp: i64,
    framed: bool,
    handed_off: i64,
    left: i64,
    removed: i64,
    unanswered: u32,
}

impl Part for Remembered {
    const NAME: &'static str = "sessions";
    const VERSION: u32 = 1;
}

impl Known {
    fn handed(&self) -> HandedSession {
        HandedSession {
            caller: self.caller.as_deref().map(str::to_owned),
            newest_exp: self.newest_exp,
            framed: self.framed,
            handed_off: self.handed_off,
            left: self.left,
            removed: self.removed,
            unanswered: self.unanswered,
        }
    }

    fn of(handed: &HandedSession, caller: Option<Arc<str>>) -> Self {
        Self {
            caller,
            newest_exp: handed.newest_exp,
            framed: handed.framed,
            handed_off: handed.handed_off,
            left: handed.left,
            removed: handed.removed,
            unanswered: handed.unanswered,
        }
    }
}

impl Memory {
    /// All of it, for a new process.
    pub fn hand_over(&self) -> Remembered {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let sessions = known.callers.values().flat_map(Generations::oldest_first);
        let sessions = sessions
            .map(|(tag, known)| (tag.clone(), known.handed()))
            .collect();
        drop(known);
        let tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        let tickets = tickets.oldest_first().map(|(name, ())| name.clone()).collect();
        Remembered { sessions, tickets }
    }

    /// Goes on with what an old process remembered.
    pub fn take_over(&self, remembered: Remembered) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for (tag, session) in remembered.sessions {
            let caller: Option<Arc<str>> = session.caller.as_deref().map(Arc::from);
            let session = Known::of(&session, caller.clone());
            known.of(caller).insert(&tag, session);
        }
        drop(known);
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        for name in remembered.tickets {
            tickets.insert(&name, ());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{HandedOff, Memory};

    const NOW: i64 = 1_800_000_000;

    #[test]
    fn a_new_process_remembers_what_the_old_one_did() {
        let old = Memory::among(1);
        old.issued("ann", "lms");
        let handed = HandedOff {
            framed: true,
            exp: NOW + 600,
            now: NOW,
        };
        old.handed_off("ann", &handed);
        old.handed_off("bob", &handed);
        old.left("bob", NOW + 5);
        old.removed("ann", NOW + 9);
        assert!(old.first_use("ticket"));
        let mut parts = crate::handover::Parts::default();
        parts.put(&old.hand_over());

        let new = Memory::among(1);
        new.take_over(parts.take().unwrap());
        assert_eq!(new.caller_of("ann").as_deref(), Some("lms"));
        assert_eq!(new.caller_of("bob"), None);
        assert!(new.left_after("bob", NOW) && !new.left_after("ann", NOW));
        assert!(new.removed_since("ann", NOW) && !new.removed_since("bob", NOW));
        assert_eq!(new.unanswered("ann", NOW), 1);
        assert_eq!(new.is_newest("ann", NOW + 600), None);
        assert_eq!(new.is_newest("ann", NOW + 601), Some(true));
        assert!(!new.first_use("ticket") && new.first_use("another"));
    }
}
