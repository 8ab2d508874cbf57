//! A connection to whoever is measured: TLS 1.3, or plain where nobody stands before the upstream.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, SignatureScheme, StreamOwned,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, aws_lc_rs::cipher_suite, aws_lc_rs::kx_group},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::{Outcome, options::Options};

/// Nobody waits longer for a byte: what hangs is a failure, not a slow answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where to connect, and how.
#[derive(Clone)]
pub struct Endpoint {
    address: String,
    /// The name in the hello.
    name: ServerName<'static>,
    tls: Option<Arc<ClientConfig>>,
}

/// An open connection.
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Endpoint {
    /// From `--to`, `--tls` (no, full or resumed), `--groups` (x25519 or hybrid) and `--name`, which is `localhost`.
    pub fn of(options: &Options) -> Outcome<Self> {
        let address = options.text("to")?.to_owned();
        let name = ServerName::try_from(options.maybe("name").unwrap_or("localhost").to_owned())?;
        let resumption = match options.text("tls")? {
            "no" => {
                return Ok(Self {
                    address,
                    name,
                    tls: None,
                });
            }
            "full" => Resumption::disabled(),
            "resumed" => Resumption::in_memory_sessions(64),
            other => return Err(format!("--tls {other}: no, full or resumed").into()),
        };
        let kx_groups = match options.maybe("groups").unwrap_or("x25519") {
            "x25519" => vec![kx_group::X25519],
            "hybrid" => vec![kx_group::X25519MLKEM768, kx_group::X25519],
            other => return Err(format!("--groups {other}: x25519 or hybrid").into()),
        };
        // One cipher and one group, so that the peers' own taste does not decide what is compared.
        let provider = CryptoProvider {
            cipher_suites: vec![cipher_suite::TLS13_AES_128_GCM_SHA256],
            kx_groups,
            ..aws_lc_rs::default_provider()
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unchecked))
            .with_no_client_auth();
        config.resumption = resumption;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            address,
            name,
            tls: Some(Arc::new(config)),
        })
    }

    /// The settings of TLS; none where there is no TLS.
    pub fn tls(&self) -> Option<&Arc<ClientConfig>> {
        self.tls.as_ref()
    }

    /// What goes into `Host`.
    pub fn authority(&self) -> &str {
        &self.address
    }

    /// Connects; a handshake comes with the first bytes.
    pub fn connect(&self) -> Outcome<Stream> {
        let socket = TcpStream::connect(&self.address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let Some(config) = &self.tls else {
            return Ok(Stream::Plain(socket));
        };
        let tls = ClientConnection::new(Arc::clone(config), self.name.clone())?;
        Ok(Stream::Tls(Box::new(StreamOwned::new(tls, socket))))
    }
}

impl Stream {
    /// Did the handshake resume an earlier one?
    pub fn resumed(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.conn.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(into),
            Self::Tls(stream) => stream.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(from),
            Self::Tls(stream) => stream.write(from),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// Takes any certificate: a benchmark's own was made a minute ago, and checking it is the client's work.
#[derive(Debug)]
struct Unchecked;

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
