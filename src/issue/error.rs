//! The errors of token issuing, and the answer that the caller gets for each.

use std::fmt;

use hyper::{
    Response, StatusCode,
    header::{self, HeaderValue},
};

use super::{
    answer,
    bbb_refusal::BbbRefusal,
    envelope::AuthRefusal,
    misfit::Misfit,
    request::{JsonError, RequestError},
};
use crate::{
    client_body::Unread,
    limits::OverLimit,
    reply::{Body, BoxError, Failure, ServerCode},
};

/// Why no token is issued, or a request under `/auth` is not forwarded.
#[derive(Debug)]
pub enum IssueError {
    /// The API key, the signature or the form of the body is refused.
    Auth(AuthRefusal),
    /// The signature does not fit.
    Guess(Guess),
    /// A key or a signature is refused, and so often that the caller is told to wait instead of why.
    GuessOverLimit(OverLimit, Guess),
    /// A call of BBB's API is refused, such as for what its checksum does not cover.
    Bbb(BbbRefusal),
    /// There is more than one `Authorization`.
    TwoTokens,
    /// The body asks for a token for another user than the one whose token the request carries.
    AnotherUser,
    /// The body does not say clearly for which user it asks.
    Unreadable,
    /// The body is larger than `sizes.token_body`.
    BodyTooLarge,
    /// The body did not arrive in time.
    BodyTooSlow,
    /// The client left before the body was complete.
    BodyBroken,
    /// The request is signed, but is no POST: the server has no such route.
    NotPost,
    /// The server would not accept the body.
    Request(RequestError),
    /// The body has to be signed anew, and is no JSON object.
    NotAnObject,
    /// The caller may not use this room.
    RoomNotAllowed,
    /// The room's id is not in the form that the server accepts.
    RoomIdFormat,
    /// The call can't be allowed to a caller that may only use certain rooms.
    Held(Held),
    /// The caller may not issue tokens for moderators.
    AdminNotAllowed,
    /// The caller may not issue tokens for hidden participants or bots.
    BotNotAllowed,
    /// A limit has been reached.
    OverLimit(OverLimit),
    /// An admin has removed the user from the meeting and blocked the user in it.
    Blocked,
    /// There is no server to which the request could be forwarded.
    NoRoute,
    /// The cryptography library could not sign the token.
    Signing(jsonwebtoken::errors::Error),
    /// The server's answer broke off, or did not come.
    AnswerBroken(BoxError),
}

/// A refused key or signature, and the mistake in the signature as far as it is known. Only the log shows the mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guess {
    pub refusal: AuthRefusal,
    pub misfit: Option<Misfit>,
}

impl fmt::Display for Guess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.misfit {
            Some(misfit) => misfit.fmt(f),
            None if self.refusal == AuthRefusal::WrongApiKey => {
                f.write_str("API-KEY is none of this gateway's")
            }
            None => f.write_str("HASH-SIGNATURE does not fit the body"),
        }
    }
}

impl std::error::Error for Guess {}

/// Why a call is not allowed to a caller with a key of its own, although it names no room of another caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The endpoint is for recorders alone.
    Recorder,
    /// The endpoint may show or change every room.
    Closed,
    /// The endpoint is for uploads, and the body is not multipart, so its room is not signed.
    NoUpload,
    /// The body can't be read, or can be read in two ways.
    Unreadable(JsonError),
    /// The body names no room and no thing that belongs to one.
    NoRoom,
    /// The list names no rooms, which means all rooms.
    AllRooms,
    /// The body names more things than may be asked for at once.
    TooMany,
    /// The server did not say to which room the thing belongs.
    Unsaid,
}

impl Held {
    fn code(self) -> &'static str {
        match self {
            Self::Recorder | Self::Closed | Self::NoUpload => "endpoint_not_allowed",
            Self::Unreadable(_) | Self::NoRoom | Self::AllRooms | Self::TooMany | Self::Unsaid => {
                "room_not_allowed"
            }
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recorder => f.write_str("this endpoint is for recorders, under the server's own API key"),
            Self::Closed => f.write_str(
                "this API key is held to its rooms, and what this endpoint reaches can't be held to them",
            ),
            Self::NoUpload => f.write_str("an upload has to be multipart/form-data, with a signed Room-Id"),
            Self::Unreadable(error) => {
                write!(
                    f,
                    "this API key is held to its rooms, and the body can't be read: {error}"
                )
            }
            Self::NoRoom => f.write_str("this API key is held to its rooms, and the body names none"),
            Self::AllRooms => f.write_str(
                "this API key is held to its rooms: name them in room_ids, as none means all rooms",
            ),
            Self::TooMany => {
                f.write_str("this API key is held to its rooms: 50 recordings at most in one merge")
            }
            Self::Unsaid => f.write_str(
                "this API key is held to its rooms, and the meeting server did not say whose room this is",
            ),
        }
    }
}

