//! Places that people have from verifyToken until their WebSocket comes: known by the person, one for each.
//!
//! The WebSocket doesn't say whose it is before it is open. So one that comes while anybody is expected is taken for one of
//! those, and its CONNECT shows whether that was right.

use std::{
    array,
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering::SeqCst},
    },
};

use super::line::Person;

/// Locks, so that two cores hardly ever want the same one.
const PARTS: usize = 64;

pub(super) struct Grants {
    parts: [Mutex<HashMap<Person, Grant>>; PARTS],
    hasher: RandomState,
    next: AtomicU64,
    /// People who are expected, less WebSockets that were taken for one of them and have not said whose they are.
    expected: AtomicI64,
}

#[derive(Debug)]
struct Grant {
    id: u64,
    /// Requests that the server has not answered yet.
    asking: u32,
    /// Has the server let the person in?
    is_expected: bool,
}

/// What has become of a request's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Others of the same person hold it still, or it is gone already.
    Held,
    /// It is to be given back.
    GiveBack,
}

impl Grants {
    pub(super) fn new() -> Self {
        Self {
            parts: array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            next: AtomicU64::new(0),
            expected: AtomicI64::new(0),
        }
    }

    /// One more request of somebody who has a place: it shares it. None: there is no such place.
    pub(super) fn share(&self, person: &Person) -> Option<u64> {
        let mut part = self.part(person);
        let grant = part.get_mut(person)?;
        grant.asking += 1;
        Some(grant.id)
    }

    /// A place was taken for this person. False: there was one by now, and this one is to be given back.
    pub(super) fn grant(&self, person: &Person) -> (u64, bool) {
        let mut part = self.part(person);
        if let Some(grant) = part.get_mut(person) {
            grant.asking += 1;
            return (grant.id, false);
        }
        let id = self.next.fetch_add(1, SeqCst);
        let grant = Grant {
            id,
            asking: 1,
            is_expected: false,
        };
        part.insert(person.clone(), grant);
        (id, true)
    }

    /// The server has let the person in: its WebSocket is expected. False: there is no such place any more.
    pub(super) fn expect(&self, person: &Person, id: u64) -> bool {
        let mut part = self.part(person);
        let Some(grant) = part.get_mut(person).filter(|grant| grant.id == id) else {
            return false;
        };
        grant.asking = grant.asking.saturating_sub(1);
        if !grant.is_expected {
            grant.is_expected = true;
            self.expected.fetch_add(1, SeqCst);
        }
        true
    }

    /// The server has not let the person in, or nobody knows.
    pub(super) fn failed(&self, person: &Person, id: u64) -> After {
        let mut part = self.part(person);
        let Some(grant) = part.get_mut(person).filter(|grant| grant.id == id) else {
            return After::Held;
        };
        grant.asking = grant.asking.saturating_sub(1);
        if grant.asking > 0 || grant.is_expected {
            return After::Held;
        }
        part.remove(person);
        After::GiveBack
    }

    /// The person's time is over.
    pub(super) fn expire(&self, person: &Person, id: u64, was_expected: bool) -> After {
        let mut part = self.part(person);
        match part.get(person) {
            Some(grant) if grant.id == id && grant.is_expected == was_expected => {}
            Some(_) | None => return After::Held,
        }
        part.remove(person);
        if was_expected {
            self.expected.fetch_sub(1, SeqCst);
        }
        After::GiveBack
    }

    /// A WebSocket comes: it is taken for somebody's who is expected, if anybody is.
    pub(super) fn comes(&self) -> bool {
        // Most of the time nobody is.
        self.expected.load(SeqCst) > 0
            && self
                .expected
                .fetch_update(SeqCst, SeqCst, |expected| (expected > 0).then(|| expected - 1))
                .is_ok()
    }

    /// A WebSocket that was taken for somebody's who is expected was somebody else's, or nobody's.
    pub(super) fn was_another(&self) {
        self.expected.fetch_add(1, SeqCst);
    }

    /// The person is here: the place is its WebSocket's now. False: it had none.
    pub(super) fn claim(&self, person: &Person) -> bool {
        let mut part = self.part(person);
        if part.get(person).is_some_and(|grant| grant.is_expected) {
            part.remove(person);
            return true;
        }
        false
    }

    /// One who is expected came in by another place.
    pub(super) fn one_less(&self) {
        self.expected.fetch_sub(1, SeqCst);
    }

    fn part(&self, person: &Person) -> MutexGuard<'_, HashMap<Person, Grant>> {
        let [first, ..] = &self.parts;
        let nth = usize::try_from(self.hasher.hash_one(person)).unwrap_or_default() % PARTS;
        self.parts
            .get(nth)
            .unwrap_or(first)
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ann() -> Person {
        Person {
            room_id: "room01".into(),
            user_id: "ann".into(),
        }
    }

    #[test]
    fn a_person_has_one_place_however_often_it_asks() {
        let grants = Grants::new();
        assert_eq!(grants.share(&ann()), None);
        let (id, new) = grants.grant(&ann());
        assert!(new);
        assert_eq!(grants.share(&ann()), Some(id));
        assert_eq!(grants.grant(&ann()), (id, false));
        assert_eq!(grants.failed(&ann(), id), After::Held);
        assert!(grants.expect(&ann(), id) && !grants.expect(&ann(), id + 1));
        assert_eq!(grants.failed(&ann(), id), After::Held, "the server let her in");
        assert!(grants.comes() && !grants.comes());
        assert!(grants.claim(&ann()) && !grants.claim(&ann()));
        assert_eq!(grants.expire(&ann(), id, true), After::Held);
    }

    #[test]
    fn one_that_was_another_leaves_the_place_to_whose_it_is() {
        let grants = Grants::new();
        let (id, _) = grants.grant(&ann());
        grants.expect(&ann(), id);
        assert!(grants.comes());
        assert!(!grants.comes());
        grants.was_another();
        assert!(grants.comes());
        grants.was_another();
        assert_eq!(grants.expire(&ann(), id, false), After::Held);
        assert_eq!(grants.expire(&ann(), id, true), After::GiveBack);
        assert!(!grants.comes());
    }

    #[test]
    fn who_is_not_let_in_gives_the_place_back() {
        let grants = Grants::new();
        let (id, _) = grants.grant(&ann());
        assert_eq!(grants.failed(&ann(), id), After::GiveBack);
        assert!(!grants.claim(&ann()));
        assert!(!grants.expect(&ann(), id));
    }
}
