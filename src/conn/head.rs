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
mod tests;
