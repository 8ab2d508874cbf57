//! Reads in the server's answer for whom it has issued a token, at the endpoints beside `getJoinToken`, and remembers
//! by which id that person is in the room.
//!
//! Each endpoint has the token at another place of its answer. The answer is passed to the client unchanged.
//!
//! Source: docs/plugnmeet.md section 5 (BBB, LTI, breakout rooms).

use hyper::{Response, header};
use serde::Deserialize;

use super::{Issue, SERVER, answer::Whole, protobuf::Message};
use crate::{
    blocks::Person,
    query::Query,
    reply::{Body, Failure},
    token::Participant,
};

/// The number of the field `BreakoutRoomRes.token`.
const BREAKOUT_TOKEN: u64 = 3;

/// An endpoint that issues tokens, beside `getJoinToken`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JoinEndpoint {
    Bbb,
    /// The join of a learning platform's page.
    Lti,
    /// The join of a participant in a breakout room.
    Breakout,
}

impl JoinEndpoint {
    /// The endpoint's name in the audit log.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bbb => "bbb",
            Self::Lti => "lti",
            Self::Breakout => "breakout",
        }
    }

    /// The token in this endpoint's answer.
    fn token(self, answer: &Whole) -> Option<String> {
        #[derive(Deserialize)]
        struct Json {
            token: Option<String>,
        }
        match self {
            Self::Bbb => in_location(answer).or_else(|| in_xml(answer)),
            Self::Lti => answer.json::<Json>()?.token,
            Self::Breakout => {
                let token = Message::read(answer.body())?.text(BREAKOUT_TOKEN)?;
                Some(token.to_owned())
            }
        }
    }
}

impl Issue {
    /// Remembers for whom the server has issued a token; `asked` is the person who asked for it.
    pub(super) async fn learned(
        &self,
        endpoint: JoinEndpoint,
        asked: Option<&Person>,
        response: Response<Body>,
    ) -> Result<Response<Body>, Failure> {
        let status = response.status();
        if !(status.is_success() || status.is_redirection()) {
            return Ok(response);
        }
        let answer = Whole::of(response).await?;
        let issued = endpoint
            .token(&answer)
            .as_deref()
            .and_then(Participant::of_issued);
        if let Some(issued) = issued {
            self.note(endpoint, asked, &issued);
        }
        Ok(answer.into_response())
    }

    fn note(&self, endpoint: JoinEndpoint, asked: Option<&Person>, issued: &Participant) {
        let (room_id, user_id) = (&*issued.room_id, &*issued.user_id);
        match (endpoint, asked) {
            (JoinEndpoint::Breakout, Some(Person::Participant { room_id: parent, .. })) => {
                self.state.blocks.is_breakout_of(room_id, parent);
            }
            (_, Some(asked)) => self.state.blocks.came_as(asked.clone(), room_id, user_id),
            (_, None) => {}
        }
        // No integrator with a key of its own is behind this token, but whoever is behind the one in the main room.
        let caller = match asked {
            Some(Person::Participant { room_id, user_id }) if endpoint == JoinEndpoint::Breakout => {
                self.memory.caller_of(&self.keys.tag(room_id, user_id))
            }
            _ => Some(SERVER.into()),
        };
        if let Some(caller) = caller {
            self.memory.issued(&self.keys.tag(room_id, user_id), &caller);
        }
    }
}

fn in_location(answer: &Whole) -> Option<String> {
    let location = answer.headers().get(header::LOCATION)?.to_str().ok()?;
    let (_, query) = location.split_once('?')?;
    let token = Query(query).only("access_token").ok()??;
    Some(token.into_owned())
}

/// The token in the XML of a join with `redirect=false`. A token has no byte that XML escapes.
fn in_xml(answer: &Whole) -> Option<String> {
    let text = std::str::from_utf8(answer.body()).ok()?;
    let (_, rest) = text.split_once("<session_token>")?;
    let (token, _) = rest.split_once("</session_token>")?;
    Some(token.to_owned())
}
