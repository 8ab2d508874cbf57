//! How many are let in before somebody who waits: what the script in the client's page asks (`webapp/waiting.rs`).
//!
//! SECURITY: the session's cookie says who asks, and the answer is about that person alone. Another origin's script can't
//! read it, as nothing allows it to.

use hyper::{
    Request, Response,
    header::{self, HeaderValue},
};
use serde_json::json;

use super::Router;
use crate::{
    client_body::ClientBody, context::RequestContext, http::no_store, joining::Person, reply::Body,
    session::SessionError,
};

impl Router {
    pub(super) fn waiting(
        &self,
        tag: Option<&str>,
        request: &Request<ClientBody>,
        context: &RequestContext,
    ) -> Result<Response<Body>, SessionError> {
        let claims = self.sessions.who_asks(tag, request, context)?;
        let person = Person {
            room_id: claims.room_id.into(),
            user_id: claims.user_id.into(),
        };
        let waiting = self
            .joining
            .before(&person)
            .map(|(since, before)| json!({ "seconds": since.as_secs(), "before": before }));
        let mut response = Response::new(Body::from(json!({ "waiting": waiting }).to_string()));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        no_store(headers);
        Ok(response)
    }
}
