//! One gateway after another, at the same addresses: upgrades of the running program, sockets that a service manager gives,
//! and a start beside a gateway that drains.
//!
//! "Another version" is the same program in another file: what counts is that another process takes over.

mod manager;
mod successors;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::{
    binary::{Serving, run},
    client::Client,
    folder_of,
};

const PATIENCE: Duration = Duration::from_secs(30);

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
