//! The errors of sessions, and the answer that the client gets for each.

use hyper::{
    StatusCode,
    header::{self, HeaderValue},
};

use crate::{
    design::Breach,
    issue::RenewalRefused,
    limits::OverLimit,
    reply::{Failure, Topic},
    token::BadToken,
};

/// Why a session is not handed off.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The method is none of these.
    #[error("only {0} are answered here")]
    Method(&'static str),
    /// The query has more than one `access_token`.
    #[error("the link has more than one access_token")]
    TwoTokens,
    /// The query has more than one `custom_design` or `design`.
    #[error("the link has more than one custom_design or design")]
    TwoDesigns,
    /// An image, a script or the like asks for what only a page visit may get.
    #[error("only going to this address does anything, and not a part of a page")]
    NotANavigation,
    /// The browser only prefetches the page. A prefetch must not use the link up.
    #[error("a join link is not opened ahead of time")]
    Prefetch,
    /// There is no token, neither in the link nor in a cookie of this session. These `Set-Cookie` fields clear what
    /// other cookies there were.
    #[error("meetings are entered by a link that was made for you, and this address alone leads into none")]
    NoSession(Vec<HeaderValue>),
    /// A script asks about a session, and there is none in the request's cookies.
    #[error("the request has no cookie of this session")]
    NotInSession,
    /// The participant has just left the session. These `Set-Cookie` fields end its cookies.
    #[error("the session has ended in this browser")]
    LoggedOut(Vec<HeaderValue>),
    /// The link was opened a moment ago, and the browser did not send its cookie back.
    #[error("the session's cookie did not come back from the browser")]
    CookiesBlocked,
    /// The token does not pass the checks.
    #[error(transparent)]
    BadToken(BadToken),
    /// The session has reached `session.max_age`.
    #[error("the token has expired, and its session has lasted as long as one may")]
    SessionOver,
    /// The token may not be renewed.
    #[error(transparent)]
    Renewal(#[from] RenewalRefused),
    /// The participant has left the session.
    #[error("the token has expired, and its session was left")]
    Left,
    /// Another site's page asks for what only the gateway's own page may.
    #[error("another site's page can't do this")]
    FromAnotherSite,
    /// The cryptography library could not sign the token.
    #[error("the token could not be signed")]
    NotSigned,
    /// Too many bad tokens from one address block (an IPv4 address or an IPv6 /64).
    #[error(transparent)]
    OverLimit(#[from] OverLimit),
    /// The design breaks these rules.
    #[error("the design is refused: {}", listed(.0))]
    Design(Vec<Breach>),
    /// The cookie is so large that the browser would drop it without a message.
    #[error("the token is too large for a cookie")]
    CookieTooLarge,
    /// The query has bytes that can't stand in a `Location` field.
    #[error("the link has bytes that can't be passed on")]
    Location,
}

fn listed(breaches: &[Breach]) -> String {
    let breaches: Vec<String> = breaches.iter().map(ToString::to_string).collect();
    breaches.join("; ")
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        let (status, code) = match &error {
            SessionError::Method(_) => (StatusCode::METHOD_NOT_ALLOWED, "method"),
            SessionError::TwoTokens => (StatusCode::BAD_REQUEST, "two_tokens"),
            SessionError::TwoDesigns => (StatusCode::BAD_REQUEST, "two_designs"),
            SessionError::NotANavigation => (StatusCode::FORBIDDEN, "not_a_navigation"),
            SessionError::Prefetch => (StatusCode::FORBIDDEN, "prefetch"),
            // Nothing is wrong with whoever types the address of the site.
            SessionError::NoSession(_) => (StatusCode::OK, "no_session"),
            SessionError::NotInSession => (StatusCode::UNAUTHORIZED, "no_session"),
            SessionError::LoggedOut(_) => (StatusCode::OK, "logged_out"),
            SessionError::CookiesBlocked => (StatusCode::OK, "cookies_blocked"),
            SessionError::SessionOver => (StatusCode::UNAUTHORIZED, "session_over"),
            SessionError::Renewal(refused) => return Self::from(*refused),
            SessionError::Left => (StatusCode::UNAUTHORIZED, "session_left"),
            SessionError::FromAnotherSite => (StatusCode::FORBIDDEN, "from_another_site"),
            SessionError::NotSigned => (StatusCode::INTERNAL_SERVER_ERROR, "not_signed"),
            SessionError::BadToken(bad) => (StatusCode::UNAUTHORIZED, bad.code()),
            SessionError::OverLimit(over) => return Self::from(*over),
            SessionError::Design(_) => (StatusCode::BAD_REQUEST, "bad_design"),
            SessionError::CookieTooLarge => (StatusCode::BAD_REQUEST, "cookie_too_large"),
            SessionError::Location => (StatusCode::BAD_REQUEST, "bad_target"),
        };
        let failure = Self::new(status, code, error.to_string());
        match error {
            SessionError::Method(allowed) => failure.header(header::ALLOW, HeaderValue::from_static(allowed)),
            SessionError::NoSession(cookies) => setting(failure, cookies).about(Topic::NoSession),
            SessionError::LoggedOut(cookies) => setting(failure, cookies).about(Topic::Left),
            SessionError::NotInSession => challenged(failure).about(Topic::NoSession),
            SessionError::CookiesBlocked => failure.about(Topic::CookiesBlocked),
            SessionError::BadToken(bad) => challenged(failure).about(match bad {
                BadToken::Expired => Topic::Expired,
                BadToken::NotYetValid => Topic::NotYetValid,
                BadToken::Malformed | BadToken::NotGenuine | BadToken::NotAJoinToken => Topic::NotGenuine,
            }),
            SessionError::SessionOver => challenged(failure).about(Topic::SessionOver),
            SessionError::Left => challenged(failure).about(Topic::Left),
            SessionError::Design(_) => failure.about(Topic::BadDesign),
            SessionError::TwoTokens
            | SessionError::TwoDesigns
            | SessionError::NotANavigation
            | SessionError::Prefetch
            | SessionError::FromAnotherSite
            | SessionError::NotSigned
            | SessionError::Renewal(_)
            | SessionError::OverLimit(_)
            | SessionError::CookieTooLarge
            | SessionError::Location => failure,
        }
    }
}

fn setting(failure: Failure, cookies: Vec<HeaderValue>) -> Failure {
    cookies.into_iter().fold(failure, |failure, cookie| {
        failure.header(header::SET_COOKIE, cookie)
    })
}

/// Adds the challenge that RFC 9110 section 15.5.2 requires with every 401, in the form of RFC 6750 section 3.
fn challenged(failure: Failure) -> Failure {
    failure.header(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer error=\"invalid_token\""),
    )
}
