//! The real nats-server, listening for `WebSocket`s on loopback, as it runs beside plugnmeet-server.
//!
//! Not here: a client for it (`tests/node/nats.mjs`), and where the program comes from (`tests/install`).
//!
//! Sources: nats-server 2.14, configuration blocks `websocket` and `authorization`, and `ports_file_dir`.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses a part of this one")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::addr::own_ip;

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/.venv/bin/nats-server");
/// Whose signature is believed of those who may come in; the key is in `tests/node/callout.mjs`.
const ISSUER: &str = "AAIPBLABMBRHP54WDULCHZTBBS4D5ETFB6NOCP33ZYWLG7XWNLNYQFKZ";
const PATIENCE: Duration = Duration::from_secs(60);

/// Gone when dropped.
pub struct NatsServer {
    websocket: SocketAddr,
    process: Child,
    folder: TempDir,
}

impl NatsServer {
    /// Lets anyone in.
    pub async fn start() -> Self {
        Self::with("").await
    }

    /// Lets in those who know the password.
    pub async fn with_password(user: &str, password: &str) -> Self {
        Self::with(&format!(
            "authorization {{ user: {user:?}, password: {password:?}, timeout: 120 }}\n"
        ))
        .await
    }

    /// Asks a service on NATS about each connection (`tests/node/callout.mjs`), as plugNmeet's own configuration has it, and
    /// gives up after so many seconds.
    pub async fn with_callout(seconds: u32) -> Self {
        Self::with(&format!(
            "accounts {{ AUTH {{ users: [ {{ user: callout, password: callout }} ] }}, APP {{}} }}\n\
             authorization {{\n  timeout: {seconds}\n  \
             auth_callout {{ issuer: {ISSUER}, auth_users: [ callout ], account: AUTH }}\n}}\n"
        ))
        .await
    }

    async fn with(authorization: &str) -> Self {
        assert!(
            Path::new(PROGRAM).exists(),
            "run tests/install first: {PROGRAM} is missing"
        );
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let config = folder.path().join("nats.conf");
        // Port -1 leaves the choice to the system, so tests that run side by side can't meet; the server writes what
        // it got into a file beside.
        let ip = own_ip();
        let text = format!(
            "listen: \"{ip}:-1\"\n\
             websocket {{ host: \"{ip}\", port: -1, no_tls: true }}\n\
             ports_file_dir: \"{}\"\n\
             write_deadline: \"10m\"\n\
             {authorization}",
            folder.path().display()
        );
        fs::write(&config, text).expect("the configuration can be written");
        let mut process = run(folder.path());
        let Ok(websocket) = timeout(PATIENCE, accepting_websocket(&mut process, folder.path())).await else {
            panic!("nats-server does not listen; its log:\n{}", log_in(folder.path()));
        };
        Self {
            websocket,
            process,
            folder,
        }
    }

    /// Where it takes `WebSocket`s, for the gateway to connect to.
    pub fn address(&self) -> SocketAddr {
        self.websocket
    }

    /// The same as a URL, for a client that does without the gateway.
    pub fn url(&self) -> String {
        format!("ws://{}", self.websocket)
    }

    /// What the server wrote about itself so far.
    pub fn log(&self) -> String {
        log_in(self.folder.path())
    }

    /// Ends it as a crash would, and starts it again after this time, at the same address.
    pub async fn restart(&mut self, after: Duration) {
        self.process.kill().await.expect("nats-server can be killed");
        sleep(after).await;
        let config = self.folder.path().join("nats.conf");
        let text = fs::read_to_string(&config).expect("the configuration can be read");
        let port = format!("port: {}", self.websocket.port());
        fs::write(&config, text.replace("port: -1", &port)).expect("the configuration can be written");
        if let Some(file) = ports_file(self.folder.path()) {
            fs::remove_file(file).expect("what the last one wrote can be removed");
        }
        self.process = run(self.folder.path());
        timeout(
            PATIENCE,
            accepting_websocket(&mut self.process, self.folder.path()),
        )
        .await
        .expect("nats-server listens again");
    }

    /// Ends it as a crash would: no close frame, no goodbye.
    pub async fn kill(mut self) {
        self.process.kill().await.expect("nats-server can be killed");
    }
}

fn run(folder: &Path) -> Child {
    Command::new(PROGRAM)
        .arg("--config")
        .arg(folder.join("nats.conf"))
        .arg("--log")
        .arg(folder.join("log"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("nats-server starts")
}

async fn accepting_websocket(process: &mut Child, folder: &Path) -> SocketAddr {
    loop {
        if let Ok(Some(status)) = process.try_wait() {
            panic!("nats-server ended with {status}; its log:\n{}", log_in(folder));
        }
        if let Some(address) = announced(folder)
            && TcpStream::connect(address).await.is_ok()
        {
            return address;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// The address in the ports file, once that is there and whole.
fn announced(folder: &Path) -> Option<SocketAddr> {
    let file = ports_file(folder)?;
    let ports: Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    ports
        .pointer("/websocket/0")?
        .as_str()?
        .strip_prefix("ws://")?
        .parse()
        .ok()
}

fn ports_file(folder: &Path) -> Option<PathBuf> {
    let mut files = fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()));
    files.find(|path| path.extension().is_some_and(|extension| extension == "ports"))
}

fn log_in(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_else(|error| format!("(no log: {error})"))
}
