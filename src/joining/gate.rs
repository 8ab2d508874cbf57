//! The places: taken and given back by one atomic number; whoever finds none stands in line under a lock.
//!
//! INVARIANT: while anybody stands in line, only the line gives places away, and whoever gives one back looks at the line.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::line::{Id, Line, Person};

/// How many may wait at once, and how many of them at the WebSocket, where nobody has shown a token yet: a flood there leaves
/// newcomers their part. Each takes some hundred bytes.
const MOST_IN_LINE: usize = 20_000;
const MOST_REDIALS: usize = 10_000;

/// How long what people are told of the line stands.
const ORDER_STANDS: Duration = Duration::from_secs(1);

/// Redials in a row that turned out to be nobody, after which newcomers go first.
const DOUBTFUL: u32 = 8;

/// What wakes one who waits.
type Wakes = oneshot::Sender<Word>;

/// What one who waits is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Come,
    /// A later request of the same person waits instead.
    Replaced,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTurn {
    TooMany,
    /// Later requests of the same person wait instead.
    Replaced,
}

/// Taken places in the low half, then how many there are, and whether anybody stands in line.
pub(super) struct Gate {
    word: AtomicU64,
    line: Mutex<State>,
}

#[derive(Default)]
struct State {
    line: Line<Wakes>,
    /// Redials in a row that turned out to be nobody.
    doubtful: u32,
    /// Of two turns in doubt one is a redial's all the same.
    newcomer_was_last: bool,
    since: BTreeMap<Id, Instant>,
    order: Option<Order>,
}

/// How many are let in before each, as it was lately: everybody who waits asks now and then, and each answer of its own would
/// be a walk along the whole line.
struct Order {
    before: HashMap<Person, usize>,
    until: Instant,
}

const PLACES_SHIFT: u32 = 32;
const IN_LINE: u64 = 1 << 63;
/// More than there can be people.
pub(super) const ALL: u32 = 1 << 30;

