//! NATS' WebSocket: does it open, does NATS speak, and does it stay open.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::rand;
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, interval, timeout},
};
use tokio_rustls::client::TlsStream;

use super::{ANSWER, Outside};
use crate::doctor::finding::Said;

/// A head, and NATS' first message, which has some 500 bytes.
const MAX_BYTES: usize = 16 << 10;

/// The web client's own `pingInterval`.
const PING_EVERY: Duration = Duration::from_secs(10);

/// A frame with NATS' ping; its mask is of zeros.
const PING: &[u8] = b"\x82\x86\0\0\0\0PING\r\n";

/// What came after the upgrade.
struct Opened {
    stream: TlsStream<TcpStream>,
    /// All that NATS said, frames and all: it is text.
    said: Vec<u8>,
}

async fn open(outside: &Outside) -> Result<Opened, Said> {
    let fail = |why: String| {
        Said::fail(
            why,
            "look at the gateway's log, at upstreams.nats, and at docker compose ps",
        )
    };
    let mut stream = outside
        .connect(&outside.host, outside.port, &[b"http/1.1"])
        .await
        .map_err(fail)?;
    let mut key = [0; 16];
    // Without random bytes it is a poor one, and does as well here.
    rand::fill(&mut key).ok();
    let head = format!(
        "GET /ws HTTP/1.1\r\nHost: {0}\r\nOrigin: https://{0}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {1}\r\n\r\n",
        outside.authority(),
        BASE64_STANDARD.encode(key)
    );
    let opening = async {
        stream.write_all(head.as_bytes()).await?;
        let mut got = Vec::new();
        loop {
            let has_info = memchr::memmem::find(&got, b"INFO {")
                .is_some_and(|at| got.get(at..).is_some_and(|rest| rest.ends_with(b"\r\n")));
            let refused =
                memchr::memmem::find(&got, b"\r\n\r\n").is_some() && !got.starts_with(b"HTTP/1.1 101");
            if has_info || refused || got.len() > MAX_BYTES || stream.read_buf(&mut got).await? == 0 {
                return Ok::<_, std::io::Error>(got);
            }
        }
    };
    let mut got = match timeout(ANSWER, opening).await {
        Ok(Ok(got)) => got,
        Ok(Err(error)) => return Err(fail(error.to_string())),
        Err(_) => return Err(fail("opens, and NATS says nothing".into())),
    };
    let status = String::from_utf8_lossy(&got);
    let status = status.split(' ').nth(1).unwrap_or("nothing").to_owned();
    if status != "101" {
        let advice = match status.as_str() {
            "404" => "write upstreams.nats in gateway.toml",
            "502" | "503" | "504" => "is NATS running (docker compose ps), and upstreams.nats right?",
            _ => "a proxy in front of the gateway does not pass WebSockets on",
        };
        return Err(Said::fail(format!("{status} and not 101"), advice));
    }
    let end = memchr::memmem::find(&got, b"\r\n\r\n").map_or(got.len(), |at| (at + 4).min(got.len()));
    Ok(Opened {
        stream,
        said: got.split_off(end),
    })
}

/// The JSON of NATS' `INFO`.
fn info(said: &[u8]) -> Option<Value> {
    let from = memchr::memmem::find(said, b"INFO {")? + "INFO ".len();
    let mut values = serde_json::Deserializer::from_slice(said.get(from..)?).into_iter::<Value>();
    values.next()?.ok()
}

pub async fn websocket(outside: Arc<Outside>) -> Vec<Said> {
    let opened = match open(&outside).await {
        Ok(opened) => opened,
        Err(said) => return vec![said],
    };
    let Some(info) = info(&opened.said) else {
        return vec![Said::fail(
            "101, and then something else than NATS",
            "look at upstreams.nats: websocket.port of nats-server.conf",
        )];
    };
    let version = info
        .get("version")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    if info.get("auth_required").and_then(Value::as_bool) != Some(true) {
        return vec![Said::fail(
            "NATS asks nobody who they are",
            "write the block authorization of the official nats-server.conf",
        )];
    }
    vec![Said::ok(format!("101, and NATS {version} asks for a login"))]
}

/// Says as little as the client does: whoever says less is asleep, and the gateway ends such connections.
///
/// plugnmeet-server lets nobody log in whose meeting does not run, and the doctor starts none and goes into none.
pub async fn stays(outside: Arc<Outside>) -> Vec<Said> {
    let Ok(Opened { stream, mut said }) = open(&outside).await else {
        return vec![Said::skip("does not open; see outside.websocket")];
    };
    let (mut reader, mut writer) = tokio::io::split(stream);
    let began = Instant::now();
    let listening = async {
        while said.len() <= MAX_BYTES && reader.read_buf(&mut said).await.is_ok_and(|bytes| bytes > 0) {}
    };
    let pinging = async {
        let mut pings = interval(PING_EVERY);
        loop {
            pings.tick().await;
            // The other side's end is heard by whoever listens.
            writer.write_all(PING).await.ok();
            writer.flush().await.ok();
        }
    };
    let talking = async {
        tokio::select! {
            () = listening => {}
            () = pinging => {}
        }
    };
    let whole = outside.settings.silence;
    if timeout(whole, talking).await.is_err() {
        return vec![Said::ok(format!(
            "open after {} s, with a ping each {} s, as the client has it",
            whole.as_secs(),
            PING_EVERY.as_secs()
        ))];
    }
    let after = began.elapsed().as_secs();
    if memchr::memmem::find(&said, b"-ERR '").is_some() {
        return vec![Said::skip(format!(
            "NATS ends whoever does not log in, here after {after} s, and lets people into meetings that run alone: open one \
             from outside, and see whether its /ws stays for {} s",
            whole.as_secs()
        ))];
    }
    vec![Said::fail(
        format!("is cut after {after} s, and NATS did not do it"),
        "a proxy in between ends connections: give it more than 60 s",
    )]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_message_is_found_behind_a_frames_head() {
        let said = b"\x82\x7e\x01\x00INFO {\"auth_required\":true,\"version\":\"2.12\"} \r\n";
        assert_eq!(info(said).unwrap()["version"], "2.12");
        assert!(info(b"HTTP").is_none());
    }
}
