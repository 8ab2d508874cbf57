//! Meetings through everything that an operator does: a real NATS server behind, WebSockets that ping all the time, and
//! requests, uploads and new handshakes beside them. Nothing is closed, nobody is refused, nothing fails.
//!
//! The long form, with the numbers of a large installation: `PNM_LONG=1 cargo test --test gateway upgrades::meetings`.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rcgen::{CertificateParams, KeyPair};
use tokio::{
    net::TcpStream,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep},
};
use tokio_rustls::client::TlsStream;

use super::{Folder, PATIENCE, kill, page_is_last, script, started};
use crate::support::{
    binary::{PROGRAM, Serving, link, run},
    client::Client,
    nats::NatsServer,
    raw::Raw,
    upstream::Upstream,
};

struct Size {
    websockets: usize,
    /// Between two pings of each.
    rest: Duration,
    swaps: usize,
    reloads: usize,
    upgrades: usize,
}

fn size() -> Size {
    if env::var_os("PNM_LONG").is_some() {
        return Size {
            websockets: 2000,
            rest: Duration::from_secs(2),
            swaps: 100,
            reloads: 100,
            upgrades: 20,
        };
    }
    Size {
        websockets: 120,
        rest: Duration::from_millis(500),
        swaps: 4,
        reloads: 8,
        upgrades: 4,
    }
}

/// What goes on beside the operator's work; any failure is a panic in one of the tasks.
struct Traffic {
    stop: Arc<AtomicBool>,
    pings: Arc<AtomicUsize>,
    longest_handshake_micros: Arc<AtomicU64>,
    websockets: JoinSet<()>,
    others: Vec<JoinHandle<usize>>,
}

impl Traffic {
    async fn through(client: &Client, addr: std::net::SocketAddr, size: &Size) -> Self {
        let mut traffic = Self {
            stop: Arc::default(),
            pings: Arc::default(),
            longest_handshake_micros: Arc::default(),
            websockets: JoinSet::new(),
            others: Vec::new(),
        };
        for _ in 0..size.websockets {
            let socket = enter(client).await;
            let (stop, pings) = (Arc::clone(&traffic.stop), Arc::clone(&traffic.pings));
            traffic.websockets.spawn(ping(socket, size.rest, stop, pings));
        }
        let (stop, longest) = (&traffic.stop, &traffic.longest_handshake_micros);
        traffic.others = vec![
            tokio::spawn(pages(client.clone(), addr, Arc::clone(stop), Arc::clone(longest))),
            tokio::spawn(uploads(client.clone(), Arc::clone(stop))),
            tokio::spawn(newcomers(client.clone(), Arc::clone(stop))),
        ];
        traffic
    }

