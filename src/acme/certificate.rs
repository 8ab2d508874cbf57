//! A certificate as the scheduler sees it: its days, its names, and what the CA knows it by.

use std::net::IpAddr;

use instant_acme::CertificateIdentifier;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

pub(super) struct Certificate {
    /// Its first and its last second, since 1970.
    pub begins: i64,
    pub ends: i64,
    der: CertificateDer<'static>,
}

impl Certificate {
    /// The first one in this text, if it is for this name.
    pub(super) fn read(pem: &[u8], name: &str) -> Option<Self> {
        let der = CertificateDer::from_pem_slice(pem).ok()?;
        let (_, parsed) = X509Certificate::from_der(&der).ok()?;
        let (begins, ends) = (
            parsed.validity().not_before.timestamp(),
            parsed.validity().not_after.timestamp(),
        );
        let is_for_it = covers(&parsed, name);
        is_for_it.then_some(Self { begins, ends, der })
    }

    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    /// RFC 9773 section 4.1; some have none.
    pub(super) fn id(&self) -> Option<CertificateIdentifier<'static>> {
        CertificateIdentifier::try_from(&self.der)
            .ok()
            .map(CertificateIdentifier::into_owned)
    }
}

fn covers(certificate: &X509Certificate<'_>, name: &str) -> bool {
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return false;
    };
    let ip = name.parse::<IpAddr>().ok().map(|ip| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    });
    names.value.general_names.iter().any(|own| match (own, &ip) {
        (GeneralName::DNSName(own), None) => own.eq_ignore_ascii_case(name),
        (GeneralName::IPAddress(own), Some(ip)) => own == ip,
        _ => false,
    })
}
