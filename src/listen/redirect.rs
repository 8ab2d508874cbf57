//! Plain HTTP: nothing is served here but the way to HTTPS, and answers to checks of CAs.

use hyper::{
    Request, Response, StatusCode,
    header::{self, HeaderValue},
};

use super::checks::Checks;
use crate::{
    client_body::{ClientBody, ClientRequest},
    conn::Handler,
    context::Peer,
    http::{no_store, readable_from_anywhere, with_brackets},
    reply::{Body, Failure, Language, Reader, redirect},
    route::{BadTarget, CanonicalTarget, Hosts, Table, error_form, known_method},
};

/// Answers every request with a redirect to HTTPS.
pub struct Redirect {
    hosts: Hosts,
    /// The port in the redirect, such as `:8443`; empty for 443.
    port: String,
    /// The URL space behind the redirect, from which the form of an error follows.
    table: Table,
    checks: Checks,
}

impl Redirect {
    /// Redirects to these names, and to the port at which clients see HTTPS; `None` for 443.
    pub fn new(hosts: Hosts, port: Option<u16>, table: Table) -> Self {
        Self {
            hosts,
            port: port.map(|port| format!(":{port}")).unwrap_or_default(),
            table,
            checks: Checks::default(),
        }
    }

    /// The same, behind answers to checks of CAs.
    #[must_use]
    pub fn behind(self, checks: Checks) -> Self {
        Self { checks, ..self }
    }

    /// 308 keeps method and body. The name in it is our own spelling of one of ours, never the client's.
    fn answer(&self, request: &Request<ClientBody>) -> Result<Response<Body>, Failure> {
        let target = CanonicalTarget::of(request, &self.hosts)?;
        known_method(request.method())?;
        let named = target.host.to_str().unwrap_or_default();
        let host = named.parse::<hyper::http::uri::Authority>().ok();
        let host = host
            .as_ref()
            .and_then(|host| self.hosts.known(host.host()))
            .unwrap_or_default();
        let host = with_brackets(host);
        let location = format!(
            "https://{host}{}{}",
            self.port,
            CanonicalTarget::path_and_query(request.uri())
        );
        let location = HeaderValue::try_from(location).map_err(|_| Failure::from(BadTarget::Form))?;
        let mut response = redirect(StatusCode::PERMANENT_REDIRECT, location);
        if !target.query.is_empty() {
            // The query may hold a token, and caches may keep a 308 for good (RFC 9110 section 15.4.9).
            no_store(response.headers_mut());
        }
        Ok(response)
    }
}

impl Handler for Redirect {
    type Body = Body;

    async fn handle(&self, request: ClientRequest, peer: Peer) -> Response<Body> {
        if let Some(answer) = self.checks.answer(&request).await {
            return answer;
        }
        self.answer(&request)
            .unwrap_or_else(|failure| self.refuse(&request, peer, failure))
    }

    fn refuse(&self, request: &Request<ClientBody>, _: Peer, failure: Failure) -> Response<Body> {
        let reader = Reader {
            language: Language::of(request.headers()),
            ..Reader::default()
        };
        let form = error_form(request, &self.table);
        let mut response = failure.of_the_message().into_response(form, &reader);
        if request.headers().contains_key(header::ORIGIN) {
            readable_from_anywhere(response.headers_mut());
        }
        response
    }
}
