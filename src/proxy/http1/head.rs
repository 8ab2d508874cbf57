//! The head of an answer: its status, its fields, and how its body is framed.
//!
//! Sources: RFC 9112 sections 2.2, 4, 6.3 and 9.3.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use httparse::{Header, ParserConfig, Status};
use hyper::{
    HeaderMap, StatusCode,
    header::{self, HeaderName, HeaderValue},
};

use super::{bad_answer::BadAnswer, decode::Framing};

/// The largest number of header fields in an answer. No program behind the gateway sends as many.
const MAX_FIELDS: usize = 256;

/// The number of fields that are added to an answer on its way to the client. A map that has to grow for them is built twice.
const ADDED: usize = 4;

/// The largest head of an answer, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) framing: Framing,
    /// Does the upstream take another request on the connection, once the answer has been read?
    pub(super) keeps_alive: bool,
}

/// Reads heads of answers as their bytes come.
#[derive(Debug, Default)]
pub(super) struct HeadReader {
    /// The number of bytes of the buffer in which no end of a head was found.
    searched: usize,
}

impl HeadReader {
    /// Takes the next head off the buffer; None if it has not come whole. `to_head`: it answers a HEAD.
    pub(super) fn next(&mut self, buffer: &mut BytesMut, to_head: bool) -> Result<Option<Head>, BadAnswer> {
        if self.searched == 0 && !skip_empty_lines(buffer) {
            return Ok(None);
        }
        let end = self.end_in(buffer);
        if end.unwrap_or(buffer.len()) > MAX_BYTES {
            return Err(BadAnswer::LargeHead);
        }
        let Some(end) = end else { return Ok(None) };
        self.searched = 0;
        parsed(&buffer.split_to(end).freeze(), to_head).map(Some)
    }

    /// The end of the first empty line. What was searched before is not searched again, so that a head that comes byte by
    /// byte is read once.
    fn end_in(&mut self, buffer: &[u8]) -> Option<usize> {
        // The line may have begun in the bytes that were searched before.
        let from = self.searched.saturating_sub(2);
        self.searched = buffer.len();
        memchr::memchr_iter(b'\n', buffer.get(from..)?).find_map(|at| {
            let behind = buffer.get(from + at + 1..)?;
            let line = [&b"\n"[..], b"\r\n"];
            let line = line.into_iter().find(|line| behind.starts_with(line))?;
            Some(from + at + 1 + line.len())
        })
    }
}

/// Takes empty lines off, which some programs send behind the message before (RFC 9112 section 2.2). False: it is not known
/// yet whether another one comes.
fn skip_empty_lines(buffer: &mut BytesMut) -> bool {
    loop {
        match buffer.as_ref() {
            [b'\n', ..] => buffer.advance(1),
            [b'\r', b'\n', ..] => buffer.advance(2),
            rest => return rest != b"\r",
        }
    }
}

/// Parses a head that has come whole.
fn parsed(bytes: &Bytes, to_head: bool) -> Result<Head, BadAnswer> {
    let mut room = [const { MaybeUninit::<Header<'_>>::uninit() }; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let parsed = ParserConfig::default()
        .allow_spaces_after_header_name_in_responses(true)
        .parse_response_with_uninit_headers(&mut response, bytes, &mut room);
    match parsed {
        Ok(Status::Complete(end)) if end == bytes.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(BadAnswer::LargeHead),
        Ok(_) | Err(_) => return Err(BadAnswer::Head),
    }
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(BadAnswer::Head)?;
    let is_http11 = response.version == Some(1);
    let mut headers = HeaderMap::with_capacity(response.headers.len() + ADDED);
    for field in response.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| BadAnswer::Head)?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value));
        headers.append(name, value.map_err(|_| BadAnswer::Head)?);
    }
    Ok(Head {
        status,
        framing: framing_of(status, &headers, is_http11, to_head)?,
        keeps_alive: keeps_alive(&headers, is_http11),
        headers,
    })
}

