//! The stream beside rustls' own buffered connection: the same bytes, ends, errors and alerts, however they come in.

mod endings;
mod handshake;
mod passing;
mod sealed;

use std::io::Read as _;

use rustls::{
    ClientConfig, ClientConnection, ServerConfig, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::ServerName,
    version::{TLS12, TLS13},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::tls::testing::{configured, credulous};

const BOTH: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// Who may be whose server: a connection of ours may have settled.
const OURS: [(By, &SupportedProtocolVersion); 3] =
    [(By::Us, &TLS12), (By::Us, &TLS13), (By::Settled, &TLS13)];

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Rustls,
    Us,
    Settled,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

fn client(version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    Arc::new(credulous(aws_lc_rs::default_provider(), &[version]))
}

fn name() -> ServerName<'static> {
    ServerName::try_from("conf.example.org").unwrap()
}

async fn accept(by: By, stream: DuplexStream) -> io::Result<Box<dyn Stream>> {
    accept_as(by, configured(), stream).await
}

async fn accept_as(by: By, config: Arc<ServerConfig>, stream: DuplexStream) -> io::Result<Box<dyn Stream>> {
    Ok(match by {
        By::Rustls => Box::new(TlsAcceptor::from(config).accept(stream).await?),
        By::Us | By::Settled => {
            let mut stream = TlsStream::accept(stream, Vec::new(), config, Arc::default(), None).await?;
            if by == By::Settled {
                settle(&mut stream);
            }
            Box::new(stream)
        }
    })
}

/// The connection settles at once, as its tickets were the last thing that was said.
fn settle<S>(stream: &mut TlsStream<S>) {
    stream.session.has_spoken();
    stream.session.settle();
    assert!(stream.session.agreed().is_none() && stream.session.failed().is_none());
}

/// A client of rustls', whose records are handed over by the test.
struct Client {
    tls: ClientConnection,
    wire: DuplexStream,
}

impl Client {
    /// The records that are to be sent.
    fn records(&mut self) -> Vec<u8> {
        let mut records = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut records).unwrap();
        }
        records
    }

    fn say(&mut self, text: &[u8]) -> Vec<u8> {
        io::Write::write_all(&mut self.tls.writer(), text).unwrap();
        self.records()
    }

    async fn send(&mut self, records: &[u8]) {
        self.wire.write_all(records).await.unwrap();
    }

    /// Reads all that comes until the server is gone: the plaintext, and how it ended.
    async fn all(mut self) -> (Vec<u8>, Result<(), String>) {
        let mut records = Vec::new();
        self.wire.read_to_end(&mut records).await.unwrap();
        let (mut records, mut plain) = (&records[..], Vec::new());
        loop {
            let read = self.tls.read_tls(&mut records).unwrap();
            if let Err(error) = self.tls.process_new_packets() {
                return (plain, Err(error.to_string()));
            }
            if let Err(error) = self.tls.reader().read_to_end(&mut plain)
                && error.kind() != io::ErrorKind::WouldBlock
            {
                return (plain, Err(error.to_string()));
            }
            if read == 0 {
                return (plain, Ok(()));
            }
        }
    }
}

/// A connection whose handshake is done, over a wire that holds this many bytes.
async fn pair(
    by: By,
    version: &'static SupportedProtocolVersion,
    wire_bytes: usize,
) -> (Client, Box<dyn Stream>) {
    let (near, far) = duplex(wire_bytes);
    let connecting = TlsConnector::from(client(version)).connect(name(), near);
    let (client, server) = tokio::join!(connecting, accept(by, far));
    let (wire, tls) = client.unwrap().into_inner();
    (Client { tls, wire }, server.unwrap())
}

fn some_bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

/// What a server reads until nothing more comes.
async fn heard(server: &mut (impl AsyncRead + Unpin)) -> (Vec<u8>, Option<(io::ErrorKind, String)>) {
    let mut plain = Vec::new();
    let ended = server.read_to_end(&mut plain).await;
    (plain, ended.err().map(|error| (error.kind(), error.to_string())))
}
