//! Deadlines, over real sockets: what a client may leave undone, and for how long.

use std::time::Duration;

use tokio::{
    net::{TcpSocket, TcpStream},
    time::{Instant, sleep, timeout},
};

use crate::support::{
    self, Gateway,
    h2::{H2, Outcome},
    raw::{Raw, RawUpstream},
};

/// The one deadline of a test, which a busy machine meets where it is to be met.
const SHORT: Duration = Duration::from_secs(3);
/// Nothing takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(90);
const WINDOW: u32 = 65_535;

/// One deadline is short, and so it is this one that ends a connection: all others are far away.
async fn with_short(deadline: &str, upstream: &RawUpstream) -> Gateway {
    let toml: String = ["header", "idle", "handshake"]
        .map(|name| {
            let time = if name == deadline { "3s" } else { "10m" };
            format!("timeouts.{name} = '{time}'\n")
        })
        .concat();
    Gateway::everything_to(&upstream.url(), &toml).await
}

/// Measured from before anything that the gateway may have counted from.
fn assert_not_too_early(started: Instant) {
    assert!(started.elapsed() >= SHORT, "too early: {:?}", started.elapsed());
}

/// Sends a byte of this every so often, until the connection ends.
async fn dribble<S>(mut connection: Raw<S>, bytes: &[u8])
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    for byte in bytes {
        if connection.try_send([*byte]).await.is_err() {
            return;
        }
        if let Ok(ended) = timeout(PAUSE, connection.some()).await {
            assert!(ended.is_err(), "an answer to half a head: {ended:?}");
            return;
        }
    }
    panic!("all was taken");
}

/// Between two bytes that dribble in: a hundred of them take longer than the deadline.
const PAUSE: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_head_that_dribbles_in_is_given_up() {
    let upstream = RawUpstream::content().await;
    let gateway = with_short("header", &upstream).await;
    let slow = format!(
        "{}X-Slow: {}\r\n\r\n",
        gateway.head("GET /api/x HTTP/1.1"),
        "y".repeat(200)
    );
    let started = Instant::now();
    dribble(gateway.client().raw().await, slow.as_bytes()).await;
    assert_not_too_early(started);
    assert!(upstream.saw_nothing());
}

/// Empty lines in front of a request line are no request yet.
#[tokio::test]
async fn empty_lines_do_not_keep_a_connection() {
    let upstream = RawUpstream::content().await;
    let gateway = with_short("header", &upstream).await;
    dribble(gateway.client().raw().await, "\r\n".repeat(400).as_bytes()).await;
}

#[tokio::test]
async fn half_a_head_behind_a_whole_request_is_given_up_too() {
    let upstream = RawUpstream::content().await;
    let gateway = with_short("idle", &upstream).await;
    let mut connection = gateway.client().raw().await;
    let head = gateway.head("GET /api/x HTTP/1.1");
    connection
        .send(format!("{head}\r\nGET /api/y HTTP/1.1\r\nHo"))
        .await;
    assert_eq!(connection.answer().await.status, 200);
    let (rest, _) = connection.rest().await;
    assert!(rest.is_empty(), "{rest:?}");
    assert_eq!(upstream.heads().len(), 1);
}

#[tokio::test]
async fn a_head_on_the_plain_listeners_has_the_same_deadline() {
    let upstream = RawUpstream::content().await;
    let gateway = with_short("header", &upstream).await;
    for addr in [gateway.http, gateway.admin] {
        let started = Instant::now();
        let connection = Raw::over(TcpStream::connect(addr).await.unwrap());
        let head = format!("GET /livez HTTP/1.1\r\nX: {}", "y".repeat(200));
        dribble(connection, head.as_bytes()).await;
        assert_not_too_early(started);
    }
}

#[tokio::test]
async fn a_connection_without_a_request_is_given_up() {
    let upstream = RawUpstream::content().await;
    let gateway = with_short("idle", &upstream).await;
    let started = Instant::now();
    let mut connection = gateway.client().raw().await;
    let (rest, _) = connection.rest().await;
    assert!(rest.is_empty(), "{rest:?}");
    assert_not_too_early(started);
}

#[tokio::test]
async fn the_idle_time_starts_anew_with_each_answer() {
    let upstream = RawUpstream::content().await;
    let toml = "timeouts.idle = '10s'\ntimeouts.header = '10m'\ntimeouts.handshake = '10m'";
    let gateway = Gateway::everything_to(&upstream.url(), toml).await;
    let mut connection = gateway.client().raw().await;
    for _ in 0..4 {
        connection
            .send(format!("{}\r\n", gateway.head("GET /api/x HTTP/1.1")))
            .await;
        assert_eq!(connection.answer().await.status, 200);
        sleep(Duration::from_secs(3)).await;
    }
    connection
        .send(format!("{}\r\n", gateway.head("GET /api/x HTTP/1.1")))
        .await;
    assert_eq!(connection.answer().await.status, 200);
    let (rest, _) = connection.rest().await;
    assert!(rest.is_empty(), "{rest:?}");
}

/// A token may take 20 s, a recording longer: waiting for an answer is not idling.
#[tokio::test]
async fn a_connection_that_waits_for_its_answer_is_not_idle() {
    let upstream = RawUpstream::acting(|_, mut connection| async move {
        sleep(SHORT * 2).await;
        connection
            .send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
            .await;
    })
    .await;
    let gateway = with_short("idle", &upstream).await;
    assert_eq!(gateway.get("/api/x", &[]).await.text(), "late");
    assert_eq!(
        gateway
            .client()
            .request_h2("GET", "/api/x", &[], b"")
            .await
            .text(),
        "late"
    );
}

