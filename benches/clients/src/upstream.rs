//! Stands where plugnmeet-server, NATS and a recording's disk would, and costs as little as can be: one answer to every
//! request that has a body, once all of it is there; zeros to a download; an echo on WebSockets; and the web client's files
//! for those who serve none, as plugnmeet-server does it behind `HAProxy`.
//!
//! Over TLS as well, for the ceiling of new connections. A socket for log lines beside it stands for the syslog of those
//! that write to no file.

use std::{io, sync::Arc};

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use base64::{Engine, prelude::BASE64_STANDARD};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::{Ticketer, default_provider},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, UnixDatagram},
};
use tokio_rustls::TlsAcceptor;

use crate::{Outcome, options::Options};

/// Like a join token's answer in form and size.
const TOKEN: &str = r#"{"status":true, "msg":"success", "status_code":"SUCCESS", "token":"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjE3OTU0MDYyNDQsImlzcyI6InBsdWdubWVldCIsIm5hbWUiOiJBbm4iLCJuYmYiOjE3OTU0MDU2NDQsInJvb21faWQiOiJyb29tMDEiLCJzdWIiOiJhbm4iLCJ1c2VyX2lkIjoiYW5uIn0.c2lnbmF0dXJlIG9mIHRoaXJ0eS10d28gYnl0ZXMsIGhlcmU"}"#;

/// Of every file of the web client.
const FILE_TAG: &str = "\"1\"";

const MAX_HEAD: usize = 64 << 10;

/// What a large body is read and written in.
const PIECE: usize = 256 << 10;

pub fn run(options: &Options) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let certificate = CertificateDer::from_pem_file(options.text("certificate")?)?;
        let key = PrivateKeyDer::from_pem_file(options.text("key")?)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        config.ticketer = Ticketer::new()?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));

        let log = UnixDatagram::bind(options.text("log")?)?;
        tokio::spawn(async move {
            let mut line = vec![0; 64 << 10];
            while log.recv(&mut line).await.is_ok() {}
        });
        let plain = TcpListener::bind(options.text("plain")?).await?;
        let tls = TcpListener::bind(options.text("secure")?).await?;
        tokio::spawn(async move {
            while let Ok((socket, _)) = tls.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    socket.set_nodelay(true)?;
                    let mut stream = acceptor.accept(socket).await?;
                    serve(&mut stream).await?;
                    stream.shutdown().await
                });
            }
        });
        loop {
            let (socket, _) = plain.accept().await?;
            tokio::spawn(async move {
                socket.set_nodelay(true)?;
                serve(socket).await
            });
        }
    })
}

/// What a request asks for.
enum Asked {
    Body(u64),
    Zeros(u64),
    /// A file of the web client, or whether it is another than the client has.
    File {
        is_known: bool,
    },
    Echo(String),
}

struct Head {
    length: usize,
    asked: Asked,
    last: bool,
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut read = Vec::with_capacity(4096);
    loop {
        let Some(head) = parse(&read)? else {
            if read.len() > MAX_HEAD || stream.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
            continue;
        };
        read.drain(..head.length);
        match head.asked {
            Asked::Body(bytes) => {
                skip(&mut stream, &mut read, bytes).await?;
                let connection = if head.last { "Connection: close\r\n" } else { "" };
                let answer = format!(
                    "HTTP/1.1 200 OK\r\n{connection}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{TOKEN}",
                    TOKEN.len()
                );
                stream.write_all(answer.as_bytes()).await?;
            }
            Asked::Zeros(bytes) => {
                let head =
                    format!("HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: {bytes}\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                let mut zeros = BufReader::with_capacity(PIECE, tokio::io::repeat(0).take(bytes));
                tokio::io::copy_buf(&mut zeros, &mut stream).await?;
            }
            Asked::File { is_known } => {
                let answer = if is_known {
                    format!("HTTP/1.1 304 Not Modified\r\nETag: {FILE_TAG}\r\n\r\n")
                } else {
                    let file = "a".repeat(1024);
                    format!(
                        "HTTP/1.1 200 OK\r\nETag: {FILE_TAG}\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{file}",
                        file.len()
                    )
                };
                stream.write_all(answer.as_bytes()).await?;
            }
            Asked::Echo(key) => {
                let head = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: {}\r\n\r\n",
                    accept(&key)
                );
                stream.write_all(head.as_bytes()).await?;
                return echo(stream, read).await;
            }
        }
        if head.last {
            return Ok(());
        }
    }
}