impl From<Held> for IssueError {
    fn from(held: Held) -> Self {
        Self::Held(held)
    }
}

impl From<AuthRefusal> for IssueError {
    fn from(refusal: AuthRefusal) -> Self {
        Self::Auth(refusal)
    }
}

impl From<BbbRefusal> for IssueError {
    fn from(refusal: BbbRefusal) -> Self {
        Self::Bbb(refusal)
    }
}

impl From<RequestError> for IssueError {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<Unread> for IssueError {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::TooLarge => Self::BodyTooLarge,
            Unread::TooSlow => Self::BodyTooSlow,
            Unread::Broken => Self::BodyBroken,
        }
    }
}

impl From<OverLimit> for IssueError {
    fn from(over: OverLimit) -> Self {
        Self::OverLimit(over)
    }
}

impl From<jsonwebtoken::errors::Error> for IssueError {
    fn from(error: jsonwebtoken::errors::Error) -> Self {
        Self::Signing(error)
    }
}

impl From<IssueError> for Failure {
    fn from(error: IssueError) -> Self {
        error.into_failure()
    }
}

impl fmt::Display for IssueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auth(_) | Self::Guess(_) => f.write_str("the request is not authenticated"),
            Self::Bbb(refusal) => refusal.fmt(f),
            Self::TwoTokens => f.write_str("there is more than one token"),
            Self::AnotherUser => f.write_str("a token for another user can't be asked for"),
            Self::Unreadable => f.write_str("the body can't be read, or in more than one way"),
            Self::BodyTooLarge => f.write_str("the body is too large"),
            Self::BodyTooSlow => f.write_str("the body came too slowly"),
            Self::BodyBroken => f.write_str("the body broke off"),
            Self::NotPost => f.write_str("not found"),
            Self::Request(error) => error.fmt(f),
            Self::NotAnObject => f.write_str("the body is no JSON object"),
            Self::RoomNotAllowed => f.write_str("this API key may not use this room"),
            Self::RoomIdFormat => {
                f.write_str("room_id should only contain ASCII letters (a-z A-Z), digits (0-9) or -_")
            }
            Self::Held(held) => held.fmt(f),
            Self::AdminNotAllowed => f.write_str("this API key may not issue admin tokens"),
            Self::BotNotAllowed => f.write_str("this API key may not issue hidden tokens, nor a bot's"),
            Self::OverLimit(over) | Self::GuessOverLimit(over, _) => over.fmt(f),
            Self::Blocked => f.write_str("this user is blocked to join this session"),
            Self::NoRoute => f.write_str("nothing is served at this path"),
            Self::Signing(_) => f.write_str("the token can't be signed"),
            Self::AnswerBroken(_) => f.write_str("the meeting server's answer broke off"),
        }
    }
}

impl std::error::Error for IssueError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Signing(error) => Some(error),
            Self::AnswerBroken(error) => Some(error.as_ref()),
            Self::Guess(guess) | Self::GuessOverLimit(_, guess) => Some(guess),
            Self::Auth(_)
            | Self::Bbb(_)
            | Self::TwoTokens
            | Self::AnotherUser
            | Self::Unreadable
            | Self::BodyTooLarge
            | Self::BodyTooSlow
            | Self::BodyBroken
            | Self::NotPost
            | Self::Request(_)
            | Self::NotAnObject
            | Self::RoomNotAllowed
            | Self::RoomIdFormat
            | Self::Held(_)
            | Self::AdminNotAllowed
            | Self::BotNotAllowed
            | Self::OverLimit(_)
            | Self::Blocked
            | Self::NoRoute => None,
        }
    }
}

