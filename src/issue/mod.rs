//! Token issuing: `POST /auth/room/getJoinToken`, indistinguishable on the wire from plugnmeet-server.
//!
//! The order of checks is the server's: envelope, size, signature, method, body, limits. For a request that passes, the
//! gateway signs the token itself (`embedded`), or the request is sent to the server unchanged (`upstream`), once.
//!
//! Of requests for the other endpoints under `/auth` only the envelope is checked, and the server checks the rest.
//! Requests of callers with keys of their own are checked whole and signed anew.
//!
//! The server issues tokens at other endpoints too. Their requests are checked and counted in `joins`.
//!
//! Not here: how a request gets to the server and its answer back (`crate::proxy`).
//!
//! Sources: docs/plugnmeet.md sections 1 to 4 and 13.

mod active_rooms;
mod answer;
mod ask;
mod bbb;
mod bbb_refusal;
mod breakout;
mod call;
mod callers;
mod coalesce;
mod embedded;
pub mod envelope;
mod error;
mod joins;
mod learned;
mod meeting;
mod misfit;
mod other_endpoints;
mod owners;
mod protobuf;
mod removal;
mod renewal;
pub mod request;
mod stop;

use std::{mem, sync::Arc, time::Duration};

use hyper::{Method, Request, Response, header::HeaderValue, http::uri::PathAndQuery};

use self::{
    answer::Whole,
    call::Call,
    callers::{Caller, Callers},
    coalesce::{Coalesce, Identity},
    embedded::Embedded,
    envelope::{API_KEY, AuthRefusal, HASH_SIGNATURE},
    meeting::Meetings,
    misfit::Misfit,
    owners::Owners,
    request::TokenRequest,
};
pub use self::{
    callers::{CallerSettings, SERVER},
    embedded::EmbeddedSettings,
    error::{Guess, IssueError},
    meeting::Meeting,
    renewal::{GoingOn, RenewalRefused},
};
use crate::{
    addr::ClientAddr,
    blocks::Blocks,
    client_body::{ClientRequest, WholeRequest},
    clock::Clock,
    context::RequestContext,
    handover::{Parts, Telling},
    limits::{Limits, OverLimit},
    memory::Memory,
    observe::{AuditLog, Decision, Outcome},
    proxy::Upstream,
    reply::{Body, Failure},
    token::TokenKeys,
    urls::Issues,
};

/// The issuer of the tokens.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// This gateway: for development, demonstrations and tests.
    Embedded(EmbeddedSettings),
    Upstream,
}

/// The settings of token issuing.
#[derive(Clone, Debug)]
pub struct IssueSettings {
    /// The issuer of the tokens.
    pub mode: Mode,
    /// The largest body that is read whole, in bytes.
    pub max_body_bytes: usize,
    /// The time for such a body, from the end of the request's head.
    pub body_deadline: Duration,
    /// Do identical requests at the same moment share one call to the server?
    pub coalesce: bool,
    /// The callers beside the server's own key.
    pub callers: Vec<CallerSettings>,
}

/// The parts that an issuer asks.
pub struct IssueParts {
    pub settings: IssueSettings,
    pub keys: Arc<TokenKeys>,
    /// Without a server only the embedded issuer works.
    pub server: Option<Arc<Upstream>>,
    pub limits: Arc<Limits>,
    pub memory: Arc<Memory>,
    pub state: Arc<IssueState>,
    pub audit: AuditLog,
    pub clock: Clock,
}

pub struct Issue {
    settings: IssueSettings,
    embedded: Option<Embedded>,
    keys: Arc<TokenKeys>,
    callers: Callers,
    server: Option<Arc<Upstream>>,
    limits: Arc<Limits>,
    memory: Arc<Memory>,
    state: Arc<IssueState>,
    audit: Arc<AuditLog>,
    clock: Clock,
}

/// What an issuer knows by now, whatever its settings.
pub struct IssueState {
    blocks: Blocks,
    meetings: Meetings,
    calls: Coalesce<Result<Whole, Failure>>,
    owners: Owners,
}

impl IssueState {
    pub fn new(clock: &Clock) -> Self {
        Self {
            blocks: Blocks::default(),
            meetings: Meetings::default(),
            calls: Coalesce::default(),
            owners: Owners::new(clock.clone()),
        }
    }
}

impl Issue {
    pub fn new(parts: IssueParts) -> Self {
        let IssueParts {
            settings,
            keys,
            server,
            limits,
            memory,
            state,
            audit,
            clock,
        } = parts;
        let embedded = match settings.mode {
            Mode::Embedded(settings) => Some(Embedded::new(settings, Arc::clone(&keys), clock.clone())),
            Mode::Upstream => None,
        };
        let callers = Callers::new(&keys, &settings.callers);
        Self {
            settings,
            embedded,
            keys,
            callers,
            server,
            limits,
            memory,
            state,
            audit: Arc::new(audit),
            clock,
        }
    }

