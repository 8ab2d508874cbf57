//! The certificates that are served: a folder's, read for certain settings, replaced as a whole.
//!
//! Not here: looking whether the folder has changed (`super::watch`), which certificate a name gets (`super::store`).

use std::{fmt, ops::Deref, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::sync::Notify;

use super::{CertStore, CoveredNames, TlsProblem, TlsSettings, development, folder, folder::Fingerprint};

/// The certificates, which change while the gateway runs.
pub(super) struct Shared {
    pub(super) current: ArcSwap<Served>,
    pub(super) asked: Notify,
}

/// What is served, and by which settings.
pub(super) struct Served {
    pub(super) store: Arc<CertStore>,
    pub(super) settings: TlsSettings,
    pub(super) names: CoveredNames,
    /// The folder as it was just before it was read for these settings.
    pub(super) read_at: Arc<Fingerprint>,
}

impl Deref for Served {
    type Target = CertStore;

    fn deref(&self) -> &CertStore {
        &self.store
    }
}

impl Served {
    /// Reads the folder, after making a certificate if there is none; what is served already is better than a file that is
    /// worse.
    pub(super) fn read(
        settings: &TlsSettings,
        before: Option<&Self>,
        now: i64,
    ) -> Result<Self, Vec<TlsProblem>> {
        let names = settings.names();
        development::ensure(&settings.certs, &names, settings.make_anywhere, now)
            .map_err(|problem| vec![problem])?;
        let read_at = Arc::new(folder::fingerprint(&settings.certs));
        let store = match before.filter(|before| before.settings.certs == settings.certs) {
            Some(before) => before.next(&settings.certs, &names, now)?.0,
            None => CertStore::load(&settings.certs, &names, now)?,
        };
        Ok(Self {
            store: Arc::new(store),
            settings: settings.clone(),
            names,
            read_at,
        })
    }
}

/// Certificates for other settings, ready to be served.
pub struct Coming {
    pub(super) settings: TlsSettings,
    /// None: those that are served.
    pub(super) read: Option<Served>,
    pub(super) is_self_made: bool,
}

impl Coming {
    /// As `Tls::is_self_made`.
    pub fn is_self_made(&self) -> bool {
        self.is_self_made
    }
}

impl ResolvesServerCert for Shared {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.load().resolve(&hello)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.current.load().store.fmt(f)
    }
}
