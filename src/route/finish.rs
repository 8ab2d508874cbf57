//! The last step of every request: the headers that all answers get, and the record of what was answered.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::{
    Response,
    header::{self, HeaderValue},
};

use super::{guarded::Guarded, policy::PageHeaders};
use crate::{
    observe::AccessRecord,
    reply::{Body, BoxError, page::OwnPage},
};

/// What every answer gets.
pub struct Finish {
    /// Of pages, the client's and ours.
    pages: PageHeaders,
    /// `Strict-Transport-Security`, where the public name is one that a browser may remember.
    strict_transport: Option<HeaderValue>,
}

/// RFC 6797 section 6.1.1: half a year.
const STRICT_TRANSPORT: &str = "max-age=15768000";

impl Finish {
    /// Headers of pages, and whether browsers may be held to HTTPS.
    pub fn new(pages: PageHeaders, strict_transport: bool) -> Self {
        Self {
            pages,
            strict_transport: strict_transport.then_some(HeaderValue::from_static(STRICT_TRANSPORT)),
        }
    }

    /// For the client's page alone: nobody else's framing is ours to judge. With a nonce, a script that stands in the
    /// page under it runs; such a page is for one answer, and must not be kept by a cache.
    /// `asked`: the authority by which the page was asked for.
    pub(super) fn as_page(&self, response: &mut Response<Body>, asked: Option<&str>, nonce: Option<&str>) {
        if response.extensions().get::<OwnPage>().is_none() {
            self.pages.of_client(response.headers_mut(), asked, nonce);
        }
    }

    pub(super) fn apply(&self, response: &mut Response<Body>, guarded: Option<Guarded>) {
        let own = response.extensions_mut().remove::<OwnPage>();
        let headers = response.headers_mut();
        match (own, guarded) {
            (Some(page), _) => self.pages.of_own(headers, page),
            (None, Some(guarded)) => guarded.apply(headers),
            (None, None) => {}
        }
        if let Some(value) = &self.strict_transport {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, value.clone());
        }
    }
}

/// A body whose bytes are counted; its record is written when it is gone.
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
            }
            Poll::Ready(None) => self.record.completed(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
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