impl IssueError {
    /// The stable code of the error in the audit log and in metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Auth(refusal) | Self::Guess(Guess { refusal, .. }) => Failure::from(*refusal).code(),
            Self::Bbb(refusal) => Failure::from(*refusal).code(),
            Self::TwoTokens => "two_tokens",
            Self::AnotherUser => "another_user",
            Self::Unreadable => "unreadable",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTooSlow => "body_too_slow",
            Self::BodyBroken => "body_broken",
            Self::NotPost => "not_post",
            Self::Request(RequestError::Json(_)) => "bad_json",
            Self::Request(RequestError::Rules(_)) | Self::RoomIdFormat => "bad_field",
            Self::Request(RequestError::Reserved(_)) => "reserved",
            Self::Request(RequestError::UserId(_)) => "bad_user_id",
            Self::NotAnObject => "not_an_object",
            Self::RoomNotAllowed => "room_not_allowed",
            Self::Held(held) => held.code(),
            Self::AdminNotAllowed => "admin_not_allowed",
            Self::BotNotAllowed => "bot_not_allowed",
            Self::OverLimit(_) | Self::GuessOverLimit(..) => "over_limit",
            Self::Blocked => "user_blocked",
            Self::NoRoute => "no_route",
            Self::Signing(_) => "signing",
            Self::AnswerBroken(_) => "upstream_broken",
        }
    }

    /// What the audit log says beside the code: the mistake that the caller is not told.
    pub(super) fn detail(&self) -> Option<&Guess> {
        let (Self::Guess(guess) | Self::GuessOverLimit(_, guess)) = self else {
            return None;
        };
        Some(guess)
    }

    /// What the server answers as an application, and not as HTTP (docs/plugnmeet.md section 1): a refused body with
    /// status 200, a wrong method with its text 404. The rest is a failure.
    pub fn into_answer(self) -> Result<Response<Body>, Failure> {
        let code = match &self {
            Self::Request(error) if error.is_internal() => ServerCode::InternalServerError,
            Self::Request(_) | Self::RoomIdFormat | Self::NotAnObject => ServerCode::InvalidParameters,
            Self::RoomNotAllowed | Self::Held(_) | Self::AdminNotAllowed | Self::BotNotAllowed => {
                ServerCode::PermissionDenied
            }
            Self::NotPost => return Ok(no_such_route()),
            Self::Auth(_)
            | Self::Guess(_)
            | Self::GuessOverLimit(..)
            | Self::Bbb(_)
            | Self::TwoTokens
            | Self::AnotherUser
            | Self::Unreadable
            | Self::BodyTooLarge
            | Self::BodyTooSlow
            | Self::BodyBroken
            | Self::OverLimit(_)
            | Self::Blocked
            | Self::NoRoute
            | Self::Signing(_)
            | Self::AnswerBroken(_) => return Err(self.into_failure()),
        };
        Ok(answer::application(&self.to_string(), code))
    }

    /// The answer to this error.
    pub(super) fn into_failure(self) -> Failure {
        let status = match &self {
            Self::Auth(refusal) => return Failure::from(*refusal),
            Self::Bbb(refusal) => return Failure::from(*refusal),
            Self::Guess(guess) => return Failure::from(guess.refusal).caused_by(*guess),
            Self::OverLimit(over) => return Failure::from(*over),
            Self::GuessOverLimit(over, guess) => return Failure::from(*over).caused_by(*guess),
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TwoTokens
            | Self::Unreadable
            | Self::BodyBroken
            | Self::Request(_)
            | Self::RoomIdFormat
            | Self::NotAnObject => StatusCode::BAD_REQUEST,
            Self::NotPost | Self::NoRoute => StatusCode::NOT_FOUND,
            Self::AnotherUser
            | Self::Blocked
            | Self::RoomNotAllowed
            | Self::Held(_)
            | Self::AdminNotAllowed
            | Self::BotNotAllowed => StatusCode::FORBIDDEN,
            Self::Signing(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::AnswerBroken(_) => StatusCode::BAD_GATEWAY,
        };
        Failure::new(status, self.code(), self.to_string()).caused_by(self)
    }
}

/// The server's answer to a method for which it has no route.
fn no_such_route() -> Response<Body> {
    let mut response = Response::new(Body::from("not found"));
    *response.status_mut() = StatusCode::NOT_FOUND;
    let media = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    response
}
