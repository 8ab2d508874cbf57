//! A real Redis on a port of its own, keeping nothing on disk; it can be taken away in every way in which one goes.
//!
//! Not here: where the program comes from (`tests/install`).

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use ::redis::{Client, FromRedisValue, cmd};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::addr::free;

/// A Sentinel looks for replicas every ten seconds.
const PATIENCE: Duration = Duration::from_secs(90);

/// Gone when dropped.
pub struct Redis {
    addr: SocketAddr,
    arguments: Vec<String>,
    process: Child,
    folder: TempDir,
}

impl Redis {
    /// Lets anyone in.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// Lets in those who know the password.
    pub async fn with_password(password: &str) -> Self {
        Self::with(&["--requirepass", password]).await
    }

    /// Speaks TLS at this address, under this certificate and key.
    pub async fn with_certificate(tls: SocketAddr, certificate: &Path, key: &Path) -> Self {
        let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
        // Without TLS it is at the same address, and another port.
        let addr = SocketAddr::new(tls.ip(), tls.port() ^ 1);
        let tls = [
            "--tls-port",
            &tls.port().to_string(),
            "--tls-cert-file",
            certificate,
            "--tls-key-file",
            key,
        ];
        Self::at(addr, &[&tls[..], &["--tls-auth-clients", "no"]].concat()).await
    }

    /// A Sentinel that watches over this one, as `plugnmeet`.
    pub async fn sentinel_of(master: &Self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("sentinel.conf");
        fs::write(
            &config,
            format!(
                "sentinel monitor plugnmeet {} {} 1\n",
                master.addr.ip(),
                master.addr.port()
            ),
        )
        .unwrap();
        let arguments = vec![config.to_str().unwrap().to_owned(), "--sentinel".to_owned()];
        Self::run(folder, free(), arguments).await
    }

    async fn with(more: &[&str]) -> Self {
        Self::at(free(), more).await
    }

    /// Redis can't be told to choose a port itself.
    async fn at(addr: SocketAddr, more: &[&str]) -> Self {
        let mut arguments = vec!["--save", "", "--appendonly", "no"];
        arguments.extend(more);
        let arguments = arguments.into_iter().map(str::to_owned).collect();
        Self::run(tempfile::tempdir().unwrap(), addr, arguments).await
    }

    async fn run(folder: TempDir, addr: SocketAddr, arguments: Vec<String>) -> Self {
        let process = spawn(&folder, addr, &arguments);
        let redis = Self {
            addr,
            arguments,
            process,
            folder,
        };
        redis.listening().await;
        redis
    }

    /// Becomes a replica, with all that the other knows.
    pub async fn follow(&self, master: &Self) {
        let (ip, port) = (master.addr.ip().to_string(), master.addr.port().to_string());
        self.ask::<()>(&["REPLICAOF", &ip, &port]).await;
        self.until(
            |info: String| info.contains("master_link_status:up"),
            &["INFO", "replication"],
        )
        .await;
    }

    /// Of a Sentinel: makes the only replica the master, as soon as it has found it.
    pub async fn fail_over(&self) {
        let known = |replicas: Vec<::redis::Value>| !replicas.is_empty();
        self.until(known, &["SENTINEL", "REPLICAS", "plugnmeet"]).await;
        self.until(|_: String| true, &["SENTINEL", "FAILOVER", "plugnmeet"])
            .await;
    }

    async fn until<T: FromRedisValue>(&self, good: impl Fn(T) -> bool, words: &[&str]) {
        let asking = async {
            while !self.try_ask(words).await.is_ok_and(&good) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        assert!(
            timeout(PATIENCE, asking).await.is_ok(),
            "{words:?} does not become good"
        );
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// For a gateway that needs no password.
    pub fn url(&self) -> String {
        format!("redis://{}", self.addr)
    }

    /// One command, past all gateways.
    pub async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        // One that becomes a master or a replica closes its connections.
        for _ in 0..20 {
            match self.try_ask(words).await {
                Err(error) if error.is_io_error() => sleep(Duration::from_millis(100)).await,
                answer => return answer.unwrap(),
            }
        }
        self.try_ask(words).await.unwrap()
    }

    async fn try_ask<T: FromRedisValue>(&self, words: &[&str]) -> ::redis::RedisResult<T> {
        let password = self
            .arguments
            .iter()
            .skip_while(|argument| *argument != "--requirepass")
            .nth(1);
        let login = password.map_or_else(String::new, |password| format!(":{password}@"));
        let client = Client::open(format!("redis://{login}{}", self.addr))?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await
    }

    /// All keys that begin so.
    pub async fn keys(&self, prefix: &str) -> Vec<String> {
        self.ask(&["KEYS", &format!("{prefix}*")]).await
    }

    /// All users' keys in another database than the first.
    pub async fn keys_in_database_1(&self) -> Vec<String> {
        let script = "redis.call('SELECT', 1) return redis.call('KEYS', 'pnm-gw:user:*')";
        self.ask(&["EVAL", script, "0"]).await
    }

    /// Stands still and keeps its connections (SIGSTOP).
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Goes on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Dies.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Comes back on the same port and knows nothing any more.
    pub async fn restart(&mut self) {
        self.process.kill().ok();
        self.process.wait().unwrap();
        self.process = spawn(&self.folder, self.addr, &self.arguments);
        self.listening().await;
    }

    async fn listening(&self) {
        let answers = async {
            while self.try_ask::<String>(&["PING"]).await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        if timeout(PATIENCE, answers).await.is_err() {
            let log = fs::read_to_string(self.folder.path().join("log"));
            panic!(
                "redis-server does not answer; its log:\n{}",
                log.unwrap_or_default()
            );
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn spawn(folder: &TempDir, addr: SocketAddr, arguments: &[String]) -> Child {
    let (ip, port) = (addr.ip().to_string(), addr.port().to_string());
    Command::new("redis-server")
        .args(arguments)
        .args(["--bind", &ip, "--port", &port, "--replica-announce-ip", &ip])
        .arg("--dir")
        .arg(folder.path())
        .args(["--logfile", "log"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("run tests/install first: redis-server does not start")
}
