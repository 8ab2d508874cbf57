//! Interim answers: each that upstream sends goes on to a client that knows them, before its answer and never in one.

use super::*;

const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nKeep-Alive: 5\r\nX-Hop: 1\r\nConnection: x-hop\r\n\r\n";
const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What the client gets of it.
const PASSED_ON: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n";

async fn sending(pieces: &'static [&'static str]) -> RawUpstream {
    RawUpstream::acting(move |_, mut connection| async move {
        loop {
            for piece in pieces {
                connection.send(piece).await;
                sleep(Duration::from_millis(30)).await;
            }
            if connection.head().await.is_err() {
                return;
            }
        }
    })
    .await
}

/// Hints and an answer in one piece.
async fn sending_at_once(hints: usize) -> RawUpstream {
    RawUpstream::acting(move |_, mut connection| async move {
        loop {
            connection.send(format!("{}{ANSWER}", HINTS.repeat(hints))).await;
            if connection.head().await.is_err() {
                return;
            }
        }
    })
    .await
}

#[tokio::test]
async fn an_interim_answer_reaches_the_client_before_the_answer() {
    let upstream = sending(&[HINTS, HINTS, ANSWER]).await;
    let gateway = to(&upstream.url()).await;
    let mut connection = gateway.client().raw().await;
    for _ in 0..3 {
        connection
            .send(format!("{}\r\n", gateway.head("GET /api/x HTTP/1.1")))
            .await;
        for _ in 0..2 {
            assert_eq!(connection.head().await.unwrap(), PASSED_ON);
        }
        let answer = connection.answer().await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    }
}

#[tokio::test]
async fn one_that_comes_in_one_piece_with_the_answer_is_passed_on_too() {
    let upstream = sending_at_once(1).await;
    let gateway = to(&upstream.url()).await;
    let mut connection = gateway.client().raw().await;
    for _ in 0..20 {
        connection
            .send(format!("{}\r\n", gateway.head("GET /api/x HTTP/1.1")))
            .await;
        assert_eq!(connection.head().await.unwrap(), PASSED_ON);
        let answer = connection.answer().await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    }
}

/// 100 and 101 are each hop's own; HTTP/1.0 knows no interim answers, and HTTP/2 gets the answer alone.
#[tokio::test]
async fn who_does_not_know_them_gets_the_answer_alone() {
    let upstream = sending(&["HTTP/1.1 100 Continue\r\n\r\n", HINTS, ANSWER]).await;
    let gateway = to(&upstream.url()).await;
    let head = gateway.head("GET /api/x HTTP/1.0");
    let answer = gateway.client().ask_raw(&format!("{head}\r\n")).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    let mut connection = gateway.client().raw().await;
    connection
        .send(format!("{}\r\n", gateway.head("GET /api/x HTTP/1.1")))
        .await;
    assert_eq!(connection.head().await.unwrap(), PASSED_ON);
    assert_eq!(connection.answer().await.status, 200);
}

#[tokio::test]
async fn a_flood_of_them_ends_in_the_answer() {
    let upstream = sending_at_once(100).await;
    let gateway = to(&upstream.url()).await;
    let mut connection = gateway.client().raw().await;
    connection
        .send(format!("{}\r\n", gateway.head("GET /api/x HTTP/1.1")))
        .await;
    let mut passed_on = 0;
    let last = loop {
        let head = connection.head().await.unwrap();
        if head != PASSED_ON {
            break head;
        }
        passed_on += 1;
    };
    assert!(last.starts_with("HTTP/1.1 200 OK\r\n"), "{last}");
    assert_eq!(connection.exactly(2).await.unwrap(), b"ok");
    assert!((1..=16).contains(&passed_on), "{passed_on}");
}

/// The answer before is still on its way when upstream hints at the next: no byte of it has a hint inside.
#[tokio::test]
async fn no_answer_has_an_interim_answer_inside() {
    let large = noise(8 * 1024 * 1024);
    let body = large.clone();
    let upstream = RawUpstream::acting(move |mut head, mut connection| {
        let body = body.clone();
        async move {
            loop {
                if head.starts_with("GET /api/large") {
                    let start = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                    connection.send([start.as_bytes(), &body].concat()).await;
                } else {
                    connection.send(HINTS).await;
                    connection.send(ANSWER).await;
                }
                let Ok(next) = connection.head().await else {
                    return;
                };
                head = next;
            }
        }
    })
    .await;
    let gateway = to(&upstream.url()).await;
    let mut connection = gateway.client().raw().await;
    let (first, second) = (
        gateway.head("GET /api/large HTTP/1.1"),
        gateway.head("GET /api/x HTTP/1.1"),
    );
    connection.send(format!("{first}\r\n{second}\r\n")).await;
    sleep(Duration::from_millis(500)).await;
    let answer = connection.answer().await;
    assert!(answer.body == large);
    let mut head = connection.head().await.unwrap();
    if head == PASSED_ON {
        head = connection.head().await.unwrap();
    }
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(connection.exactly(2).await.unwrap(), b"ok");
}
