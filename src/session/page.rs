//! Answers with the client's page for a running session.
//!
//! Not here: what the page is made of (`crate::webapp`), and its content security policy (`crate::route`).

use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::{HeaderMap, Response, header};

use super::{Session, Sessions, Visit};
use crate::{
    http::no_store,
    reply::{Body, Failure, Language, page::ClientPage},
    webapp::{Browser, Shown},
};

impl Sessions {
    pub(super) fn shown(&self, visit: &Visit<'_>, session: Session) -> Result<Response<Body>, Failure> {
        let shown = Shown {
            claims: &session.claims,
            now: self.clock.unix(),
            language: Language::of(visit.headers),
            browser: Browser::of(visit.headers),
            design: &session.design,
        };
        let nonce = session.token.is_some().then(nonce);
        let mut response = if let (Some(token), Some(nonce)) = (&session.token, &nonce) {
            self.webapp
                .page_with_token(shown, visit.method, token.expose(), nonce)?
        } else if session.only_now {
            self.webapp.page(shown, visit.method, &HeaderMap::new())?
        } else {
            self.webapp.page(shown, visit.method, visit.headers)?
        };
        // What sets a cookie or holds a token is for this one answer, and is no part of what a cache has.
        if session.token.is_some() || session.only_now {
            let fields = response.headers_mut();
            no_store(fields);
            fields.remove(header::ETAG);
            fields.remove(header::LAST_MODIFIED);
            let cookies = session.cookies.into_iter();
            fields.extend(cookies.map(|cookie| (header::SET_COOKIE, cookie)));
        }
        response.extensions_mut().insert(ClientPage { nonce });
        Ok(response)
    }
}

/// The nonce for one script of one page. Without random bytes it is one that no policy allows.
fn nonce() -> String {
    let mut bytes = [0; 16];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => BASE64_STANDARD.encode(bytes),
        Err(_) => String::new(),
    }
}
