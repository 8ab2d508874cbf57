//! A request on its way to an upstream: its head, and its body as the client sends it.
//!
//! Sources: RFC 9112 sections 3, 6 and 7.1.

use std::{
    io::{self, IoSlice, Write as _},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use hyper::{HeaderMap, Method, header, http::uri::PathAndQuery};

use super::super::{
    body::{BodyError, RequestBody},
    endpoint::Socket,
    headers::Forwarded,
};

/// The largest piece of a body, in bytes, that is copied behind the head or into one write with other pieces. Copying a
/// larger one costs more than it saves.
const SMALL: usize = 4 * 1024;

/// The most bytes that wait in the buffer for one write.
const FULL: usize = 16 * 1024;

/// The head of a request. How its body is framed follows from the body alone.
pub(in crate::proxy) struct RequestHead {
    pub(in crate::proxy) method: Method,
    pub(in crate::proxy) target: PathAndQuery,
    /// The client's fields.
    pub(in crate::proxy) headers: HeaderMap,
    pub(in crate::proxy) forwarded: Forwarded,
}

/// A request that has not been sent to its end.
pub(super) struct Outgoing {
    /// What is written first: the head, the frames of chunks, small pieces of the body.
    buffer: Vec<u8>,
    /// The number of bytes of the buffer that have been written.
    written: usize,
    /// A large piece of the body, and what is written behind it.
    piece: Bytes,
    tail: &'static [u8],
    body: RequestBody,
    coding: Coding,
}

/// How the end of the body is told.
#[derive(Clone, Copy)]
enum Coding {
    /// Nothing more of the body comes.
    Over,
    /// So many bytes are still to come from the client.
    Length(u64),
    Chunked,
}

/// Why a request was not sent to its end.
#[derive(Debug)]
pub(super) enum NotSent {
    Body(BodyError),
    Io(io::Error),
}

impl Outgoing {
    /// Takes a buffer in which a request has been before.
    pub(super) fn new(head: &RequestHead, body: RequestBody, mut buffer: Vec<u8>) -> Self {
        let coding = match body.length() {
            Some(0) => Coding::Over,
            Some(length) => Coding::Length(length),
            None => Coding::Chunked,
        };
        buffer.clear();
        write_head(&mut buffer, head, coding);
        Self {
            buffer,
            written: 0,
            piece: Bytes::new(),
            tail: b"",
            body,
            coding,
        }
    }

    /// The buffer, for the next request.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// Sends what the client and the upstream let it; ready when all has been sent.
    pub(super) fn poll_send(&mut self, socket: &Socket, cx: &mut Context<'_>) -> Poll<Result<(), NotSent>> {
        loop {
            // The head waits for what is there of the body: most requests go out in one write.
            let gathered = self.poll_gather(cx).map_err(NotSent::Body)?;
            if self.buffer.is_empty() && self.piece.is_empty() {
                return gathered.map(Ok);
            }
            ready!(self.poll_write(socket, cx)).map_err(NotSent::Io)?;
        }
    }

    /// Takes pieces of the body until there is enough for one write; ready also when nothing more comes.
    fn poll_gather(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        while self.piece.is_empty() && self.buffer.len() < FULL {
            let piece = match self.coding {
                Coding::Over => break,
                Coding::Length(_) | Coding::Chunked => ready!(self.body.poll_piece(cx)).transpose()?,
            };
            self.coding = match (self.coding, piece) {
                (Coding::Chunked, Some(piece)) => {
                    if !piece.is_empty() {
                        write!(self.buffer, "{:x}\r\n", piece.len()).ok();
                        self.tail = b"\r\n";
                        self.add(piece);
                    }
                    Coding::Chunked
                }
                (Coding::Chunked, None) => {
                    self.buffer.extend_from_slice(b"0\r\n\r\n");
                    Coding::Over
                }
                (Coding::Length(left), Some(piece)) => {
                    let left = left.checked_sub(piece.len() as u64).ok_or(BodyError::Broken)?;
                    self.add(piece);
                    if left == 0 {
                        Coding::Over
                    } else {
                        Coding::Length(left)
                    }
                }
                (Coding::Length(_), None) => return Poll::Ready(Err(BodyError::Broken)),
                (Coding::Over, _) => Coding::Over,
            };
        }
        Poll::Ready(Ok(()))
    }

    fn add(&mut self, piece: Bytes) {
        if piece.len() > SMALL {
            self.piece = piece;
        } else {
            self.buffer.extend_from_slice(&piece);
            self.buffer.extend_from_slice(std::mem::take(&mut self.tail));
        }
    }

    fn poll_write(&mut self, socket: &Socket, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let buffered = self.buffer.get(self.written..).unwrap_or_default();
            let pieces = [buffered, &self.piece, self.tail].map(IoSlice::new);
            if pieces.iter().all(|piece| piece.is_empty()) {
                self.buffer.clear();
                self.written = 0;
                return Poll::Ready(Ok(()));
            }
            ready!(socket.poll_write_ready(cx))?;
            let written = if self.piece.is_empty() && self.tail.is_empty() {
                socket.try_write(buffered)
            } else {
                socket.try_write_vectored(&pieces)
            };
            match written {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(bytes) => self.wrote(bytes),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn wrote(&mut self, bytes: usize) {
        let of_buffer = bytes.min(self.buffer.len() - self.written);
        self.written += of_buffer;
        let of_piece = (bytes - of_buffer).min(self.piece.len());
        self.piece.advance(of_piece);
        let of_tail = bytes - of_buffer - of_piece;
        self.tail = self.tail.get(of_tail..).unwrap_or_default();
    }
}

fn write_head(out: &mut Vec<u8>, head: &RequestHead, coding: Coding) {
    for part in [head.method.as_str(), " ", head.target.as_str(), " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    head.forwarded.write(out);
    let has_body = !matches!(coding, Coding::Over);
    for (name, value) in &head.headers {
        let is_framing = name == header::TRANSFER_ENCODING || name == header::CONTENT_LENGTH;
        if is_framing && has_body {
            continue;
        }
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    match coding {
        Coding::Over => {}
        Coding::Length(length) => {
            write!(out, "{}: {length}\r\n", header::CONTENT_LENGTH).ok();
        }
        Coding::Chunked => {
            write!(out, "{}: chunked\r\n", header::TRANSFER_ENCODING).ok();
        }
    }
    out.extend_from_slice(b"\r\n");
}