#[tokio::test]
async fn a_silent_tls_client_is_given_up() {
    let upstream = RawUpstream::content().await;
    let gateway = with_short("handshake", &upstream).await;
    let started = Instant::now();
    let mut connection = Raw::over(TcpStream::connect(gateway.https).await.unwrap());
    connection.rest().await;
    assert_not_too_early(started);
    // The first bytes of a record are no handshake either.
    let started = Instant::now();
    let connection = Raw::over(TcpStream::connect(gateway.https).await.unwrap());
    let hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 400]].concat();
    dribble(connection, &hello).await;
    assert_not_too_early(started);
}

#[tokio::test]
async fn silent_clients_hold_up_nobody() {
    let upstream = RawUpstream::content().await;
    // Whoever waited for one of them would wait longer than this client does.
    let gateway = Gateway::everything_to(&upstream.url(), "timeouts.handshake = '10m'").await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(gateway.https).await.unwrap());
    }
    assert_eq!(gateway.get("/api/x", &[]).await.status, 200);
}

/// An upstream that never stops talking, and notices when nobody listens.
async fn torrent() -> (RawUpstream, tokio::sync::mpsc::UnboundedReceiver<()>) {
    let (ended, ends) = tokio::sync::mpsc::unbounded_channel();
    let upstream = RawUpstream::acting(move |_, mut connection| {
        let ended = ended.clone();
        async move {
            connection
                .send("HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n")
                .await;
            let piece = vec![b'x'; 1 << 16];
            while connection.try_send(&piece).await.is_ok() {}
            ended.send(()).unwrap();
        }
    })
    .await;
    (upstream, ends)
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_dropped() {
    let (upstream, mut ends) = torrent().await;
    let gateway = with_short("idle", &upstream).await;
    // Small buffers, so that it is soon full.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(gateway.https).await.unwrap();
    let mut connection = Raw::over(gateway.client().over(stream, b"http/1.1").await);
    connection
        .send(format!("{}\r\n", gateway.head("GET /api/x HTTP/1.1")))
        .await;
    let started = Instant::now();
    upstream.arrival().await;
    timeout(PATIENCE, ends.recv())
        .await
        .expect("upstream is let go")
        .unwrap();
    assert!(started.elapsed() >= SHORT / 2, "{:?}", started.elapsed());
    drop(connection);
}

/// The same over HTTP/2, where a window that is not opened again holds the answer back and the socket stays free.
#[tokio::test]
async fn an_http_2_client_that_does_not_take_its_answer_is_dropped() {
    let (upstream, mut ends) = torrent().await;
    let gateway = with_short("idle", &upstream).await;
    let authority = format!("localhost:{}", gateway.https.port());
    let mut connection = H2::connect(&gateway.client(), 1000).await;
    let fields = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", &authority),
        (":path", "/api/x"),
    ];
    connection.request(1, &fields).await;
    assert_eq!(connection.outcome(1).await, Outcome::Status(200));
    let polite = tokio::spawn(async move { connection.until_closed().await });
    let ended = timeout(PATIENCE, ends.recv()).await;
    polite.abort();
    ended.expect("upstream is let go").unwrap();
}

#[tokio::test]
async fn an_http_2_connection_without_a_request_is_given_up_however_politely_it_pings() {
    let upstream = RawUpstream::content().await;
    let gateway = with_short("idle", &upstream).await;
    let authority = format!("localhost:{}", gateway.https.port());
    let started = Instant::now();
    let mut connection = H2::connect(&gateway.client(), WINDOW).await;
    connection.until_closed().await;
    assert_not_too_early(started);

    let mut connection = H2::connect(&gateway.client(), WINDOW).await;
    let fields = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", &authority),
        (":path", "/api/x"),
    ];
    let started = Instant::now();
    connection.request(1, &fields).await;
    assert_eq!(connection.outcome(1).await, Outcome::Status(200));
    connection.until_closed().await;
    assert_not_too_early(started);
}

#[tokio::test]
async fn an_http_2_head_that_does_not_end_is_given_up() {
    let upstream = RawUpstream::content().await;
    let gateway = with_short("header", &upstream).await;
    let mut connection = H2::connect(&gateway.client(), WINDOW).await;
    connection.dribble_head(1, PAUSE).await;
    assert!(upstream.saw_nothing());
}

/// The body of a request for a token is read here, whole.
#[tokio::test]
async fn a_token_request_whose_body_does_not_come_is_answered_408() {
    let upstream = RawUpstream::content().await;
    let gateway = with_short("header", &upstream).await;
    let mut connection = gateway.client().raw().await;
    let head = gateway.head("POST /auth/room/getJoinToken HTTP/1.1");
    let started = Instant::now();
    connection
        .send(format!(
            "{head}API-KEY: plugnmeet\r\nHASH-SIGNATURE: 00\r\nContent-Length: 10\r\n\r\n{{"
        ))
        .await;
    let answer = connection.answer().await;
    assert_eq!(answer.status, 408, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_not_too_early(started);
    assert!(upstream.saw_nothing());
}

/// Whoever uploads slowly but steadily is not cut off by the deadline for an answer.
#[tokio::test]
async fn a_steady_upload_may_take_longer_than_the_deadline_for_its_answer() {
    let upstream = support::upstream::Upstream::answering("taken").await;
    let gateway = Gateway::everything_to(&upstream.url(), "timeouts.response = '4s'").await;
    let mut connection = gateway.client().raw().await;
    let head = gateway.head("POST /api/x HTTP/1.1");
    connection.send(format!("{head}Content-Length: 20\r\n\r\n")).await;
    for _ in 0..20 {
        connection.send("x").await;
        sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(connection.answer().await.text(), "taken");
}
