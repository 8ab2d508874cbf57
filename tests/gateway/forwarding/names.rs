//! Upstreams by name, with a name server of the tests' own.
//!
//! The gateway asks the system, and so the system has to ask that name server: the tests named `inside…` run once more in a
//! network and a mount namespace of their own, where port 53 and `/etc/resolv.conf` are theirs.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, UdpSocket},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use super::support::client::plain_get;
use super::*;

/// Runs its arguments where the name server is 127.0.0.1, the folder before them has the files in the place of `/etc`'s.
const IN_A_NETWORK_OF_ITS_OWN: &str = "set -e
    ip link set lo up
    for file in resolv.conf nsswitch.conf hosts; do mount --bind \"$0/$file\" \"/etc/$file\"; done
    exec \"$@\"";

/// All of them, each in a network of its own.
const INSIDE: [&str; 7] = [
    "inside_a_dead_address_of_a_name_costs_a_quarter_of_a_second_once",
    "inside_known_addresses_outlive_name_servers_that_fall_silent",
    "inside_a_name_that_nobody_knows_any_more_leads_where_it_led",
    "inside_a_server_that_comes_back_elsewhere_is_found_within_the_same_request",
    "inside_idle_connections_follow_the_name",
    "inside_a_name_that_was_never_known_is_502_until_it_is",
    "inside_all_addresses_of_a_name_in_etc_hosts_have_their_turn",
];

#[test]
fn upstreams_are_reached_by_name() {
    let folder = support::folder_of(&[
        (
            "resolv.conf",
            "nameserver 127.0.0.1\noptions timeout:3 attempts:1\n",
        ),
        ("nsswitch.conf", "hosts: files dns\n"),
        (
            "hosts",
            "127.0.0.1 localhost\n127.0.0.2 listed.test\n127.0.0.3 listed.test\n",
        ),
    ]);
    let inside = INSIDE.map(|test| {
        let mut command = Command::new("unshare");
        command
            .args(["--map-root-user", "--net", "--mount", "sh", "-c"])
            .arg(IN_A_NETWORK_OF_ITS_OWN)
            .arg(folder.path())
            .arg(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", &format!("{THIS_FILE}::{test}")])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        (test, command.spawn().unwrap())
    });
    for (test, child) in inside {
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stdout);
        let and = String::from_utf8_lossy(&ended.stderr);
        assert!(
            ended.status.success() && said.contains("1 passed"),
            "{test}: {said}\n{and}"
        );
    }
}

/// This file, as the names of its tests begin.
const THIS_FILE: &str = "forwarding::names";

/// A name server on port 53.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    addresses: BTreeMap<String, Vec<IpAddr>>,
    silent: bool,
    asked: usize,
}

impl Names {
    /// With these addresses of `server.test`.
    fn of(addresses: &[&str]) -> Self {
        let names = Self::default();
        names.are(addresses);
        let socket = UdpSocket::bind("127.0.0.1:53").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let known = Arc::downgrade(&names.0);
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Some(known) = known.upgrade() {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else {
                    continue;
                };
                let answer = known.lock().unwrap().answer(&buffer[..length]);
                if let Some(answer) = answer {
                    socket.send_to(&answer, from).unwrap();
                }
            }
        });
        names
    }

    /// From now on.
    fn are(&self, addresses: &[&str]) {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        let mut known = self.0.lock().unwrap();
        known.addresses.insert("server.test".into(), addresses);
    }

    /// Nobody knows the name any more.
    fn forget(&self) {
        self.0.lock().unwrap().addresses.clear();
    }

    fn fall_silent(&self, silent: bool) {
        self.0.lock().unwrap().silent = silent;
    }

    fn asked(&self) -> usize {
        self.0.lock().unwrap().asked
    }
}

impl Known {
    /// RFC 1035 section 4: an answer to one question, without anything to keep.
    fn answer(&mut self, query: &[u8]) -> Option<Vec<u8>> {
        self.asked += 1;
        if self.silent {
            return None;
        }
        let (mut labels, mut at) = (Vec::new(), 12);
        while query[at] != 0 {
            let end = at + 1 + usize::from(query[at]);
            labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
            at = end;
        }
        let question = &query[12..at + 5];
        let wants_v6 = query[at + 2] == 28;
        let found = self.addresses.get(&labels.join("."));
        let code = if found.is_some() { 0x80 } else { 0x83 };
        let records: Vec<&IpAddr> = found
            .into_iter()
            .flatten()
            .filter(|ip| ip.is_ipv6() == wants_v6)
            .collect();
        let count = u8::try_from(records.len()).unwrap();
        let mut answer = vec![query[0], query[1], 0x81, code, 0, 1, 0, count, 0, 0, 0, 0];
        answer.extend(question);
        for ip in records {
            let bytes = match ip {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(ip) => ip.octets().to_vec(),
            };
            answer.extend([0xc0, 12, 0, query[at + 2], 0, 1, 0, 0, 0, 0, 0]);
            answer.push(u8::try_from(bytes.len()).unwrap());
            answer.extend(bytes);
        }
        Some(answer)
    }
}

