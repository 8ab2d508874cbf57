//! The other doors: BBB's `join`, a learning platform's, a breakout room's. The server issues at each of them, and what
//! it issues counts here as if it had been asked for at `getJoinToken`.
//!
//! BBB's calls are refused unless all that the server will read is signed. At the other two the server is the judge of
//! the token: one that it would refuse is passed on and counts for nobody.
//!
//! INVARIANT: what issues a token is read whole before any of it goes on, so that half a request never reaches the
//! server.
//!
//! Sources: docs/plugnmeet.md sections 0.17, 0.19, 5 and 8.

use bytes::Bytes;
use http_body::Body as _;
use hyper::{
    HeaderMap, Method, Request, Response,
    header::{self, HeaderValue},
};

use super::{
    Issue, IssueError, Passed, SERVER,
    bbb::{self, BbbPath},
    bbb_refusal::BbbRefusal,
    body, breakout,
    envelope::{self, AuthRefusal},
    learned::Door,
};
use crate::{
    addr::ClientAddr,
    blocks::Person,
    client_body::ClientBody,
    observe::{Decision, Outcome},
    proxy::About,
    query::Query,
    reply::{Body, Failure},
    token::Unverified,
    urls::BbbCall,
};

/// A join, as far as it has been looked at.
struct Joining {
    door: Door,
    /// Who asks, once that is known.
    person: Option<Person>,
    decision: Decision,
}

impl Joining {
    fn at(door: Door, about: &About) -> Self {
        Self {
            door,
            person: None,
            decision: Decision::begin(about.client),
        }
    }
}

impl Issue {
    /// A call of BBB's API.
    pub async fn bbb(
        &self,
        request: Request<ClientBody>,
        call: BbbCall,
        about: &About,
    ) -> Result<Response<Body>, Failure> {
        let uri = request.uri().clone();
        let path = BbbPath::of(uri.path(), call);
        let query = uri.query().unwrap_or_default().as_bytes();
        let mut joining = Joining::at(Door::Bbb, about);
        let passed = self.bbb_call(request, path, query, about, &mut joining).await;
        if path.is_join() {
            self.join(joining, passed, about).await
        } else {
            self.passed(passed, about).await
        }
    }

    /// `POST /lti/v1/api/room/join`: the token names room and user, and the body nothing.
    pub async fn lti_join(
        &self,
        request: Request<ClientBody>,
        about: &About,
    ) -> Result<Response<Body>, Failure> {
        if request.method() != Method::POST {
            return self.passed(Ok(Passed::Streaming(request)), about).await;
        }
        let mut joining = Joining::at(Door::Lti, about);
        let passed = self.lti(request, about, &mut joining).await;
        self.join(joining, passed, about).await
    }

    /// `POST /api/breakoutRoom/join`: for whom the token is, and for nobody else, though the server would issue for whoever
    /// stands in the body. It counts in the token's own room: by the breakout room, which nobody has signed, one participant
    /// could use the room's and the caller's limits up.
    pub async fn breakout_join(
        &self,
        request: Request<ClientBody>,
        about: &About,
    ) -> Result<Response<Body>, Failure> {
        if request.method() != Method::POST {
            return self.passed(Ok(Passed::Streaming(request)), about).await;
        }
        let mut joining = Joining::at(Door::Breakout, about);
        let passed = self.breakout(request, about, &mut joining).await;
        self.join(joining, passed, about).await
    }

    /// A join is a decision like any other, whatever the server answers to it.
    async fn join(
        &self,
        joining: Joining,
        passed: Result<Passed<'static>, IssueError>,
        about: &About,
    ) -> Result<Response<Body>, Failure> {
        let Joining {
            door,
            person,
            decision,
        } = joining;
        match &passed {
            Ok(_) => decision.end(Outcome::PassedOn, door.name(), &self.audit),
            Err(error) => decision.end(Outcome::Refused, error.code(), &self.audit),
        }
        let response = self.passed(passed, about).await?;
        self.learned(door, person.as_ref(), response).await
    }

