//! The answer to a question that a page of ours asks before a session is ended or replaced: what its form carries.
//!
//! Sealed for one question about one thing, so that a form of another time, another session or another link answers
//! nothing, and a page that only sends people somewhere can't answer for them.

use serde::{Deserialize, Serialize};

use super::Sessions;

/// The form's parameter.
pub(super) const CONFIRM: &str = "pnm_confirm";

/// Seconds to make up one's mind.
pub(super) const WAITS: i64 = 300;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Is this session to end?
    Leave,
    /// Is the session of this token to take the other's place?
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
    /// For the form of a question about this session or token. None only if there are no random bytes.
    pub(super) fn confirmation(&self, question: Question, about: &str) -> Option<String> {
        let sealed = Sealed {
            about: about.to_owned(),
            until: self.clock.unix().saturating_add(WAITS),
        };
        self.keys
            .seal(question.purpose(), &serde_json::to_vec(&sealed).ok()?)
    }

    /// Was this very question answered, a moment ago?
    pub(super) fn is_confirmed(&self, question: Question, about: &str, given: Option<&str>) -> bool {
        let sealed = given.and_then(|given| self.keys.open(question.purpose(), given));
        sealed
            .and_then(|sealed| serde_json::from_slice::<Sealed>(&sealed).ok())
            .is_some_and(|sealed| sealed.about == about && self.clock.unix() <= sealed.until)
    }
}
