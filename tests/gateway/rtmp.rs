//! RTMP through `[[tcp]]`: the handshake of a client and a server, written by hand, and a command behind it.
//!
//! Source: Adobe's Real-Time Messaging Protocol, section 5.2 (C0, C1, C2 and S0, S1, S2).

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{Gateway, peer::Peer};

const VERSION: u8 = 3;
/// Of C1, C2, S1 and S2.
const BYTES: usize = 1536;

/// `connect`, as AMF0 has it, in one chunk of stream 3.
const CONNECT: &[u8] = b"\x03\0\0\0\0\0\x14\x14\0\0\0\0\x02\0\x07connect\0\x3f\xf0\0\0\0\0\0\0\x05";

/// Four bytes of time, four zeros, then what nobody can guess.
fn random(time: u32, seed: u8) -> Vec<u8> {
    let rest = (0..BYTES - 8).map(|at| u8::try_from(at % 251).unwrap() ^ seed);
    time.to_be_bytes().into_iter().chain([0; 4]).chain(rest).collect()
}

/// What a side sends back of the other's bytes: its time first, then when they were read.
fn echo(of: &[u8], read_at: u32) -> Vec<u8> {
    [&of[..4], &read_at.to_be_bytes(), &of[8..]].concat()
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut c0_c1 = vec![0; 1 + BYTES];
    stream.read_exact(&mut c0_c1).await?;
    assert_eq!(c0_c1[0], VERSION);
    let s1 = random(1, 0x5a);
    let answer = [&[VERSION][..], &s1, &echo(&c0_c1[1..], 2)].concat();
    // As a small server does: not in one packet.
    for piece in answer.chunks(700) {
        stream.write_all(piece).await?;
    }
    let mut c2 = vec![0; BYTES];
    stream.read_exact(&mut c2).await?;
    assert_eq!((&c2[..4], &c2[8..]), (&s1[..4], &s1[8..]));
    let mut command = vec![0; CONNECT.len()];
    stream.read_exact(&mut command).await?;
    stream.write_all(&command).await?;
    let mut left = Vec::new();
    stream.read_to_end(&mut left).await?;
    stream.write_all(b"bye").await
}

#[tokio::test]
async fn an_rtmp_client_and_its_server_shake_hands_through_the_door() {
    let server = Peer::at("127.0.0.1:0", |stream| async move {
        serve(stream).await.unwrap();
    })
    .await;
    let gateway = Gateway::with(&format!(
        "[[tcp]]\nlisten = ['127.0.0.1:0', '[::1]:0']\nupstream = '{}'\n",
        server.addr
    ))
    .await;
    let doors = gateway.tcp();
    assert_eq!(doors.len(), 2);
    for door in doors {
        let publish = async {
            let mut stream = TcpStream::connect(door).await?;
            let c1 = random(7, 0xa5);
            stream.write_all(&[VERSION]).await?;
            stream.write_all(&c1).await?;
            let mut answer = vec![0; 1 + 2 * BYTES];
            stream.read_exact(&mut answer).await?;
            let (s0, s1_s2) = answer.split_at(1);
            let (s1, s2) = s1_s2.split_at(BYTES);
            assert_eq!(s0, [VERSION]);
            assert_eq!((&s2[..4], &s2[8..]), (&c1[..4], &c1[8..]));
            stream.write_all(&echo(s1, 8)).await?;
            stream.write_all(CONNECT).await?;
            let mut command = vec![0; CONNECT.len()];
            stream.read_exact(&mut command).await?;
            assert_eq!(command, CONNECT);
            stream.shutdown().await?;
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await?;
            assert_eq!(rest, b"bye");
            io::Result::Ok(())
        };
        timeout(Duration::from_secs(60), publish).await.unwrap().unwrap();
    }
    assert_eq!(server.connections(), 2);
}
