//! HTTP/2 frame by frame: for requests that no library writes, and for clients that break its rules of courtesy.
//!
//! Sources: RFC 9113 sections 3.4, 4.1, 6; RFC 7541 sections 5.1, 5.2, 6 and its appendices A and B.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use super::{client::Client, raw::Ended};

const PATIENCE: Duration = Duration::from_secs(90);
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// A connection.
pub struct H2 {
    stream: TlsStream<TcpStream>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Status(u16),
    /// The stream was reset, with this code.
    Reset(u32),
    /// The connection ended.
    Closed,
}

impl H2 {
    /// `window` is how many bytes of each answer are taken before the client has read any.
    pub async fn connect(client: &Client, window: u32) -> Self {
        let mut stream = client.connect(b"h2").await;
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        let mut connection = Self { stream };
        let mut initial_window = vec![0, 4];
        initial_window.extend(window.to_be_bytes());
        connection.frame(SETTINGS, 0, 0, &initial_window).await;
        connection
    }

    /// Sends a request without a body; every field is written as it stands.
    pub async fn request(&mut self, stream: u32, fields: &[(&str, &str)]) {
        self.head(stream, END_STREAM, fields).await;
    }

    /// Sends a request whose body does not come.
    pub async fn request_with_body_to_come(&mut self, stream: u32, fields: &[(&str, &str)]) {
        self.head(stream, 0, fields).await;
    }

    /// A piece of a request's body.
    pub async fn body(&mut self, stream: u32, bytes: &[u8], last: bool) {
        self.frame(DATA, if last { END_STREAM } else { 0 }, stream, bytes)
            .await;
    }

    async fn head(&mut self, stream: u32, flags: u8, fields: &[(&str, &str)]) {
        let mut block = Vec::new();
        for (name, value) in fields {
            block.push(0);
            for text in [name, value] {
                let length = u8::try_from(text.len()).unwrap();
                assert!(length < 127, "this helper writes short fields");
                block.push(length);
                block.extend(text.as_bytes());
            }
        }
        self.frame(HEADERS, END_HEADERS | flags, stream, &block).await;
    }

    /// What becomes of the request on this stream.
    pub async fn outcome(&mut self, stream: u32) -> Outcome {
        loop {
            let Some((kind, flags, on, payload)) = self.next().await else {
                return Outcome::Closed;
            };
            match kind {
                HEADERS if on == stream => return Outcome::Status(status(&payload)),
                RST_STREAM if on == stream => {
                    return Outcome::Reset(u32::from_be_bytes(payload[..4].try_into().unwrap()));
                }
                PING if flags & ACK == 0 => self.frame(PING, ACK, 0, &payload).await,
                _ => {}
            }
        }
    }

    /// Is the answer on this stream over with its head, so that no body follows, not even an empty one?
    pub async fn ends_with_its_head(&mut self, stream: u32) -> bool {
        loop {
            let (kind, flags, on, payload) = self.next().await.expect("the connection ended");
            match kind {
                HEADERS if on == stream => return flags & END_STREAM != 0,
                PING if flags & ACK == 0 => self.frame(PING, ACK, 0, &payload).await,
                _ => {}
            }
        }
    }

    /// Answers pings and takes nothing else until the connection ends; says how many bytes of bodies came.
    pub async fn until_closed(&mut self) -> usize {
        let mut bytes = 0;
        while let Some((kind, flags, _, payload)) = self.next().await {
            match kind {
                DATA => bytes += payload.len(),
                PING if flags & ACK == 0 => self.frame(PING, ACK, 0, &payload).await,
                _ => {}
            }
        }
        bytes
    }

    /// Begins a request and goes on a byte at a time, until the connection ends.
    pub async fn dribble_head(&mut self, stream: u32, pause: Duration) {
        self.frame(HEADERS, END_STREAM, stream, &[0]).await;
        // A field whose name has a hundred bytes.
        let block = [&[100][..], &[b'x'; 100]].concat();
        for byte in block {
            match timeout(pause, self.next()).await {
                Ok(None) => return,
                Ok(Some(_)) | Err(_) => self.frame(CONTINUATION, 0, stream, &[byte]).await,
            }
        }
        panic!("all was taken");
    }

    /// Sends a frame so many times, as long as the other side takes it.
    pub async fn flood(&mut self, kind: u8, payload: &[u8], times: usize) {
        for _ in 0..times / 100 {
            let mut frames = Vec::new();
            for _ in 0..100 {
                let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
                frames.extend(&length[1..]);
                frames.extend([kind, 0, 0, 0, 0, 0]);
                frames.extend(payload);
            }
            let _ = self.stream.write_all(&frames).await;
            let _ = self.stream.flush().await;
        }
    }

    /// The last stream and the code of the last GOAWAY, and how the connection ended.
    pub async fn goodbye(&mut self) -> (Option<(u32, u32)>, Ended) {
        let mut all = Vec::new();
        let ended = loop {
            match timeout(PATIENCE, self.stream.read_buf(&mut all))
                .await
                .expect("the gateway neither speaks nor closes")
            {
                Ok(0) => break Ended::Cleanly,
                Ok(_) => {}
                Err(_) => break Ended::Broken,
            }
        };
        let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
        // It is the last that is sent.
        let last = all.len().checked_sub(17).map(|at| &all[at..]);
        let goodbye = last
            .filter(|frame| frame[..9] == [0, 0, 8, 7, 0, 0, 0, 0, 0])
            .map(|frame| (number(&frame[9..13]), number(&frame[13..])));
        (goodbye, ended)
    }

    async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        // Whether the other side still takes it shows when it is read from.
        let _ = self.stream.write_all(&frame).await;
        let _ = self.stream.flush().await;
    }

    /// Kind, flags, stream and payload of a frame; none when the connection has ended.
    async fn next(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        let reading = async {
            self.stream.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.stream.read_exact(&mut payload).await.ok()?;
            Some(payload)
        };
        let payload = timeout(PATIENCE, reading)
            .await
            .expect("the gateway neither speaks nor closes")?;
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        Some((head[3], head[4], stream, payload))
    }
}

/// `:status` is the first field of an answer.
fn status(block: &[u8]) -> u16 {
    // An update of the table's size may come first.
    let start = block.iter().position(|byte| byte >> 5 != 1).unwrap();
    let block = &block[start..];
    match block[0] {
        0x88 => 200,
        0x89 => 204,
        0x8a => 206,
        0x8b => 304,
        0x8c => 400,
        0x8d => 404,
        0x8e => 500,
        // A value of its own for entry 8, `:status`: in the table or not.
        0x48 | 0x08 => digits(block[1], &block[2..]),
        other => panic!("an answer begins with {other:#x}"),
    }
}

fn digits(length: u8, value: &[u8]) -> u16 {
    let value = &value[..usize::from(length & 0x7f)];
    if length & 0x80 == 0 {
        return std::str::from_utf8(value).unwrap().parse().unwrap();
    }
    // Huffman: 0, 1, 2 are five bits long and 3 to 9 six, from 011001 on; ones fill the last byte.
    let bits: Vec<u16> = value
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| u16::from(byte >> at & 1)))
        .collect();
    let number_of = |bits: &[u16]| bits.iter().fold(0, |number, bit| number << 1 | bit);
    let mut rest = bits.as_slice();
    let mut number = 0;
    while rest.contains(&0) {
        let (digit, used) = match number_of(&rest[..5]) {
            short @ 0..3 => (short, 5),
            _ => (number_of(&rest[..6]) - 0b01_1001 + 3, 6),
        };
        number = number * 10 + digit;
        rest = &rest[used..];
    }
    number
}
