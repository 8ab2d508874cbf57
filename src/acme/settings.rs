//! The settings of certificates by themselves, and what a start with them would find.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::storage::Storage;
use crate::secret;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeSettings {
    /// The URL of the CA's directory (RFC 8555 section 7.1.1).
    pub directory: String,
    /// The directory against which the first order of a name is tried.
    pub staging: Option<String>,
    /// The account's contact address.
    pub email: Option<String>,
    /// Each gets a certificate of its own; lower case, IPv6 addresses without brackets.
    pub names: Vec<String>,
    /// What kind of certificate; none for the CA's default.
    pub profile: Option<String>,
    /// Where the account and the certificates are kept.
    pub storage: PathBuf,
    /// Whom the way to the CA trusts; none for those that this machine does.
    pub roots: Option<PathBuf>,
    /// Is looked whether a name leads here before its first order?
    pub preflight: bool,
}

/// What is wrong with the settings, at a key.
#[derive(Debug, thiserror::Error)]
pub enum AcmeProblem {
    /// The folder can't be written.
    #[error("{}: can't be written: {error}", .folder.display())]
    Storage {
        folder: PathBuf,
        #[source]
        error: io::Error,
    },
    /// Others could put keys of theirs there.
    #[error("{}: may be written by others (mode {mode:03o}), and what lies there is served", .0.display(), mode = .1)]
    Writable(PathBuf, u32),
    /// The file of `acme.roots`.
    #[error("{}: {why}", .file.display())]
    Roots { file: PathBuf, why: String },
}

impl AcmeProblem {
    /// The key at which it stands.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Storage { .. } | Self::Writable(..) => "acme.storage",
            Self::Roots { .. } => "acme.roots",
        }
    }

    pub fn allowed(&self) -> &'static str {
        match self {
            Self::Storage { .. } => "name a folder that the gateway may write",
            Self::Writable(..) => "chmod 700 it, and remove what is not yours",
            Self::Roots { .. } => "name a PEM file with the certificates of the CA's own server",
        }
    }
}

impl AcmeSettings {
    /// Where the certificates lie.
    pub fn certificates(&self) -> PathBuf {
        Storage::at(&self.storage).certificates()
    }

    /// All that is wrong. Nothing is made.
    pub fn look(&self) -> Vec<AcmeProblem> {
        let mut problems = Vec::new();
        if let Err(error) = secret::can_make_in(&self.storage) {
            problems.push(AcmeProblem::Storage {
                folder: self.storage.clone(),
                error,
            });
        }
        if let Some(mode) = others_may_write(&self.storage) {
            problems.push(AcmeProblem::Writable(self.storage.clone(), mode));
        }
        if let Some(file) = &self.roots
            && let Err(why) = roots_of(file)
        {
            problems.push(AcmeProblem::Roots {
                file: file.clone(),
                why,
            });
        }
        problems
    }

    /// What the CA said of each name the last time, for those that have failed since.
    pub fn failing(&self) -> Vec<String> {
        let storage = Storage::at(&self.storage);
        let told = self.names.iter().filter_map(|name| {
            let record = storage.record(name);
            (record.failures > 0).then(|| format!("{name}: {}", record.words))
        });
        told.collect()
    }

    /// How connections to the CA are trusted. Reads files.
    pub(super) fn tls(&self) -> Result<Arc<ClientConfig>, String> {
        let roots = match &self.roots {
            Some(file) => roots_of(file)?,
            None => native_roots()?,
        };
        ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())
            .map(|builder| Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
    }
}

fn others_may_write(folder: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let mode = fs::metadata(folder).ok()?.mode() & 0o777;
    (mode & 0o022 != 0).then_some(mode)
}

fn roots_of(file: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let all = CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())?;
    for root in all {
        roots
            .add(root.map_err(|error| error.to_string())?)
            .map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("holds no certificate in PEM form".into());
    }
    Ok(roots)
}

fn native_roots() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err("this machine trusts nobody: install ca-certificates, or write acme.roots".into());
    }
    Ok(roots)
}
