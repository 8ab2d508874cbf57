//! One file in memory, with the headers that it always has, and its answer to a request.
//!
//! Sources: RFC 9110 sections 13.2 (preconditions), 14 (ranges), 15.3.7, 15.4.5, 15.5.17; Fetch standard, "CORS
//! protocol" and "Cross-Origin-Resource-Policy header".

use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, SystemTime},
};

use hyper::{
    HeaderMap, Method, Response, StatusCode,
    header::{
        ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, CONTENT_ENCODING,
        CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_RANGE, LAST_MODIFIED, LINK, ORIGIN,
        RANGE, VARY, X_CONTENT_TYPE_OPTIONS,
    },
};

use super::{
    accept::Accepted,
    conditional::{Validators, Verdict},
    content::{Content, Form},
    media::{self, Keep},
    method::{self, Verb},
    multipart::Multipart,
    patient::{self, Patient},
    range::{self, Wanted},
};
use crate::{
    clock::Clock,
    http::exactly_one,
    reply::{Body, Failure},
};

const CORP: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Fields that let pages of other origins read and embed an answer.
const SHARED: [(HeaderName, HeaderValue); 2] = [
    (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    (CORP, HeaderValue::from_static("cross-origin")),
];
/// The least size at which compressing is worth it. A smaller answer is one packet in any case.
const LEAST_CODED_BYTES: usize = 256;

/// A file that is served. All answers share its content.
pub(super) struct Stored {
    content: Arc<Content>,
    /// Can the file be served in more than one coding?
    has_codings: bool,
    /// The request fields that choose between the forms of the file, and between this file and others.
    vary: Option<HeaderValue>,
    modified: Option<SystemTime>,
    /// The header fields of a full answer in any coding.
    headers: HeaderMap,
    /// May pages of other origins use the file?
    shared: bool,
}

impl Stored {
    /// A file of the client. Plugins embed the client from other origins, and no file holds anything personal.
    pub fn asset(name: &str, content: Arc<Content>, modified: Option<SystemTime>) -> Self {
        let content_type = media::content_type(name);
        Self::new(content, modified, content_type, Keep::by_name(name), &[], true)
    }

    /// The client's page; `link` names what it needs first, and `chosen_by` the request fields that choose between it and
    /// other pages. It has no date, because it follows from the file and from the configuration.
    pub fn page(content: Arc<Content>, link: Option<HeaderValue>, chosen_by: &[&str]) -> Self {
        let content_type = HeaderValue::from_static("text/html; charset=utf-8");
        let mut page = Self::new(content, None, content_type, Keep::AskAgain, chosen_by, false);
        if let Some(link) = link {
            page.headers.insert(LINK, link);
        }
        page
    }

    fn new(
        content: Arc<Content>,
        modified: Option<SystemTime>,
        content_type: HeaderValue,
        keep: Keep,
        chosen_by: &[&str],
        shared: bool,
    ) -> Self {
        let len = content.plain().bytes.len();
        let has_codings = content.forms().next().is_some()
            || (len >= LEAST_CODED_BYTES && media::is_compressible(&content_type));
        let vary: Vec<&str> = has_codings
            .then_some("Accept-Encoding")
            .into_iter()
            .chain(chosen_by.iter().copied())
            .collect();
        let modified = modified.and_then(http_time);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type);
        headers.insert(CACHE_CONTROL, keep.cache_control());
        if let Some(modified) = modified
            && let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(modified))
        {
            headers.insert(LAST_MODIFIED, date);
        }
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let stored = Self {
            content,
            has_codings,
            vary: HeaderValue::try_from(vary.join(", "))
                .ok()
                .filter(|vary| !vary.is_empty()),
            modified,
            headers: HeaderMap::new(),
            shared,
        };
        stored.mark(&mut headers);
        Self { headers, ..stored }
    }

    pub fn content(&self) -> &Arc<Content> {
        &self.content
    }

    /// The content, if it is worth compressing.
    pub fn to_code(&self) -> Option<&Arc<Content>> {
        self.has_codings.then_some(&self.content)
    }

    /// Answers a request, in the order of RFC 9110 section 13.2.2.
    pub fn answer(&self, method: &Method, asked: &HeaderMap) -> Result<Response<Body>, Failure> {
        let verb = Verb::of(method)?;
        if verb == Verb::Options {
            return Ok(self.options(asked));
        }
        let accepted = Accepted::of(asked);
        let form = self.form(verb, asked, accepted);
        let validators = Validators {
            etag: &form.etag,
            modified: self.modified,
            several_forms: self.has_codings && accepted.any_coding(),
        };
        match validators.verdict(asked) {
            Verdict::Proceed => {}
            Verdict::NotModified => return Ok(self.not_modified(form)),
            Verdict::Failed => return Ok(self.bare(StatusCode::PRECONDITION_FAILED)),
        }
        let wanted = match range_of(verb, asked) {
            Some(range) if validators.range_counts(asked) => range::wanted(range, form.bytes.len()),
            _ => Wanted::Whole,
        };
        Ok(match wanted {
            Wanted::Whole => verb.answer_with(self.whole(form)),
            Wanted::Part(part) => {
                let bounds = format!("{}-{}", part.start, part.end.saturating_sub(1));
                let mut response = self.full(form);
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                say_range(&mut response, &bounds, form);
                *response.body_mut() = Body::Full(form.bytes.slice(part));
                verb.answer_with(response)
            }
            Wanted::Parts(parts) => verb.answer_with(self.parts(form, &parts)),
            Wanted::Unsatisfiable => {
                let mut refusal = self.bare(StatusCode::RANGE_NOT_SATISFIABLE);
                say_range(&mut refusal, "*", form);
                refusal
            }
        })
    }

    /// As `answer`, at an address that says otherwise than the file's name how long the file may be kept.
    pub fn answer_kept(
        &self,
        method: &Method,
        asked: &HeaderMap,
        keep: Keep,
    ) -> Result<Response<Body>, Failure> {
        let mut response = self.answer(method, asked)?;
        // What no cache may keep has no such field.
        if let Some(value) = response.headers_mut().get_mut(CACHE_CONTROL) {
            *value = keep.cache_control();
        }
        Ok(response)
    }

    /// Which form this request is answered in.
    ///
    /// A part is of the form that the client says it has, else of the file as it is: forms may come between one part and
    /// the next, and only that one was there from the start.
    fn form(&self, verb: Verb, asked: &HeaderMap, accepted: Accepted) -> &Form {
        if !self.has_codings {
            return self.content.plain();
        }
        let welcome = |form: &&Form| form.coding.map_or(accepted.identity(), |c| accepted.weight(c)) > 0;
        let of_a_part = range_of(verb, asked).and_then(|_| match exactly_one(asked, &IF_RANGE) {
            Some(tag) => self.content.tagged(tag),
            None if asked.contains_key(IF_RANGE) => None,
            None => Some(self.content.plain()),
        });
        of_a_part
            .filter(welcome)
            .unwrap_or_else(|| self.content.best(accepted))
    }

    /// The whole file with all its fields. A large script is sent in small frames first, so that the page's other files
    /// arrive earlier.
    fn whole(&self, form: &Form) -> Response<Body> {
        let mut response = self.full(form);
        let is_script = self.headers.get(CONTENT_TYPE).is_some_and(media::is_script);
        if is_script && form.bytes.len() >= patient::LEAST_BYTES {
            *response.body_mut() = Body::stream(Patient::new(form.bytes.clone()));
        }
        response
    }

    fn full(&self, form: &Form) -> Response<Body> {
        let mut response = Response::new(Body::Full(form.bytes.clone()));
        let headers = response.headers_mut();
        headers.clone_from(&self.headers);
        headers.insert(ETAG, form.etag.clone());
        if let Some(coding) = form.coding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        }
        response
    }

    /// Several parts, few and apart, so that they cost no more than the whole and a line or two for each. A coded form is sent
    /// whole, as RFC 9110 does not say whether `Content-Encoding` would be about the parts, or about the message.
    fn parts(&self, form: &Form, parts: &[Range<usize>]) -> Response<Body> {
        let mut response = self.full(form);
        let Some(content_type) = self.headers.get(CONTENT_TYPE).filter(|_| form.coding.is_none()) else {
            return response;
        };
        let body = Multipart::new(&form.bytes, self.content.hash, content_type, parts);
        if let Some(content_type) = body.content_type() {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            response.headers_mut().insert(CONTENT_TYPE, content_type);
            *response.body_mut() = Body::stream(body);
        }
        response
    }

    /// The answer 304, with the fields that a cache needs to renew its copy, and no others (RFC 9110 section 15.4.5). `Link`
    /// is one of them: pages that differ in it alone have the same `ETag`, so the copy may be another one's.
    fn not_modified(&self, form: &Form) -> Response<Body> {
        let mut response = self.bare(StatusCode::NOT_MODIFIED);
        let headers = response.headers_mut();
        headers.insert(ETAG, form.etag.clone());
        for name in [CACHE_CONTROL, LINK] {
            if let Some(value) = self.headers.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        response
    }

    /// An answer without content that no cache may keep.
    fn bare(&self, status: StatusCode) -> Response<Body> {
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = status;
        self.mark(response.headers_mut());
        response
    }

    /// Adds the fields that every answer needs for caches and for pages of other origins.
    fn mark(&self, headers: &mut HeaderMap) {
        if let Some(vary) = &self.vary {
            headers.insert(VARY, vary.clone());
        }
        if self.shared {
            share(headers);
        }
    }

    /// Answers `OPTIONS`, and with it the preflight request of a script of another origin.
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

/// The answer for a file that its release does not have, and never will: it may be kept as a file is. Who has kept it gives
/// it to everybody, so it says nothing.
pub(super) fn never_there(method: &Method) -> Result<Response<Body>, Failure> {
    let verb = Verb::of(method)?;
    if verb == Verb::Options {
        return Ok(method::options());
    }
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NOT_FOUND;
    share(response.headers_mut());
    response
        .headers_mut()
        .insert(CACHE_CONTROL, Keep::ForGood.cache_control());
    Ok(response)
}

/// Lets scripts of other origins read why there is no file.
pub(super) fn shared(failure: Failure) -> Failure {
    SHARED
        .into_iter()
        .fold(failure, |failure, (name, value)| failure.header(name, value))
}

/// The range, if there is exactly one `Range` field and the method is `GET` (RFC 9110 section 14.2).
fn range_of(verb: Verb, asked: &HeaderMap) -> Option<&HeaderValue> {
    exactly_one(asked, &RANGE).filter(|_| verb == Verb::Get)
}

fn say_range(response: &mut Response<Body>, bounds: &str, form: &Form) {
    if let Ok(value) = HeaderValue::try_from(format!("bytes {bounds}/{}", form.bytes.len())) {
        response.headers_mut().insert(CONTENT_RANGE, value);
    }
}

/// A file's time as HTTP can say it: in whole seconds since 1970, and (RFC 9110 section 8.8.2.1) not in the future.
fn http_time(modified: SystemTime) -> Option<SystemTime> {
    let since_1970 = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let whole = SystemTime::UNIX_EPOCH + Duration::from_secs(since_1970.as_secs());
    (whole <= Clock::system().wall()).then_some(whole)
}
