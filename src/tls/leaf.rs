//! What a server's certificate says of itself: its names, its days, and whether the gateway made it.
//!
//! Source: RFC 5280 sections 4.1.2.5 (validity) and 4.2.1.6 (names). The common name is not read, as no client does
//! any more (RFC 9525 section 2).

use std::net::IpAddr;

use x509_parser::prelude::{ASN1Time, FromDer, GeneralName, X509Certificate};

use super::problem::Fault;

/// The common name of certificates that the gateway makes itself, by which it knows them again.
pub(super) const COMMON_NAME: &str = "plugnmeet-gateway development certificate";

#[derive(Clone)]
pub(super) struct Leaf {
    /// In lower case; some begin with `*.`.
    pub dns: Vec<String>,
    pub ips: Vec<IpAddr>,
    pub self_made: bool,
    /// May it sign other certificates? Then its file is most likely the rest of a chain.
    pub is_ca: bool,
    /// Does it ask browsers to refuse it without an answer of OCSP beside it (RFC 7633)?
    pub must_staple: bool,
    not_before: ASN1Time,
    not_after: ASN1Time,
}

impl Leaf {
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let mut leaf = Self {
            dns: Vec::new(),
            ips: Vec::new(),
            self_made: certificate.subject() == certificate.issuer()
                && (certificate.subject().iter_common_name()).any(|name| name.as_str() == Ok(COMMON_NAME)),
            is_ca: certificate.is_ca(),
            must_staple: must_staple(&certificate),
            not_before: certificate.validity().not_before,
            not_after: certificate.validity().not_after,
        };
        let names = certificate.subject_alternative_name().ok()?;
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            if let GeneralName::DNSName(name) = name {
                leaf.dns.push(name.to_ascii_lowercase());
            } else if let GeneralName::IPAddress(bytes) = name {
                leaf.ips.extend(address(bytes));
            }
        }
        Some(leaf)
    }

    /// Is it good for this host, a name in lower case or an address? A wildcard stands for one label.
    pub(super) fn covers(&self, host: &str) -> bool {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return self.ips.contains(&ip);
        }
        let rest = host.split_once('.').map(|(_, rest)| rest);
        self.dns
            .iter()
            .any(|name| name == host || (rest.is_some() && name.strip_prefix("*.") == rest))
    }

    /// What is wrong with its days, if anything is.
    pub(super) fn fault(&self, now: i64) -> Option<Fault> {
        if now > self.not_after.timestamp() {
            Some(Fault::Expired(self.last_day()))
        } else if now < self.not_before.timestamp() {
            Some(Fault::NotYet(self.not_before.to_datetime().date().to_string()))
        } else {
            None
        }
    }

    pub(super) fn is_valid_at(&self, time: i64) -> bool {
        self.fault(time).is_none()
    }

    /// Its first second, since 1970.
    pub(super) fn begins(&self) -> i64 {
        self.not_before.timestamp()
    }

    /// Its last second, since 1970.
    pub(super) fn ends(&self) -> i64 {
        self.not_after.timestamp()
    }

    pub(super) fn last_day(&self) -> String {
        self.not_after.to_datetime().date().to_string()
    }
}

/// A `TLSFeature` that lists `status_request`: a sequence of integers, in DER.
fn must_staple(certificate: &X509Certificate<'_>) -> bool {
    const TLS_FEATURE: &str = "1.3.6.1.5.5.7.1.24";
    const STATUS_REQUEST: [u8; 3] = [0x02, 0x01, 5];
    let mut extensions = certificate.extensions().iter();
    extensions.any(|extension| {
        extension.oid.to_id_string() == TLS_FEATURE
            && memchr::memmem::find(extension.value, &STATUS_REQUEST).is_some()
    })
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}