fn taken(word: u64) -> u32 {
    u32::try_from(word & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

fn places(word: u64) -> u32 {
    u32::try_from((word & !IN_LINE) >> PLACES_SHIFT).unwrap_or(u32::MAX)
}

impl Gate {
    pub(super) fn new(places: u32) -> Self {
        Self {
            word: AtomicU64::new(u64::from(places) << PLACES_SHIFT),
            line: Mutex::default(),
        }
    }

    pub(super) fn taken(&self) -> u32 {
        taken(self.word.load(SeqCst))
    }

    pub(super) fn places(&self) -> u32 {
        places(self.word.load(SeqCst))
    }

    /// Does anybody stand in line?
    pub(super) fn has_line(&self) -> bool {
        self.word.load(SeqCst) & IN_LINE != 0
    }

    /// How many wait, and for how long the first of them.
    pub(super) fn waiting(&self) -> (usize, Duration) {
        let state = self.lock();
        let longest = state
            .line
            .longest()
            .and_then(|id| state.since.get(&id))
            .map_or(Duration::ZERO, Instant::elapsed);
        (state.line.len(), longest)
    }

    /// For how long this person has waited, and how many people were let in before a moment ago. None: it does not wait.
    pub(super) fn before(&self, person: &Person) -> Option<(Duration, usize)> {
        let mut state = self.lock();
        let first = state.line.first_of(person)?;
        let waited = state.since.get(&first)?.elapsed();
        let now = Instant::now();
        if state.order.as_ref().is_none_or(|order| now >= order.until) {
            state.order = Some(Order {
                before: state.line.order(),
                until: now + ORDER_STANDS,
            });
        }
        let before = state.order.as_ref().and_then(|order| order.before.get(person));
        // Who has come since is behind all others.
        Some((waited, before.copied().unwrap_or_else(|| state.line.len())))
    }

    /// The rooms for which people wait, with how many.
    pub(super) fn rooms(&self) -> BTreeMap<Box<str>, usize> {
        self.lock().line.rooms()
    }

    /// Takes a place if one is free and nobody waits for it.
    pub(super) fn take(&self) -> bool {
        self.word
            .fetch_update(SeqCst, SeqCst, |word| {
                let free = word & IN_LINE == 0 && taken(word) < places(word);
                free.then(|| word + 1)
            })
            .is_ok()
    }

    /// Takes one more than there are, for somebody who is in already.
    pub(super) fn take_anyway(&self) {
        self.word.fetch_add(1, SeqCst);
    }

    pub(super) fn give_back(&self) {
        let before = self
            .word
            .fetch_update(SeqCst, SeqCst, |word| (taken(word) > 0).then(|| word - 1));
        if before.is_ok_and(|word| word & IN_LINE != 0) {
            self.let_in(&mut self.lock());
        }
    }

    /// There are so many places from now on.
    pub(super) fn set_places(&self, count: u32) {
        let kept = IN_LINE | u64::from(u32::MAX);
        let before = self.word.fetch_update(SeqCst, SeqCst, |word| {
            Some(word & kept | u64::from(count.min(ALL)) << PLACES_SHIFT)
        });
        if before.is_ok_and(|word| word & IN_LINE != 0) {
            self.let_in(&mut self.lock());
        }
    }

    /// A redial that had waited for its place turned out to be somebody, or nobody.
    pub(super) fn redial_was(&self, somebody: bool) {
        let mut state = self.lock();
        state.doubtful = if somebody {
            0
        } else {
            state.doubtful.saturating_add(1)
        };
    }

    /// Waits at the WebSocket. Dropped, it leaves the line, and gives back a place that it has just got.
    pub(super) async fn redial(&self) -> Result<(), NoTurn> {
        if self.lock().line.redials() >= MOST_REDIALS {
            return Err(NoTurn::TooMany);
        }
        self.wait(|line, wakes| (line.redial(wakes), None)).await
    }

    /// Waits at verifyToken, as `redial`.
    pub(super) async fn knock(&self, person: &Person, is_moderator: bool) -> Result<(), NoTurn> {
        let person = person.clone();
        self.wait(|line, wakes| line.knock(person, is_moderator, wakes))
            .await
    }

    async fn wait(
        &self,
        stand: impl FnOnce(&mut Line<Wakes>, Wakes) -> (Id, Option<(Id, Wakes)>),
    ) -> Result<(), NoTurn> {
        let (wakes, turn) = oneshot::channel();
        let id = {
            let mut state = self.lock();
            if state.line.len() >= MOST_IN_LINE {
                return Err(NoTurn::TooMany);
            }
            let (id, replaced) = stand(&mut state.line, wakes);
            state.since.insert(id, Instant::now());
            if let Some((replaced, wakes)) = replaced {
                state.since.remove(&replaced);
                wakes.send(Word::Replaced).ok();
            }
            self.word.fetch_or(IN_LINE, SeqCst);
            // A place may have become free just before the line was there to be seen.
            self.let_in(&mut state);
            id
        };
        let mut waiting = Waiting {
            gate: self,
            id,
            turn,
            is_told: false,
        };
        let told = (&mut waiting.turn).await;
        waiting.is_told = true;
        match told {
            Ok(Word::Come) => Ok(()),
            Ok(Word::Replaced) | Err(_) => Err(NoTurn::Replaced),
        }
    }

    /// Gives free places to those whose turn it is.
    fn let_in(&self, state: &mut MutexGuard<'_, State>) {
        while !state.line.is_empty() {
            let word = self.word.load(SeqCst);
            if taken(word) >= places(word) {
                return;
            }
            let newcomers_first = state.doubtful >= DOUBTFUL && !state.newcomer_was_last;
            state.newcomer_was_last = newcomers_first;
            let Some((id, wakes)) = state.line.next(newcomers_first) else {
                break;
            };
            state.since.remove(&id);
            self.word.fetch_add(1, SeqCst);
            if wakes.send(Word::Come).is_err() {
                self.word.fetch_sub(1, SeqCst);
            }
        }
        state.order = None;
        self.word.fetch_and(!IN_LINE, SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits. It has left the line, or been told, when it is dropped.
struct Waiting<'g> {
    gate: &'g Gate,
    id: Id,
    turn: oneshot::Receiver<Word>,
    is_told: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.is_told {
            return;
        }
        let mut state = self.gate.lock();
        state.since.remove(&self.id);
        if state.line.leave(self.id) {
            // The last one leaves: places are free for all again.
            self.gate.let_in(&mut state);
            return;
        }
        drop(state);
        if self.turn.try_recv() == Ok(Word::Come) {
            self.gate.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, sync::Arc, time::Duration};

    use proptest::prelude::*;
    use tokio::time::{sleep, timeout};

    use super::*;

    fn person(user: &str) -> Person {
        Person {
            room_id: "room01".into(),
            user_id: user.into(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_gives_a_place_on_even_if_it_has_just_got_it() {
        let gate = Gate::new(1);
        assert!(gate.take() && !gate.take());
        let mut first = Box::pin(gate.redial());
        let mut second = Box::pin(gate.redial());
        for waiting in [&mut first, &mut second] {
            assert!(timeout(Duration::from_secs(1), waiting).await.is_err());
        }
        assert_eq!(gate.waiting(), (2, Duration::from_secs(2)));
        // The first has its place now, and has not been asked yet.
        gate.give_back();
        assert_eq!((gate.waiting().0, gate.taken()), (1, 1));
        drop(first);
        assert_eq!(timeout(Duration::from_secs(1), second).await, Ok(Ok(())));
        gate.give_back();
        assert!(gate.take(), "nobody is in line, and the place is free for all");
    }

    #[tokio::test(start_paused = true)]
    async fn the_line_is_walked_once_a_second_however_many_ask() {
        let gate = Gate::new(0);
        let (ann, bob, cid) = (person("ann"), person("bob"), person("cid"));
        let mut first = Box::pin(gate.knock(&ann, false));
        let mut second = pin!(gate.knock(&bob, false));
        let mut third = pin!(gate.knock(&cid, false));
        assert!(timeout(Duration::ZERO, first.as_mut()).await.is_err());
        assert!(timeout(Duration::ZERO, second.as_mut()).await.is_err());
        assert_eq!(gate.before(&bob).map(|(_, before)| before), Some(1));
        drop(first);
        assert_eq!(gate.before(&ann), None);
        assert_eq!(gate.before(&bob).map(|(_, before)| before), Some(1), "as it was");
        assert!(timeout(Duration::ZERO, third.as_mut()).await.is_err());
        assert_eq!(
            gate.before(&cid).map(|(_, before)| before),
            Some(2),
            "behind all others"
        );
        sleep(ORDER_STANDS).await;
        assert_eq!(gate.before(&bob), Some((ORDER_STANDS, 0)));
        assert_eq!(gate.before(&cid), Some((ORDER_STANDS, 1)));
    }

    #[tokio::test(start_paused = true)]
    async fn while_anybody_waits_nobody_else_takes_a_place() {
        let gate = Gate::new(1);
        assert!(gate.take());
        let mut waiting = Box::pin(gate.redial());
        assert!(timeout(Duration::from_secs(1), &mut waiting).await.is_err());
        gate.set_places(2);
        assert!(!gate.take(), "it is the one's who waits");
        assert_eq!(waiting.await, Ok(()));
        gate.set_places(3);
        assert!(gate.take());
    }

    #[tokio::test(start_paused = true)]
    async fn redials_that_are_nobody_lose_their_turn_before_newcomers() {
        let gate = Gate::new(0);
        for _ in 0..DOUBTFUL {
            gate.redial_was(false);
        }
        let ann = person("ann");
        let mut redial = pin!(gate.redial());
        let mut again = pin!(gate.redial());
        let mut newcomer = pin!(gate.knock(&ann, false));
        assert!(timeout(Duration::from_millis(1), redial.as_mut()).await.is_err());
        assert!(timeout(Duration::from_millis(1), again.as_mut()).await.is_err());
        assert!(
            timeout(Duration::from_millis(1), newcomer.as_mut())
                .await
                .is_err()
        );
        gate.set_places(1);
        assert_eq!(newcomer.await, Ok(()));
        gate.give_back();
        assert_eq!(redial.await, Ok(()));
        gate.give_back();
        gate.redial_was(true);
        assert_eq!(again.await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_kept_out() {
        let gate = Arc::new(Gate::new(0));
        for _ in 0..MOST_REDIALS {
            let gate = Arc::clone(&gate);
            tokio::spawn(async move { gate.redial().await });
        }
        sleep(Duration::from_secs(1)).await;
        assert_eq!(gate.redial().await, Err(NoTurn::TooMany));
        for nth in MOST_REDIALS..MOST_IN_LINE {
            let gate = Arc::clone(&gate);
            tokio::spawn(async move { gate.knock(&person(&nth.to_string()), false).await });
        }
        sleep(Duration::from_secs(1)).await;
        assert_eq!(gate.knock(&person("ann"), false).await, Err(NoTurn::TooMany));
    }

    proptest! {
        /// Whoever comes, leaves and moves the number: no place is lost, and none is there twice.
        #[test]
        fn no_place_is_lost(
            visits in prop::collection::vec((0u64..50, 1u64..40, 0u64..60, 0u8..6), 1..60),
            numbers in prop::collection::vec((1u64..80, 1u32..6), 0..6),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async move {
                let gate = Arc::new(Gate::new(3));
                let mut tasks = Vec::new();
                for (comes, stays, patience, who) in visits {
                    let gate = Arc::clone(&gate);
                    tasks.push(tokio::spawn(async move {
                        sleep(Duration::from_millis(comes)).await;
                        let person = person(&who.to_string());
                        let has_place = gate.take() || {
                            let turn = async {
                                if who == 0 { gate.redial().await } else { gate.knock(&person, who == 1).await }
                            };
                            matches!(timeout(Duration::from_millis(patience), turn).await, Ok(Ok(())))
                        };
                        if has_place {
                            sleep(Duration::from_millis(stays)).await;
                            gate.give_back();
                        }
                    }));
                }
                for (after, number) in numbers {
                    sleep(Duration::from_millis(after)).await;
                    gate.set_places(number);
                }
                for task in tasks {
                    task.await.unwrap();
                }
                assert_eq!((gate.taken(), gate.waiting().0), (0, 0));
                assert!(gate.take());
            });
        }
    }
}
