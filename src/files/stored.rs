//! One file in memory, with the headers that it always has, and its answer to a request.
//!
//! Sources: RFC 9110 sections 13.2 (preconditions), 14 (ranges), 15.3.7, 15.4.5, 15.5.17; Fetch standard, "CORS
//! protocol" and "Cross-Origin-Resource-Policy header".

use std::time::{Duration, SystemTime};

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use hyper::{
    HeaderMap, Method, Response, StatusCode,
    header::{
        ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, CONTENT_RANGE,
        CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LAST_MODIFIED, ORIGIN, RANGE, X_CONTENT_TYPE_OPTIONS,
    },
};

use super::{
    conditional::{Validators, Verdict},
    folder::Found,
    media,
    method::{self, Verb},
    range::{self, Asked},
};
use crate::{
    clock::Clock,
    reply::{Body, Failure},
};

const CORP: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Leave for pages of other origins, to read and to embed.
const SHARED: [(HeaderName, HeaderValue); 2] = [
    (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    (CORP, HeaderValue::from_static("cross-origin")),
];

/// Content that is shared by all its answers.
pub(super) struct Stored {
    content: Bytes,
    validators: Validators,
    /// The headers of a full answer.
    headers: HeaderMap,
    /// May pages of other origins use it?
    shared: bool,
}

impl Stored {
    /// A file of the client. Plugins embed the client from other origins, and nothing in a file is anybody's own.
    pub fn asset(name: &str, found: Found) -> Self {
        Self::new(
            found.content.into(),
            found.modified,
            media::content_type(name),
            media::cache_control(name),
            true,
        )
    }

    /// The client's page. It has no date: it follows from the file and from the configuration.
    pub fn page(html: String) -> Self {
        Self::new(
            html.into(),
            None,
            HeaderValue::from_static("text/html; charset=utf-8"),
            HeaderValue::from_static("no-cache"),
            false,
        )
    }

    fn new(
        content: Bytes,
        modified: Option<SystemTime>,
        content_type: HeaderValue,
        cache_control: HeaderValue,
        shared: bool,
    ) -> Self {
        let validators = Validators {
            etag: etag(&content),
            modified: modified.and_then(http_time),
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type);
        headers.insert(CACHE_CONTROL, cache_control);
        headers.insert(ETAG, validators.etag.clone());
        if let Some(modified) = validators.modified
            && let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(modified))
        {
            headers.insert(LAST_MODIFIED, date);
        }
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if shared {
            share(&mut headers);
        }
        Self {
            content,
            validators,
            headers,
            shared,
        }
    }

    /// The answer to a request, in the order of RFC 9110 section 13.2.2.
    pub fn answer(&self, method: &Method, asked: &HeaderMap) -> Result<Response<Body>, Failure> {
        let verb = Verb::of(method)?;
        if verb == Verb::Options {
            return Ok(self.options(asked));
        }
        match self.validators.verdict(asked) {
            Verdict::Proceed => {}
            Verdict::NotModified => return Ok(self.not_modified()),
            Verdict::Failed => return Ok(self.bare(StatusCode::PRECONDITION_FAILED)),
        }
        Ok(match self.range(verb, asked) {
            Asked::Whole => verb.answer_with(self.full(self.content.clone())),
            Asked::Part(range) => {
                let bounds = format!("{}-{}", range.start, range.end.saturating_sub(1));
                let mut part = self.full(self.content.slice(range));
                *part.status_mut() = StatusCode::PARTIAL_CONTENT;
                self.say_range(&mut part, &bounds);
                verb.answer_with(part)
            }
            Asked::Unsatisfiable => {
                let mut refusal = self.bare(StatusCode::RANGE_NOT_SATISFIABLE);
                self.say_range(&mut refusal, "*");
                refusal
            }
        })
    }

    /// RFC 9110 section 14.2: `Range` is for `GET` alone, and there is one or none.
    fn range(&self, verb: Verb, asked: &HeaderMap) -> Asked {
        let mut ranges = asked.get_all(RANGE).iter();
        match (ranges.next(), ranges.next()) {
            (Some(value), None) if verb == Verb::Get && self.validators.range_counts(asked) => {
                range::asked(value, self.content.len())
            }
            _ => Asked::Whole,
        }
    }

    fn full(&self, content: Bytes) -> Response<Body> {
        let mut response = Response::new(Body::Full(content));
        *response.headers_mut() = self.headers.clone();
        response
    }

    /// RFC 9110 section 15.4.5: what a cache needs to renew what it has, and no more.
    fn not_modified(&self) -> Response<Body> {
        let mut response = self.bare(StatusCode::NOT_MODIFIED);
        for name in [CACHE_CONTROL, ETAG] {
            if let Some(value) = self.headers.get(&name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        response
    }

    /// Without content, and without leave to keep it.
    fn bare(&self, status: StatusCode) -> Response<Body> {
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = status;
        if self.shared {
            share(response.headers_mut());
        }
        response
    }

    fn say_range(&self, response: &mut Response<Body>, bounds: &str) {
        if let Ok(value) = HeaderValue::try_from(format!("bytes {bounds}/{}", self.content.len())) {
            response.headers_mut().insert(CONTENT_RANGE, value);
        }
    }

    /// Scripts of other origins ask first when their request is out of the ordinary.
    fn options(&self, asked: &HeaderMap) -> Response<Body> {
        let mut response = method::options();
        let is_preflight = asked.contains_key(ORIGIN) && asked.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if self.shared && is_preflight {
            share(response.headers_mut());
            let headers = response.headers_mut();
            headers.insert(
                ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static("GET, HEAD"),
            );
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*"));
        }
        response
    }
}

fn share(headers: &mut HeaderMap) {
    headers.extend(SHARED);
}

/// Scripts of other origins read too why there is no file.
pub(super) fn shared(failure: Failure) -> Failure {
    SHARED
        .into_iter()
        .fold(failure, |failure, (name, value)| failure.header(name, value))
}

/// A strong tag: half of a SHA-256 tells any two contents apart.
#[expect(
    clippy::expect_used,
    reason = "at the start alone, and base64url is always a valid value"
)]
fn etag(content: &[u8]) -> HeaderValue {
    let hash = digest::digest(&digest::SHA256, content);
    let half = hash.as_ref().iter().copied().take(16).collect::<Vec<_>>();
    let tag = format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(half));
    HeaderValue::try_from(tag).expect("visible ASCII")
}

/// A file's time as HTTP can say it: in whole seconds since 1970, and (RFC 9110 section 8.8.2.1) not in the future.
fn http_time(modified: SystemTime) -> Option<SystemTime> {
    let since_1970 = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let whole = SystemTime::UNIX_EPOCH + Duration::from_secs(since_1970.as_secs());
    (whole <= Clock::system().wall()).then_some(whole)
}
