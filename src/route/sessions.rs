//! The part of the request path that deals with sessions: their pages and their end.

use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::{
    HeaderMap, Request, Response,
    header::{self, HeaderValue},
    http::uri::Authority,
};

use super::{Router, format};
use crate::{
    client_body::ClientBody,
    files::Shown,
    handoff::{Handed, Session, Visit},
    proxy::About,
    reply::{Body, Failure, Language},
    urls::Step,
};

impl Router {
    /// The client's page, or the redirect to it.
    pub(super) async fn page(
        &self,
        request: &Request<ClientBody>,
        tag: Option<&str>,
        about: &About,
    ) -> Result<Response<Body>, Failure> {
        self.framing.watch(request.headers());
        match self.handoff.handle(&self.visit(request, tag, about)).await? {
            Handed::Reply(response) => Ok(response),
            Handed::Page(session) => self.shown(request, session),
        }
    }

    pub(super) async fn session(
        &self,
        step: Step,
        request: &Request<ClientBody>,
        tag: Option<&str>,
        about: &About,
    ) -> Result<Response<Body>, Failure> {
        match step {
            Step::Enter => self.page(request, tag, about).await,
            Step::Leave => Ok(self
                .handoff
                .leave(&self.visit(request, tag, about), &about.host)?),
            Step::Switch => {
                let visit = self.visit(request, None, about);
                Ok(self.handoff.switch(&visit, &about.host).await?)
            }
        }
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

    fn visit<'a>(
        &'a self,
        request: &'a Request<ClientBody>,
        tag: Option<&'a str>,
        about: &'a About,
    ) -> Visit<'a> {
        Visit {
            method: request.method(),
            headers: request.headers(),
            path: request.uri().path(),
            query: request.uri().query().unwrap_or_default(),
            tag,
            host: self.own_name(&about.host),
            names_pages: format::names_pages(request.headers()),
            client: about.client,
            about,
        }
    }

    /// Our own spelling of the name that was asked for.
    pub(super) fn own_name(&self, authority: &HeaderValue) -> &str {
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
