//! TURN: over TLS at port 443, and over UDP; and who `LiveKit` takes us for.

use std::{net::SocketAddr, sync::Arc};

use aws_lc_rs::rand;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::UdpSocket,
    time::timeout,
};

use super::{CONNECT, Outside};
use crate::{
    doctor::{files::is_private_ip, finding::Said},
    proxy::addresses,
    turn::{allocate_request, binding_request, mapped_address, message_length, realm},
};

/// More than any answer has.
const MAX_BYTES: usize = 2048;

fn transaction() -> [u8; 12] {
    let mut transaction = [0; 12];
    // Without random bytes it is a poor one, and does as well for a look.
    rand::fill(&mut transaction).ok();
    transaction
}

/// One question and its answer.
async fn ask<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, question: &[u8]) -> Result<Vec<u8>, String> {
    let asking = async {
        stream.write_all(question).await?;
        let mut got = Vec::new();
        while message_length(&got).is_none_or(|whole| got.len() < whole) && got.len() < MAX_BYTES {
            if stream.read_buf(&mut got).await? == 0 {
                break;
            }
        }
        Ok::<_, std::io::Error>(got)
    };
    match timeout(CONNECT, asking).await {
        Ok(Ok(got)) if !got.is_empty() => Ok(got),
        Ok(Ok(_)) => Err("the connection is closed without an answer".into()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", CONNECT.as_secs())),
    }
}

pub async fn over_tls(outside: Arc<Outside>) -> Vec<Said> {
    let host = outside.settings.turn.as_deref().unwrap_or(&outside.host);
    let advice = "write [turn] in gateway.toml and turn.enabled, turn.external_tls in livekit.yaml; its log says how LiveKit takes connections";
    // Browsers name no protocol.
    let mut stream = match outside.connect(host, outside.port, &[]).await {
        Ok(stream) => stream,
        Err(why) => {
            return vec![Said::fail(
                why,
                "a record of DNS and a certificate for turn.domain",
            )];
        }
    };
    let there = stream.get_ref().0.peer_addr().ok();
    let id = transaction();
    let answer = match ask(&mut stream, &binding_request(id)).await {
        Ok(answer) => answer,
        Err(why) => {
            return vec![Said::fail(
                format!("TURN at {host}, port {}: {why}", outside.port),
                advice,
            )];
        }
    };
    let Some(mapped) = mapped_address(&answer, id) else {
        return vec![Said::fail(format!("what answers at {host} is not TURN"), advice)];
    };
    let id = transaction();
    let realm = match ask(&mut stream, &allocate_request(id)).await {
        Ok(answer) => realm(&answer, id),
        Err(_) => None,
    };
    let Some(realm) = realm else {
        return vec![Said::fail(
            format!("{host} gives no relays: Allocate is not answered by 401"),
            advice,
        )];
    };
    if let Some(there) = there
        && is_wrong(mapped, there)
    {
        return vec![Said::warn(
            format!(
                "LiveKit takes us for {}, which is the gateway or a machine beside it",
                mapped.ip()
            ),
            "write turn.proxy_protocol: true in livekit.yaml (LiveKit 1.13.7)",
        )];
    }
    vec![Said::ok(format!(
        "realm {realm:?} asks for a login, and sees us as {}",
        mapped.ip()
    ))]
}

/// Does `LiveKit` see somebody else in our place? On one private network nobody can tell.
fn is_wrong(mapped: SocketAddr, there: SocketAddr) -> bool {
    !is_private_ip(there.ip()) && (mapped.ip() == there.ip() || is_private_ip(mapped.ip()))
}

pub async fn over_udp(outside: Arc<Outside>) -> Vec<Said> {
    let host = outside.settings.turn.as_deref().unwrap_or(&outside.host);
    let port = outside.settings.turn_udp;
    let advice = "open the port for UDP in all firewalls (turn.udp_port of livekit.yaml): without it media goes over TCP, and is late";
    let found = addresses(host, port).await.unwrap_or_default();
    let Some(at) = found.iter().find(|at| at.is_ipv4()).or(found.first()).copied() else {
        return vec![Said::fail(format!("{host} has no address"), "make an A record")];
    };
    let asking = async {
        let socket = UdpSocket::bind(if at.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).await?;
        socket.connect(at).await?;
        let id = transaction();
        // A datagram may be lost.
        for _ in 0..3 {
            socket.send(&binding_request(id)).await?;
            let mut got = [0; MAX_BYTES];
            if let Ok(read) = timeout(CONNECT / 3, socket.recv(&mut got)).await {
                let read = read?;
                return Ok(mapped_address(got.get(..read).unwrap_or_default(), id));
            }
        }
        Ok::<_, std::io::Error>(None)
    };
    match asking.await {
        Ok(Some(mapped)) => vec![Said::ok(format!(
            "port {port} answers, and sees us as {}",
            mapped.ip()
        ))],
        Ok(None) => vec![Said::warn(format!("no answer at {at} over UDP"), advice)],
        Err(error) => vec![Said::warn(format!("no answer at {at} over UDP: {error}"), advice)],
    }
}
