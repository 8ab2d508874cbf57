//! As much of HTTP/1.1 as a client needs that knows what will be answered.

use std::io::{Read, Write};

use crate::{Outcome, stream::Stream};

/// A connection with what was read ahead of need.
pub struct Http {
    stream: Stream,
    ahead: Vec<u8>,
}

/// The head of an answer.
pub struct Head {
    pub status: u16,
    /// None: until the connection's end.
    pub content_length: Option<u64>,
}

impl Http {
    /// Speaks HTTP on a connection.
    pub fn on(stream: Stream) -> Self {
        Self {
            stream,
            ahead: Vec::new(),
        }
    }

    /// The connection, to write a request or to take it over.
    pub fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// Sends a whole request.
    pub fn send(&mut self, request: &[u8]) -> Outcome<()> {
        self.stream.write_all(request)?;
        Ok(self.stream.flush()?)
    }

    /// Reads the head of the next answer.
    pub fn head(&mut self) -> Outcome<Head> {
        loop {
            let mut fields = [httparse::EMPTY_HEADER; 64];
            let mut response = httparse::Response::new(&mut fields);
            if let httparse::Status::Complete(length) = response.parse(&self.ahead)? {
                let content_length = response
                    .headers
                    .iter()
                    .find(|field| field.name.eq_ignore_ascii_case("content-length"))
                    .map(|field| str::from_utf8(field.value)?.parse().map_err(Into::into))
                    .transpose()
                    .map_err(|error: Box<dyn std::error::Error + Send + Sync>| error)?;
                let head = Head {
                    status: response.code.unwrap_or_default(),
                    content_length,
                };
                self.ahead.drain(..length);
                return Ok(head);
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer)? {
                0 => return Err("the connection ended in the middle of a head".into()),
                count => self.ahead.extend_from_slice(&buffer[..count]),
            }
        }
    }

    /// Reads so many bytes of a body and forgets them.
    pub fn skip(&mut self, mut bytes: u64, buffer: &mut [u8]) -> Outcome<()> {
        let here = bytes.min(self.ahead.len() as u64);
        self.ahead.drain(..usize::try_from(here)?);
        bytes -= here;
        while bytes > 0 {
            let most = usize::try_from(bytes)?.min(buffer.len());
            match self.stream.read(&mut buffer[..most])? {
                0 => return Err("the connection ended in the middle of a body".into()),
                count => bytes -= count as u64,
            }
        }
        Ok(())
    }

    /// Reads a whole answer that has to be a good one.
    pub fn answer(&mut self) -> Outcome<u64> {
        let head = self.head()?;
        if head.status != 200 {
            return Err(format!("answered {}", head.status).into());
        }
        let length = head.content_length.ok_or("an answer of unknown length")?;
        self.skip(length, &mut [0; 4096])?;
        Ok(length)
    }

    /// Becomes a WebSocket.
    pub fn upgrade(mut self, authority: &str, path: &str) -> Outcome<Stream> {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        self.send(request.as_bytes())?;
        match self.head()?.status {
            101 if self.ahead.is_empty() => Ok(self.stream),
            101 => Err("somebody spoke before being spoken to".into()),
            status => Err(format!("no WebSocket, but {status}").into()),
        }
    }
}
