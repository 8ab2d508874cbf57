//! Where a chunked body ends (RFC 9112 section 7.1); its content is not looked at.
//!
//! INVARIANT: what is followed here to its end is followed by hyper to the same byte. So each state is one of its
//! decoder's, and a line ends with CR LF: where hyper and this could part, the place is lost.

/// A position in a chunked body, which may arrive in pieces of any length.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// The next byte is the first digit of a chunk's size.
    Start,
    /// More digits of the size may follow; the value is the size so far.
    Size(u64),
    /// Blanks follow the size.
    Blanks(u64),
    /// A chunk extension follows the size, up to the end of the line.
    Extension(u64),
    /// The CR of the size's line has come, and its LF is next.
    SizeEnd(u64),
    /// The chunk's data is coming in; the value is the number of bytes that are left of it.
    Data(u64),
    /// The chunk's data is complete, and the CR behind it is next.
    AfterData,
    /// The CR behind the chunk's data has come, and its LF is next.
    DataEnd,
    /// The next byte begins a line of the trailer section.
    TrailerStart,
    /// A line of the trailer section is coming in.
    Trailer,
    /// The CR of a line of the trailer section has come, and its LF is next.
    TrailerEnd,
    /// The CR of the empty line that ends the body has come, and its LF is next.
    LastEnd,
}

/// What a piece of the body led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The body has not ended yet.
    More,
    /// The body ended after this many bytes of the piece.
    End(usize),
    /// The bytes are not a chunked body.
    Lost,
}

impl Chunks {
    pub(super) fn begin() -> Self {
        Self::Start
    }

    pub(super) fn pass(&mut self, bytes: &[u8]) -> Step {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            let next = match (&*self, byte) {
                (Self::Data(left), _) => {
                    let here = bytes.len() - (at - 1);
                    let now = usize::try_from(*left).unwrap_or(usize::MAX).min(here);
                    at += now - 1;
                    match *left - now as u64 {
                        0 => Self::AfterData,
                        left => Self::Data(left),
                    }
                }
                (Self::Start, _) => match digit(byte) {
                    Some(digit) => Self::Size(digit),
                    None => return Step::Lost,
                },
                (Self::Size(size), _) if digit(byte).is_some() => match (digit(byte), *size < 1 << 56) {
                    (Some(digit), true) => Self::Size(*size << 4 | digit),
                    (Some(_) | None, _) => return Step::Lost,
                },
                (Self::Size(size) | Self::Blanks(size), b' ' | b'\t') => Self::Blanks(*size),
                (Self::Size(size) | Self::Blanks(size), b';') => Self::Extension(*size),
                (Self::Size(size) | Self::Blanks(size) | Self::Extension(size), b'\r') => {
                    Self::SizeEnd(*size)
                }
                (Self::Extension(size), byte) if byte != b'\n' => Self::Extension(*size),
                (Self::SizeEnd(0) | Self::TrailerEnd, b'\n') => Self::TrailerStart,
                (Self::SizeEnd(size), b'\n') => Self::Data(*size),
                (Self::AfterData, b'\r') => Self::DataEnd,
                (Self::DataEnd, b'\n') => Self::Start,
                (Self::TrailerStart, b'\r') => Self::LastEnd,
                (Self::Trailer, b'\r') => Self::TrailerEnd,
                (Self::TrailerStart | Self::Trailer, byte) if byte != b'\n' => Self::Trailer,
                (Self::LastEnd, b'\n') => return Step::End(at),
                _ => return Step::Lost,
            };
            *self = next;
        }
        Step::More
    }
}

fn digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"4\r\nWiki\r\n6 ;x=\"y\"\r\npedia \r\n00\r\nTrailer: 1\r\nAnother: 2\r\n\r\n";

    #[test]
    fn finds_the_end_however_the_body_is_cut() {
        for cut in 1..BODY.len() {
            let (first, rest) = BODY.split_at(cut);
            let mut chunks = Chunks::begin();
            assert_eq!(chunks.pass(first), Step::More, "{cut}");
            let with_next = [rest, b"GET / HTTP/1.1"].concat();
            assert_eq!(chunks.pass(&with_next), Step::End(rest.len()), "{cut}");
        }
    }

    #[test]
    fn what_is_no_chunked_body_is_lost() {
        for body in [
            "xyz",
            "\r\n",
            ";x\r\n",
            "1\r\naab",
            "1 1\r\n",
            "1\r\r\n",
            "ffffffffffffffffffff",
            "0\r\n\rX",
        ] {
            assert_eq!(Chunks::begin().pass(body.as_bytes()), Step::Lost, "{body:?}");
        }
    }

    /// A line feed alone ends a line for some readers and is a part of it for others.
    #[test]
    fn a_bare_line_feed_is_lost_wherever_it_stands() {
        for body in [
            "1\na",
            "1;x\n",
            "1 \n",
            "1\r\na\n",
            "0\n",
            "0\r\n\n",
            "0\r\nX: 1\n\r\n",
            "0\r\nX: 1\r\n\n",
            "0\r\nX: 1\n\n",
        ] {
            assert_eq!(Chunks::begin().pass(body.as_bytes()), Step::Lost, "{body:?}");
        }
    }
}
