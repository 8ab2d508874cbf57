//! The part of the request path that deals with sessions: their pages, their end, and the tokens that pass by on their
//! way from and to the server.

use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::{
    HeaderMap, Method, Request, Response,
    header::{self, HeaderValue},
    http::uri::Authority,
};

use super::{CanonicalTarget, Router, format, table::Route};
use crate::{
    client_body::ClientBody,
    files::Shown,
    handoff::{Carried, Handed, HandoffError, ServerLink, Session, Visit, is_prefetch},
    proxy::About,
    reply::{Body, Failure, Language},
};

/// Who asked the server for something that may turn out to be a link.
pub(super) struct Asked {
    method: Method,
    headers: HeaderMap,
    host: String,
    about: About,
}

impl Router {
    /// The client's page, or the redirect to it.
    pub(super) async fn page(
        &self,
        request: &Request<ClientBody>,
        target: &CanonicalTarget<'_>,
        tag: Option<&str>,
        about: &About,
    ) -> Result<Response<Body>, Failure> {
        self.framing.watch(request.headers());
        match self
            .handoff
            .handle(&self.visit(request, target, tag, about))
            .await?
        {
            Handed::Reply(response) => Ok(response),
            Handed::Page(session) => self.shown(request, session),
        }
    }

    pub(super) fn logout(
        &self,
        request: &Request<ClientBody>,
        target: &CanonicalTarget<'_>,
        tag: Option<&str>,
        about: &About,
    ) -> Result<Response<Body>, Failure> {
        let visit = self.visit(request, target, tag, about);
        Ok(self.handoff.leave(&visit, &target.host)?)
    }

    pub(super) async fn switch(
        &self,
        request: &Request<ClientBody>,
        target: &CanonicalTarget<'_>,
        about: &About,
    ) -> Result<Response<Body>, Failure> {
        let visit = self.visit(request, target, None, about);
        Ok(self.handoff.switch(&visit, &target.host).await?)
    }

    fn shown(&self, request: &Request<ClientBody>, session: Session) -> Result<Response<Body>, Failure> {
        let shown = Shown {
            claims: &session.claims,
            now: self.clock.unix(),
            language: Language::of(request.headers()),
            design: &session.design,
        };
        let nonce = session.token.is_some().then(nonce);
        let mut response = if let (Some(token), Some(nonce)) = (&session.token, &nonce) {
            self.files
                .page_with_token(shown, request.method(), token.expose(), nonce)?
        } else if session.only_now {
            self.files.page(shown, request.method(), &HeaderMap::new())?
        } else {
            self.files.page(shown, request.method(), request.headers())?
        };
        // What sets a cookie or holds a token is for this one answer, and is no part of what a cache has.
        if session.token.is_some() || session.only_now {
            let fields = response.headers_mut();
            fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            fields.remove(header::ETAG);
            fields.remove(header::LAST_MODIFIED);
            fields.extend(
                session
                    .cookies
                    .into_iter()
                    .map(|cookie| (header::SET_COOKIE, cookie)),
            );
        }
        let asked = request.uri().authority().map(Authority::as_str);
        let asked = asked.or_else(|| request.headers().get(header::HOST)?.to_str().ok());
        self.finish.as_page(&mut response, asked, nonce.as_deref());
        Ok(response)
    }

    /// For `without_tokens`. What a browser only guesses that it will want must not make the server issue a token.
    pub(super) fn asked(
        &self,
        request: &Request<ClientBody>,
        target: &CanonicalTarget<'_>,
        about: &About,
    ) -> Result<Asked, Failure> {
        if is_prefetch(request.headers()) {
            // Even BBB's form says so by the status: a browser would keep anything good to show it later.
            return Err(Failure::from(HandoffError::Prefetch).of_the_message());
        }
        Ok(Asked {
            method: request.method().clone(),
            headers: request.headers().clone(),
            host: self.own_name(&target.host).to_owned(),
            about: about.clone(),
        })
    }

    /// The server's answer; or, if it is a redirect to a link of ours, what that link would have led to.
    pub(super) async fn without_tokens(
        &self,
        asked: Asked,
        response: Response<Body>,
    ) -> Result<Response<Body>, Failure> {
        let Some(link) = ServerLink::of(&response) else {
            return Ok(response);
        };
        let is_ours = link.authority.is_none_or(|authority| {
            let authority = authority.parse::<Authority>();
            authority.is_ok_and(|authority| self.hosts.known(authority.host()).is_some())
        });
        let path = if link.path.is_empty() { "/" } else { link.path };
        let leads_here = match self.table.find(path) {
            Route::Root | Route::MountWithoutSlash | Route::PageWithoutSlash | Route::Page { .. } => true,
            Route::Logout { .. }
            | Route::Switch
            | Route::Asset(_)
            | Route::Favicon
            | Route::DesignCheck
            | Route::Issue
            | Route::Auth(_)
            | Route::Bbb
            | Route::LtiJoin
            | Route::BreakoutJoin
            | Route::Webhook
            | Route::Api
            | Route::RemoveParticipant
            | Route::Lti
            | Route::LtiApi
            | Route::Download { .. }
            | Route::Server
            | Route::Misplaced { .. }
            | Route::Nats(_)
            | Route::Livekit(_)
            | Route::Etherpad(_)
            | Route::Ingress(_)
            | Route::Nowhere => false,
        };
        if !is_ours || !leads_here {
            return Ok(response);
        }
        let query = link.query();
        let visit = Visit {
            method: &asked.method,
            headers: &asked.headers,
            path: "/",
            query: &query,
            tag: None,
            host: &asked.host,
            names_pages: format::names_pages(&asked.headers),
            client: asked.about.client,
            about: &asked.about,
        };
        Ok(self.handoff.finish(&visit).await?)
    }

    /// The answer to a call of the client's, which may have shown a newer token than the cookie has.
    pub(super) fn refreshed(&self, carried: Option<Carried>, mut response: Response<Body>) -> Response<Body> {
        if let Some(carried) = carried {
            self.handoff.refresh(&carried, &mut response);
        }
        response
    }

    fn visit<'a>(
        &'a self,
        request: &'a Request<ClientBody>,
        target: &'a CanonicalTarget<'_>,
        tag: Option<&'a str>,
        about: &'a About,
    ) -> Visit<'a> {
        Visit {
            method: request.method(),
            headers: request.headers(),
            path: target.path,
            query: target.query,
            tag,
            host: self.own_name(&target.host),
            names_pages: format::names_pages(request.headers()),
            client: about.client,
            about,
        }
    }

    /// Our own spelling of the name that was asked for.
    fn own_name(&self, authority: &HeaderValue) -> &str {
        let asked = authority
            .to_str()
            .ok()
            .and_then(|text| text.parse::<Authority>().ok());
        asked
            .and_then(|authority| self.hosts.known(authority.host()))
            .unwrap_or_default()
    }
}

/// For one script of one page; without random bytes it is one that no policy allows.
fn nonce() -> String {
    let mut bytes = [0; 16];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => BASE64_STANDARD.encode(bytes),
        Err(_) => String::new(),
    }
}
