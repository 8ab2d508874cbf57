//! The other endpoints at which the server issues join tokens: BBB's `join`, the join of a learning platform's page,
//! and the join of a breakout room. Their tokens count against the same limits as those of `getJoinToken`.
//!
//! A call of BBB's API is refused unless its checksum covers all that the server reads. At the other two endpoints the
//! server checks the token: a request whose token it would refuse is forwarded and counts for nobody.
//!
//! INVARIANT: a request that issues a token is read whole before any of it is forwarded, so that half a request never
//! reaches the server.
//!
//! Sources: docs/plugnmeet.md sections 0.17, 0.19, 5 and 8.

use bytes::Bytes;
use http_body::Body as _;
use hyper::{
    HeaderMap, Method, Request, Response,
    header::{self, HeaderValue},
};

use super::{
    Issue, IssueError, SERVER,
    bbb::{self, BbbPath},
    bbb_refusal::BbbRefusal,
    breakout,
    envelope::{self, AuthRefusal},
    learned::JoinEndpoint,
    stop::Stop,
};
use crate::{
    addr::ClientAddr,
    blocks::Person,
    client_body::{ClientRequest, WholeRequest},
    context::RequestContext,
    http::{Repeated, only},
    observe::{Decision, Outcome},
    query::Query,
    reply::{Body, Failure},
    token::Unverified,
    urls::BbbCall,
};

/// A join, as far as it has been checked.
struct JoinRequest {
    endpoint: JoinEndpoint,
    /// The person who joins, once known.
    person: Option<Person>,
    decision: Decision,
}

impl JoinRequest {
    fn at(endpoint: JoinEndpoint, context: &RequestContext) -> Self {
        Self {
            endpoint,
            person: None,
            decision: Decision::begin(context.id(), context.client()),
        }
    }
}

impl Issue {
    /// Handles a call of BBB's API.
    pub(super) async fn bbb(
        &self,
        request: ClientRequest,
        call: BbbCall,
        context: &RequestContext,
    ) -> Result<Response<Body>, Failure> {
        let uri = request.uri().clone();
        let path = BbbPath::of(uri.path(), call);
        let query = uri.query().unwrap_or_default().as_bytes();
        if path.is_join() {
            let mut joining = JoinRequest::at(JoinEndpoint::Bbb, context);
            let checked = self.bbb_join(request, path, query, context, &mut joining).await;
            self.join(joining, checked, context).await
        } else {
            let answered = self.bbb_call(request, path, query, context).await;
            answered.or_else(Stop::into_answer)
        }
    }

    /// Handles `POST /lti/v1/api/room/join`. The token names the room and the user; the body names neither.
    pub(super) async fn lti_join(
        &self,
        request: ClientRequest,
        context: &RequestContext,
    ) -> Result<Response<Body>, Failure> {
        if request.method() != Method::POST {
            return self.stream(request, context).await;
        }
        let mut joining = JoinRequest::at(JoinEndpoint::Lti, context);
        let checked = self.lti(request, context, &mut joining).await;
        self.join(joining, checked, context).await
    }

    /// `POST /api/breakoutRoom/join`: the token's own user may join and nobody else, although the server would issue a
    /// token for any user in the body. The join counts in the token's own room. Nobody has signed the breakout room's
    /// id, and counting by it one participant could use up the room's and the caller's limits.
    pub(super) async fn breakout_join(
        &self,
        request: ClientRequest,
        context: &RequestContext,
    ) -> Result<Response<Body>, Failure> {
        if request.method() != Method::POST {
            return self.stream(request, context).await;
        }
        let mut joining = JoinRequest::at(JoinEndpoint::Breakout, context);
        let checked = self.breakout(request, context, &mut joining).await;
        self.join(joining, checked, context).await
    }

    /// Ends a join: writes the audit line, and sends the request to the server if it passed the checks.
    async fn join(
        &self,
        joining: JoinRequest,
        checked: Result<WholeRequest, IssueError>,
        context: &RequestContext,
    ) -> Result<Response<Body>, Failure> {
        let JoinRequest {
            endpoint,
            person,
            decision,
        } = joining;
        let request = match checked {
            Ok(request) => request,
            Err(error) => return self.refuse(error, &decision),
        };
        decision.end(Outcome::PassedOn, endpoint.name(), &self.audit);
        let response = self.send(request, context).await?;
        self.learned(endpoint, person.as_ref(), response).await
    }

    /// Handles a call that issues no token.
    async fn bbb_call(
        &self,
        request: ClientRequest,
        path: BbbPath<'_>,
        query: &[u8],
        context: &RequestContext,
    ) -> Result<Response<Body>, Stop> {
        let client = context.client();
        self.may_call(path, request.method(), client).await?;
        if path.is_bare() {
            return Ok(self.stream(request, context).await?);
        }
        envelope::check_media(request.headers(), false)?;
        if !bbb::is_form(request.method(), request.headers()) {
            self.signed(path, query, None, client).await?;
            if path.takes_slides(request.method(), request.headers()) || request.body().is_end_stream() {
                return Ok(self.stream(request, context).await?);
            }
        }
        let request = self.whole(request).await?;
        self.all_signed(path, query, &request, client).await?;
        Ok(self.send(request, context).await?)
    }

    async fn bbb_join(
        &self,
        request: ClientRequest,
        path: BbbPath<'_>,
        query: &[u8],
        context: &RequestContext,
        joining: &mut JoinRequest,
    ) -> Result<WholeRequest, IssueError> {
        let client = context.client();
        self.may_call(path, request.method(), client).await?;
        envelope::check_media(request.headers(), false)?;
        let request = self.whole(request).await?;
        let parameters = self.all_signed(path, query, &request, client).await?;
        let wanted = bbb::join_ids(parameters)?;
        self.count(&wanted.meeting_id, &wanted.user_id, joining).await?;
        // Nobody is known by an empty id.
        if !wanted.user_id.is_empty() {
            let person = Person::OfPlatform {
                meeting_id: wanted.meeting_id,
                user_id: wanted.user_id,
            };
            self.not_blocked(joining.person.insert(person), context).await?;
        }
        Ok(request)
    }

