//! What people get who come to the public address: looked at from another machine, which needs nothing but that address and,
//! for the deep half, the API key and its secret.
//!
//! SECURITY: tokens and signatures go over TLS whose certificate is trusted, or not at all. They are for a room of the doctor's
//! own, which nobody makes, and end after a minute.

mod caa;
mod meeting;
mod old;
mod relay;
mod sizes;
mod socket;
mod web;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, Response};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use url::Url;

pub use self::{caa::*, meeting::*, old::*, relay::*, sizes::*, socket::*, web::*};
use crate::{
    http::without_brackets,
    proxy::OwnClient,
    secret::Secret,
    token::{Claims, TokenKeys},
};

/// The most time for one answer.
const ANSWER: Duration = Duration::from_secs(15);
/// The most time for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// The most bytes of one answer: scripts of the client's have 1.2 MB.
const MAX_BYTES: usize = 16 << 20;
/// A room that nobody makes.
const ROOM: &str = "plugnmeet-gateway-doctor";
/// How long a token of the doctor's is valid.
const VALID_SECONDS: i64 = 60;

/// What is looked at from outside.
#[derive(Clone, Debug)]
pub struct OutsideSettings {
    /// The public address; its path is the mount, `/conference` without one.
    pub url: Url,
    /// Certificates that are trusted in place of the system's.
    pub roots: Option<PathBuf>,
    pub api_key: String,
    pub secret: Option<Secret<String>>,
    /// A key of `LiveKit`'s with its secret.
    pub livekit: Option<(String, Secret<String>)>,
    /// A site that shows meetings in a frame.
    pub frame: Option<String>,
    /// `turn.domain`, if it is not the host of the address.
    pub turn: Option<String>,
    pub turn_udp: u16,
    /// The port of plain HTTP.
    pub http: u16,
    /// The largest upload that is to be taken, in bytes.
    pub body_bytes: u64,
    /// Who is asked about records of DNS.
    pub resolver: Option<SocketAddr>,
    /// How long a WebSocket has to stay open.
    pub silence: Duration,
    /// Unix time in seconds.
    pub now: i64,
}

/// The address, reached or not.
pub struct Outside {
    settings: OutsideSettings,
    host: String,
    port: u16,
    mount: String,
    tls: Option<Arc<ClientConfig>>,
    keys: Option<TokenKeys>,
    away: Option<String>,
}

impl Outside {
    pub async fn reach(settings: OutsideSettings) -> Result<Self, String> {
        if settings.url.scheme() != "https" {
            return Err("write an address that begins with https://".into());
        }
        let host = settings.url.host_str().ok_or("the address has no host")?;
        let path = settings.url.path().trim_end_matches('/');
        let mut outside = Self {
            host: without_brackets(host).to_owned(),
            port: settings.url.port_or_known_default().unwrap_or(443),
            mount: if path.is_empty() {
                "/conference".into()
            } else {
                path.to_owned()
            },
            tls: None,
            keys: None,
            away: None,
            settings,
        };
        if let Some(secret) = &outside.settings.secret {
            let keys = TokenKeys::new(outside.settings.api_key.clone(), secret);
            outside.keys = Some(keys.map_err(|problem| format!("the secret {problem}"))?);
        }
        let roots = match &outside.settings.roots {
            Some(file) => roots_of(file)?,
            None => native_roots()?,
        };
        outside.tls = Some(client(roots)?);
        outside.away = outside.connect(&outside.host, outside.port, &[]).await.err();
        Ok(outside)
    }

    /// Is there TLS that is trusted?
    pub fn is_reached(&self) -> bool {
        self.away.is_none()
    }

    pub fn has_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// Host and port, as `Host` has them.
    fn authority(&self) -> String {
        let host = self.settings.url.host_str().unwrap_or_default();
        self.settings
            .url
            .port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    async fn connect(&self, host: &str, port: u16, alpn: &[&[u8]]) -> Result<TlsStream<TcpStream>, String> {
        let mut config = self.tls.as_deref().cloned().ok_or("TLS is not set up")?;
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let connecting = async {
            let stream = TcpStream::connect((host, port)).await;
            let stream = stream.map_err(|error| format!("no connection to {host}, port {port}: {error}"))?;
            let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
            connected.map_err(|error| format!("no TLS with {host}, port {port}: {error}"))
        };
        timeout(CONNECT, connecting).await.map_err(|_| {
            format!(
                "no connection to {host}, port {port}, within {} s",
                CONNECT.as_secs()
            )
        })?
    }

    async fn ask(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response<Bytes>, String> {
        let tls = self.tls.clone().ok_or("TLS is not set up")?;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("https://{}{target}", self.authority()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::new(Bytes::copy_from_slice(body)))
            .map_err(|error| error.to_string())?;
        let own_client = OwnClient::trusting(tls, ANSWER, MAX_BYTES);
        own_client
            .send(request, None)
            .await
            .map_err(|error| error.to_string())
    }

    async fn get(&self, target: &str, headers: &[(&str, &str)]) -> Result<Response<Bytes>, String> {
        self.ask(Method::GET, target, headers, b"").await
    }

    /// A token for the doctor's own room.
    fn token(&self) -> Option<Secret<String>> {
        let keys = self.keys.as_ref()?;
        let user = "plugnmeet-gateway-doctor".to_owned();
        let claims = Claims {
            client_type: 0,
            exp: self.settings.now + VALID_SECONDS,
            is_admin: false,
            is_hidden: false,
            iss: keys.api_key().to_owned(),
            name: "Doctor".to_owned(),
            nbf: self.settings.now,
            room_id: ROOM.to_owned(),
            sub: user.clone(),
            user_id: user,
        };
        keys.sign(&claims).ok()
    }
}

/// The beginning of what somebody else says.
fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().take(80).collect()
}

/// What the gateway says itself, where no upstream answers: for machines it has the server's JSON (docs/plugnmeet.md section 1),
/// which neither `LiveKit` nor its ingress speaks, and in which the server refuses no webhook.
fn own_words(answer: &Response<Bytes>) -> Option<String> {
    let said: Value = serde_json::from_slice(answer.body()).ok()?;
    said.get("status_code")?;
    Some(said.get("msg")?.as_str()?.to_owned())
}

fn header<'r>(response: &'r Response<Bytes>, name: &str) -> &'r str {
    let value = response.headers().get(name);
    value.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn client(roots: RootCertStore) -> Result<Arc<ClientConfig>, String> {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())
        .map(|builder| Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

fn roots_of(file: &std::path::Path) -> Result<RootCertStore, String> {
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(file).map_err(|error| told(&error))? {
        let root = root.map_err(|error| told(&error))?;
        roots.add(root).map_err(|error| told(&error))?;
    }
    Ok(roots)
}

fn native_roots() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("this machine trusts nobody: install ca-certificates, or name a file by --roots".into());
    }
    Ok(roots)
}
