//! One program takes over from another, and what is no good changes nothing.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{Folder, PATIENCE, echo, kill, open, page_is_last, script, started, still_there};
use crate::support::{
    addr::free,
    binary::{PROGRAM, link, run},
    client::Client,
    peer::Peer,
};

/// Runs until it is told to stop; counts.
fn load<F: Future<Output = ()> + Send + 'static>(
    stop: &Arc<AtomicBool>,
    mut one: impl FnMut() -> F + Send + 'static,
) -> JoinHandle<usize> {
    let stop = Arc::clone(stop);
    tokio::spawn(async move {
        let mut count = 0;
        while !stop.load(Ordering::Relaxed) {
            one().await;
            count += 1;
        }
        count
    })
}

/// Requests over one connection for as long as it is kept, which each answer says.
async fn kept_alive(client: Client, stop: Arc<AtomicBool>, closed: Arc<AtomicUsize>) -> usize {
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut connection = client.raw().await;
        loop {
            let is_last = page_is_last(&mut connection).await;
            count += 1;
            if is_last {
                closed.fetch_add(1, Ordering::Relaxed);
                break;
            }
            if stop.load(Ordering::Relaxed) {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_upgrades_close_nothing_and_refuse_nobody() {
    let (folder, upstream) = (Folder::new(), echo().await);
    let url = upstream.url();
    let mut gateway = started(&folder, &[("UPSTREAMS__LIVEKIT", &url)]).await;
    let client = folder.client(&gateway);
    let stop = Arc::new(AtomicBool::new(false));
    let mut old = Vec::new();
    for _ in 0..5 {
        old.push(open(&client).await);
    }
    let of = client.clone();
    let newcomers = load(&stop, move || {
        let client = of.clone();
        async move {
            let answer = client.request("GET", "/conference/", &[], b"").await;
            assert_eq!(answer.status, 200);
            sleep(Duration::from_millis(10)).await;
        }
    });
    let of = client.clone();
    let sockets = load(&stop, move || {
        let client = of.clone();
        async move {
            still_there(&mut open(&client).await).await;
            sleep(Duration::from_millis(20)).await;
        }
    });
    let closed = Arc::new(AtomicUsize::new(0));
    let kept = tokio::spawn(kept_alive(client.clone(), Arc::clone(&stop), Arc::clone(&closed)));
    let mut serving = vec![folder.serving().await];
    // Another file with the same content.
    let other = folder.path().join("other");
    fs::copy(PROGRAM, &other).unwrap();
    for nth in 0..20 {
        let next = if nth % 2 == 0 { &other } else { Path::new(PROGRAM) };
        link(next, &folder.program());
        let before = *serving.last().unwrap();
        if nth % 2 == 0 {
            kill("USR2", before).await;
            gateway.says("Handed over").await;
        } else {
            let asked = run(folder.path(), &["upgrade"], &[]).await;
            let said = String::from_utf8(asked.stdout).unwrap();
            assert_eq!(
                said,
                format!("version {} has taken over\n", env!("CARGO_PKG_VERSION"))
            );
        }
        let now = folder.serving_after(before).await;
        assert!(!serving.contains(&now), "upgrade {nth}");
        serving.push(now);
        for socket in &mut old {
            still_there(socket).await;
        }
        old.push(open(&client).await);
    }
    stop.store(true, Ordering::Relaxed);
    let counts = (
        newcomers.await.unwrap(),
        sockets.await.unwrap(),
        kept.await.unwrap(),
    );
    assert!(counts.0 > 50 && counts.1 > 50 && counts.2 > 50, "{counts:?}");
    // Each upgrade but those that fell between two connections.
    assert!(closed.load(Ordering::Relaxed) >= 10, "{closed:?}");
    for socket in &mut old {
        still_there(socket).await;
    }
    // Whoever has no socket any more is gone, and the rest goes with theirs.
    drop(old);
    let last = *serving.last().unwrap();
    let until = Instant::now() + PATIENCE;
    while folder.processes() != [last] {
        assert!(
            Instant::now() < until,
            "{:?} run beside {last}",
            folder.processes()
        );
        sleep(Duration::from_millis(100)).await;
    }
    kill("TERM", last).await;
    let (status, said) = gateway.end().await;
    assert_eq!(status, Some(0));
    assert!(!said.contains("\"ERROR\""), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_program_that_is_no_good_changes_nothing() {
    let (folder, upstream) = (Folder::new(), echo().await);
    let url = upstream.url();
    let mut gateway = started(&folder, &[("UPSTREAMS__LIVEKIT", &url)]).await;
    let client = folder.client(&gateway);
    let mut socket = open(&client).await;
    let pid = gateway.pid();

    script(&folder, "exit 3");
    kill("USR2", pid).await;
    assert_eq!(
        gateway.says("No upgrade").await,
        "No upgrade, and nothing has changed: the new one ended before it served (exit status: 3)"
    );
    let asked = run(folder.path(), &["upgrade"], &[]).await;
    assert_eq!(asked.status.code(), Some(1));
    let said = String::from_utf8(asked.stderr).unwrap();
    assert_eq!(
        said,
        "no upgrade, and nothing has changed: the new one ended before it served (exit status: 3)\n"
    );

    assert!(gateway.says("No upgrade").await.ends_with("(exit status: 3)"));

    // It hangs, and is killed.
    let pid_file = folder.path().join("pid");
    script(&folder, "echo $$ >pid.new; mv pid.new pid; exec sleep 600");
    kill("USR2", pid).await;
    let until = Instant::now() + PATIENCE;
    while !pid_file.exists() {
        assert!(Instant::now() < until);
        sleep(Duration::from_millis(20)).await;
    }
    still_there(&mut socket).await;
    assert_eq!(client.request("GET", "/conference/", &[], b"").await.status, 200);
    kill(
        "KILL",
        fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap(),
    )
    .await;
    assert_eq!(
        gateway.says("No upgrade").await,
        "No upgrade, and nothing has changed: the new one ended before it served (signal: 9 (SIGKILL))"
    );

    // The program is sound, and its configuration is not any more.
    link(Path::new(PROGRAM), &folder.program());
    fs::create_dir(folder.path().join("config")).unwrap();
    fs::write(
        folder.path().join("config/gateway.toml"),
        "[timeouts]\ndrain = 7\n",
    )
    .unwrap();
    kill("USR2", pid).await;
    assert_eq!(
        gateway.says("No upgrade").await,
        "No upgrade, and nothing has changed: the new one ended before it served (exit status: 1)"
    );
    fs::remove_file(folder.program()).unwrap();
    kill("USR2", pid).await;
    let missing = "No upgrade, and nothing has changed: the new one can't be started: No such file";
    assert!(gateway.says("No upgrade").await.starts_with(missing));

    assert_eq!((folder.serving().await, folder.processes()), (pid, vec![pid]));
    still_there(&mut socket).await;
    assert_eq!(client.request("GET", "/conference/", &[], b"").await.status, 200);
    fs::remove_file(folder.path().join("config/gateway.toml")).unwrap();
    link(Path::new(PROGRAM), &folder.program());
    kill("USR2", pid).await;
    gateway.says("Handed over").await;
    still_there(&mut socket).await;
    assert_eq!(client.request("GET", "/conference/", &[], b"").await.status, 200);
}

/// The end of those who stay with the old process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_stay_with_the_old_process_for_so_long_and_then_close_as_in_a_drain() {
    let (folder, upstream) = (Folder::new(), echo().await);
    let url = upstream.url();
    let peer = Peer::echoing().await;
    let (plain, tcp) = (free().to_string(), free().to_string());
    let variables = [
        ("UPSTREAMS__LIVEKIT", url.as_str()),
        ("TIMEOUTS__HANDOVER", "2s"),
        ("TIMEOUTS__DRAIN", "1s"),
        ("TRUST__PROXIES", "10.0.0.0/8"),
        ("LISTEN__PLAIN", &plain),
        ("TCP__0__LISTEN", &tcp),
        ("TCP__0__UPSTREAM", &peer.addr.to_string()),
    ];
    let mut gateway = started(&folder, &variables).await;
    let client = folder.client(&gateway);
    let (mut socket, pid) = (open(&client).await, gateway.pid());
    let mut relayed = TcpStream::connect(&tcp).await.unwrap();
    relayed.write_all(b"a").await.unwrap();
    assert_eq!(relayed.read_u8().await.unwrap(), b'a');
    let began = Instant::now();
    kill("USR2", pid).await;
    gateway.says("Handed over").await;
    still_there(&mut socket).await;
    let newcomer = TcpStream::connect(&tcp).await.unwrap();
    for mut relayed in [relayed, newcomer] {
        relayed.write_all(b"b").await.unwrap();
        assert_eq!(relayed.read_u8().await.unwrap(), b'b');
    }
    TcpStream::connect(&plain).await.unwrap();
    assert_eq!(socket.exactly(4).await.unwrap(), [0x88, 2, 0x03, 0xe9]);
    assert!(began.elapsed() >= Duration::from_millis(2900));
    gateway.says("Stopped").await;
    assert_eq!(client.request("GET", "/conference/", &[], b"").await.status, 200);
}

/// TURN and RTMP go on with the old process too, and come back one after the other at its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relays_of_the_old_process_close_in_turn() {
    let (folder, peer) = (Folder::new(), Peer::echoing().await);
    let tcp = free().to_string();
    let variables = [
        ("TIMEOUTS__DRAIN", "4s"),
        ("TCP__0__LISTEN", tcp.as_str()),
        ("TCP__0__UPSTREAM", &peer.addr.to_string()),
    ];
    let mut gateway = started(&folder, &variables).await;
    let mut relays = Vec::new();
    for _ in 0..20 {
        let mut relay = TcpStream::connect(&tcp).await.unwrap();
        relay.write_all(b"a").await.unwrap();
        assert_eq!(relay.read_u8().await.unwrap(), b'a');
        relays.push(relay);
    }
    kill("USR2", gateway.pid()).await;
    gateway.says("Handed over").await;
    let closing = relays.into_iter().map(|mut relay| {
        tokio::spawn(async move {
            relay.read_to_end(&mut Vec::new()).await.ok();
            Instant::now()
        })
    });
    let closing: Vec<_> = closing.collect();
    gateway.signal("TERM").await;
    let mut closed = Vec::new();
    for one in closing {
        closed.push(one.await.unwrap());
    }
    closed.sort_unstable();
    let spread = closed[19] - closed[0];
    assert!(spread >= Duration::from_secs(1), "{spread:?}");
    // The new one has nothing to do with it.
    let mut relay = TcpStream::connect(&tcp).await.unwrap();
    relay.write_all(b"b").await.unwrap();
    assert_eq!(relay.read_u8().await.unwrap(), b'b');
}

/// RFC 5077: a client that resumes shakes hands at half the price.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_resumes_with_the_new_process() {
    let folder = Folder::new();
    let mut gateway = started(&folder, &[]).await;
    let client = folder.client(&gateway);
    let config = client.config(b"http/1.1");
    let addr = gateway.https;
    let kind = async |config: &Arc<rustls::ClientConfig>| {
        let stream = TcpStream::connect(addr).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
        let mut stream = connector.connect(name, stream).await.unwrap();
        let request = b"GET /conference/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.ok();
        stream.get_ref().1.handshake_kind().unwrap()
    };
    assert_eq!(kind(&config).await, rustls::HandshakeKind::Full);
    assert_eq!(kind(&config).await, rustls::HandshakeKind::Resumed);
    kill("USR2", gateway.pid()).await;
    gateway.says("Handed over").await;
    assert_eq!(kind(&config).await, rustls::HandshakeKind::Resumed);
}
