//! Any bytes from an upstream, in any pieces: what is taken as an answer is one to hyper too, with the same head and body.
#![no_main]

use std::sync::LazyLock;

use http_body_util::{BodyExt, Empty};
use hyper::{
    HeaderMap, Request, StatusCode,
    body::{Bytes, Body as _},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use libfuzzer_sys::fuzz_target;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::{Builder, Runtime},
};

#[path = "../../src/proxy/http1/bad_answer.rs"]
mod bad_answer;
#[allow(dead_code, reason = "what is left of a body is not asked here")]
#[path = "../../src/proxy/http1/decode.rs"]
mod decode;
#[allow(dead_code, reason = "whether the connection is used again is not asked here")]
#[path = "../../src/proxy/http1/head.rs"]
mod head;

use bad_answer::BadAnswer;
use decode::{Decoder, Part};
use head::HeadReader;

type Answer = (StatusCode, HeaderMap, Vec<u8>);

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));

fuzz_target!(|data: &[u8]| {
    // How it is cut, what was asked, and what is in front: few bytes are a head by chance.
    let [cut, start, bytes @ ..] = data else { return };
    let starts: [&[u8]; 4] = [
        b"",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n",
    ];
    let to_head = *start > 127;
    let bytes = [starts[usize::from(*start) % starts.len()], bytes].concat();
    let Ok(ours) = read(&bytes, usize::from(*cut) + 1, to_head) else {
        return;
    };
    if ours.0 == StatusCode::SWITCHING_PROTOCOLS {
        return;
    }
    let theirs = RUNTIME.block_on(read_by_hyper(&bytes, to_head));
    assert_eq!(ours, theirs.expect("hyper reads it too"));
});

fn read(bytes: &[u8], piece: usize, to_head: bool) -> Result<Answer, BadAnswer> {
    let (mut heads, mut buffer) = (HeadReader::default(), Default::default());
    let mut pieces = bytes.chunks(piece);
    let head = loop {
        match heads.next(&mut buffer, to_head)? {
            Some(head) if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS => {}
            Some(head) => break head,
            None => buffer.extend_from_slice(pieces.next().ok_or(BadAnswer::Ended)?),
        }
    };
    let (mut decoder, mut body) = (Decoder::new(head.framing), Vec::new());
    loop {
        match decoder.next(&mut buffer)? {
            Part::Data(data) => body.extend_from_slice(&data),
            Part::Trailers(_) => {}
            Part::Over => return Ok((head.status, head.headers, body)),
            Part::NotYet => match pieces.next() {
                Some(piece) => buffer.extend_from_slice(piece),
                None => decoder.ended()?,
            },
        }
    }
}

async fn read_by_hyper(bytes: &[u8], to_head: bool) -> hyper::Result<Answer> {
    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
    let (mut sender, connection) = http1::Builder::new()
        .allow_spaces_after_header_name_in_responses(true)
        .max_headers(256)
        .handshake(TokioIo::new(ours))
        .await?;
    let method = if to_head { "HEAD" } else { "GET" };
    let request = Request::builder().method(method).body(Empty::<Bytes>::new());
    let answer = async {
        let (head, body) = sender.send_request(request.expect("a request")).await?.into_parts();
        debug_assert!(!to_head || body.is_end_stream());
        Ok((head.status, head.headers, body.collect().await?.to_bytes().to_vec()))
    };
    let talk = async {
        // hyper takes no answer before it has sent the request.
        theirs.read(&mut [0; 1024]).await.ok();
        theirs.write_all(bytes).await.ok();
        theirs.shutdown().await.ok();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = async { tokio::join!(answer, connection).0 } => answer,
        () = talk => unreachable!("it never ends"),
    }
}
