//! What the gateway remembers of sessions from one request to the next, by the session's tag.
//!
//! A session works without it: cookies carry the session, and any replica serves it. The memory holds what cookies
//! can't: which integrator asked for the token before there was a browser, whether the participant has left, which
//! token is the newest where the cookie is not sent, and which tickets were used.
//!
//! INVARIANT: bounded. The entry that was not used for longest is dropped first, and only a request with a genuine
//! token adds an entry.
//!
//! Not here: the rules (`crate::session`, `crate::issue`).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::handover::{Journal, Telling};

mod generations;
mod handover;
mod learned;

use generations::Generations;
pub use handover::Remembered;
pub use learned::Learned;

/// The number of sessions, of all callers together, in each of the two generations: some 100 bytes each.
const SESSIONS: usize = 50_000;

/// The number of tickets in each of the two generations, 16 bytes each. A ticket is valid for a minute.
const TICKETS: usize = 20_000;

/// The seconds for which a handoff counts as recent.
const RECENT_SECS: i64 = 60;

/// What the gateway remembers of sessions. Each caller has a share of its own.
pub struct Memory {
    known: Mutex<ByCaller>,
    tickets: Mutex<Generations<()>>,
    journal: Journal,
}

#[derive(Clone, Debug, Default)]
struct Known {
    /// The caller who asked for the session's first token.
    caller: Option<Arc<str>>,
    /// The end of the session's newest token, in seconds since 1970.
    newest_exp: i64,
    /// Is the session in another site's frame?
    framed: bool,
    /// The time at which the link was last opened, in seconds since 1970; 0 if it never was.
    handed_off: i64,
    /// The time at which the participant left, in seconds since 1970; 0 if they did not.
    left: i64,
    /// The time at which an admin removed the participant, in seconds since 1970; 0 if nobody did.
    removed: i64,
    /// The number of handoffs since a cookie last came back.
    unanswered: u32,
}

/// A handoff: a token was put into a cookie.
pub struct HandedOff {
    /// Is the session in another site's frame?
    pub framed: bool,
    /// The token's end, in seconds since 1970.
    pub exp: i64,
    /// The time of the handoff, in seconds since 1970.
    pub now: i64,
}

/// What is known of sessions, by who asked for their tokens: a caller that issues without end pushes out its own alone.
struct ByCaller {
    /// The number of sessions of one caller in a generation.
    share: usize,
    callers: HashMap<Option<Arc<str>>, Generations<Known>>,
}

impl ByCaller {
    fn find(&mut self, tag: &str) -> Option<&mut Known> {
        self.callers.values_mut().find_map(|known| known.find(tag))
    }

    fn issued(&mut self, tag: &str, caller: &str) {
        if let Some(known) = self.find(tag)
            && known.caller.is_some()
        {
            return;
        }
        let nobodys = self.callers.get_mut(&None);
        let mut known = nobodys.and_then(|known| known.remove(tag)).unwrap_or_default();
        let caller: Arc<str> = match self.callers.keys().flatten().find(|known| &***known == caller) {
            Some(known) => Arc::clone(known),
            None => caller.into(),
        };
        known.caller = Some(Arc::clone(&caller));
        self.of(Some(caller)).insert(tag, known);
    }

    /// The entry of a session. A session that was unknown gets one without a caller.
    fn entry(&mut self, tag: &str) -> &mut Known {
        let caller = self.find(tag).and_then(|known| known.caller.clone());
        self.of(caller).entry(tag)
    }

    fn of(&mut self, caller: Option<Arc<str>>) -> &mut Generations<Known> {
        let share = self.share;
        self.callers
            .entry(caller)
            .or_insert_with(|| Generations::of(share))
    }
}

impl Memory {
    /// Makes the memory. The server's own key, each of the `callers`, and sessions without a caller get equal shares.
    pub fn among(callers: usize) -> Self {
        Self {
            known: Mutex::new(ByCaller {
                share: share(callers),
                callers: HashMap::new(),
            }),
            tickets: Mutex::new(Generations::of(TICKETS)),
            journal: Journal::default(),
        }
    }

