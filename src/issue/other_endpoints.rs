//! The endpoints under `/auth` beside `getJoinToken`, for callers with keys of their own. A caller can reach only its
//! own rooms, in whatever way a call names them. A call that passes is signed anew with the server's key.
//!
//! The body is read as the server reads it (`super::request::named`). If it names a thing by id, the server is asked
//! for the thing's room (`super::owners`). A call whose room can't be found out is refused, and the answer says why.
//!
//! Not here: calls under the server's own key, which the server checks itself.
//!
//! Sources: docs/plugnmeet.md sections 1, 2 and 8.

use bytes::Bytes;
use hyper::{Method, Request, Response, StatusCode, header};

use super::{
    Issue, IssueError, active_rooms,
    answer::Whole,
    callers::{self, Caller},
    envelope::{self, AuthRefusal},
    error::Held,
    owners::{Owner, Subject},
    request::{
        self,
        named::{self, List, Merge, OneAnalytics, OneArtifact, OneRecording, OneRoom},
    },
    stop::Stop,
};
use crate::{
    addr::ClientAddr,
    client_body::{ClientRequest, WholeRequest},
    context::RequestContext,
    reply::{Body, Failure},
    urls::{Endpoint, Listed, Thing},
};

/// What `getActiveRoomsInfo` says of some hundreds of rooms: 4 KiB each, and 1 KiB for each participant.
const MAX_ROOMS_BYTES: usize = 16 * 1024 * 1024;

/// The largest number of recordings in one merge. For each of them the server is asked.
const MAX_MERGED: usize = 50;

impl Issue {
    /// Handles a request for another endpoint under `/auth`. The server checks its own key's signatures itself. Here
    /// only the parts are checked with which the server could be deceived, and requests of callers with keys of their
    /// own.
    pub(super) async fn auth(
        &self,
        request: ClientRequest,
        endpoint: Endpoint,
        context: &RequestContext,
    ) -> Result<Response<Body>, Failure> {
        let answered = self.judged(request, endpoint, context).await;
        answered.or_else(Stop::into_answer)
    }

    async fn judged(
        &self,
        request: ClientRequest,
        endpoint: Endpoint,
        context: &RequestContext,
    ) -> Result<Response<Body>, Stop> {
        let client = context.client();
        let caller = self
            .envelope(&request, endpoint == Endpoint::Upload, client)
            .await?;
        if caller.is_server() {
            return self.unchecked(request, context).await;
        }
        if endpoint == Endpoint::RecorderNotify {
            return Err(Held::Recorder.into());
        }
        if envelope::is_multipart(request.headers()) {
            let request = self.upload(request, caller, client).await?;
            return self.unchecked(request, context).await;
        }
        let mut request = self.whole(request).await?;
        self.check_signature(caller, request.headers(), request.body(), client)
            .await?;
        if request.method() != Method::POST {
            return Err(IssueError::NotPost.into());
        }
        // SECURITY: the secret signs tokens too; `header.payload`, signed as a body, would be one.
        if !callers::is_object(request.body()) {
            return Err(IssueError::NotAnObject.into());
        }
        self.judge(caller, endpoint, request.body(), context).await?;
        let signed = request.body().clone();
        self.sign_anew(request.headers_mut(), &signed);
        if endpoint == Endpoint::ActiveRooms && !caller.may_use_all_rooms() {
            return Ok(self.own_rooms(request, caller, context).await?);
        }
        Ok(self.send(request, context).await?)
    }

    /// An upload, signed anew. Of it the room alone is signed (docs/plugnmeet.md section 1).
    async fn upload(
        &self,
        request: ClientRequest,
        caller: &Caller,
        client: ClientAddr,
    ) -> Result<ClientRequest, IssueError> {
        let (mut head, body) = request.into_parts();
        let Some(room) = envelope::room_id(&head.headers) else {
            return Err(self.refused(AuthRefusal::NoRoomId, client).await);
        };
        self.check_signature(caller, &head.headers, room.as_bytes(), client)
            .await?;
        may_use(caller, room.to_str().unwrap_or_default())?;
        let room = room.clone();
        self.sign_anew(&mut head.headers, room.as_bytes());
        Ok(Box::new(Request::from_parts(head, body)))
    }

    /// Forwards a request that is not checked here. If the server answers 401, it counts as a guess.
    async fn unchecked(
        &self,
        request: ClientRequest,
        context: &RequestContext,
    ) -> Result<Response<Body>, Stop> {
        let response = self.stream(request, context).await?;
        if response.status() == StatusCode::UNAUTHORIZED
            && let Err(over) = self.limits.failure(context.client()).await
        {
            return Err(IssueError::from(over).into());
        }
        Ok(response)
    }

