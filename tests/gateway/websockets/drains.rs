//! Tunnels and requests within a drain.

use std::{sync::Arc, time::Duration};

use tokio::{
    net::TcpStream,
    sync::Notify,
    time::{Instant, sleep, timeout},
};

use super::{GOING_AWAY, GOING_AWAY_MASKED, echo, frame, noise, open};
use crate::support::websocket::agreed;
use crate::support::{
    Gateway,
    addr::nobody_listens,
    h2::H2,
    raw::{Ended, RawUpstream, header},
    upstream::Upstream,
};

/// Whoever waits for the end of this drain waits in vain.
const LONG_DRAIN: &str = "timeouts.drain = '10m'";
const PATIENCE: Duration = Duration::from_secs(90);

#[tokio::test]
async fn tunnels_and_requests_may_finish_within_a_drain() {
    let answers = Arc::new(Notify::new());
    let word = Arc::clone(&answers);
    let upstream = RawUpstream::acting(move |head, mut connection| {
        let word = Arc::clone(&word);
        async move {
            if header(&head, "upgrade").is_some() {
                connection.send(agreed(&head)).await;
                while let Ok(bytes) = connection.exactly(10).await {
                    connection.send(bytes).await;
                }
            } else {
                word.notified().await;
                connection
                    .send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast")
                    .await;
            }
        }
    })
    .await;
    let gateway = Gateway::everything_to(&upstream.url(), LONG_DRAIN).await;
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

    let stopping = tokio::spawn(gateway.stop());
    // Long before the deadline of the drain.
    assert_eq!(idle.rest().await, (Vec::new(), Ended::Cleanly));
    assert_eq!(fresh.rest().await, (Vec::new(), Ended::Cleanly));
    nobody_listens(https).await;

    answers.notify_one();
    let answer = request.answer().await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "last"));
    assert_eq!(request.rest().await.1, Ended::Cleanly);
    let ping = frame(b"pong", true);
    socket.send(&ping).await;
    assert_eq!(socket.exactly(10).await.unwrap(), ping);
    assert!(!stopping.is_finished(), "the tunnel is waited for");
    socket.half_close().await;
    assert_eq!(socket.rest().await, (Vec::new(), Ended::Cleanly));
    timeout(PATIENCE, stopping)
        .await
        .expect("nothing is left to wait for")
        .unwrap();
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
    let gateway = Gateway::everything_to(&upstream.url(), "timeouts.drain = '3s'").await;
    let mut socket = open(&gateway).await;
    let message = frame(b"message", true);
    socket.send(&message).await;
    let started = Instant::now();
    let stopping = tokio::spawn(gateway.stop());
    assert_eq!(socket.exactly(4).await.unwrap(), GOING_AWAY);
    assert!(started.elapsed() >= Duration::from_millis(2700));
    assert_eq!(socket.rest().await, (Vec::new(), Ended::Cleanly));
    drop(socket);
    let heard = timeout(PATIENCE, told.recv()).await.unwrap().unwrap();
    assert_eq!(
        heard,
        ([message, GOING_AWAY_MASKED.to_vec()].concat(), Ended::Cleanly)
    );
    stopping.await.unwrap();
}

/// A Close inside another frame would be taken for its payload.
#[tokio::test]
async fn the_close_comes_behind_a_large_frame_that_is_under_way() {
    // A frame that makes no progress for a second is waited for no longer. A machine that stands still for so long is asked
    // again.
    let mut ends = Vec::new();
    for _ in 0..5 {
        let (rest, ended) = end_within_a_frame().await;
        let large = &frame(&noise(300_000), false)[30_000..];
        if rest.strip_prefix(large) == Some(&GOING_AWAY) && ended == Ended::Cleanly {
            return;
        }
        ends.push((rest.len(), ended));
    }
    panic!("{ends:?}");
}

/// What a client hears behind the first piece of a frame whose rest comes after the deadline.
async fn end_within_a_frame() -> (Vec<u8>, Ended) {
    let stops = Arc::new(Notify::new());
    let word = Arc::clone(&stops);
    let upstream = RawUpstream::acting(move |head, mut connection| {
        let word = Arc::clone(&word);
        async move {
            connection.send(agreed(&head)).await;
            let large = frame(&noise(300_000), false);
            connection.send(&large[..30_000]).await;
            word.notified().await;
            for piece in large[30_000..].chunks(90_000) {
                connection.send(piece).await;
                sleep(Duration::from_millis(20)).await;
            }
            // Nothing may come behind the Close, whatever upstream goes on to say.
            let _ = connection.try_send(frame(b"too late", false)).await;
            connection.rest().await;
        }
    })
    .await;
    let gateway = Gateway::everything_to(&upstream.url(), "timeouts.drain = '100ms'").await;
    let mut idle = gateway.client().raw().await;
    idle.send(format!("{}\r\n", gateway.head("GET /conference HTTP/1.1")))
        .await;
    assert_eq!(idle.answer().await.status, 308);
    let mut socket = open(&gateway).await;
    assert_eq!(
        socket.exactly(30_000).await.unwrap(),
        frame(&noise(300_000), false)[..30_000]
    );
    let stopping = tokio::spawn(gateway.stop());
    // Its end is the beginning of the drain.
    idle.rest().await;
    sleep(Duration::from_millis(400)).await;
    stops.notify_one();
    let heard = socket.rest().await;
    drop(socket);
    stopping.await.unwrap();
    heard
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
    timeout(PATIENCE, gateway.stop()).await.expect("a stop that ends");
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
    let gateway = Gateway::everything_to(&upstream.url(), LONG_DRAIN).await;
    let https = gateway.https;
    let mut request = gateway.client().raw().await;
    let head = gateway.head("POST /api/x HTTP/1.1");
    request
        .send(format!("{head}Expect: 100-continue\r\nContent-Length: 8\r\n\r\n"))
        .await;
    // It is taken before the stop begins.
    assert!(request.head().await.unwrap().starts_with("HTTP/1.1 100 "));
    request.send("half").await;
    let stopping = tokio::spawn(gateway.stop());
    nobody_listens(https).await;
    request.send("rest").await;
    assert_eq!(request.answer().await.text(), "whole");
    assert_eq!(request.rest().await.1, Ended::Cleanly);
    assert_eq!(upstream.only_request().body, "halfrest");
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_request_over_http_2_may_finish_within_a_drain() {
    let answers = Arc::new(Notify::new());
    let last = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast";
    let upstream = RawUpstream::answering_when(&answers, last).await;
    let gateway = Gateway::everything_to(&upstream.url(), LONG_DRAIN).await;
    let client = gateway.client();
    let mut idle = H2::connect(&client, 65_535).await;
    let asking = tokio::spawn(async move { client.request_h2("GET", "/api/x", &[], b"").await });
    upstream.arrival().await;
    let stopping = tokio::spawn(gateway.stop());
    // It has had no request, and so a second for it.
    idle.until_closed().await;
    answers.notify_one();
    let answer = asking.await.unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "last"));
    timeout(PATIENCE, stopping)
        .await
        .expect("nothing is left to wait for")
        .unwrap();
}
