//! A WebSocket that is on its way in, until NATS has answered it.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{Joining, line::Person};
use crate::observe::Counted;

/// NATS speaks first, and at once.
const NATS_GREETS: Duration = Duration::from_secs(1);

/// For a client to say anything; and for anybody to, where nothing looks like NATS.
const SAYS_SOMETHING: Duration = Duration::from_secs(5);

/// For NATS to answer, since the upgrade; it gives up after half of it.
const ANSWERS: Duration = Duration::from_secs(10);

/// A refusal that comes later is one for want of an answer.
const GAVE_UP: Duration = Duration::from_millis(1500);

/// One WebSocket. Dropped, its place is free.
pub struct Arrival {
    joining: Joining,
    state: Mutex<State>,
    is_over: AtomicBool,
    counted: Mutex<Option<Counted>>,
}

#[derive(Debug)]
struct State {
    place: Held,
    /// It stood in line for its place.
    has_waited: bool,
    whose: Whose,
    is_greeted: bool,
    /// Since when an answer is due.
    asked: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// Nobody has shown a token that is good.
    Unproven,
    /// Somebody who has just been let in at verifyToken, or might have been.
    Newcomer,
    /// Somebody who has been in before, as nobody has asked to be let in just now.
    ComesBack,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    None,
    Own,
    /// It was taken for somebody's who is expected.
    Expected,
}

impl Arrival {
    pub(super) fn without_place(joining: &Joining) -> Self {
        Self::holding(joining, Held::None, false)
    }

    pub(super) fn expected(joining: &Joining) -> Self {
        Self::holding(joining, Held::Expected, false)
    }

    pub(super) fn with_place(joining: &Joining, has_waited: bool) -> Self {
        Self::holding(joining, Held::Own, has_waited)
    }

    fn holding(joining: &Joining, place: Held, has_waited: bool) -> Self {
        Self {
            joining: joining.clone(),
            state: Mutex::new(State {
                place,
                has_waited,
                whose: Whose::Unproven,
                is_greeted: false,
                asked: None,
            }),
            is_over: AtomicBool::new(false),
            counted: Mutex::new(Some(joining.0.metrics.arriving())),
        }
    }

    /// The upstream has greeted it as NATS does.
    pub fn is_greeted(&self) {
        self.state().is_greeted = true;
        self.joining.0.is_nats();
    }

    /// The upstream has said something that NATS would not say first.
    pub fn is_not_nats(&self) {
        self.joining.0.is_other();
    }

    /// The client has said something.
    pub fn client_said(&self) {
        self.state().asked.get_or_insert_with(Instant::now);
    }

    /// Has the client said anything?
    pub fn is_asked(&self) -> bool {
        self.state().asked.is_some()
    }

    /// The client has said all, and this person's token is good.
    pub fn is_of(&self, person: &Person) {
        let shared = &self.joining.0;
        let mut state = self.state();
        if self.is_over.load(SeqCst) || state.whose != Whose::Unproven {
            return;
        }
        let is_expected = shared.grants.claim(person);
        state.whose = if is_expected || !shared.is_paced.load(SeqCst) {
            Whose::Newcomer
        } else {
            Whose::ComesBack
        };
        shared.at_nats.fetch_add(1, SeqCst);
        state.asked = Some(Instant::now());
        match (state.place, is_expected) {
            (Held::Own | Held::None, false) => {}
            (Held::Expected, true) => state.place = Held::Own,
            // Another one is expected still, whose place this is not.
            (Held::Expected, false) => {
                shared.grants.was_another();
                shared.gate.take_anyway();
                state.place = Held::Own;
            }
            // It has found another place; the one that was kept for it is free.
            (Held::Own, true) => {
                shared.grants.one_less();
                shared.gate.give_back();
            }
            (Held::None, true) => {
                shared.grants.one_less();
                state.place = Held::Own;
            }
        }
    }

    pub fn answered(&self) {
        let asked = self.state().asked;
        if let Some(asked) = asked
            && !self.is_over.load(SeqCst)
        {
            self.joining.0.answered(asked.elapsed());
        }
        self.over();
    }

    /// NATS has refused it. Only one whose token is good says anything about NATS. Returns whether the client may hear of it.
    ///
    /// Who comes back, with a token that is good, and is refused late, has had no answer from plugnmeet-server. A client that is
    /// told twice that it is refused is out for good, so it is to take this for a connection that was lost, and comes again
    /// (docs/plugnmeet.md section 5).
    pub fn refused(&self) -> bool {
        let whose = self.state().whose;
        let mut may_hear = true;
        if !self.is_over.load(SeqCst) && whose != Whose::Unproven {
            self.joining.0.refused();
            may_hear = !(self.lingers() && whose == Whose::ComesBack);
        }
        self.over();
        may_hear
    }

    /// NATS did not wait for the server's answer any longer, and the server works on it still: the place stays taken for as
    /// long again, or those who come next are refused as well. False: NATS has refused it at once.
    fn lingers(&self) -> bool {
        let mut state = self.state();
        let waited = state.asked.map(|asked| asked.elapsed());
        let Some(waited) = waited.filter(|waited| *waited >= GAVE_UP) else {
            return false;
        };
        self.joining.0.unanswered.add(1);
        if state.place == Held::Own {
            state.place = Held::None;
            let joining = self.joining.clone();
            tokio::spawn(async move {
                sleep(waited.min(ANSWERS)).await;
                joining.0.gate.give_back();
            });
        }
        true
    }

    /// It is not on its way in any more: its place is free.
    pub fn over(&self) {
        if self.is_over.swap(true, SeqCst) {
            return;
        }
        drop(self.counted.lock().unwrap_or_else(PoisonError::into_inner).take());
        let shared = &self.joining.0;
        let mut state = self.state();
        let is_proven = state.whose != Whose::Unproven;
        if is_proven {
            shared.at_nats.fetch_sub(1, SeqCst);
        }
        if state.has_waited {
            shared.gate.redial_was(is_proven);
        }
        match state.place {
            Held::None => {}
            Held::Own => shared.gate.give_back(),
            // Whoever it was taken for comes still.
            Held::Expected => shared.grants.was_another(),
        }
        state.place = Held::None;
    }

    /// Looks at the times, from the upgrade on: what never shows is over in the end.
    pub async fn watch(&self) {
        sleep(NATS_GREETS).await;
        if !self.state().is_greeted {
            self.is_not_nats();
        }
        sleep(SAYS_SOMETHING.saturating_sub(NATS_GREETS)).await;
        if self.is_silent() {
            self.over();
            return;
        }
        sleep(ANSWERS.saturating_sub(SAYS_SOMETHING)).await;
        // It counts as an answer that comes late.
        self.answered();
    }

    /// Has one of both sides said nothing yet?
    fn is_silent(&self) -> bool {
        let state = self.state();
        !state.is_greeted || state.asked.is_none()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.over();
    }
}
