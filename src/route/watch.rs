//! Looks at an upstream's answer before the client gets it, and keeps the parts of the request that are needed for
//! that.
//!
//! Answers can concern tokens: plugnmeet-server makes links with tokens, and its answer to a call shows whether it
//! accepted the token of the call.
//!
//! Source: docs/plugnmeet.md sections 0.11, 0.19, 5 and 7.

use hyper::{HeaderMap, Method, Request, Response, StatusCode, header::HeaderValue, http::uri::Authority};

use super::Router;
use crate::{
    client_body::ClientBody,
    context::RequestContext,
    proxy::below_prefix,
    reply::{Body, Failure},
    session::{PresentedToken, ServerLink, SessionError, Visit, is_prefetch},
    urls::Watch,
};

/// What the server itself may answer to an upload, and the uploader would try again a hundred times at once
/// (docs/plugnmeet.md section 5). A 400 is final.
const TRIED_AGAIN: [StatusCode; 3] = [
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    StatusCode::SERVICE_UNAVAILABLE,
];

/// What is looked for in an answer, with the parts of the request that are needed for it.
pub(super) enum Watched {
    Head(WatchedHead),
    /// A link with a token, in the head or in the body. In a box, as it is seldom.
    Link(Box<LinkRequest>),
}

/// What changes an answer's head alone.
pub(super) enum WatchedHead {
    Nothing,
    Page(HeaderValue),
    NewerToken(Option<PresentedToken>),
    Upload(Option<PresentedToken>),
    Prefix(&'static str, HeaderValue),
}

/// A request that the server may answer with a join link: what is needed to answer it instead.
pub(super) struct LinkRequest {
    /// Is the answer one of BBB's, in XML?
    in_xml: bool,
    method: Method,
    headers: HeaderMap,
    context: RequestContext,
}

impl Router {
    /// Keeps the parts of a request that its answer needs.
    pub(super) fn watched(
        &self,
        watch: Watch,
        request: &Request<ClientBody>,
        context: &RequestContext,
    ) -> Result<Watched, Failure> {
        let presented_token = || {
            self.sessions
                .presented_token(request.headers(), &context.authority)
        };
        Ok(Watched::Head(match watch {
            Watch::Nothing => WatchedHead::Nothing,
            Watch::Page => {
                self.framing.watch(request.headers());
                WatchedHead::Page(context.authority.clone())
            }
            Watch::Link => return Ok(Watched::Link(asked(request, context, false)?)),
            Watch::LinksInXml => return Ok(Watched::Link(asked(request, context, true)?)),
            Watch::NewerToken => WatchedHead::NewerToken(presented_token()),
            Watch::Upload => WatchedHead::Upload(presented_token()),
            Watch::Prefix(prefix) => WatchedHead::Prefix(prefix, context.authority.clone()),
        }))
    }

    /// Changes the head of an answer where its client must not get it as the upstream sent it.
    pub(super) fn change_head(&self, watched: WatchedHead, response: &mut Response<Body>) {
        match watched {
            WatchedHead::Nothing => {}
            WatchedHead::Page(authority) => self.finish.as_page(response, authority.to_str().ok()),
            WatchedHead::NewerToken(presented_token) => self.refresh(presented_token, response),
            WatchedHead::Upload(presented_token) => {
                if TRIED_AGAIN.contains(&response.status()) {
                    *response.status_mut() = StatusCode::BAD_REQUEST;
                }
                self.refresh(presented_token, response);
            }
            WatchedHead::Prefix(prefix, authority) => {
                below_prefix(prefix, &authority, response.headers_mut());
            }
        }
    }

    /// The server's answer without the links that its client must not get.
    pub(super) async fn with_our_links(
        &self,
        asked: &LinkRequest,
        response: Response<Body>,
    ) -> Result<Response<Body>, Failure> {
        let response = self.without_tokens(asked, response).await?;
        if asked.in_xml {
            return self.with_links(response, &asked.context).await;
        }
        Ok(response)
    }

    /// The server's answer; or, if it is a redirect to a join link of this gateway, the answer to that link.
    async fn without_tokens(
        &self,
        asked: &LinkRequest,
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
        if !is_ours || !self.table.find(path).row.action.takes_links() {
            return Ok(response);
        }
        let query = link.query();
        let visit = Visit {
            method: &asked.method,
            headers: &asked.headers,
            path: "/",
            query: &query,
            tag: None,
            context: &asked.context,
        };
        Ok(self.sessions.finish(&visit).await?)
    }

    /// Adds a refreshed cookie to the answer to a call that carried a newer token than the cookie has.
    fn refresh(&self, presented_token: Option<PresentedToken>, response: &mut Response<Body>) {
        if let Some(presented_token) = presented_token {
            self.sessions.refresh(&presented_token, response);
        }
    }
}

/// Keeps what is needed of the request. A prefetch is refused, because it must not make the server issue a token.
fn asked(
    request: &Request<ClientBody>,
    context: &RequestContext,
    in_xml: bool,
) -> Result<Box<LinkRequest>, Failure> {
    if is_prefetch(request.headers()) {
        // Even BBB's form says so by the status: a browser would keep anything good to show it later.
        return Err(Failure::from(SessionError::Prefetch).of_the_message());
    }
    Ok(Box::new(LinkRequest {
        in_xml,
        method: request.method().clone(),
        headers: request.headers().clone(),
        context: context.clone(),
    }))
}
