//! Session handoff: a join link carries a token, and this module moves it into the cookie that the client reads.
//!
//! A token that stays in the address bar would be stored in the browser's history, in logs and in `Referer` fields.
//! Each participation gets a path of its own, and with it a cookie of its own, so that a breakout room in a second tab
//! never replaces the session in the first tab.
//!
//! | file | holds |
//! | --- | --- |
//! | `running` | which session a browser is in, by its cookies |
//! | `own_cookies`, `companion`, `cookie` | the cookies that a session has; cookies as such |
//! | `renewal`, `refresh` | a newer token for the cookie: signed here at a reload, or seen on its way to the server |
//! | `page` | the client's page, for a session |
//! | `frame`, `ticket` | a page in another site's frame whose browser keeps no cookie |
//! | `redirect` | links that plugnmeet-server makes |
//! | `switch`, `leave`, `confirm` | replacing the session on a path that all sessions share; ending a session; the questions before both |
//! | `design`, `fetch`, `error` | the design in a link; what browsers say of a request; what people see |
//!
//! Not here: checking a token (`crate::token`) or a design (`crate::design`), which path is a session's
//! (`crate::urls`), what a page is made of (`crate::webapp`), whether a session may go on (`crate::issue`).
//!
//! Sources: docs/plugnmeet.md sections 0.10 to 0.13, 6 and 7, RFC 9110 section 15.4.4 (303).

mod companion;
mod confirm;
mod cookie;
mod design;
mod design_check;
mod error;
mod fetch;
mod frame;
mod leave;
mod own_cookies;
mod page;
mod redirect;
mod refresh;
mod renewal;
mod running;
mod switch;
mod ticket;

use std::{fmt, sync::Arc, time::Duration};

use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{self, HeaderValue},
};

use self::{companion::Companion, cookie::Cookies, fetch::Destination};
pub use self::{
    design_check::{DesignCheck, DesignCheckError},
    error::SessionError,
    fetch::is_prefetch,
    redirect::ServerLink,
    refresh::PresentedToken,
    ticket::TICKET,
};
use crate::{
    client_body::ClientBody,
    clock::Clock,
    context::RequestContext,
    design::DesignRules,
    http::no_store,
    issue::{Issue, Meeting},
    memory::{HandedOff, Memory},
    observe::Metrics,
    query::Query,
    reply::{Body, Failure, names_pages, redirect},
    secret::Secret,
    token::{BadToken, Claims, TokenKeys, Unverified, Verified},
    urls::Step,
    webapp::WebApp,
};

/// The parameter that carries the token (docs/plugnmeet.md section 6).
pub const TOKEN_PARAMETER: &str = "access_token";

/// Stands for the meeting of a token that was issued before the running meeting began. No meeting of the server's has this id.
const EARLIER_MEETING: &str = "an earlier one";

/// The path for which a session's cookie is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A path of the session's own: sessions in several tabs don't meet.
    Session,
    /// The whole mount: a browser has one session at a time.
    Mount,
}

/// The settings of sessions.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// The path below which the client is, such as `/conference`; empty for the root.
    pub mount: String,
    /// The path for which a session's cookie is valid.
    pub scope: Scope,
    /// How long after its token's end a cookie is kept, and its token may be renewed.
    pub renew_grace: Duration,
    /// How long after its first token's issue a session may be renewed.
    pub max_age: Duration,
    /// The address to which people without a session are redirected. Without one they get a page that explains.
    pub login_url: Option<HeaderValue>,
    /// May anyone frame the conference? Then a frame's cookie has to be a cross-site one.
    pub framed: bool,
}

/// The running module: handles every step of a session.
pub struct Sessions {
    pub settings: SessionSettings,
    /// Those that sign the tokens.
    pub keys: Arc<TokenKeys>,
    pub design: DesignRules,
    /// Counts bad links, and renews tokens.
    pub issue: Arc<Issue>,
    pub webapp: Arc<WebApp>,
    pub memory: Arc<Memory>,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
}

/// A request for the client's page, or for another step of a session.
#[derive(Clone, Copy)]
pub struct Visit<'a> {
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
    /// The request's path, as it was sent.
    pub path: &'a str,
    /// The request's query, as it was sent.
    pub query: &'a str,
    /// The session's tag in the path; none below the mount itself.
    pub tag: Option<&'a str>,
    /// Who sent the request, and by which of the gateway's names.
    pub context: &'a RequestContext,
}

