//! The raw head of each HTTP/1 request, seen before the parser has tidied it up.
//!
//! hyper takes `Content-Length` off a request that has `Transfer-Encoding` too, and cuts a fragment off the target: both
//! are gone before a handler could refuse them. So the bytes are followed on their way in, with hyper's own parser for
//! the head, and a head that is ambiguous is remembered by its number.
//!
//! SECURITY: this only adds refusals. Should it lose its place, hyper's framing still holds, the message goes on with one
//! framing, and the connection is closed after it.
//!
//! Sources: RFC 9112 sections 3.2, 6.1 and 6.3.

use std::{
    mem::MaybeUninit,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use hyper::StatusCode;

use super::chunks::{Chunks, Step};
use crate::reply::Failure;

/// What can't be seen any more in a parsed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadHead {
    /// `Content-Length` beside `Transfer-Encoding`, or twice.
    TwoFramings,
    /// A coding other than one `chunked`, which would be lost on the way.
    TransferCoding,
    /// `#` in the target.
    Fragment,
}

impl From<BadHead> for Failure {
    fn from(bad: BadHead) -> Self {
        let (status, code, message) = match bad {
            BadHead::TwoFramings => (
                StatusCode::BAD_REQUEST,
                "two_framings",
                "the request's length is given twice",
            ),
            // RFC 9112 section 6.1: 501 for a coding that is not understood.
            BadHead::TransferCoding => (
                StatusCode::NOT_IMPLEMENTED,
                "transfer_coding",
                "the only transfer coding taken is chunked",
            ),
            BadHead::Fragment => (
                StatusCode::BAD_REQUEST,
                "bad_target",
                "the request target has a fragment",
            ),
        };
        Self::new(status, code, message)
    }
}

/// What the wire found, for the service to ask: requests are answered in the order in which their heads came.
#[derive(Clone, Default)]
pub(super) struct Heads(Arc<Found>);

#[derive(Default)]
struct Found {
    asked: AtomicUsize,
    /// The first bad head: its number, counted from one, and what is wrong with it.
    bad: OnceLock<(usize, BadHead)>,
    lost: AtomicBool,
}

impl Heads {
    /// What is wrong with the next request's head?
    pub(super) fn next(&self) -> Option<BadHead> {
        let number = self.0.asked.fetch_add(1, Ordering::Relaxed) + 1;
        self.0
            .bad
            .get()
            .filter(|(bad, _)| *bad == number)
            .map(|(_, what)| *what)
    }

    /// Can later requests not be told apart any more?
    pub(super) fn is_lost(&self) -> bool {
        self.0.lost.load(Ordering::Relaxed)
    }
}

/// Follows the bytes that come in.
pub(super) struct HeadWatch {
    heads: Heads,
    number: usize,
    state: State,
    max_head_bytes: usize,
}

enum State {
    /// In a head; what came of it before this piece.
    Head(Vec<u8>),
    Body(u64),
    Chunked(Chunks),
    /// Something that is no head came, or a head after which nothing is followed.
    Lost,
}

/// As many fields as hyper takes.
const MAX_FIELDS: usize = 100;

impl HeadWatch {
    pub(super) fn new(max_head_bytes: usize) -> Self {
        Self {
            heads: Heads::default(),
            number: 0,
            state: State::Head(Vec::new()),
            max_head_bytes,
        }
    }

    pub(super) fn heads(&self) -> Heads {
        self.heads.clone()
    }

    /// Is a part of a head there, and the rest still to come?
    pub(super) fn in_head(&self) -> bool {
        matches!(&self.state, State::Head(seen) if !seen.is_empty())
    }

