//! The parts that tests play with: a gateway over real sockets, upstreams that keep a record, clients that say exactly
//! what they are told to.

pub mod addr;
pub mod binary;
pub mod browser;
pub mod client;
pub mod configured;
pub mod coturn;
pub mod h2;
pub mod nats;
pub mod node;
pub mod pebble;
pub mod peer;
pub mod plugnmeet;
pub mod raw;
pub mod redis;
pub mod site;
pub mod stub_ca;
pub mod upstream;
pub mod websocket;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_STANDARD};
use plugnmeet_gateway::{
    clock::Clock,
    config::{Config, Plan},
    gateway::{self, Listeners, Running, Threads},
    joining::Joining,
    observe::Records,
    secret::Secret,
    token::{Claims, TokenKeys},
    upgrade::Registry,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use self::client::{Answer, Client};

pub const API_KEY: &str = "plugnmeet";
/// The secret of the captured requests in `tests/vectors`.
pub const SECRET: &str = "zumyyYWqv7KR2kUqvYdq4z4sXg7XTBD2ljT6";

/// Nothing takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits for what comes behind something that can be seen, such as a count behind an answer.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// A running gateway on ports of its own; stops without waiting when dropped with the test's runtime.
pub struct Gateway {
    pub https: SocketAddr,
    pub http: SocketAddr,
    pub admin: SocketAddr,
    pub clock: Clock,
    pub keys: TokenKeys,
    running: Option<Running>,
    folder: TempDir,
}

impl Gateway {
    /// With this TOML on top of the defaults; addresses, certificates and the secret are the test's.
    pub async fn with(toml: &str) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), toml).await
    }

    /// As `with`, where a folder is there already: its `certs` are the gateway's.
    pub async fn in_folder(folder: TempDir, toml: &str) -> Self {
        Self::start(folder, &Clock::system(), &addr::own(), toml).await
    }

    /// As `in_folder`, by this clock and at this address.
    pub async fn start(folder: TempDir, clock: &Clock, https: &str, toml: &str) -> Self {
        let certs = folder.path().join("certs");
        let cache = folder.path().join("cache");
        let beside = format!("{}:0", https.rsplit_once(':').unwrap().0);
        let variables = [
            ("CLIENT__CACHE", cache.to_str().unwrap()),
            ("LISTEN__HTTPS", https),
            ("LISTEN__HTTP", &beside),
            ("LISTEN__ADMIN", &beside),
            ("TLS__CERTS", certs.to_str().unwrap()),
            ("PLUGNMEET__SECRET", SECRET),
        ]
        .map(|(key, value)| (format!("PNM_GATEWAY__{key}"), value.to_owned()));
        let config =
            Config::parse(toml, "test.toml", &variables).unwrap_or_else(|problems| panic!("{problems}"));
        // Of a gateway that is started again the listener may be there for a moment more.
        let mut tries = 0;
        let listeners = loop {
            match Listeners::open(&config).await {
                Ok(listeners) => break listeners,
                Err(_) if tries < 300 => tries += 1,
                Err(problems) => panic!("{problems:?}"),
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        };
        let plan = Plan::of(&config, listeners.https_port(), clock)
            .unwrap_or_else(|refused| panic!("{:?}", refused.problems));
        let running = Box::pin(gateway::start(plan, listeners, clock, Records::default()))
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        Self {
            https: running.https,
            http: running.http.unwrap(),
            admin: running.admin.unwrap(),
            clock: clock.clone(),
            keys: TokenKeys::new(API_KEY.into(), &Secret::new(SECRET.into())).unwrap(),
            running: Some(running),
            folder,
        }
    }

    /// With embedded defaults.
    pub async fn embedded() -> Self {
        Self::with("").await
    }

    /// In front of a server that issues the tokens.
    pub async fn in_front_of(server: &upstream::Upstream) -> Self {
        Self::with(&format!(
            "issuer.mode = 'upstream'\nupstreams.server = ['{}']",
            server.url()
        ))
        .await
    }

    /// Every upstream is at this address; with more TOML.
    pub async fn everything_to(url: &str, toml: &str) -> Self {
        let all = ["livekit", "nats", "etherpad", "ingress"]
            .map(|name| format!("upstreams.{name} = '{url}'\n"))
            .concat();
        Self::with(&format!("upstreams.server = ['{url}']\n{all}{toml}")).await
    }

    /// What clients see.
    pub fn origin(&self) -> String {
        format!("https://localhost:{}", self.https.port())
    }

    /// The self-made certificate, for clients that trust nothing else.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("certs/development.pem")
    }

    /// That of its certificate.
    pub fn public_key_hash(&self) -> String {
        let certificate = CertificateDer::from_pem_file(self.certificate()).unwrap();
        public_key_hash(&certificate)
    }

    /// A client over HTTP/1.1 that sends `Host: localhost:PORT`.
    pub fn client(&self) -> Client {
        Client::trusting(&self.certificate(), self.https)
    }

    pub async fn get(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.client().request("GET", target, headers, b"").await
    }

    pub async fn post(&self, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.client().request("POST", target, headers, body).await
    }

    /// A signed request for a token, with more headers if wanted.
    pub async fn ask_for_token(&self, body: &str, more: &[(&str, &str)]) -> Answer {
        let signature = self.keys.requests().signature(body.as_bytes());
        let mut headers = vec![
            ("API-KEY", API_KEY),
            ("HASH-SIGNATURE", signature.as_str()),
            ("Content-Type", "application/json"),
        ];
        headers.extend_from_slice(more);
        self.post("/auth/room/getJoinToken", &headers, body.as_bytes())
            .await
    }

    /// A join token that is valid from now on for ten minutes.
    pub fn token(&self, room_id: &str, user_id: &str) -> String {
        self.sign(|claims| {
            room_id.clone_into(&mut claims.room_id);
            user_id.clone_into(&mut claims.user_id);
            user_id.clone_into(&mut claims.sub);
        })
    }

    /// A join token of Ann's for room01, changed.
    pub fn sign(&self, change: impl FnOnce(&mut Claims)) -> String {
        sign(&self.keys, &self.clock, change)
    }

    /// Where the ports of `[[tcp]]` are, in their order.
    pub fn tcp(&self) -> Vec<SocketAddr> {
        self.addresses("tcp")
    }

    /// Where a listener is, below its name.
    pub fn addresses(&self, of: &str) -> Vec<SocketAddr> {
        let all = self.running.as_ref().unwrap().addresses.iter();
        all.filter(|(name, _)| *name == of)
            .map(|(_, addr)| *addr)
            .collect()
    }

    /// Where balancers that end TLS call.
    pub fn plain(&self) -> SocketAddr {
        self.addresses("plain")[0]
    }

    /// As after SIGHUP.
    pub fn reload(&self) {
        self.running.as_ref().unwrap().reload();
    }

    /// Its threads.
    pub fn threads(&self) -> Threads {
        self.running.as_ref().unwrap().threads()
    }

    /// Its open WebSockets.
    pub fn tunnels(&self) -> &Registry {
        self.running.as_ref().unwrap().tunnels()
    }

    /// Who is on the way in.
    pub fn joining(&self) -> &Joining {
        self.running.as_ref().unwrap().joining()
    }

    /// What an operator sees.
    pub fn status(&self) -> serde_json::Map<String, serde_json::Value> {
        self.running.as_ref().unwrap().handle().status()
    }

    /// Stops in order, as after SIGTERM.
    pub async fn stop(self) {
        self.stop_and_keep_folder().await;
    }

    /// As `stop`, and the folder is there for the next start.
    pub async fn stop_and_keep_folder(mut self) -> TempDir {
        if let Some(running) = self.running.take() {
            running.stop(std::future::pending()).await;
        }
        self.folder
    }

    /// A request's head with our `Host`, up to where more fields may follow.
    pub fn head(&self, request_line: &str) -> String {
        format!("{request_line}\r\nHost: localhost:{}\r\n", self.https.port())
    }

    /// Where its certificates are.
    pub fn certs(&self) -> PathBuf {
        self.folder.path().join("certs")
    }
}

/// A join token of Ann's for room01 that is valid for ten minutes, changed.
pub fn sign(keys: &TokenKeys, clock: &Clock, change: impl FnOnce(&mut Claims)) -> String {
    let now = clock.unix();
    let mut claims = Claims {
        client_type: 0,
        exp: now + 600,
        is_admin: false,
        is_hidden: false,
        iss: API_KEY.into(),
        name: "Ann".into(),
        nbf: now,
        room_id: "room01".into(),
        sub: "ann".into(),
        user_id: "ann".into(),
    };
    change(&mut claims);
    keys.sign(&claims).unwrap().expose().clone()
}

/// What a browser compares a certificate's key with: the hash of its `SubjectPublicKeyInfo`.
pub fn public_key_hash(certificate: &[u8]) -> String {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).unwrap();
    let hash = digest::digest(&digest::SHA256, parsed.public_key().raw);
    BASE64_STANDARD.encode(hash)
}

/// A folder of files, gone when dropped.
pub fn folder_of(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
    }
    folder
}

/// The smallest body that asks for a token.
pub fn token_request(room_id: &str, user_id: &str) -> String {
    json!({"room_id": room_id, "user_info": {"name": "Ann", "user_id": user_id}}).to_string()
}