    /// What is remembered, for a new process.
    pub fn hand_over(&self, parts: &mut Parts) {
        parts.put(&self.memory.hand_over());
        parts.put(&self.state.blocks.hand_over());
    }

    /// Goes on with what an old process remembered.
    pub fn take_over(&self, parts: &mut Parts) {
        if let Some(remembered) = parts.take() {
            self.memory.take_over(remembered);
        }
        if let Some(blocks) = parts.take() {
            self.state.blocks.take_over(blocks);
        }
    }

    /// Tells a new process what is learned from now on, or nobody.
    pub fn tells(&self, telling: Option<&Telling>) {
        self.memory.tells(telling);
        self.state.blocks.tells(telling);
    }

    /// Learns what an old process has, since it handed over.
    pub fn learn(&self, parts: &mut Parts) {
        if let Some(learned) = parts.take() {
            self.memory.learn(learned);
        }
        if let Some(learned) = parts.take() {
            self.state.blocks.learn(learned);
        }
    }

    /// Handles a request that issues a token, or is for the API under `/auth`.
    pub async fn handle(
        &self,
        what: Issues,
        request: ClientRequest,
        context: &RequestContext,
    ) -> Result<Response<Body>, Failure> {
        match what {
            Issues::Token => self.token(request, context).await,
            Issues::Auth(endpoint) => self.auth(request, endpoint, context).await,
            Issues::Bbb(call) => self.bbb(request, call, context).await,
            Issues::LtiJoin => self.lti_join(request, context).await,
            Issues::BreakoutJoin => self.breakout_join(request, context).await,
            Issues::RemoveParticipant => self.remove_participant(request, context).await,
        }
    }

    /// Handles a request for a token.
    async fn token(
        &self,
        request: ClientRequest,
        context: &RequestContext,
    ) -> Result<Response<Body>, Failure> {
        let mut decision = Decision::begin(context.id(), context.client());
        let checked = match self.check(request, context.client(), &mut decision).await {
            Ok(checked) => checked,
            Err(error) => return self.refuse(error, &decision),
        };
        let Some(embedded) = &self.embedded else {
            return self.once(checked, context, decision).await;
        };
        match self.sign(embedded, checked).await {
            Ok(response) => {
                decision.end(Outcome::Issued, "embedded", &self.audit);
                Ok(response)
            }
            Err(error) => self.refuse(error, &decision),
        }
    }

    fn refuse(&self, error: IssueError, decision: &Decision) -> Result<Response<Body>, Failure> {
        decision.end_with(Outcome::Refused, error.code(), error.detail(), &self.audit);
        error.into_answer()
    }

    /// A token of our own. No room here makes up its own ids, so the one that was sent is the final one.
    async fn sign(&self, embedded: &Embedded, checked: Checked<'_>) -> Result<Response<Body>, IssueError> {
        let Checked { caller, wanted, .. } = checked;
        wanted.check_user()?;
        self.limits
            .issue(caller.name(), &wanted.room_id, &wanted.user_id)
            .await?;
        let tag = self.keys.tag(&wanted.room_id, &wanted.user_id);
        let answer = embedded.issue(wanted)?;
        self.memory.issued(&tag, caller.name());
        Ok(answer)
    }

    /// The server's answer to a request for a token; identical requests under way share one call.
    async fn once(
        &self,
        checked: Checked<'_>,
        context: &RequestContext,
        decision: Decision,
    ) -> Result<Response<Body>, Failure> {
        let Checked {
            mut request,
            caller,
            wanted,
        } = checked;
        if !caller.is_server() {
            let signed = request.body().clone();
            self.sign_anew(request.headers_mut(), &signed);
        }
        let path = path_and_query(&request)?;
        let server = Arc::clone(self.server()?);
        let decision = Arc::new(decision);
        let signature = request.headers().get(HASH_SIGNATURE);
        // The server reads nothing else of it; another spelling of the path is the same request (docs/plugnmeet.md
        // section 0.1). Without a user's id the room makes one up for each.
        let is_shared = self.settings.coalesce && !wanted.user_id.is_empty();
        let identity = is_shared.then(|| Identity {
            caller: decision.caller_name().into(),
            signature: signature.map_or(&b""[..], HeaderValue::as_bytes).into(),
            protobuf: envelope::is_protobuf(request.headers()),
        });
        let call = Call {
            server,
            limits: Arc::clone(&self.limits),
            keys: Arc::clone(&self.keys),
            memory: Arc::clone(&self.memory),
            audit: Arc::clone(&self.audit),
            decision: Arc::clone(&decision),
            room_id: wanted.room_id,
            user_id: wanted.user_id,
        };
        let call = Box::pin(call.make(request, path, context.clone()));
        let shared = self.state.calls.share(identity, call).await;
        if shared.of_another {
            decision.end(Outcome::Issued, "shared", &self.audit);
        }
        shared.answer.map(Whole::into_response)
    }

