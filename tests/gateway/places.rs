//! Places of client connections, over real sockets and under real limits of open files: nobody who does nothing keeps
//! others out, and a request that is in finds a descriptor for its upstream.

use std::{path::Path, sync::Arc, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::{Barrier, Notify},
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::websocket::agreed;
use crate::support::{
    Gateway,
    binary::{Serving, anywhere},
    client::Client,
    h2::{H2, Outcome},
    raw::{Ended, Raw, RawUpstream},
};

/// Nothing takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(90);
/// Whoever waits for the end of one of these waits in vain.
const NO_DEADLINES: [(&str, &str); 3] = [
    ("TIMEOUTS__HANDSHAKE", "10m"),
    ("TIMEOUTS__HEADER", "10m"),
    ("TIMEOUTS__IDLE", "10m"),
];
const GET: &str = "GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A gateway with so many descriptors and without deadlines, whose one upstream is here.
async fn with_open_files(folder: &Path, files: u32, upstream: &RawUpstream) -> (Serving, Client) {
    let server = upstream.url();
    let variables = [
        &anywhere()[..],
        &NO_DEADLINES,
        &[("LISTEN__THREADS", "2"), ("UPSTREAMS__SERVER", &server)],
    ]
    .concat();
    let serving = Serving::with_open_files(files, folder, &["serve"], &variables).await;
    let client = Client::trusting(&folder.join("certs/development.pem"), serving.https);
    (serving, client)
}

/// Waits until the gateway has closed it.
async fn closes(connection: &mut Raw<TlsStream<TcpStream>>) {
    assert!(connection.rest().await.0.is_empty());
}

/// Whether the gateway has closed it by now.
async fn is_closed(connection: &mut Raw<TlsStream<TcpStream>>) -> bool {
    matches!(
        timeout(Duration::from_millis(1), connection.some()).await,
        Ok(Err(_))
    )
}

#[tokio::test]
async fn idle_connections_of_one_address_keep_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = RawUpstream::content().await;
    let (mut serving, client) = with_open_files(folder.path(), 512, &upstream).await;
    let mut idle = Vec::new();
    let mut silent = Vec::new();
    for nth in 0..491 {
        // One in three has not even begun to shake hands.
        if nth % 3 == 0 {
            silent.push(TcpStream::connect(serving.https).await.unwrap());
        } else {
            let mut connection = client.raw().await;
            connection
                .send("GET /healthCheck HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .await;
            assert_eq!(connection.answer().await.status, 200);
            idle.push(connection);
        }
    }
    let mut newcomer = client.raw().await;
    newcomer.send(GET).await;
    assert_eq!(newcomer.answer().await.status, 200);

    // Whoever was idle for the longest went, and whoever came last is still there.
    closes(&mut idle[0]).await;
    assert!(!is_closed(idle.last_mut().unwrap()).await);
    let warning = serving.says("Places for client connections run short").await;
    assert!(warning.contains("LimitNOFILE"), "{warning}");
    let line = serving.said.lines().last().unwrap();
    assert!(
        line.contains("\"count\":") && line.contains("\"level\":\"WARN\""),
        "{line}"
    );
    assert_eq!(serving.said.matches("LimitNOFILE").count(), 1, "{}", serving.said);
}

#[tokio::test]
async fn connections_that_say_nothing_at_all_keep_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = RawUpstream::content().await;
    let (serving, client) = with_open_files(folder.path(), 512, &upstream).await;
    let mut silent = Vec::new();
    for _ in 0..600 {
        silent.push(TcpStream::connect(serving.https).await.unwrap());
    }
    let mut newcomer = client.raw().await;
    newcomer.send(GET).await;
    assert_eq!(newcomer.answer().await.status, 200);
}

/// A head that comes in crumbs is no request, and whoever sends it has no more right to a place than who is idle.
#[tokio::test]
async fn heads_that_never_end_keep_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = RawUpstream::content().await;
    let (serving, client) = with_open_files(folder.path(), 256, &upstream).await;
    let mut slow = Vec::new();
    // Of 102 places each of two listeners has one for whoever comes next.
    for _ in 0..99 {
        let mut connection = client.raw().await;
        connection
            .send("GET /api/slow HTTP/1.1\r\nHost: localhost\r\nX: ")
            .await;
        slow.push(connection);
    }
    // After a second a head that has not ended counts for nothing.
    sleep(Duration::from_millis(1100)).await;
    let mut newcomers = Vec::new();
    for _ in 0..5 {
        let mut newcomer = client.raw().await;
        newcomer.send(GET).await;
        assert_eq!(newcomer.answer().await.status, 200);
        newcomers.push(newcomer);
    }
    closes(&mut slow[0]).await;
    assert!(!is_closed(slow.last_mut().unwrap()).await);
    assert_eq!(upstream.heads().len(), 5, "nothing of the others");
    drop(serving);
}