fn parse(read: &[u8]) -> io::Result<Option<Head>> {
    let bad = |_| io::Error::from(io::ErrorKind::InvalidData);
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(length) = request.parse(read).map_err(|error| bad(error.to_string()))?
    else {
        return Ok(None);
    };
    let value = |name: &str| {
        let field = request
            .headers
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(name));
        field.and_then(|field| str::from_utf8(field.value).ok())
    };
    let number = |text: &str| text.parse().map_err(|_| bad(text.to_owned()));
    let path = request.path.unwrap_or_default();
    let asked = if let Some(key) = value("sec-websocket-key") {
        Asked::Echo(key.to_owned())
    } else if let Some(bytes) = path.strip_prefix("/download/recording/") {
        Asked::Zeros(number(bytes)?)
    } else if path.starts_with("/conference/") {
        Asked::File {
            is_known: value("if-none-match") == Some(FILE_TAG),
        }
    } else {
        Asked::Body(value("content-length").map_or(Ok(0), number)?)
    };
    let last = value("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Ok(Some(Head { length, asked, last }))
}

/// Reads a body away.
async fn skip(stream: &mut (impl AsyncRead + Unpin), read: &mut Vec<u8>, mut bytes: u64) -> io::Result<()> {
    let here = bytes.min(read.len() as u64);
    read.drain(..usize::try_from(here).unwrap_or(read.len()));
    bytes -= here;
    if bytes == 0 {
        return Ok(());
    }
    let mut piece = vec![0; PIECE];
    while bytes > 0 {
        let most = usize::try_from(bytes).unwrap_or(usize::MAX).min(piece.len());
        match stream.read(&mut piece[..most]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => bytes -= count as u64,
        }
    }
    Ok(())
}

/// RFC 6455 section 4.2.2.
fn accept(key: &str) -> String {
    let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key.as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64_STANDARD.encode(hash.finish())
}

/// Sends each message back, unmasked, and all that were read at once in one go.
async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin, mut read: Vec<u8>) -> io::Result<()> {
    let mut answer = Vec::new();
    loop {
        while let Some((masked, header, length)) = frame(&read) {
            // RFC 6455 section 5.5.1: a close is answered by the same.
            let close = read[0] & 0x0f == 8;
            answer.push(read[0]);
            answer.push(read[1] & 0x7f);
            answer.extend_from_slice(&read[2..header]);
            let mask: [u8; 4] = read[header..header + 4].try_into().unwrap_or_default();
            let body = &read[masked..masked + length];
            answer.extend(
                body.iter()
                    .zip(mask.iter().cycle())
                    .map(|(byte, mask)| byte ^ mask),
            );
            read.drain(..masked + length);
            if close {
                return stream.write_all(&answer).await;
            }
        }
        stream.write_all(&answer).await?;
        answer.clear();
        if stream.read_buf(&mut read).await? == 0 {
            return Ok(());
        }
    }
}

/// Where a frame's payload begins, where its mask does, and how long it is; none as long as not all of it is there.
fn frame(read: &[u8]) -> Option<(usize, usize, usize)> {
    let short = usize::from(read.get(1)? & 0x7f);
    let (header, length) = match short {
        126 => (
            4,
            usize::from(u16::from_be_bytes(read.get(2..4)?.try_into().ok()?)),
        ),
        127 => (
            10,
            usize::try_from(u64::from_be_bytes(read.get(2..10)?.try_into().ok()?)).ok()?,
        ),
        _ => (2, short),
    };
    let payload = header + 4;
    (read.len() >= payload + length).then_some((payload, header, length))
}
