//! The reasons for which a request is not forwarded, and the answer to each.

use hyper::Response;

use super::{IssueError, answer::Whole, bbb_refusal::BbbRefusal, envelope::AuthRefusal, error::Held};
use crate::reply::{Body, Failure};

/// Why a request is not forwarded.
pub(super) enum Stop {
    /// The gateway refuses the request.
    Refused(IssueError),
    /// The request could not be forwarded.
    Failed(Failure),
    /// The server was asked about the request, and its answer answers the request too.
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
