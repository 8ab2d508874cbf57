//! One record for each request, written when its last byte is gone.

use std::{error::Error, fmt::Write as _, sync::Arc, time::Duration};

use hyper::{Method, StatusCode, Version};
use tokio::time::Instant;
use tracing::info;

use super::{Metrics, log::ACCESS, redacted};
use crate::{addr::ClientAddr, request_id::RequestId};

/// The status under which metrics count requests that were cut off.
const UNANSWERED: u16 = 0;

/// What is known of a request; writes itself when it is dropped.
pub struct AccessRecord {
    id: RequestId,
    started: Instant,
    client: ClientAddr,
    method: Method,
    path: String,
    version: Version,
    /// The place in the URL space that answered.
    route: &'static str,
    /// None: it was cut off before there was an answer.
    status: Option<StatusCode>,
    sent: u64,
    error: Option<(&'static str, String)>,
    complete: bool,
    metrics: Arc<Metrics>,
}

impl AccessRecord {
    /// A request has come in.
    pub fn begin(
        id: RequestId,
        client: ClientAddr,
        method: &Method,
        path: &str,
        version: Version,
        metrics: &Arc<Metrics>,
    ) -> Self {
        Self {
            id,
            started: Instant::now(),
            client,
            method: method.clone(),
            path: redacted(path).into_owned(),
            version,
            route: "none",
            status: None,
            sent: 0,
            error: None,
            complete: false,
            metrics: Arc::clone(metrics),
        }
    }

    /// Which part of the URL space it belongs to.
    pub fn routed(&mut self, route: &'static str) {
        self.route = route;
    }

    /// It is answered with an error: our word for it, and the whole chain of causes.
    pub fn failed(&mut self, code: &'static str, cause: Option<&dyn Error>) {
        let mut causes = String::new();
        let mut next = cause;
        while let Some(cause) = next {
            let separator = if causes.is_empty() { "" } else { ": " };
            write!(causes, "{separator}{cause}").ok();
            next = cause.source();
        }
        self.error = Some((code, causes));
    }

    /// The answer's status.
    pub fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// So many bytes of the answer's body went out.
    pub fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// The whole answer went out.
    pub fn completed(&mut self) {
        self.complete = true;
    }
}

impl Drop for AccessRecord {
    fn drop(&mut self) {
        let status = self.status.map(|status| status.as_u16());
        self.metrics.answered(self.route, status.unwrap_or(UNANSWERED));
        let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
        let (error, cause) = match &self.error {
            Some((code, causes)) => (
                Some(*code),
                Some(causes.as_str()).filter(|causes| !causes.is_empty()),
            ),
            None => (None, None),
        };
        info!(
            target: ACCESS,
            id = %self.id,
            client = %self.client,
            method = %self.method,
            path = self.path,
            version = ?self.version,
            route = self.route,
            status,
            bytes = self.sent,
            ms = millis(self.started.elapsed()),
            aborted = !self.complete,
            error,
            cause,
            "Request"
        );
    }
}
