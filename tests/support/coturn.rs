//! The real coturn, as the TURN server that LiveKit has in itself.
//!
//! Not here: where the program comes from (`tests/install`).

#![allow(dead_code, reason = "each test file uses a part of this one")]

use std::{net::SocketAddr, process::Stdio, time::Duration};

use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep},
};

use super::addr::{free, free_port};

/// coturn with one user, ann, whose word is `secret`.
pub struct Coturn {
    addr: SocketAddr,
    folder: TempDir,
    _child: Child,
}

impl Coturn {
    /// A PROXY header has to come if it reads them, and none may otherwise.
    pub async fn that_reads_headers(reads_headers: bool) -> Self {
        Self::at(free(), reads_headers).await
    }

    /// As `that_reads_headers`, at this address.
    pub async fn at(addr: SocketAddr, reads_headers: bool) -> Self {
        Self::with_user(addr, reads_headers, ("ann", "secret")).await
    }

    /// With another user, by name and password. It takes UDP at the same port, too.
    pub async fn with_user(addr: SocketAddr, reads_headers: bool, (user, password): (&str, &str)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (ip, port) = (addr.ip(), addr.port());
        let ports = if reads_headers {
            format!("listening-port={}\ntcp-proxy-port={port}", free_port())
        } else {
            format!("listening-port={port}")
        };
        let config = format!(
            "listening-ip={ip}\n{ports}\nrelay-ip={ip}\nrealm=test\nlt-cred-mech\nuser={user}:{password}\nno-tls\n\
             no-dtls\nno-cli\nverbose\nallow-loopback-peers\nsimple-log\nlog-file={0}/log\nuserdb={0}/users\n\
             pidfile={0}/pid\n",
            folder.path().display(),
        );
        let file = folder.path().join("turnserver.conf");
        std::fs::write(&file, config).unwrap();
        let child = Command::new("turnserver")
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let started = Instant::now();
        while TcpStream::connect(addr).await.is_err() {
            assert!(
                started.elapsed() < Duration::from_secs(120),
                "coturn does not start"
            );
            sleep(Duration::from_millis(50)).await;
        }
        Self {
            addr,
            folder,
            _child: child,
        }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// What it has logged.
    pub fn said(&self) -> String {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        let files = files.map(|file| file.unwrap().path());
        let logs = files.filter(|file| {
            file.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("log"))
        });
        logs.map(|file| std::fs::read_to_string(file).unwrap()).collect()
    }
}