    /// Tells a new process what it learns from now on, or nobody.
    pub fn tells(&self, telling: Option<&Telling>) {
        self.journal.tells(telling);
    }

    /// As `among`, for what is known already: what is too much for a smaller share goes with its generation.
    pub fn share_among(&self, callers: usize) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.share = share(callers);
        let share = known.share;
        for of_caller in known.callers.values_mut() {
            of_caller.size = share;
        }
    }

    /// Notes that a token for this session was issued to a caller. The first caller keeps the session: another can't
    /// take it over by asking for the same user.
    pub fn issued(&self, tag: &str, caller: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.issued(tag, caller);
        drop(known);
        self.journal.learned(|| Learned::issued(tag, caller));
    }

    /// The caller who asked for this session's token.
    pub fn caller_of(&self, tag: &str) -> Option<Arc<str>> {
        self.known_of(tag, |known| known.caller.clone()).flatten()
    }

    /// Notes a handoff. Returns the caller who asked for the token.
    pub fn handed_off(&self, tag: &str, handed: &HandedOff) -> Option<Arc<str>> {
        self.journal.learned(|| Learned::handed_off(tag, handed));
        self.with(tag, |known| {
            known.newest_exp = handed.exp;
            known.framed = handed.framed;
            known.unanswered = known.unanswered.saturating_add(1);
            known.handed_off = handed.now;
            known.caller.clone()
        })
    }

    /// Notes that the session's cookie came back.
    pub fn answered(&self, tag: &str) {
        self.known_of(tag, |known| known.unanswered = 0);
    }

    /// The number of handoffs without a returned cookie, if the last one is recent; 0 otherwise.
    pub fn unanswered(&self, tag: &str, now: i64) -> u32 {
        let unanswered = self.known_of(tag, |known| {
            let recent = now.saturating_sub(known.handed_off) <= RECENT_SECS;
            if recent { known.unanswered } else { 0 }
        });
        unanswered.unwrap_or(0)
    }

    /// Is this the first use of the ticket with this name?
    pub fn first_use(&self, name: &str) -> bool {
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        let first = tickets.find(name).is_none();
        if first {
            tickets.insert(name, ());
            self.journal.learned(|| Learned::used(name));
        }
        first
    }

    /// Is a token with this end newer than all that were seen for this session? Then it is the newest from now on, and
    /// this says whether the session is in a frame. A session that was left has no newer tokens.
    pub fn is_newest(&self, tag: &str, exp: i64) -> Option<bool> {
        self.journal.learned(|| Learned::newest(tag, exp));
        self.with(tag, |known| {
            let newer = exp > known.newest_exp && known.left <= known.handed_off;
            newer.then(|| {
                known.newest_exp = exp;
                known.framed
            })
        })
    }

    /// Notes that the participant has left. The request carried a genuine token.
    pub fn left(&self, tag: &str, now: i64) {
        self.journal.learned(|| Learned::left(tag, now));
        // A second is all that a time here tells, and one can come and go in one.
        self.with(tag, |known| {
            known.left = now.max(known.handed_off.saturating_add(1));
        });
    }

    /// Notes that an admin has removed the participant.
    pub fn removed(&self, tag: &str, now: i64) {
        self.journal.learned(|| Learned::removed(tag, now));
        self.with(tag, |known| known.removed = now);
    }

    /// Was the participant removed at this time or after it? Of a token and a removal in one second nobody can say which came
    /// first, and the removal counts.
    pub fn removed_since(&self, tag: &str, since: i64) -> bool {
        self.known_of(tag, |known| known.removed >= since.max(1)) == Some(true)
    }

    /// Has the participant left after this time?
    pub fn left_after(&self, tag: &str, since: i64) -> bool {
        self.known_of(tag, |known| known.left > since) == Some(true)
    }

    /// Changes a session's entry, adding one if there is none. Only for requests with a genuine token.
    fn with<T>(&self, tag: &str, act: impl FnOnce(&mut Known) -> T) -> T {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        act(known.entry(tag))
    }

    /// Changes a session's entry if there is one. It adds none, so any request may cause it.
    fn known_of<T>(&self, tag: &str, act: impl FnOnce(&mut Known) -> T) -> Option<T> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.find(tag).map(act)
    }
}

