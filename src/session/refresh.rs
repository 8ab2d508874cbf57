//! Refresh: the client's calls to the server carry its newest token, and the gateway puts that token into the cookie.
//!
//! Such a call does not carry the cookie, because the cookie's path is the session's. The gateway remembers how new a
//! session's newest token is (`crate::memory`). If it does not know, as after a restart, it accepts any valid token,
//! and the next newer one replaces it. A page can refresh its own session's cookie alone.
//!
//! SECURITY: only calls of pages of our own origin count. No other page can make a browser send `Authorization`, and a
//! client that is no page has no cookie to refresh.
//!
//! Sources: docs/plugnmeet.md sections 0.11 and 5.

use hyper::{
    HeaderMap, Response,
    header::{self, HeaderValue},
};

use super::{Scope, Sessions, companion::Companion, cookie::Cookies, fetch};
use crate::{
    http::{exactly_one, no_store},
    reply::Body,
    secret::Secret,
    token::Unverified,
};

/// A valid token that a request carries to the server.
pub struct PresentedToken {
    token: Secret<String>,
    tag: String,
    exp: i64,
}

impl Sessions {
    /// The token that a call of one of our pages carries, unless one of the request's cookies is as new.
    pub fn presented_token(&self, headers: &HeaderMap, authority: &HeaderValue) -> Option<PresentedToken> {
        if !fetch::is_same_origin(headers, authority.to_str().ok()?) {
            return None;
        }
        let token = exactly_one(headers, header::AUTHORIZATION)?;
        let (token, now) = (token.to_str().ok()?, self.clock.unix());
        let claims = self.keys.verify(Unverified(token), now).ok()?.claims;
        let tag = self.tag_of(&claims);
        if self.page_that_asks(headers).is_some_and(|page| page != tag) {
            return None;
        }
        let cookies = Cookies::of(headers);
        let running = Companion::among(&cookies, self.companion_name(), &self.keys, None);
        // Where one path is for all sessions, only the running one's cookie is refreshed.
        if self.settings.scope == Scope::Mount && running.is_some_and(|running| running.tag != tag) {
            return None;
        }
        for held in cookies.tokens {
            let held = self.keys.verify(Unverified(held), now).map(|held| held.claims);
            if held.is_ok_and(|held| self.tag_of(&held) != tag || held.exp >= claims.exp) {
                return None;
            }
        }
        Some(PresentedToken {
            token: Secret::new(token.to_owned()),
            tag,
            exp: claims.exp,
        })
    }

    /// Puts the token into the cookie, if the server accepted it and it is newer than the cookie's.
    pub fn refresh(&self, presented_token: &PresentedToken, response: &mut Response<Body>) {
        if !response.status().is_success() {
            return;
        }
        let Some(framed) = self.memory.is_newest(&presented_token.tag, presented_token.exp) else {
            return;
        };
        let cookie = self.token_cookie(
            &presented_token.tag,
            presented_token.token.expose(),
            presented_token.exp,
            framed,
        );
        if let Ok(cookie) = cookie {
            let headers = response.headers_mut();
            headers.append(header::SET_COOKIE, cookie);
            no_store(headers);
        }
    }
}
