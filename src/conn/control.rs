//! Frames of HTTP/2 that carry nothing, counted on their way in: each makes us work, and many of them are an attack.
//!
//! h2 counts streams that are reset and heads without an end; it answers any number of PING and SETTINGS.
//!
//! Sources: RFC 9113 sections 4.1, 6 and 10.5 (a connection that abuses them ends with `ENHANCE_YOUR_CALM`); CVE-2019-9512
//! (pings), CVE-2019-9515 (settings), CVE-2019-9518 (empty frames).

use std::time::Duration;

use tokio::time::Instant;

/// The number of frames carrying nothing that ends a connection if they come within `SPAN`. A client that measures the
/// round trip sends a few pings a second, and a browser sends none in most seconds.
const TOO_MANY: u32 = 10_000;
const SPAN: Duration = Duration::from_secs(10);

/// The number of bytes sent that allow the client one `WINDOW_UPDATE`. A client that takes an answer sends one for this
/// many bytes, or less often.
const BYTES_FOR_AN_UPDATE: usize = 512;

/// The length in bytes of the preface (`PRI * HTTP/2.0` and so on), which comes before the first frame.
const PREFACE: usize = 24;
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;

/// Why we end a connection (RFC 9113 section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goodbye {
    NoError = 0,
    EnhanceYourCalm = 0xb,
}

/// Follows the incoming frames of one connection, and counts those that carry nothing.
pub(super) struct FrameWatch {
    /// The number of bytes until the next frame begins.
    skip: usize,
    head: [u8; HEAD],
    /// The number of bytes of the frame's head that have come.
    filled: usize,
    /// When the counting in `empty` began; `None` before the first frame that carries nothing.
    since: Option<Instant>,
    empty: u32,
    /// The number of bytes sent for which no `WINDOW_UPDATE` was counted yet.
    sent: usize,
    last_stream: u32,
    flooded: bool,
}

impl FrameWatch {
    pub(super) fn new() -> Self {
        Self {
            skip: PREFACE,
            head: [0; HEAD],
            filled: 0,
            since: None,
            empty: 0,
            sent: 0,
            last_stream: 0,
            flooded: false,
        }
    }

    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(bytes);
    }

    /// Follows a piece, and returns how many of its bytes may be read. If too many frames carried nothing, reading
    /// stops at the end of a frame: in the middle of one the connection can't be ended in order.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if self.skip > 0 {
                let now = self.skip.min(rest.len());
                self.skip -= now;
                at += now;
                continue;
            }
            if self.is_flooded() {
                return at;
            }
            let now = (HEAD - self.filled).min(rest.len());
            let free = self.head.get_mut(self.filled..self.filled + now);
            if let (Some(free), Some(head)) = (free, rest.get(..now)) {
                free.copy_from_slice(head);
            }
            self.filled += now;
            at += now;
            if self.filled == HEAD {
                self.filled = 0;
                self.flooded |= self.frame();
            }
        }
        at
    }

    /// Have too many frames carried nothing, and is the end of a frame reached?
    pub(super) fn is_flooded(&self) -> bool {
        self.flooded && self.skip == 0
    }

    fn frame(&mut self) -> bool {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = self.head;
        let length = u32::from_be_bytes([0, l0, l1, l2]);
        self.skip = usize::try_from(length).unwrap_or(usize::MAX);
        let carries = match kind {
            DATA => length > 0 || flags & END_STREAM != 0,
            HEADERS => {
                self.last_stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
                true
            }
            // h2 itself counts these.
            RST_STREAM | CONTINUATION => true,
            WINDOW_UPDATE => {
                let is_for_an_answer = self.sent >= BYTES_FOR_AN_UPDATE;
                self.sent = self.sent.saturating_sub(BYTES_FOR_AN_UPDATE);
                is_for_an_answer
            }
            _ => false,
        };
        !carries && self.count()
    }

    fn count(&mut self) -> bool {
        let now = Instant::now();
        match self.since {
            Some(since) if now - since <= SPAN => self.empty += 1,
            Some(_) | None => {
                self.since = Some(now);
                self.empty = 1;
            }
        }
        self.empty >= TOO_MANY
    }

    /// Builds the GOAWAY frame, the last frame that we send (RFC 9113 section 6.8).
    pub(super) fn goodbye(&self, why: Goodbye) -> Vec<u8> {
        let mut frame = vec![0, 0, 8, 7, 0, 0, 0, 0, 0];
        frame.extend(self.last_stream.to_be_bytes());
        frame.extend((why as u32).to_be_bytes());
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        frame
    }

    fn begun() -> FrameWatch {
        let mut watch = FrameWatch::new();
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        assert_eq!(watch.pass(preface), preface.len());
        watch
    }

    /// Are all of these bytes read, without too many frames that carry nothing?
    fn bears(watch: &mut FrameWatch, bytes: &[u8]) -> bool {
        watch.pass(bytes) == bytes.len() && !watch.is_flooded()
    }

    /// How many bytes of this repeated frame are read, in pieces of `cut` bytes.
    fn borne(watch: &mut FrameWatch, frame: &[u8], cut: usize) -> usize {
        let mut read = 0;
        for piece in frame.repeat(20_000).chunks(cut) {
            read += watch.pass(piece);
            if watch.is_flooded() {
                break;
            }
        }
        read
    }

    #[tokio::test(start_paused = true)]
    async fn ten_thousand_frames_that_carry_nothing_are_too_many_however_they_are_cut() {
        for (name, kind, payload) in [
            ("ping", 6, &[0; 8][..]),
            ("settings", 4, &[]),
            ("priority", 2, &[0; 5]),
            ("window", 8, &[0, 0, 0, 1]),
            ("empty data", 0, &[]),
            ("unknown", 0xfa, b"x"),
        ] {
            let frame = frame(kind, 0, 0, payload);
            for cut in [1, 7, frame.len()] {
                let read = borne(&mut begun(), &frame, cut);
                assert_eq!(read, 10_000 * frame.len(), "{name} {cut}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_carries_something_or_takes_its_time_is_borne() {
        let mut watch = begun();
        for stream in 0..20_000 {
            assert!(bears(&mut watch, &frame(HEADERS, 5, 2 * stream + 1, b"x")));
            assert!(bears(&mut watch, &frame(DATA, 0, 2 * stream + 1, b"x")));
        }
        assert_eq!(
            watch.goodbye(Goodbye::EnhanceYourCalm)[9..],
            [0, 0, 0x9c, 0x3f, 0, 0, 0, 0xb]
        );
        let ping = frame(6, 0, 0, &[0; 8]);
        for _ in 0..20_000 {
            tokio::time::advance(Duration::from_millis(2)).await;
            assert!(bears(&mut watch, &ping));
        }
        let update = frame(WINDOW_UPDATE, 0, 0, &[0, 0, 2, 0]);
        for _ in 0..20_000 {
            watch.sent(BYTES_FOR_AN_UPDATE);
            assert!(bears(&mut watch, &update));
        }
    }
}
