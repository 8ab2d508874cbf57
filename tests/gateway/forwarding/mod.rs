//! Forwarding, over real sockets: which fields and bytes reach an upstream, how its answer comes back, and what the
//! client is told when there is none.

mod answers;
mod auth;
mod counts;
mod crowded;
mod early;
mod failures;
mod fields;
mod framing;
mod heads;
mod interim;
mod internal;
mod limits;
mod manners;
mod messages;
mod names;
mod reach;
mod refusals;
mod streaming;
mod upstreams;

use std::{net::SocketAddr, time::Duration};

use hyper::{Response, header::HeaderValue};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use crate::support::{
    self, Gateway,
    addr::{free, nobody_listens, own},
    h2::{H2, Outcome},
    plugnmeet,
    plugnmeet::bbb_target,
    raw::{Ended, Raw, RawAnswer, RawUpstream, header},
    upstream::{Upstream, text_body},
};

/// Nothing takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(90);

const PROTOBUF: (&str, &str) = ("content-type", "application/protobuf");
const SIGNED: [(&str, &str); 2] = [("api-key", "plugnmeet"), ("hash-signature", "00")];

async fn to(url: &str) -> Gateway {
    Gateway::everything_to(url, "").await
}

fn noise(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| u8::try_from((at * 31 + at / 251) % 256).unwrap())
        .collect()
}

/// An address where nobody listens.
fn nobody() -> String {
    format!("http://{}", free())
}

/// An address that takes no connection and refuses none: its queue is full.
async fn black_hole() -> (SocketAddr, Vec<TcpStream>, TcpListener) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(own().parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(200), TcpStream::connect(addr)).await {
        queued.push(stream.unwrap());
    }
    (addr, queued, listener)
}
