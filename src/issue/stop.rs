//! Why a request goes no further than here, and what its caller is told.

use hyper::Response;

use super::{IssueError, answer::Whole, bbb_refusal::BbbRefusal, envelope::AuthRefusal, error::Held};
use crate::reply::{Body, Failure};

/// Why a request goes no further.
pub(super) enum Stop {
    /// It is refused here.
    Refused(IssueError),
    /// It could not be passed on.
    Failed(Failure),
    /// The server has said so already, when it was asked about the request.
    Answered(Whole),
}

impl Stop {
    pub(super) fn into_answer(self) -> Result<Response<Body>, Failure> {
        match self {
            Self::Refused(error) => error.into_answer(),
            Self::Failed(failure) => Err(failure),
            Self::Answered(answer) => Ok(answer.into_response()),
        }
    }
}

impl From<IssueError> for Stop {
    fn from(error: IssueError) -> Self {
        Self::Refused(error)
    }
}

impl From<Held> for Stop {
    fn from(held: Held) -> Self {
        Self::Refused(held.into())
    }
}

impl From<AuthRefusal> for Stop {
    fn from(refusal: AuthRefusal) -> Self {
        Self::Refused(refusal.into())
    }
}

impl From<BbbRefusal> for Stop {
    fn from(refusal: BbbRefusal) -> Self {
        Self::Refused(refusal.into())
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}