    /// Is a body under way, or was the place lost?
    pub(super) fn in_body(&self) -> bool {
        !matches!(self.state, State::Head(_))
    }

    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let used = match &mut self.state {
                State::Head(_) => self.head(bytes),
                State::Body(left) => {
                    let now = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left -= now as u64;
                    if *left == 0 {
                        self.state = State::Head(Vec::new());
                    }
                    Some(now)
                }
                State::Chunked(chunks) => match chunks.pass(bytes) {
                    Step::More => Some(bytes.len()),
                    Step::End(used) => {
                        self.state = State::Head(Vec::new());
                        Some(used)
                    }
                    Step::Lost => None,
                },
                State::Lost => return,
            };
            let Some(used) = used else { return self.lose() };
            bytes = bytes.get(used..).unwrap_or_default();
        }
    }

    /// Looks for the end of a head; says how many of these bytes belong to it, `None` for what is no head.
    fn head(&mut self, bytes: &[u8]) -> Option<usize> {
        let State::Head(seen) = &mut self.state else {
            return None;
        };
        let before = seen.len();
        let joined;
        let whole = if before == 0 {
            bytes
        } else {
            seen.extend_from_slice(bytes);
            joined = std::mem::take(seen);
            joined.as_slice()
        };
        // Until a line is empty there is no end to look for.
        let may_end = memchr::memmem::find(whole, b"\n\r\n").is_some()
            || memchr::memmem::find(whole, b"\n\n").is_some();
        let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let mut request = httparse::Request::new(&mut []);
        match if may_end {
            request.parse_with_uninit_headers(whole, &mut fields)
        } else {
            Ok(httparse::Status::Partial)
        } {
            Ok(httparse::Status::Complete(length)) => {
                let next = self.judge(&request);
                self.state = next;
                Some(length.saturating_sub(before))
            }
            Ok(httparse::Status::Partial) if whole.len() < self.max_head_bytes => {
                self.state = State::Head(whole.to_vec());
                Some(bytes.len())
            }
            Ok(httparse::Status::Partial) | Err(_) => None,
        }
    }

    /// Remembers what is wrong with a head, and says what follows it.
    fn judge(&mut self, request: &httparse::Request<'_, '_>) -> State {
        self.number += 1;
        let (mut lengths, mut length) = (0, 0);
        let (mut codings, mut only_chunked, mut upgrade) = (0, true, false);
        for field in request.headers.iter() {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            if is("content-length") {
                lengths += 1;
                length = std::str::from_utf8(field.value)
                    .ok()
                    .and_then(|text| text.trim().parse().ok())
                    .unwrap_or(0);
            } else if is("transfer-encoding") {
                codings += 1;
                only_chunked &= field.value.trim_ascii().eq_ignore_ascii_case(b"chunked");
            } else if is("upgrade") {
                upgrade = true;
            }
        }
        let found = &self.heads.0;
        let bad = if lengths > 1 || (lengths > 0 && codings > 0) {
            Some(BadHead::TwoFramings)
        } else if codings > 1 || !only_chunked {
            Some(BadHead::TransferCoding)
        } else if request.path.is_some_and(|path| path.contains('#')) {
            Some(BadHead::Fragment)
        } else {
            None
        };
        if let Some(bad) = bad {
            // The connection ends with it, so the first is the only one that counts.
            found.bad.set((self.number, bad)).ok();
        }
        if upgrade {
            // What comes next may be another protocol's.
            found.lost.store(true, Ordering::Relaxed);
            State::Lost
        } else if codings > 0 {
            State::Chunked(Chunks::begin())
        } else if length > 0 {
            State::Body(length)
        } else {
            State::Head(Vec::new())
        }
    }

    fn lose(&mut self) {
        self.heads.0.lost.store(true, Ordering::Relaxed);
        self.state = State::Lost;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict on each request of a connection, whose bytes come in pieces of so many.
    fn verdicts(bytes: &[u8], cut: usize, requests: usize) -> Vec<Option<BadHead>> {
        let mut watch = HeadWatch::new(64 * 1024);
        for piece in bytes.chunks(cut) {
            watch.pass(piece);
        }
        let heads = watch.heads();
        (0..requests).map(|_| heads.next()).collect()
    }

    #[test]
    fn finds_two_framings_behind_bodies_of_either_kind_however_they_are_cut() {
        let bytes = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nGET \
            POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n#a \r\n0\r\n\r\n\
            POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: x\r\nContent-Length: 4\r\n\r\n0\r\n\r\n";
        for cut in 1..bytes.len() {
            assert_eq!(
                verdicts(bytes, cut, 3),
                [None, None, Some(BadHead::TwoFramings)],
                "{cut}"
            );
        }
    }

    #[test]
    fn either_order_and_equal_lengths_are_two_framings() {
        for fields in [
            "Content-Length: 0\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 0",
            "Content-Length: 1\r\ncontent-length: 1",
        ] {
            let bytes = format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n");
            assert_eq!(
                verdicts(bytes.as_bytes(), 7, 1),
                [Some(BadHead::TwoFramings)],
                "{fields}"
            );
        }
    }

    /// RFC 9112 section 6.1: what was put on besides `chunked` would have to be taken off by somebody.
    #[test]
    fn any_coding_but_one_chunked_is_found() {
        for fields in [
            "gzip, chunked",
            "chunked, chunked",
            "chunked\r\nTransfer-Encoding: chunked",
            "xchunked",
        ] {
            let bytes = format!("POST / HTTP/1.1\r\nTransfer-Encoding: {fields}\r\n\r\n");
            assert_eq!(
                verdicts(bytes.as_bytes(), 7, 1),
                [Some(BadHead::TransferCoding)],
                "{fields}"
            );
        }
        let bytes = b"POST / HTTP/1.1\r\nTransfer-Encoding:  Chunked \r\n\r\n";
        assert_eq!(verdicts(bytes, 7, 1), [None]);
    }

    #[test]
    fn a_fragment_is_found_in_the_target_alone() {
        let bytes = b"GET /a?b=%23 HTTP/1.1\r\nX: #\r\n\r\nGET /a#b HTTP/1.1\r\n\r\n";
        assert_eq!(verdicts(bytes, 9, 2), [None, Some(BadHead::Fragment)]);
    }
}
