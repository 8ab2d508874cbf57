//! The handshake on both sides, and what passes through the tunnel.

use std::{future::pending, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::{GOING_AWAY, GOING_AWAY_MASKED, KEY, echo, frame, handshake, noise, open, open_at};
use crate::support::websocket::{agreed, agreed_with};
use crate::support::{
    Gateway,
    raw::{Ended, Raw, RawAnswer, RawUpstream, header},
};

const PATIENCE: Duration = Duration::from_secs(90);
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

async fn refusal(gateway: &Gateway, request: &str) -> RawAnswer {
    gateway.client().ask_raw(request).await
}

#[tokio::test]
async fn both_sides_take_part_in_the_handshake() {
    let upstream = RawUpstream::acting(|head, mut connection| async move {
        connection
            .send(agreed_with(&head, "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\nKeep-Alive: x\r\n"))
            .await;
        connection.rest().await;
    })
    .await;
    let gateway = Gateway::everything_to(&upstream.url(), "").await;
    let mut socket = gateway.client().raw().await;
    let more = "Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
                Origin: https://evil.example\r\nCookie: pnm_access_token=x\r\nX-Forwarded-For: 6.6.6.6\r\n";
    socket
        .send(handshake("/livekit/rtc/v1?access_token=a.b.c&x=%2F", more))
        .await;
    let answer = socket.answer().await;
    assert_eq!(answer.status, 101);
    for (name, value) in [
        ("upgrade", Some("websocket")),
        ("connection", Some("Upgrade")),
        ("sec-websocket-accept", Some(ACCEPT)),
        ("sec-websocket-protocol", Some("chat")),
        ("sec-websocket-extensions", Some("permessage-deflate")),
        ("keep-alive", None),
        ("set-cookie", None),
        ("content-length", None),
        ("transfer-encoding", None),
    ] {
        let seen = answer.header(name);
        assert_eq!(
            seen.map(str::to_ascii_lowercase),
            value.map(str::to_ascii_lowercase),
            "{name} {answer:?}"
        );
    }
    let seen = upstream.only_head();
    assert!(
        seen.starts_with("GET /rtc/v1?access_token=a.b.c&x=%2F HTTP/1.1\r\n"),
        "{seen}"
    );
    for (name, value) in [
        ("upgrade", Some("websocket")),
        ("connection", Some("Upgrade")),
        ("host", Some("localhost")),
        ("origin", Some("https://evil.example")),
        ("sec-websocket-key", Some(KEY)),
        ("sec-websocket-version", Some("13")),
        ("sec-websocket-protocol", Some("chat, superchat")),
        (
            "sec-websocket-extensions",
            Some("permessage-deflate; client_max_window_bits"),
        ),
        ("x-forwarded-for", Some("127.0.0.1")),
        ("cookie", None),
    ] {
        assert_eq!(header(&seen, name), value, "{name} {seen}");
    }
}

#[tokio::test]
async fn every_upstream_but_the_server_has_websockets() {
    let upstream = echo().await;
    let gateway = Gateway::everything_to(&upstream.url(), "").await;
    for target in [
        "/ws",
        "/ws/",
        "/livekit/rtc",
        "/etherpad/socket.io/?EIO=4",
        "/whip",
    ] {
        let mut socket = gateway.client().raw().await;
        socket.send(handshake(target, "")).await;
        assert_eq!(socket.answer().await.status, 101, "{target}");
        let ping = frame(b"ping", true);
        socket.send(&ping).await;
        assert_eq!(socket.exactly(ping.len()).await.unwrap(), ping, "{target}");
    }
}

#[tokio::test]
async fn frames_of_any_size_pass_both_ways_unchanged() {
    let upstream = echo().await;
    let gateway = Gateway::everything_to(&upstream.url(), "").await;
    let mut socket = open(&gateway).await;
    for size in [0, 1, 125, 126, 65_535, 65_536, 4 << 20] {
        let sent = frame(&noise(size), true);
        let (mut reader, mut writer) = tokio::io::split(socket.into_inner());
        let writing = {
            let sent = sent.clone();
            async move {
                tokio::io::AsyncWriteExt::write_all(&mut writer, &sent)
                    .await
                    .unwrap();
                tokio::io::AsyncWriteExt::flush(&mut writer).await.unwrap();
                writer
            }
        };
        let reading = async {
            let mut seen = vec![0; sent.len()];
            tokio::io::AsyncReadExt::read_exact(&mut reader, &mut seen)
                .await
                .unwrap();
            seen
        };
        let (writer, seen) = timeout(PATIENCE, async { tokio::join!(writing, reading) })
            .await
            .unwrap();
        assert!(seen == sent, "{size}");
        socket = Raw::over(reader.unsplit(writer));
    }
}

/// Some clients write their first frame right behind the handshake, some servers right behind the 101.
#[tokio::test]
async fn what_comes_in_one_piece_with_the_handshake_is_not_lost() {
    let upstream = RawUpstream::acting(|head, mut connection| async move {
        let hello = [agreed(&head).into_bytes(), frame(b"hello", false)].concat();
        connection.send(hello).await;
        let first = connection.exactly(frame(b"first", true).len()).await.unwrap();
        connection.send(first).await;
        connection.rest().await;
    })
    .await;
    let gateway = Gateway::everything_to(&upstream.url(), "").await;
    let mut socket = gateway.client().raw().await;
    socket
        .send([handshake("/livekit/rtc", "").into_bytes(), frame(b"first", true)].concat())
        .await;
    assert_eq!(socket.answer().await.status, 101);
    assert_eq!(socket.exactly(7).await.unwrap(), frame(b"hello", false));
    assert_eq!(socket.exactly(11).await.unwrap(), frame(b"first", true));
}

#[tokio::test]
async fn a_malformed_handshake_is_refused_and_reaches_nobody() {
    let upstream = echo().await;
    let gateway = Gateway::everything_to(&upstream.url(), "").await;
    let good = handshake("/livekit/rtc", "");
    let without = |line: &str| {
        assert!(good.contains(line), "{line}");
        good.replace(line, "")
    };
    let malformed = "the WebSocket handshake is malformed";
    let version = "only WebSocket version 13 is spoken here";
    for (request, status, why) in [
        (without(&format!("Sec-WebSocket-Key: {KEY}\r\n")), 400, malformed),
        (good.replace(KEY, "AAAA"), 400, malformed),
        (good.replace(KEY, "not base64 at all!!!!!=="), 400, malformed),
        (
            good.replace(
                "Upgrade: websocket\r\n",
                &format!("Upgrade: websocket\r\nSec-WebSocket-Key: {KEY}\r\n"),
            ),
            400,
            malformed,
        ),
        (good.replace("GET", "POST"), 400, malformed),
        (
            format!("{}Content-Length: 1\r\n\r\nx", good.strip_suffix("\r\n").unwrap()),
            400,
            malformed,
        ),
        (good.replace("Version: 13", "Version: 8"), 426, version),
        (without("Sec-WebSocket-Version: 13\r\n"), 426, version),
    ] {
        let answer = refusal(&gateway, &request).await;
        assert_eq!(
            (answer.status, answer.message().as_str()),
            (status, why),
            "{request}"
        );
        if status == 426 {
            assert_eq!(answer.header("sec-websocket-version"), Some("13"));
            // RFC 9110 section 7.8: whoever sends `Upgrade` lists it in `Connection`.
            assert_eq!(answer.header("upgrade"), Some("websocket"));
            assert_eq!(answer.header("connection"), Some("Upgrade, close"));
        }
    }
    assert!(upstream.saw_nothing(), "{:?}", upstream.heads());
}

/// RFC 9110 section 7.8: a server may ignore `Upgrade`; and nothing of it is for upstream.
#[tokio::test]
async fn an_upgrade_to_something_else_is_a_plain_request() {
    let upstream = RawUpstream::content().await;
    let gateway = Gateway::everything_to(&upstream.url(), "").await;
    let good = handshake("/livekit/rtc", "");
    for (target, request) in [
        ("h2c", good.replace("Upgrade: websocket", "Upgrade: h2c")),
        (
            "not asked for",
            good.replace("Connection: Upgrade", "Connection: keep-alive"),
        ),
        ("the server", good.replace("/livekit/rtc", "/api/x")),
    ] {
        assert_eq!(refusal(&gateway, &request).await.status, 200, "{target}");
        let seen = upstream.heads().pop().unwrap();
        assert_eq!(
            (header(&seen, "upgrade"), header(&seen, "connection")),
            (None, None),
            "{target} {seen}"
        );
    }
}

#[tokio::test]
async fn upstreams_own_refusal_is_passed_on_and_no_tunnel_is_made() {
    let upstream = RawUpstream::answering(
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nX-Why: room\r\nConnection: close\r\n\r\nno",
    )
    .await;
    let gateway = Gateway::everything_to(&upstream.url(), "").await;
    let answer = refusal(&gateway, &handshake("/livekit/rtc", "")).await;
    assert_eq!(
        (answer.status, answer.text().as_str(), answer.header("x-why")),
        (403, "no", Some("room"))
    );
}

#[tokio::test]
async fn a_tunnel_is_made_only_after_a_101_that_was_asked_for() {
    let answers = [
        // Not the answer to this key.
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAALMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        // Another protocol.
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    ];
    for bytes in answers {
        let upstream = RawUpstream::answering(bytes).await;
        let gateway = Gateway::everything_to(&upstream.url(), "").await;
        let answer = refusal(&gateway, &handshake("/livekit/rtc", "")).await;
        assert_eq!(answer.status, 502, "{bytes} {answer:?}");
        assert_eq!(
            answer.message(),
            "upstream answered a handshake that was not asked for"
        );
    }
    // Nobody asked at all.
    let upstream = RawUpstream::answering(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    )
    .await;
    let gateway = Gateway::everything_to(&upstream.url(), "").await;
    for request in [
        handshake("/livekit/rtc", "").replace("Connection: Upgrade", "Connection: keep-alive"),
        handshake("/api/x", ""),
        "GET /livekit/rtc HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
    ] {
        let answer = refusal(&gateway, &request).await;
        assert_eq!(answer.status, 502, "{request} {answer:?}");
    }
}

#[tokio::test]
async fn an_idle_tunnel_outlives_every_timeout() {
    let upstream = echo().await;
    let gateway = Gateway::everything_to(
        &upstream.url(),
        "timeouts.idle = '2s'\ntimeouts.header = '2s'\ntimeouts.response = '2s'\ntimeouts.handshake = '2s'",
    )
    .await;
    let mut socket = open(&gateway).await;
    sleep(Duration::from_secs(5)).await;
    let ping = frame(b"still there?", true);
    socket.send(&ping).await;
    assert_eq!(socket.exactly(ping.len()).await.unwrap(), ping);
}

#[tokio::test]
async fn what_upstream_still_says_after_the_client_has_closed_arrives() {
    let upstream = RawUpstream::acting(|head, mut connection| async move {
        connection.send(agreed(&head)).await;
        let (heard, ended) = connection.rest().await;
        assert_eq!((heard, ended), (GOING_AWAY_MASKED.to_vec(), Ended::Cleanly));
        sleep(Duration::from_millis(300)).await;
        connection.send(frame(b"goodbye", false)).await;
    })
    .await;
    let gateway = Gateway::everything_to(&upstream.url(), "").await;
    let mut socket = open(&gateway).await;
    socket.send(GOING_AWAY_MASKED).await;
    socket.half_close().await;
    assert_eq!(socket.rest().await, (frame(b"goodbye", false), Ended::Cleanly));
}

#[tokio::test]
async fn what_the_client_still_says_after_upstream_has_closed_arrives() {
    let (tells, mut told) = tokio::sync::mpsc::unbounded_channel();
    let upstream = RawUpstream::acting(move |head, mut connection| {
        let tells = tells.clone();
        async move {
            connection.send(agreed(&head)).await;
            connection.send(GOING_AWAY).await;
            connection.half_close().await;
            tells.send(connection.rest().await).unwrap();
        }
    })
    .await;
    let gateway = Gateway::everything_to(&upstream.url(), "").await;
    let mut socket = open(&gateway).await;
    assert_eq!(socket.rest().await, (GOING_AWAY.to_vec(), Ended::Cleanly));
    let words = noise(20);
    for word in &words {
        socket.send([*word]).await;
        sleep(Duration::from_millis(10)).await;
    }
    socket.half_close().await;
    let heard = timeout(PATIENCE, told.recv()).await.unwrap().unwrap();
    assert_eq!(heard, (words, Ended::Cleanly));
}

#[tokio::test]
async fn when_one_side_breaks_off_the_other_is_let_go() {
    let upstream = RawUpstream::acting(|head, mut connection| async move {
        connection.send(agreed(&head)).await;
        connection.exactly(1).await.unwrap();
    })
    .await;
    let gateway = Gateway::everything_to(&upstream.url(), "").await;
    let mut socket = open(&gateway).await;
    socket.send([0]).await;
    socket.rest().await;
}

/// A phone that loses its network says no goodbye, and nobody waits for one.
#[tokio::test]
async fn a_side_that_ends_without_a_close_ends_the_other_at_once() {
    let (tells, mut told) = tokio::sync::mpsc::unbounded_channel();
    let upstream = RawUpstream::acting(move |head, mut connection| {
        let tells = tells.clone();
        async move {
            connection.send(agreed(&head)).await;
            connection.send(frame(b"hello", false)).await;
            connection.rest().await;
            tells.send(()).unwrap();
            // As if it had more to say.
            pending::<()>().await;
        }
    })
    .await;
    let gateway = Gateway::everything_to(&upstream.url(), "").await;
    let mut socket = open(&gateway).await;
    socket.exactly(frame(b"hello", false).len()).await.unwrap();
    socket.half_close().await;
    assert_eq!(socket.rest().await.0, b"");
    told.recv().await.unwrap();
}

/// Who has slept has lost its place on the server, and finds it again by a new connection alone.
#[tokio::test]
async fn a_client_of_nats_that_says_nothing_is_closed_although_upstream_talks() {
    let talks = || {
        RawUpstream::acting(|head, mut connection| async move {
            connection.send(agreed(&head)).await;
            while connection.try_send(frame(b"news", false)).await.is_ok() {
                sleep(Duration::from_millis(100)).await;
            }
        })
    };
    let upstream = talks().await;
    let gateway = Gateway::everything_to(&upstream.url(), "timeouts.tunnel_silence = '4s'").await;
    let mut socket = open_at(&gateway, "/ws").await;
    let started = Instant::now();
    for _ in 0..4 {
        sleep(Duration::from_millis(1500)).await;
        socket.send(frame(b"PING", true)).await;
    }
    let (heard, ended) = timeout(PATIENCE, socket.rest()).await.unwrap();
    assert!(heard.ends_with(&GOING_AWAY), "{heard:?}");
    assert_eq!(ended, Ended::Cleanly);
    assert!(
        started.elapsed() > Duration::from_millis(9900),
        "{:?}",
        started.elapsed()
    );

    // LiveKit has pings of its own, and whoever says 0s wants none of this.
    for (toml, path) in [
        ("timeouts.tunnel_silence = '1s'", "/livekit/rtc"),
        ("timeouts.tunnel_silence = '0s'", "/ws"),
    ] {
        let upstream = echo().await;
        let gateway = Gateway::everything_to(&upstream.url(), toml).await;
        let mut socket = open_at(&gateway, path).await;
        sleep(Duration::from_millis(2500)).await;
        let ping = frame(b"still there?", true);
        socket.send(&ping).await;
        assert_eq!(socket.exactly(ping.len()).await.unwrap(), ping, "{path}");
    }
}
