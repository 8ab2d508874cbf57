//! A stop: what may still end, and what does not hold it up.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Request, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

use super::{ISSUE, client_of, empty, keys, serving};
use crate::support::{API_KEY, SECRET, addr::nobody_listens, binary::Serving, client::Client, token_request};

/// Whoever waits for its end waits in vain.
const LONG_DRAIN: [(&str, &str); 1] = [("TIMEOUTS__DRAIN", "10m")];

/// Asks a gateway to stop, to which a connection is open that asks for nothing.
async fn stops_at_once(signal: &str, mut serving: Serving) {
    serving.signal(signal).await;
    serving.says("Draining").await;
    // The drain has ten minutes.
    let (status, said) = serving.end().await;
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("\"Stopped\""), "{said}");
}

#[tokio::test]
async fn a_connection_that_is_kept_alive_does_not_hold_up_a_stop() {
    let folder = empty();
    for signal in ["TERM", "INT"] {
        let serving = serving(folder.path(), &LONG_DRAIN).await;
        let mut kept = client_of(folder.path(), &serving).connect(b"http/1.1").await;
        let request = b"GET /conference/ HTTP/1.1\r\nHost: localhost\r\n\r\n";
        kept.write_all(request).await.unwrap();
        kept.read_u8().await.unwrap();
        stops_at_once(signal, serving).await;
    }
}

fn records(said: &str) -> usize {
    said.matches("\"message\":\"Request\"").count()
}

/// Lines wait a moment for others, to be written with them.
#[tokio::test]
async fn the_log_is_read_while_it_runs_and_is_whole_at_the_end() {
    let folder = empty();
    let mut serving = serving(folder.path(), &[]).await;
    let client = client_of(folder.path(), &serving);
    client.request("GET", "/conference/", &[], b"").await;
    serving.says("Request").await;
    client.statuses(300, "/nowhere", |_| Vec::new()).await;
    serving.signal("TERM").await;
    let (status, said) = serving.end().await;
    assert_eq!((status, records(&said)), (Some(0), 301));
    let last: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(last["message"], "Stopped");
}

/// Several times what fits into a pipe is logged before anybody reads on, if at all.
#[tokio::test]
async fn a_log_that_nobody_reads_holds_up_no_request_and_no_stop() {
    let requests = 800;
    let long = format!("/{}", "x".repeat(250));
    for read in [true, false] {
        let folder = empty();
        let serving = serving(folder.path(), &[]).await;
        let client = client_of(folder.path(), &serving);
        let statuses = client.statuses(requests, &long, |_| Vec::new()).await;
        assert_eq!(statuses, vec![404; requests as usize]);
        serving.signal("TERM").await;
        if read {
            let (status, said) = serving.end().await;
            assert_eq!((status, records(&said)), (Some(0), requests as usize));
        } else {
            let (status, words) = serving.end_unread().await;
            assert_eq!(status, Some(0));
            assert!(words.contains("the end of the log is lost"), "{words}");
        }
    }
}

#[tokio::test]
async fn requests_are_logged_only_where_that_is_wanted() {
    let folder = empty();
    let serving = serving(folder.path(), &[("LOG__ACCESS", "false")]).await;
    let client = client_of(folder.path(), &serving);
    client.request("GET", "/conference/", &[], b"").await;
    serving.signal("TERM").await;
    let (status, said) = serving.end().await;
    assert_eq!((status, records(&said)), (Some(0), 0));
    assert!(said.contains("\"Stopped\""), "{said}");
}

/// Browsers open connections ahead of time.
#[tokio::test]
async fn a_connection_that_never_asked_for_anything_does_not_hold_up_a_stop() {
    let folder = empty();
    let serving = serving(folder.path(), &LONG_DRAIN).await;
    let _silent = client_of(folder.path(), &serving).connect(b"http/1.1").await;
    stops_at_once("TERM", serving).await;
}

#[tokio::test]
async fn an_open_page_over_http_2_does_not_hold_up_a_stop() {
    let folder = empty();
    let serving = serving(folder.path(), &LONG_DRAIN).await;
    let stream = client_of(folder.path(), &serving).connect(b"h2").await;
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let uri = format!("https://localhost:{}/conference/", serving.https.port());
    let request = Request::get(uri).body(Empty::<Bytes>::new()).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
    stops_at_once("TERM", serving).await;
}

