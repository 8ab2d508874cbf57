//! The files of one certificate: `NAME.pem`, the chain with the server's own first, and `NAME.key` beside it.
//!
//! `NAME.pem.key` is taken too, as the official installation names its keys so (docs/plugnmeet.md section 9).

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    Error, InconsistentKeys, SignatureAlgorithm,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::{CertifiedKey, SigningKey},
};

use super::{
    leaf::Leaf,
    problem::{Fault, TlsProblem},
};
use crate::secret::{self, Exposed};

/// Far more than any key has, with a chain before it.
const MAX_KEY_BYTES: u64 = 1 << 20;

/// A certificate with its key.
pub(super) struct Pair {
    pub file: PathBuf,
    pub leaf: Leaf,
    pub key: Arc<CertifiedKey>,
    /// The key's file, where others than its owner may read it.
    pub exposed: Option<(PathBuf, Exposed)>,
}

impl Pair {
    /// Says all that is wrong by `problems`; there is a pair if nothing is.
    pub(super) fn read(files: &PairFiles, problems: &mut Vec<TlsProblem>) -> Option<Self> {
        let (pem, key) = match (&files.pem, files.keys.as_slice()) {
            (Some(pem), [key]) => (pem, key),
            (Some(pem), []) => {
                let fault = Fault::NoKey(format!("{}.key", files.name));
                problems.push(TlsProblem::new(pem, fault));
                return None;
            }
            (Some(pem), [one, other, ..]) => {
                let fault = Fault::TwoKeys(file_name(one), file_name(other));
                problems.push(TlsProblem::new(pem, fault));
                return None;
            }
            (None, keys) => {
                let fault = || Fault::NoCertificate(format!("{}.pem", files.name));
                problems.extend(keys.iter().map(|key| TlsProblem::new(key, fault())));
                return None;
            }
        };
        let certificate = read_chain(pem).map_err(|fault| problems.push(TlsProblem::new(pem, fault)));
        let signing = read_key(key).map_err(|fault| problems.push(TlsProblem::new(key, fault)));
        let ((leaf, chain), (signing, exposed)) = (certificate.ok()?, signing.ok()?);
        let certified = CertifiedKey::new(chain, signing);
        match certified.keys_match() {
            Ok(()) => {}
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                problems.push(TlsProblem::new(key, Fault::Mismatch(file_name(pem))));
                return None;
            }
            Err(error) => {
                problems.push(TlsProblem::new(pem, Fault::Unusable(error)));
                return None;
            }
        }
        Some(Self {
            file: pem.clone(),
            leaf,
            key: Arc::new(certified),
            exposed: exposed.map(|exposed| (key.clone(), exposed)),
        })
    }

    /// The lower, the better: a certificate that somebody chose before our own, ECDSA before RSA because it is cheaper.
    pub(super) fn preference(&self) -> (bool, bool) {
        (
            self.leaf.self_made,
            self.key.key.algorithm() != SignatureAlgorithm::ECDSA,
        )
    }
}

/// The files that belong to one `NAME`.
#[derive(Default)]
pub(super) struct PairFiles {
    name: String,
    pub pem: Option<PathBuf>,
    pub keys: Vec<PathBuf>,
}

/// The folder's certificates and keys by `NAME`. Hidden files, and what ends otherwise, are none.
pub(super) fn list(dir: &Path) -> Result<BTreeMap<String, PairFiles>, TlsProblem> {
    let unreadable = |error| TlsProblem::new(dir, Fault::Unreadable(error));
    let mut folder = BTreeMap::<String, PairFiles>::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let file = file_name(&path);
        let key = file
            .strip_suffix(".pem.key")
            .or_else(|| file.strip_suffix(".key"));
        let Some(name) = key.or_else(|| file.strip_suffix(".pem")) else {
            continue;
        };
        if name.is_empty() || name.starts_with('.') {
            continue;
        }
        let files = folder.entry(name.to_owned()).or_default();
        name.clone_into(&mut files.name);
        if key.is_some() {
            files.keys.push(path);
            files.keys.sort();
        } else {
            files.pem = Some(path);
        }
    }
    Ok(folder)
}

/// The chain, and what its first certificate says.
pub(super) fn read_chain(file: &Path) -> Result<(Leaf, Vec<CertificateDer<'static>>), Fault> {
    let pem = fs::read(file).map_err(Fault::Unreadable)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| Fault::NotACertificate)?;
    let leaf = chain.first().and_then(|der| Leaf::read(der));
    Ok((leaf.ok_or(Fault::NotACertificate)?, chain))
}

fn read_key(file: &Path) -> Result<(Arc<dyn SigningKey>, Option<Exposed>), Fault> {
    let read = secret::read_file(file, MAX_KEY_BYTES).map_err(Fault::Untrusted)?;
    let der = PrivateKeyDer::from_pem_slice(&read.bytes).map_err(|_| Fault::NotAKey)?;
    let signing = aws_lc_rs::sign::any_supported_type(&der).map_err(|_| Fault::NotAKey)?;
    Ok((signing, read.exposed))
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
