//! Tunnels and requests within a drain.

use std::time::Duration;

use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use super::{GOING_AWAY, GOING_AWAY_MASKED, echo, frame, noise, open};
use crate::support::websocket::agreed;
use crate::support::{
    Gateway,
    h2::H2,
    raw::{Ended, RawUpstream, header},
    upstream::Upstream,
};

#[tokio::test]
async fn tunnels_and_requests_may_finish_within_a_drain() {
    let upstream = RawUpstream::acting(|head, mut connection| async move {
        if header(&head, "upgrade").is_some() {
            connection.send(agreed(&head)).await;
            while let Ok(bytes) = connection.exactly(10).await {
                connection.send(bytes).await;
            }
        } else {
            sleep(Duration::from_millis(400)).await;
            connection
                .send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast")
                .await;
        }
    })
    .await;
    let gateway = Gateway::everything_to(&upstream.url(), "timeouts.drain = '10s'").await;
    let https = gateway.https;
    let mut socket = open(&gateway).await;
    upstream.arrival().await;
    let mut request = gateway.client().raw().await;
    request
        .send(format!("{}\r\n", gateway.head("GET /api/x HTTP/1.1")))
        .await;
    upstream.arrival().await;
    let mut idle = gateway.client().raw().await;
    idle.send(format!("{}\r\n", gateway.head("GET /conference HTTP/1.1")))
        .await;
    assert_eq!(idle.answer().await.status, 308);
    let mut fresh = gateway.client().raw().await;

    let started = Instant::now();
    let stopping = tokio::spawn(gateway.stop());
    assert_eq!(idle.rest().await, (Vec::new(), Ended::Cleanly));
    assert!(
        started.elapsed() < Duration::from_millis(300),
        "idle ones close at once: {:?}",
        started.elapsed()
    );
    // One that has had no request has a second for it.
    assert_eq!(fresh.rest().await, (Vec::new(), Ended::Cleanly));
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    assert!(TcpStream::connect(https).await.is_err(), "nothing new is taken");

    let answer = request.answer().await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "last"));
    assert_eq!(request.rest().await.1, Ended::Cleanly);
    let ping = frame(b"pong", true);
    socket.send(&ping).await;
    assert_eq!(socket.exactly(10).await.unwrap(), ping);
    assert!(!stopping.is_finished(), "the tunnel is waited for");
    socket.half_close().await;
    assert_eq!(socket.rest().await, (Vec::new(), Ended::Cleanly));
    timeout(Duration::from_secs(1), stopping)
        .await
        .expect("nothing is left to wait for")
        .unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn at_the_deadline_of_a_drain_both_sides_are_told_that_the_gateway_goes_away() {
    let (tells, mut told) = tokio::sync::mpsc::unbounded_channel();
    let upstream = RawUpstream::acting(move |head, mut connection| {
        let tells = tells.clone();
        async move {
            connection.send(agreed(&head)).await;
            tells.send(connection.rest().await).unwrap();
        }
    })
    .await;
    let gateway = Gateway::everything_to(&upstream.url(), "timeouts.drain = '300ms'").await;
    let mut socket = open(&gateway).await;
    let message = frame(b"message", true);
    socket.send(&message).await;
    let started = Instant::now();
    let stopping = tokio::spawn(gateway.stop());
    assert_eq!(socket.exactly(4).await.unwrap(), GOING_AWAY);
    assert!(started.elapsed() >= Duration::from_millis(300));
    assert_eq!(socket.rest().await, (Vec::new(), Ended::Cleanly));
    drop(socket);
    let heard = timeout(Duration::from_secs(5), told.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        heard,
        ([message, GOING_AWAY_MASKED.to_vec()].concat(), Ended::Cleanly)
    );
    stopping.await.unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
}

/// A Close inside another frame would be taken for its payload.
#[tokio::test]
async fn the_close_comes_behind_a_large_frame_that_is_under_way() {
    let upstream = RawUpstream::acting(|head, mut connection| async move {
        connection.send(agreed(&head)).await;
        let large = frame(&noise(300_000), false);
        for piece in large.chunks(30_000) {
            connection.send(piece).await;
            sleep(Duration::from_millis(80)).await;
        }
        // Nothing may come behind the Close, whatever upstream goes on to say.
        let _ = connection.try_send(frame(b"too late", false)).await;
        connection.rest().await;
    })
    .await;
    let gateway = Gateway::everything_to(&upstream.url(), "timeouts.drain = '300ms'").await;
    let mut socket = open(&gateway).await;
    let large = frame(&noise(300_000), false);
    assert_eq!(socket.exactly(30_000).await.unwrap(), large[..30_000]);
    let started = Instant::now();
    let stopping = tokio::spawn(gateway.stop());
    let (rest, ended) = socket.rest().await;
    assert_eq!(rest.len(), large.len() - 30_000 + 4);
    assert!(rest[..large.len() - 30_000] == large[30_000..]);
    assert_eq!(
        (&rest[large.len() - 30_000..], ended),
        (&GOING_AWAY[..], Ended::Cleanly)
    );
    drop(socket);
    stopping.await.unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "{:?}",
        started.elapsed()
    );
}

