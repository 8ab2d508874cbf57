//! One gateway after another, at the same addresses: upgrades of the running program, sockets that a service manager gives,
//! and a start beside a gateway that drains.
//!
//! "Another version" is the same program in another file: what counts is that another process takes over.

mod beside;
mod clients;
mod manager;
mod meetings;
mod remembered;
mod successors;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::Command,
    time::{Instant, sleep},
};
use tokio_rustls::client::TlsStream;

use crate::support::{
    binary::{PROGRAM, Serving, anywhere, link, run},
    client::Client,
    folder_of,
    raw::Raw,
    websocket::echo,
};

const PATIENCE: Duration = Duration::from_secs(120);

/// All that runs in this folder ends with the test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(folder_of(&[]))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn program(&self) -> PathBuf {
        self.path().join("gateway")
    }

    /// The numbers of all processes here.
    fn processes(&self) -> Vec<u32> {
        let here = fs::canonicalize(self.path()).unwrap();
        let all = fs::read_dir("/proc").unwrap().flatten();
        let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let is_here = |pid: &u32| {
            let program = fs::read_link(format!("/proc/{pid}/cwd"));
            program.is_ok_and(|cwd| cwd == here)
        };
        numbers.filter(is_here).collect()
    }

    async fn status(&self) -> Value {
        let output = run(self.path(), &["status", "--json"], &[]).await;
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    /// Who answers here.
    async fn serving(&self) -> u32 {
        u32::try_from(self.status().await["process"].as_u64().unwrap()).unwrap()
    }

    /// Who answers here once it is another one than this.
    async fn serving_after(&self, before: u32) -> u32 {
        let until = Instant::now() + PATIENCE;
        loop {
            let asked = run(self.path(), &["status", "--json"], &[]).await;
            let status: Option<Value> = serde_json::from_slice(&asked.stdout).ok();
            let now = status.and_then(|status| u32::try_from(status["process"].as_u64()?).ok());
            if let Some(now) = now.filter(|now| *now != before) {
                return now;
            }
            assert!(Instant::now() < until, "{before} serves still");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Has a new process take over, and says which.
    async fn upgrade(&self) -> u32 {
        let before = self.serving().await;
        let asked = run(self.path(), &["upgrade"], &[]).await;
        assert!(asked.status.success(), "{asked:?}");
        self.serving_after(before).await
    }

    fn client(&self, serving: &Serving) -> Client {
        Client::trusting(&self.path().join("certs/development.pem"), serving.https)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        for pid in self.processes() {
            std::process::Command::new("kill")
                .args(["-9", &pid.to_string()])
                .status()
                .ok();
        }
    }
}

async fn kill(signal: &str, pid: u32) {
    let sent = Command::new("kill")
        .args(["-s", signal, &pid.to_string()])
        .status()
        .await;
    assert!(sent.unwrap().success());
}

async fn started(folder: &Folder, more: &[(&str, &str)]) -> Serving {
    link(Path::new(PROGRAM), &folder.program());
    let variables = [&anywhere()[..], &[("LOG__ACCESS", "false")], more].concat();
    Serving::of(&folder.program(), folder.path(), &["serve"], &variables).await
}

type Socket = Raw<TlsStream<TcpStream>>;

async fn open(client: &Client) -> Socket {
    let mut socket = client.raw().await;
    socket
        .send(
            "GET /livekit/rtc HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
    assert_eq!(socket.answer().await.status, 101);
    socket
}

/// Asks for the page over a connection; says whether the answer is the last one there.
async fn page_is_last(connection: &mut Socket) -> bool {
    connection
        .send("GET /conference/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    let answer = connection.answer().await;
    assert_eq!(answer.status, 200);
    answer.header("connection") == Some("close")
}

/// A message, masked with zeros.
const PING: [u8; 8] = [0x82, 0x82, 0, 0, 0, 0, b'h', b'i'];

async fn still_there(socket: &mut Socket) {
    socket.send(PING).await;
    assert_eq!(socket.exactly(PING.len()).await.unwrap(), PING);
}

/// A script in the place of the program.
fn script(folder: &Folder, text: &str) {
    let beside = folder.path().join("script");
    fs::write(&beside, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(beside, folder.program()).unwrap();
}
