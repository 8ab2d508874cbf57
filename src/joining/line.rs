//! Who is next: redials before newcomers, moderators before others, then rooms in turn, and by arrival within a room.
//!
//! A redial belongs to somebody who is in a meeting. Rooms in turn, so that a lecture of a thousand doesn't lock a meeting
//! of three out. Nothing here knows of time or of tasks.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

/// Somebody in a room, as a token that was checked says.
///
/// SECURITY: `Debug` shows neither; a log has no room ids.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Person {
    pub room_id: Box<str>,
    pub user_id: Box<str>,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person").finish_non_exhaustive()
    }
}

/// Requests of one person that wait at once: tabs, and pages that were loaded again. One that is over waits no longer.
const OF_ONE_PERSON: usize = 4;

/// The number of a waiting request, by arrival.
pub(super) type Id = u64;

/// All who wait, each with whatever wakes it.
#[derive(Debug)]
pub(super) struct Line<W> {
    next: Id,
    redials: BTreeMap<Id, W>,
    /// Moderators, then others.
    lanes: [Lane<W>; 2],
    /// Where each waits, the longest first.
    spots: BTreeMap<Id, Spot>,
}

#[derive(Clone, Debug)]
enum Spot {
    Redial,
    Lane(usize, Person),
}

#[derive(Debug)]
struct Lane<W> {
    /// Turns of rooms and of people so far.
    turn: u64,
    /// The rooms in which anybody waits, by their turns.
    turns: BTreeMap<u64, Box<str>>,
    rooms: HashMap<Box<str>, Room<W>>,
}

#[derive(Debug)]
struct Room<W> {
    turn: u64,
    /// Who waits, by their turns.
    people: BTreeMap<u64, Waiting<W>>,
    of_user: HashMap<Box<str>, u64>,
}

/// One person, with all requests that wait for the one turn; the last came last, and is next.
#[derive(Debug)]
struct Waiting<W> {
    user_id: Box<str>,
    requests: Vec<(Id, W)>,
}

impl<W> Default for Line<W> {
    fn default() -> Self {
        Self {
            next: 0,
            redials: BTreeMap::new(),
            lanes: [Lane::default(), Lane::default()],
            spots: BTreeMap::new(),
        }
    }
}

impl<W> Default for Lane<W> {
    fn default() -> Self {
        Self {
            turn: 0,
            turns: BTreeMap::new(),
            rooms: HashMap::new(),
        }
    }
}

impl<W> Line<W> {
    pub(super) fn len(&self) -> usize {
        self.spots.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.spots.is_empty()
    }

    /// How many of them wait at the WebSocket.
    pub(super) fn redials(&self) -> usize {
        self.redials.len()
    }

    /// The one who has waited longest.
    pub(super) fn longest(&self) -> Option<Id> {
        self.spots.keys().next().copied()
    }

    /// The request of this person that came first. None: it does not wait.
    pub(super) fn first_of(&self, person: &Person) -> Option<Id> {
        self.lanes.iter().find_map(|lane| lane.first_of(person))
    }

    /// How many people are let in before each one who waits at verifyToken.
    pub(super) fn order(&self) -> HashMap<Person, usize> {
        let people = self.lanes.iter().flat_map(Lane::people);
        let mut order = HashMap::with_capacity(self.len());
        for (before, person) in (self.redials.len()..).zip(people) {
            order.entry(person).or_insert(before);
        }
        order
    }

    /// The rooms for which people wait, with how many.
    pub(super) fn rooms(&self) -> BTreeMap<Box<str>, usize> {
        let mut rooms = BTreeMap::new();
        for (room_id, room) in self.lanes.iter().flat_map(|lane| &lane.rooms) {
            *rooms.entry(room_id.clone()).or_default() += room.people.len();
        }
        rooms
    }

    /// Somebody comes to the WebSocket without a place.
    pub(super) fn redial(&mut self, wakes: W) -> Id {
        let id = self.id();
        self.redials.insert(id, wakes);
        self.spots.insert(id, Spot::Redial);
        id
    }

