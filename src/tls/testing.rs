//! For the tests of this room: folders of certificates made for the purpose, and clients that take any of them.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, LazyLock},
};

use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SignatureScheme, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tempfile::TempDir;
use tokio::io::DuplexStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use x509_parser::time::ASN1Time;

use super::{HandshakeError, Negotiated, Tls};
use crate::acme::AnyCertificate;

/// 2026-07-25, in the afternoon.
pub(super) const NOW: i64 = 1_785_000_000;
pub(super) const DAY: i64 = 24 * 3600;

/// A certificate to be written: valid from 30 days ago until in 60 days.
pub(super) struct Made {
    params: CertificateParams,
    key: KeyPair,
}

pub(super) fn made(names: &[&str]) -> Made {
    made_with(names, &rcgen::PKCS_ECDSA_P256_SHA256)
}

pub(super) fn made_with(names: &[&str], algorithm: &'static SignatureAlgorithm) -> Made {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let made = Made {
        params: CertificateParams::new(names).unwrap(),
        key: KeyPair::generate_for(algorithm).unwrap(),
    };
    made.valid(NOW - 30 * DAY, NOW + 60 * DAY)
}

impl Made {
    /// As `certbot --must-staple` orders it.
    pub(super) fn must_staple(mut self) -> Self {
        let content = vec![0x30, 3, 2, 1, 5];
        let feature = rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 24], content);
        self.params.custom_extensions.push(feature);
        self
    }

    pub(super) fn valid(mut self, from: i64, until: i64) -> Self {
        self.params.not_before = ASN1Time::from_timestamp(from).unwrap().to_datetime();
        self.params.not_after = ASN1Time::from_timestamp(until).unwrap().to_datetime();
        self
    }

    pub(super) fn pem(&self) -> String {
        self.params.self_signed(&self.key).unwrap().pem()
    }

    pub(super) fn key(&self) -> String {
        self.key.serialize_pem()
    }

    /// Writes `NAME.pem` and `NAME.key`.
    pub(super) fn write(self, dir: &TempDir, name: &str) -> Self {
        fs::write(dir.path().join(format!("{name}.pem")), self.pem()).unwrap();
        let key = dir.path().join(format!("{name}.key"));
        fs::write(&key, self.key()).unwrap();
        fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
        self
    }
}

pub(super) fn certificate(file: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file).unwrap()
}

pub(super) struct Seen {
    pub client: TlsStream<DuplexStream>,
    pub alpn: Negotiated,
}

impl Seen {
    pub(super) fn certificate(&self) -> CertificateDer<'static> {
        self.client.get_ref().1.peer_certificates().unwrap()[0].clone()
    }
}

/// Does a handshake in memory.
pub(super) async fn connect(tls: &Tls, name: &str, client: ClientConfig) -> Result<Seen, HandshakeError> {
    let (near, far) = tokio::io::duplex(16 * 1024);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connector = TlsConnector::from(Arc::new(client));
    let (client, server) = tokio::join!(connector.connect(name, near), tls.handshake(far, Vec::new()));
    let (_, alpn) = server?;
    Ok(Seen {
        client: client.map_err(HandshakeError::Tls)?,
        alpn,
    })
}

/// A client that takes any certificate.
pub(super) fn credulous(
    provider: CryptoProvider,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let verifier = AnyCertificate::by(provider.clone());
    credulous_with(verifier, provider, versions)
}

/// A client that takes any certificate, but checks signatures by RSA only.
pub(super) fn credulous_of_rsa() -> ClientConfig {
    let provider = aws_lc_rs::default_provider();
    let verifier = AnyCertificate {
        schemes: vec![SignatureScheme::RSA_PSS_SHA256],
        provider: provider.clone(),
    };
    credulous_with(verifier, provider, rustls::ALL_VERSIONS)
}

fn credulous_with(
    verifier: AnyCertificate,
    provider: CryptoProvider,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth()
}

/// A client as anybody has it, with one certificate in its trust store.
pub(super) fn trusting(anchor: CertificateDer<'static>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(anchor).unwrap();
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// The settings of a server that has one certificate.
pub(super) fn configured() -> Arc<ServerConfig> {
    static MADE: LazyLock<Arc<ServerConfig>> = LazyLock::new(|| configured_by(aws_lc_rs::default_provider()));
    Arc::clone(&MADE)
}

pub(super) fn configured_by(provider: CryptoProvider) -> Arc<ServerConfig> {
    let made = made(&["conf.example.org"]);
    let certificate = CertificateDer::from_pem_slice(made.pem().as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(made.key().as_bytes()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.ticketer = aws_lc_rs::Ticketer::new().unwrap();
    config.enable_secret_extraction = true;
    Arc::new(config)
}
