//! The errors of token issuing, and the answer that the caller gets for each.

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
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The API key, the signature or the form of the body is refused.
    #[error("the request is not authenticated")]
    Auth(AuthRefusal),
    /// The signature does not fit.
    #[error("the request is not authenticated")]
    Guess(#[source] Guess),
    /// A key or a signature is refused, and so often that the caller is told to wait.
    #[error("{0}")]
    GuessOverLimit(OverLimit, #[source] Guess),
    /// A call of BBB's API is refused, such as for what its checksum does not cover.
    #[error(transparent)]
    Bbb(#[from] BbbRefusal),
    /// There is more than one `Authorization`.
    #[error("there is more than one token")]
    TwoTokens,
    /// The body asks for a token for another user than the one whose token the request carries.
    #[error("a token for another user can't be asked for")]
    AnotherUser,
    /// The body does not say clearly for which user it asks.
    #[error("the body can't be read, or in more than one way")]
    Unreadable,
    /// The body is larger than `sizes.token_body`.
    #[error("the body is too large")]
    BodyTooLarge,
    /// The body did not arrive in time.
    #[error("the body came too slowly")]
    BodyTooSlow,
    /// The client left before the body was complete.
    #[error("the body broke off")]
    BodyBroken,
    /// The request is signed, but is no POST: the server has no such route.
    #[error("not found")]
    NotPost,
    /// The server would not accept the body.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The body has to be signed anew, and is no JSON object.
    #[error("the body is no JSON object")]
    NotAnObject,
    /// The caller may not use this room.
    #[error("this API key may not use this room")]
    RoomNotAllowed,
    /// The room's id is not in the form that the server accepts.
    #[error("room_id should only contain ASCII letters (a-z A-Z), digits (0-9) or -_")]
    RoomIdFormat,
    /// The call can't be allowed to a caller that may only use certain rooms.
    #[error(transparent)]
    Held(#[from] Held),
    /// The caller may not issue tokens for moderators.
    #[error("this API key may not issue admin tokens")]
    AdminNotAllowed,
    /// The caller may not issue tokens for hidden participants or bots.
    #[error("this API key may not issue hidden tokens, nor a bot's")]
    BotNotAllowed,
    /// A limit has been reached.
    #[error(transparent)]
    OverLimit(#[from] OverLimit),
    /// An admin has removed the user from the meeting and blocked the user in it.
    #[error("this user is blocked to join this session")]
    Blocked,
    /// There is no server to which the request could be forwarded.
    #[error("nothing is served at this path")]
    NoRoute,
    /// The cryptography library could not sign the token.
    #[error("the token can't be signed")]
    Signing(#[from] jsonwebtoken::errors::Error),
    /// The server's answer broke off, or did not come.
    #[error("the meeting server's answer broke off")]
    AnswerBroken(#[source] BoxError),
}

/// A refused key or signature, and the mistake in the signature as far as it is known. Only the log shows the mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", told(*.refusal, *.misfit))]
pub struct Guess {
    pub refusal: AuthRefusal,
    pub misfit: Option<Misfit>,
}

fn told(refusal: AuthRefusal, misfit: Option<Misfit>) -> String {
    match misfit {
        Some(misfit) => misfit.to_string(),
        None if refusal == AuthRefusal::WrongApiKey => "API-KEY is none of this gateway's".to_owned(),
        None => "HASH-SIGNATURE does not fit the body".to_owned(),
    }
}

/// Why a call is not allowed to a caller with a key of its own, although it names no room of another caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Held {
    /// The endpoint is for recorders alone.
    #[error("this endpoint is for recorders, under the server's own API key")]
    Recorder,
    /// The endpoint may show or change every room.
    #[error("this API key is held to its rooms, and what this endpoint reaches can't be held to them")]
    Closed,
    /// The endpoint is for uploads, and the body is not multipart, so its room is not signed.
    #[error("an upload has to be multipart/form-data, with a signed Room-Id")]
    NoUpload,
    /// The body can't be read, or can be read in two ways.
    #[error("this API key is held to its rooms, and the body can't be read: {0}")]
    Unreadable(JsonError),
    /// The body names no room and no thing that belongs to one.
    #[error("this API key is held to its rooms, and the body names none")]
    NoRoom,
    /// The list names no rooms, which means all rooms.
    #[error("this API key is held to its rooms: name them in room_ids, as none means all rooms")]
    AllRooms,
    /// The body names more things than may be asked for at once.
    #[error("this API key is held to its rooms: 50 recordings at most in one merge")]
    TooMany,
    /// The server did not say to which room the thing belongs.
    #[error("this API key is held to its rooms, and the meeting server did not say whose room this is")]
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

impl From<AuthRefusal> for IssueError {
    fn from(refusal: AuthRefusal) -> Self {
        Self::Auth(refusal)
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

impl From<IssueError> for Failure {
    fn from(error: IssueError) -> Self {
        error.into_failure()
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
            Self::GuessOverLimit(over, guess) => {
                let failure = Failure::from(*over).caused_by(*guess);
                // Whoever is still looking for the mistake has the right key, which every token shows, and learns nothing from
                // it: a signature that fits is never over this limit.
                return if guess.refusal == AuthRefusal::WrongSignature {
                    failure.saying(format!("{over}; {}", told(guess.refusal, None)))
                } else {
                    failure
                };
            }
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
