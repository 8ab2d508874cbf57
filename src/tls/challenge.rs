//! The certificate by which a name is proved to a CA: of our own making, for this name, with what the CA wants to see in it.
//!
//! Source: RFC 8737 section 3.

use std::{net::IpAddr, sync::Arc};

use rcgen::{CertificateParams, CustomExtension, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::ClientHello,
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};

use crate::acme::{ALPN, Answers};

/// Is nothing offered but such a check? Whoever offers more may be anybody, and is shown what all are shown.
pub(super) fn is_one(hello: &ClientHello<'_>) -> bool {
    hello
        .alpn()
        .is_some_and(|mut offered| offered.next() == Some(ALPN) && offered.next().is_none())
}

/// The settings of a handshake that shows what a CA wants to see. None: nobody has been asked to check this name.
pub(super) async fn config(answers: &Answers, name: &str) -> Option<Arc<ServerConfig>> {
    let made = made(name, &answers.of_name(name).await?);
    made.inspect_err(|error| tracing::warn!(name, %error, "The certificate of a check can't be made"))
        .ok()
}

fn made(name: &str, hash: &[u8; 32]) -> Result<Arc<ServerConfig>, Box<dyn std::error::Error>> {
    let certificate = Arc::new(make(name, hash)?);
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certificate)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

fn make(name: &str, hash: &[u8; 32]) -> Result<CertifiedKey, Box<dyn std::error::Error>> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.subject_alt_names = vec![match address(name) {
        Some(ip) => SanType::IpAddress(ip),
        None => SanType::DnsName(name.try_into()?),
    }];
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(hash)];
    let certificate = params.self_signed(&key)?;
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let signing = aws_lc_rs::sign::any_supported_type(&der)?;
    Ok(CertifiedKey::new(vec![certificate.der().clone()], signing))
}

/// The address that is asked for by its reversed name (RFC 8738 section 6).
fn address(name: &str) -> Option<IpAddr> {
    if let Some(reversed) = name.strip_suffix(".in-addr.arpa") {
        let mut parts: Vec<&str> = reversed.split('.').collect();
        parts.reverse();
        return parts.join(".").parse().ok();
    }
    let nibbles: Vec<&str> = name.strip_suffix(".ip6.arpa")?.split('.').collect();
    let digits: String = nibbles.iter().rev().copied().collect();
    let is_whole = nibbles.len() == 32 && nibbles.iter().all(|nibble| nibble.len() == 1);
    let bits = is_whole.then(|| u128::from_str_radix(&digits, 16).ok())??;
    Some(IpAddr::V6(bits.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reversed_name_is_an_address() {
        assert_eq!(address("7.2.0.192.in-addr.arpa"), "192.0.2.7".parse().ok());
        assert_eq!(
            address("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"),
            "2001:db8::1".parse().ok()
        );
        for name in [
            "conf.example.org",
            "7.2.0.in-addr.arpa",
            "1.0.ip6.arpa",
            "in-addr.arpa",
        ] {
            assert_eq!(address(name), None, "{name}");
        }
    }
}
