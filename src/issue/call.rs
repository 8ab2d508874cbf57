//! One call to the server for a token: counts it against the limits, makes it, and checks for whom a token came back.
//!
//! A call goes on when its client has left, so it owns all that it needs.
//!
//! Not here: which other requests get its answer (`super::coalesce`).
//!
//! Sources: docs/plugnmeet.md sections 0.6 and 3.

use std::sync::Arc;

use hyper::http::uri::PathAndQuery;

use super::{IssueError, answer::Whole, coalesce::Ended};
use crate::{
    client_body::WholeRequest,
    context::RequestContext,
    limits::Limits,
    memory::Memory,
    observe::{AuditLog, Decision, Outcome},
    proxy::Upstream,
    reply::Failure,
    token::{Participant, TokenKeys},
};

/// One call to the server for a token, with all that it needs: it goes on when its client has left.
pub(super) struct Call {
    pub(super) server: Arc<Upstream>,
    pub(super) limits: Arc<Limits>,
    pub(super) keys: Arc<TokenKeys>,
    pub(super) memory: Arc<Memory>,
    pub(super) audit: Arc<AuditLog>,
    pub(super) decision: Arc<Decision>,
    /// The room's id in the request.
    pub(super) room_id: String,
    /// The user's id in the request; may be empty.
    pub(super) user_id: String,
}

impl Call {
    /// Makes the call, once.
    pub(super) async fn make(
        self,
        request: WholeRequest,
        path: PathAndQuery,
        context: RequestContext,
    ) -> Ended<Result<Whole, Failure>> {
        let caller = self.decision.caller_name();
        let counted = match self.limits.issue(caller, &self.room_id, &self.user_id).await {
            Ok(counted) => counted,
            Err(over) => {
                let error = IssueError::from(over);
                self.decision.end(Outcome::Refused, error.code(), &self.audit);
                return Ended {
                    answer: Err(error.into_failure()),
                    shareable: false,
                };
            }
        };
        let answer =
            async { Whole::of(self.server.forward_whole(request, path, &context).await?).await }.await;
        let token = answer.as_ref().ok().and_then(Whole::token);
        // Here, as the client may have left by now: a token that nobody got is a decision too.
        let (outcome, reason, detail) = match &answer {
            Ok(_) if token.is_some() => (Outcome::Issued, "upstream", None),
            Ok(refusal) => (Outcome::RefusedByServer, "upstream", refusal.status_code()),
            Err(failure) => (Outcome::Failed, failure.code(), None),
        };
        self.decision.end_with(outcome, reason, detail, &self.audit);
        // From the token itself, as the server may have made up the user's id.
        let Some(named) = token.as_deref().and_then(Participant::of_issued) else {
            return Ended {
                answer,
                shareable: false,
            };
        };
        self.memory
            .issued(&self.keys.tag(&named.room_id, &named.user_id), caller);
        let is_the_sent_one = named.user_id == self.user_id;
        if !is_the_sent_one {
            self.limits
                .give_back(caller, &self.room_id, &self.user_id, counted);
        }
        Ended {
            answer,
            shareable: is_the_sent_one && named.room_id == self.room_id,
        }
    }
}