/// Where the body ends (RFC 9112 section 6.3). A transfer coding other than `chunked` ends with the connection.
fn framing_of(
    status: StatusCode,
    headers: &HeaderMap,
    is_http11: bool,
    to_head: bool,
) -> Result<Framing, BadAnswer> {
    let is_bare = status.is_informational()
        || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status)
        || to_head;
    if is_bare {
        return Ok(Framing::Length(0));
    }
    let codings = headers.get_all(header::TRANSFER_ENCODING);
    if let Some(last) = codings.iter().next_back() {
        // RFC 9112 section 6.1: to HTTP/1.0 the coding is unknown, so the framing is faulty.
        if !is_http11 {
            return Err(BadAnswer::Framing);
        }
        let is_chunked = members(last)
            .next_back()
            .is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
        return Ok(if is_chunked {
            Framing::Chunked
        } else {
            Framing::UntilClose
        });
    }
    let mut length = None;
    for stated in headers.get_all(header::CONTENT_LENGTH).iter().flat_map(members) {
        let stated = number(stated).ok_or(BadAnswer::Framing)?;
        if *length.get_or_insert(stated) != stated {
            return Err(BadAnswer::Framing);
        }
    }
    Ok(length.map_or(Framing::UntilClose, Framing::Length))
}

/// Does the connection stay open after this answer (RFC 9112 section 9.3)?
fn keeps_alive(headers: &HeaderMap, is_http11: bool) -> bool {
    let options = headers.get_all(header::CONNECTION);
    let mut options = options.iter().flat_map(members);
    if is_http11 {
        !options.any(|option| option.eq_ignore_ascii_case(b"close"))
    } else {
        options.any(|option| option.eq_ignore_ascii_case(b"keep-alive"))
    }
}

/// The members of a list with commas, in one field line (RFC 9110 section 5.6.1).
fn members(line: &HeaderValue) -> impl DoubleEndedIterator<Item = &[u8]> {
    line.as_bytes()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
}

