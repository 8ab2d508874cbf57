//! A refusal, and how the caller is told to wait.
//!
//! Source: the `RateLimit` fields: draft-ietf-httpapi-ratelimit-headers-10.

use std::time::Duration;

use hyper::{
    StatusCode,
    header::{HeaderName, HeaderValue, RETRY_AFTER},
};

use super::rate::RateSettings;
use crate::reply::Failure;

/// A refusal: the limit that was reached, and the time to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests: try again in {} s", whole_secs(*.wait))]
pub struct OverLimit {
    pub(super) limit: &'static str,
    pub(super) rate: RateSettings,
    pub(super) wait: Duration,
}

impl OverLimit {
    /// The time to wait in whole seconds, at least 1.
    pub fn wait_secs(&self) -> u64 {
        whole_secs(self.wait)
    }
}

fn whole_secs(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

impl From<OverLimit> for Failure {
    fn from(over: OverLimit) -> Self {
        let (name, wait) = (over.limit, over.wait_secs());
        let policy = format!(
            "\"{name}\";q={};w={}",
            over.rate.count,
            over.rate.window.as_secs()
        );
        let state = format!("\"{name}\";r=0;t={wait}");
        let text = |value: String| HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static(""));
        Self::new(StatusCode::TOO_MANY_REQUESTS, "over_limit", over.to_string())
            .naming("seconds", &wait)
            .header(RETRY_AFTER, HeaderValue::from(wait))
            .header(HeaderName::from_static("ratelimit-policy"), text(policy))
            .header(HeaderName::from_static("ratelimit"), text(state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::{Format, Reader};

    #[test]
    fn the_answer_has_the_fields_of_the_draft() {
        let over = OverLimit {
            limit: "user",
            rate: RateSettings::parse("10/min").unwrap(),
            wait: Duration::from_millis(5_200),
        };
        let response =
            Failure::from(over).into_response(Format::Auth { protobuf: false }, &Reader::default());
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "6");
        assert_eq!(response.headers()["ratelimit-policy"], r#""user";q=10;w=60"#);
        assert_eq!(response.headers()["ratelimit"], r#""user";r=0;t=6"#);
    }
}
