//! The sealed answer in the form of a page that asks before a session is ended or replaced.
//!
//! It is sealed for one question about one session or link, and for a short time. So an older form, or a form for
//! another session, answers nothing, and a page of another site can't answer in the person's name.

use serde::{Deserialize, Serialize};

use super::Sessions;

/// The parameter of the form that carries the sealed answer.
pub(super) const CONFIRM: &str = "pnm_confirm";

/// The seconds within which the person must answer.
pub(super) const WAITS: i64 = 300;

/// A question that a page of the gateway's asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Shall this session end?
    Leave,
    /// Shall the session of this token replace the running one?
    Switch,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    about: String,
    until: i64,
}

impl Question {
    fn purpose(self) -> &'static str {
        match self {
            Self::Leave => "leave",
            Self::Switch => "switch",
        }
    }
}

impl Sessions {
    /// Seals the answer for the form of a question. `about` is a session's tag or a token. None only if there are no
    /// random bytes.
    pub(super) fn confirmation(&self, question: Question, about: &str) -> Option<String> {
        let sealed = Sealed {
            about: about.to_owned(),
            until: self.clock.unix().saturating_add(WAITS),
        };
        self.keys
            .seal(question.purpose(), &serde_json::to_vec(&sealed).ok()?)
    }

    /// Is `given` the answer to this question about this thing, at most `WAITS` seconds old?
    pub(super) fn is_confirmed(&self, question: Question, about: &str, given: Option<&str>) -> bool {
        let sealed = given.and_then(|given| self.keys.open(question.purpose(), given));
        sealed
            .and_then(|sealed| serde_json::from_slice::<Sealed>(&sealed).ok())
            .is_some_and(|sealed| sealed.about == about && self.clock.unix() <= sealed.until)
    }
}
