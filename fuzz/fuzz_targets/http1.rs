//! Any bytes on an HTTP/1 connection, in any pieces: hyper reads what the follower lets through, and both see the same
//! requests. hyper refuses none of them by itself.
#![no_main]

use std::{
    convert::Infallible,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, body::Bytes, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use libfuzzer_sys::fuzz_target;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::{Builder, Runtime},
};

/// What the follower's files name of the library.
mod reply {
    pub use plugnmeet_gateway::reply::Failure;
}

#[allow(dead_code, reason = "the answers to bad heads are not asked for here")]
#[path = "../../src/conn/bad_head.rs"]
mod bad_head;
#[path = "../../src/conn/chunks.rs"]
mod chunks;
#[path = "../../src/conn/excess.rs"]
mod excess;
#[allow(dead_code, reason = "the wire has more questions than are asked here")]
#[path = "../../src/conn/head.rs"]
mod head;
#[path = "../../src/conn/judge.rs"]
mod judge;

use bad_head::BadHead;
use head::HeadWatch;

const MAX_HEAD_BYTES: usize = 8192;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));

fuzz_target!(|data: &[u8]| {
    // How it is cut, and what is in front: few bytes are a head by chance.
    let [cut, start, bytes @ ..] = data else { return };
    let starts: [&[u8]; 4] = [
        b"",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\n",
    ];
    let bytes = [starts[usize::from(*start) % starts.len()], bytes].concat();
    let mut watch = HeadWatch::new(MAX_HEAD_BYTES, None);
    let mut through = Vec::new();
    for piece in bytes.chunks(usize::from(*cut) + 1) {
        let now = watch.pass(piece);
        through.extend_from_slice(&piece[..now]);
        through.extend_from_slice(watch.ready());
        watch.gave(watch.ready().len());
    }
    let heads = watch.heads();
    let (asked, closed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let said = RUNTIME.block_on(async {
        let (client, server) = tokio::io::duplex(1 << 20);
        let service = service_fn(|request: Request<Incoming>| {
            asked.fetch_add(1, Ordering::Relaxed);
            let bad = heads.next();
            let (heads, closed) = (heads.clone(), Arc::clone(&closed));
            async move {
                assert!(
                    bad != Some(BadHead::NotFollowed) || heads.is_lost(),
                    "a head that was not followed"
                );
                let read = request.into_body().collect().await;
                let mut response = Response::new(Empty::<Bytes>::new());
                if bad.is_some() || read.is_err() || heads.is_lost() {
                    closed.store(true, Ordering::Relaxed);
                    response
                        .headers_mut()
                        .insert("connection", hyper::header::HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response)
            }
        });
        let connection = http1::Builder::new()
            .half_close(true)
            .max_buf_size(MAX_HEAD_BYTES.max(8192))
            .serve_connection(TokioIo::new(server), service);
        let (mut reader, mut writer) = tokio::io::split(client);
        let talk = async {
            writer.write_all(&through).await.ok();
            writer.shutdown().await.ok();
            let mut said = Vec::new();
            reader.read_to_end(&mut said).await.ok();
            said
        };
        tokio::join!(connection, talk)
    });
    let (ended, said) = said;
    let text = String::from_utf8_lossy(&said);
    let answers = text.matches("HTTP/1.").count() - text.matches("HTTP/1.1 100").count();
    assert!(
        answers <= asked.load(Ordering::Relaxed),
        "hyper refused by itself: {text}"
    );
    // When all was read in order, the follower has not seen a request more than hyper.
    if ended.is_ok()
        && !closed.load(Ordering::Relaxed)
        && !watch.in_body()
        && !text.contains("connection: close")
    {
        assert_eq!(
            heads.next(),
            Some(BadHead::NotFollowed),
            "a request that hyper did not see"
        );
    }
});
