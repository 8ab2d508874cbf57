//! What is wrong with the certificates, in words for whoever starts the gateway.
//!
//! SECURITY: no parser's own words about a key are passed on, as some quote the line at which they gave up.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use crate::secret::{Exposed, SecretFileError};

/// Why the gateway can't start with these certificates: one file, and what is wrong with it.
#[derive(Debug)]
pub struct TlsProblem {
    pub file: PathBuf,
    pub fault: Fault,
}

/// What is wrong with a file or folder.
#[derive(Debug)]
pub enum Fault {
    /// The system does not let us read it.
    Unreadable(io::Error),
    /// A key that can't be read, or in which others may have had a hand.
    Untrusted(SecretFileError),
    /// The folder has no certificate with its key.
    Empty,
    /// A file where the folder should be.
    NotAFolder,
    /// No certificate for this public host, in a folder in which none of our own making belongs.
    NoneToMake(String),
    /// A certificate whose key is missing: the name it would have.
    NoKey(String),
    /// A key whose certificate is missing: the name it would have.
    NoCertificate(String),
    /// More files than a folder of certificates has.
    TooManyFiles(usize),
    /// Something else than a chain of certificates.
    NotACertificate,
    /// Something else than a private key for TLS.
    NotAKey,
    /// A key for another certificate than this.
    Mismatch(String),
    /// No longer valid: since which day.
    Expired(String),
    /// Not valid yet: from which day on.
    NotYet(String),
    /// It would take the place of a newer one: that one's last day.
    Older(String),
    /// Browsers refuse it without an answer of OCSP, and nobody gives those any more.
    MustStaple,
    /// A certificate that rustls does not take.
    Unusable(rustls::Error),
    /// The self-made pair could not be made or written.
    NotMade(io::Error),
    /// TLS itself does not come up.
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
    /// What to do about it.
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

impl fmt::Display for TlsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "can't be read: {error}"),
            Self::Untrusted(error) => match error.advice() {
                Some(advice) => write!(f, "{error}: {advice}"),
                None => error.fmt(f),
            },
            Self::Empty => f.write_str("holds no certificate: write NAME.pem, and NAME.key beside it"),
            Self::NotAFolder => f.write_str("is a file, and no folder of certificates"),
            Self::NoneToMake(host) => write!(
                f,
                "holds no certificate for {host}, and one of the gateway's own making belongs into a folder of its own"
            ),
            Self::NoKey(key) => write!(f, "is a certificate without a key: {key} is missing"),
            Self::NoCertificate(pem) => write!(f, "is a key without a certificate: {pem} is missing"),
            Self::TooManyFiles(most) => {
                write!(
                    f,
                    "holds more than {most} certificates and keys: is it the right folder?"
                )
            }
            Self::NotACertificate => f.write_str("holds no certificate in PEM form"),
            Self::NotAKey => f.write_str(
                "holds no private key: allowed are RSA, ECDSA and Ed25519, in PEM form and not encrypted",
            ),
            Self::Mismatch(pem) => write!(f, "is not the key of the first certificate in {pem}"),
            Self::Expired(day) => write!(f, "expired on {day}"),
            Self::Older(day) => write!(f, "is older than the certificate in use, which ends on {day}"),
            Self::NotYet(day) => write!(f, "is not valid before {day}"),
            Self::MustStaple => f.write_str(
                "asks for OCSP stapling (must-staple): CAs have no OCSP any more, and browsers refuse it without",
            ),
            Self::Unusable(error) => write!(f, "is a certificate that TLS can't use: {error}"),
            Self::NotMade(error) => write!(f, "can't be made: {error}"),
            Self::SetUp(error) => write!(f, "TLS can't be set up: {error}"),
        }
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