/// Neither a frame that never ends nor a client that neither reads nor leaves holds up the end.
#[tokio::test]
async fn a_stop_ends_soon_after_the_deadline_whatever_clients_do() {
    let upstream = RawUpstream::acting(|head, mut connection| async move {
        connection.send(agreed(&head)).await;
        let large = frame(&noise(64 << 20), false);
        let _ = connection.try_send(&large).await;
        connection.rest().await;
    })
    .await;
    let gateway = Gateway::everything_to(&upstream.url(), "timeouts.drain = '200ms'").await;
    let blocked = open(&gateway).await;
    let mut half = open(&gateway).await;
    half.send([0x82, 0xff, 0, 0]).await;
    let mut half_head = gateway.client().raw().await;
    half_head.send("GET /api/x HTTP/1.1\r\nHo").await;
    let in_handshake = TcpStream::connect(gateway.https).await.unwrap();
    let started = Instant::now();
    timeout(Duration::from_secs(8), gateway.stop())
        .await
        .expect("a stop that ends");
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "{:?}",
        started.elapsed()
    );
    drop((blocked, half, half_head, in_handshake));
}

/// The client's data may cross our Close; what was said must still be readable.
#[tokio::test]
async fn a_client_that_is_talking_hears_the_close_too() {
    let upstream = echo().await;
    let gateway = Gateway::everything_to(&upstream.url(), "timeouts.drain = '200ms'").await;
    let socket = open(&gateway).await;
    let (mut reader, mut writer) = tokio::io::split(socket.into_inner());
    let talking = tokio::spawn(async move {
        while tokio::io::AsyncWriteExt::write_all(&mut writer, &frame(&noise(1000), true))
            .await
            .is_ok()
        {
            let _ = tokio::io::AsyncWriteExt::flush(&mut writer).await;
            sleep(Duration::from_millis(1)).await;
        }
    });
    let stopping = tokio::spawn(gateway.stop());
    let mut heard = Vec::new();
    let mut buffer = vec![0; 65_536];
    let ended = loop {
        match tokio::io::AsyncReadExt::read(&mut reader, &mut buffer).await {
            Ok(0) => break Ended::Cleanly,
            Ok(read) => heard.extend_from_slice(&buffer[..read]),
            Err(_) => break Ended::Broken,
        }
    };
    assert_eq!(
        (&heard[heard.len() - 4..], ended),
        (&GOING_AWAY[..], Ended::Cleanly)
    );
    assert_eq!(
        (heard.len() - 4) % frame(&noise(1000), true).len(),
        0,
        "between two frames"
    );
    talking.abort();
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_large_request_under_way_may_finish_within_a_drain() {
    let upstream = Upstream::answering("whole").await;
    let gateway = Gateway::everything_to(&upstream.url(), "timeouts.drain = '10s'").await;
    let mut request = gateway.client().raw().await;
    let head = gateway.head("POST /api/x HTTP/1.1");
    request.send(format!("{head}Content-Length: 8\r\n\r\nhalf")).await;
    sleep(Duration::from_millis(100)).await;
    let stopping = tokio::spawn(gateway.stop());
    sleep(Duration::from_millis(200)).await;
    request.send("rest").await;
    assert_eq!(request.answer().await.text(), "whole");
    assert_eq!(request.rest().await.1, Ended::Cleanly);
    assert_eq!(upstream.only_request().body, "halfrest");
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_request_over_http_2_may_finish_within_a_drain() {
    let upstream = RawUpstream::acting(|_, mut connection| async move {
        sleep(Duration::from_millis(400)).await;
        connection
            .send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast")
            .await;
    })
    .await;
    let gateway = Gateway::everything_to(&upstream.url(), "timeouts.drain = '10s'").await;
    let client = gateway.client();
    let mut idle = H2::connect(&client, 65_535).await;
    let asking = tokio::spawn(async move { client.request_h2("GET", "/api/x", &[], b"").await });
    upstream.arrival().await;
    let started = Instant::now();
    let stopping = tokio::spawn(gateway.stop());
    // It has had no request, and so a second for it.
    idle.until_closed().await;
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    let answer = asking.await.unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "last"));
    timeout(Duration::from_secs(2), stopping)
        .await
        .expect("nothing is left to wait for")
        .unwrap();
}
