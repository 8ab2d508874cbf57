//! Where a chunked body ends (RFC 9112 section 7.1); its content is not looked at.

/// Follows a chunked body through however it is cut.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// In a size line, before any extension.
    Size(u64),
    /// In a chunk extension, up to the end of the line.
    Extension(u64),
    /// In a chunk's data.
    Data(u64),
    /// In the line end behind a chunk's data.
    AfterData,
    /// In the trailer section; how long its current line is.
    Trailer(usize),
}

/// What a piece of the body brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// More of the body is to come.
    More,
    /// The body ended; so many bytes of the piece belong to it.
    End(usize),
    /// This is no chunked body.
    Lost,
}

impl Chunks {
    pub(super) fn begin() -> Self {
        Self::Size(0)
    }

    pub(super) fn pass(&mut self, bytes: &[u8]) -> Step {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            match self {
                Self::Data(left) => {
                    let now = usize::try_from(*left)
                        .unwrap_or(usize::MAX)
                        .min(bytes.len() - (at - 1));
                    at += now - 1;
                    *left -= now as u64;
                    if *left == 0 {
                        *self = Self::AfterData;
                    }
                }
                Self::Size(size) => match (byte, char::from(byte).to_digit(16)) {
                    (_, Some(digit)) if *size < 1 << 56 => *size = *size << 4 | u64::from(digit),
                    (b'\n', _) => *self = Self::after_size(*size),
                    (b'\r' | b';' | b' ' | b'\t', _) => *self = Self::Extension(*size),
                    _ => return Step::Lost,
                },
                Self::Extension(size) => {
                    if byte == b'\n' {
                        *self = Self::after_size(*size);
                    }
                }
                Self::AfterData => match byte {
                    b'\r' => {}
                    b'\n' => *self = Self::begin(),
                    _ => return Step::Lost,
                },
                Self::Trailer(length) => match byte {
                    b'\n' if *length == 0 => return Step::End(at),
                    b'\n' => *length = 0,
                    b'\r' => {}
                    _ => *length += 1,
                },
            }
        }
        Step::More
    }

    fn after_size(size: u64) -> Self {
        if size == 0 {
            Self::Trailer(0)
        } else {
            Self::Data(size)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"4\r\nWiki\r\n6;x=\"y\"\r\npedia \r\n0\r\nTrailer: 1\r\n\r\n";

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
        assert_eq!(Chunks::begin().pass(b"xyz"), Step::Lost);
        assert_eq!(Chunks::begin().pass(b"1\r\naab"), Step::Lost);
        assert_eq!(Chunks::begin().pass(b"ffffffffffffffffffff"), Step::Lost);
    }
}
