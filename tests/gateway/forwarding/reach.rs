//! Reaching an upstream: addresses that are dead, silent or full, and Unix sockets.

use tokio::net::UnixListener;

use super::support::{client::plain_get, websocket::agreed};
use super::*;

pub(super) const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// One line of the metrics, by its name and labels.
pub(super) async fn count(gateway: &Gateway, name: &str) -> Option<i64> {
    let text = plain_get(gateway.admin, "/metrics").await.text();
    let begins = format!("plugnmeet_gateway_{name} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&begins))?;
    Some(value.parse().unwrap())
}

/// Waits until a metric has this value.
pub(super) async fn until_count(gateway: &Gateway, name: &str, value: i64) {
    let reached = async {
        while count(gateway, name).await != Some(value) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, reached)
        .await
        .unwrap_or_else(|_| panic!("{name} is never {value}"));
}

/// Answers on a connection for as long as something is asked, and counts.
pub(super) async fn keep_answering<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    mut connection: Raw<S>,
) {
    while connection.try_send(EMPTY).await.is_ok() && connection.head().await.is_ok() {}
}

#[tokio::test]
async fn a_dead_address_is_waited_for_once_and_is_back_by_itself() {
    let (dead, queued, listener) = black_hole().await;
    let good = RawUpstream::content().await;
    let gateway = Gateway::with(&format!(
        "upstreams.server = ['http://{dead}', '{}']\ntimeouts.connect = '10m'",
        good.url()
    ))
    .await;
    let passed_over = format!("upstream_address_passed_over{{upstream=\"server\",address=\"{dead}\"}}");
    let late =
        format!("upstream_address_failures_total{{upstream=\"server\",address=\"{dead}\",fault=\"late\"}}");
    assert_eq!(count(&gateway, &passed_over).await, Some(0));

    let started = Instant::now();
    assert_eq!(gateway.post("/api/x", &[], b"{}").await.status, 200);
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(250), "{took:?}");
    for _ in 0..6 {
        assert_eq!(gateway.post("/api/x", &[], b"{}").await.status, 200);
    }
    assert_eq!(good.heads().len(), 7);
    assert_eq!(count(&gateway, &late).await, Some(1), "only the first went there");
    assert_eq!(count(&gateway, &passed_over).await, Some(1));

    drop(queued);
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = Raw::over(stream);
            tokio::spawn(async move {
                if connection.head().await.is_ok() {
                    connection
                        .send("HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                        .await;
                }
            });
        }
    });
    until_count(&gateway, &passed_over, 0).await;
    let served_again = async { while gateway.post("/api/x", &[], b"{}").await.status != 201 {} };
    timeout(PATIENCE, served_again).await.unwrap();
    server.abort();
}

/// Of all addresses one is started again, and the others are dead.
#[tokio::test]
async fn an_address_that_refuses_is_asked_again_beside_one_that_is_dead() {
    let (dead, _queued, _listener) = black_hole().await;
    let addr = free();
    let gateway = Gateway::with(&format!(
        "upstreams.server = ['http://{addr}', 'http://{dead}']\ntimeouts.connect = '10m'"
    ))
    .await;
    let server = tokio::spawn(async move {
        sleep(Duration::from_millis(900)).await;
        let listener = TcpListener::bind(addr).await.unwrap();
        // A look at the address asks for nothing.
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = Raw::over(stream);
            if connection.head().await.is_ok() {
                connection.send(EMPTY).await;
                return;
            }
        }
    });
    assert_eq!(gateway.post("/api/x", &[], b"{}").await.status, 200);
    server.await.unwrap();
}

#[tokio::test]
async fn a_server_that_takes_connections_and_answers_nothing_is_passed_over() {
    let (mute, good) = (RawUpstream::silent().await, RawUpstream::content().await);
    let gateway = Gateway::with(&format!(
        "upstreams.server = ['{}', '{}']\ntimeouts.response = '4s'",
        mute.url(),
        good.url()
    ))
    .await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(gateway.post("/api/x", &[], b"{}").await.status);
    }
    assert_eq!(statuses, [504, 200, 200, 200, 200]);
    assert_eq!((mute.heads().len(), good.heads().len()), (1, 4));
    let addr = mute.addr;
    assert_eq!(
        count(
            &gateway,
            &format!("upstream_address_passed_over{{upstream=\"server\",address=\"{addr}\"}}")
        )
        .await,
        Some(1)
    );
}

