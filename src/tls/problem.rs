//! What is wrong with the certificates, in words for whoever starts the gateway.
//!
//! SECURITY: no parser's own words about a key are passed on, as some quote the line at which they gave up.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use crate::secret::{Exposed, SecretFileError};

/// Why the gateway can't start with these certificates: one file, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {fault}")]
pub struct TlsProblem {
    pub file: PathBuf,
    pub fault: Fault,
}

/// What is wrong with a file or folder.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The system does not let us read it.
    #[error("can't be read: {0}")]
    Unreadable(io::Error),
    /// A key that can't be read, or in which others may have had a hand.
    #[error("{}", advised(.0))]
    Untrusted(SecretFileError),
    /// The folder has no certificate with its key.
    #[error("holds no certificate: write NAME.pem, and NAME.key beside it")]
    Empty,
    /// A file where the folder should be.
    #[error("is a file, and no folder of certificates")]
    NotAFolder,
    /// No certificate for this public host, in a folder in which none of our own making belongs.
    #[error(
        "holds no certificate for {0}, and one of the gateway's own making belongs into a folder of its own"
    )]
    NoneToMake(String),
    /// A certificate whose key is missing: the name it would have.
    #[error("is a certificate without a key: {0} is missing")]
    NoKey(String),
    /// A key whose certificate is missing: the name it would have.
    #[error("is a key without a certificate: {0} is missing")]
    NoCertificate(String),
    /// More files than a folder of certificates has.
    #[error("holds more than {0} certificates and keys: is it the right folder?")]
    TooManyFiles(usize),
    /// Something else than a chain of certificates.
    #[error("holds no certificate in PEM form")]
    NotACertificate,
    /// Something else than a private key for TLS.
    #[error("holds no private key: allowed are RSA, ECDSA and Ed25519, in PEM form and not encrypted")]
    NotAKey,
    /// A key for another certificate than this.
    #[error("is not the key of the first certificate in {0}")]
    Mismatch(String),
    /// No longer valid: since which day.
    #[error("expired on {0}")]
    Expired(String),
    /// Not valid yet: from which day on.
    #[error("is not valid before {0}")]
    NotYet(String),
    /// It would take the place of a newer one: that one's last day.
    #[error("is older than the certificate in use, which ends on {0}")]
    Older(String),
    /// Browsers refuse it without an answer of OCSP, and nobody gives those any more.
    #[error(
        "asks for OCSP stapling (must-staple): CAs have no OCSP any more, and browsers refuse it without"
    )]
    MustStaple,
    /// A certificate that rustls does not take.
    #[error("is a certificate that TLS can't use: {0}")]
    Unusable(rustls::Error),
    /// The self-made pair could not be made or written.
    #[error("can't be made: {0}")]
    NotMade(io::Error),
    /// TLS itself does not come up.
    #[error("TLS can't be set up: {0}")]
    SetUp(rustls::Error),
}

impl TlsProblem {
    pub(super) fn new(file: &Path, fault: Fault) -> Self {
        Self {
            file: file.to_owned(),
            fault,
        }
    }
}

impl TlsProblem {
    pub fn allowed(&self) -> &'static str {
        match &self.fault {
            Fault::NotAFolder | Fault::TooManyFiles(_) => {
                "name the folder in which NAME.pem and NAME.key lie"
            }
            Fault::NoneToMake(_) | Fault::Empty => {
                "write the certificate there, as NAME.pem with NAME.key beside it, or make the folder, empty, for a trial"
            }
            Fault::MustStaple => "order one without must-staple (certbot: leave out --must-staple)",
            Fault::NotMade(_) => "make the folder writable, or write NAME.pem and NAME.key there",
            Fault::Unreadable(_)
            | Fault::Untrusted(_)
            | Fault::NoKey(_)
            | Fault::NoCertificate(_)
            | Fault::NotACertificate
            | Fault::NotAKey
            | Fault::Mismatch(_)
            | Fault::Expired(_)
            | Fault::NotYet(_)
            | Fault::Older(_)
            | Fault::Unusable(_)
            | Fault::SetUp(_) => "give each certificate its key, as NAME.pem and NAME.key or in one NAME.pem",
        }
    }
}

fn advised(error: &SecretFileError) -> String {
    match error.advice() {
        Some(advice) => format!("{error}: {advice}"),
        None => error.to_string(),
    }
}

/// What somebody should look at, though the gateway starts.
#[derive(Debug, PartialEq, Eq)]
pub enum TlsWarning {
    /// None of the certificates is for this host; its clients get another's.
    NotCovered {
        /// The host that no certificate covers.
        host: String,
        /// The certificate that its visitors get.
        served: PathBuf,
    },
    /// Past its days, or before them.
    NotValid {
        file: PathBuf,
        /// What is wrong with its days.
        fault: String,
        /// Hosts of ours whose clients get it all the same, as there is no other.
        shown_to: Vec<String>,
    },
    /// Less than a third of its life is left.
    ExpiresSoon { file: PathBuf, day: String },
    /// Others than its owner may read a key.
    Exposed { file: PathBuf, how: Exposed },
    /// Clients of a public host get a certificate of our own making, or will.
    SelfMade { host: String, file: PathBuf },
    /// A certificate of our own making that is past its days, beside others that do its work.
    LeftOver { file: PathBuf },
}

impl fmt::Display for TlsWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotCovered { host, served } => {
                write!(
                    f,
                    "no certificate covers {host}: {} is served there",
                    served.display()
                )
            }
            Self::SelfMade { host, file } => {
                write!(
                    f,
                    "the gateway's own certificate is served for {host}, and browsers warn of it: {}",
                    file.display()
                )
            }
            Self::Exposed { file, how } => write!(f, "{}: {how}", file.display()),
            Self::NotValid {
                file,
                fault,
                shown_to,
            } if shown_to.is_empty() => {
                write!(f, "{}: {fault}", file.display())
            }
            Self::NotValid {
                file,
                fault,
                shown_to,
            } => {
                let hosts = shown_to.join(", ");
                write!(
                    f,
                    "{}: {fault}: clients of {hosts} get it and refuse it",
                    file.display()
                )
            }
            Self::ExpiresSoon { file, day } => write!(f, "{}: expires on {day}", file.display()),
            Self::LeftOver { file } => {
                write!(
                    f,
                    "{}: self-made and no longer valid: not served; delete it and its key",
                    file.display()
                )
            }
        }
    }
}
