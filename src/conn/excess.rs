//! A head that is known to be too large while it still comes in. Only what is needed to refuse it in the caller's form
//! is kept, so that many connections with such heads need no more memory than others.

use super::bad_head::{BadHead, MAX_KEPT, is_kept};

/// The most bytes that are kept of one line. A field whose value is longer is left out later in any case.
const MAX_LINE: usize = MAX_KEPT + 64;

/// The most lines that are kept, the request line among them. No real client sends so many of the kept fields.
const MAX_LINES: usize = 32;

/// The capacity in bytes that the buffer is reduced to. The kept fields are usually short.
const ENOUGH: usize = 4096;

/// What is kept of a head that is too large.
pub(super) struct Excess {
    bad: BadHead,
    /// The beginning of the request line, and the fields that are kept, a line each.
    head: Vec<u8>,
    lines: usize,
    /// The beginning of the line that is coming in.
    line: Vec<u8>,
    /// The number of bytes of the head that are still waited for.
    left: usize,
}

impl Excess {
    /// Begins with the first bytes of a head, which ends after `max_bytes` at the latest.
    pub(super) fn begin(bad: BadHead, bytes: &[u8], max_bytes: usize) -> Self {
        let mut excess = Self {
            bad,
            head: Vec::new(),
            lines: 0,
            line: Vec::new(),
            left: max_bytes,
        };
        excess.pass(bytes);
        excess
    }

    /// Moves the kept bytes into the buffer that held the whole head, and shrinks it, so that the rest of that memory
    /// is free again in one piece.
    pub(super) fn stay_in(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        buffer.extend_from_slice(&self.head);
        buffer.shrink_to(ENOUGH);
        self.head = buffer;
    }

    /// What is wrong with the head.
    pub(super) fn bad(&self) -> BadHead {
        self.bad
    }

    /// The kept bytes of the head.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Takes the next piece of the head, and returns whether the head has ended.
    pub(super) fn pass(&mut self, piece: &[u8]) -> bool {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let room = MAX_LINE.saturating_sub(self.line.len()).min(part.len());
            self.line.extend_from_slice(part.get(..room).unwrap_or_default());
            self.left = self.left.saturating_sub(part.len());
            let is_over = (part.ends_with(b"\n") && self.line_ended()) || self.left == 0;
            if is_over {
                if self.lines == 0 {
                    self.keep();
                }
                return true;
            }
        }
        false
    }

    /// Ends the current line, and returns whether it was the empty line behind the last field.
    fn line_ended(&mut self) -> bool {
        if self.line.trim_ascii().is_empty() {
            self.line.clear();
            return self.lines > 0;
        }
        if self.lines == 0 || (self.lines < MAX_LINES && is_kept(&self.line)) {
            self.keep();
        }
        self.line.clear();
        false
    }

    fn keep(&mut self) {
        self.head.extend_from_slice(self.line.trim_ascii());
        self.head.push(b'\n');
        self.lines += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 64 * 1024;

    /// What is kept of a head that comes in pieces of `cut` bytes, and whether the head ended.
    fn kept(head: &str, cut: usize) -> (String, bool) {
        let mut excess = Excess::begin(BadHead::TooLarge, b"", MAX);
        let is_over = head.as_bytes().chunks(cut).any(|piece| {
            let is_over = excess.pass(piece);
            assert!(excess.head.len() + excess.line.len() < 8 * 1024);
            is_over
        });
        (String::from_utf8(excess.head().to_vec()).unwrap(), is_over)
    }

    #[test]
    fn what_says_how_to_answer_is_kept_however_it_is_cut() {
        let large = "y".repeat(25_000);
        let head = format!(
            "\r\nPOST /auth/x?token=1 HTTP/1.1\r\nX: {large}\r\nAccept: a\r\nCookie: b\r\nOrigin: {large}\r\napi-key:c\r\n\r\n"
        );
        let expected = "POST /auth/x?token=1 HTTP/1.1\nAccept: a\n";
        for cut in [1, 7, 4096, head.len()] {
            let (kept, is_over) = kept(&head, cut);
            assert!(is_over, "{cut}");
            let (start, rest) = kept.split_at(expected.len());
            assert_eq!(start, expected, "{cut}");
            // The value is cut, but still too long, and so the field is left out later.
            assert!(
                rest.starts_with("Origin: yyy") && rest.ends_with("y\napi-key:c\n"),
                "{cut}"
            );
            assert!(rest.len() > MAX_KEPT + 20);
        }
    }

    #[test]
    fn of_the_memory_that_it_had_little_is_left() {
        let head = format!("GET / HTTP/1.1\r\nAccept: a\r\nX: {}", "y".repeat(40_000)).into_bytes();
        let mut excess = Excess::begin(BadHead::TooLarge, &head, MAX);
        excess.stay_in(head);
        assert_eq!(excess.head(), b"GET / HTTP/1.1\nAccept: a\n");
        assert!(excess.head.capacity() < 2 * ENOUGH);
    }

    #[test]
    fn it_is_over_with_an_empty_line_or_when_nothing_more_is_waited_for() {
        assert!(!kept("GET / HTTP/1.1\r\nX: y\r\n", 5).1);
        assert!(kept("GET / HTTP/1.1\n\n", 5).1);
        let endless = format!("GET /{}", "y".repeat(MAX));
        let (kept_of_it, is_over) = kept(&endless, 1000);
        assert!(is_over && kept_of_it.starts_with("GET /yyy") && kept_of_it.len() == MAX_LINE + 1);
        let many = format!("GET / HTTP/1.1\r\n{}", "Accept: a\r\n".repeat(3000));
        assert_eq!(kept(&many, 1000).0.lines().count(), MAX_LINES);
    }
}