/// A frozen server has idle connections too.
#[tokio::test]
async fn an_idle_connection_to_a_server_that_fell_silent_is_not_used() {
    let freezing = RawUpstream::acting(|_, mut connection| async move {
        connection.send(EMPTY).await;
        connection.rest().await;
    })
    .await;
    let good = RawUpstream::content().await;
    let gateway = Gateway::with(&format!(
        "upstreams.server = ['{}', '{}']\ntimeouts.response = '4s'\nlisten.threads = 1",
        freezing.url(),
        good.url()
    ))
    .await;
    // Each with a connection of its own.
    let (first, second) = tokio::join!(gateway.get("/api/x", &[]), gateway.get("/api/x", &[]));
    assert_eq!((first.status, second.status), (200, 200));
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(gateway.post("/api/x", &[], b"{}").await.status);
    }
    assert_eq!(statuses, [504, 200, 200, 200]);
}

/// Clients leave before our deadline tells, and the server is passed over all the same.
#[tokio::test]
async fn a_silent_server_is_passed_over_though_clients_leave() {
    let (mute, good) = (RawUpstream::silent().await, RawUpstream::content().await);
    let gateway = Gateway::with(&format!(
        "upstreams.server = ['{}', '{}']",
        mute.url(),
        good.url()
    ))
    .await;
    let mut leaving = gateway.client().raw().await;
    leaving
        .send(format!("{}\r\n", gateway.head("GET /api/x HTTP/1.1")))
        .await;
    mute.arrival().await;
    drop(leaving);
    // From when it was asked on it has five seconds.
    sleep(Duration::from_millis(5200)).await;
    for _ in 0..4 {
        assert_eq!(gateway.post("/api/x", &[], b"{}").await.status, 200);
    }
    assert_eq!(mute.heads().len(), 1);
}

#[tokio::test]
async fn an_upstream_may_be_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (tell, mut told) = mpsc::unbounded_channel();
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                let mut connection = Raw::over(stream);
                while let Ok(head) = connection.head().await {
                    if let Some(_key) = header(&head, "sec-websocket-key") {
                        connection.send(agreed(&head)).await;
                        let bytes = connection.exactly(4).await.unwrap();
                        connection.send(bytes).await;
                        connection.rest().await;
                        return;
                    }
                    tell.send(head).unwrap();
                    connection.send(EMPTY).await;
                }
            });
        }
    });
    let url = format!("unix:{}", path.display());
    let gateway = Gateway::everything_to(&url, "listen.threads = 1").await;
    let open = format!("upstream_connections{{upstream=\"server\",address=\"{url}\"}}");
    for _ in 0..3 {
        assert_eq!(gateway.get("/api/x?a=b", &[]).await.status, 200);
        let head = told.recv().await.unwrap();
        assert!(head.starts_with("GET /api/x?a=b HTTP/1.1\r\n"), "{head}");
        let host = format!("localhost:{}", gateway.https.port());
        assert_eq!(header(&head, "host"), Some(host.as_str()));
    }
    assert_eq!(count(&gateway, &open).await, Some(1), "it is used again");

    let mut socket = gateway.client().raw().await;
    socket.send(upgrade("/livekit/rtc")).await;
    assert_eq!(socket.answer().await.status, 101);
    socket.send([0x82, 0x80, 0, 0]).await;
    assert_eq!(socket.exactly(4).await.unwrap(), [0x82, 0x80, 0, 0]);
    server.abort();
}

#[tokio::test]
async fn a_unix_socket_whose_server_is_started_again_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.sock");
    let url = format!("unix:{}", path.display());
    let gateway = Gateway::everything_to(&url, "timeouts.connect = '10m'").await;
    // First there is nothing, then a file on which nobody listens.
    let server = tokio::spawn(async move {
        sleep(Duration::from_millis(400)).await;
        drop(UnixListener::bind(&path).unwrap());
        sleep(Duration::from_millis(400)).await;
        std::fs::remove_file(&path).unwrap();
        let listener = UnixListener::bind(&path).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = Raw::over(stream);
            if connection.head().await.is_ok() {
                connection.send(EMPTY).await;
                return;
            }
        }
    });
    assert_eq!(gateway.post("/api/x", &[], b"{}").await.status, 200);
    server.await.unwrap();

    let nobody = format!("unix:{}", folder.path().join("none.sock").display());
    let gateway = Gateway::everything_to(&nobody, "timeouts.connect = '300ms'").await;
    let answer = gateway.post("/api/x", &[], b"{}").await;
    assert_eq!(
        (answer.status, answer.json()["msg"].as_str()),
        (502, Some("the meeting server can't be reached"))
    );
}

