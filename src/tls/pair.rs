//! A certificate with its key: the chain, with the server's own certificate first, and what signs for it.

use std::{
    cmp::Reverse,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    SignatureAlgorithm,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::{CertifiedKey, SigningKey},
};

use super::{leaf::Leaf, problem::Fault};
use crate::secret::{self, Exposed};

/// Far more than any key has, with a chain before it.
const MAX_KEY_BYTES: u64 = 1 << 20;

pub(super) struct Chain {
    pub file: PathBuf,
    pub leaf: Leaf,
    pub certificates: Vec<CertificateDer<'static>>,
}

pub(super) struct Key {
    pub file: PathBuf,
    pub signing: Arc<dyn SigningKey>,
    /// Set where others than its owner may read the file.
    exposed: Option<Exposed>,
}

/// A certificate with its key.
#[derive(Clone)]
pub(super) struct Pair {
    pub file: PathBuf,
    pub leaf: Leaf,
    pub key: Arc<CertifiedKey>,
    /// The key's file, where others than its owner may read it.
    pub exposed: Option<(PathBuf, Exposed)>,
}

impl Chain {
    /// None where a file has no certificate at all.
    pub(super) fn parse(file: &Path, text: &[u8]) -> Result<Option<Self>, Fault> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(text)
            .collect::<Result<_, _>>()
            .map_err(|_| Fault::NotACertificate)?;
        let Some(first) = certificates.first() else {
            return Ok(None);
        };
        let leaf = Leaf::read(first).ok_or(Fault::NotACertificate)?;
        Ok(Some(Self {
            file: file.to_owned(),
            leaf,
            certificates,
        }))
    }

    pub(super) fn read(file: &Path) -> Result<Option<Self>, Fault> {
        let text = std::fs::read(file).map_err(Fault::Unreadable)?;
        Self::parse(file, &text)
    }

    pub(super) fn leaf_der(&self) -> &[u8] {
        self.certificates.first().map_or(&[], |first| first)
    }
}

impl Key {
    pub(super) fn read(file: &Path) -> Result<Self, Fault> {
        let read = secret::read_file(file, MAX_KEY_BYTES).map_err(Fault::Untrusted)?;
        let der = PrivateKeyDer::from_pem_slice(&read.bytes).map_err(|_| Fault::NotAKey)?;
        let signing = aws_lc_rs::sign::any_supported_type(&der).map_err(|_| Fault::NotAKey)?;
        Ok(Self {
            file: file.to_owned(),
            signing,
            exposed: read.exposed,
        })
    }

    /// Is there a private key among these PEM sections?
    pub(super) fn is_in(text: &[u8]) -> bool {
        memchr::memmem::find(text, b"PRIVATE KEY-----").is_some()
    }
}

impl Pair {
    /// INVARIANT: `certified` is of this chain and this key.
    pub(super) fn new(chain: &Chain, certified: CertifiedKey, key: &Key) -> Self {
        Self {
            file: chain.file.clone(),
            leaf: chain.leaf.clone(),
            key: Arc::new(certified),
            exposed: key.exposed.map(|exposed| (key.file.clone(), exposed)),
        }
    }

    pub(super) fn leaf_der(&self) -> &[u8] {
        self.key.cert.first().map_or(&[], |first| first)
    }

    /// The lower, the better: a certificate that somebody chose before our own, one that is valid before one that is not,
    /// ECDSA before RSA because it is cheaper, the newest first.
    pub(super) fn preference(&self, now: i64) -> impl Ord + use<> {
        (
            self.leaf.self_made,
            !self.leaf.is_valid_at(now),
            self.key.key.algorithm() != SignatureAlgorithm::ECDSA,
            Reverse(self.leaf.begins()),
        )
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}
