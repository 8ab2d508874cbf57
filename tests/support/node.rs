//! Runs the drivers in `tests/node`: the real SDK, the real NATS client and a real browser, as seen from a test.
//!
//! A driver takes one JSON object from a file, some of them steps on stdin after it, and prints JSON lines. It exits with 0 whatever
//! it saw, so a failed exit is a broken driver and ends the test with the driver's own words.
//!
//! Not here: what a driver does (the head of each file in `tests/node`), and what it needs (`tests/install`).

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses a part of this one")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node");
/// The Node that `tests/install` has put there: one with a WebSocket of its own.
const NODE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/.venv/bin/node");

/// Longer than any driver's own limit, so that a slow driver gets to say why.
const PATIENCE: Duration = Duration::from_secs(1000);

/// What a driver needs to know of a gateway: whose certificate it trusts, and which address `localhost` is.
pub fn trust(certificate: &Path, gateway: SocketAddr) -> [(&'static str, String); 2] {
    [
        (
            "NODE_EXTRA_CA_CERTS",
            certificate.to_str().expect("the path is text").to_owned(),
        ),
        ("LOCALHOST", gateway.ip().to_string()),
    ]
}

/// Runs a driver to its end and gives its only line.
pub async fn run_node(script: &str, input: &Value, envs: &[(&str, String)]) -> Value {
    let mut process = NodeProcess::start(script, input, envs);
    let line = process.next_line().await;
    process.finish().await;
    line
}

/// A driver that goes on running while the test does something to what it is connected to.
pub struct NodeProcess {
    script: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    stderr: ChildStderr,
    _input: NamedTempFile,
}

impl NodeProcess {
    pub fn start(script: &str, input: &Value, envs: &[(&str, String)]) -> Self {
        assert!(
            Path::new(FOLDER).join("node_modules/.stamp").exists(),
            "run tests/install first: {FOLDER}/node_modules is missing"
        );
        // An argument holds no more than 128 KiB.
        let file = NamedTempFile::new().expect("temporary files can be made");
        fs::write(file.path(), input.to_string()).expect("a temporary file can be written");
        let mut child = Command::new(NODE)
            .arg(script)
            .arg(file.path())
            .envs(envs.iter().map(|(name, value)| (name, value)))
            .current_dir(FOLDER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("run tests/install first: node does not start: {error}"));
        let stdin = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let stderr = child.stderr.take().expect("stderr is piped");
        Self {
            script: script.to_owned(),
            child,
            stdin,
            lines,
            stderr,
            _input: file,
        }
    }

    /// Says a line to a driver that listens.
    pub async fn say(&mut self, line: &Value) {
        let stdin = self.stdin.as_mut().expect("stdin is piped");
        if stdin.write_all(format!("{line}\n").as_bytes()).await.is_err() {
            self.fail("does not listen any more").await;
        }
    }

    /// Says that there is nothing more to say.
    pub fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// The next line that the driver prints; the test fails if it ends or takes too long instead.
    pub async fn next_line(&mut self) -> Value {
        match timeout(PATIENCE, self.lines.next_line()).await {
            Ok(Ok(Some(line))) => serde_json::from_str(&line)
                .unwrap_or_else(|error| panic!("{} printed no JSON ({error}): {line}", self.script)),
            Ok(Ok(None)) => self.fail("ended without a further line").await,
            Ok(Err(error)) => self.fail(&format!("can't be read: {error}")).await,
            Err(_) => self.fail("printed nothing in time").await,
        }
    }

    /// Waits for the end of a driver that has printed everything it had to say.
    pub async fn finish(mut self) {
        match timeout(PATIENCE, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => {}
            Ok(Ok(status)) => self.fail(&format!("broke: {status}")).await,
            Ok(Err(error)) => self.fail(&format!("can't be waited for: {error}")).await,
            Err(_) => self.fail("did not end in time").await,
        }
    }

    async fn fail(&mut self, what: &str) -> ! {
        // Killed first, for otherwise its stderr has no end to read to.
        let _ = self.child.kill().await;
        let mut words = String::new();
        let _ = self.stderr.read_to_string(&mut words).await;
        panic!("{} {what}\n--- its stderr ---\n{words}", self.script)
    }
}