fn number(digits: &[u8]) -> Option<u64> {
    let are_digits = digits.iter().all(u8::is_ascii_digit);
    are_digits
        .then(|| str::from_utf8(digits).ok()?.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a head that comes in pieces of this size, and what is left behind it.
    fn read(bytes: &str, piece: usize, to_head: bool) -> Result<Option<(Head, String)>, BadAnswer> {
        let (mut reader, mut buffer) = (HeadReader::default(), BytesMut::new());
        let mut pieces = bytes.as_bytes().chunks(piece);
        loop {
            if let Some(head) = reader.next(&mut buffer, to_head)? {
                buffer.extend_from_slice(&pieces.collect::<Vec<_>>().concat());
                return Ok(Some((head, String::from_utf8(buffer.to_vec()).unwrap())));
            }
            match pieces.next() {
                Some(piece) => buffer.extend_from_slice(piece),
                None => return Ok(None),
            }
        }
    }

    fn framing(bytes: &str, to_head: bool) -> Result<Framing, BadAnswer> {
        read(bytes, 1000, to_head).map(|read| read.unwrap().0.framing)
    }

    #[test]
    fn a_head_is_read_however_it_is_cut() {
        for bytes in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX : y \r\n\r\nhello",
            "\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
            "HTTP/1.1 200\ncontent-length:5\nx:\ty\n\nhello",
            "HTTP/1.1 200 \r\nContent-Length: 5\r\nX:y\n\r\nhello",
        ] {
            for piece in [1, 2, 3, 1000] {
                let (head, behind) = read(bytes, piece, false).unwrap().unwrap();
                assert_eq!((head.status, head.framing), (StatusCode::OK, Framing::Length(5)));
                assert_eq!(head.headers["x"], "y");
                assert_eq!(head.headers.len(), 2);
                assert_eq!(behind, "hello");
            }
        }
    }

    #[test]
    fn what_has_not_come_whole_is_waited_for() {
        for bytes in ["", "\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nX: y\r\n\r"] {
            assert!(matches!(read(bytes, 1, false), Ok(None)), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_head_is_refused() {
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(MAX_FIELDS + 1));
        let large = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(MAX_BYTES));
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(MAX_BYTES));
        for (bytes, bad) in [
            ("HTTP/1.1 099 No\r\n\r\n", BadAnswer::Head),
            ("HTTP/2.0 200 OK\r\n\r\n", BadAnswer::Head),
            ("ICY 200 OK\r\n\r\n", BadAnswer::Head),
            ("\rHTTP/1.1 200 OK\r\n\r\n", BadAnswer::Head),
            ("HTTP/1.1 200 OK\r\nx\r\n\r\n", BadAnswer::Head),
            ("HTTP/1.1 200 OK\r\nx: y\r\n z\r\n\r\n", BadAnswer::Head),
            ("HTTP/1.1 200 OK\r\n x: y\r\n\r\n", BadAnswer::Head),
            ("HTTP/1.1 200 OK\r\nx: y\0z\r\n\r\n", BadAnswer::Head),
            (&many, BadAnswer::LargeHead),
            (&large, BadAnswer::LargeHead),
            (&endless, BadAnswer::LargeHead),
        ] {
            let read = read(bytes, 4096, false).map(|_| ());
            assert_eq!(read, Err(bad), "{:?}", &bytes[..bytes.len().min(60)]);
        }
    }

    #[test]
    fn the_end_of_the_body_follows_from_the_head_and_the_request() {
        let of = |status: u16, fields: &str| framing(&format!("HTTP/1.1 {status} X\r\n{fields}\r\n"), false);
        assert_eq!(of(200, ""), Ok(Framing::UntilClose));
        assert_eq!(of(200, "Content-Length: 7\r\n"), Ok(Framing::Length(7)));
        assert_eq!(
            of(200, "Content-Length: 7, 7\r\nContent-Length: 7\r\n"),
            Ok(Framing::Length(7))
        );
        assert_eq!(of(200, "Transfer-Encoding: Chunked\r\n"), Ok(Framing::Chunked));
        assert_eq!(
            of(200, "Transfer-Encoding: chunked\r\nContent-Length: 7\r\n"),
            Ok(Framing::Chunked)
        );
        assert_eq!(of(200, "Transfer-Encoding: gzip\r\n"), Ok(Framing::UntilClose));
        for fields in [
            "Content-Length: 7, 8\r\n",
            "Content-Length: 7\r\nContent-Length: 8\r\n",
            "Content-Length: +7\r\n",
            "Content-Length: \r\n",
            "Content-Length: 7,\r\n",
            "Content-Length: 18446744073709551616\r\n",
        ] {
            assert_eq!(of(200, fields), Err(BadAnswer::Framing), "{fields:?}");
        }
        let length = "Content-Length: 7\r\n";
        for status in [100, 103, 204, 304] {
            assert_eq!(of(status, length), Ok(Framing::Length(0)), "{status}");
        }
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n";
        assert_eq!(framing(ok, true), Ok(Framing::Length(0)));
        let old = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(framing(old, false), Err(BadAnswer::Framing));
    }

    #[test]
    fn a_connection_stays_open_as_its_version_and_its_options_say() {
        for (head, keeps_alive) in [
            ("HTTP/1.1 200 OK\r\n", true),
            ("HTTP/1.1 200 OK\r\nConnection: x, Close\r\n", false),
            (
                "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nConnection: close\r\n",
                false,
            ),
            ("HTTP/1.0 200 OK\r\n", false),
            ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n", true),
        ] {
            let (read, _) = read(&format!("{head}\r\n"), 1000, false).unwrap().unwrap();
            assert_eq!(read.keeps_alive, keeps_alive, "{head:?}");
        }
    }
}
