//! Session handoff: a join link carries a token, and this moves it into the cookie that the client reads.
//!
//! Left in the address bar the token would end up in history, logs and `Referer`. Each participation gets a path of its
//! own, and with it a cookie of its own, so that a breakout room in a second tab never takes over the first.
//!
//! Not here: checking a token (`crate::token`) or a design (`crate::design`), choosing the route (`crate::route`), the
//! page itself (`crate::files`).
//!
//! Sources: product.md "Session handoff", contract.md sections 0.10 to 0.13, 6 and 7, RFC 9110 section 15.4.4 (303).

mod cookie;
mod error;

use std::{fmt, sync::Arc, time::Duration};

use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{self, HeaderValue},
};

pub use self::error::HandoffError;
use crate::{
    addr::ClientAddr,
    clock::Clock,
    design::{Design, DesignRules, Verdict},
    limits::Limits,
    query::Query,
    reply::Body,
    token::{Claims, LEEWAY_SECS, TokenKeys, Unverified, Verified},
};

/// The parameter that carries the token (contract.md section 6).
pub const TOKEN_PARAMETER: &str = "access_token";

/// The parameter that carries the design (contract.md section 7).
const DESIGN_PARAMETER: &str = "custom_design";

/// Where a session's cookie is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// On a path of its own: tabs don't meet.
    Session,
    /// Under the whole mount: one session a browser.
    Mount,
}

/// How sessions are handed off.
#[derive(Clone, Debug)]
pub struct HandoffSettings {
    /// `/conference`, or nothing for the root.
    pub mount: String,
    /// Where the cookie is valid.
    pub scope: Scope,
    /// How long after its token's end a cookie is kept.
    pub renew_grace: Duration,
    /// Where people without a session go, if not to a page that explains.
    pub login_url: Option<HeaderValue>,
    /// May anyone frame the conference? Then a frame's cookie has to be a cross-site one.
    pub framed: bool,
}

/// The running handoff.
pub struct Handoff {
    settings: HandoffSettings,
    keys: Arc<TokenKeys>,
    design: DesignRules,
    limits: Arc<Limits>,
    clock: Clock,
}

/// What becomes of a request for the client's page.
pub enum Handed {
    /// An answer of its own: a redirect, or a page that explains.
    Reply(Response<Body>),
    /// The client's page, for this session.
    Page(Session),
}

/// A session that a browser is in.
pub struct Session {
    /// What its token says.
    pub claims: Claims,
    /// Its design, checked.
    pub design: Vec<(&'static str, String)>,
}

impl fmt::Debug for Handoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handoff")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Handoff {
    /// A handoff of tokens under these keys.
    pub fn new(
        settings: HandoffSettings,
        keys: Arc<TokenKeys>,
        design: DesignRules,
        limits: Arc<Limits>,
        clock: Clock,
    ) -> Self {
        Self {
            settings,
            keys,
            design,
            limits,
            clock,
        }
    }

    /// Does this query hand a token over?
    pub fn is_handoff(query: &str) -> bool {
        Query(query).only(TOKEN_PARAMETER) != Ok(None)
    }

