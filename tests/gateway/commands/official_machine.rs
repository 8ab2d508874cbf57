//! A machine of the official installer's in a scratch folder: a real HAProxy with the official configuration's shape, stand-ins
//! for all upstreams, and the gateway's configuration as `adopt` makes it.
//!
//! `systemctl` is a script of this test's (`tests/support/official/systemctl`): it starts and stops both programs for real, by
//! process ids in files; what is enabled is a file each.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use hyper::Response;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdout},
    time::{Instant, timeout},
};
use tokio_rustls::client::TlsStream;

use super::{
    adopting::{CONFIG, HAPROXY, INGRESS, LIVEKIT, NATS, RENEWAL, SCRIPT},
    told,
};
use crate::support::{
    addr::free_port,
    binary::{PROGRAM, program},
    client::Client,
    folder_of,
    nats::NatsServer,
    upstream::{Upstream, text_body},
};

const SYSTEMCTL: &str = include_str!("../../support/official/systemctl");
pub(super) const NAME: &str = "conf.example.org";

/// What doctor would find on this machine, whose parts are stand-ins at ports of the test's, and not in its files.
const DESPITE: [&str; 6] = ["machine", "livekit.port", "ingress", "turn", "nats", "redis"];

/// Longer than anything here takes on a machine that is busy with ten other things.
const PATIENCE: Duration = Duration::from_secs(180);

/// A machine of the official installer's, with stand-ins for all upstreams.
pub(super) struct Machine {
    folder: TempDir,
    pub(super) https: u16,
    certificate: PathBuf,
    _nats: NatsServer,
    _upstreams: [Upstream; 3],
}

