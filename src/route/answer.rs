//! Answers a request with an error in the request's form, also when the request itself has been consumed.

use hyper::{
    Method, Request, Response,
    header::{self, HeaderValue},
};

use super::{
    Router,
    finish::{self, Finish, Recorded},
    format,
};
use crate::{
    client_body::ClientBody,
    context::{Arrival, Peer},
    http::readable_from_anywhere,
    observe::AccessRecord,
    reply::{Body, Failure, Format, Language, Reader},
    urls::{Content, Row},
};

/// What is needed of a request to answer it in its form when the request itself is gone.
pub(super) struct Answer {
    pub(super) arrival: Arrival,
    is_head: bool,
    /// The values of `Accept-Language`, which are parsed only if they are needed.
    languages: Vec<HeaderValue>,
    from_script: bool,
    content: Content,
    failed: bool,
    pub(super) record: AccessRecord,
}

impl Answer {
    pub(super) fn fail(&mut self, failure: Failure, login_url: Option<&str>) -> Response<Body> {
        let cause = failure.cause().map(|cause| cause as _);
        self.record.failed(failure.code(), cause);
        let reader = Reader {
            language: Language::among(&self.languages),
            request: Some(self.arrival.id),
            login_url,
        };
        self.failed = true;
        failure.into_response(self.arrival.error_form, &reader)
    }

    pub(super) fn finish(self, finish: &Finish, mut response: Response<Body>) -> Response<Recorded> {
        let api = match self.arrival.error_form {
            Format::Auth { .. } | Format::Api { .. } | Format::Upload => true,
            Format::Bbb | Format::Page { .. } => false,
        };
        let status = response.status();
        let error = self.failed || status.is_client_error() || status.is_server_error();
        // The server lets any origin read its API, which needs no cookie (docs/plugnmeet.md section 8, CORS); and a
        // page of another origin that can't read an error sees a broken network in its place.
        if (api || error) && self.from_script {
            readable_from_anywhere(response.headers_mut());
        }
        finish.apply(&mut response, self.content);
        if self.is_head {
            finish::take_body_off(&mut response);
        }
        Recorded::of(response, self.record)
    }
}

impl Router {
    pub(super) fn answer_for(&self, request: &Request<ClientBody>, row: &Row, peer: Peer) -> Answer {
        let arrival = Arrival {
            id: self.ids.next(),
            peer,
            error_form: format::of(request, row),
        };
        Answer {
            arrival,
            is_head: request.method() == Method::HEAD,
            languages: request
                .headers()
                .get_all(header::ACCEPT_LANGUAGE)
                .iter()
                .cloned()
                .collect(),
            from_script: request.headers().contains_key(header::ORIGIN),
            content: row.content,
            failed: false,
            record: AccessRecord::begin(
                arrival.id,
                peer.client,
                request.method(),
                request.uri().path(),
                request.version(),
                &self.access,
            ),
        }
    }
}
