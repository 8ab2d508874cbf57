//! A CA that does what a test wants, where a real one can't be made to: it refuses orders in every way, and says when to
//! renew. No proof of a name is asked for unless the test wants one, and then the test says when it has passed; no signature is
//! looked at.

use std::{
    collections::VecDeque,
    fs,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PublicKeyData, SignatureAlgorithm};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::{FromDer, X509CertificationRequest};

use super::{addr::own_ip, peer::Peer};

/// How a new order is answered.
#[derive(Clone, Copy, Debug)]
pub enum Refusal {
    /// 429, and for how many seconds.
    Busy(u32),
    /// What it replaces has been replaced.
    Replaced,
    /// Half an answer.
    Half,
    /// No JSON.
    Nonsense,
}

pub struct StubCa {
    peer: Peer,
    folder: TempDir,
    state: Arc<State>,
}

struct State {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
    url: Mutex<String>,
    refusals: Mutex<VecDeque<Refusal>>,
    /// From and until, in seconds since 1970.
    window: Mutex<Option<(i64, i64)>>,
    orders: Mutex<Vec<Value>>,
    issued: Mutex<String>,
    /// Does it sign, and say nothing of it?
    held: AtomicBool,
    /// How the check of a name stands that is asked for; none is.
    check: Mutex<Option<&'static str>>,
    /// Checks and accounts that it was asked for.
    checks: AtomicUsize,
    accounts: AtomicUsize,
}

/// Of the only check.
pub const TOKEN: &str = "to_k-en";

/// A key of which the public half alone is known.
struct Public(Vec<u8>);

impl PublicKeyData for Public {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl StubCa {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let ip = own_ip().to_string();
        let names = vec![ip.clone()];
        let own = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        fs::write(folder.path().join("ca.pem"), own.pem()).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_key = KeyPair::generate().unwrap();
        let root = params.self_signed(&root_key).unwrap().der().clone();
        let state = Arc::new(State {
            issuer: Issuer::new(params, root_key),
            root,
            url: Mutex::default(),
            refusals: Mutex::default(),
            window: Mutex::default(),
            orders: Mutex::default(),
            issued: Mutex::default(),
            held: AtomicBool::default(),
            check: Mutex::default(),
            checks: AtomicUsize::default(),
            accounts: AtomicUsize::default(),
        });
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone()], der)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let serving = Arc::clone(&state);
        let peer = Peer::at(&format!("{ip}:0"), move |stream: TcpStream| {
            let (acceptor, state) = (acceptor.clone(), Arc::clone(&serving));
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    state.serve(stream).await;
                }
            }
        })
        .await;
        *state.url.lock().unwrap() = format!("https://{}", peer.addr);
        Self { peer, folder, state }
    }

    /// For a gateway with this public name that keeps its certificates there.
    pub fn toml(&self, name: &str, storage: &std::path::Path) -> String {
        format!(
            "public_origin = 'https://{name}'\n[acme]\naccept_terms = true\ndirectory = 'https://{}/dir'\nroots = '{}'\n\
             storage = '{}'\npreflight = false\n",
            self.peer.addr,
            self.certificate().display(),
            storage.display()
        )
    }

    /// The certificate of its own server.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// What it signs with.
    pub fn root(&self) -> CertificateDer<'static> {
        self.state.root.clone()
    }

    /// The next orders are refused like this.
    pub fn refuse(&self, refusals: &[Refusal]) {
        self.state.refusals.lock().unwrap().extend(refusals);
    }

    /// When certificates are to be renewed, in seconds since 1970.
    pub fn wants(&self, from: i64, until: i64) {
        *self.state.window.lock().unwrap() = Some((from, until));
    }

    /// Orders are under way from now on, or come to their end.
    pub fn hold(&self, held: bool) {
        self.state.held.store(held, Ordering::SeqCst);
    }

    /// A check by http-01 is asked for from now on, and goes on until it has passed.
    pub fn check(&self, has_passed: bool) {
        let stands = if has_passed { "valid" } else { "pending" };
        *self.state.check.lock().unwrap() = Some(stands);
    }

    /// How often it was asked to check.
    pub fn checks(&self) -> usize {
        self.state.checks.load(Ordering::SeqCst)
    }

    /// How many accounts were wanted.
    pub fn accounts(&self) -> usize {
        self.state.accounts.load(Ordering::SeqCst)
    }

    /// Has a key come?
    pub fn has_signed(&self) -> bool {
        !self.state.issued.lock().unwrap().is_empty()
    }

    /// The ACME directory.
    pub fn directory(&self) -> String {
        format!("https://{}/dir", self.peer.addr)
    }

    /// All that it was asked for.
    pub fn orders(&self) -> Vec<Value> {
        self.state.orders.lock().unwrap().clone()
    }
}

impl State {
    async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let length = super::raw::header(&head, "content-length").map_or(0, |text| text.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let path = head.split(' ').nth(1).unwrap();
        let payload = serde_json::from_slice::<Value>(&body).ok().map(|jws| {
            let text = BASE64_URL_SAFE_NO_PAD.decode(jws["payload"].as_str().unwrap());
            serde_json::from_slice(&text.unwrap()).unwrap_or(Value::Null)
        });
        let answer = self.answer(path, &payload.unwrap_or_default());
        stream.write_all(answer.as_bytes()).await.ok();
        stream.shutdown().await.ok();
    }

