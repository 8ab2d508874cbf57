//! `POST {mount}/design/check`: an integrator asks whether a design can go into a link.
//!
//! The answer is 200 for a bad design too, as the question has been answered; only a request that can't be read is an
//! error. `canonical` is what would be left of the design, and how each colour is written. A key that the client
//! doesn't know is a warning: it is taken out, and nobody is refused for it.
//!
//! It needs no key, as it tells nothing but the rules, and so it is limited by the client's address. What is asked
//! about is not logged, and is shown shortened and with invisible characters escaped (`crate::design::Breach`).
//!
//! Not here: what a design may be (`crate::design`).

use std::{sync::Arc, time::Duration};

use hyper::{
    Method, Response, StatusCode,
    header::{self, HeaderValue},
};
use serde_json::{Map, Value, json};

use crate::{
    addr::ClientAddr,
    client_body::{ClientRequest, Unread},
    design::{DesignRules, MAX_BYTES, Report},
    http::no_store,
    limits::{Limits, OverLimit},
    reply::{Body, Failure},
};

/// The endpoint at which designs are checked.
#[derive(Clone)]
pub struct DesignCheck {
    rules: DesignRules,
    limits: Arc<Limits>,
    deadline: Duration,
}

/// Why the endpoint does not check a design.
#[derive(Debug, thiserror::Error)]
pub enum DesignCheckError {
    /// The method is not `POST`.
    #[error("send the design as JSON with POST")]
    Method,
    /// Too many requests from one address block (an IPv4 address or an IPv6 /64).
    #[error(transparent)]
    OverLimit(OverLimit),
    /// The body is larger than any design.
    #[error("a design is at most {MAX_BYTES} bytes")]
    BodyTooLarge,
    /// The body did not arrive within the deadline.
    #[error("the body came too slowly")]
    BodyTooSlow,
    /// The client left before the body was complete.
    #[error("the body broke off")]
    BodyBroken,
}

impl DesignCheck {
    /// Makes the endpoint. `deadline` is the time for the whole body.
    pub fn new(rules: DesignRules, limits: Arc<Limits>, deadline: Duration) -> Self {
        Self {
            rules,
            limits,
            deadline,
        }
    }

    pub async fn handle(
        &self,
        request: ClientRequest,
        client: ClientAddr,
    ) -> Result<Response<Body>, DesignCheckError> {
        if request.method() != Method::POST {
            return Err(DesignCheckError::Method);
        }
        self.limits
            .design_check(client)
            .await
            .map_err(DesignCheckError::OverLimit)?;
        let design = request.into_body().whole(MAX_BYTES, self.deadline).await?;
        let answer = told(&self.rules.inspect_for_link(&design)).to_string();
        let mut response = Response::new(answer.into());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        no_store(headers);
        Ok(response)
    }
}

fn told(report: &Report) -> Value {
    let problems: Vec<Value> = report
        .breaches
        .iter()
        .map(|breach| {
            json!({
                "field": breach.field,
                "value": breach.value,
                "rule": breach.rule.code(),
                "message": breach.to_string(),
            })
        })
        .collect();
    let unheeded = report.unheeded.iter().map(|breach| {
        json!({
            "field": breach.field,
            "value": breach.value,
            "rule": breach.rule.code(),
            "message": breach.to_string(),
        })
    });
    let contrast = report.warnings.iter().map(|warning| {
        json!({
            "field": warning.field,
            "value": warning.value,
            "rule": "contrast",
            "message": warning.to_string(),
        })
    });
    let warnings: Vec<Value> = unheeded.chain(contrast).collect();
    let canonical = report.left.canonical();
    let canonical: Map<String, Value> = canonical
        .iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    json!({
        "status": problems.is_empty(),
        "problems": problems,
        "warnings": warnings,
        "canonical": canonical,
    })
}

impl From<Unread> for DesignCheckError {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::TooLarge => Self::BodyTooLarge,
            Unread::TooSlow => Self::BodyTooSlow,
            Unread::Broken => Self::BodyBroken,
        }
    }
}

impl From<DesignCheckError> for Failure {
    fn from(error: DesignCheckError) -> Self {
        let (status, code) = match &error {
            DesignCheckError::Method => (StatusCode::METHOD_NOT_ALLOWED, "method"),
            DesignCheckError::OverLimit(over) => return Self::from(*over),
            DesignCheckError::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            DesignCheckError::BodyTooSlow => (StatusCode::REQUEST_TIMEOUT, "body_too_slow"),
            DesignCheckError::BodyBroken => (StatusCode::BAD_REQUEST, "body_broken"),
        };
        let failure = Self::new(status, code, error.to_string());
        match error {
            DesignCheckError::Method => failure.header(header::ALLOW, HeaderValue::from_static("POST")),
            DesignCheckError::OverLimit(_)
            | DesignCheckError::BodyTooLarge
            | DesignCheckError::BodyTooSlow
            | DesignCheckError::BodyBroken => failure,
        }
    }
}
