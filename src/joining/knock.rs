//! A request for verifyToken that is on its way, and the place that it has.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{Joining, Shared, grants::After, line::Person};
use crate::observe::Counted;

/// For the server to answer, and then for the person's WebSocket to be there. A page that was closed meanwhile never comes.
const COMES_WITHIN: Duration = Duration::from_secs(10);

/// Somebody who was let in as far as verifyToken. Dropped without an answer, it gives the place back.
pub struct Knock {
    joining: Joining,
    person: Person,
    id: u64,
    is_settled: bool,
    _counted: Counted,
}

impl Knock {
    /// With a place that was just taken, unless the person has one by now.
    pub(super) fn with_place(joining: &Joining, person: Person) -> Self {
        let shared = &joining.0;
        let (id, is_new) = shared.grants.grant(&person);
        if is_new {
            expires(shared, person.clone(), id, false);
        } else {
            shared.gate.give_back();
        }
        Self::of(joining, person, id)
    }

    /// A knock of a person who has a place.
    pub(super) fn of(joining: &Joining, person: Person, id: u64) -> Self {
        Self {
            joining: joining.clone(),
            person,
            id,
            is_settled: false,
            _counted: joining.0.metrics.asking(),
        }
    }

    /// The server has let the person in: the WebSocket comes next.
    pub fn let_in(mut self) {
        self.is_settled = true;
        let shared = &self.joining.0;
        if shared.grants.expect(&self.person, self.id) {
            expires(shared, self.person.clone(), self.id, true);
        }
    }
}

impl Drop for Knock {
    fn drop(&mut self) {
        let shared = &self.joining.0;
        if !self.is_settled && shared.grants.failed(&self.person, self.id) == After::GiveBack {
            shared.gate.give_back();
        }
    }
}

/// Gives the place back in the end, whatever becomes of the person.
fn expires(shared: &Arc<Shared>, person: Person, id: u64, was_expected: bool) {
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        sleep(COMES_WITHIN).await;
        if shared.grants.expire(&person, id, was_expected) == After::GiveBack {
            shared.gate.give_back();
        }
    });
}