    /// Somebody knocks. A second request of the same person takes over the first one's turn; the oldest of too many is given
    /// back.
    pub(super) fn knock(&mut self, person: Person, is_moderator: bool, wakes: W) -> (Id, Option<(Id, W)>) {
        let id = self.id();
        let nth = usize::from(!is_moderator);
        let over = self
            .lanes
            .get_mut(nth)
            .and_then(|lane| lane.add(id, &person, wakes));
        self.spots.insert(id, Spot::Lane(nth, person));
        if let Some((over, _)) = &over {
            self.spots.remove(over);
        }
        (id, over)
    }

    /// Somebody has gone away. False: it was not in line any more.
    pub(super) fn leave(&mut self, id: Id) -> bool {
        match self.spots.remove(&id) {
            None => false,
            Some(Spot::Redial) => self.redials.remove(&id).is_some(),
            Some(Spot::Lane(nth, person)) => {
                if let Some(lane) = self.lanes.get_mut(nth) {
                    lane.leave(id, &person);
                }
                true
            }
        }
    }

    /// Whose turn it is. Newcomers first where those who redial are not what they seem.
    pub(super) fn next(&mut self, newcomers_first: bool) -> Option<(Id, W)> {
        if newcomers_first {
            self.newcomer().or_else(|| self.redialling())
        } else {
            self.redialling().or_else(|| self.newcomer())
        }
    }

    fn redialling(&mut self) -> Option<(Id, W)> {
        let next = self.redials.pop_first()?;
        self.spots.remove(&next.0);
        Some(next)
    }

    fn newcomer(&mut self) -> Option<(Id, W)> {
        let next = self.lanes.iter_mut().find_map(Lane::next)?;
        self.spots.remove(&next.0);
        Some(next)
    }

    fn id(&mut self) -> Id {
        self.next += 1;
        self.next
    }
}

impl<W> Lane<W> {
    fn first_of(&self, person: &Person) -> Option<Id> {
        let room = self.rooms.get(&person.room_id)?;
        let turn = room.of_user.get(&person.user_id)?;
        room.people.get(turn)?.requests.first().map(|(id, _)| *id)
    }

    /// All who wait, as they are let in: of each room in turn the one who has waited longest.
    fn people(&self) -> Vec<Person> {
        let rooms = self
            .turns
            .values()
            .filter_map(|room_id| self.rooms.get_key_value(room_id));
        let mut rooms: Vec<_> = rooms
            .map(|(room_id, room)| (room_id, room.people.values()))
            .collect();
        let mut people = Vec::new();
        while !rooms.is_empty() {
            rooms.retain_mut(|(room_id, waiting)| {
                let next = waiting.next().map(|waiting| Person {
                    room_id: room_id.clone(),
                    user_id: waiting.user_id.clone(),
                });
                let is_left = next.is_some();
                people.extend(next);
                is_left
            });
        }
        people
    }

    fn add(&mut self, id: Id, person: &Person, wakes: W) -> Option<(Id, W)> {
        self.turn += 1;
        let turn = self.turn;
        let room = self.rooms.entry(person.room_id.clone()).or_insert_with(|| {
            self.turns.insert(turn, person.room_id.clone());
            Room {
                turn,
                people: BTreeMap::new(),
                of_user: HashMap::new(),
            }
        });
        let turn = *room.of_user.entry(person.user_id.clone()).or_insert(turn);
        let waiting = room.people.entry(turn).or_insert_with(|| Waiting {
            user_id: person.user_id.clone(),
            requests: Vec::new(),
        });
        waiting.requests.push((id, wakes));
        (waiting.requests.len() > OF_ONE_PERSON).then(|| waiting.requests.remove(0))
    }

