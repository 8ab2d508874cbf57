//! The HTTPS listener: PROXY header, TLS, then HTTP.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tracing::{debug, warn};

use super::{
    accept::Serve,
    beside::{Beside, Owner, Way},
    handshakes::Handshakes,
    proxy_header,
    replay::Replayed,
};
use crate::{
    addr::{ClientAddr, Ends, Networks},
    conn::{Conn, ConnSettings, Handler, Protocol},
    observe::{Metrics, OnceAMinute},
    places::Place,
    tls::{HandshakeError, Negotiated, Tls, TlsStream},
};

#[derive(Clone, Debug)]
pub struct HttpsSettings {
    /// Does each connection begin with a PROXY header, in which a trusted proxy tells the client's address?
    pub proxy_protocol: bool,
    /// The networks whose PROXY header is read. With `proxy_protocol`, connections from elsewhere are refused.
    pub proxies: Networks,
    /// How long each of these may take: the first byte, the PROXY header, the TLS handshake.
    pub deadline: Duration,
}

/// The size in bytes of the first read: most hellos of browsers fit.
const FIRST_BYTES: usize = 2560;

/// A connection that is ready to be served, by what it speaks.
enum Begun {
    Tls(Box<Replayed<TlsStream<TcpStream>>>, Protocol, Ends),
    /// Plain HTTP, which is refused.
    Plain(Replayed<TcpStream>, Ends),
    Turn(Box<Replayed<TlsStream<TcpStream>>>, Ends),
    /// A connection whose TLS is not terminated here.
    Onward(Way, Replayed<TcpStream>, Ends),
}

/// What the first bytes and the hello of a connection tell.
enum Greeted {
    Tls(Box<TlsStream<TcpStream>>, Negotiated),
    Plain(Replayed<TcpStream>),
    Onward(Way, Replayed<TcpStream>),
    /// The connection begins with a PROXY header, and none is expected.
    Header,
}

pub struct Https<H> {
    settings: Arc<HttpsSettings>,
    tls: Tls,
    conn: Conn<H>,
    metrics: Arc<Metrics>,
    no_header: OnceAMinute,
    strangers: OnceAMinute,
    odd_header: OnceAMinute,
    handshakes: Handshakes,
    beside: Option<Arc<Beside>>,
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
            odd_header: self.odd_header.clone(),
            handshakes: self.handshakes.clone(),
            beside: self.beside.clone(),
        }
    }
}