/// An upstream that says nothing until it is told to.
async fn until_released(release: &Arc<Notify>) -> RawUpstream {
    let release = Arc::clone(release);
    RawUpstream::acting(move |_, mut connection| {
        let release = Arc::clone(&release);
        async move {
            loop {
                release.notified().await;
                if connection
                    .try_send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    .await
                    .is_err()
                    || connection.head().await.is_err()
                {
                    return;
                }
            }
        }
    })
    .await
}

async fn ask_h2(connection: &mut H2, stream: u32, path: &str) {
    let fields = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", path),
    ];
    connection.request(stream, &fields).await;
}

async fn has_heads(upstream: &RawUpstream, expected: usize) {
    let came = async {
        while upstream.heads().len() < expected {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, came).await.expect("not so many came");
}

/// Descriptors for upstreams are those of all upstreams: 38 of 128 with two threads.
#[tokio::test]
async fn upstreams_share_what_there_is_and_who_finds_nothing_waits() {
    const ALL: usize = 38;
    const SERVERS: usize = 30;
    let folder = tempfile::tempdir().unwrap();
    let release = [Arc::new(Notify::new()), Arc::new(Notify::new())];
    let (server, livekit) = (
        until_released(&release[0]).await,
        until_released(&release[1]).await,
    );
    let urls = [server.url(), livekit.url()];
    let variables = [
        &anywhere()[..],
        &[
            ("LISTEN__THREADS", "2"),
            ("UPSTREAMS__SERVER", &urls[0]),
            ("UPSTREAMS__LIVEKIT", &urls[1]),
            ("TIMEOUTS__CONNECT", "5s"),
        ],
    ]
    .concat();
    let mut serving = Serving::with_open_files(128, folder.path(), &["serve"], &variables).await;
    let client = Client::trusting(&folder.path().join("certs/development.pem"), serving.https);
    let mut connection = H2::connect(&client, 65_535).await;
    let stream = |nth: usize| u32::try_from(2 * nth + 1).unwrap();
    for nth in 0..ALL {
        let path = if nth < SERVERS {
            "/api/x"
        } else {
            "/livekit/validate"
        };
        ask_h2(&mut connection, stream(nth), path).await;
    }
    has_heads(&server, SERVERS).await;
    has_heads(&livekit, ALL - SERVERS).await;

    // Neither has anything left, and nothing of this goes anywhere.
    for path in ["/livekit/validate", "/api/x"] {
        let started = Instant::now();
        let refused = client.request("GET", path, &[], b"").await;
        assert!(started.elapsed() >= Duration::from_secs(5), "{path}");
        assert_eq!(
            (refused.status, refused.header("retry-after")),
            (503, Some("1")),
            "{path}"
        );
    }
    let warning = serving.says("As many connections to upstreams are in use").await;
    assert!(warning.contains("LimitNOFILE"), "{warning}");
    assert_eq!(
        (server.heads().len(), livekit.heads().len()),
        (SERVERS, ALL - SERVERS)
    );

    // One of the server's becomes free, though its connection rests: another upstream has it.
    ask_h2(&mut connection, stream(ALL), "/livekit/validate").await;
    release[0].notify_one();
    has_heads(&livekit, ALL - SERVERS + 1).await;
    release[1].notify_waiters();
    assert_eq!(connection.outcome(stream(ALL)).await, Outcome::Status(200));
    assert_eq!(server.heads().len(), SERVERS);
}

#[tokio::test]
async fn whoever_is_in_finds_a_descriptor_for_its_upstream() {
    const AT_A_TIME: usize = 30;
    let folder = tempfile::tempdir().unwrap();
    let together = Arc::new(Barrier::new(AT_A_TIME));
    let upstream = {
        let together = Arc::clone(&together);
        RawUpstream::acting(move |_, mut connection| {
            let together = Arc::clone(&together);
            async move {
                // All are under way at the same moment, each on a connection of its own.
                together.wait().await;
                connection
                    .send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    .await;
            }
        })
        .await
    };
    let (serving, client) = with_open_files(folder.path(), 128, &upstream).await;
    let mut idle = Vec::new();
    for _ in 0..120 {
        idle.push(TcpStream::connect(serving.https).await.unwrap());
    }
    let requests: Vec<_> = (0..AT_A_TIME)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.ask_raw(GET).await.status })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap(), 200);
    }
}

