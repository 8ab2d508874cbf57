//! Why a call of BBB's API is refused, in the server's words where it has some.
//!
//! The answer's form, `FAILED` XML with status 200, is `crate::reply`'s.
//!
//! Source: plugnmeet-server 2.4.0, its BBB controller.

use std::fmt;

use hyper::StatusCode;

use crate::reply::Failure;

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BbbRefusal {
    /// The path ends in a slash, so that the checksum covers no method.
    NoMethod,
    /// The key in the path is not the server's API key.
    WrongKey,
    /// The request's method is neither GET nor POST.
    Method,
    /// The request has a body where the server reads none.
    Body,
    /// The target has a second `?`. What follows it is not signed.
    TwoQueries,
    /// The request has a form and also a query. The query is not signed.
    QueryBesideForm,
    /// There is no `checksum`.
    NoChecksum,
    /// There is more than one `checksum`, in any spelling.
    TwoChecksums,
    /// The checksum is not the last parameter, or `checksum=` is the end of another name.
    OddChecksum,
    /// The checksum is not that of this call.
    WrongChecksum,
    /// A parameter that may occur once occurs more often.
    Repeated,
}

impl BbbRefusal {
    /// Can the caller be guessing a key or a checksum? Guesses count as failures.
    pub(super) fn is_guess(self) -> bool {
        matches!(self, Self::WrongKey | Self::WrongChecksum)
    }
}

impl fmt::Display for BbbRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMethod => "the path does not end in a method",
            Self::WrongKey => "invalid api key",
            Self::Method => "unsupported http method",
            Self::Body => "only create takes a body that is no form, and it must be XML",
            Self::TwoQueries => "the request has two question marks",
            Self::QueryBesideForm => "a form can't have a query beside it",
            Self::NoChecksum => "the checksum is missing",
            Self::TwoChecksums => "there is more than one checksum",
            Self::OddChecksum => "the checksum must be the last parameter",
            Self::WrongChecksum => "the checksum is not that of this call",
            Self::Repeated => "a parameter is there twice",
        })
    }
}

impl std::error::Error for BbbRefusal {}

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