    /// Counts a link with a token that is not genuine: a guess, like a wrong signature.
    pub async fn bad_link(&self, client: ClientAddr) -> Result<(), OverLimit> {
        self.limits.failure(client).await
    }

    /// Forwards a request to the server while its body arrives.
    async fn stream(
        &self,
        request: ClientRequest,
        context: &RequestContext,
    ) -> Result<Response<Body>, Failure> {
        let unchanged = path_and_query(&request)?;
        Ok(Box::pin(self.server()?.forward(request, unchanged, context)).await?)
    }

    /// Sends a request to the server once, when its body has been read whole.
    async fn send(&self, request: WholeRequest, context: &RequestContext) -> Result<Response<Body>, Failure> {
        let unchanged = path_and_query(&request)?;
        Ok(self.server()?.forward_whole(request, unchanged, context).await?)
    }

    fn server(&self) -> Result<&Arc<Upstream>, IssueError> {
        self.server.as_ref().ok_or(IssueError::NoRoute)
    }

    /// Checks a request for a token, in the server's order.
    async fn check(
        &self,
        request: ClientRequest,
        client: ClientAddr,
        decision: &mut Decision,
    ) -> Result<Checked<'_>, IssueError> {
        let caller = self.envelope(&request, false, client).await?;
        let request = self.whole(request).await?;
        self.check_signature(caller, request.headers(), request.body(), client)
            .await?;
        decision.caller(caller.name());
        if request.method() != Method::POST {
            return Err(IssueError::NotPost);
        }
        let wanted = request::read(request.body())?;
        decision.wanted(&wanted.room_id, &wanted.user_id, Some(wanted.asks_for_admin()));
        if !caller.may_use(&wanted.room_id) {
            return Err(IssueError::RoomNotAllowed);
        }
        if wanted.asks_for_admin() && !caller.may_issue_admin() {
            return Err(IssueError::AdminNotAllowed);
        }
        if wanted.asks_for_bot() && !caller.may_issue_admin() {
            return Err(IssueError::BotNotAllowed);
        }
        Ok(Checked {
            request,
            caller,
            wanted,
        })
    }

    /// Reads the whole body of a request. A request that issues a token is read whole before any of it is forwarded.
    async fn whole(&self, mut request: ClientRequest) -> Result<WholeRequest, IssueError> {
        let body = mem::take(request.body_mut());
        let body = body
            .whole(self.settings.max_body_bytes, self.settings.body_deadline)
            .await?;
        Ok(Box::new(request.map(|_| body)))
    }

    async fn envelope<B>(
        &self,
        request: &Request<B>,
        upload: bool,
        client: ClientAddr,
    ) -> Result<&Caller, IssueError> {
        match envelope::check(request.headers(), upload, &self.callers) {
            Ok(caller) => Ok(caller),
            Err(refusal) => Err(self.refused(refusal, client).await),
        }
    }

    async fn check_signature(
        &self,
        caller: &Caller,
        headers: &hyper::HeaderMap,
        signed: &[u8],
        client: ClientAddr,
    ) -> Result<(), IssueError> {
        let given = headers
            .get(HASH_SIGNATURE)
            .map_or(&b""[..], HeaderValue::as_bytes);
        if caller.has_signed(signed, given) {
            return Ok(());
        }
        let refusal = AuthRefusal::WrongSignature;
        Err(match self.limits.failure(client).await {
            Ok(()) => IssueError::Guess(Guess {
                refusal,
                misfit: Some(Misfit::of(caller, signed, given)),
            }),
            // Over the limit nobody gets as much work done as for that.
            Err(over) => IssueError::GuessOverLimit(
                over,
                Guess {
                    refusal,
                    misfit: Misfit::of_form(given),
                },
            ),
        })
    }

    /// Replaces the caller's key and signature by those of the server's own key.
    fn sign_anew(&self, headers: &mut hyper::HeaderMap, signed: &[u8]) {
        let signature = self.keys.requests().signature(signed);
        if let (Ok(key), Ok(signature)) = (
            HeaderValue::from_str(self.keys.api_key()),
            HeaderValue::from_str(&signature),
        ) {
            headers.insert(API_KEY, key);
            headers.insert(HASH_SIGNATURE, signature);
        }
    }

    /// Guesses are counted, and what is over the limit is told to wait instead of whether it was right.
    async fn refused(&self, refusal: AuthRefusal, client: ClientAddr) -> IssueError {
        if refusal.is_guess()
            && let Err(over) = self.limits.failure(client).await
        {
            let misfit = None;
            return IssueError::GuessOverLimit(over, Guess { refusal, misfit });
        }
        IssueError::Auth(refusal)
    }
}

fn path_and_query<B>(request: &Request<B>) -> Result<PathAndQuery, IssueError> {
    request.uri().path_and_query().cloned().ok_or(IssueError::NoRoute)
}

/// A request for a token that passed every check.
struct Checked<'a> {
    request: WholeRequest,
    caller: &'a Caller,
    wanted: TokenRequest,
}
