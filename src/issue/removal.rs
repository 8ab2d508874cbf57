//! Watches `/api/removeParticipant`: a removal that the server confirms holds in the gateway too.
//!
//! The server can't revoke a token, and checks its list of blocked users at two of its endpoints alone. So the gateway
//! renews no token of a participant who was removed, blocked or not, and a blocked user gets no token at any endpoint
//! until that meeting has ended.
//!
//! Each process remembers the removals that it saw. Other replicas do not learn of them.
//!
//! Source: docs/plugnmeet.md section 4.

use bytes::Bytes;
use hyper::{Method, Request, Response, header};

use super::{
    Issue, IssueError,
    answer::Whole,
    envelope::{self, AuthRefusal},
    joins::{authorization, is_form},
    meeting::Meeting,
    protobuf::Message,
};
use crate::{
    blocks::Person,
    client_body::{ClientRequest, WholeRequest},
    context::RequestContext,
    query::Query,
    reply::{Body, Failure},
    token::Unverified,
};

/// Numbers of fields of `RemoveParticipantReq`.
const USER_ID: u64 = 3;
const BLOCK_USER: u64 = 5;

/// The number of the field `CommonResponse.status`.
const STATUS: u64 = 1;

/// A participant whose removal is asked for.
struct Removal {
    room_id: String,
    user_id: String,
    block: bool,
}

impl Issue {
    /// Handles the request of an admin to remove a participant from the room.
    pub(super) async fn remove_participant(
        &self,
        request: ClientRequest,
        context: &RequestContext,
    ) -> Result<Response<Body>, Failure> {
        if request.method() != Method::POST {
            return self.stream(request, context).await;
        }
        let request = self.readable(request).await?;
        let removal = self.removal(&request);
        let answer = Whole::of(self.send(request, context).await?).await?;
        if let Some(removal) = removal
            && answer.is_success()
            && Message::read(answer.body()).is_some_and(|answer| answer.flag(STATUS))
        {
            self.removed(&removal, context).await;
        }
        Ok(answer.into_response())
    }

    /// Whole, and with one way to read it: the server would decode a coding, and find the token in a form.
    async fn readable(&self, request: ClientRequest) -> Result<WholeRequest, IssueError> {
        envelope::check_media(request.headers(), false)?;
        if request.headers().get(header::CONTENT_TYPE).is_some_and(is_form) {
            return Err(AuthRefusal::MediaType.into());
        }
        self.whole(request).await
    }

    /// The participant to remove. The room is the token's, because the server refuses another room in the body.
    fn removal(&self, request: &Request<Bytes>) -> Option<Removal> {
        let query = Query(request.uri().query().unwrap_or_default());
        let token = match authorization(request.headers()).ok()? {
            Some(token) => token.into(),
            None => query.only("Authorization").ok()??,
        };
        let admin = self.keys.participant(Unverified(&token), self.clock.unix())?;
        let message = Message::read(request.body())?;
        Some(Removal {
            room_id: admin.room_id,
            user_id: message.text(USER_ID)?.to_owned(),
            block: message.flag(BLOCK_USER),
        })
    }

    async fn removed(&self, removal: &Removal, context: &RequestContext) {
        let tag = self.keys.tag(&removal.room_id, &removal.user_id);
        self.memory.removed(&tag, self.clock.unix());
        if removal.block {
            let sid = match self.meeting(&removal.room_id, context).await {
                Meeting::Running { sid, .. } => Some(sid),
                Meeting::Ended | Meeting::Unknown => None,
            };
            self.state
                .blocks
                .block(&removal.room_id, &removal.user_id, sid.as_deref());
        }
    }

    /// May this person get a token? Asks the server whether the meeting still runs in which a block was put.
    pub(super) async fn not_blocked(
        &self,
        person: &Person,
        context: &RequestContext,
    ) -> Result<(), IssueError> {
        let Some(block) = self.state.blocks.of(person) else {
            return Ok(());
        };
        let over = match self.meeting(&block.room_id, context).await {
            Meeting::Running { sid, .. } => block.sid.as_ref().is_some_and(|blocked_in| *blocked_in != sid),
            Meeting::Ended => true,
            Meeting::Unknown => false,
        };
        if over {
            self.state.blocks.ended(&block);
            return Ok(());
        }
        Err(IssueError::Blocked)
    }
}
