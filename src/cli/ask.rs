//! Sends one HTTPS request to the gateway on this machine.
//!
//! The request trusts the certificates in `tls.certs` themselves, as nobody else has their keys, and every certificate
//! that they have signed. So a self-made certificate needs no entry in the system's store, and need not be a proper
//! certificate authority.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, header};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::{http::without_brackets, proxy, reply::BoxError};

/// How long the connection, the handshake and the answer may take together: plugnmeet-server may take 20 s for a token
/// (docs/plugnmeet.md section 0.20).
const TIME: Duration = Duration::from_secs(30);

/// The most bytes of an answer. No answer of getJoinToken is as long.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Posts `body` to `https://AUTHORITY/path` at `addr`, and gives the status and the body of the answer.
pub(super) async fn ask(
    addr: SocketAddr,
    trusted: Vec<CertificateDer<'static>>,
    (authority, path): (&str, &str),
    headers: &[(&str, String)],
    body: Vec<u8>,
) -> Result<(u16, Bytes), BoxError> {
    let mut request = Request::post(path)
        .header(header::HOST, authority)
        .header(header::CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request.body(Full::new(Bytes::from(body)))?;
    let name = server_name(authority)?;
    let exchange = async {
        let tls = TlsConnector::from(Arc::new(client(trusted)?));
        let stream = tls.connect(name, TcpStream::connect(addr).await?).await?;
        let answer = proxy::once(stream, request, MAX_ANSWER_BYTES).await?;
        Ok((answer.status().as_u16(), answer.into_body()))
    };
    tokio::time::timeout(TIME, exchange)
        .await
        .map_err(|_| format!("no answer within {} s", TIME.as_secs()))?
}

/// Reads all certificates of the files `*.pem` in a folder.
pub(super) fn certificates(folder: &Path) -> Result<Vec<CertificateDer<'static>>, BoxError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "pem") {
            let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&file)?.collect();
            found.extend(certificates.map_err(|error| format!("{}: {error}", file.display()))?);
        }
    }
    Ok(found)
}

/// Returns the host of an authority in the form that TLS needs: without port and brackets.
fn server_name(authority: &str) -> Result<ServerName<'static>, BoxError> {
    let url = url::Url::parse(&format!("https://{authority}"))?;
    let host = without_brackets(url.host_str().unwrap_or_default());
    Ok(ServerName::try_from(host.to_owned())?)
}

pub(super) fn client(trusted: Vec<CertificateDer<'static>>) -> Result<ClientConfig, BoxError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Trusted::new(trusted, &provider)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

/// SECURITY: a certificate is taken without a look at its names or dates only if it is one of ours, byte for byte; the
/// handshake proves that the other side has its key.
#[derive(Debug)]
struct Trusted {
    certificates: Vec<CertificateDer<'static>>,
    signed: Arc<WebPkiServerVerifier>,
}

impl Trusted {
    fn new(
        certificates: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, BoxError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates.iter().cloned());
        let signed = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .build()
            .map_err(|_| "there is no certificate to trust")?;
        Ok(Self { certificates, signed })
    }
}

impl ServerCertVerifier for Trusted {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.certificates.iter().any(|ours| ours == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        self.signed
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signed.supported_verify_schemes()
    }
}
