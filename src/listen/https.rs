//! The front door: PROXY header, TLS, then HTTP.

use std::{sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tracing::debug;

use super::{
    accept::{Door, accept},
    proxy_header,
};
use crate::{
    addr::{Ends, Networks},
    conn::{Conn, Handler},
    drain::Drain,
    tls::Tls,
    workers::Workers,
};

/// How connections begin.
#[derive(Clone, Debug)]
pub struct HttpsSettings {
    /// Does a trusted proxy say with a PROXY header who calls?
    pub proxy_protocol: bool,
    /// Who is trusted to.
    pub proxies: Networks,
    /// For the PROXY header.
    pub deadline: Duration,
}

/// The front door.
pub struct Https<H> {
    settings: Arc<HttpsSettings>,
    tls: Tls,
    conn: Conn<H>,
}

impl<H> Clone for Https<H> {
    fn clone(&self) -> Self {
        Self {
            settings: Arc::clone(&self.settings),
            tls: self.tls.clone(),
            conn: self.conn.clone(),
        }
    }
}

impl<H: Handler> Https<H> {
    /// A door that speaks this TLS and leads to these connections.
    pub fn new(settings: HttpsSettings, tls: Tls, conn: Conn<H>) -> Self {
        Self {
            settings: Arc::new(settings),
            tls,
            conn,
        }
    }

    /// Takes connections until the drain begins.
    pub async fn run(self, listener: TcpListener, drain: Drain, workers: Arc<Workers>) {
        accept(listener, self, drain, workers).await;
    }

    /// SECURITY: only from a trusted proxy, and from one always: a header that is optional could be forged by leaving
    /// the real one out.
    async fn real_ends(&self, stream: &mut TcpStream, ends: Ends) -> Option<Ends> {
        if !self.settings.proxy_protocol || !self.settings.proxies.contains(ends.peer.ip()) {
            return Some(ends);
        }
        match timeout(self.settings.deadline, proxy_header::read(stream, ends)).await {
            Ok(Ok(real)) => Some(real),
            Ok(Err(error)) => {
                debug!(peer = %ends.peer, %error, "A proxy's PROXY header is refused");
                None
            }
            Err(_late) => {
                debug!(peer = %ends.peer, "A proxy's PROXY header did not come in time");
                None
            }
        }
    }
}

impl<H: Handler> Door for Https<H> {
    async fn serve(&self, mut stream: TcpStream, ends: Ends) {
        let Some(ends) = self.real_ends(&mut stream, ends).await else {
            return;
        };
        match self.tls.handshake(stream).await {
            Ok((stream, protocol)) => self.conn.serve(stream, protocol, ends).await,
            Err(error) => debug!(peer = %ends.peer, %error, "A TLS handshake failed"),
        }
    }
}