    fn leave(&mut self, id: Id, person: &Person) {
        let Some(room) = self.rooms.get_mut(&person.room_id) else {
            return;
        };
        let Some(turn) = room.of_user.get(&person.user_id).copied() else {
            return;
        };
        if let Some(waiting) = room.people.get_mut(&turn) {
            waiting.requests.retain(|(request, _)| *request != id);
            if waiting.requests.is_empty() {
                room.people.remove(&turn);
                room.of_user.remove(&person.user_id);
            }
        }
        if room.people.is_empty() {
            self.turns.remove(&room.turn);
            self.rooms.remove(&person.room_id);
        }
    }

    fn next(&mut self) -> Option<(Id, W)> {
        let (_, room_id) = self.turns.pop_first()?;
        let room = self.rooms.get_mut(&room_id)?;
        let (_, mut waiting) = room.people.pop_first()?;
        room.of_user.remove(&waiting.user_id);
        let next = waiting.requests.pop();
        self.turn += 1;
        // Another tab of the same person is behind all others of the room.
        if !waiting.requests.is_empty() {
            room.of_user.insert(waiting.user_id.clone(), self.turn);
            room.people.insert(self.turn, waiting);
        }
        if room.people.is_empty() {
            self.rooms.remove(&room_id);
        } else {
            room.turn = self.turn;
            self.turns.insert(self.turn, room_id);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn person(room: &str, user: &str) -> Person {
        Person {
            room_id: room.into(),
            user_id: user.into(),
        }
    }

    fn all(line: &mut Line<String>) -> Vec<String> {
        std::iter::from_fn(|| line.next(false))
            .map(|(_, wakes)| wakes)
            .collect()
    }

    #[test]
    fn redials_then_moderators_then_rooms_in_turn_by_arrival() {
        let mut line = Line::default();
        for user in ["a1", "a2", "a3"] {
            line.knock(person("a", user), false, user.into());
        }
        line.knock(person("b", "b1"), false, "b1".into());
        line.knock(person("c", "c1"), false, "c1".into());
        line.knock(person("a", "moderator"), true, "moderator".into());
        line.knock(person("b", "b2"), false, "b2".into());
        line.redial("redial".into());
        assert_eq!(
            all(&mut line),
            ["redial", "moderator", "a1", "b1", "c1", "a2", "b2", "a3"]
        );
        assert!(line.is_empty());
    }

    #[test]
    fn a_second_request_takes_over_the_first_ones_turn() {
        let mut line = Line::default();
        line.knock(person("a", "ann"), false, "first".into());
        line.knock(person("a", "bob"), false, "bob".into());
        let (second, over) = line.knock(person("a", "ann"), false, "second".into());
        assert_eq!(over, None);
        assert_eq!(all(&mut line), ["second", "bob", "first"]);

        line.knock(person("a", "ann"), false, "first".into());
        line.knock(person("a", "bob"), false, "bob".into());
        let (gone, _) = line.knock(person("a", "ann"), false, "second".into());
        assert!(gone > second && line.leave(gone) && !line.leave(gone));
        assert_eq!(all(&mut line), ["first", "bob"], "the turn stays the person's");
    }

    #[test]
    fn of_too_many_requests_of_one_person_the_oldest_is_given_back() {
        let mut line = Line::default();
        for nth in 0..OF_ONE_PERSON {
            let (_, over) = line.knock(person("a", "ann"), false, nth.to_string());
            assert_eq!(over, None);
        }
        let (_, over) = line.knock(person("a", "ann"), false, "last".into());
        let over = over.map(|(_, wakes)| wakes);
        assert_eq!((over.as_deref(), line.len()), (Some("0"), OF_ONE_PERSON));
    }

    #[test]
    fn newcomers_are_first_where_redials_are_not_what_they_seem() {
        let mut line = Line::default();
        line.redial("redial".to_owned());
        line.knock(person("a", "ann"), false, "ann".into());
        let mut next = || line.next(true).map(|(_, wakes)| wakes);
        assert_eq!(next().as_deref(), Some("ann"));
        assert_eq!(next().as_deref(), Some("redial"));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Knock(u8, u8, bool),
        Redial,
        Leave(usize),
        Next,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0u8..4, 0u8..5, any::<bool>()).prop_map(|(room, user, moderator)| Step::Knock(room, user, moderator)),
            1 => Just(Step::Redial),
            2 => any::<usize>().prop_map(Step::Leave),
            3 => Just(Step::Next),
        ]
    }

