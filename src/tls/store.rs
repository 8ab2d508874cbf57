//! All certificates of the folder: read once, checked against the calendar and against the names we answer to.
//!
//! A pair that would fail in front of clients (another's key, expired, unreadable) stops the start instead, and all such
//! pairs are named at once.
//!
//! Not here: reading one pair (`super::pair`), which certificate a client gets (`super::sni`), making one
//! (`super::development`).

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::server::ResolvesServerCert;

use super::{
    pair::{self, Pair},
    problem::{Fault, TlsProblem, TlsWarning},
    sni::ByName,
};

/// How long before its last day a certificate is warned about: automatic renewal is overdue by then.
pub(super) const SOON_SECONDS: i64 = 14 * 24 * 3600;

/// The hosts for which there should be a certificate: names in lower case, or addresses.
#[derive(Clone, Debug)]
pub struct CoveredNames {
    /// The host of `public_origin`.
    pub public: String,
    /// Others that the gateway answers to.
    pub hosts: Vec<String>,
}

impl CoveredNames {
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.public)
            .chain(&self.hosts)
            .map(String::as_str)
    }
}

/// All certificates of the folder, checked.
pub struct CertStore {
    by_name: Arc<ByName>,
    files: Vec<CertificateFile>,
    warnings: Vec<TlsWarning>,
    /// Is what clients of the public host get of our own making?
    self_made: bool,
}

/// A certificate that is served, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFile {
    pub file: PathBuf,
    /// The names and addresses that it covers.
    pub names: Vec<String>,
    /// Its last day, as in `2027-01-31`.
    pub last_day: String,
}

impl fmt::Display for CertificateFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, names) = (self.file.display(), self.names.join(", "));
        write!(f, "{file} for {names}, until {}", self.last_day)
    }
}

impl CertStore {
    /// Reads the folder; `now` is in seconds since 1970.
    pub fn load(dir: &Path, names: &CoveredNames, now: i64) -> Result<Self, Vec<TlsProblem>> {
        let folder = pair::list(dir).map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        let mut warnings = Vec::new();
        let mut pairs = Vec::new();
        for files in folder.values() {
            let Some(pair) = Pair::read(files, &mut problems) else {
                continue;
            };
            match pair.leaf.fault(now) {
                None => pairs.push(pair),
                // Whoever has certificates by now should not be stopped by the one from the first day.
                Some(_) if pair.leaf.self_made && folder.len() > 1 => {
                    warnings.push(TlsWarning::LeftOver { file: pair.file });
                }
                Some(fault) => problems.push(TlsProblem::new(&pair.file, fault)),
            }
        }
        if pairs.is_empty() && problems.is_empty() {
            problems.push(TlsProblem::new(dir, Fault::Empty));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self::of(pairs, names, now, warnings))
    }

    /// From pairs in order of their file names.
    fn of(mut pairs: Vec<Pair>, names: &CoveredNames, now: i64, mut warnings: Vec<TlsWarning>) -> Self {
        let files = pairs.iter().map(CertificateFile::of).collect();
        let soon = pairs
            .iter()
            .filter(|pair| pair.leaf.is_over_at(now + SOON_SECONDS));
        warnings.extend(soon.map(|pair| TlsWarning::ExpiresSoon {
            file: pair.file.clone(),
            day: pair.leaf.last_day(),
        }));

        let exposed = pairs.iter().filter_map(|pair| pair.exposed.clone());
        warnings.extend(exposed.map(|(file, how)| TlsWarning::Exposed { file, how }));

        pairs.sort_by_key(Pair::preference);
        let covers_public = |pair: &&Pair| pair.leaf.covers(&names.public);
        let mut fallback: Vec<&Pair> = pairs.iter().filter(covers_public).collect();
        if fallback.is_empty() {
            fallback.extend(pairs.iter().min_by_key(|pair| (pair.leaf.self_made, &pair.file)));
        }
        if let Some(served) = fallback.first() {
            let uncovered = names
                .iter()
                .filter(|host| !pairs.iter().any(|pair| pair.leaf.covers(host)));
            warnings.extend(uncovered.map(|host| TlsWarning::NotCovered {
                host: host.to_owned(),
                served: served.file.clone(),
            }));
        }
        Self {
            self_made: fallback.first().is_some_and(|served| served.leaf.self_made),
            by_name: Arc::new(ByName::new(&pairs, &fallback)),
            files,
            warnings,
        }
    }

