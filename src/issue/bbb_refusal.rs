//! Why a call of BBB's API is refused, in the server's words where it has some.
//!
//! The answer's form, `FAILED` XML with status 200, is `crate::reply`'s.
//!
//! Source: plugnmeet-server 2.4.0, its BBB controller.

use hyper::StatusCode;

use crate::reply::Failure;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BbbRefusal {
    /// The path ends in a slash, so that the checksum covers no method.
    #[error("the path does not end in a method")]
    NoMethod,
    /// The key in the path is not the server's API key.
    #[error("invalid api key")]
    WrongKey,
    /// The request's method is neither GET nor POST.
    #[error("unsupported http method")]
    Method,
    /// The request has a body where the server reads none.
    #[error("only create takes a body that is no form, and it must be XML")]
    Body,
    /// The target has a second `?`. What follows it is not signed.
    #[error("the request has two question marks")]
    TwoQueries,
    /// The request has a form and also a query. The query is not signed.
    #[error("a form can't have a query beside it")]
    QueryBesideForm,
    /// There is no `checksum`.
    #[error("the checksum is missing")]
    NoChecksum,
    /// There is more than one `checksum`, in any spelling.
    #[error("there is more than one checksum")]
    TwoChecksums,
    /// The checksum is not the last parameter, or `checksum=` is the end of another name.
    #[error("the checksum must be the last parameter")]
    OddChecksum,
    /// The checksum is not that of this call.
    #[error("the checksum is not that of this call")]
    WrongChecksum,
    /// A parameter that may occur once occurs more often.
    #[error("a parameter is there twice")]
    Repeated,
}

impl BbbRefusal {
    /// Can the caller be guessing a key or a checksum? Guesses count as failures.
    pub(super) fn is_guess(self) -> bool {
        matches!(self, Self::WrongKey | Self::WrongChecksum)
    }
}

impl From<BbbRefusal> for Failure {
    fn from(refusal: BbbRefusal) -> Self {
        // The server's own keys, and its words where it has some: clients tell a wrong secret from a failed call by them.
        // What is wrong in particular is in the record of the request.
        let (code, message) = match refusal {
            BbbRefusal::WrongKey => ("apiKeyError", refusal.to_string()),
            BbbRefusal::Method => ("error", refusal.to_string()),
            BbbRefusal::NoMethod
            | BbbRefusal::NoChecksum
            | BbbRefusal::TwoChecksums
            | BbbRefusal::OddChecksum
            | BbbRefusal::WrongChecksum => ("checksumError", "Checksums do not match".to_owned()),
            BbbRefusal::Body
            | BbbRefusal::TwoQueries
            | BbbRefusal::QueryBesideForm
            | BbbRefusal::Repeated => ("parsingError", refusal.to_string()),
        };
        Self::new(StatusCode::BAD_REQUEST, code, message).caused_by(refusal)
    }
}