/// The server's own key and nobody have a share too.
fn share(callers: usize) -> usize {
    SESSIONS / callers.saturating_add(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn handed(framed: bool) -> HandedOff {
        HandedOff {
            framed,
            exp: NOW + 600,
            now: NOW,
        }
    }

    #[test]
    fn a_ticket_is_used_once() {
        let memory = Memory::among(0);
        assert!(memory.first_use("a") && memory.first_use("b"));
        assert!(!memory.first_use("a"));
        for at in 0..3 * TICKETS {
            memory.first_use(&at.to_string());
        }
        let tickets = memory.tickets.lock().unwrap();
        assert!(tickets.young.len() + tickets.old.len() <= 2 * TICKETS);
    }

    #[test]
    fn handoffs_without_a_cookie_are_counted_while_they_are_recent() {
        let memory = Memory::among(0);
        assert_eq!(memory.unanswered("tag", NOW), 0);
        memory.handed_off("tag", &handed(false));
        memory.handed_off("tag", &handed(false));
        assert_eq!(memory.unanswered("tag", NOW + 60), 2);
        assert_eq!(memory.unanswered("tag", NOW + 61), 0);
        memory.answered("tag");
        assert_eq!(memory.unanswered("tag", NOW), 0);
    }

    #[test]
    fn only_a_later_token_is_newer_and_none_is_after_leaving() {
        let memory = Memory::among(0);
        memory.handed_off("tag", &handed(true));
        assert_eq!(memory.is_newest("tag", NOW + 600), None);
        assert_eq!(memory.is_newest("tag", NOW + 601), Some(true));
        assert_eq!(memory.is_newest("tag", NOW + 601), None);
        memory.left("tag", NOW);
        assert!(memory.left_after("tag", NOW) && !memory.left_after("tag", NOW + 1));
        assert_eq!(memory.is_newest("tag", NOW + 700), None);
        let later = HandedOff {
            now: NOW + 5,
            ..handed(false)
        };
        memory.handed_off("tag", &later);
        assert_eq!(memory.is_newest("tag", NOW + 700), Some(false));
    }

    #[test]
    fn who_asked_for_the_token_is_told_at_the_handoff() {
        let memory = Memory::among(0);
        assert_eq!(memory.handed_off("tag", &handed(false)), None);
        memory.issued("tag", "moodle");
        let caller = memory.handed_off("tag", &handed(false));
        assert_eq!(caller.as_deref(), Some("moodle"));
    }

    #[test]
    fn who_came_first_keeps_a_session_and_a_flood_pushes_out_its_own_alone() {
        let memory = Memory::among(1);
        memory.issued("ann", "moodle");
        memory.issued("ann", "other");
        assert_eq!(memory.caller_of("ann").as_deref(), Some("moodle"));
        memory.left("ann", NOW);
        memory.left("bob", NOW);
        for at in 0..3 * SESSIONS {
            memory.issued(&at.to_string(), "other");
        }
        assert!(memory.left_after("ann", NOW - 1) && memory.left_after("bob", NOW - 1));
        assert_eq!(memory.caller_of("0"), None);
        let known = memory.known.lock().unwrap();
        let total: usize = known
            .callers
            .values()
            .map(|of| of.young.len() + of.old.len())
            .sum();
        assert!(total <= 2 * SESSIONS, "{total}");
    }

    #[test]
    fn a_session_that_was_nobodys_is_whose_token_was_issued() {
        let memory = Memory::among(1);
        memory.left("ann", NOW);
        memory.issued("ann", "moodle");
        assert!(memory.left_after("ann", NOW - 1));
        assert_eq!(memory.caller_of("ann").as_deref(), Some("moodle"));
    }

    #[test]
    fn asking_adds_nothing() {
        let memory = Memory::among(0);
        memory.unanswered("tag", NOW);
        memory.answered("tag");
        memory.left_after("tag", NOW);
        assert!(memory.known.lock().unwrap().callers.is_empty());
    }
}