    /// Has every WebSocket had an answer since?
    async fn goes_on(&self) {
        let (enough, until) = (
            self.pings.load(Ordering::Relaxed) + 2 * self.websockets.len(),
            Instant::now() + 2 * PATIENCE,
        );
        while self.pings.load(Ordering::Relaxed) < enough {
            assert!(Instant::now() < until, "the pings have stopped");
            assert!(
                self.others.iter().all(|one| !one.is_finished()),
                "a request failed"
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// How many requests, uploads and newcomers there were.
    async fn end(mut self) -> Vec<usize> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.websockets.join_next().await {
            ended.expect("a WebSocket was closed");
        }
        let mut counts = Vec::new();
        for one in self.others {
            counts.push(one.await.expect("a request failed"));
        }
        counts
    }
}

type Socket = Raw<TlsStream<TcpStream>>;

/// A frame with this text, masked with zeros.
fn frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    assert!(length < 126);
    [&[0x82, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat()
}

/// A client of NATS that is in.
async fn enter(client: &Client) -> Socket {
    let mut socket = client.raw().await;
    socket
        .send(
            "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
    assert_eq!(socket.answer().await.status, 101);
    socket.until(b"INFO ").await.unwrap();
    socket
        .send(frame("CONNECT {\"verbose\":false}\r\nPING\r\n"))
        .await;
    socket.until(b"PONG\r\n").await.unwrap();
    socket
}

async fn ping(mut socket: Socket, rest: Duration, stop: Arc<AtomicBool>, pings: Arc<AtomicUsize>) {
    while !stop.load(Ordering::Relaxed) {
        socket.send(frame("PING\r\n")).await;
        socket.until(b"PONG\r\n").await.expect("a WebSocket was closed");
        pings.fetch_add(1, Ordering::Relaxed);
        sleep(rest).await;
    }
}

/// Requests over new connections, and how long the longest handshake took.
async fn pages(
    client: Client,
    addr: std::net::SocketAddr,
    stop: Arc<AtomicBool>,
    longest: Arc<AtomicU64>,
) -> usize {
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let stream = TcpStream::connect(addr).await.expect("a connection was refused");
        let mut connection = Raw::over(client.over(stream, b"http/1.1").await);
        let took = u64::try_from(began.elapsed().as_micros()).unwrap();
        longest.fetch_max(took, Ordering::Relaxed);
        for _ in 0..3 {
            let is_last = page_is_last(&mut connection).await;
            count += 1;
            if is_last {
                break;
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
    count
}

/// Uploads of half a megabyte in pieces, each longer than a hand-over takes.
async fn uploads(client: Client, stop: Arc<AtomicBool>) -> usize {
    const PIECES: usize = 16;
    const PIECE: usize = 32 * 1024;
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut connection = client.raw().await;
        let head = format!(
            "POST /api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
            PIECES * PIECE
        );
        connection.send(head).await;
        for _ in 0..PIECES {
            connection.send(vec![b'x'; PIECE]).await;
            sleep(Duration::from_millis(60)).await;
        }
        let answer = connection.answer().await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "taken"));
        count += 1;
    }
    count
}

/// People who come and go.
async fn newcomers(client: Client, stop: Arc<AtomicBool>) -> usize {
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        enter(&client).await;
        count += 1;
        sleep(Duration::from_millis(30)).await;
    }
    count
}

/// Writes another pair for `localhost` under this name, by the key that clients trust.
struct Certificates {
    folder: PathBuf,
    key: KeyPair,
    /// The clock of those that are written: each is newer than the one before.
    days: i64,
}

impl Certificates {
    fn of(folder: &Folder) -> Self {
        let mut certificates = Self {
            folder: folder.path().join("certs"),
            key: KeyPair::generate().unwrap(),
            days: 0,
        };
        fs::create_dir_all(&certificates.folder).unwrap();
        certificates.write();
        certificates
    }

    /// Its text.
    fn write(&mut self) -> String {
        self.days += 1;
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before =
            rcgen::date_time_ymd(2020, 1, 1) + Duration::from_secs(86_400 * self.days.unsigned_abs());
        params.not_after = rcgen::date_time_ymd(2090, 1, 1);
        // A client that trusts the first takes all of them, by name and key.
        let certificate = params.self_signed(&self.key).unwrap().pem();
        let beside = self.folder.join("new");
        fs::write(&beside, self.key.serialize_pem()).unwrap();
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(&beside, self.folder.join("localhost.key")).unwrap();
        fs::write(&beside, &certificate).unwrap();
        fs::rename(&beside, self.folder.join("localhost.pem")).unwrap();
        certificate
    }
}

/// The same program by another version: the text of its version is another one.
fn of_another_version(folder: &Folder) -> PathBuf {
    let (own, other) = (env!("CARGO_PKG_VERSION").as_bytes(), OTHER_VERSION.as_bytes());
    assert_eq!(own.len(), other.len());
    let mut program = fs::read(PROGRAM).unwrap();
    let found: Vec<usize> = memchr::memmem::find_iter(&program, own).collect();
    assert!(!found.is_empty());
    for at in found {
        program[at..at + other.len()].copy_from_slice(other);
    }
    let path = folder.path().join("another-version");
    fs::write(&path, program).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

const OTHER_VERSION: &str = "9.9.9";

async fn no_upgrade(folder: &Folder) -> String {
    let asked = run(folder.path(), &["upgrade"], &[]).await;
    assert_eq!(asked.status.code(), Some(1), "{asked:?}");
    String::from_utf8(asked.stderr).unwrap()
}

/// One that can't do what it should, in every way in which that may be.
async fn bad_upgrades(folder: &Folder, gateway: &mut Serving, traffic: &Traffic) {
    let none = "no upgrade, and nothing has changed: ";
    script(folder, "kill -SEGV $$");
    assert!(
        no_upgrade(folder)
            .await
            .starts_with(&format!("{none}the new one ended before it served (signal: 11"))
    );
    traffic.goes_on().await;
    // A full disk has cut it short.
    let whole = fs::read(PROGRAM).unwrap();
    let half = folder.path().join("half");
    fs::write(&half, &whole[..100_000]).unwrap();
    fs::set_permissions(&half, fs::Permissions::from_mode(0o755)).unwrap();
    link(&half, &folder.program());
    assert!(no_upgrade(folder).await.starts_with(none));
    traffic.goes_on().await;
    let config = folder.path().join("config/gateway.toml");
    let sound = fs::read_to_string(&config).unwrap();
    fs::write(&config, "no_such_key = 1\n").unwrap();
    link(Path::new(PROGRAM), &folder.program());
    let refused = format!("{none}the new one ended before it served (exit status: 1)\n");
    assert_eq!(no_upgrade(folder).await, refused);
    fs::write(&config, sound).unwrap();
    traffic.goes_on().await;
    // One is killed before it has said a word.
    script(folder, "echo $$ >pid.new; mv pid.new pid; exec sleep 600");
    let asking = tokio::spawn({
        let path = folder.path().to_owned();
        async move { run(&path, &["upgrade"], &[]).await }
    });
    let (pid, until) = (folder.path().join("pid"), Instant::now() + PATIENCE);
    while !pid.exists() {
        assert!(Instant::now() < until);
        sleep(Duration::from_millis(20)).await;
    }
    traffic.goes_on().await;
    kill("KILL", fs::read_to_string(&pid).unwrap().trim().parse().unwrap()).await;
    assert_eq!(asking.await.unwrap().status.code(), Some(1));
    gateway.says("No upgrade").await;
    traffic.goes_on().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_meeting_notices_new_certificates_configurations_and_versions() {
    let size = size();
    let (folder, nats) = (Folder::new(), NatsServer::start().await);
    let server = Upstream::answering("taken").await;
    let mut certificates = Certificates::of(&folder);
    fs::create_dir(folder.path().join("config")).unwrap();
    let config = |user: usize| {
        let text = format!("limits.user = '{user}/min'\n");
        fs::write(folder.path().join("config/gateway.toml"), text).unwrap();
    };
    config(10);
    let (of_nats, of_server) = (format!("http://{}", nats.address()), server.url());
    let variables = [
        ("UPSTREAMS__NATS", of_nats.as_str()),
        ("UPSTREAMS__SERVER", of_server.as_str()),
        ("UPSTREAMS__JOINING", "0"),
        ("LIMITS__CONNECTIONS", "0"),
        ("TIMEOUTS__DRAIN", "1s"),
    ];
    let mut gateway = started(&folder, &variables).await;
    let client = Client::trusting(&folder.path().join("certs/localhost.pem"), gateway.https);
    let traffic = Traffic::through(&client, gateway.https, &size).await;
    traffic.goes_on().await;
    for _ in 0..size.swaps {
        certificates.write();
        kill("HUP", folder.serving().await).await;
        traffic.goes_on().await;
    }
    for user in 0..size.reloads {
        config(20 + user);
        let said = run(folder.path(), &["reload"], &[]).await;
        assert!(said.status.success(), "{said:?}");
    }
    traffic.goes_on().await;
    let other = of_another_version(&folder);
    for nth in 0..size.upgrades {
        let (program, version) = if nth % 2 == 0 {
            (&*other, OTHER_VERSION)
        } else {
            (Path::new(PROGRAM), env!("CARGO_PKG_VERSION"))
        };
        link(program, &folder.program());
        let before = folder.serving().await;
        traffic.longest_handshake_micros.store(0, Ordering::Relaxed);
        let asked = run(folder.path(), &["upgrade"], &[]).await;
        let said = String::from_utf8(asked.stdout).unwrap();
        assert_eq!(said, format!("version {version} has taken over\n"));
        let status = folder.serving_after(before).await;
        assert_ne!(status, before);
        assert_eq!(folder.status().await["version"], version);
        traffic.goes_on().await;
        let longest = traffic.longest_handshake_micros.load(Ordering::Relaxed);
        println!("upgrade {nth}: the longest new handshake took {longest} µs");
    }
    bad_upgrades(&folder, &mut gateway, &traffic).await;
    let counts = traffic.end().await;
    assert!(counts.iter().all(|count| *count > 3), "{counts:?}");
    println!(
        "{} WebSockets; pages, uploads, newcomers: {counts:?}",
        size.websockets
    );
}
