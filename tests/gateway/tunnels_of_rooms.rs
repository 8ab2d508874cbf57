//! Which room an open WebSocket is for, read as its first words pass, and the end of one room's.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use tokio::{net::TcpStream, time::sleep};
use tokio_rustls::client::TlsStream;

use crate::support::websocket::agreed;
use crate::support::{
    Gateway,
    raw::{Raw, RawUpstream},
};

type Socket = Raw<TlsStream<TcpStream>>;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A frame of a client's, masked.
fn frame(first: u8, payload: &str) -> Vec<u8> {
    let key = [0x1d, 0xe2, 0x33, 0x94_u8];
    let mut frame = vec![first];
    if payload.len() < 126 {
        frame.push(0x80 | u8::try_from(payload.len()).unwrap());
    } else {
        frame.push(0x80 | 0x7e);
        frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    }
    frame.extend(key);
    frame.extend(
        payload
            .bytes()
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    frame
}

/// Says hello as NATS does, and then sends back what comes.
async fn nats() -> RawUpstream {
    RawUpstream::acting(|head, mut connection| async move {
        connection.send(agreed(&head)).await;
        connection.send(b"\x82\x09INFO {}\r\n").await;
        while let Ok(bytes) = connection.some().await {
            if connection.try_send(bytes).await.is_err() {
                return;
            }
        }
    })
    .await
}

async fn open(gateway: &Gateway, target: &str) -> Socket {
    let mut socket = gateway.client().raw().await;
    socket
        .send(format!(
            "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
        ))
        .await;
    assert_eq!(socket.answer().await.status, 101);
    assert_eq!(socket.exactly(11).await.unwrap(), b"\x82\x09INFO {}\r\n");
    socket
}

/// The rooms, with the people and the tunnels of each.
fn rooms(gateway: &Gateway) -> Vec<(String, usize, BTreeMap<&'static str, usize>)> {
    let rooms = gateway.tunnels().rooms();
    rooms
        .into_iter()
        .map(|room| (room.room_id.into(), room.people, room.tunnels))
        .collect()
}

async fn count_is(gateway: &Gateway, count: usize) {
    for _ in 0..9000 {
        if gateway.tunnels().by_upstream().values().sum::<usize>() == count {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?}", gateway.tunnels().by_upstream());
}

fn livekit_token(room: &str, identity: &str) -> String {
    let payload = format!(r#"{{"sub":"{identity}","video":{{"room":"{room}","roomJoin":true}}}}"#);
    format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(payload))
}

#[tokio::test]
async fn a_tunnel_knows_its_room_and_what_passed_is_unchanged() {
    let upstream = nats().await;
    let gateway = Gateway::everything_to(&upstream.url(), "").await;
    let whole = format!(
        "connect  {{\"verbose\":false,\"auth_token\":\"{}\",\"lang\":\"nats.ws\"}} \r\nPING\r\n",
        gateway.token("room01", "ann")
    );
    // In three frames of one message, a ping of the frames' own between them, and cut anywhere on the line.
    let (first, rest) = whole.split_at(40);
    let (second, third) = rest.split_at(60);
    let said = [
        frame(0x02, first),
        frame(0x89, "x"),
        frame(0x00, second),
        frame(0x80, third),
    ]
    .concat();
    let mut ann = open(&gateway, "/ws").await;
    for piece in said.chunks(53) {
        ann.send(piece).await;
        sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(ann.exactly(said.len()).await.unwrap(), said);
    let mut bob = open(&gateway, "/ws").await;
    let hello = frame(
        0x82,
        &format!(
            "CONNECT {{\"auth_token\":\"{}\"}}\r\n",
            gateway.token("room02", "bob")
        ),
    );
    bob.send(&hello).await;
    assert_eq!(bob.exactly(hello.len()).await.unwrap(), hello);
    let media = format!(
        "/livekit/rtc/v1?join_request=x&access_token={}",
        livekit_token("room01", "ann")
    );
    let _media = open(&gateway, &media).await;
    let _echo = open(&gateway, "/ws").await;
    assert_eq!(
        rooms(&gateway),
        [
            ("room01".into(), 1, BTreeMap::from([("livekit", 1), ("nats", 1)])),
            ("room02".into(), 1, BTreeMap::from([("nats", 1)])),
        ]
    );
    assert_eq!(
        gateway.tunnels().by_upstream(),
        BTreeMap::from([("livekit", 1), ("nats", 3)])
    );
}

/// RFC 6455 section 7.4.1: 1001 is "going away", and clients come back.
#[tokio::test]
async fn the_tunnels_of_one_room_are_closed_with_1001_and_no_others() {
    let upstream = nats().await;
    let gateway = Gateway::everything_to(&upstream.url(), "").await;
    let mut tunnels = Vec::new();
    for (room, user) in [("room01", "ann"), ("room02", "bob")] {
        let mut socket = open(&gateway, "/ws").await;
        let hello = frame(
            0x82,
            &format!("CONNECT {{\"auth_token\":\"{}\"}}\r\n", gateway.token(room, user)),
        );
        socket.send(&hello).await;
        socket.exactly(hello.len()).await.unwrap();
        tunnels.push(socket);
    }
    let mut media = open(
        &gateway,
        &format!("/livekit/rtc?access_token={}", livekit_token("room01", "ann")),
    )
    .await;
    assert_eq!(gateway.tunnels().close_room("room01"), 2);
    let mut bob = tunnels.pop().unwrap();
    let mut ann = tunnels.pop().unwrap();
    assert_eq!(ann.exactly(4).await.unwrap(), [0x88, 2, 0x03, 0xe9]);
    assert_eq!(media.exactly(4).await.unwrap(), [0x88, 2, 0x03, 0xe9]);
    drop((ann, media));
    count_is(&gateway, 1).await;
    bob.send(frame(0x82, "PING\r\n")).await;
    bob.exactly(12).await.unwrap();
    assert_eq!(gateway.tunnels().close_room("room01"), 0);
}