/// NATS' client gives up for good after ten tries: a door that holds each of them keeps people in the meeting.
#[tokio::test]
async fn a_websocket_waits_for_an_upstream_that_is_started_again() {
    let addr = free();
    let toml = "timeouts.connect = '100ms'\ntimeouts.upgrade = '10m'";
    let gateway = Gateway::everything_to(&format!("http://{addr}"), toml).await;
    let mut sockets = Vec::new();
    for path in ["/ws", "/livekit/rtc", "/etherpad/socket.io"] {
        let mut socket = gateway.client().raw().await;
        socket.send(upgrade(path)).await;
        sockets.push(socket);
    }
    until_count(&gateway, "upstream_waiting{upstream=\"nats\"}", 1).await;
    // Longer than anything else would be waited for.
    let answer = gateway.get("/livekit/rtc/validate", &[]).await;
    assert_eq!((answer.status, answer.header("retry-after")), (502, None));

    let listener = tokio::net::TcpListener::bind(addr).await.unwrap();
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut connection = Raw::over(stream);
                let head = connection.head().await.unwrap();
                connection.send(agreed(&head)).await;
                connection.rest().await;
            });
        }
    });
    for socket in &mut sockets {
        assert_eq!(socket.answer().await.status, 101);
    }
    until_count(&gateway, "upstream_waiting{upstream=\"nats\"}", 0).await;
    server.abort();
}

/// All of them have been cut at one moment, and an upstream that has just begun is not to be run over.
#[tokio::test]
async fn those_who_wait_for_an_upstream_go_on_one_after_the_other_and_who_has_gone_costs_nothing() {
    let addr = free();
    let gateway = Gateway::with(&format!(
        "upstreams.livekit = 'http://{addr}'\ntimeouts.upgrade = '10m'\n"
    ))
    .await;
    // A machine that stands still for a second brings them together: then it is another outage's turn.
    let mut spread = Duration::ZERO;
    for _ in 0..4 {
        spread = spread.max(come_back_over(&gateway, addr).await);
        if spread >= Duration::from_millis(600) {
            return;
        }
    }
    panic!("all came back within {spread:?}");
}

/// Of forty who wait ten go, and the others come to the upstream over this time.
async fn come_back_over(gateway: &Gateway, addr: std::net::SocketAddr) -> Duration {
    let mut sockets = Vec::new();
    for _ in 0..40 {
        let mut socket = gateway.client().raw().await;
        socket.send(upgrade("/livekit/rtc")).await;
        sockets.push(socket);
    }
    let waiting = "upstream_waiting{upstream=\"livekit\"}";
    until_count(gateway, waiting, 40).await;
    // Half of them have said goodbye, and half are gone without a word.
    for (nth, mut gone) in sockets.drain(..10).enumerate() {
        if nth % 2 == 0 {
            gone.half_close().await;
        }
    }
    until_count(gateway, waiting, 30).await;

    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(addr).unwrap();
    let listener = socket.listen(1024).unwrap();
    let (tells, mut told) = tokio::sync::mpsc::unbounded_channel();
    let server = tokio::spawn(async move {
        let mut open = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let tells = tells.clone();
            open.spawn(async move {
                let mut connection = Raw::over(stream);
                let Ok(head) = connection.head().await else { return };
                tells.send(Instant::now()).unwrap();
                connection.send(agreed(&head)).await;
                connection.rest().await;
            });
        }
    });
    let mut arrived = Vec::new();
    for socket in &mut sockets {
        assert_eq!(socket.answer().await.status, 101);
        arrived.push(told.recv().await.unwrap());
    }
    assert!(told.try_recv().is_err(), "somebody who has gone was let through");
    until_count(gateway, waiting, 0).await;
    server.abort();
    arrived.sort_unstable();
    arrived[29] - arrived[0]
}

#[tokio::test]
async fn a_websocket_whose_upstream_stays_away_is_told_to_come_again() {
    let url = format!("http://{}", free());
    let toml = "timeouts.connect = '10m'\ntimeouts.upgrade = '300ms'";
    let gateway = Gateway::everything_to(&url, toml).await;
    for path in ["/ws", "/livekit/rtc", "/etherpad/socket.io"] {
        let mut socket = gateway.client().raw().await;
        socket.send(upgrade(path)).await;
        let answer = socket.answer().await;
        assert_eq!(
            (answer.status, answer.header("retry-after")),
            (503, Some("1")),
            "{path}"
        );
    }
}

pub(super) fn upgrade(target: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}