/// The session of a browser, as its page is about to be answered.
struct Session {
    /// The claims of its token.
    pub claims: Claims,
    /// The names and checked values of its design's fields.
    pub design: Vec<(&'static str, String)>,
    /// The values of the `Set-Cookie` fields for the page.
    pub cookies: Vec<HeaderValue>,
    /// Must the page not be stored in a cache?
    pub only_now: bool,
    /// The token, where the browser may keep no cookie that the client could find it in.
    pub token: Option<Secret<String>>,
}

impl<'a> Visit<'a> {
    fn of(tag: Option<&'a str>, request: &'a Request<ClientBody>, context: &'a RequestContext) -> Self {
        Self {
            method: request.method(),
            headers: request.headers(),
            path: request.uri().path(),
            query: request.uri().query().unwrap_or_default(),
            tag,
            context,
        }
    }

    /// May this request change anything, here or in the browser? Not so who only asks what a `GET` would answer, nor a
    /// browser that is guessing.
    fn takes_effect(&self) -> bool {
        self.method != Method::HEAD && !is_prefetch(self.headers)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Sessions {
    /// Does this query carry a token?
    pub fn has_token(query: &str) -> bool {
        Query(query).only(TOKEN_PARAMETER) != Ok(None)
    }

    /// Handles one step of a session.
    pub async fn handle(
        &self,
        step: Step,
        tag: Option<&str>,
        request: &Request<ClientBody>,
        context: &RequestContext,
    ) -> Result<Response<Body>, Failure> {
        let visit = Visit::of(tag, request, context);
        match step {
            Step::Enter => self.page(&visit).await,
            Step::Leave => Ok(self.leave(&visit)?),
            Step::Switch => Ok(self.switch(&visit).await?),
        }
    }

    /// Answers with the client's page, or with a redirect to it.
    async fn page(&self, visit: &Visit<'_>) -> Result<Response<Body>, Failure> {
        if visit.method != Method::GET && visit.method != Method::HEAD {
            return Err(SessionError::Method("GET, HEAD").into());
        }
        let token = Query(visit.query).only(TOKEN_PARAMETER);
        match token.map_err(|_| SessionError::TwoTokens)? {
            Some(token) => Ok(self.hand_off(visit, &token).await?),
            None => self.enter(visit).await,
        }
    }

    /// Handles a link with a token: checks the token, puts it into a cookie and redirects to the session's page.
    async fn hand_off(&self, visit: &Visit<'_>, token: &str) -> Result<Response<Body>, SessionError> {
        if is_prefetch(visit.headers) {
            return Err(SessionError::Prefetch);
        }
        let token = trimmed(token);
        let verified = match self.keys.verify(Unverified(token), self.clock.unix()) {
            Ok(verified) => verified,
            // Yesterday's link is no guess.
            Err(bad @ (BadToken::Expired | BadToken::NotYetValid)) => {
                return Err(SessionError::BadToken(bad));
            }
            Err(bad) => {
                self.issue.bad_link(visit.context.client()).await?;
                return Err(SessionError::BadToken(bad));
            }
        };
        // An empty token beside nothing is none, but it has no place in the new address either.
        let rest = Query(visit.query).without(TOKEN_PARAMETER);
        let rest = match self.checked_design(visit, &rest, Some(&verified.claims)) {
            Ok((cleaned, _)) => cleaned.unwrap_or(rest),
            // The page that tells of it stands at the session's path, where the token is no longer in the address.
            Err(SessionError::Design(_) | SessionError::TwoDesigns)
                if names_pages(visit.headers) && fetch::may_be_navigation(visit.headers) =>
            {
                rest
            }
            Err(error) => return Err(error),
        };
        if Destination::of(visit.headers) == Destination::Part {
            return Err(SessionError::NotANavigation);
        }
        if self.would_replace(visit, &verified) {
            return self.ask_before_switching(visit, token, &rest);
        }
        self.admit(visit, token, &verified, &rest).await
    }

    /// Redirects to the session's page and sets the session's cookies.
    pub(super) async fn admit(
        &self,
        visit: &Visit<'_>,
        token: &str,
        verified: &Verified,
        rest: &str,
    ) -> Result<Response<Body>, SessionError> {
        let now = self.clock.unix();
        let claims = &verified.claims;
        let tag = self.tag_of(claims);
        let cross_site = self.is_framed(visit);
        let rest = if cross_site {
            self.with_ticket(rest, &tag, token)
        } else {
            rest.to_owned()
        };
        let mut response = see_other(&self.page_of(&tag), &rest)?;
        if visit.method == Method::HEAD {
            return Ok(response);
        }
        let cookie = self.token_cookie(&tag, token, claims.exp, cross_site)?;
        response.headers_mut().append(header::SET_COOKIE, cookie);
        let caller = self.memory.handed_off(
            &tag,
            &HandedOff {
                framed: cross_site,
                exp: claims.exp,
                now,
            },
        );
        let cookies = Cookies::of(visit.headers);
        let known = Companion::among(&cookies, self.companion_name(), &self.keys, Some(&tag));
        // A renewed token's first one is older than it looks, and of which meeting it is can't be seen; its companion knows, or
        // nobody does.
        let (begun, meeting) = match (verified.renewed, known) {
            // A token whose time begins a little later begins now: it can't outlive what happens until then.
            (false, _) => (claims.nbf.min(now), self.meeting_of(claims, visit).await),
            (true, Some(known)) => (known.begun, known.meeting),
            (true, None) => (0, None),
        };
        let companion = Companion {
            begun,
            tag,
            entered: now,
            caller: caller.map(|caller| caller.to_string()),
            meeting,
            framed: cross_site,
        };
        let cookie = self.companion_cookie(&companion)?;
        response.headers_mut().append(header::SET_COOKIE, cookie);
        Ok(response)
    }

    /// The meeting for which a token is, as far as the server says; one that began after the token was issued is another.
    async fn meeting_of(&self, claims: &Claims, visit: &Visit<'_>) -> Option<String> {
        match self.issue.recent_meeting(&claims.room_id, visit.context).await {
            Meeting::Running { began, .. } if began > claims.nbf => Some(EARLIER_MEETING.to_owned()),
            Meeting::Running { sid, .. } => Some(sid),
            Meeting::Ended | Meeting::Unknown => None,
        }
    }

    /// Answers a page request without a token in its address: the session is found by its cookie.
    async fn enter(&self, visit: &Visit<'_>) -> Result<Response<Body>, Failure> {
        let (cleaned, design) = self.checked_design(visit, visit.query, None)?;
        let cookies = Cookies::of(visit.headers);
        if cookies.tokens.is_empty() && !cookies.odd {
            return self.without_cookie(visit, design.as_ref());
        }
        if Query(visit.query).only(TICKET) != Ok(None) && !self.is_framed(visit) {
            // The cookie came back, so the ticket is of no use, and has no place in an address. In a frame the page takes it
            // out.
            let rest = cleaned.as_deref().unwrap_or(visit.query);
            return Ok(see_other(visit.path, &Query(rest).without(TICKET))?);
        }
        // No browser has a cookie from us for the mount where sessions have paths of their own: somebody tossed it there.
        let tossed = self.settings.scope == Scope::Session
            && visit.tag.is_none()
            && fetch::is_navigation(visit.headers);
        let running = if tossed {
            None
        } else {
            self.running(visit, &cookies)?
        };
        let Some(running) = running else {
            let ended = self.cleared(visit, self.is_framed(visit));
            return Ok(self.without_session(ended)?);
        };
        if let Some(cleaned) = cleaned {
            return Ok(see_other(visit.path, &cleaned)?);
        }
        self.go_on(visit, running, design.as_ref()).await
    }

    fn tag_of(&self, claims: &Claims) -> String {
        self.keys.tag(&claims.room_id, &claims.user_id)
    }

    /// Answers a page request without a session. It does not send the client's page, which would load megabytes of
    /// script to say "token missing".
    fn without_session(&self, cookies: Vec<HeaderValue>) -> Result<Response<Body>, SessionError> {
        let Some(login) = &self.settings.login_url else {
            return Err(SessionError::NoSession(cookies));
        };
        Ok(setting(redirect_to(login.clone()), cookies))
    }
}

/// Without what a mail program or a hand has left behind it: blanks and line ends, as the client's own requests lose them,
/// and the blank that has no width.
fn trimmed(token: &str) -> &str {
    token.trim_end_matches([' ', '\t', '\r', '\n', '\u{200b}'])
}

/// Adds `Set-Cookie` fields to an answer.
fn setting(mut response: Response<Body>, cookies: Vec<HeaderValue>) -> Response<Body> {
    let cookies = cookies.into_iter().map(|cookie| (header::SET_COOKIE, cookie));
    response.headers_mut().extend(cookies);
    response
}

fn see_other(path: &str, query: &str) -> Result<Response<Body>, SessionError> {
    let location = if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    };
    HeaderValue::try_from(location)
        .map(redirect_to)
        .map_err(|_| SessionError::Location)
}

fn redirect_to(location: HeaderValue) -> Response<Body> {
    let mut response = redirect(StatusCode::SEE_OTHER, location);
    no_store(response.headers_mut());
    response
}
