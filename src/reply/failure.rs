//! An error for the client, and the forms in which callers can read it.
//!
//! INVARIANT: a failure's message is ours or the server's wording; it never holds a token, a signature or a secret.

use std::{borrow::Cow, error::Error, fmt, sync::Arc};

use bytes::{BufMut, BytesMut};
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
};
use serde_json::{Map, Value, json};

use super::{Body, Language, Topic, page, words};
use crate::{http::no_store, request_id::RequestId};

/// The names of plugNmeet's `StatusCode` that the gateway uses; SDKs break on any that they don't know
/// (docs/plugnmeet.md sections 0.4 and 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerCode {
    Success,
    PermissionDenied,
    NotFound,
    InvalidTokenOrSignature,
    InvalidApiKey,
    InternalServerError,
    InvalidParameters,
    MissingRequiredParameter,
}

impl ServerCode {
    /// The code's name in the field `status_code`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::NotFound => "NOT_FOUND",
            Self::InvalidTokenOrSignature => "INVALID_TOKEN_OR_SIGNATURE",
            Self::InvalidApiKey => "INVALID_API_KEY",
            Self::InternalServerError => "INTERNAL_SERVER_ERROR",
            Self::InvalidParameters => "INVALID_PARAMETERS",
            Self::MissingRequiredParameter => "MISSING_REQUIRED_PARAMETER",
        }
    }
}

/// The form of an error answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `/auth`, and what is plainly meant for an API elsewhere: the server's JSON; a refused signature in protobuf to
    /// those who sent protobuf to `/auth` (docs/plugnmeet.md section 1).
    Auth {
        /// Was the request's `Content-Type` exactly `application/protobuf`?
        protobuf: bool,
    },
    /// `/api`: a protobuf `CommonResponse` if the request was protobuf, else the server's JSON.
    Api { protobuf: bool },
    /// `/api/fileUpload`: as `Api`, with the one status that the uploader doesn't retry (docs/plugnmeet.md section 5).
    Upload,
    /// BBB's XML with `FAILED`, and status 200.
    Bbb,
    /// A page for people, or the gateway's JSON.
    Page {
        /// Does the caller prefer JSON?
        json: bool,
    },
}

/// Who is told, and what they can quote or follow. Only people and scripts that follow links are told of the last two:
/// the other forms are the server's, to the byte.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reader<'a> {
    pub language: Language,
    /// The request's id, by which the operator finds the request in the log.
    pub request: Option<RequestId>,
    /// The address of the site that hands out links.
    pub login_url: Option<&'a str>,
}

/// The code for a request that reached no upstream.
pub const NOT_SENT: &str = "upstream_unreachable";

/// An error, ready to be answered in any form.
#[derive(Clone, Debug)]
pub struct Failure(Box<Told>);

#[derive(Clone, Debug)]
struct Told {
    status: StatusCode,
    code: &'static str,
    server_code: ServerCode,
    message: Cow<'static, str>,
    topic: Topic,
    values: Vec<words::Value>,
    headers: HeaderMap,
    /// Is the HTTP message itself wrong, whatever it asks for?
    of_the_message: bool,
    /// The cause. It is shared because several requests may wait for the same call.
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Failure {
    /// Makes an error. `code` is the stable word for logs and JSON; `message` is the text for the caller.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        let (server_code, topic) = defaults(status);
        Self(Box::new(Told {
            status,
            code,
            server_code,
            message: message.into(),
            topic,
            values: Vec::new(),
            headers: HeaderMap::new(),
            of_the_message: false,
            source: None,
        }))
    }

    /// Sets another text for the caller.
    #[must_use]
    pub fn saying(mut self, message: String) -> Self {
        self.0.message = message.into();
        self
    }

    /// Sets another `status_code` of the server's than the status suggests.
    #[must_use]
    pub fn server_code(mut self, server_code: ServerCode) -> Self {
        self.0.server_code = server_code;
        self
    }

