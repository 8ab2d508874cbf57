//! The front door: PROXY header, TLS, then HTTP.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tracing::{debug, warn};

use super::{
    accept::{Door, accept},
    proxy_header,
};
use crate::{
    addr::{ClientAddr, Ends, Networks},
    conn::{Conn, Handler, Protocol},
    drain::Drain,
    observe::OnceAMinute,
    places::{Place, Places},
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
    no_header: OnceAMinute,
    strangers: OnceAMinute,
}

impl<H> Clone for Https<H> {
    fn clone(&self) -> Self {
        Self {
            settings: Arc::clone(&self.settings),
            tls: self.tls.clone(),
            conn: self.conn.clone(),
            no_header: self.no_header.clone(),
            strangers: self.strangers.clone(),
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
            no_header: OnceAMinute::new(|count| {
                warn!(
                    count,
                    "Connections of trusted proxies came without a sound PROXY header and were refused: have the proxy send \
                     one (send-proxy), or set listen.proxy_protocol = false"
                );
            }),
            strangers: OnceAMinute::new(|count| {
                warn!(
                    count,
                    "Connections from outside of trust.proxies were refused, as listen.proxy_protocol is true"
                );
            }),
        }
    }

    /// Takes connections until the drain begins.
    pub async fn run(self, listener: TcpListener, places: Places, drain: Drain, workers: Arc<Workers>) {
        accept(listener, self, places, drain, workers).await;
    }

    /// SECURITY: only from a trusted proxy, and from one always: a header that is optional could be forged by leaving
    /// the real one out. Whoever is no such proxy has gone around it, and does not come this far.
    async fn real_ends(&self, stream: &mut TcpStream, ends: Ends) -> Option<Ends> {
        if !self.settings.proxy_protocol {
            return Some(ends);
        }
        match timeout(self.settings.deadline, proxy_header::read(stream, ends)).await {
            Ok(Ok(real)) => Some(real),
            Ok(Err(error)) => {
                debug!(peer = %ends.peer, %error, "A proxy's PROXY header is refused");
                self.no_header.add(1);
                None
            }
            Err(_late) => {
                debug!(peer = %ends.peer, "A proxy's PROXY header did not come in time");
                self.no_header.add(1);
                None
            }
        }
    }

    /// Waits for the first byte. A proxy that closes without any only looks whether somebody listens; one that has a client
    /// and a header sends that at once.
    async fn begun(&self, stream: &TcpStream, place: &Place) -> bool {
        match timeout(self.settings.deadline, stream.peek(&mut [0])).await {
            Ok(Ok(0) | Err(_)) => return false,
            Ok(Ok(_)) => {}
            Err(_late) => {
                if self.settings.proxy_protocol {
                    self.no_header.add(1);
                }
                return false;
            }
        }
        place.spoke();
        true
    }

    fn may_come(&self, peer: IpAddr) -> bool {
        let may = !self.settings.proxy_protocol || self.settings.proxies.contains(peer);
        if !may {
            debug!(%peer, "A connection that comes from no trusted proxy is refused");
            self.strangers.add(1);
        }
        may
    }

    async fn opened(
        &self,
        mut stream: TcpStream,
        ends: Ends,
        place: &Place,
    ) -> Option<(
        impl AsyncRead + AsyncWrite + Send + Unpin + 'static + use<H>,
        Protocol,
        Ends,
    )> {
        if !self.may_come(ends.peer.ip()) || !self.begun(&stream, place).await {
            return None;
        }
        let ends = self.real_ends(&mut stream, ends).await?;
        if !place.belongs_to(ClientAddr(ends.peer.ip())) {
            return None;
        }
        match self.tls.handshake(stream).await {
            Ok((stream, protocol)) => Some((stream, protocol, ends)),
            Err(error) => {
                debug!(peer = %ends.peer, %error, "A TLS handshake failed");
                None
            }
        }
    }
}

impl<H: Handler> Door for Https<H> {
    async fn serve(&self, stream: TcpStream, ends: Ends, place: Place) {
        let opened = tokio::select! {
            opened = self.opened(stream, ends, &place) => opened,
            () = place.has_to_go() => None,
        };
        if let Some((stream, protocol, ends)) = opened {
            self.conn.serve(stream, protocol, ends, &place).await;
        }
    }
}