/// A laptop that was closed: its connection is there, and nobody answers on it any more.
#[tokio::test]
async fn a_client_over_http_2_that_fell_silent_does_not_hold_up_a_stop() {
    let folder = empty();
    let serving = serving(folder.path(), &LONG_DRAIN).await;
    let mut asleep = client_of(folder.path(), &serving).connect(b"h2").await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    asleep.write_all(preface).await.unwrap();
    asleep.read_u8().await.unwrap();
    stops_at_once("TERM", serving).await;
}

/// A token request of which the body is still to come.
async fn half_a_request(client: &Client, body: &str) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut stream = client.connect(b"http/1.1").await;
    let head = format!(
        "POST {ISSUE} HTTP/1.1\r\nHost: localhost\r\nAPI-KEY: {API_KEY}\r\nHASH-SIGNATURE: {}\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        keys().requests().signature(body.as_bytes()),
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut begun = [0; 25];
    stream.read_exact(&mut begun).await.unwrap();
    assert_eq!(&begun, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

#[tokio::test]
async fn a_request_under_way_is_answered_before_the_end() {
    let folder = empty();
    let variables = [("PLUGNMEET__SECRET", SECRET), ("TIMEOUTS__HEADER", "10m")];
    let mut serving = serving(folder.path(), &variables).await;
    let body = token_request("room01", "ann");
    let mut stream = half_a_request(&client_of(folder.path(), &serving), &body).await;
    serving.signal("TERM").await;
    serving.says("Draining").await;
    // Nobody new is let in, from a moment after the word on.
    nobody_listens(serving.https).await;
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(Duration::from_secs(90), stream.read_to_end(&mut answer))
        .await
        .unwrap()
        .ok();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("\"SUCCESS\""), "{answer}");
    let (status, said) = serving.end().await;
    assert_eq!(status, Some(0), "{said}");
    assert!(!said.contains("\"WARN\""), "{said}");
}

#[tokio::test]
async fn a_second_signal_cuts_the_drain_short() {
    let folder = empty();
    let variables = [
        ("PLUGNMEET__SECRET", SECRET),
        ("TIMEOUTS__HEADER", "10m"),
        ("TIMEOUTS__DRAIN", "10m"),
    ];
    let mut serving = serving(folder.path(), &variables).await;
    let _stream = half_a_request(&client_of(folder.path(), &serving), "{}").await;
    serving.signal("TERM").await;
    serving.says("Draining").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    serving.signal("TERM").await;
    let (status, said) = serving.end().await;
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("Closed what had not ended by itself"), "{said}");
}

#[tokio::test]
async fn a_second_signal_cuts_the_time_short_in_which_connections_are_still_taken() {
    let folder = empty();
    let variables = [
        ("PLUGNMEET__SECRET", SECRET),
        ("TIMEOUTS__HEADER", "10m"),
        ("TIMEOUTS__DRAIN_DELAY", "10m"),
    ];
    for _ in 0..3 {
        let mut serving = serving(folder.path(), &variables).await;
        let _stream = half_a_request(&client_of(folder.path(), &serving), "{}").await;
        serving.signal("TERM").await;
        serving.says("Stopping; connections are still taken").await;
        serving.signal("TERM").await;
        let (status, said) = serving.end().await;
        assert_eq!(status, Some(0), "{said}");
        assert!(said.contains("Closed what had not ended by itself"), "{said}");
    }
}

#[tokio::test]
async fn the_deadline_of_a_drain_is_kept() {
    let folder = empty();
    let variables = [
        ("PLUGNMEET__SECRET", SECRET),
        ("TIMEOUTS__HEADER", "10m"),
        ("TIMEOUTS__DRAIN", "1s"),
    ];
    let serving = serving(folder.path(), &variables).await;
    let _stream = half_a_request(&client_of(folder.path(), &serving), "{}").await;
    let started = Instant::now();
    serving.signal("TERM").await;
    assert_eq!(serving.end().await.0, Some(0));
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(1), "{took:?}");
}
