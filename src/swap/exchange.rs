//! One exchange with whoever has the front's ports: bytes over TLS, without a library's idea of what is right.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use aws_lc_rs::rand;
use base64::{Engine, prelude::BASE64_STANDARD};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::turn::{binding_request, message_length};

/// The most time for one request and its answer.
const TIME: Duration = Duration::from_secs(10);
/// The most that is read of an answer: the client's page has some KB.
const MAX_BYTES: usize = 256 << 10;

/// The front, as this machine reaches it.
#[derive(Clone)]
pub struct Front {
    pub https: SocketAddr,
    pub http: Option<SocketAddr>,
    /// Whom it trusts. It offers no ALPN: HTTP/1.1, and TURN, are spoken without.
    pub tls: Arc<ClientConfig>,
    /// The public host, as TLS has it and as `Host` has it.
    pub name: ServerName<'static>,
    pub authority: String,
}

pub(super) struct Said {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) rest: Vec<u8>,
}

impl Said {
    pub(super) fn field<'s>(&'s self, name: &'s str) -> Option<&'s str> {
        self.fields(name).next()
    }

    pub(super) fn fields<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines
            .filter(move |(of, _)| of.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }
}

/// Why there is no answer.
pub(super) type Silent = String;

impl Front {
    pub(super) async fn get(&self, path: &str, more: &str) -> Result<Said, Silent> {
        let head = self.head(path, &format!("Connection: close\r\n{more}"));
        within(async { ask(self.secured(&self.name).await?, &head, usize::MAX).await }).await
    }

    /// As `get`, on the port without TLS.
    pub(super) async fn get_plain(&self, at: SocketAddr, path: &str) -> Result<Said, Silent> {
        let head = self.head(path, "Connection: close\r\n");
        within(async { ask(connect(at).await?, &head, usize::MAX).await }).await
    }

    /// Opens a WebSocket and reads the beginning of its first frame.
    pub(super) async fn socket(&self, path: &str) -> Result<Said, Silent> {
        let mut key = [0; 16];
        rand::fill(&mut key).map_err(|_| "there are no random bytes")?;
        let upgrade = format!(
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\nOrigin: https://{}\r\n",
            BASE64_STANDARD.encode(key),
            self.authority
        );
        let head = self.head(path, &upgrade);
        within(async { ask(self.secured(&self.name).await?, &head, FRAME_BYTES).await }).await
    }

    /// Asks a TURN server behind this name who we are.
    pub(super) async fn turn(&self, name: &ServerName<'static>) -> Result<(), Silent> {
        let mut transaction = [0; 12];
        rand::fill(&mut transaction).map_err(|_| "there are no random bytes")?;
        within(async {
            let mut stream = self.secured(name).await?;
            let sent = stream.write_all(&binding_request(transaction)).await;
            sent.map_err(|error| error.to_string())?;
            let mut got = Vec::new();
            loop {
                let mut part = [0; 512];
                match stream.read(&mut part).await {
                    Ok(0) => return Err("closed without an answer".to_owned()),
                    Ok(bytes) => got.extend(part.iter().take(bytes)),
                    Err(error) => return Err(error.to_string()),
                }
                match message_length(&got) {
                    Some(whole) if got.len() >= whole => return Ok(()),
                    None if got.len() >= STUN_HEADER_BYTES => {
                        return Err("what came is no answer of TURN's".to_owned());
                    }
                    Some(_) | None => {}
                }
            }
        })
        .await
    }

    pub(super) async fn takes_connections(&self, at: SocketAddr) -> Result<(), Silent> {
        within(async { connect(at).await.map(drop) }).await
    }

    fn head(&self, path: &str, more: &str) -> String {
        format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: plugnmeet-gateway swap\r\n{more}\r\n",
            self.authority
        )
    }

    async fn secured(
        &self,
        name: &ServerName<'static>,
    ) -> Result<impl AsyncRead + AsyncWrite + Unpin + use<>, Silent> {
        let stream = connect(self.https).await?;
        let secured = TlsConnector::from(Arc::clone(&self.tls))
            .connect(name.clone(), stream)
            .await;
        secured.map_err(|error| format!("TLS: {error}"))
    }
}

/// Enough of a frame to know NATS by.
const FRAME_BYTES: usize = 9;
const STUN_HEADER_BYTES: usize = 20;

async fn within<T>(exchange: impl Future<Output = Result<T, Silent>>) -> Result<T, Silent> {
    timeout(TIME, exchange)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", TIME.as_secs())))
}

async fn connect(at: SocketAddr) -> Result<TcpStream, Silent> {
    TcpStream::connect(at)
        .await
        .map_err(|error| format!("{at}: {error}"))
}

/// Sends a head, and reads the answer's, with as many bytes behind it as are wanted, or until the end.
async fn ask(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    head: &str,
    wanted: usize,
) -> Result<Said, Silent> {
    let sent = stream.write_all(head.as_bytes()).await;
    sent.map_err(|error| error.to_string())?;
    let mut got = Vec::new();
    loop {
        let end = memchr::memmem::find(&got, b"\r\n\r\n").map(|at| at + 4);
        if end.is_some_and(|end| got.len() - end >= wanted) || got.len() > MAX_BYTES {
            return said(&got);
        }
        let mut part = [0; 4096];
        match stream.read(&mut part).await {
            Ok(0) => return said(&got),
            Ok(bytes) => got.extend(part.iter().take(bytes)),
            // Some end a connection without a word of TLS.
            Err(_) if end.is_some() => return said(&got),
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn said(got: &[u8]) -> Result<Said, Silent> {
    let whole = memchr::memmem::find(got, b"\r\n\r\n").and_then(|at| got.split_at_checked(at + 4));
    let (head, rest) = whole.ok_or("closed without an answer")?;
    let head = String::from_utf8_lossy(head).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Said {
        status: status.ok_or("what came is no HTTP")?,
        head,
        rest: rest.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_came() {
        let said = said(
            b"HTTP/1.1 303 See Other\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nLocation: s/x/\r\n\r\nrest",
        )
        .unwrap();
        assert_eq!((said.status, said.rest.as_slice()), (303, &b"rest"[..]));
        assert_eq!(said.field("location"), Some("s/x/"));
        assert_eq!(said.fields("SET-COOKIE").collect::<Vec<_>>(), ["a=1", "b=2"]);
        assert_eq!(said.field("other"), None);
    }

    #[test]
    fn what_is_no_answer_is_none() {
        assert!(said(b"").is_err());
        assert!(said(b"HTTP/1.1 200 OK\r\n").is_err());
        assert!(said(b"\0\x03 x\r\n\r\n").is_err());
    }
}