    /// Is the key in the path known, and the request's method one that the server accepts?
    async fn may_call(
        &self,
        path: BbbPath<'_>,
        method: &Method,
        client: ClientAddr,
    ) -> Result<(), IssueError> {
        if !self.keys.is_api_key(path.key.as_bytes()) {
            return Err(self.refused_call(BbbRefusal::WrongKey, client).await);
        }
        if method != Method::GET && method != Method::POST {
            return Err(BbbRefusal::Method.into());
        }
        Ok(())
    }

    /// The signed parameters of a call that has been read whole. A call with anything beside them is refused.
    async fn all_signed<'d>(
        &self,
        path: BbbPath<'_>,
        query: &'d [u8],
        request: &'d Request<Bytes>,
        client: ClientAddr,
    ) -> Result<&'d [u8], IssueError> {
        let is_form = bbb::is_form(request.method(), request.headers());
        let form = is_form.then_some(request.body());
        let parameters = self.signed(path, query, form, client).await?;
        if !is_form && !request.body().is_empty() {
            return Err(BbbRefusal::Body.into());
        }
        Ok(parameters)
    }

    async fn lti(
        &self,
        request: ClientRequest,
        context: &RequestContext,
        joining: &mut JoinRequest,
    ) -> Result<WholeRequest, IssueError> {
        envelope::check_media(request.headers(), false)?;
        let token = authorization(request.headers())?.unwrap_or_default().to_owned();
        let request = self.whole(request).await?;
        self.count_bearer(&token, context, joining).await?;
        Ok(request)
    }

    async fn breakout(
        &self,
        request: ClientRequest,
        context: &RequestContext,
        joining: &mut JoinRequest,
    ) -> Result<WholeRequest, IssueError> {
        envelope::check_media(request.headers(), false)?;
        if request.headers().get(header::CONTENT_TYPE).is_some_and(is_form) {
            return Err(AuthRefusal::MediaType.into());
        }
        let token = match authorization(request.headers())? {
            Some(token) => token.to_owned(),
            // The server looks here too (docs/plugnmeet.md section 5).
            None => Query(request.uri().query().unwrap_or_default())
                .only("Authorization")
                .map_err(|_| IssueError::TwoTokens)?
                .unwrap_or_default()
                .into_owned(),
        };
        let request = self.whole(request).await?;
        if let Some(who) = self.keys.participant(Unverified(&token), self.clock.unix()) {
            match breakout::user_of(request.body()) {
                Some(user_id) if user_id == who.user_id => {}
                Some(_) => return Err(IssueError::AnotherUser),
                None => return Err(IssueError::Unreadable),
            }
        }
        self.count_bearer(&token, context, joining).await?;
        Ok(request)
    }

    /// Counts the join for the user of this token, and refuses a user who is blocked. Without a user nothing is
    /// counted.
    async fn count_bearer(
        &self,
        token: &str,
        context: &RequestContext,
        joining: &mut JoinRequest,
    ) -> Result<(), IssueError> {
        let Some(who) = self.keys.participant(Unverified(token), self.clock.unix()) else {
            return Ok(());
        };
        self.count(&who.room_id, &who.user_id, joining).await?;
        let person = Person::participant(&who.room_id, &who.user_id);
        self.not_blocked(joining.person.insert(person), context).await
    }

    /// The parameters of a call, all of which its checksum covers.
    async fn signed<'d>(
        &self,
        path: BbbPath<'_>,
        query: &'d [u8],
        form: Option<&'d Bytes>,
        client: ClientAddr,
    ) -> Result<&'d [u8], IssueError> {
        match bbb::signed_parameters(path, query, form.map(AsRef::as_ref), &self.keys) {
            Ok(parameters) => Ok(parameters),
            Err(refusal) => Err(self.refused_call(refusal, client).await),
        }
    }

    /// Counts the join for this user.
    async fn count(&self, room_id: &str, user_id: &str, joining: &mut JoinRequest) -> Result<(), IssueError> {
        joining.decision.caller(SERVER);
        joining.decision.wanted(room_id, user_id, None);
        self.limits.issue(SERVER, room_id, user_id).await?;
        Ok(())
    }

    async fn refused_call(&self, refusal: BbbRefusal, client: ClientAddr) -> IssueError {
        if refusal.is_guess()
            && let Err(over) = self.limits.failure(client).await
        {
            return over.into();
        }
        refusal.into()
    }
}

/// The token, raw: there is no `Bearer` before it. An empty field is none; of two, the server would read either.
pub(super) fn authorization(headers: &HeaderMap) -> Result<Option<&str>, IssueError> {
    let value = only(headers, header::AUTHORIZATION).map_err(|Repeated| IssueError::TwoTokens)?;
    Ok(value
        .and_then(|value| value.to_str().ok())
        // HTTP/2 passes blanks on, and the server takes them off.
        .map(|value| value.trim_matches([' ', '\t']))
        .filter(|value| !value.is_empty()))
}

/// Is this the type of a form? The server would read the token from such a body, and the message from the same bytes.
pub(super) fn is_form(media_type: &HeaderValue) -> bool {
    const FORM: &[u8] = b"x-www-form-urlencoded";
    media_type
        .as_bytes()
        .to_ascii_lowercase()
        .windows(FORM.len())
        .any(|window| window == FORM)
}