    /// Sets another topic of the page than the status suggests.
    #[must_use]
    pub fn about(mut self, topic: Topic) -> Self {
        self.0.topic = topic;
        self
    }

    /// What pages put into their sentence about it, by the name that stands in braces there.
    #[must_use]
    pub fn naming(mut self, name: &'static str, value: &impl ToString) -> Self {
        self.0.values.push((name, value.to_string()));
        self
    }

    /// Adds a header field to the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.append(name, value);
        self
    }

    /// Marks the error as one of the HTTP message, so that every form keeps its status.
    #[must_use]
    pub fn of_the_message(mut self) -> Self {
        self.0.of_the_message = true;
        self
    }

    /// Sets the cause, which only the access record shows.
    #[must_use]
    pub fn caused_by(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// The stable code in logs, metrics and pages.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The status. A form may answer with another one.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The cause, if there is one.
    pub fn cause(&self) -> Option<&(dyn Error + Send + Sync)> {
        self.0.source.as_deref()
    }

    /// The answer to this error, in the caller's form.
    pub fn into_response(self, format: Format, reader: &Reader<'_>) -> Response<Body> {
        let told = *self.0;
        let (status, media, body): (_, _, Body) = match format {
            Format::Auth { protobuf: true } if told.status == StatusCode::UNAUTHORIZED => {
                (told.status, "application/protobuf", told.common_response())
            }
            Format::Auth { .. } | Format::Api { protobuf: false } => {
                (told.status, "application/json", told.json())
            }
            Format::Api { protobuf: true } => (told.status, "application/protobuf", told.common_response()),
            Format::Upload => (StatusCode::BAD_REQUEST, "application/json", told.json()),
            // BBB and the server refuse with 200, and clients that judge by the status would lose the key.
            Format::Bbb => {
                let status = if told.of_the_message {
                    told.status
                } else {
                    StatusCode::OK
                };
                (status, "application/xml; charset=utf-8", told.bbb())
            }
            Format::Page { json: true } => (told.status, "application/json", told.page_json(reader)),
            Format::Page { json: false } => {
                let what = page::Told {
                    code: told.code,
                    values: &told.values,
                    message: &told.message,
                };
                let mut response = page::message(told.status, told.topic, what, reader);
                merge(response.headers_mut(), told.headers);
                return unsniffed(response);
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        no_store(response.headers_mut());
        merge(response.headers_mut(), told.headers);
        unsniffed(response)
    }
}

/// Keeps browsers from guessing another type for an answer that contains parts of a request.
fn unsniffed(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

impl Told {
    fn json(&self) -> Body {
        server_json(false, &self.message, self.server_code).into()
    }

    /// The body for scripts that follow join links: the server's JSON with our own code added, which tells expired from
    /// forged.
    fn page_json(&self, reader: &Reader<'_>) -> Body {
        let request = reader.request.map(|id| ("request_id", id.to_string().into()));
        let login = reader.login_url.map(|url| ("login_url", url.into()));
        let fields = [
            ("status", false.into()),
            ("msg", self.message.as_ref().into()),
            ("status_code", self.server_code.name().into()),
            ("code", self.code.into()),
        ];
        let fields: Map<String, Value> = fields
            .into_iter()
            .chain(request)
            .chain(login)
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        Value::Object(fields).to_string().into()
    }

    /// `CommonResponse`: field 1 `status` (false, so absent) and 2 `msg`, as the server's own refusals have it. The client
    /// reads it as the answer of the very call that it made: a field 3, `status_code`, is another type's there, and the
    /// page hangs for ever (docs/plugnmeet.md section 0.3).
    fn common_response(&self) -> Body {
        let message = self.message.as_bytes();
        let mut out = BytesMut::with_capacity(message.len() + 8);
        out.put_u8(0x12);
        let mut left = message.len();
        loop {
            let [low, ..] = left.to_le_bytes();
            left >>= 7;
            out.put_u8(low & 0x7f | if left > 0 { 0x80 } else { 0 });
            if left == 0 {
                break;
            }
        }
        out.put_slice(message);
        out.freeze().into()
    }

    fn bbb(&self) -> Body {
        format!(
            "<response><returncode>FAILED</returncode><messageKey>{}</messageKey><message>{}</message></response>",
            self.code,
            escape_xml(&self.message)
        )
        .into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

/// The server's answer without a token: names and order as its protojson has them (docs/plugnmeet.md section 1).
pub fn server_json(status: bool, message: &str, code: ServerCode) -> String {
    json!({ "status": status, "msg": message, "status_code": code.name() }).to_string()
}

fn escape_xml(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn merge(into: &mut HeaderMap, from: HeaderMap) {
    let mut last = None;
    for (name, value) in from {
        last = name.or(last);
        if let Some(name) = &last {
            into.append(name.clone(), value);
        }
    }
}

/// The server's code and the page's topic for a status, if the error sets none.
fn defaults(status: StatusCode) -> (ServerCode, Topic) {
    match status.as_u16() {
        401 => (ServerCode::InvalidTokenOrSignature, Topic::UnusableLink),
        403 => (ServerCode::PermissionDenied, Topic::NotAllowed),
        404 => (ServerCode::NotFound, Topic::NotFound),
        429 => (ServerCode::PermissionDenied, Topic::OverLimit),
        500..=599 => (ServerCode::InternalServerError, Topic::ServerDown),
        _ => (ServerCode::InvalidParameters, Topic::BadRequest),
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::request_id::RequestIds;

    async fn text_of(failure: Failure, format: Format) -> (u16, String, String) {
        told_to(&Reader::default(), failure, format).await
    }

    async fn told_to(reader: &Reader<'_>, failure: Failure, format: Format) -> (u16, String, String) {
        let response = failure.into_response(format, reader);
        let status = response.status().as_u16();
        let media = response.headers()["content-type"].to_str().unwrap().to_owned();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, media, String::from_utf8_lossy(&bytes).into_owned())
    }

    fn down() -> Failure {
        Failure::new(
            StatusCode::BAD_GATEWAY,
            "upstream_down",
            "upstream <can't> be reached",
        )
    }

    #[tokio::test]
    async fn on_auth_an_error_is_the_servers_json_and_nothing_more() {
        let (status, media, body) = text_of(down(), Format::Auth { protobuf: true }).await;
        assert_eq!((status, media.as_str()), (502, "application/json"));
        assert_eq!(
            body,
            r#"{"status":false,"msg":"upstream <can't> be reached","status_code":"INTERNAL_SERVER_ERROR"}"#
        );
    }

    /// docs/plugnmeet.md section 1: a refusal to a protobuf request is a `CommonResponse` without `status_code`.
    #[tokio::test]
    async fn a_refused_protobuf_request_on_auth_is_answered_in_protobuf() {
        let failure = Failure::new(StatusCode::UNAUTHORIZED, "no_api_key", "Missing API-KEY header.");
        let (status, media, body) = text_of(failure, Format::Auth { protobuf: true }).await;
        assert_eq!((status, media.as_str()), (401, "application/protobuf"));
        assert_eq!(body, "\u{12}\u{17}Missing API-KEY header.");
    }

    #[tokio::test]
    async fn on_api_a_protobuf_request_gets_a_common_response_of_its_message_alone() {
        for status in [
            400, 401, 403, 404, 405, 408, 413, 421, 429, 431, 500, 502, 503, 504,
        ] {
            let failure = Failure::new(StatusCode::from_u16(status).unwrap(), "code", "what <went> wrong");
            let (told, media, body) = text_of(failure, Format::Api { protobuf: true }).await;
            assert_eq!((told, media.as_str()), (status, "application/protobuf"));
            assert_eq!(body, "\u{12}\u{11}what <went> wrong", "{status}");
        }
        let long = Failure::new(StatusCode::BAD_GATEWAY, "code", "x".repeat(300));
        let (.., body) = text_of(long, Format::Api { protobuf: true }).await;
        // The length's first byte, 0xac, is no UTF-8.
        assert_eq!(body, format!("\u{12}\u{fffd}\u{2}{}", "x".repeat(300)));
    }

    /// docs/plugnmeet.md section 5: the uploader retries anything but a few statuses a hundred times.
    #[tokio::test]
    async fn an_upload_fails_with_400_whatever_went_wrong() {
        assert_eq!(text_of(down(), Format::Upload).await.0, 400);
    }

    #[tokio::test]
    async fn bbb_gets_its_own_xml() {
        let (status, media, body) = text_of(down(), Format::Bbb).await;
        assert_eq!((status, media.as_str()), (200, "application/xml; charset=utf-8"));
        assert_eq!(text_of(down().of_the_message(), Format::Bbb).await.0, 502);
        assert!(body.contains("<returncode>FAILED</returncode>"), "{body}");
        assert!(body.contains("upstream &lt;can't&gt; be reached"), "{body}");
    }

    #[tokio::test]
    async fn a_page_escapes_what_it_shows() {
        let (_, media, body) = text_of(down(), Format::Page { json: false }).await;
        assert_eq!(media, "text/html; charset=utf-8");
        assert!(body.contains("Upstream &lt;can't&gt; be reached."), "{body}");
    }

    fn german(ids: &RequestIds) -> Reader<'static> {
        Reader {
            language: Language::De,
            request: Some(ids.next()),
            login_url: Some("https://lms.example.org/login?a=1&b=2"),
        }
    }

    #[tokio::test]
    async fn a_page_speaks_the_readers_language_and_marks_what_does_not() {
        let reader = german(&RequestIds::default());
        let (.., body) = told_to(&reader, down(), Format::Page { json: false }).await;
        for part in [
            "<html lang=\"de\">".to_owned(),
            "<h1>Die Besprechung ist gerade nicht erreichbar</h1>".to_owned(),
            "<p class=\"soft\" lang=\"en\" dir=\"ltr\">Upstream".to_owned(),
            "href=\"https://lms.example.org/login?a=1&amp;b=2\"".to_owned(),
            "Zur Anmeldeseite".to_owned(),
            format!("Anfrage <code>{}</code>", reader.request.unwrap()),
        ] {
            assert!(body.contains(&part), "{part} in {body}");
        }
        let (.., english) = text_of(down(), Format::Page { json: false }).await;
        assert!(english.contains("<p class=\"soft\">Upstream"), "{english}");
        assert!(
            !english.contains("<code>") && !english.contains("href"),
            "{english}"
        );
    }

    #[tokio::test]
    async fn json_for_people_has_what_they_can_quote_and_follow() {
        let reader = german(&RequestIds::default());
        let (status, media, body) = told_to(&reader, down(), Format::Page { json: true }).await;
        assert_eq!((status, media.as_str()), (502, "application/json"));
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&body).unwrap(),
            json!({
                "status": false,
                "msg": "upstream <can't> be reached",
                "status_code": "INTERNAL_SERVER_ERROR",
                "code": "upstream_down",
                "request_id": reader.request.unwrap().to_string(),
                "login_url": "https://lms.example.org/login?a=1&b=2",
            })
        );
    }

    /// SDKs break on a field that the server's answers lack, and a header would tell the gateway from the server.
    #[tokio::test]
    async fn the_servers_own_forms_know_nothing_of_the_reader() {
        let reader = german(&RequestIds::default());
        for format in [
            Format::Auth { protobuf: false },
            Format::Api { protobuf: false },
            Format::Api { protobuf: true },
            Format::Upload,
            Format::Bbb,
        ] {
            let plain = down().into_response(format, &Reader::default());
            let told = down().into_response(format, &reader);
            assert_eq!(plain.headers(), told.headers());
            let bytes = |response: Response<Body>| async { response.into_body().collect().await.unwrap() };
            assert_eq!(bytes(plain).await.to_bytes(), bytes(told).await.to_bytes());
        }
    }
}