    fn answer(&self, path: &str, payload: &Value) -> String {
        let url = self.url.lock().unwrap().clone();
        let order = |status: &str, replaces: &Value| {
            let mut order = json!({
                "status": status,
                "authorizations": [format!("{url}/authorization")],
                "finalize": format!("{url}/finalize"),
                "certificate": format!("{url}/certificate"),
            });
            if !replaces.is_null() {
                order["replaces"] = replaces.clone();
            }
            order.to_string()
        };
        match path {
            "/dir" => {
                let at = |name: &str| format!("{url}/{name}");
                let directory = json!({
                    "newNonce": at("nonce"), "newAccount": at("account"), "newOrder": at("order"),
                    "revokeCert": at("revoke"), "keyChange": at("key"), "renewalInfo": at("renewal"),
                });
                told(200, "", &directory.to_string())
            }
            "/nonce" => "HTTP/1.1 200 OK\r\nReplay-Nonce: bm9uY2U\r\nContent-Length: 0\r\n\r\n".into(),
            "/account" => {
                self.accounts.fetch_add(1, Ordering::SeqCst);
                told(
                    201,
                    &format!("Location: {url}/account/1\r\n"),
                    &json!({"status": "valid"}).to_string(),
                )
            }
            "/challenge" => {
                self.checks.fetch_add(1, Ordering::SeqCst);
                *self.check.lock().unwrap() = Some("processing");
                told(200, "", &self.challenge(&url).to_string())
            }
            "/authorization" => {
                let challenge = self.challenge(&url);
                let stands = match challenge["status"].as_str() {
                    Some("valid") => "valid",
                    _ => "pending",
                };
                let name = self.orders.lock().unwrap().last().unwrap()["identifiers"][0].clone();
                let authorization = json!({
                    "status": stands, "identifier": name, "challenges": [challenge],
                });
                told(200, "", &authorization.to_string())
            }
            "/order" => {
                self.orders.lock().unwrap().push(payload.clone());
                let location = format!("Location: {url}/order/1\r\n");
                match self.refusals.lock().unwrap().pop_front() {
                    None => told(201, &location, &order(self.begins(), &payload["replaces"])),
                    Some(Refusal::Busy(seconds)) => told(
                        429,
                        &format!("Retry-After: {seconds}\r\n"),
                        &problem(429, "rateLimited", "too many certificates (5) already issued"),
                    ),
                    Some(Refusal::Replaced) => told(
                        409,
                        "",
                        &problem(409, "alreadyReplaced", "certificate has already been replaced"),
                    ),
                    Some(Refusal::Half) => {
                        let whole = told(201, &location, &order("ready", &Value::Null));
                        whole[..whole.len() - 40].to_owned()
                    }
                    Some(Refusal::Nonsense) => told(201, &location, "<html>Down for maintenance</html>"),
                }
            }
            "/finalize" => {
                self.sign(payload["csr"].as_str().unwrap());
                told(200, "", &order(self.stands(), &Value::Null))
            }
            "/order/1" if self.issued.lock().unwrap().is_empty() => {
                told(200, "", &order(self.begins(), &Value::Null))
            }
            "/order/1" => told(200, "", &order(self.stands(), &Value::Null)),
            "/certificate" => told(200, "", &self.issued.lock().unwrap()),
            path if path.starts_with("/renewal/") => {
                let at = |unix: i64| {
                    let time = OffsetDateTime::from_unix_timestamp(unix).unwrap();
                    let (date, (hour, minute, second)) = (time.date(), time.to_hms());
                    format!("{date}T{hour:02}:{minute:02}:{second:02}Z")
                };
                match *self.window.lock().unwrap() {
                    Some((from, until)) => {
                        let window = json!({"suggestedWindow": {"start": at(from), "end": at(until)}});
                        told(200, "Retry-After: 60\r\n", &window.to_string())
                    }
                    None => told(404, "", &problem(404, "malformed", "no such certificate")),
                }
            }
            _ => told(404, "", &problem(404, "malformed", "not found")),
        }
    }

    fn challenge(&self, url: &str) -> Value {
        let stands = self.check.lock().unwrap().unwrap_or("pending");
        json!({ "type": "http-01", "url": format!("{url}/challenge"), "token": TOKEN, "status": stands })
    }

    /// How an order stands that nobody has sent a key for.
    fn begins(&self) -> &'static str {
        match *self.check.lock().unwrap() {
            None | Some("valid") => "ready",
            Some(_) => "pending",
        }
    }

    fn stands(&self) -> &'static str {
        if self.held.load(Ordering::SeqCst) {
            "processing"
        } else {
            "valid"
        }
    }

    fn sign(&self, request: &str) {
        let der = BASE64_URL_SAFE_NO_PAD.decode(request).unwrap();
        let (_, parsed) = X509CertificationRequest::from_der(&der).unwrap();
        let public = Public(
            parsed
                .certification_request_info
                .subject_pki
                .subject_public_key
                .data
                .to_vec(),
        );
        let order = self.orders.lock().unwrap().last().unwrap().clone();
        let name = order["identifiers"][0]["value"].as_str().unwrap().to_owned();
        let mut params = CertificateParams::new(vec![name]).unwrap();
        params.use_authority_key_identifier_extension = true;
        let now = OffsetDateTime::now_utc();
        params.not_before = now;
        params.not_after = now + time::Duration::days(90);
        *self.issued.lock().unwrap() = params.signed_by(&public, &self.issuer).unwrap().pem();
    }
}

fn problem(status: u16, of_type: &str, detail: &str) -> String {
    json!({
        "type": format!("urn:ietf:params:acme:error:{of_type}"),
        "detail": detail,
        "status": status,
    })
    .to_string()
}

fn told(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} Said\r\nReplay-Nonce: bm9uY2U\r\n{headers}Content-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
