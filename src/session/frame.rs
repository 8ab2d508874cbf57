//! Answers a page request without a cookie.
//!
//! Some browsers store no cookies at all in another site's frame. There the redirect has added a ticket to the address
//! (`super::ticket`), and the token is put into the page itself, where the client finds it in `document.cookie` as
//! usual. The token is never in an address that stays, is never stored, and is given out once.
//!
//! INVARIANT: no loop. A person who comes back from `session.login_url` with a new link, and again without a cookie, is
//! told that cookies are blocked.

use hyper::Response;

use super::{Session, SessionError, Sessions, Visit, fetch, running::shown};
use crate::{
    design::Design,
    reply::{Body, Failure},
    token::Unverified,
};

impl Sessions {
    pub(super) fn without_cookie(
        &self,
        visit: &Visit<'_>,
        design: Option<&Design>,
    ) -> Result<Response<Body>, Failure> {
        let now = self.clock.unix();
        if !fetch::is_navigation(visit.headers) {
            return Ok(self.without_session(Vec::new())?);
        }
        if self.is_framed(visit)
            && visit.takes_effect()
            && let Some(token) = self.claimed(visit.query, visit.tag)
        {
            let verified = self.keys.verify(Unverified(token.expose()), now);
            let session = Session {
                claims: verified.map_err(SessionError::BadToken)?.claims,
                design: shown(design),
                cookies: Vec::new(),
                only_now: true,
                token: Some(token),
            };
            return self.shown(visit, session);
        }
        let patience = u32::from(self.settings.login_url.is_some());
        if let Some(tag) = visit.tag
            && self.memory.unanswered(tag, now) > patience
        {
            return Err(SessionError::CookiesBlocked.into());
        }
        Ok(self.without_session(Vec::new())?)
    }
}