impl Machine {
    /// HAProxy runs and is enabled; the gateway's configuration is adopted.
    #[expect(
        clippy::too_many_lines,
        reason = "one machine, from its files to its running front"
    )]
    pub(super) async fn start() -> Self {
        let nats = NatsServer::start().await;
        // Of the server the files say the port alone.
        let answer = |_| async { Response::new(text_body("plugnmeet-server")) };
        let server = Upstream::at("127.0.0.1:0", answer).await;
        let livekit = Upstream::handling(|seen| async move {
            let status = if seen.target == "/rtc/validate" { 401 } else { 404 };
            Response::builder().status(status).body(text_body("")).unwrap()
        })
        .await;
        let others = Upstream::answering("others").await;
        let turn = turn_server().await;
        let (https, http, inner, rtmp) = (free_port(), free_port(), free_port(), free_port());
        let to = |upstream: &Upstream| upstream.addr.to_string();
        let config = CONFIG.replace("port: 8080", &format!("port: {}", server.addr.port()));
        let config = config.split("redis_info:").collect::<Vec<_>>();
        let config = format!(
            "{}{}",
            config[0],
            config[1].split_once("nats_info:").map_or("", |(_, rest)| rest)
        )
        .replace("    - \"https://conf.example.org/ws\"", "")
        .replace("  nats_ws_urls:\n", "");
        let mut haproxy = HAPROXY.to_owned();
        for (old, new) in [
            (" :80", format!(" 127.0.0.1:{http}")),
            ("*:443", format!("127.0.0.1:{https}")),
            ("*:81", format!("127.0.0.1:{inner}")),
            ("127.0.0.1:81 ", format!("127.0.0.1:{inner} ")),
            ("*:1935", format!("127.0.0.1:{rtmp}")),
            ("127.0.0.1:1936", to(&others)),
            ("192.0.2.10:5349", turn.to_string()),
            ("127.0.0.1:8080", to(&server)),
            ("127.0.0.1:7880", to(&livekit)),
            ("127.0.0.1:9001", to(&others)),
            ("127.0.0.1:8089", to(&others)),
            ("127.0.0.1:8222", nats.address().to_string()),
        ] {
            assert!(haproxy.contains(old), "{old}");
            haproxy = haproxy.replace(old, &new);
        }
        let folder = folder_of(&[
            ("opt/config.yaml", &config),
            ("opt/livekit.yaml", LIVEKIT),
            ("opt/ingress.yaml", INGRESS),
            (
                "opt/nats-server.conf",
                &NATS.replace("8222", &nats.address().port().to_string()),
            ),
            ("opt/client/dist/index.html", "<html><head></head>client</html>"),
            ("opt/client/dist/assets/config.js", SCRIPT),
            (
                "letsencrypt/renewal-hooks/post/001-restart-haproxy",
                "systemctl restart haproxy\n",
            ),
            ("letsencrypt/renewal/README", RENEWAL),
            (OFF, "systemctl restart haproxy\n"),
            ("systemd/run/.keep", ""),
            ("systemd/enabled/.keep", ""),
        ]);
        let root = folder.path();
        let certs = root.join("certs");
        let haproxy = haproxy.replace("/etc/haproxy/ssl/", &format!("{}/", certs.display()));
        let not_here = [
            "log /dev/log",
            "chroot",
            "stats socket",
            "user haproxy",
            "daemon",
            "errorfile",
        ];
        let haproxy: Vec<&str> = haproxy
            .lines()
            .filter(|line| {
                !not_here
                    .iter()
                    .any(|word| line.trim_start().replace('\t', " ").starts_with(word))
            })
            .collect();
        fs::create_dir_all(root.join("haproxy")).unwrap();
        fs::write(root.join("haproxy/haproxy.cfg"), haproxy.join("\n") + "\n").unwrap();
        let names = [NAME, "turn.example.org", "localhost"].map(str::to_owned);
        let pair = rcgen::generate_simple_self_signed(names.to_vec()).unwrap();
        fs::create_dir_all(&certs).unwrap();
        let certificate = certs.join("conf.pem");
        fs::write(&certificate, pair.cert.pem()).unwrap();
        fs::write(certs.join("conf.pem.key"), pair.signing_key.serialize_pem()).unwrap();
        fs::set_permissions(certs.join("conf.pem.key"), Permissions::from_mode(0o600)).unwrap();
        set_mode(&root.join(HOOK), HOOK_MODE);
        let systemctl = SYSTEMCTL
            .replace("@ROOT@", &root.display().to_string())
            .replace("@PROGRAM@", PROGRAM);
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::write(root.join("bin/systemctl"), systemctl).unwrap();
        set_mode(&root.join("bin/systemctl"), 0o755);
        let machine = Self {
            https,
            certificate,
            _nats: nats,
            _upstreams: [server, livekit, others],
            folder,
        };
        let adopted = [
            "adopt",
            "--from",
            "opt",
            "--haproxy",
            "haproxy",
            "--to",
            "etc",
            "--letsencrypt",
            "letsencrypt",
            "--units",
            "units",
            "--accept-losses",
        ];
        let (status, said, errors) = machine.run(&adopted).await;
        assert_eq!(status, 0, "{said}{errors}");
        // Ports and folders that this machine has none of.
        let toml = machine.toml();
        let toml = toml
            .replace("\"0.0.0.0:80\"", &format!("\"127.0.0.1:{http}\""))
            .replace(
                "/var/cache/plugnmeet-gateway",
                &format!("{}/cache", machine.root().display()),
            )
            .replace("[listen]\n", "[listen]\nadmin = \"\"\n");
        fs::write(machine.root().join("etc/gateway.toml"), toml).unwrap();
        machine.systemctl(&["enable", "haproxy.service"]).await;
        machine.systemctl(&["start", "haproxy.service"]).await;
        machine
    }

    pub(super) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn toml(&self) -> String {
        fs::read_to_string(self.root().join("etc/gateway.toml")).unwrap()
    }

    fn with_path(&self, command: &mut tokio::process::Command) {
        let (_, path) = std::env::vars_os().find(|(name, _)| name == "PATH").unwrap();
        let path = path.to_string_lossy();
        command.env("PATH", format!("{}/bin:{path}", self.root().display()));
    }

    async fn output(&self, mut command: tokio::process::Command) -> Output {
        self.with_path(&mut command);
        timeout(PATIENCE, command.output())
            .await
            .expect("it does not end")
            .unwrap()
    }

    async fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        told(&self.output(program(self.root(), arguments, &[])).await)
    }

    pub(super) async fn swap(&self, more: &[&str]) -> (i32, String, String) {
        told(&self.output(self.swapping(more)).await)
    }

    /// A swap that has got as far as to say this line, and goes on.
    pub(super) async fn swap_until(&self, line: &str) -> (Child, Lines<BufReader<ChildStdout>>) {
        let mut command = self.swapping(&[]);
        self.with_path(&mut command);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let until = async {
            while let Some(said) = lines.next_line().await.unwrap() {
                if said == line {
                    return;
                }
            }
            panic!("it never says {line}");
        };
        timeout(PATIENCE, until).await.expect("it does not get there");
        (child, lines)
    }

    fn swapping(&self, more: &[&str]) -> tokio::process::Command {
        let mut arguments = vec![
            "swap",
            "--config",
            "etc/gateway.toml",
            "--from",
            "opt",
            "--haproxy",
            "haproxy",
            "--letsencrypt",
            "letsencrypt",
        ];
        arguments.extend(DESPITE.iter().flat_map(|id| ["--despite", *id]));
        arguments.extend(more);
        program(self.root(), &arguments, &[])
    }

    pub(super) async fn systemctl(&self, arguments: &[&str]) {
        let mut command = tokio::process::Command::new(self.root().join("bin/systemctl"));
        command.args(arguments).current_dir(self.root());
        let output = self.output(command).await;
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    /// What `systemctl` was told to do, without questions.
    pub(super) fn done(&self) -> Vec<String> {
        let log = fs::read_to_string(self.root().join("systemd/log")).unwrap_or_default();
        let questions = ["--quiet", "show"];
        log.lines()
            .filter(|line| !questions.iter().any(|word| line.starts_with(word)))
            .map(str::to_owned)
            .collect()
    }

    pub(super) fn runs(&self, unit: &str) -> bool {
        let Ok(pid) = fs::read_to_string(self.root().join("systemd/run").join(unit)) else {
            return false;
        };
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        let state = stat.rsplit_once(") ").map(|(_, state)| state);
        state.is_some_and(|state| !state.starts_with('Z'))
    }

    pub(super) fn is_enabled(&self, unit: &str) -> bool {
        self.root().join("systemd/enabled").join(unit).exists()
    }

    pub(super) fn client(&self) -> Client {
        Client::trusting(&self.certificate, ([127, 0, 0, 1], self.https).into())
    }

    /// Who has the door: HAProxy's `/` is the server's.
    pub(super) async fn front(&self) -> &'static str {
        let answer = self.client().request("GET", "/", &[("host", NAME)], b"").await;
        match (answer.status, answer.text().as_str()) {
            (200, "plugnmeet-server") => "haproxy",
            (302 | 307 | 308, _) => "gateway",
            other => panic!("{other:?}"),
        }
    }

    /// A WebSocket of NATS' through whoever has the door; it has said INFO.
    pub(super) async fn tunnel(&self) -> TlsStream<TcpStream> {
        let mut stream = self.client().connect(b"http/1.1").await;
        let head = format!(
            "GET /ws HTTP/1.1\r\nHost: {NAME}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://{NAME}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut got = Vec::new();
        while !String::from_utf8_lossy(&got).contains("INFO") {
            let mut part = [0; 4096];
            let bytes = timeout(PATIENCE, stream.read(&mut part)).await.unwrap().unwrap();
            assert_ne!(bytes, 0, "{}", String::from_utf8_lossy(&got));
            got.extend(&part[..bytes]);
        }
        stream
    }

    /// All is as it was before any swap.
    pub(super) async fn is_as_before(&self) {
        assert!(self.runs("haproxy.service") && self.is_enabled("haproxy.service"));
        assert!(!self.runs("plugnmeet-gateway.service") && !self.is_enabled("plugnmeet-gateway.service"));
        assert!(!self.root().join("etc/swap.state").exists());
        assert_eq!(mode(&self.root().join(HOOK)), HOOK_MODE);
        assert_eq!(mode(&self.root().join(OFF)) & 0o111, 0, "nobody wanted it to run");
        assert_eq!(self.front().await, "haproxy");
        drop(self.tunnel().await);
    }
}