impl<H: Handler> Https<H> {
    /// Makes a listener that speaks this TLS and serves connections with `conn`. It counts the connections that it
    /// refuses.
    pub fn new(settings: HttpsSettings, tls: Tls, conn: Conn<H>, metrics: Arc<Metrics>) -> Self {
        Self {
            settings: Arc::new(settings),
            tls,
            conn,
            handshakes: Handshakes::new(Arc::clone(&metrics)),
            metrics,
            beside: None,
            odd_header: OnceAMinute::new(|count| {
                warn!(
                    count,
                    "Connections began with a PROXY header and were refused, as listen.proxy_protocol is false: set it to true, \
                     or have the proxy send none"
                );
            }),
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

    /// The same listener with other settings.
    #[must_use]
    pub fn under(&self, settings: Arc<HttpsSettings>, conn: Arc<ConnSettings>) -> Self {
        Self {
            settings,
            conn: self.conn.under(conn),
            ..self.clone()
        }
    }

    /// The same listener, with other protocols on its port.
    #[must_use]
    pub fn shared_with(mut self, beside: Beside) -> Self {
        self.handshakes.leaving_is_normal();
        self.beside = Some(Arc::new(beside));
        self
    }

    async fn begin(&self, mut stream: TcpStream, ends: Ends, place: &Place) -> Option<Begun> {
        if !self.may_come(ends.peer.ip()) {
            return None;
        }
        let mut first = Vec::new();
        let ends = if self.settings.proxy_protocol {
            // Not a byte may be read beyond the header.
            self.spoke(stream.peek(&mut [0]), place).await?;
            self.real_ends(&mut stream, ends).await?
        } else {
            self.spoke(read_some(&mut stream, &mut first), place).await?;
            ends
        };
        if !place.belongs_to(ClientAddr(ends.peer.ip())) {
            return None;
        }
        let greeted = match timeout(self.settings.deadline, self.greet(stream, first)).await {
            Ok(Ok(greeted)) => greeted,
            Ok(Err(error)) => return self.refuse(ends, &error),
            Err(_late) => return self.refuse(ends, &HandshakeError::Deadline),
        };
        match greeted {
            Greeted::Tls(mut stream, Negotiated::Check) => {
                self.handshakes.succeeded();
                debug!(peer = %ends.peer, "A CA has checked a name");
                let _: Result<_, _> = timeout(self.settings.deadline, stream.shutdown()).await;
                None
            }
            Greeted::Tls(stream, negotiated) => {
                self.handshakes.succeeded();
                self.owned(*stream, negotiated, ends).await
            }
            Greeted::Plain(stream) => {
                self.handshakes.was_plain_http(ends.peer);
                Some(Begun::Plain(stream, ends))
            }
            Greeted::Onward(way, stream) => Some(Begun::Onward(way, stream, ends)),
            Greeted::Header => {
                debug!(peer = %ends.peer, "A PROXY header that nobody asked for is refused");
                self.odd_header.add(1);
                self.metrics.connection_refused("proxy_header");
                None
            }
        }
    }

    /// Finds out what a connection speaks, and shakes hands if its TLS is terminated here.
    async fn greet(&self, mut stream: TcpStream, mut first: Vec<u8>) -> Result<Greeted, HandshakeError> {
        if first.is_empty() {
            read_some(&mut stream, &mut first)
                .await
                .map_err(HandshakeError::Tls)?;
        }
        match First::of(&first) {
            First::Letter => return Ok(Greeted::Plain(Replayed::new(first, stream))),
            First::ProxyHeader => return Ok(Greeted::Header),
            First::Other => {}
        }
        if let Some(beside) = &self.beside {
            return Box::pin(self.greet_beside(beside, stream, first)).await;
        }
        let (stream, negotiated) = self.tls.handshake(stream, first).await?;
        Ok(Greeted::Tls(Box::new(stream), negotiated))
    }

    /// Shakes hands, unless the connection is for somebody else on this port.
    async fn greet_beside(
        &self,
        beside: &Beside,
        stream: TcpStream,
        first: Vec<u8>,
    ) -> Result<Greeted, HandshakeError> {
        let hello = self.tls.hello(stream, first).await?;
        if let Some(way) = hello.name().and_then(|name| beside.way(&name)) {
            let (stream, seen) = hello.into_parts();
            return Ok(Greeted::Onward(way, Replayed::new(seen, stream)));
        }
        let (stream, negotiated) = self.tls.after(hello).await?;
        Ok(Greeted::Tls(Box::new(stream), negotiated))
    }

    /// Finds out whether a connection whose TLS is terminated here is HTTP or TURN; `None` if it is neither.
    async fn owned(&self, stream: TlsStream<TcpStream>, negotiated: Negotiated, ends: Ends) -> Option<Begun> {
        let Some(beside) = &self.beside else {
            return match negotiated {
                Negotiated::Http(protocol) => {
                    let stream = Box::new(Replayed::new(Vec::new(), stream));
                    Some(Begun::Tls(stream, protocol, ends))
                }
                Negotiated::Turn | Negotiated::Check => None,
            };
        };
        match beside.owner(stream, negotiated).await {
            Owner::Http(stream, protocol) => Some(Begun::Tls(stream, protocol, ends)),
            Owner::Turn(stream) => Some(Begun::Turn(stream, ends)),
            Owner::Nobody => None,
        }
    }

    fn refuse(&self, ends: Ends, error: &HandshakeError) -> Option<Begun> {
        self.handshakes.failed(ends.peer, error);
        self.metrics.connection_refused(match error {
            HandshakeError::Deadline => "deadline",
            HandshakeError::Protocol | HandshakeError::Tls(_) => "tls",
        });
        None
    }

    /// SECURITY: only from a trusted proxy, and from one always: a header that is optional could be forged by leaving
    /// the real one out. Whoever is no such proxy has gone around it, and does not come this far.
    async fn real_ends(&self, stream: &mut TcpStream, ends: Ends) -> Option<Ends> {
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

    /// Waits for the first bytes; `None` if they don't come. A proxy that closes without a byte only checks whether
    /// somebody listens; a proxy that has a client sends its header at once.
    async fn spoke(&self, first: impl Future<Output = io::Result<usize>>, place: &Place) -> Option<()> {
        match timeout(self.settings.deadline, first).await {
            Ok(Ok(0) | Err(_)) => return None,
            Ok(Ok(_)) => {}
            Err(_late) => {
                if self.settings.proxy_protocol {
                    self.no_header.add(1);
                }
                self.metrics.connection_refused("deadline");
                return None;
            }
        }
        place.spoke();
        Some(())
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

/// What the first bytes of a connection are.
enum First {
    /// A letter, with which a method of plain HTTP begins; a TLS handshake begins with the byte 22 (RFC 8446 section
    /// 5.1).
    Letter,
    ProxyHeader,
    Other,
}

impl First {
    fn of(bytes: &[u8]) -> Self {
        match bytes {
            bytes if proxy_header::begins(bytes) => Self::ProxyHeader,
            [byte, ..] if byte.is_ascii_alphabetic() => Self::Letter,
            _ => Self::Other,
        }
    }
}

async fn read_some(stream: &mut TcpStream, first: &mut Vec<u8>) -> io::Result<usize> {
    first.reserve(FIRST_BYTES);
    stream.read_buf(first).await
}

impl<H: Handler> Serve for Https<H> {
    async fn serve(&self, stream: TcpStream, ends: Ends, place: Place) {
        // A connection that has not begun is given up when a drain waits no longer for it, or when another client needs
        // the place.
        // Each part is in a box of its own: the task, which is moved several times before it runs, stays small, and nothing is
        // held of a part that is over.
        let begun = tokio::select! {
            begun = Box::pin(self.begin(stream, ends, &place)) => begun,
            () = place.has_to_go() => return,
            () = self.conn.too_late() => return,
        };
        match begun {
            Some(Begun::Tls(stream, protocol, ends)) => {
                self.conn.serve(*stream, protocol, ends, &place).await;
            }
            Some(Begun::Plain(stream, ends)) => self.conn.refuse_plain(stream, ends, &place).await,
            Some(Begun::Turn(stream, ends)) => {
                if let Some(beside) = &self.beside {
                    Box::pin(beside.turn(*stream, ends, &place)).await;
                }
            }
            Some(Begun::Onward(way, stream, ends)) => {
                if let Some(beside) = &self.beside {
                    Box::pin(beside.pass(way, stream, ends, &place)).await;
                }
            }
            None => {}
        }
    }
}
