//! The certificates that are served: a folder's, read for certain settings, replaced as a whole.
//!
//! Not here: looking whether the folder has changed (`super::watch`), which certificate a name gets (`super::store`).

use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::sync::Notify;

use super::{
    CertStore, CoveredNames, TlsProblem, TlsSettings, challenge, development, folder, folder::Fingerprint,
    store,
};
use crate::acme::Answers;

/// The certificates, which change while the gateway runs.
pub(super) struct Shared {
    pub(super) current: ArcSwap<Served>,
    pub(super) asked: Notify,
    /// Answers to checks of names.
    pub(super) answers: Answers,
    /// Is what clients of the public host get of somebody else's making than ours?
    pub(super) trusted: Arc<AtomicBool>,
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
        let acme = settings.acme.as_deref();
        if !store::has_pairs(acme) {
            development::ensure(&settings.certs, &names, settings.make_anywhere, now)
                .map_err(|problem| vec![problem])?;
        }
        let read_at = Arc::new(settings.fingerprint());
        let store = match before.filter(|before| before.settings.certs == settings.certs) {
            Some(before) => before.next(&settings.certs, acme, &names, now)?.0,
            None => CertStore::load(&settings.certs, acme, &names, now)?,
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
}

impl TlsSettings {
    /// What changes when a file does.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let mut all = folder::fingerprint(&self.certs);
        if let Some(acme) = &self.acme {
            all.extend(folder::fingerprint(acme));
        }
        all
    }
}

impl Shared {
    pub(super) fn new(served: Served, answers: Answers) -> Self {
        Self {
            trusted: Arc::new(AtomicBool::new(!served.is_self_made())),
            current: ArcSwap::from_pointee(served),
            asked: Notify::new(),
            answers,
        }
    }

    /// Says whether what is served by now is of our own making.
    pub(super) fn judge(&self) {
        let trusted = !self.current.load().is_self_made();
        self.trusted.store(trusted, Ordering::Relaxed);
    }
}

impl ResolvesServerCert for Shared {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // Where there is an answer to a check, the handshake has settings of its own.
        if self.answers.is_on() && challenge::is_one(&hello) {
            return None;
        }
        self.current.load().resolve(&hello)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.current.load().store.fmt(f)
    }
}