    /// What is served, by file name.
    pub fn files(&self) -> &[CertificateFile] {
        &self.files
    }

    /// What somebody should look at.
    pub fn warnings(&self) -> &[TlsWarning] {
        &self.warnings
    }

    /// Likewise, where nothing else is wanted.
    pub fn into_warnings(self) -> Vec<TlsWarning> {
        self.warnings
    }

    /// Do clients of the public host get a certificate of our own making?
    pub fn is_self_made(&self) -> bool {
        self.self_made
    }

    /// The choice of a certificate, for rustls.
    pub fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::clone(&self.by_name) as _
    }
}

impl fmt::Debug for CertStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertStore")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl CertificateFile {
    fn of(pair: &Pair) -> Self {
        let addresses = pair.leaf.ips.iter().map(ToString::to_string);
        Self {
            file: pair.file.clone(),
            names: pair.leaf.dns.iter().cloned().chain(addresses).collect(),
            last_day: pair.leaf.last_day(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::tls::testing::{DAY, NOW, made};

    fn folder() -> TempDir {
        tempfile::tempdir().unwrap()
    }

    fn load(dir: &TempDir, public: &str, hosts: &[&str]) -> Result<CertStore, Vec<TlsProblem>> {
        let names = CoveredNames {
            public: public.into(),
            hosts: hosts.iter().map(ToString::to_string).collect(),
        };
        CertStore::load(dir.path(), &names, NOW)
    }

    /// As shown, without the folder's own path.
    fn shown(dir: &TempDir, lines: &[impl ToString]) -> Vec<String> {
        let path = format!("{}/", dir.path().display());
        lines
            .iter()
            .map(|line| line.to_string().replace(&path, ""))
            .collect()
    }

    #[test]
    fn names_every_pair_that_is_no_pair() {
        let dir = folder();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        made(&["a.example"]).write(&dir, "a-good");
        made(&["b.example"]).write(&dir, "b-mismatch");
        write("b-mismatch.key", &made(&["b.example"]).key());
        made(&["c.example"])
            .valid(NOW - 30 * DAY, NOW - DAY)
            .write(&dir, "c-expired");
        made(&["d.example"])
            .valid(NOW + DAY, NOW + 30 * DAY)
            .write(&dir, "d-early");
        write("e-keyless.pem", &made(&["e.example"]).pem());
        write("f-bare.key", &made(&["f.example"]).key());
        made(&["g.example"]).write(&dir, "g-unreadable");
        fs::remove_file(dir.path().join("g-unreadable.key")).unwrap();
        fs::create_dir(dir.path().join("g-unreadable.key")).unwrap();
        made(&["h.example"]).write(&dir, "h-swapped");
        fs::rename(dir.path().join("h-swapped.pem"), dir.path().join("h")).unwrap();
        fs::rename(dir.path().join("h-swapped.key"), dir.path().join("h-swapped.pem")).unwrap();
        fs::rename(dir.path().join("h"), dir.path().join("h-swapped.key")).unwrap();
        made(&["i.example"]).write(&dir, "i-two");
        write("i-two.pem.key", "");
        write("README.md", "not looked at");
        let problems = load(&dir, "a.example", &[]).unwrap_err();
        assert_eq!(
            shown(&dir, &problems),
            [
                "b-mismatch.key: is not the key of the first certificate in b-mismatch.pem",
                "c-expired.pem: expired on 2026-07-24",
                "d-early.pem: is not valid before 2026-07-26",
                "e-keyless.pem: is a certificate without a key: e-keyless.key is missing",
                "f-bare.key: is a key without a certificate: f-bare.pem is missing",
                "g-unreadable.key: can't be read: Is a directory (os error 21)",
                "h-swapped.pem: holds no certificate in PEM form",
                "h-swapped.key: holds no private key: allowed are RSA, ECDSA and Ed25519, in PEM form and not encrypted",
                "i-two.pem: has two keys, i-two.key and i-two.pem.key: keep one",
            ]
        );
    }

    #[test]
    fn an_empty_folder_and_a_missing_one_are_named() {
        let dir = folder();
        let path = dir.path().display();
        assert_eq!(
            load(&dir, "a.example", &[]).unwrap_err()[0].to_string(),
            format!("{path}: holds no certificate: write NAME.pem, and NAME.key beside it")
        );
        fs::remove_dir(dir.path()).unwrap();
        assert_eq!(
            load(&dir, "a.example", &[]).unwrap_err()[0].to_string(),
            format!("{path}: can't be read: No such file or directory (os error 2)")
        );
    }

    #[test]
    fn a_key_that_others_may_write_is_refused_and_one_that_they_may_read_is_warned_about() {
        use std::os::unix::fs::PermissionsExt;

        let dir = folder();
        made(&["a.example"]).write(&dir, "a");
        let chmod =
            |mode| fs::set_permissions(dir.path().join("a.key"), fs::Permissions::from_mode(mode)).unwrap();
        chmod(0o640);
        let store = load(&dir, "a.example", &[]).unwrap();
        assert_eq!(
            shown(&dir, store.warnings()),
            ["a.key: can be read by others than its owner (mode 640): chmod 600 it"]
        );
        chmod(0o660);
        assert_eq!(
            shown(&dir, &load(&dir, "a.example", &[]).unwrap_err()),
            [
                "a.key: may be written by others (mode 660): chmod 600 it, and make a new secret if others had it"
            ]
        );
    }

    /// A key on one line is the most common damage by copying, and parsers like to quote the line.
    #[test]
    fn a_damaged_key_is_not_quoted() {
        let dir = folder();
        let key = made(&["a.example"]).write(&dir, "a").key().replace('\n', " ");
        fs::write(dir.path().join("a.key"), &key).unwrap();
        let problems = format!("{:?}", load(&dir, "a.example", &[]).unwrap_err());
        assert!(
            problems.contains("NotAKey") && !problems.contains(&key[40..60]),
            "{problems}"
        );
    }

    #[test]
    fn takes_a_key_under_haproxys_name() {
        let dir = folder();
        made(&["a.example", "*.b.example", "192.0.2.7"]).write(&dir, "a");
        fs::rename(dir.path().join("a.key"), dir.path().join("a.pem.key")).unwrap();
        let store = load(&dir, "a.example", &["www.b.example", "192.0.2.7"]).unwrap();
        assert_eq!(
            shown(&dir, store.files()),
            ["a.pem for a.example, *.b.example, 192.0.2.7, until 2026-09-23"]
        );
        assert_eq!(store.warnings(), []);
    }

    #[test]
    fn warns_of_what_expires_soon_and_of_hosts_without_a_certificate() {
        let dir = folder();
        made(&["b.example"]).write(&dir, "b");
        made(&["*.a.example"])
            .valid(NOW - DAY, NOW + 13 * DAY)
            .write(&dir, "a");
        let store = load(&dir, "a.example", &["b.example", "deep.er.a.example"]).unwrap();
        assert_eq!(
            shown(&dir, store.warnings()),
            [
                "a.pem: expires on 2026-08-07",
                "no certificate covers a.example: a.pem is served there",
                "no certificate covers deep.er.a.example: a.pem is served there",
            ]
        );
    }

    #[test]
    fn debug_shows_no_key() {
        let dir = folder();
        made(&["a.example"]).write(&dir, "a");
        let store = load(&dir, "a.example", &[]).unwrap();
        assert_eq!(
            shown(&dir, &[format!("{store:?} {:?}", store.resolver())]),
            [concat!(
                r#"CertStore { files: [CertificateFile { file: "a.pem", names: ["a.example"], "#,
                r#"last_day: "2026-09-23" }], .. } {"a.example"}"#
            )]
        );
    }
}
