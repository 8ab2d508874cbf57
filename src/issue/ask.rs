//! A request that the gateway itself sends to plugnmeet-server, signed with the server's own key.
//!
//! Not here: what is asked, and what follows from the answer (`super::owners`, `super::renewal`).

use std::time::Duration;

use bytes::Bytes;
use hyper::{
    Method, Request,
    header::{self, HeaderValue},
    http::uri::PathAndQuery,
};
use serde_json::Value;
use tokio::time::timeout;

use super::{Issue, answer::Whole};
use crate::context::RequestContext;

/// The largest answer that is read. The server's answer about a room names every participant, with some 1 KiB for each.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

impl Issue {
    /// The server's answer to this request, with any status; none if no answer came within `patience`.
    pub(super) async fn ask(
        &self,
        path: &'static str,
        body: &Value,
        context: &RequestContext,
        patience: Duration,
    ) -> Option<Whole> {
        let body = Bytes::from(body.to_string());
        let mut request = Box::new(Request::new(body.clone()));
        *request.method_mut() = Method::POST;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        self.sign_anew(request.headers_mut(), &body);
        let server = self.server().ok()?;
        let answer = async {
            let path = PathAndQuery::from_static(path);
            Whole::of_at_most(
                server.forward_whole(request, path, context).await?,
                MAX_ANSWER_BYTES,
            )
            .await
        };
        timeout(patience, answer).await.ok()?.ok()
    }
}
