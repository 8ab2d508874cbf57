//! Why a session is not handed off, and what the client sees of it.

use std::fmt;

use hyper::{
    StatusCode,
    header::{self, HeaderValue},
};

use crate::{
    design::Breach,
    limits::OverLimit,
    reply::{Failure, Topic},
    token::BadToken,
};

/// Why a session is not handed off.
#[derive(Debug)]
pub enum HandoffError {
    /// The client's page is read and not written to.
    Method,
    /// More than one `access_token`.
    TwoTokens,
    /// More than one `custom_design`.
    TwoDesigns,
    /// A browser that is guessing must not use the link up.
    Prefetch,
    /// There is no token, neither in the link nor in a cookie.
    NoSession,
    /// The token is not believed.
    BadToken(BadToken),
    /// Too many bad tokens from one household.
    OverLimit(OverLimit),
    /// The design breaks rules.
    Design(Vec<Breach>),
    /// The browser would drop the cookie without a word.
    CookieTooLarge,
    /// The kept parameters have bytes that no header may have.
    Location,
}

impl From<OverLimit> for HandoffError {
    fn from(over: OverLimit) -> Self {
        Self::OverLimit(over)
    }
}

impl fmt::Display for HandoffError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method => f.write_str("only GET and HEAD are answered here"),
            Self::TwoTokens => f.write_str("the link has more than one access_token"),
            Self::TwoDesigns => f.write_str("the link has more than one custom_design"),
            Self::Prefetch => f.write_str("a join link is not opened ahead of time"),
            Self::NoSession => f.write_str(
                "meetings are entered by a link that was made for you, and this address alone leads into none",
            ),
            Self::BadToken(bad) => bad.fmt(f),
            Self::OverLimit(over) => over.fmt(f),
            Self::Design(breaches) => {
                f.write_str("custom_design is refused: ")?;
                for (at, breach) in breaches.iter().enumerate() {
                    let separator = if at == 0 { "" } else { "; " };
                    write!(f, "{separator}{breach}")?;
                }
                Ok(())
            }
            Self::CookieTooLarge => f.write_str("the token is too large for a cookie"),
            Self::Location => f.write_str("the link has bytes that can't be passed on"),
        }
    }
}

impl std::error::Error for HandoffError {}

impl From<HandoffError> for Failure {
    fn from(error: HandoffError) -> Self {
        let (status, code) = match &error {
            HandoffError::Method => (StatusCode::METHOD_NOT_ALLOWED, "method"),
            HandoffError::TwoTokens => (StatusCode::BAD_REQUEST, "two_tokens"),
            HandoffError::TwoDesigns => (StatusCode::BAD_REQUEST, "two_designs"),
            HandoffError::Prefetch => (StatusCode::FORBIDDEN, "prefetch"),
            // Nothing is wrong with whoever types the address of the site.
            HandoffError::NoSession => (StatusCode::OK, "no_session"),
            HandoffError::BadToken(bad) => (StatusCode::UNAUTHORIZED, bad.code()),
            HandoffError::OverLimit(over) => return Self::from(*over),
            HandoffError::Design(_) => (StatusCode::BAD_REQUEST, "bad_design"),
            HandoffError::CookieTooLarge => (StatusCode::BAD_REQUEST, "cookie_too_large"),
            HandoffError::Location => (StatusCode::BAD_REQUEST, "bad_target"),
        };
        let failure = Self::new(status, code, error.to_string());
        match error {
            HandoffError::Method => failure.header(header::ALLOW, HeaderValue::from_static("GET, HEAD")),
            HandoffError::NoSession => failure.about(Topic::NoSession),
            HandoffError::BadToken(bad) => told_apart(failure, bad),
            HandoffError::Design(_) => failure.about(Topic::BadDesign),
            HandoffError::TwoTokens
            | HandoffError::TwoDesigns
            | HandoffError::Prefetch
            | HandoffError::OverLimit(_)
            | HandoffError::CookieTooLarge
            | HandoffError::Location => failure,
        }
    }
}

/// RFC 9110 section 15.5.2 asks for a challenge with every 401; RFC 6750 section 3 has the one for tokens.
fn told_apart(failure: Failure, bad: BadToken) -> Failure {
    let failure = failure.header(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer error=\"invalid_token\""),
    );
    failure.about(match bad {
        BadToken::Expired => Topic::Expired,
        BadToken::NotYetValid => Topic::NotYetValid,
        BadToken::Malformed | BadToken::NotGenuine | BadToken::NotAJoinToken => Topic::NotGenuine,
    })
}
