//! Interim answers (1xx) on their way to the client of a request that has no answer yet.
//!
//! hyper's server can't send interim answers. So they are kept here, and the connection writes them at a moment when it
//! is writing no other answer.
//!
//! INVARIANT: an interim answer to a request is written before that request's answer begins, or never.
//!
//! Sources: RFC 9110 section 15.2 (a proxy must forward them), RFC 8297 (103).

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use hyper::{HeaderMap, StatusCode};
use tokio::task::yield_now;

/// The largest number of interim answers to one request. An upstream that sends more is faulty.
const MAX_HEADS: usize = 16;

/// The largest number of bytes of interim answers that wait for the client.
const MAX_BYTES: usize = 16 * 1024;

/// The interim answers of one connection.
#[derive(Clone, Default)]
pub struct Interims(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    /// The number of the request to which they belong.
    request: u64,
    /// The number of interim answers to this request.
    heads: usize,
    bytes: Vec<u8>,
}

/// The place where the interim answers to one request are put.
#[derive(Clone)]
pub struct Interim {
    interims: Interims,
    request: u64,
    connection: Waker,
}

impl Interims {
    /// The place for the next request of this connection.
    pub async fn of_next_request(&self) -> Interim {
        let connection = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        let mut waiting = self.lock();
        waiting.request += 1;
        waiting.heads = 0;
        Interim {
            interims: self.clone(),
            request: waiting.request,
            connection,
        }
    }

    /// Takes the bytes that are to be written now.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.lock().bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Interim {
    /// Keeps an interim answer for the client, with its fields as they are.
    pub fn pass_on(&self, status: StatusCode, headers: &HeaderMap) {
        let mut head = format!(
            "HTTP/1.1 {} {}\r\n",
            status.as_str(),
            status.canonical_reason().unwrap_or_default()
        )
        .into_bytes();
        for (name, value) in headers {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        let mut waiting = self.interims.lock();
        let is_late = waiting.request != self.request;
        if is_late || waiting.heads == MAX_HEADS || waiting.bytes.len() + head.len() > MAX_BYTES {
            return;
        }
        waiting.heads += 1;
        waiting.bytes.append(&mut head);
        drop(waiting);
        self.connection.wake_by_ref();
    }

    /// Notes that the final answer has come. Interim answers that came just before get one chance to be written; later
    /// ones are dropped.
    pub async fn answered(&self) {
        if !self.interims.lock().bytes.is_empty() {
            yield_now().await;
        }
        let mut waiting = self.interims.lock();
        waiting.request += 1;
        waiting.bytes = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::{self, HeaderValue};

    use super::*;

    fn links() -> HeaderMap {
        HeaderMap::from_iter([(header::LINK, HeaderValue::from_static("</a>"))])
    }

    #[tokio::test]
    async fn what_comes_after_the_answer_is_for_nobody() {
        let interims = Interims::default();
        let first = interims.of_next_request().await;
        first.pass_on(StatusCode::EARLY_HINTS, &links());
        assert_eq!(interims.take(), b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
        first.pass_on(StatusCode::PROCESSING, &HeaderMap::new());
        first.answered().await;
        first.pass_on(StatusCode::EARLY_HINTS, &links());
        let second = interims.of_next_request().await;
        first.pass_on(StatusCode::EARLY_HINTS, &links());
        assert!(interims.take().is_empty());
        second.pass_on(StatusCode::PROCESSING, &HeaderMap::new());
        assert_eq!(interims.take(), b"HTTP/1.1 102 Processing\r\n\r\n");
    }

    #[tokio::test]
    async fn a_request_has_so_many_and_no_more() {
        let interims = Interims::default();
        let interim = interims.of_next_request().await;
        for _ in 0..100 {
            interim.pass_on(StatusCode::EARLY_HINTS, &links());
        }
        let heads = interims.take();
        assert_eq!(memchr::memmem::find_iter(&heads, "HTTP/1.1 ").count(), MAX_HEADS);
        let large = HeaderMap::from_iter([(
            header::LINK,
            HeaderValue::try_from("x".repeat(MAX_BYTES)).unwrap(),
        )]);
        let interim = interims.of_next_request().await;
        interim.pass_on(StatusCode::EARLY_HINTS, &large);
        assert!(interims.take().is_empty());
    }
}
