//! TURN: over TLS at port 443, and over UDP; and who `LiveKit` takes us for.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

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
    let ours = stream.get_ref().0.local_addr().ok();
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
    let mut gateways: Vec<IpAddr> = there.iter().map(SocketAddr::ip).collect();
    if let Ok(Ok(found)) = timeout(CONNECT, addresses(host, outside.port)).await {
        gateways.extend(found.iter().map(SocketAddr::ip));
    }
    let taken_for = mapped.ip().to_canonical();
    let asks = format!("realm {realm:?} asks for a login");
    match seen(taken_for, ours.map(|ours| ours.ip()), &gateways) {
        Seen::Us => vec![Said::ok(format!("{asks}, and sees us as {taken_for}"))],
        Seen::Unknown => vec![Said::ok(format!(
            "{asks}; whom LiveKit takes people for is not seen from the gateway's own address ({taken_for})"
        ))],
        Seen::Gateway => vec![Said::warn(
            format!("LiveKit takes us for {taken_for}, which is the gateway or a machine beside it"),
            "write turn.proxy_protocol: true in livekit.yaml (LiveKit 1.13.7)",
        )],
    }
}

/// Whom `LiveKit` sees in our place.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Us,
    Gateway,
    /// We are where the gateway is.
    Unknown,
}

fn seen(mapped: IpAddr, ours: Option<IpAddr>, gateways: &[IpAddr]) -> Seen {
    let is_gateway = gateways.iter().any(|one| one.to_canonical() == mapped);
    let is_ours = ours.is_some_and(|ours| ours.to_canonical() == mapped);
    // Nobody comes to a public address from a private one, and from another machine nobody comes from loopback.
    let is_beside = mapped.is_loopback()
        || (is_private_ip(mapped) && gateways.first().is_some_and(|one| !is_private_ip(*one)));
    if is_ours && is_gateway {
        Seen::Unknown
    } else if is_gateway || (is_beside && !is_ours) {
        Seen::Gateway
    } else {
        Seen::Us
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_in_our_place_is_told_from_us() {
        for (mapped, ours, gateways, is) in [
            // Behind a router, and without one.
            ("198.51.100.7", "192.168.1.5", &["203.0.113.1"][..], Seen::Us),
            ("198.51.100.7", "198.51.100.7", &["203.0.113.1"], Seen::Us),
            ("203.0.113.1", "192.168.1.5", &["203.0.113.1"], Seen::Gateway),
            ("127.0.0.1", "198.51.100.7", &["203.0.113.1"], Seen::Gateway),
            ("172.18.0.1", "198.51.100.7", &["203.0.113.1"], Seen::Gateway),
            // By its other address.
            (
                "203.0.113.1",
                "2001:db8::7",
                &["2001:db8::1", "203.0.113.1"],
                Seen::Gateway,
            ),
            // On one private network.
            ("10.0.0.7", "10.0.0.7", &["10.0.0.1"], Seen::Us),
            ("10.0.0.1", "10.0.0.7", &["10.0.0.1"], Seen::Gateway),
            ("127.0.0.1", "10.0.0.7", &["10.0.0.1"], Seen::Gateway),
            // On the gateway's own machine.
            ("10.0.0.1", "10.0.0.1", &["10.0.0.1"], Seen::Unknown),
            ("127.0.0.1", "127.0.0.1", &["127.0.0.1"], Seen::Unknown),
            ("127.0.0.1", "203.0.113.1", &["203.0.113.1"], Seen::Gateway),
        ] {
            let gateways: Vec<IpAddr> = gateways.iter().map(|one| one.parse().unwrap()).collect();
            let found = seen(mapped.parse().unwrap(), ours.parse().ok(), &gateways);
            assert_eq!(found, is, "{mapped} for {ours}, with {gateways:?}");
        }
    }
}