    /// May this caller make this call? For a caller that may use every room only the form of the rooms' ids is checked.
    async fn judge(
        &self,
        caller: &Caller,
        endpoint: Endpoint,
        body: &Bytes,
        context: &RequestContext,
    ) -> Result<(), Stop> {
        match endpoint {
            Endpoint::WebApp | Endpoint::ActiveRooms => Ok(()),
            Endpoint::OneRoom => {
                let Some(OneRoom { room_id }) = read(caller, body)? else {
                    return Ok(());
                };
                Ok(may_use(caller, &room_id)?)
            }
            Endpoint::List(listed) => self.judge_list(caller, listed, body, context).await,
            Endpoint::Merge => self.judge_merge(caller, body, context).await,
            Endpoint::Thing(_) | Endpoint::Upload | Endpoint::RecorderNotify | Endpoint::Other
                if caller.may_use_all_rooms() =>
            {
                Ok(())
            }
            Endpoint::Thing(thing) => {
                let id = match thing {
                    Thing::Recording => read(caller, body)?.map(|named: OneRecording| named.record_id),
                    Thing::Artifact => read(caller, body)?.map(|named: OneArtifact| named.artifact_id),
                    Thing::Analytics => read(caller, body)?.map(|named: OneAnalytics| named.file_id),
                };
                let id = id.filter(|id| !id.is_empty()).ok_or(Held::NoRoom)?;
                self.judge_owner(caller, Subject::Thing(thing, id), context).await
            }
            Endpoint::Upload => Err(Held::NoUpload.into()),
            Endpoint::RecorderNotify | Endpoint::Other => Err(Held::Closed.into()),
        }
    }

    /// Decides about a call for a list. If it names a session, the session's room counts too, as the server then looks
    /// at the session alone.
    async fn judge_list(
        &self,
        caller: &Caller,
        listed: Listed,
        body: &Bytes,
        context: &RequestContext,
    ) -> Result<(), Stop> {
        let Some(List { room_ids, room_sid }) = read(caller, body)? else {
            return Ok(());
        };
        for room_id in &room_ids {
            may_use(caller, room_id)?;
        }
        if caller.may_use_all_rooms() {
            return Ok(());
        }
        match room_sid.and_then(|room_sid| Subject::session(listed, room_sid)) {
            Some(session) => self.judge_owner(caller, session, context).await,
            None if room_ids.is_empty() => Err(Held::AllRooms.into()),
            None => Ok(()),
        }
    }

    async fn judge_merge(&self, caller: &Caller, body: &Bytes, context: &RequestContext) -> Result<(), Stop> {
        let Some(Merge { by_session, by_ids }) = read(caller, body)? else {
            return Ok(());
        };
        if let Some(by_ids) = &by_ids {
            may_use(caller, &by_ids.room_id)?;
        }
        if caller.may_use_all_rooms() {
            return Ok(());
        }
        if by_session.is_none() && by_ids.is_none() {
            return Err(Held::NoRoom.into());
        }
        if let Some(session) = by_session {
            self.judge_owner(caller, Subject::RecordingsOf(session.room_sid), context)
                .await?;
        }
        let ids = by_ids.map(|by_ids| by_ids.recording_ids).unwrap_or_default();
        if ids.len() > MAX_MERGED {
            return Err(Held::TooMany.into());
        }
        for id in ids {
            self.judge_owner(caller, Subject::Thing(Thing::Recording, id), context)
                .await?;
        }
        Ok(())
    }

    async fn judge_owner(
        &self,
        caller: &Caller,
        asked: Subject,
        context: &RequestContext,
    ) -> Result<(), Stop> {
        match self.owner(asked, context).await {
            Owner::Room(room_id) if caller.may_use(&room_id) => Ok(()),
            Owner::Room(_) => Err(IssueError::RoomNotAllowed.into()),
            Owner::Nobody(answer) => Err(Stop::Answered(answer)),
            Owner::Unsaid => Err(Held::Unsaid.into()),
            Owner::Silence => Err(IssueError::AnswerBroken("no answer in time".into()).into()),
        }
    }

    /// Answers with the server's list of active rooms, without the rooms that the caller may not use.
    async fn own_rooms(
        &self,
        mut request: WholeRequest,
        caller: &Caller,
        context: &RequestContext,
    ) -> Result<Response<Body>, Failure> {
        // It has to be read here.
        request.headers_mut().remove(header::ACCEPT_ENCODING);
        let answer = self.send(request, context).await?;
        if answer.status() != StatusCode::OK {
            return Ok(answer);
        }
        let answer = Whole::of_at_most(answer, MAX_ROOMS_BYTES).await?;
        let own = answer
            .body_if_plain()
            .and_then(|body| active_rooms::only(body, |room_id| caller.may_use(room_id)));
        match own {
            Some(own) => Ok(answer.with_body(own.into()).into_response()),
            None => IssueError::from(Held::Unsaid).into_answer(),
        }
    }
}

/// What the body names. One that the server can't read either is the server's to refuse, unless the caller is held to
/// rooms: then nothing goes on that was not judged.
fn read<M: named::Field>(caller: &Caller, body: &[u8]) -> Result<Option<M>, Held> {
    match named::read(body) {
        Ok(message) => Ok(Some(message)),
        Err(_) if caller.may_use_all_rooms() => Ok(None),
        Err(error) => Err(Held::Unreadable(error)),
    }
}

/// May the caller use this room? Its id must also be one that the server accepts, as the gateway signs nothing else.
fn may_use(caller: &Caller, room_id: &str) -> Result<(), IssueError> {
    match room_id {
        "" if caller.may_use_all_rooms() => Ok(()),
        "" => Err(Held::NoRoom.into()),
        _ if !request::is_id(room_id) => Err(IssueError::RoomIdFormat),
        _ if caller.may_use(room_id) => Ok(()),
        _ => Err(IssueError::RoomNotAllowed),
    }
}