    proptest! {
        /// A turn goes to whoever is there, to each once, and nobody is forgotten.
        #[test]
        fn nobody_is_lost_and_nobody_who_left_has_a_turn(steps in prop::collection::vec(step(), 0..200)) {
            let mut line = Line::default();
            let mut there = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Knock(room, user, moderator) => {
                        let expected = line.next + 1;
                        let (id, over) = line.knock(person(&room.to_string(), &user.to_string()), moderator, expected);
                        prop_assert_eq!(id, expected);
                        there.insert(id);
                        if let Some((over, wakes)) = over {
                            prop_assert!(over == wakes && there.remove(&over));
                        }
                    }
                    Step::Redial => {
                        let expected = line.next + 1;
                        there.insert(line.redial(expected));
                    }
                    Step::Leave(nth) => {
                        let id = there.iter().nth(nth % there.len().max(1)).copied();
                        if let Some(id) = id {
                            prop_assert!(line.leave(id));
                            there.remove(&id);
                        }
                    }
                    Step::Next => match line.next(false) {
                        Some((id, wakes)) => prop_assert!(id == wakes && there.remove(&id)),
                        None => prop_assert!(there.is_empty()),
                    },
                }
                prop_assert_eq!(line.len(), there.len());
                prop_assert_eq!(line.longest(), there.first().copied());
            }
            let mut left: Vec<Id> = std::iter::from_fn(|| line.next(false)).map(|(id, _)| id).collect();
            left.sort_unstable();
            prop_assert_eq!(left, there.into_iter().collect::<Vec<_>>());
            prop_assert!(line.is_empty() && line.lanes.iter().all(|lane| lane.rooms.is_empty() && lane.turns.is_empty()));
        }

        /// How many are before somebody is how many are let in before, of whichever rooms.
        #[test]
        fn whoever_waits_can_be_told_how_many_are_before(
            people in prop::collection::vec((0u8..4, any::<bool>()), 1..60), gone in 0usize..20, redials in 0usize..3,
        ) {
            let mut line = Line::default();
            for (nth, (room, is_moderator)) in people.iter().enumerate() {
                let person = person(&room.to_string(), &nth.to_string());
                line.knock(person.clone(), *is_moderator, Some(person));
            }
            for _ in 0..redials {
                line.redial(None);
            }
            for _ in 0..gone {
                line.next(false);
            }
            let of_rooms: usize = line.rooms().values().sum();
            prop_assert_eq!(of_rooms, line.len() - line.redials());
            let told = line.order();
            let waits = |person: &Person| line.first_of(person).is_some();
            prop_assert!(told.keys().all(waits));
            let mut expected: Vec<(usize, Person)> = told.into_iter().map(|(person, before)| (before, person)).collect();
            expected.sort_by_key(|(before, _)| *before);
            let order = std::iter::from_fn(|| line.next(false)).map(|(_, person)| person).enumerate();
            let order: Vec<(usize, Person)> = order.filter_map(|(before, person)| Some((before, person?))).collect();
            prop_assert_eq!(order, expected);
        }

        /// A room of many keeps nobody of a small one waiting for longer than a round.
        #[test]
        fn a_small_room_waits_for_no_more_than_a_turn_of_each(many in 1usize..200, small in 1usize..4) {
            let mut line = Line::default();
            for nth in 0..many {
                line.knock(person("many", &nth.to_string()), false, "many");
            }
            for nth in 0..small {
                line.knock(person("small", &nth.to_string()), false, "small");
            }
            let order: Vec<&str> = std::iter::from_fn(|| line.next(false)).map(|(_, room)| room).collect();
            let last = order.iter().rposition(|room| *room == "small").unwrap();
            prop_assert!(last < 2 * small);
        }
    }
}
