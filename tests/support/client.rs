//! Clients over TLS: one that speaks HTTP properly, and one that sends bytes.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::raw::{Raw, RawAnswer};

/// Nothing in a test takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(90);

/// Knows one gateway and its certificate.
#[derive(Clone)]
pub struct Client {
    addr: SocketAddr,
    roots: Arc<RootCertStore>,
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// A header that is there once, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().map(|value| value.to_str().unwrap());
        assert!(values.next().is_none(), "{name} is there twice: {self:?}");
        value
    }

    /// The `Set-Cookie` of this name, which is there once.
    pub fn set_cookie(&self, name: &str) -> Option<&str> {
        let lines = self.headers.get_all("set-cookie").iter();
        let mut found = lines.filter_map(|line| {
            let line = line.to_str().unwrap();
            line.split_once('=').filter(|(of, _)| *of == name).map(|_| line)
        });
        let cookie = found.next();
        assert!(found.next().is_none(), "{name} is set twice: {self:?}");
        cookie
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Client {
    pub fn trusting(certificate: &Path, addr: SocketAddr) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(certificate).unwrap())
            .unwrap();
        Self {
            addr,
            roots: Arc::new(roots),
        }
    }

    /// A TLS connection that offers this ALPN.
    pub async fn connect(&self, alpn: &[u8]) -> TlsStream<TcpStream> {
        self.over(TcpStream::connect(self.addr).await.unwrap(), alpn)
            .await
    }

    /// As `connect`, over a connection that is there.
    pub async fn over(&self, stream: TcpStream, alpn: &[u8]) -> TlsStream<TcpStream> {
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(self.config(alpn))
            .connect(name, stream)
            .await
            .unwrap()
    }

    /// Of a client that offers this ALPN, and remembers sessions.
    pub fn config(&self, alpn: &[u8]) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(Arc::clone(&self.roots))
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        Arc::new(config)
    }

    /// One request over HTTP/1.1; `Host` is the gateway's unless it is given.
    pub async fn request(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let stream = TokioIo::new(self.connect(b"http/1.1").await);
        let (mut sender, connection) = conn::http1::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(target);
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request = request.header("Host", format!("localhost:{}", self.addr.port()));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
        let answer = whole(sender.send_request(request)).await;
        connection.abort();
        answer
    }

    /// Requests over one connection; the status of each. The headers are those of each, by its number.
    pub async fn statuses(
        &self,
        requests: u32,
        target: &str,
        headers: impl Fn(u32) -> Vec<(String, String)>,
    ) -> Vec<u16> {
        let stream = TokioIo::new(self.connect(b"http/1.1").await);
        let (mut sender, connection) = conn::http1::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut statuses = Vec::new();
        for number in 0..requests {
            let mut request = Request::post(target).header("Host", format!("localhost:{}", self.addr.port()));
            for (name, value) in headers(number) {
                request = request.header(name, value);
            }
            let request = request.body(Full::new(Bytes::from_static(b"{}"))).unwrap();
            statuses.push(whole(sender.send_request(request)).await.status);
        }
        connection.abort();
        statuses
    }

    /// One request over HTTP/2.
    pub async fn request_h2(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let stream = TokioIo::new(self.connect(b"h2").await);
        let (mut sender, connection) = conn::http2::handshake(TokioExecutor::new(), stream)
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        let uri = format!("https://localhost:{}{target}", self.addr.port());
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
        let answer = whole(sender.send_request(request)).await;
        connection.abort();
        answer
    }

    /// A request without a body over HTTP/2, whose answer may break off.
    pub async fn try_request_h2(&self, method: &str, target: &str) -> hyper::Result<Bytes> {
        let stream = TokioIo::new(self.connect(b"h2").await);
        let (mut sender, connection) = conn::http2::handshake(TokioExecutor::new(), stream).await?;
        let connection = tokio::spawn(connection);
        let uri = format!("https://localhost:{}{target}", self.addr.port());
        let request = Request::builder().method(method).uri(uri);
        let response = sender.send_request(request.body(Full::new(Bytes::new())).unwrap());
        let body = async { Ok(response.await?.into_body().collect().await?.to_bytes()) };
        let body = timeout(PATIENCE, body).await.expect("the answer does not end");
        connection.abort();
        body
    }

    /// A connection for bytes, over HTTP/1.1.
    pub async fn raw(&self) -> Raw<TlsStream<TcpStream>> {
        Raw::over(self.connect(b"http/1.1").await)
    }

    /// These bytes over HTTP/1.1, and the answer to them.
    pub async fn ask_raw(&self, bytes: impl AsRef<[u8]>) -> RawAnswer {
        let mut connection = self.raw().await;
        connection.send(bytes).await;
        connection.answer().await
    }

    /// These bytes over HTTP/1.1, and all that comes back until the gateway closes; empty lines are the caller's.
    pub async fn send_raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect(b"http/1.1").await;
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer))
            .await
            .expect("the gateway does not close")
            .ok();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// One GET over HTTP/1.1 without TLS, by the number of the address.
pub async fn plain_get(addr: SocketAddr, target: &str) -> Answer {
    plain_get_at(&addr.to_string(), addr, target).await
}

/// As `plain_get`, for this host.
pub async fn plain_get_at(host: &str, addr: SocketAddr, target: &str) -> Answer {
    let stream = TokioIo::new(TcpStream::connect(addr).await.unwrap());
    let (mut sender, connection) = conn::http1::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get(target).header("Host", host);
    let answer = whole(sender.send_request(request.body(Full::new(Bytes::new())).unwrap())).await;
    connection.abort();
    answer
}

async fn whole(
    response: impl Future<Output = hyper::Result<hyper::Response<hyper::body::Incoming>>>,
) -> Answer {
    let response = timeout(PATIENCE, response)
        .await
        .expect("the gateway does not answer")
        .unwrap();
    let (head, body) = response.into_parts();
    let body = timeout(PATIENCE, body.collect())
        .await
        .expect("the answer does not end")
        .unwrap()
        .to_bytes();
    Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body,
    }
}
