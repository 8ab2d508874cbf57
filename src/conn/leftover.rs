//! The rest of a request's body that the client still sends when the request is answered already.
//!
//! A small rest is read before the answer goes out, so that the connection can stay open. A rest that is large, or does
//! not come, is not waited for. On HTTP/1.1 the connection ends with such an answer. On HTTP/2 the stream is reset, and
//! that a while after the answer: a client that finds both in one read may see the reset alone.
//!
//! Sources: RFC 9112 sections 9.3 and 9.6, RFC 9113 section 8.1.

use std::{future::pending, time::Duration};

use hyper::{HeaderMap, header};
use tokio::{runtime::Handle, time::timeout};

use crate::client_body::Rest;

/// How long an answer waits for the rest of a small body. Usually most of the rest is there already, or in the next
/// packets.
const WAIT: Duration = Duration::from_secs(1);

/// How long the stream of an answered request is left open for its client to end it.
const HOLD: Duration = Duration::from_secs(1);

/// The body of a request that is being answered.
#[derive(Default)]
pub(super) struct Leftover {
    rest: Option<Rest>,
    small_bytes: u64,
    /// Does the stream stay open behind the answer, for `HOLD` at most?
    hold: bool,
    /// Does the request have `Expect`, so that the client may wait for an interim answer before it sends the body?
    expects: bool,
}

impl Leftover {
    /// Keeps hold of the body of a request on HTTP/1.1.
    pub(super) fn of_connection(rest: Option<Rest>, small_bytes: usize, headers: &HeaderMap) -> Self {
        Self {
            rest,
            small_bytes: small_bytes as u64,
            hold: false,
            expects: headers.contains_key(header::EXPECT),
        }
    }

    /// Keeps hold of the body of a request on HTTP/2.
    pub(super) fn of_stream(rest: Option<Rest>, small_bytes: usize) -> Self {
        Self {
            rest,
            small_bytes: small_bytes as u64,
            hold: true,
            expects: false,
        }
    }

    /// Reads and drops the rest of a body that has no reader, if the rest is small and comes within `WAIT`.
    pub(super) async fn settle(&self) {
        let Some(rest) = self.rest.as_ref().filter(|rest| !rest.is_ended()) else {
            return;
        };
        if !rest.has_reader() && !self.expects && rest.announced_bytes() <= self.small_bytes {
            timeout(WAIT, rest.drain(self.small_bytes)).await.ok();
        }
    }

    /// Is there a rest of the body, and no reader for it?
    pub(super) fn is_unread(&self) -> bool {
        self.rest
            .as_ref()
            .is_some_and(|rest| !rest.is_ended() && !rest.has_reader())
    }

    /// Has the body not ended yet, so that its rest may never be read?
    pub(super) fn is_open(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| !rest.is_ended())
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        let Some(rest) = self.rest.take().filter(|rest| self.hold && !rest.is_ended()) else {
            return;
        };
        let small_bytes = self.small_bytes;
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(timeout(HOLD, async move {
                if !rest.has_reader() && (rest.drain(small_bytes).await || rest.is_broken()) {
                    return;
                }
                pending::<()>().await;
            }));
        }
    }
}
