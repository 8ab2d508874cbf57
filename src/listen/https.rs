//! The front door: PROXY header, TLS, then HTTP.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio::{net::TcpStream, time::timeout};
use tracing::{debug, warn};

use super::{accept::Door, proxy_header};
use crate::{
    addr::{ClientAddr, Ends, Networks},
    conn::{Conn, ConnSettings, Handler, Protocol},
    observe::{Metrics, OnceAMinute},
    places::Place,
    tls::{HandshakeError, Tls, TlsStream},
};

#[derive(Clone, Debug)]
pub struct HttpsSettings {
    /// Does a trusted proxy say with a PROXY header who calls?
    pub proxy_protocol: bool,
    /// Networks whose PROXY header is read; connections from elsewhere are refused.
    pub proxies: Networks,
    /// How long the PROXY header may take.
    pub deadline: Duration,
}

/// A connection that is ready to be served.
enum Begun {
    Tls(Box<TlsStream<TcpStream>>, Protocol, Ends),
    /// Plain HTTP, which is refused.
    Plain(TcpStream, Ends),
}

/// The HTTPS listener.
pub struct Https<H> {
    settings: Arc<HttpsSettings>,
    tls: Tls,
    conn: Conn<H>,
    metrics: Arc<Metrics>,
    no_header: OnceAMinute,
    strangers: OnceAMinute,
}

impl<H> Clone for Https<H> {
    fn clone(&self) -> Self {
        Self {
            settings: Arc::clone(&self.settings),
            tls: self.tls.clone(),
            conn: self.conn.clone(),
            metrics: Arc::clone(&self.metrics),
            no_header: self.no_header.clone(),
            strangers: self.strangers.clone(),
        }
    }
}

impl<H: Handler> Https<H> {
    /// A door that speaks this TLS and leads to these connections; who does not get in is counted.
    pub fn new(settings: HttpsSettings, tls: Tls, conn: Conn<H>, metrics: Arc<Metrics>) -> Self {
        Self {
            settings: Arc::new(settings),
            tls,
            conn,
            metrics,
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

    /// The same door for a connection under other settings.
    #[must_use]
    pub fn under(&self, settings: Arc<HttpsSettings>, conn: Arc<ConnSettings>) -> Self {
        Self {
            settings,
            conn: self.conn.under(conn),
            ..self.clone()
        }
    }

    async fn begin(&self, mut stream: TcpStream, ends: Ends, place: &Place) -> Option<Begun> {
        if !self.may_come(ends.peer.ip()) || !self.spoke(&stream, place).await {
            return None;
        }
        let ends = self.real_ends(&mut stream, ends).await?;
        if !place.belongs_to(ClientAddr(ends.peer.ip())) {
            return None;
        }
        let hello = async {
            if speaks_plain_http(&stream).await {
                return Ok(Begun::Plain(stream, ends));
            }
            let (stream, protocol) = self.tls.handshake(stream).await?;
            Ok(Begun::Tls(Box::new(stream), protocol, ends))
        };
        let error = match timeout(self.settings.deadline, hello).await {
            Ok(Ok(begun)) => return Some(begun),
            Ok(Err(error)) => error,
            Err(_late) => HandshakeError::Deadline,
        };
        debug!(peer = %ends.peer, %error, "A TLS handshake failed");
        self.metrics.connection_refused(match error {
            HandshakeError::Deadline => "deadline",
            HandshakeError::Tls(_) => "tls",
        });
        None
    }

    /// SECURITY: only from a trusted proxy, and from one always: a header that is optional could be forged by leaving
    /// the real one out. Whoever is no such proxy has gone around it, and does not come this far.
    async fn real_ends(&self, stream: &mut TcpStream, ends: Ends) -> Option<Ends> {
        if !self.settings.proxy_protocol {
            return Some(ends);
        }
        match timeout(self.settings.deadline, proxy_header::read(stream, ends)).await {
            Ok(Ok(real)) => return Some(real),
            Ok(Err(error)) => {
                debug!(peer = %ends.peer, %error, "A proxy's PROXY header is refused");
            }
            Err(_late) => {
                debug!(peer = %ends.peer, "A proxy's PROXY header did not come in time");
            }
        }
        self.no_header.add(1);
        self.metrics.connection_refused("proxy_header");
        None
    }

    /// Waits for the first byte. A proxy that closes without any only looks whether somebody listens; one that has a client
    /// and a header sends that at once.
    async fn spoke(&self, stream: &TcpStream, place: &Place) -> bool {
        match timeout(self.settings.deadline, stream.peek(&mut [0])).await {
            Ok(Ok(0) | Err(_)) => return false,
            Ok(Ok(_)) => {}
            Err(_late) => {
                if self.settings.proxy_protocol {
                    self.no_header.add(1);
                }
                self.metrics.connection_refused("deadline");
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
}

/// A method begins with a letter; a TLS record of a handshake with 22 (RFC 8446 section 5.1).
async fn speaks_plain_http(stream: &TcpStream) -> bool {
    let mut first = [0];
    matches!(stream.peek(&mut first).await, Ok(1)) && first.iter().all(u8::is_ascii_alphabetic)
}

impl<H: Handler> Door for Https<H> {
    async fn serve(&self, stream: TcpStream, ends: Ends, place: Place) {
        // A client that says nothing is not waited for once nothing new is taken, or somebody else needs its place.
        let begun = tokio::select! {
            begun = self.begin(stream, ends, &place) => begun,
            () = place.has_to_go() => return,
            () = self.conn.too_late() => return,
        };
        match begun {
            Some(Begun::Tls(stream, protocol, ends)) => {
                self.conn.serve(*stream, protocol, ends, &place).await;
            }
            Some(Begun::Plain(stream, ends)) => self.conn.refuse_plain(stream, ends, &place).await,
            None => {}
        }
    }
}
