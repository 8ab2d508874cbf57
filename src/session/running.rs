//! Finds the running session among the tokens in a request's cookies.
//!
//! At a session's own path only a token of that session counts. Where all sessions share one path, the companion says
//! which session runs. Without a companion it is the session of the first genuine token, because the client takes the
//! first too.

use hyper::{
    HeaderMap, Method, Request, Response,
    header::{self, HeaderValue},
};

use super::{
    Scope, Session, SessionError, Sessions, Visit,
    companion::Companion,
    cookie::{self, Cookies},
    fetch::Destination,
};
use crate::{
    client_body::ClientBody,
    context::RequestContext,
    design::Design,
    reply::{Body, Failure},
    secret::Secret,
    token::{BadToken, Claims, TokenState, Unverified},
    urls::is_tag,
};

/// The session that a request belongs to.
pub(super) struct Running<'a> {
    pub state: TokenState<'a>,
    pub tag: String,
    token: &'a str,
    pub companion: Option<Companion>,
    /// Does the session run in another site's frame?
    framed: bool,
    /// Did the request also have cookies that could be taken for the session's?
    strays: bool,
}

impl Sessions {
    /// The session of a request. None: the request has tokens in cookies, and all are of other sessions.
    pub(super) fn running<'a>(
        &self,
        visit: &Visit<'_>,
        cookies: &Cookies<'a>,
    ) -> Result<Option<Running<'a>>, SessionError> {
        let now = self.clock.unix();
        let companion = Companion::among(cookies, self.companion_name(), &self.keys, visit.tag);
        let of_companion = companion.as_ref().map(|companion| companion.tag.as_str());
        let mut expected = visit.tag.or(of_companion).map(str::to_owned);
        let mut best: Option<(TokenState<'a>, &'a str)> = None;
        let mut first_bad = None;
        let mut of_others = cookies.odd;
        for token in &cookies.tokens {
            let state = match self.keys.state(Unverified(token), now) {
                Ok(state) => state,
                Err(bad) => {
                    first_bad = first_bad.or(Some(bad));
                    continue;
                }
            };
            let tag = self.tag_of(claims_of(&state));
            if *expected.get_or_insert_with(|| tag.clone()) != tag {
                of_others = true;
            } else if best
                .as_ref()
                .is_none_or(|(best, _)| claims_of(best).exp < claims_of(&state).exp)
            {
                best = Some((state, token));
            }
        }
        match (best, expected, first_bad) {
            (Some((state, token)), Some(tag), _) => {
                let companion = companion.filter(|companion| companion.tag == tag);
                let opened_in_frame = companion.as_ref().is_some_and(|companion| companion.framed);
                Ok(Some(Running {
                    state,
                    companion,
                    tag,
                    token,
                    framed: opened_in_frame || self.is_framed(visit),
                    strays: of_others || cookies.tokens.len() > 1,
                }))
            }
            (_, _, Some(bad)) if !of_others => Err(SessionError::BadToken(bad)),
            _ => Ok(None),
        }
    }

    /// Whose session a request from a session's page belongs to, as long as its token is good.
    pub fn who_asks(
        &self,
        tag: Option<&str>,
        request: &Request<ClientBody>,
        context: &RequestContext,
    ) -> Result<Claims, SessionError> {
        let visit = Visit::of(tag, request, context);
        if visit.method != Method::GET && visit.method != Method::HEAD {
            return Err(SessionError::Method("GET, HEAD"));
        }
        let cookies = Cookies::of(visit.headers);
        match self.running(&visit, &cookies)?.map(|running| running.state) {
            Some(TokenState::Valid(verified)) => Ok(verified.claims),
            Some(TokenState::Expired(_)) => Err(SessionError::BadToken(BadToken::Expired)),
            None => Err(SessionError::NotInSession),
        }
    }

    /// The page for a running session, with a new token if the old one's time is over, or will be before the client has
    /// another.
    pub(super) async fn go_on(
        &self,
        visit: &Visit<'_>,
        running: Running<'_>,
        design: Option<&Design>,
    ) -> Result<Response<Body>, Failure> {
        self.memory.answered(&running.tag);
        let mut cookies = Vec::new();
        if running.strays {
            cookies = self.cleared(visit, running.framed);
        }
        // A cookie that a program sends to the mount is shown its page, and no more.
        let at_own_path = self.settings.scope == Scope::Mount || visit.tag.is_some();
        let companion = running.companion.filter(|_| at_own_path);
        let mut session = match (running.state, companion) {
            // SECURITY: a token alone can be copied by any script of the page, and would be good for ever.
            (TokenState::Expired(_), None) => return Err(SessionError::BadToken(BadToken::Expired).into()),
            (TokenState::Expired(expired), Some(companion)) => {
                self.renew(visit, &expired, companion, cookies).await?
            }
            (TokenState::Valid(valid), companion) => {
                let renewed = match companion {
                    Some(companion) if self.is_due(&valid.claims) => {
                        // It is good for a while, so what is refused is not yet over.
                        self.renew(visit, &valid, companion, cookies.clone()).await.ok()
                    }
                    Some(_) | None => None,
                };
                if let Some(renewed) = renewed {
                    renewed
                } else {
                    if !cookies.is_empty() {
                        let (tag, exp) = (&running.tag, valid.claims.exp);
                        cookies.push(self.token_cookie(tag, running.token, exp, running.framed)?);
                    }
                    Session {
                        claims: valid.claims,
                        design: Vec::new(),
                        cookies,
                        only_now: running.strays,
                        token: self.for_page(visit, running.token),
                    }
                }
            }
        };
        session.design = shown(design);
        self.shown(visit, session)
    }

    /// The token for the page itself, where scripts may see no cookie although the browser keeps it: a learning platform
    /// can give its frame an origin of its own (HTML's `sandbox`), and nothing that a browser sends tells.
    pub(super) fn for_page(&self, visit: &Visit<'_>, token: &str) -> Option<Secret<String>> {
        self.is_framed(visit).then(|| Secret::new(token.to_owned()))
    }

    /// The `Set-Cookie` fields that end every cookie that could be taken for the session's. Counts that there were
    /// some.
    pub(super) fn cleared(&self, visit: &Visit<'_>, framed: bool) -> Vec<HeaderValue> {
        if !visit.takes_effect() {
            return Vec::new();
        }
        self.metrics.stray_cookies();
        let own = match (self.settings.scope, visit.tag) {
            (Scope::Session, Some(tag)) => self.cookie_path(tag),
            (Scope::Session, None) => format!("{}/", self.settings.mount),
            (Scope::Mount, _) => self.cookie_path(""),
        };
        cookie::clearing(&visit.context.our_name, visit.path, &own, framed)
    }

    /// The tag of the session's page that a request comes from, as far as the browser says so. Nothing of the field is used
    /// that could not be a tag.
    pub(super) fn page_that_asks<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let page = headers.get(header::REFERER)?.to_str().ok()?;
        let (_, path) = page.strip_prefix("https://")?.split_once('/')?;
        let mount = self.settings.mount.trim_start_matches('/');
        let below = path.strip_prefix(mount)?.trim_start_matches('/');
        let tag = below.strip_prefix("s/")?.split('/').next();
        tag.filter(|tag| is_tag(tag))
    }

    /// Does the browser load this page in a frame, where `session.frame_ancestors` allows it? Then the session needs
    /// cross-site cookies.
    pub(super) fn is_framed(&self, visit: &Visit<'_>) -> bool {
        self.settings.framed && Destination::of(visit.headers) == Destination::Frame
    }
}

/// The fields of a design as names and values, for a page.
pub(super) fn shown(design: Option<&Design>) -> Vec<(&'static str, String)> {
    design
        .into_iter()
        .flat_map(Design::iter)
        .map(|(name, value)| (name, value.to_owned()))
        .collect()
}

fn claims_of<'s>(state: &'s TokenState<'_>) -> &'s Claims {
    match state {
        TokenState::Valid(verified) => &verified.claims,
        TokenState::Expired(expired) => &expired.claims,
    }
}
