//! A real CA that speaks ACME, Let's Encrypt's own for tests, and a DNS in which every name leads to this machine. Its checks
//! come to ports of its own, from which the test leads them to a gateway.
//!
//! Not here: where the programs come from (`tests/install`).

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::json;
use tempfile::TempDir;
use tokio::{net::TcpStream, time::sleep};
use tokio_rustls::TlsConnector;

use super::{
    addr::{free, own_ip},
    client::Client,
    peer::Peer,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// What kind of CA.
pub struct Kind {
    /// Of a hundred nonces so many are refused.
    pub refused_nonces: u8,
    /// Of a hundred names that were proved so many need not be proved again.
    pub reused: u8,
    /// Of a certificate, in seconds.
    pub life: u32,
}

impl Default for Kind {
    fn default() -> Self {
        Self {
            refused_nonces: 0,
            reused: 0,
            life: 90 * 24 * 3600,
        }
    }
}

/// Gone when dropped.
pub struct Pebble {
    ca: Child,
    dns: Child,
    folder: TempDir,
    directory: SocketAddr,
    management: SocketAddr,
    /// Where its checks come, and where they go.
    pub http: Way,
    pub tls: Way,
}

/// Connections to one port go on to others, in turn.
pub struct Way {
    peer: Peer,
    to: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Way {
    async fn nowhere(ip: Ipv4Addr) -> Self {
        let to: Arc<Mutex<Vec<SocketAddr>>> = Arc::default();
        let (lead, turn) = (Arc::clone(&to), Arc::new(AtomicUsize::new(0)));
        let peer = Peer::at(&format!("{ip}:0"), move |mut stream| {
            let turn = turn.fetch_add(1, Ordering::SeqCst);
            let lead = Arc::clone(&lead);
            async move {
                // A check may come before the test knows where to.
                let to = loop {
                    let to = {
                        let all = lead.lock().unwrap();
                        (!all.is_empty()).then(|| all[turn % all.len()])
                    };
                    match to {
                        Some(to) => break to,
                        None => sleep(Duration::from_millis(20)).await,
                    }
                };
                if let Ok(mut onward) = TcpStream::connect(to).await {
                    tokio::io::copy_bidirectional(&mut stream, &mut onward).await.ok();
                }
            }
        })
        .await;
        Self { peer, to }
    }

    pub fn lead_to(&self, all: &[SocketAddr]) {
        *self.to.lock().unwrap() = all.to_vec();
    }

    /// Where it is.
    pub fn ip(&self) -> IpAddr {
        self.peer.addr.ip()
    }

    /// How many have come.
    pub fn checks(&self) -> usize {
        self.peer.connections()
    }
}

impl Pebble {
    pub async fn start(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let (directory, management, dns_addr, dns_management) = (free(), free(), free(), free());
        let names = vec!["localhost".to_owned(), directory.ip().to_string()];
        let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        fs::write(folder.path().join("ca.key"), key.serialize_pem()).unwrap();
        // Where all names lead.
        let ip = own_ip();
        let (http, tls) = (Way::nowhere(ip).await, Way::nowhere(ip).await);
        let config = json!({ "pebble": {
            "listenAddress": directory,
            "managementListenAddress": management,
            "certificate": "ca.pem",
            "privateKey": "ca.key",
            "httpPort": http.peer.addr.port(),
            "tlsPort": tls.peer.addr.port(),
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "certificateValidityPeriod": kind.life,
        } });
        fs::write(folder.path().join("pebble.json"), config.to_string()).unwrap();
        let dns = Command::new("pebble-challtestsrv")
            .args([
                "-http01",
                "",
                "-https01",
                "",
                "-tlsalpn01",
                "",
                "-defaultIPv6",
                "",
                "-defaultIPv4",
                &ip.to_string(),
                "-dns01",
                &dns_addr.to_string(),
                "-management",
                &dns_management.to_string(),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("run tests/install first: pebble-challtestsrv is missing");
        let ca = Command::new("pebble")
            .args(["-config", "pebble.json", "-dnsserver", &dns_addr.to_string()])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_WFE_NONCEREJECT", kind.refused_nonces.to_string())
            .env("PEBBLE_AUTHZREUSE", kind.reused.to_string())
            .current_dir(folder.path())
            .stdout(fs::File::create(folder.path().join("log")).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .expect("run tests/install first: pebble is missing");
        let pebble = Self {
            ca,
            dns,
            folder,
            directory,
            management,
            http,
            tls,
        };
        pebble.listening().await;
        pebble
    }

    async fn listening(&self) {
        for addr in [self.management, self.directory] {
            let started = tokio::time::Instant::now();
            while TcpStream::connect(addr).await.is_err() {
                assert!(
                    started.elapsed() < PATIENCE,
                    "pebble does not listen:\n{}",
                    self.log()
                );
                sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// What it has said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The certificate of its own server.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub fn directory(&self) -> String {
        format!("https://{}/dir", self.directory)
    }

    /// For a gateway with this public name that keeps its certificates there.
    pub fn toml(&self, name: &str, storage: &std::path::Path) -> String {
        format!(
            "public_origin = 'https://{name}'\n[acme]\naccept_terms = true\ndirectory = '{}'\nroots = '{}'\n\
             storage = '{}'\npreflight = false\n",
            self.directory(),
            self.certificate().display(),
            storage.display()
        )
    }

    /// Orders that it was sent.
    pub fn orders(&self) -> usize {
        self.log().matches("Added order").count()
    }

    /// What it signs with.
    pub async fn root(&self) -> CertificateDer<'static> {
        let client = Client::trusting(&self.certificate(), self.management);
        let root = client.request("GET", "/roots/0", &[], b"").await;
        CertificateDer::from_pem_slice(&root.body).unwrap()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for child in [&mut self.ca, &mut self.dns] {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// The certificate that clients of this name get there, if they trust it.
pub async fn shown(at: SocketAddr, name: &str, root: &CertificateDer<'static>) -> Option<Vec<u8>> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(at).await.ok()?;
    let server = ServerName::try_from(name.to_owned()).unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(server, stream)
        .await
        .ok()?;
    let chain = stream.get_ref().1.peer_certificates()?;
    Some(chain[0].to_vec())
}

/// As `shown`, as soon as there is another than this.
pub async fn shown_after(before: Option<&[u8]>, at: SocketAddr, name: &str, pebble: &Pebble) -> Vec<u8> {
    let root = pebble.root().await;
    let started = tokio::time::Instant::now();
    loop {
        match shown(at, name, &root).await {
            Some(leaf) if before != Some(leaf.as_slice()) => return leaf,
            _ => {}
        }
        assert!(
            started.elapsed() < 4 * PATIENCE,
            "no certificate for {name} came:\n{}",
            pebble.log()
        );
        sleep(Duration::from_millis(100)).await;
    }
}