    /// A request for the page at the mount (`tag` is none) or at a session's path.
    pub async fn handle<B>(
        &self,
        request: &Request<B>,
        query: &str,
        tag: Option<&str>,
        client: ClientAddr,
    ) -> Result<Handed, HandoffError> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return Err(HandoffError::Method);
        }
        match Query(query)
            .only(TOKEN_PARAMETER)
            .map_err(|_| HandoffError::TwoTokens)?
        {
            Some(token) => self
                .hand_off(request, query, &token, client)
                .await
                .map(Handed::Reply),
            None => self.enter(request, query, tag),
        }
    }

    /// A link with a token: into the cookie with it.
    async fn hand_off<B>(
        &self,
        request: &Request<B>,
        query: &str,
        token: &str,
        client: ClientAddr,
    ) -> Result<Response<Body>, HandoffError> {
        if is_prefetch(request.headers()) {
            return Err(HandoffError::Prefetch);
        }
        let now = self.clock.unix();
        let verified = match self.keys.verify(Unverified(token), now) {
            Ok(verified) => verified,
            Err(bad) => {
                self.limits.failure(client).await?;
                return Err(HandoffError::BadToken(bad));
            }
        };
        // An empty token beside nothing is none, but it has no place in the new address either.
        let rest = Query(query).without(TOKEN_PARAMETER);
        let rest = self.checked_design(&rest)?.0.unwrap_or(rest);
        let path = self.session_path(&verified);
        let mut response = see_other(&path, &rest)?;
        if request.method() == Method::GET {
            let cookie = cookie::write(&cookie::Written {
                token,
                path: &cookie_path(&path, self.settings.scope, &self.settings.mount),
                lives: self.lives_for(verified.claims.exp - now),
                cross_site: self.settings.framed && is_cross_site_frame(request.headers()),
            })?;
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        Ok(response)
    }

    /// A page without a token in its address: the cookie has to say whose it is.
    fn enter<B>(&self, request: &Request<B>, query: &str, tag: Option<&str>) -> Result<Handed, HandoffError> {
        let (cleaned, design) = self.checked_design(query)?;
        let Some(token) = cookie::read(request.headers()) else {
            return self.without_session();
        };
        let verified = self
            .keys
            .verify(Unverified(token), self.clock.unix())
            .map_err(HandoffError::BadToken)?;
        let claims = verified.claims;
        if tag.is_some_and(|tag| tag != self.keys.tag(&claims.room_id, &claims.user_id)) {
            // Another session's cookie, strayed here: for this path there is none.
            return self.without_session();
        }
        if let Some(cleaned) = cleaned {
            return see_other(request.uri().path(), &cleaned).map(Handed::Reply);
        }
        let design = design.map(|design| {
            design
                .iter()
                .map(|(name, value)| (name, value.to_owned()))
                .collect()
        });
        Ok(Handed::Page(Session {
            claims,
            design: design.unwrap_or_default(),
        }))
    }

    /// The design in a query, if it is good; and the query without what was stripped from it, if anything was.
    fn checked_design(&self, query: &str) -> Result<(Option<String>, Option<Design>), HandoffError> {
        let Some(decoded) = Query(query)
            .only(DESIGN_PARAMETER)
            .map_err(|_| HandoffError::TwoDesigns)?
        else {
            return Ok((None, None));
        };
        match self.design.check(&decoded) {
            Verdict::Absent => Ok((None, None)),
            Verdict::Good(design) => Ok((None, Some(design))),
            Verdict::Stripped(Some(left)) => Ok((
                Some(Query(query).with(DESIGN_PARAMETER, &left.to_json())),
                Some(left),
            )),
            Verdict::Stripped(None) => Ok((Some(Query(query).without(DESIGN_PARAMETER)), None)),
            Verdict::Refused(breaches) => Err(HandoffError::Design(breaches)),
        }
    }

    /// Seconds that a cookie lives: what is left of its token, and the grace. A token that is past its end and still good
    /// must not end its cookie at once.
    fn lives_for(&self, left: i64) -> i64 {
        let lives = left.saturating_add_unsigned(self.settings.renew_grace.as_secs());
        if lives > 0 {
            lives
        } else {
            (left + LEEWAY_SECS).max(1)
        }
    }

    fn session_path(&self, verified: &Verified) -> String {
        let (mount, claims) = (&self.settings.mount, &verified.claims);
        match self.settings.scope {
            Scope::Session => format!("{mount}/s/{}/", self.keys.tag(&claims.room_id, &claims.user_id)),
            Scope::Mount => format!("{mount}/"),
        }
    }

    /// Not the client: that would be megabytes of script that could only say "token missing".
    fn without_session(&self) -> Result<Handed, HandoffError> {
        match &self.settings.login_url {
            Some(login) => Ok(Handed::Reply(redirect(login.clone()))),
            None => Err(HandoffError::NoSession),
        }
    }
}

/// The plain form's cookie is valid on the mount without its slash too.
fn cookie_path(path: &str, scope: Scope, mount: &str) -> String {
    match scope {
        Scope::Session => path.to_owned(),
        Scope::Mount if mount.is_empty() => "/".to_owned(),
        Scope::Mount => mount.to_owned(),
    }
}

fn see_other(path: &str, query: &str) -> Result<Response<Body>, HandoffError> {
    let location = if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    };
    HeaderValue::try_from(location)
        .map(redirect)
        .map_err(|_| HandoffError::Location)
}

fn redirect(location: HeaderValue) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Is a browser only guessing that this page will be wanted? Old and new names of the same announcement.
fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-purpose", "x-moz"]
        .iter()
        .any(|name| {
            headers.get_all(*name).iter().any(|value| {
                value.to_str().is_ok_and(|value| {
                    let value = value.to_ascii_lowercase();
                    ["prefetch", "prerender", "preview"]
                        .iter()
                        .any(|word| value.contains(word))
                })
            })
        })
}

/// Fetch Metadata: the document of a frame in another site's page.
fn is_cross_site_frame(headers: &HeaderMap) -> bool {
    let is = |name: &str, value: &str| headers.get(name).is_some_and(|found| found == value);
    is("sec-fetch-dest", "iframe") && is("sec-fetch-site", "cross-site")
}