/// Answers each request with its name, and closes.
struct Server {
    listener: Arc<TcpListener>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn at(addr: &str, name: &'static str) -> Self {
        let listener = Arc::new(TcpListener::bind(addr).await.unwrap());
        let accepting = Arc::clone(&listener);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = accepting.accept().await.unwrap();
                tokio::spawn(async move {
                    let mut connection = Raw::over(stream);
                    while connection.head().await.is_ok() {
                        let length = name.len();
                        connection
                            .send(format!(
                                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}"
                            ))
                            .await;
                        if name != "kept" {
                            return;
                        }
                    }
                });
            }
        });
        Self { listener, task }
    }

    fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// Connections are refused from now on.
    async fn stop(self) {
        self.task.abort();
        self.task.await.ok();
    }
}

async fn to_server(port: u16, more: &str) -> Gateway {
    Gateway::with(&format!(
        "upstreams.server = ['http://server.test:{port}']\n{more}"
    ))
    .await
}

async fn ask(gateway: &Gateway) -> (u16, String) {
    let answer = gateway.post("/api/x", &[], b"{}").await;
    (answer.status, answer.text())
}

#[tokio::test]
#[ignore = "upstreams_are_reached_by_name runs it where port 53 is free"]
async fn inside_a_dead_address_of_a_name_costs_a_quarter_of_a_second_once() {
    let good = Server::at("127.0.0.3:0", "good").await;
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind(format!("127.0.0.2:{}", good.port()).parse().unwrap())
        .unwrap();
    let dead = socket.listen(1).unwrap();
    let mut queued = Vec::new();
    let addr = dead.local_addr().unwrap();
    while let Ok(stream) = timeout(Duration::from_millis(200), TcpStream::connect(addr)).await {
        queued.push(stream.unwrap());
    }
    let _names = Names::of(&["127.0.0.2", "127.0.0.3"]);
    let gateway = to_server(good.port(), "timeouts.connect = '10m'").await;
    for _ in 0..8 {
        assert_eq!(ask(&gateway).await, (200, "good".into()));
    }
    let metrics = plain_get(gateway.admin, "/metrics").await.text();
    let late = format!(
        "upstream_address_failures_total{{upstream=\"server\",address=\"{addr}\",fault=\"late\"}} 1\n"
    );
    assert!(metrics.contains(&late), "{metrics}");
}

#[tokio::test]
#[ignore = "upstreams_are_reached_by_name runs it where port 53 is free"]
async fn inside_known_addresses_outlive_name_servers_that_fall_silent() {
    let server = Server::at("127.0.0.2:0", "good").await;
    let names = Names::of(&["127.0.0.2"]);
    let gateway = to_server(server.port(), "").await;
    for _ in 0..10 {
        assert_eq!(ask(&gateway).await.0, 200);
    }
    assert_eq!(names.asked(), 2, "once for each family, whatever the traffic");

    names.fall_silent(true);
    let failures = async || {
        let metrics = plain_get(gateway.admin, "/metrics").await.text();
        let failed = metrics.lines().find_map(|line| {
            line.strip_prefix("plugnmeet_gateway_upstream_name_failures_total{upstream=\"server\"} ")
        });
        failed.unwrap().parse::<u32>().unwrap()
    };
    let until = Instant::now() + PATIENCE;
    let (mut resolvers, mut took) = (0, Vec::new());
    while failures().await == 0 {
        assert!(Instant::now() < until, "the silence is never noticed");
        let started = Instant::now();
        assert_eq!(ask(&gateway).await, (200, "good".into()));
        took.push(started.elapsed());
        resolvers = resolvers.max(threads_named("resolver"));
        sleep(Duration::from_millis(50)).await;
    }
    assert!(names.asked() > 2, "it goes on asking");
    assert_eq!(resolvers, 1, "no connection has a thread");
    // A question to the name server takes three seconds now.
    took.sort_unstable();
    assert!(took[took.len() / 2] < Duration::from_secs(2), "{took:?}");
}

fn threads_named(name: &str) -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let names = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok());
    names.filter(|found| found.trim() == name).count()
}

#[tokio::test]
#[ignore = "upstreams_are_reached_by_name runs it where port 53 is free"]
async fn inside_a_name_that_nobody_knows_any_more_leads_where_it_led() {
    let server = Server::at("127.0.0.2:0", "good").await;
    let names = Names::of(&["127.0.0.2"]);
    let gateway = to_server(server.port(), "").await;
    assert_eq!(ask(&gateway).await.0, 200);
    names.forget();
    let asked_again = async {
        while names.asked() <= 2 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, asked_again).await.unwrap();
    // And has had its answer.
    sleep(Duration::from_secs(1)).await;
    assert_eq!(ask(&gateway).await, (200, "good".into()));
}

