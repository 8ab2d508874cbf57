//! The raw head of each HTTP/1 request, seen before the parser has tidied it up.
//!
//! hyper removes `Content-Length` from a request that also has `Transfer-Encoding`, and cuts a fragment off the target,
//! before a handler could refuse them. A head that it can't read it answers by itself, without a body. So this follows
//! the incoming bytes, with hyper's own parser for the head. It remembers an ambiguous head by its number, and replaces
//! a head that hyper would not read by another (`bad_head`).
//!
//! An incomplete head is kept here until the rest has come, and hyper has no copy of it meanwhile. Almost nothing is
//! kept of a head that is already too large (`excess`).
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

/// What the wire found in the heads, for the service to ask: requests are answered in the order in which their heads
/// came.
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

    /// Is the place lost, so that later requests can't be told apart any more?
    pub(super) fn is_lost(&self) -> bool {
        self.0.lost.load(Ordering::Relaxed)
    }
}

/// Follows the incoming bytes of a connection, and judges each head.
pub(super) struct HeadWatch {
    heads: Heads,
    number: usize,
    state: State,
    max_head_bytes: usize,
    /// How often the incomplete head was parsed.
    looks: usize,
    /// If this is set, every head is refused for this reason.
    all_refused: Option<BadHead>,
    /// The kept bytes that hyper reads next; it has read `given` bytes of them.
    ready: Vec<u8>,
    given: usize,
}

enum State {
    /// A head is coming in. These bytes of it came before the current piece; there are none before its first byte.
    Head(Vec<u8>),
    /// A head is coming in that will be refused for its size.
    TooLarge(Excess),
    Body(u64),
    Chunked(Chunks),
    /// The place is lost: the bytes are not a chunked body, or another protocol may follow the last head.
    Lost,
    /// The last head was replaced by another, and hyper reads nothing that follows it.
    Refused,
}

/// What was found in the bytes from the beginning of a head on.
enum Look {
    /// The head is complete: its length in bytes, and the state that follows it.
    Whole(usize, State),
    Partial,
    /// The head is incomplete, and already refused for its size, for this reason.
    TooLarge(BadHead),
    Bad(BadHead),
}

/// The most fields that a head may have. hyper has the same limit.
const MAX_FIELDS: usize = 100;

/// How many bytes a head may exceed its limit by while it comes in: the blanks around values count only until it is
/// parsed.
const BLANKS: usize = 1024;

/// How often an incomplete head is parsed at most. It is parsed when a line of it has ended, so that nonsense is
/// refused at once; the limit is for heads of a great many lines.
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

    /// Has a part of a head come, and is the rest still to come?
    pub(super) fn in_head(&self) -> bool {
        match &self.state {
            State::Head(held) => !held.is_empty(),
            State::TooLarge(_) => true,
            State::Body(_) | State::Chunked(_) | State::Lost | State::Refused => false,
        }
    }

    /// How many heads have been judged, the refused ones included.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// Is a body under way, is the place lost, or was the last head replaced?
    pub(super) fn in_body(&self) -> bool {
        !matches!(self.state, State::Head(_) | State::TooLarge(_))
    }

    /// Was the last head replaced, so that hyper reads nothing that follows it?
    pub(super) fn is_refused(&self) -> bool {
        matches!(self.state, State::Refused)
    }

    /// The kept bytes that hyper is to read now; empty if there are none.
    pub(super) fn ready(&self) -> &[u8] {
        self.ready.get(self.given..).unwrap_or_default()
    }

    /// Notes that hyper has read this many of the `ready` bytes.
    pub(super) fn gave(&mut self, bytes: usize) {
        self.given += bytes;
        if self.given >= self.ready.len() {
            self.ready = Vec::new();
            self.given = 0;
        }
    }

    /// Takes the next piece, and returns how many of its bytes hyper may read at once. The others are kept here, or
    /// dropped if their head is refused.
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
            State::TooLarge(excess) if through == 0 => excess.stay_in(joined),
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

    /// Returns how many of these bytes are whole heads and what belongs to them. `seen` bytes of the first head were
    /// looked at before.
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

    /// Looks for the end of a head; `seen` of its bytes were looked at before.
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

    /// Says what is wrong if this beginning of a head exceeds the limit already, whatever follows.
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

    /// Judges a parsed head, remembers what is wrong with it, and returns the state that follows it. An error means
    /// that the head has to be replaced: hyper would not read it, or all heads are refused.
    fn judged(&mut self, request: &httparse::Request<'_, '_>) -> Result<State, BadHead> {
        if let Some(refused) = self.all_refused {
            return Err(refused);
        }
        let (behind, bad) = judge(request)?;
        self.number += 1;
        let found = &self.heads.0;
        if let Some(bad) = bad {
            // The connection ends with a bad head, so only the first one counts.
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

    /// Gives hyper another head in the place of this one, and marks it as refused.
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
mod tests;
