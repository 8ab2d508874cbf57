//! The body of an answer, taken off the bytes of the connection.
//!
//! Sources: RFC 9112 sections 6.3, 7.1 and 8.

use bytes::{Buf, Bytes, BytesMut};
use hyper::{
    HeaderMap,
    header::{HeaderName, HeaderValue},
};

use super::bad_answer::BadAnswer;

/// The largest line with the size of a chunk, in bytes, extensions included.
const MAX_LINE: usize = 4096;

/// The largest trailers, in bytes, and the largest number of their fields.
const MAX_TRAILERS: usize = 16 * 1024;
const MAX_TRAILER_FIELDS: usize = 64;

/// Where the body of an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    Chunked,
    /// With the connection.
    UntilClose,
}

/// Reads one body.
#[derive(Debug)]
pub(super) struct Decoder(State);

#[derive(Debug)]
enum State {
    /// So many bytes of the body are still to come.
    Length(u64),
    UntilClose,
    /// The line with the size of a chunk comes next.
    ChunkSize,
    /// So many bytes of a chunk are still to come.
    Chunk(u64),
    /// The end of the line behind a chunk comes next.
    ChunkEnd,
    Trailers,
    Over,
}

/// What comes next of a body.
#[derive(Debug, PartialEq)]
pub(super) enum Part {
    Data(Bytes),
    Trailers(HeaderMap),
    /// What has come is not enough to tell.
    NotYet,
    Over,
}

impl Decoder {
    pub(super) fn new(framing: Framing) -> Self {
        Self(match framing {
            Framing::Length(0) => State::Over,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::ChunkSize,
            Framing::UntilClose => State::UntilClose,
        })
    }

    /// Has the body been read to its end?
    pub(super) fn is_over(&self) -> bool {
        matches!(self.0, State::Over)
    }

    /// The number of bytes that are still to come, if the head has told it.
    pub(super) fn left(&self) -> Option<u64> {
        match self.0 {
            State::Length(left) => Some(left),
            State::Over => Some(0),
            State::UntilClose | State::ChunkSize | State::Chunk(_) | State::ChunkEnd | State::Trailers => {
                None
            }
        }
    }

    /// Takes the next part of the body off the buffer.
    pub(super) fn next(&mut self, buffer: &mut BytesMut) -> Result<Part, BadAnswer> {
        loop {
            match &mut self.0 {
                State::Over => return Ok(Part::Over),
                _ if buffer.is_empty() => return Ok(Part::NotYet),
                State::UntilClose => return Ok(Part::Data(buffer.split().freeze())),
                State::Length(left) => {
                    let data = up_to(buffer, left);
                    if *left == 0 {
                        self.0 = State::Over;
                    }
                    return Ok(Part::Data(data));
                }
                State::Chunk(left) => {
                    let data = up_to(buffer, left);
                    if *left == 0 {
                        self.0 = State::ChunkEnd;
                    }
                    return Ok(Part::Data(data));
                }
                State::ChunkEnd => match buffer.as_ref() {
                    [b'\r', b'\n', ..] => {
                        buffer.advance(2);
                        self.0 = State::ChunkSize;
                    }
                    b"\r" => return Ok(Part::NotYet),
                    _ => return Err(BadAnswer::Chunk),
                },
                State::ChunkSize => {
                    let Some(line) = line_in(buffer)? else {
                        return Ok(Part::NotYet);
                    };
                    let size = chunk_size(buffer.get(..line).unwrap_or_default()).ok_or(BadAnswer::Chunk)?;
                    buffer.advance(line);
                    self.0 = if size == 0 {
                        State::Trailers
                    } else {
                        State::Chunk(size)
                    };
                }
                State::Trailers => {
                    let Some((bytes, trailers)) = trailers_in(buffer)? else {
                        return Ok(Part::NotYet);
                    };
                    buffer.advance(bytes);
                    self.0 = State::Over;
                    if !trailers.is_empty() {
                        return Ok(Part::Trailers(trailers));
                    }
                }
            }
        }
    }

    /// The connection has ended.
    pub(super) fn ended(&mut self) -> Result<(), BadAnswer> {
        if !matches!(self.0, State::Over | State::UntilClose) {
            return Err(BadAnswer::Ended);
        }
        self.0 = State::Over;
        Ok(())
    }
}

/// Takes as many bytes off the buffer as are left of a body, and counts them.
fn up_to(buffer: &mut BytesMut, left: &mut u64) -> Bytes {
    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
    *left -= here as u64;
    buffer.split_to(here).freeze()
}

/// The length of the buffer's first line; None if it has not come whole.
fn line_in(buffer: &[u8]) -> Result<Option<usize>, BadAnswer> {
    let searched = buffer.get(..MAX_LINE).unwrap_or(buffer);
    match memchr::memchr(b'\n', searched) {
        Some(at) => Ok(Some(at + 1)),
        None if searched.len() == MAX_LINE => Err(BadAnswer::Chunk),
        None => Ok(None),
    }
}

/// The size that a line says. The extensions behind it mean nothing to anybody here.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"\r\n")?;
    let (size, extensions) = line.split_at(memchr::memchr(b';', line).unwrap_or(line.len()));
    let blanks = size.iter().rev().take_while(|byte| b" \t".contains(byte)).count();
    let digits = size.get(..size.len() - blanks)?;
    // A carriage return alone is an end of line to some (RFC 9112 section 2.2).
    let is_size = (1..=16).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
    if !is_size || extensions.contains(&b'\r') {
        return None;
    }
    u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

