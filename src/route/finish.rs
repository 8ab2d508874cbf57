//! The last step of every request: adds the header fields that all answers get, and writes the access record.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::{
    Response,
    header::{self, HeaderValue},
};

use super::{guarded, policy::PageHeaders};
use crate::{
    observe::{AccessRecord, BrokenBy},
    proxy::BodyError,
    reply::{
        Body, BoxError,
        page::{ClientPage, OwnPage},
    },
    urls::Content,
};

/// Adds to every answer the header fields that all answers have.
pub struct Finish {
    /// The header fields of pages, both the client's and the gateway's.
    pages: PageHeaders,
    /// The value of `Strict-Transport-Security`; none if the public name is not one that a browser may remember.
    strict_transport: Option<HeaderValue>,
    /// Do browsers trust what clients of the public name are shown? Only then they may be held to HTTPS.
    trusted: Arc<AtomicBool>,
}

impl Finish {
    /// Makes it from the headers of pages, and the time for which browsers must use HTTPS, if any (RFC 6797 section
    /// 6.1.1), while what `trusted` says is so.
    pub fn new(pages: PageHeaders, strict_transport: Option<Duration>, trusted: Arc<AtomicBool>) -> Self {
        Self {
            pages,
            strict_transport: strict_transport
                .and_then(|time| HeaderValue::try_from(format!("max-age={}", time.as_secs())).ok()),
            trusted,
        }
    }

    /// Adds the fields of a page, if the answer is the client's page. The framing of other servers' pages is not ours
    /// to decide. A page with a nonce has a script of its own; it is for one answer, so no cache may keep it. `asked`
    /// is the authority in the request.
    pub(super) fn as_page(&self, response: &mut Response<Body>, asked: Option<&str>) {
        let page = response.extensions_mut().remove::<ClientPage>();
        let is_own = response.extensions().get::<OwnPage>().is_some();
        if let Some(page) = page.filter(|_| !is_own) {
            self.pages
                .of_client(response.headers_mut(), asked, page.nonce.as_deref());
        }
    }

    pub(super) fn apply(&self, response: &mut Response<Body>, content: Content) {
        let own = response.extensions_mut().remove::<OwnPage>();
        let headers = response.headers_mut();
        match own {
            Some(page) => self.pages.of_own(headers, page),
            None => guarded::apply(content, headers),
        }
        if let Some(value) = &self.strict_transport
            && self.trusted.load(Ordering::Relaxed)
        {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, value.clone());
        }
    }
}

/// The answer to `HEAD`: the fields of one to `GET`, and no body (RFC 9110 section 9.3.2). hyper leaves a body out over
/// HTTP/1 alone; over HTTP/2 clients end the stream with `PROTOCOL_ERROR`.
pub(super) fn take_body_off(response: &mut Response<Body>) {
    let body = std::mem::replace(response.body_mut(), Body::Empty);
    // A body that is made while it is sent has a length that nobody knows.
    if let Body::Full(bytes) = &body {
        let length = HeaderValue::from(bytes.len());
        response
            .headers_mut()
            .entry(header::CONTENT_LENGTH)
            .or_insert(length);
    }
}

/// A body whose bytes are counted. The access record is written when this is dropped.
pub struct Recorded {
    body: Body,
    record: AccessRecord,
}

impl Recorded {
    pub(super) fn of(response: Response<Body>, mut record: AccessRecord) -> Response<Self> {
        record.answered(response.status());
        if response.body().is_end_stream() {
            record.completed();
        }
        response.map(|body| Self { body, record })
    }
}

impl HttpBody for Recorded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Buf::remaining);
                self.record.sent(bytes);
                if frame.is_trailers() {
                    self.record.completed();
                }
            }
            Poll::Ready(None) => self.record.completed(),
            Poll::Ready(Some(Err(error))) => self.record.broken_by(match error.downcast_ref::<BodyError>() {
                Some(_limit) => BrokenBy::Limit,
                None => BrokenBy::Upstream,
            }),
            Poll::Pending => {}
        }
        // hyper does not ask again for what it knows to be the end.
        if polled.is_ready() && self.body.is_end_stream() {
            self.record.completed();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
