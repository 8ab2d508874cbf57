//! The raw head of each HTTP/1 request, seen before the parser has tidied it up.
//!
//! hyper takes `Content-Length` off a request that has `Transfer-Encoding` too, and cuts a fragment off the target: both
//! are gone before a handler could refuse them. What it can't read it answers by itself, with nothing in it. So the bytes
//! are followed on their way in, with hyper's own parser for the head. A head that is ambiguous is remembered by its
//! number; for one that hyper would not read it gets another (`bad_head`).
//!
//! Half a head is kept here until the rest has come, and hyper has no copy of it meanwhile; of one that is too large already
//! next to nothing is kept (`excess`).
//!
//! SECURITY: this only adds refusals. Should it lose its place, hyper's framing still holds, the message goes on with one
//! framing, and what comes behind it on the connection is refused.
//!
//! Sources: RFC 9112 sections 3.2, 6.1 and 6.3.

use std::{
    mem::MaybeUninit,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use super::{
    bad_head::{BadHead, in_place_of},
    chunks::{Chunks, Step},
    excess::Excess,
    judge::{Behind, judge, names_a_version},
};

/// What the wire found, for the service to ask: requests are answered in the order in which their heads came.
#[derive(Clone, Default)]
pub(super) struct Heads(Arc<Found>);

#[derive(Default)]
struct Found {
    asked: AtomicUsize,
    judged: AtomicUsize,
    /// The first bad head: its number, counted from one, and what is wrong with it.
    bad: OnceLock<(usize, BadHead)>,
    lost: AtomicBool,
}

impl Heads {
    /// What is wrong with the next request's head?
    pub(super) fn next(&self) -> Option<BadHead> {
        let number = self.0.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let bad = self.0.bad.get().filter(|(bad, _)| *bad == number);
        let not_followed = number > self.0.judged.load(Ordering::Relaxed);
        bad.map(|(_, what)| *what)
            .or(not_followed.then_some(BadHead::NotFollowed))
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
    /// How often the head that is coming in was parsed in part.
    looks: usize,
    /// Refuses every head, for this.
    all_refused: Option<BadHead>,
    /// What hyper gets next, and how much of it it has.
    ready: Vec<u8>,
    given: usize,
}

enum State {
    /// In a head; what came of it before this piece.
    Head(Vec<u8>),
    /// In a head that will be refused for its size.
    TooLarge(Excess),
    Body(u64),
    Chunked(Chunks),
    /// Something that is no chunked body came, or a head after which nothing is followed.
    Lost,
    /// The last head has another in its place, and what follows it is not shown to anybody.
    Refused,
}

/// What the bytes from the beginning of a head on are.
enum Look {
    /// A head of so many bytes, behind which comes this.
    Whole(usize, State),
    Partial,
    /// Partial, and too large for this.
    TooLarge(BadHead),
    Bad(BadHead),
}

/// As many fields as hyper takes.
const MAX_FIELDS: usize = 100;

/// Blanks around values, which don't count in a head that is read.
const BLANKS: usize = 1024;

/// Half a head is parsed when a line of it has ended, so that nonsense is refused at once; but not for every empty line.
const MAX_LOOKS: usize = 2 * MAX_FIELDS;

impl HeadWatch {
    pub(super) fn new(max_head_bytes: usize, all_refused: Option<BadHead>) -> Self {
        Self {
            heads: Heads::default(),
            number: 0,
            state: State::Head(Vec::new()),
            max_head_bytes,
            looks: 0,
            all_refused,
            ready: Vec::new(),
            given: 0,
        }
    }

    pub(super) fn heads(&self) -> Heads {
        self.heads.clone()
    }

    /// Is a part of a head there, and the rest still to come?
    pub(super) fn in_head(&self) -> bool {
        match &self.state {
            State::Head(held) => !held.is_empty(),
            State::TooLarge(_) => true,
            State::Body(_) | State::Chunked(_) | State::Lost | State::Refused => false,
        }
    }

    /// How many heads have been let through.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// Is a body under way, or was the place lost?
    pub(super) fn in_body(&self) -> bool {
        !matches!(self.state, State::Head(_) | State::TooLarge(_))
    }

    /// Is nothing of what comes in shown to hyper any more?
    pub(super) fn is_refused(&self) -> bool {
        matches!(self.state, State::Refused)
    }

    /// What was kept and is now to be read, if there is any.
    pub(super) fn ready(&self) -> &[u8] {
        self.ready.get(self.given..).unwrap_or_default()
    }

    /// So much of it was read.
    pub(super) fn gave(&mut self, bytes: usize) {
        self.given += bytes;
        if self.given >= self.ready.len() {
            self.ready = Vec::new();
            self.given = 0;
        }
    }

    /// Follows a piece; so many of its bytes are to be read at once. The others are kept.
    pub(super) fn pass(&mut self, piece: &[u8]) -> usize {
        let held = match &mut self.state {
            State::Head(held) => std::mem::take(held),
            State::TooLarge(excess) => {
                if excess.pass(piece) {
                    let (bad, head) = (excess.bad(), excess.head().to_vec());
                    self.refuse(bad, &head);
                }
                return 0;
            }
            State::Body(_) | State::Chunked(_) | State::Lost => Vec::new(),
            State::Refused => return 0,
        };
        if held.is_empty() {
            let through = self.follow(piece, 0);
            if let State::Head(held) = &mut self.state {
                held.extend_from_slice(piece.get(through..).unwrap_or_default());
            }
            return through;
        }
        let mut joined = held;
        let seen = joined.len();
        joined.extend_from_slice(piece);
        let through = self.follow(&joined, seen);
        match &mut self.state {
            State::Head(held) if through == 0 => *held = joined,
            State::Head(held) => {
                held.extend_from_slice(joined.get(through..).unwrap_or_default());
                joined.truncate(through);
                self.ready = joined;
            }
            State::TooLarge(_) => {
                joined.truncate(through);
                self.ready = joined;
            }
            State::Body(_) | State::Chunked(_) | State::Lost => self.ready = joined,
            State::Refused => {
                joined.truncate(through);
                joined.append(&mut self.ready);
                self.ready = joined;
            }
        }
        0
    }

    /// How many of these bytes are known to be whole heads and what belongs to them; of the first head, so many bytes
    /// were looked at before.
    fn follow(&mut self, bytes: &[u8], mut seen: usize) -> usize {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            match &mut self.state {
                State::Head(_) => match self.look(rest, seen) {
                    Look::Whole(length, next) => {
                        self.state = next;
                        self.looks = 0;
                        seen = 0;
                        at += length;
                    }
                    Look::Partial => return at,
                    Look::TooLarge(bad) => {
                        let bad = self.all_refused.unwrap_or(bad);
                        self.state = State::TooLarge(Excess::begin(bad, rest, self.max_head_bytes));
                        return at;
                    }
                    Look::Bad(bad) => {
                        self.refuse(self.all_refused.unwrap_or(bad), rest);
                        return at;
                    }
                },
                State::Body(left) => {
                    let now = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= now as u64;
                    if *left == 0 {
                        self.state = State::Head(Vec::new());
                    }
                    at += now;
                }
                State::Chunked(chunks) => match chunks.pass(rest) {
                    Step::More => return bytes.len(),
                    Step::End(used) => {
                        self.state = State::Head(Vec::new());
                        at += used;
                    }
                    Step::Lost => {
                        self.heads.0.lost.store(true, Ordering::Relaxed);
                        self.state = State::Lost;
                        return bytes.len();
                    }
                },
                State::TooLarge(_) | State::Lost | State::Refused => return bytes.len(),
            }
        }
        bytes.len()
    }

    /// Looks for the end of a head, of which so many bytes were looked at before.
    fn look(&mut self, bytes: &[u8], seen: usize) -> Look {
        // Until a line is empty there is no end to look for.
        let end_from = bytes.get(seen.saturating_sub(2)..).unwrap_or_default();
        let may_end = memchr::memmem::find(end_from, b"\n\r\n").is_some()
            || memchr::memmem::find(end_from, b"\n\n").is_some();
        if !may_end {
            let line_ended = memchr::memchr(b'\n', bytes.get(seen..).unwrap_or_default()).is_some();
            if bytes.len() < self.max_head_bytes {
                if let Some(bad) = self.too_large(bytes) {
                    return Look::TooLarge(bad);
                }
                if !line_ended || self.looks >= MAX_LOOKS {
                    return Look::Partial;
                }
            }
            self.looks += 1;
        }
        let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let mut request = httparse::Request::new(&mut []);
        match request.parse_with_uninit_headers(bytes, &mut fields) {
            Ok(httparse::Status::Complete(length)) => match self.judged(&request) {
                Ok(next) => Look::Whole(length, next),
                Err(bad) => Look::Bad(bad),
            },
            Ok(httparse::Status::Partial) if bytes.len() < self.max_head_bytes => Look::Partial,
            Ok(httparse::Status::Partial) => {
                Look::Bad(if memchr::memchr(b'\n', bytes.trim_ascii_start()).is_some() {
                    BadHead::TooLarge
                } else {
                    BadHead::TargetTooLong
                })
            }
            Err(httparse::Error::TooManyHeaders) => Look::Bad(BadHead::TooManyFields),
            Err(httparse::Error::Version) if names_a_version(bytes) => Look::Bad(BadHead::Version),
            Err(_) => Look::Bad(BadHead::Malformed),
        }
    }

    /// Is this beginning of a head more than what may be read of one, whatever follows?
    fn too_large(&self, bytes: &[u8]) -> Option<BadHead> {
        let most = self.max_head_bytes / 2 + BLANKS;
        if bytes.len() <= most {
            return None;
        }
        let head = bytes.trim_ascii_start();
        match memchr::memchr(b'\n', head) {
            Some(line) if head.len() - line > most => Some(BadHead::TooLarge),
            None => Some(BadHead::TargetTooLong),
            Some(line) if line > most => Some(BadHead::TargetTooLong),
            Some(_) => None,
        }
    }

    /// Remembers what is wrong with a head, and says what follows it; an error, if hyper would not read it.
    fn judged(&mut self, request: &httparse::Request<'_, '_>) -> Result<State, BadHead> {
        if let Some(refused) = self.all_refused {
            return Err(refused);
        }
        let (behind, bad) = judge(request)?;
        self.number += 1;
        let found = &self.heads.0;
        if let Some(bad) = bad {
            // The connection ends with it, so the first is the only one that counts.
            found.bad.set((self.number, bad)).ok();
        }
        found.judged.store(self.number, Ordering::Relaxed);
        Ok(match behind {
            Behind::Nothing => State::Head(Vec::new()),
            Behind::Bytes(length) => State::Body(length),
            Behind::Chunks => State::Chunked(Chunks::begin()),
            Behind::Anything => {
                found.lost.store(true, Ordering::Relaxed);
                State::Lost
            }
        })
    }

    /// Has another head answered in the place of this one.
    fn refuse(&mut self, bad: BadHead, head: &[u8]) {
        self.number += 1;
        let found = &self.heads.0;
        found.bad.set((self.number, bad)).ok();
        found.judged.store(self.number, Ordering::Relaxed);
        self.state = State::Refused;
        self.ready = in_place_of(head);
        self.given = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 64 * 1024;

    /// The verdict on each request of a connection, whose bytes come in pieces of so many; and what hyper reads.
    fn followed(bytes: &[u8], cut: usize, requests: usize) -> (Vec<Option<BadHead>>, Vec<u8>) {
        let mut watch = HeadWatch::new(MAX, None);
        let mut read = Vec::new();
        for piece in bytes.chunks(cut) {
            let through = watch.pass(piece);
            read.extend_from_slice(&piece[..through]);
            read.extend_from_slice(watch.ready());
            watch.gave(watch.ready().len());
        }
        let heads = watch.heads();
        ((0..requests).map(|_| heads.next()).collect(), read)
    }

    fn verdicts(bytes: &[u8], cut: usize, requests: usize) -> Vec<Option<BadHead>> {
        followed(bytes, cut, requests).0
    }

    #[test]
    fn finds_two_framings_behind_bodies_of_either_kind_however_they_are_cut() {
        let bytes = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nGET \
            POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n#a \r\n0\r\n\r\n\
            POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: x\r\nContent-Length: 4\r\n\r\n0\r\n\r\n";
        for cut in 1..=bytes.len() {
            let (verdicts, read) = followed(bytes, cut, 3);
            assert_eq!(verdicts, [None, None, Some(BadHead::TwoFramings)], "{cut}");
            assert_eq!(read, bytes, "{cut}");
        }
    }

    #[test]
    fn either_order_and_equal_lengths_are_two_framings() {
        for fields in [
            "Content-Length: 0\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 0",
            "Content-Length: 1\r\ncontent-length: 1",
            "Content-Length: 1\r\nContent-Length: 2",
            "Content-Length: x\r\nTransfer-Encoding: chunked",
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
        for (fields, bad) in [
            ("gzip, chunked", BadHead::TransferCoding),
            ("chunked, chunked", BadHead::TransferCoding),
            ("chunked\r\nTransfer-Encoding: chunked", BadHead::TransferCoding),
            ("xchunked", BadHead::NoEnd),
            ("gzip", BadHead::NoEnd),
            ("chunked, identity", BadHead::NoEnd),
        ] {
            let bytes = format!("POST / HTTP/1.1\r\nTransfer-Encoding: {fields}\r\n\r\n");
            assert_eq!(verdicts(bytes.as_bytes(), 7, 1), [Some(bad)], "{fields}");
        }
        let bytes = b"POST / HTTP/1.1\r\nTransfer-Encoding:  Chunked \r\n\r\n";
        assert_eq!(verdicts(bytes, 7, 1), [None]);
        let bytes = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(verdicts(bytes, 7, 1), [Some(BadHead::NoEnd)]);
    }

    #[test]
    fn a_fragment_is_found_in_the_target_alone() {
        let bytes = b"GET /a?b=%23 HTTP/1.1\r\nX: #\r\n\r\nGET /a#b HTTP/1.1\r\n\r\n";
        assert_eq!(verdicts(bytes, 9, 2), [None, Some(BadHead::Fragment)]);
    }

    #[test]
    fn what_hyper_would_not_read_has_another_head_in_its_place_however_it_is_cut() {
        for (head, bad, made) in [
            ("NONSENSE\r\n\r\n", BadHead::Malformed, "GET / HTTP/1.1\r\n\r\n"),
            (
                "GET /a\" HTTP/1.1\r\nbad field\r\n\r\n",
                BadHead::Malformed,
                "GET /a%22 HTTP/1.1\r\n\r\n",
            ),
            (
                "GET /<a> HTTP/1.1\r\n\r\n",
                BadHead::Target,
                "GET /%3Ca%3E HTTP/1.1\r\n\r\n",
            ),
            (
                "GET /a HTTP/3.0\r\nAccept: b\r\n\r\n",
                BadHead::Version,
                "GET /a HTTP/1.1\r\naccept: b\r\n\r\n",
            ),
            (
                "PUT /a HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
                BadHead::Length,
                "PUT /a HTTP/1.1\r\n\r\n",
            ),
        ] {
            let before = "GET /before HTTP/1.1\r\n\r\n";
            let bytes = format!("{before}{head}GET /never HTTP/1.1\r\n\r\n");
            for cut in 1..bytes.len() {
                let (verdicts, read) = followed(bytes.as_bytes(), cut, 3);
                assert_eq!(
                    verdicts,
                    [None, Some(bad), Some(BadHead::NotFollowed)],
                    "{head:?} {cut}"
                );
                let read = String::from_utf8(read).unwrap();
                // A line that ends too early shows a target or a field less.
                assert!(read.starts_with(before) && read.ends_with("\r\n\r\n"), "{read:?}");
                assert!(!read.contains("never"), "{read:?}");
                if cut > before.len() + head.len() {
                    assert_eq!(read, format!("{before}{made}"));
                }
            }
        }
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(101));
        assert_eq!(verdicts(many.as_bytes(), 4096, 1), [Some(BadHead::TooManyFields)]);
        let large = format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(MAX));
        assert_eq!(verdicts(large.as_bytes(), 4096, 1), [Some(BadHead::TooLarge)]);
        let long = format!("GET /{}", "y".repeat(MAX));
        assert_eq!(verdicts(long.as_bytes(), 4096, 1), [Some(BadHead::TargetTooLong)]);
    }

    #[test]
    fn of_a_head_that_is_too_large_next_to_nothing_is_kept() {
        let before = "GET /before HTTP/1.1\r\n\r\n";
        let large = "y".repeat(40_000);
        for (head, bad, made) in [
            (
                format!("POST /auth/x?a=b HTTP/1.1\r\nX: {large}\r\nAccept: a\r\n\r\n"),
                BadHead::TooLarge,
                "POST /auth/x HTTP/1.1\r\naccept: a\r\n\r\n",
            ),
            (
                format!("GET /a?{large} HTTP/1.1\r\nAccept: a\r\n\r\n"),
                BadHead::TargetTooLong,
                "GET /a HTTP/1.1\r\naccept: a\r\n\r\n",
            ),
        ] {
            let bytes = format!("{before}{head}");
            let mut watch = HeadWatch::new(MAX, None);
            let mut read = Vec::new();
            for piece in bytes.as_bytes().chunks(1000) {
                let through = watch.pass(piece);
                read.extend_from_slice(&piece[..through]);
                read.extend_from_slice(watch.ready());
                watch.gave(watch.ready().len());
                assert!(!watch.in_body() || watch.is_refused());
            }
            assert_eq!(String::from_utf8(read).unwrap(), format!("{before}{made}"));
            assert_eq!([watch.heads().next(), watch.heads().next()], [None, Some(bad)]);
        }
        // Half of it, and what is held.
        let mut watch = HeadWatch::new(MAX, None);
        for piece in format!("GET / HTTP/1.1\r\nX: {large}").as_bytes().chunks(1000) {
            assert_eq!(watch.pass(piece), 0);
        }
        assert!(watch.in_head() && matches!(watch.state, State::TooLarge(_)));
        // What is as large as it may be is read.
        let field = "y".repeat(32 * 1024 - 5);
        let fits = format!("GET / HTTP/1.1\r\nX: {field}\r\n\r\n");
        assert_eq!(
            followed(fits.as_bytes(), 1000, 1),
            (vec![None], fits.clone().into_bytes())
        );
    }

    #[test]
    fn what_is_behind_a_lost_body_is_refused() {
        let bytes =
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: 1\n\r\n\r\nGET / HTTP/1.1\r\n\r\n";
        for cut in 1..bytes.len() {
            assert_eq!(
                verdicts(bytes, cut, 2),
                [None, Some(BadHead::NotFollowed)],
                "{cut}"
            );
        }
    }
}