/// The trailers at the start of the buffer, and the number of their bytes; None if they have not come whole.
fn trailers_in(buffer: &[u8]) -> Result<Option<(usize, HeaderMap)>, BadAnswer> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_TRAILER_FIELDS];
    let (bytes, fields) = match httparse::parse_headers(buffer, &mut fields) {
        Ok(httparse::Status::Complete(whole)) if whole.0 <= MAX_TRAILERS => whole,
        Ok(httparse::Status::Partial) if buffer.len() < MAX_TRAILERS => return Ok(None),
        Ok(_) | Err(_) => return Err(BadAnswer::Chunk),
    };
    // A line feed alone is an end of line to httparse, and none to others, who would see the end at another byte.
    let lines = buffer.get(..bytes).unwrap_or_default();
    let is_line = |at: usize| lines.get(..at).is_some_and(|line| line.ends_with(b"\r"));
    if !memchr::memchr_iter(b'\n', lines).all(is_line) {
        return Err(BadAnswer::Chunk);
    }
    let mut trailers = HeaderMap::new();
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| BadAnswer::Chunk)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| BadAnswer::Chunk)?;
        trailers.append(name, value);
    }
    Ok(Some((bytes, trailers)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a body that comes in pieces of this size: the body, its trailers, and what is left behind it.
    fn read(framing: Framing, bytes: &[u8], piece: usize) -> Result<(String, usize, String), BadAnswer> {
        let (mut decoder, mut buffer) = (Decoder::new(framing), BytesMut::new());
        let (mut body, mut trailers) = (String::new(), 0);
        let mut pieces = bytes.chunks(piece);
        loop {
            match decoder.next(&mut buffer)? {
                Part::Data(data) => body.push_str(str::from_utf8(&data).unwrap()),
                Part::Trailers(fields) => trailers = fields.len(),
                Part::Over => break,
                Part::NotYet => match pieces.next() {
                    Some(piece) => buffer.extend_from_slice(piece),
                    None => decoder.ended()?,
                },
            }
        }
        buffer.extend_from_slice(&pieces.collect::<Vec<_>>().concat());
        Ok((body, trailers, String::from_utf8(buffer.to_vec()).unwrap()))
    }

    #[test]
    fn a_body_ends_where_its_framing_says_however_it_is_cut() {
        for (framing, bytes, body, trailers, behind) in [
            (Framing::Length(0), "HTTP", "", 0, "HTTP"),
            (Framing::Length(5), "helloHTTP", "hello", 0, "HTTP"),
            (Framing::UntilClose, "hello", "hello", 0, ""),
            (Framing::Chunked, "0\r\n\r\nHTTP", "", 0, "HTTP"),
            (
                Framing::Chunked,
                "5\r\nhello\r\n0\r\n\r\nHTTP",
                "hello",
                0,
                "HTTP",
            ),
            (
                Framing::Chunked,
                "2;a=\"b\"\r\nhe\r\n0003 \r\nllo\r\n0;x\r\nX-Sum: 1\r\ny: 2\r\n\r\nHTTP",
                "hello",
                2,
                "HTTP",
            ),
            (
                Framing::Chunked,
                "A\r\n0123456789\r\n0\r\n\r\n",
                "0123456789",
                0,
                "",
            ),
        ] {
            for piece in [1, 2, 3, 7, 1000] {
                let expected = (body.to_owned(), trailers, behind.to_owned());
                assert_eq!(
                    read(framing, bytes.as_bytes(), piece),
                    Ok(expected),
                    "{bytes:?} by {piece}"
                );
            }
        }
    }

    #[test]
    fn a_body_that_ends_with_the_connection_before_its_end_is_none() {
        for (framing, bytes) in [
            (Framing::Length(5), "hell"),
            (Framing::Chunked, ""),
            (Framing::Chunked, "5\r\nhell"),
            (Framing::Chunked, "5\r\nhello\r\n"),
            (Framing::Chunked, "5\r\nhello\r\n0\r\n"),
            (Framing::Chunked, "0\r\nx: y\r\n"),
        ] {
            assert_eq!(
                read(framing, bytes.as_bytes(), 3),
                Err(BadAnswer::Ended),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn chunks_that_can_be_read_in_two_ways_are_none() {
        let large_trailer = format!("0\r\nx: {}\r\n\r\n", "y".repeat(MAX_TRAILERS));
        let long_line = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(MAX_LINE));
        for bytes in [
            "\r\n0\r\n\r\n",
            "5\nhello\r\n0\r\n\r\n",
            "5\r\nhello0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhello\rx0\r\n\r\n",
            " 5\r\nhello\r\n0\r\n\r\n",
            "+5\r\nhello\r\n0\r\n\r\n",
            "0x5\r\nhello\r\n0\r\n\r\n",
            "5 5\r\nhello\r\n0\r\n\r\n",
            "5\r;a\r\nhello\r\n0\r\n\r\n",
            "5\x0c\r\nhello\r\n0\r\n\r\n",
            "5;a\rb\r\nhello\r\n0\r\n\r\n",
            ";a\r\nhello\r\n0\r\n\r\n",
            "10000000000000005\r\nhello\r\n0\r\n\r\n",
            "0\r\n x: y\r\n\r\n",
            "0\r\nx y\r\n\r\n",
            "0\r\nx: y\n\r\n",
            "0\r\nx: y\r\n\n\r\n",
            "0\r\n\n",
            &large_trailer,
            &long_line,
        ] {
            let read = read(Framing::Chunked, bytes.as_bytes(), 64);
            assert_eq!(read, Err(BadAnswer::Chunk), "{:?}", &bytes[..bytes.len().min(60)]);
        }
    }
}
