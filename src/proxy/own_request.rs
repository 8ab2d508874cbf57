//! One request of the gateway's own to a server that is no upstream: a CA, or a program on this machine.
//!
//! Each has a connection of its own, as there are few; all of it ends within one time, and an answer has few bytes.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body::Body;
use hyper::{
    Request, Response, Uri,
    header::{self, HeaderValue},
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::once::once;
use crate::{http::without_brackets, reply::BoxError};

/// Makes requests; clones share what they trust.
#[derive(Clone)]
pub struct OwnClient {
    tls: Option<Arc<ClientConfig>>,
    within: Duration,
    max_bytes: usize,
}

impl OwnClient {
    /// Over plain HTTP alone. Each request may take so long, and its answer may have so many bytes.
    pub fn plain(within: Duration, max_bytes: usize) -> Self {
        Self {
            tls: None,
            within,
            max_bytes,
        }
    }

    /// Over TLS too, to servers whom these settings trust.
    pub fn trusting(tls: Arc<ClientConfig>, within: Duration, max_bytes: usize) -> Self {
        Self {
            tls: Some(tls),
            within,
            max_bytes,
        }
    }

    /// Sends a request with an absolute target, and reads the answer whole. No redirect is followed. `at` is where the server
    /// is, if that is not what its name says.
    pub async fn send<B>(
        &self,
        request: Request<B>,
        at: Option<SocketAddr>,
    ) -> Result<Response<Bytes>, BoxError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        timeout(self.within, self.sent(request, at))
            .await
            .map_err(|_| format!("no answer within {} s", self.within.as_secs()))?
    }

    async fn sent<B>(
        &self,
        mut request: Request<B>,
        at: Option<SocketAddr>,
    ) -> Result<Response<Bytes>, BoxError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let target = request.uri().clone();
        let authority = target.authority().ok_or("the address has no host")?;
        let host = without_brackets(authority.host()).to_owned();
        let over_tls = match target.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) | None => return Err("the address is neither https nor http".into()),
        };
        let port = target.port_u16().unwrap_or(if over_tls { 443 } else { 80 });
        let stream = match at {
            Some(addr) => TcpStream::connect(addr).await,
            None => TcpStream::connect((host.as_str(), port)).await,
        };
        let stream = stream.map_err(|error| format!("no connection to {host}, port {port}: {error}"))?;
        if !request.headers().contains_key(header::HOST) {
            let named = HeaderValue::from_str(authority.as_str())?;
            request.headers_mut().insert(header::HOST, named);
        }
        let path = target.path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse::<Uri>()?;
        if !over_tls {
            return once(stream, request, self.max_bytes).await;
        }
        let tls = self.tls.clone().ok_or("TLS is not spoken here")?;
        let stream = TlsConnector::from(tls)
            .connect(ServerName::try_from(host)?, stream)
            .await?;
        once(stream, request, self.max_bytes).await
    }
}

/// The socket at which a host and port are, for those that take one address.
pub async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((without_brackets(host), port))
        .await?
        .collect())
}