/// A script that somebody has switched off before.
const OFF: &str = "letsencrypt/renewal-hooks/post/002-old-haproxy";
pub(super) const HOOK: &str = "letsencrypt/renewal-hooks/post/001-restart-haproxy";

/// Not everybody may run it.
const HOOK_MODE: u32 = 0o750;

impl Drop for Machine {
    fn drop(&mut self) {
        for unit in ["haproxy.service", "plugnmeet-gateway.service"] {
            if let Ok(pid) = fs::read_to_string(self.root().join("systemd/run").join(unit)) {
                std::process::Command::new("kill")
                    .args(["-KILL", pid.trim()])
                    .status()
                    .ok();
            }
        }
    }
}

pub(super) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

pub(super) async fn ends(mut tunnel: TlsStream<TcpStream>) {
    let until = Instant::now() + PATIENCE;
    let mut part = [0; 4096];
    loop {
        match timeout(PATIENCE, tunnel.read(&mut part))
            .await
            .expect("it stays open")
        {
            Ok(0) | Err(_) => return,
            Ok(_) => assert!(Instant::now() < until),
        }
    }
}

/// LiveKit's stand-in: reads a PROXY header of version 2, and answers a Binding request with the address in it.
async fn turn_server() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut header = [0; 28];
                stream.read_exact(&mut header).await?;
                if !header.starts_with(b"\r\n\r\n\0\r\nQUIT\n") {
                    return Ok(());
                }
                // HAProxy's check says nothing of a client; version 2 for IPv4 has 12 bytes of addresses.
                let mut request = [0; 20];
                stream.read_exact(&mut request).await?;
                let cookie = [0x21, 0x12, 0xa4, 0x42];
                let mut answer = vec![0x01, 0x01, 0, 12];
                answer.extend(&request[4..20]);
                answer.extend([0x00, 0x20, 0, 8, 0, 1]);
                answer.extend(header[24..26].iter().zip(cookie).map(|(byte, mask)| byte ^ mask));
                answer.extend(header[16..20].iter().zip(cookie).map(|(byte, mask)| byte ^ mask));
                stream.write_all(&answer).await?;
                std::io::Result::Ok(())
            });
        }
    });
    at
}