type Socket = Raw<TlsStream<TcpStream>>;

/// Shakes hands over this connection, if the gateway takes it.
async fn shake_hands(gateway: &Gateway, stream: TcpStream) -> std::io::Result<Socket> {
    let connector = TlsConnector::from(gateway.client().config(b"http/1.1"));
    let name = "localhost".try_into().unwrap();
    Ok(Raw::over(connector.connect(name, stream).await?))
}

async fn call(gateway: &Gateway) -> std::io::Result<Socket> {
    shake_hands(gateway, TcpStream::connect(gateway.https).await?).await
}

/// As a client behind a balancer that says whose connection it is.
async fn call_from(gateway: &Gateway, client: &str) -> std::io::Result<Socket> {
    let mut stream = TcpStream::connect(gateway.https).await?;
    stream
        .write_all(format!("PROXY TCP4 {client} 203.0.113.9 4242 443\r\n").as_bytes())
        .await?;
    shake_hands(gateway, stream).await
}

/// The first call that is taken: a place is free a moment after it was left.
async fn taken_in_the_end(mut call: impl AsyncFnMut() -> std::io::Result<Socket>) -> Socket {
    let calling = async {
        loop {
            if let Ok(socket) = call().await {
                return socket;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, calling).await.expect("the place stays taken")
}

async fn is_served(mut socket: Socket) {
    socket.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(socket.answer().await.status, 302);
}

/// Nobody is sent away by this one.
const PATIENT: &str = "timeouts.handshake = '10m'";

#[tokio::test]
async fn one_address_has_so_many_connections_and_others_have_theirs() {
    let gateway = Gateway::with(&format!(
        "{PATIENT}\nlimits.connections = 2\nlisten.proxy_protocol = true\ntrust.proxies = ['127.0.0.1', '10.0.0.0/8']",
    ))
    .await;
    let first = call_from(&gateway, "192.0.2.7").await.unwrap();
    let _second = call_from(&gateway, "192.0.2.7").await.unwrap();
    assert!(call_from(&gateway, "192.0.2.7").await.is_err());
    let _neighbour = call_from(&gateway, "192.0.2.8").await.unwrap();
    // A trusted proxy behind the balancer is many clients.
    let mut proxys = Vec::new();
    for _ in 0..4 {
        proxys.push(call_from(&gateway, "10.0.0.1").await.unwrap());
    }
    // A place that is left is free again.
    drop(first);
    taken_in_the_end(async || call_from(&gateway, "192.0.2.7").await).await;
}

#[tokio::test]
async fn without_a_balancer_the_socket_says_whose_a_connection_is() {
    let gateway = Gateway::with(&format!("{PATIENT}\nlimits.connections = 1")).await;
    let first = gateway.client().raw().await;
    let mut second = Raw::over(TcpStream::connect(gateway.https).await.unwrap());
    assert!(matches!(second.try_send("\x16").await, Ok(()) | Err(_)));
    let (bytes, ended) = second.rest().await;
    assert!(bytes.is_empty() && matches!(ended, Ended::Cleanly | Ended::Broken));
    drop(first);
    is_served(taken_in_the_end(async || call(&gateway).await).await).await;

    // Those of a trusted proxy are many clients', and 0 is any number.
    for toml in [
        "limits.connections = 1\ntrust.proxies = ['127.0.0.1']",
        "limits.connections = 0",
    ] {
        let gateway = Gateway::with(toml).await;
        let (client, mut there) = (gateway.client(), Vec::new());
        for _ in 0..5 {
            there.push(client.raw().await);
        }
        assert_eq!(there.len(), 5);
    }
}

/// The connection is HTTP's no more, and still somebody's.
#[tokio::test]
async fn a_websocket_keeps_the_place_of_its_connection() {
    let upstream = RawUpstream::acting(|head, mut connection| async move {
        connection.send(agreed(&head)).await;
        connection.rest().await;
    })
    .await;
    let gateway =
        Gateway::everything_to(&upstream.url(), &format!("{PATIENT}\nlimits.connections = 1")).await;
    let mut socket = gateway.client().raw().await;
    socket
        .send(
            "GET /livekit/rtc HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
    assert_eq!(socket.answer().await.status, 101);
    let mut second = Raw::over(TcpStream::connect(gateway.https).await.unwrap());
    second.try_send("\x16").await.ok();
    assert!(second.rest().await.0.is_empty());
    drop(socket);
    is_served(taken_in_the_end(async || call(&gateway).await).await).await;
}
