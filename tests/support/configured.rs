//! The program with its configuration in a file of its own, which a test changes while it runs.

use std::{fs, process::Output, time::Duration};

use plugnmeet_gateway::{secret::Secret, token::RequestKey};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};

use super::{
    SECRET,
    binary::{Serving, anywhere, run},
    client::{Answer, Client, plain_get},
    folder_of,
};

/// A program that serves by `gateway.toml` in its folder.
pub struct Configured {
    pub folder: TempDir,
    pub serving: Serving,
}

/// What `plugnmeet-gateway reload` said.
#[derive(Debug)]
pub struct Said {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self {
            status: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

impl Configured {
    pub async fn with(toml: &str) -> Self {
        Self::in_folder(folder_of(&[]), toml).await
    }

    pub async fn in_folder(folder: TempDir, toml: &str) -> Self {
        fs::write(folder.path().join("gateway.toml"), toml).unwrap();
        let arguments = ["--config", "gateway.toml"];
        let variables = [&anywhere()[..], &[("PLUGNMEET__SECRET", SECRET)]].concat();
        let serving = Serving::start(folder.path(), &arguments, &variables).await;
        Self { folder, serving }
    }

    pub fn write(&self, toml: &str) {
        fs::write(self.folder.path().join("gateway.toml"), toml).unwrap();
    }

    /// Writes another configuration and has it taken up.
    pub async fn take_up(&self, toml: &str) {
        self.write(toml);
        let said = self.reload().await;
        assert_eq!(said.status, Some(0), "{said:?}");
        assert!(said.out.contains("the configuration is taken up: "), "{said:?}");
    }

    pub async fn reload(&self) -> Said {
        self.command("reload").await
    }

    /// As `reload`, without a process of its own for each.
    pub async fn reload_at_once(&self) {
        let socket = self.folder.path().join("run/control.sock");
        let mut stream = UnixStream::connect(socket).await.unwrap();
        stream.write_all(b"{\"command\":\"reload\"}\n").await.unwrap();
        let mut answer = String::new();
        let answered = timeout(Duration::from_secs(90), stream.read_to_string(&mut answer));
        answered.await.expect("the gateway does not answer").unwrap();
        assert!(answer.starts_with("{\"ok\":true,"), "{answer}");
    }

    /// What a command in its folder says.
    pub async fn command(&self, command: &str) -> Said {
        let arguments = ["--config", "gateway.toml", command];
        run(self.folder.path(), &arguments, &[]).await.into()
    }

    pub async fn status(&self) -> Value {
        let arguments = ["--config", "gateway.toml", "status", "--json"];
        let said = run(self.folder.path(), &arguments, &[]).await;
        serde_json::from_slice(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said:?}"))
    }

    pub async fn hash(&self) -> String {
        self.status().await["configuration"]["hash"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub async fn metrics(&self) -> String {
        let admin = self.status().await["listeners"]["admin"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        plain_get(admin, "/metrics").await.text()
    }

    pub fn client(&self) -> Client {
        let certificate = self.folder.path().join("certs/development.pem");
        Client::trusting(&certificate, self.serving.https)
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.client().request("GET", target, &[], b"").await
    }

    /// The status for who calls it by this name.
    pub async fn status_at(&self, host: &str, target: &str) -> u16 {
        let client = self.client();
        client.request("GET", target, &[("Host", host)], b"").await.status
    }

    /// Asks for a token with this caller's key.
    pub async fn ask_for_token(&self, key: &str, secret: &str, body: &str) -> Answer {
        let signature = RequestKey::new(&Secret::new(secret.into())).signature(body.as_bytes());
        let headers = [("API-KEY", key), ("HASH-SIGNATURE", signature.as_str())];
        self.client()
            .request("POST", "/auth/room/getJoinToken", &headers, body.as_bytes())
            .await
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.serving.pid()))
            .unwrap()
            .count()
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.serving.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib * 1024
    }
}
