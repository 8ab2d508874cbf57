//! WebSockets through the gateway, over real sockets: the handshake on both sides, the tunnel, and its end in a drain.

mod drains;
mod tunnels;

use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::support::{Gateway, raw::Raw, websocket::echo};

type Socket = Raw<TlsStream<TcpStream>>;

/// RFC 6455 section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// Close, 1001, as a server sends it and as a client does, masked with zeros.
const GOING_AWAY: [u8; 4] = [0x88, 2, 0x03, 0xe9];

const GOING_AWAY_MASKED: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9];

fn handshake(target: &str, more: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{more}\r\n"
    )
}

/// A frame with a binary message; a client's is masked with a key of zeros.
fn frame(payload: &[u8], masked: bool) -> Vec<u8> {
    let mask = if masked { 0x80 } else { 0 };
    let mut frame = vec![0x82];
    match payload.len() {
        short @ 0..126 => frame.push(mask | u8::try_from(short).unwrap()),
        middle @ 126..65_536 => {
            frame.push(mask | 0x7e);
            frame.extend(u16::try_from(middle).unwrap().to_be_bytes());
        }
        long => {
            frame.push(mask | 0x7f);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    if masked {
        frame.extend([0; 4]);
    }
    frame.extend(payload);
    frame
}

fn noise(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| u8::try_from((at * 31 + at / 251) % 256).unwrap())
        .collect()
}

/// A WebSocket to this upstream's place in LiveKit's path.
async fn open(gateway: &Gateway) -> Socket {
    open_at(gateway, "/livekit/rtc").await
}

async fn open_at(gateway: &Gateway, target: &str) -> Socket {
    let mut socket = gateway.client().raw().await;
    socket.send(handshake(target, "")).await;
    let answer = socket.answer().await;
    assert_eq!(answer.status, 101, "{answer:?}");
    socket
}