/// A container that is made anew has another address.
#[tokio::test]
#[ignore = "upstreams_are_reached_by_name runs it where port 53 is free"]
async fn inside_a_server_that_comes_back_elsewhere_is_found_within_the_same_request() {
    let old = Server::at("127.0.0.2:0", "old").await;
    let names = Names::of(&["127.0.0.2"]);
    let port = old.port();
    let gateway = to_server(port, "").await;
    assert_eq!(ask(&gateway).await, (200, "old".into()));
    old.stop().await;
    let _new = Server::at(&format!("127.0.0.3:{port}"), "new").await;
    names.are(&["127.0.0.3"]);
    assert_eq!(ask(&gateway).await, (200, "new".into()));
    // What nothing leads to is forgotten with the next answer.
    let forgotten = async {
        while plain_get(gateway.admin, "/metrics")
            .await
            .text()
            .contains("127.0.0.2")
        {
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(PATIENCE, forgotten).await.unwrap();
}

/// A server that still runs where the name led before keeps no traffic by its open connections.
#[tokio::test]
#[ignore = "upstreams_are_reached_by_name runs it where port 53 is free"]
async fn inside_idle_connections_follow_the_name() {
    let old = Server::at("127.0.0.2:0", "kept").await;
    let _new = Server::at(&format!("127.0.0.3:{}", old.port()), "new").await;
    let names = Names::of(&["127.0.0.2"]);
    let gateway = to_server(old.port(), "listen.threads = 1").await;
    assert_eq!(ask(&gateway).await.1, "kept");
    names.are(&["127.0.0.3"]);
    let until = Instant::now() + PATIENCE;
    let mut seen = vec![ask(&gateway).await.1];
    assert_eq!(seen, ["kept"]);
    while seen.last().unwrap() == "kept" {
        assert!(Instant::now() < until, "the name is not followed");
        sleep(Duration::from_millis(300)).await;
        seen.push(ask(&gateway).await.1);
    }
    for _ in 0..5 {
        seen.push(ask(&gateway).await.1);
    }
    seen.dedup();
    assert_eq!(seen, ["kept", "new"]);
}

#[tokio::test]
#[ignore = "upstreams_are_reached_by_name runs it where port 53 is free"]
async fn inside_a_name_that_was_never_known_is_502_until_it_is() {
    let server = Server::at("127.0.0.2:0", "good").await;
    let names = Names::of(&["127.0.0.2"]);
    names.forget();
    let gateway = to_server(server.port(), "").await;
    let answer = gateway.post("/api/x", &[], b"{}").await;
    assert_eq!(
        (answer.status, answer.json()["msg"].as_str()),
        (502, Some("the meeting server can't be reached"))
    );
    names.are(&["127.0.0.2"]);
    let until = Instant::now() + PATIENCE;
    loop {
        match ask(&gateway).await {
            (200, text) => break assert_eq!(text, "good"),
            (status, text) => assert!(status == 502 && Instant::now() < until, "{status} {text}"),
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// One server behind several addresses has as many times the local ports.
#[tokio::test]
#[ignore = "upstreams_are_reached_by_name runs it where port 53 is free"]
async fn inside_all_addresses_of_a_name_in_etc_hosts_have_their_turn() {
    let server = Server::at("0.0.0.0:0", "good").await;
    let port = server.port();
    let gateway = Gateway::with(&format!("upstreams.server = ['http://listed.test:{port}']")).await;
    let mut holding = Vec::new();
    for _ in 0..4 {
        assert_eq!(ask(&gateway).await, (200, "good".into()));
        let metrics = plain_get(gateway.admin, "/metrics").await.text();
        holding.push(metrics);
    }
    let addresses: BTreeSet<&str> = ["127.0.0.2", "127.0.0.3"].into();
    for address in addresses {
        let label = format!("upstream_connections{{upstream=\"server\",address=\"{address}:{port}\"}}");
        assert!(holding.last().unwrap().contains(&label), "{holding:?}");
    }
    let peers = server_peers(&gateway, port).await;
    assert_eq!(peers, BTreeSet::from([2, 3]));
}

/// The last numbers of the addresses at which connections of two more requests arrive.
async fn server_peers(gateway: &Gateway, port: u16) -> BTreeSet<u8> {
    let mut seen = BTreeSet::new();
    let watching = async {
        loop {
            // Closed connections are remembered for a while, on the side that closed first.
            let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
            let here = format!(":{port:04X}");
            for line in table.lines().skip(1) {
                let local = line.split_whitespace().nth(1).unwrap();
                if local.ends_with(&here) && local.contains("00007F:") {
                    seen.insert(u8::from_str_radix(&local[..2], 16).unwrap());
                }
            }
            seen.remove(&0);
            if seen.len() == 2 {
                return;
            }
            ask(gateway).await;
        }
    };
    timeout(PATIENCE, watching).await.ok();
    seen
}