    async fn bbb_call(
        &self,
        request: Request<ClientBody>,
        path: BbbPath<'_>,
        query: &[u8],
        about: &About,
        joining: &mut Joining,
    ) -> Result<Passed<'static>, IssueError> {
        let client = about.client;
        if !self.keys.is_api_key(path.key.as_bytes()) {
            return Err(self.refused_call(BbbRefusal::WrongKey, client).await);
        }
        if request.method() != Method::GET && request.method() != Method::POST {
            return Err(BbbRefusal::Method.into());
        }
        if path.is_bare() {
            return Ok(Passed::Streaming(request));
        }
        envelope::check_media(request.headers(), false)?;
        let form = bbb::is_form(request.method(), request.headers());
        if !form && !path.is_join() {
            self.signed(path, query, None, client).await?;
            if path.takes_slides(request.method(), request.headers()) || request.body().is_end_stream() {
                return Ok(Passed::Streaming(request));
            }
        }
        let request = self.whole(request).await?;
        let parameters = self
            .signed(path, query, form.then_some(request.body()), client)
            .await?;
        if !form && !request.body().is_empty() {
            return Err(BbbRefusal::Body.into());
        }
        if path.is_join() {
            let wanted = bbb::joining(parameters)?;
            self.count(&wanted.meeting_id, &wanted.user_id, joining).await?;
            // Nobody is known by an empty id.
            if !wanted.user_id.is_empty() {
                let person = Person::OfPlatform {
                    meeting_id: wanted.meeting_id,
                    user_id: wanted.user_id,
                };
                self.not_blocked(joining.person.insert(person), about).await?;
            }
        }
        Ok(Passed::Whole(request))
    }

    async fn lti(
        &self,
        request: Request<ClientBody>,
        about: &About,
        joining: &mut Joining,
    ) -> Result<Passed<'static>, IssueError> {
        envelope::check_media(request.headers(), false)?;
        let token = authorization(request.headers())?.unwrap_or_default().to_owned();
        let request = self.whole(request).await?;
        self.count_bearer(&token, about, joining).await?;
        Ok(Passed::Whole(request))
    }

    async fn breakout(
        &self,
        request: Request<ClientBody>,
        about: &About,
        joining: &mut Joining,
    ) -> Result<Passed<'static>, IssueError> {
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
        self.count_bearer(&token, about, joining).await?;
        Ok(Passed::Whole(request))
    }

    /// Counts for whom a token speaks, if for anybody, unless they are blocked.
    async fn count_bearer(
        &self,
        token: &str,
        about: &About,
        joining: &mut Joining,
    ) -> Result<(), IssueError> {
        let Some(who) = self.keys.participant(Unverified(token), self.clock.unix()) else {
            return Ok(());
        };
        self.count(&who.room_id, &who.user_id, joining).await?;
        let person = Person::participant(&who.room_id, &who.user_id);
        self.not_blocked(joining.person.insert(person), about).await
    }

    /// The parameters of a call, all of which are signed.
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

    /// A join counts for whoever joins.
    async fn count(&self, room_id: &str, user_id: &str, joining: &mut Joining) -> Result<(), IssueError> {
        joining.decision.caller(SERVER);
        joining.decision.wanted(room_id, user_id, None);
        self.limits.issue(SERVER, room_id, user_id).await?;
        Ok(())
    }

    async fn whole(&self, request: Request<ClientBody>) -> Result<Request<Bytes>, IssueError> {
        let (head, body) = request.into_parts();
        let body = body::read(body, self.settings.max_body_bytes, self.settings.body_deadline).await?;
        Ok(Request::from_parts(head, body))
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
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value
            .and_then(|value| value.to_str().ok())
            // HTTP/2 passes blanks on, and the server takes them off.
            .map(|value| value.trim_matches([' ', '\t']))
            .filter(|value| !value.is_empty())),
        (_, Some(_)) => Err(IssueError::TwoTokens),
    }
}

/// From such a body the server would take the token, and the message from the same bytes.
pub(super) fn is_form(media_type: &HeaderValue) -> bool {
    const FORM: &[u8] = b"x-www-form-urlencoded";
    media_type
        .as_bytes()
        .to_ascii_lowercase()
        .windows(FORM.len())
        .any(|window| window == FORM)
}
