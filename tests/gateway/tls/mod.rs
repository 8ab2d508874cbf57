//! TLS, over real sockets: certificates by name, versions, groups, the self-made certificate, and the PROXY protocol in
//! front of it all.

mod handshake;
mod proxy_protocol;

use std::{io, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, ServerName, pem::PemObject},
    version::{TLS12, TLS13},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{
    Gateway,
    binary::{Serving, anywhere},
    raw::Raw,
};

fn certificate(file: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file).unwrap()
}

/// Which client connects.
struct Visitor {
    trusts: Vec<CertificateDer<'static>>,
    provider: CryptoProvider,
    versions: Vec<&'static SupportedProtocolVersion>,
    alpn: Vec<Vec<u8>>,
    names_host: bool,
}

impl Visitor {
    fn trusting(files: &[&Path]) -> Self {
        Self {
            trusts: files.iter().map(|file| certificate(file)).collect(),
            provider: aws_lc_rs::default_provider(),
            versions: vec![&TLS13, &TLS12],
            alpn: Vec::new(),
            names_host: true,
        }
    }

    async fn visit(&self, stream: TcpStream, host: &str) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        for anchor in &self.trusts {
            roots.add(anchor.clone()).unwrap();
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(self.provider.clone()))
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols.clone_from(&self.alpn);
        config.enable_sni = self.names_host;
        let name = ServerName::try_from(host.to_owned()).unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    async fn call(&self, gateway: &Gateway, host: &str) -> io::Result<TlsStream<TcpStream>> {
        self.visit(TcpStream::connect(gateway.https).await.unwrap(), host)
            .await
    }
}

/// What was refused, and in how many lines of the log it is told.
async fn told(trusted: &str, comes: &[u8], warning: &str) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    let variables = [
        &anywhere()[..],
        &[("LISTEN__PROXY_PROTOCOL", "true"), ("TRUST__PROXIES", trusted)],
    ]
    .concat();
    let mut serving = Serving::start(folder.path(), &["serve"], &variables).await;
    for _ in 0..30 {
        let mut connection = Raw::over(TcpStream::connect(serving.https).await.unwrap());
        connection.try_send(comes).await.ok();
        assert!(connection.rest().await.0.is_empty());
    }
    // A balancer that only looks whether somebody listens.
    let mut connection = Raw::over(TcpStream::connect(serving.https).await.unwrap());
    connection.half_close().await;
    connection.rest().await;
    serving.says(warning).await;
    let line = serde_json::from_str(serving.said.lines().last().unwrap()).unwrap();
    serving.signal("TERM").await;
    let (_, said) = serving.end().await;
    assert_eq!(said.matches(warning).count(), 1, "{said}");
    line
}
