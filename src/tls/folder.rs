//! What lies in the folder of certificates: which key belongs to which chain, in whatever layout a tool has left them.
//!
//! | who laid it down | as |
//! | --- | --- |
//! | a person, the official installer | `NAME.pem` with `NAME.key` or `NAME.pem.key` |
//! | HAProxy | chain and key in one `NAME.pem` |
//! | certbot | `live/NAME/fullchain.pem` and `privkey.pem`, which are links; `cert.pem` and `chain.pem` beside them |
//! | Kubernetes | `tls.crt` and `tls.key`, links through a hidden folder that changes whole |
//! | Caddy | `certificates/AUTHORITY/NAME/NAME.crt` and `NAME.key` |
//! | acme.sh | `NAME_ecc/fullchain.cer` and `NAME.key`, with `NAME.cer` and `ca.cer` beside them |
//!
//! So a key is matched to the chains of its own folder by what is in them and not by name; of several with the same
//! certificate the longest chain counts. Names are for telling what is wrong.
//!
//! Not here: which of them are served (`super::store`).

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use rustls::{Error, InconsistentKeys, sign::CertifiedKey};

use super::{
    pair::{Chain, Key, Pair},
    problem::{Fault, TlsProblem},
};

/// How deep tools nest their folders: Caddy's are the deepest.
const MAX_DEPTH: usize = 3;

/// Files that are looked at; a folder with more is another one by mistake.
const MAX_FILES: usize = 4096;

/// Folders of certbot beside `live`: what is in them is not served, or served from `live`.
const CERTBOTS: [&str; 6] = ["accounts", "archive", "csr", "keys", "renewal", "renewal-hooks"];

/// The folder's pairs in order of their file names, and all that is wrong with it.
pub(super) struct Folder {
    pub pairs: Vec<Pair>,
    pub problems: Vec<TlsProblem>,
}

impl Folder {
    pub(super) fn read(dir: &Path) -> Self {
        let mut folder = Self {
            pairs: Vec::new(),
            problems: Vec::new(),
        };
        let mut found = BTreeMap::new();
        if let Err(problem) = list(dir, 0, &mut found) {
            folder.problems.push(problem);
        }
        for (place, files) in found {
            folder.take(&files, place == dir);
        }
        folder.pairs.sort_by(|one, other| one.file.cmp(&other.file));
        folder.problems.sort_by(|one, other| one.file.cmp(&other.file));
        folder.drop_repeated();
        folder
    }

    /// Matches the keys of one folder to its chains. What is left over in a tool's own folder is the tool's affair.
    fn take(&mut self, files: &[PathBuf], is_top: bool) {
        let mut chains = Vec::new();
        let mut keys = Vec::new();
        let mut unreadable = Vec::new();
        for file in files {
            match Read::of(file) {
                Ok(read) => {
                    chains.extend(read.chain);
                    keys.extend(read.key);
                }
                Err(fault) => {
                    unreadable.push(file.clone());
                    self.problems.push(TlsProblem::new(file, fault));
                }
            }
        }
        let (mut used, before) = (Vec::new(), self.pairs.len());
        keys.retain(|key| match longest(&chains, key) {
            Ok(Some((chain, _))) if chain.leaf.must_staple => {
                used.push(chain.leaf_der().to_vec());
                self.problems
                    .push(TlsProblem::new(&chain.file, Fault::MustStaple));
                false
            }
            Ok(Some((chain, certified))) => {
                used.push(chain.leaf_der().to_vec());
                self.pairs.push(Pair::new(chain, certified, key));
                false
            }
            Ok(None) => true,
            Err((chain, error)) => {
                used.push(chain.leaf_der().to_vec());
                self.problems
                    .push(TlsProblem::new(&chain.file, Fault::Unusable(error)));
                false
            }
        });
        let has_pairs = self.pairs.len() > before;
        for chain in &chains {
            if used.iter().any(|leaf| leaf == chain.leaf_der()) {
                continue;
            }
            let stem = stem(&chain.file);
            let of_this_name = |file: &Path| self::stem(file) == stem && file != chain.file;
            if let Some(at) = keys.iter().position(|key| of_this_name(&key.file)) {
                let fault = Fault::Mismatch(file_name(&chain.file));
                self.problems.push(TlsProblem::new(&keys.remove(at).file, fault));
            } else if is_top
                && !(has_pairs && chain.leaf.is_ca)
                && !unreadable.iter().any(|file| of_this_name(file))
            {
                let fault = Fault::NoKey(format!("{stem}.key"));
                self.problems.push(TlsProblem::new(&chain.file, fault));
            }
        }
        for key in keys.iter().filter(|_| is_top) {
            let stem = stem(&key.file);
            if !unreadable.iter().any(|file| self::stem(file) == stem) {
                let fault = Fault::NoCertificate(format!("{stem}.pem"));
                self.problems.push(TlsProblem::new(&key.file, fault));
            }
        }
    }

    /// The same certificate may lie in two folders.
    fn drop_repeated(&mut self) {
        let mut seen: Vec<Vec<u8>> = Vec::new();
        self.pairs.retain(|pair| {
            let leaf = pair.leaf_der().to_vec();
            let is_new = !seen.contains(&leaf);
            seen.push(leaf);
            is_new
        });
    }
}

/// All files that could be of a certificate.
pub(super) fn files(dir: &Path) -> Result<Vec<PathBuf>, TlsProblem> {
    let mut found = BTreeMap::new();
    list(dir, 0, &mut found)?;
    Ok(found.into_values().flatten().collect())
}

/// What changes when a file does: names, sizes and times of all files, and where links lead.
pub(super) type Fingerprint = Vec<(PathBuf, PathBuf, u64, Option<SystemTime>)>;

pub(super) fn fingerprint(dir: &Path) -> Fingerprint {
    let mut found = BTreeMap::new();
    // What can't be read now is told when it is read.
    let _unreadable = list(dir, 0, &mut found);
    let files = found.into_values().flatten();
    files
        .map(|file| {
            let real = fs::canonicalize(&file).unwrap_or_default();
            let about = fs::metadata(&file).ok();
            let len = about.as_ref().map_or(0, fs::Metadata::len);
            (file, real, len, about.and_then(|about| about.modified().ok()))
        })
        .collect()
}

/// Certificates and keys by the folder in which they lie. Hidden files and folders, and what ends otherwise, are none.
fn list(dir: &Path, depth: usize, found: &mut BTreeMap<PathBuf, Vec<PathBuf>>) -> Result<(), TlsProblem> {
    let unreadable = |error| TlsProblem::new(dir, Fault::Unreadable(error));
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        entries.push(entry.map_err(unreadable)?.path());
    }
    entries.sort();
    let is_certbots = entries.iter().any(|path| path.ends_with("live") && path.is_dir());
    for path in entries {
        let name = file_name(&path);
        if name.starts_with('.') || is_certbots && CERTBOTS.contains(&name.as_str()) {
            continue;
        }
        if depth < MAX_DEPTH && path.is_dir() && !is_of_a_pair(&name) {
            list(&path, depth + 1, found)?;
        } else if is_of_a_pair(&name) {
            if found.values().map(Vec::len).sum::<usize>() >= MAX_FILES {
                return Err(TlsProblem::new(dir, Fault::TooManyFiles(MAX_FILES)));
            }
            found.entry(dir.to_owned()).or_default().push(path);
        }
    }
    Ok(())
}

fn is_of_a_pair(name: &str) -> bool {
    let ends = |end: &str| name.len() > end.len() && name.ends_with(end);
    [".pem", ".crt", ".cer", ".key"].into_iter().any(ends)
}

/// One file: a chain, a key, both, or neither.
struct Read {
    chain: Option<Chain>,
    key: Option<Key>,
}

impl Read {
    fn of(file: &Path) -> Result<Self, Fault> {
        if file.extension().is_some_and(|end| end == "key") {
            let key = Key::read(file)?;
            return Ok(Self {
                chain: None,
                key: Some(key),
            });
        }
        let text = fs::read(file).map_err(Fault::Unreadable)?;
        let chain = Chain::parse(file, &text)?;
        // SECURITY: read as a secret is, so that a key which others may write is refused here too.
        let key = Key::is_in(&text).then(|| Key::read(file)).transpose()?;
        if chain.is_none() && key.is_none() && !is_parameters(&text) {
            return Err(Fault::NotACertificate);
        }
        Ok(Self { chain, key })
    }
}

/// `openssl dhparam` and its kind: of use to others, and not here.
fn is_parameters(text: &[u8]) -> bool {
    memchr::memmem::find(text, b"PARAMETERS-----").is_some()
}

type Matched<'c> = Option<(&'c Chain, CertifiedKey)>;

/// The longest chain for this key.
fn longest<'c>(chains: &'c [Chain], key: &Key) -> Result<Matched<'c>, (&'c Chain, Error)> {
    let mut best: Matched<'c> = None;
    for chain in chains {
        let certified = CertifiedKey::new(chain.certificates.clone(), Arc::clone(&key.signing));
        match certified.keys_match() {
            Ok(()) => {
                let is_longer = |best: &Chain| chain.certificates.len() > best.certificates.len();
                if best.as_ref().is_none_or(|(best, _)| is_longer(best)) {
                    best = Some((chain, certified));
                }
            }
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {}
            Err(error) => return Err((chain, error)),
        }
    }
    Ok(best)
}

/// `NAME` of `NAME.pem`, `NAME.key`, `NAME.pem.key`; certbot's names are those of one pair.
fn stem(file: &Path) -> String {
    let mut name = file_name(file);
    for end in [".key", ".pem", ".crt", ".cer"] {
        if let Some(stem) = name.strip_suffix(end) {
            name.truncate(stem.len());
        }
    }
    if name == "privkey" {
        "fullchain".into()
    } else {
        name
    }
}

pub(super) fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    use super::*;

    const DH: &str = "-----BEGIN DH PARAMETERS-----\nMAYCAQcCAQU=\n-----END DH PARAMETERS-----\n";

    /// A server's certificate, that of the authority that has signed it, and the key.
    struct Issued {
        leaf: String,
        authority: String,
        key: String,
    }

    fn issued(name: &str) -> Issued {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().unwrap();
        let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let leaf = params
            .signed_by(&key, &Issuer::new(authority, authority_key))
            .unwrap();
        Issued {
            leaf: leaf.pem(),
            authority: authority_pem,
            key: key.serialize_pem(),
        }
    }

    fn write(dir: &Path, name: &str, text: &str) {
        let file = dir.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// The pairs' files with the length of their chains, and what is wrong.
    fn read(dir: &Path) -> (Vec<(String, usize)>, Vec<String>) {
        let folder = Folder::read(dir);
        let below = |path: &Path| path.strip_prefix(dir).unwrap().display().to_string();
        let pairs = folder
            .pairs
            .iter()
            .map(|pair| (below(&pair.file), pair.key.cert.len()));
        let problems = folder
            .problems
            .iter()
            .map(|problem| format!("{}: {}", below(&problem.file), problem.fault));
        (pairs.collect(), problems.collect())
    }

    fn only(file: &str, chain: usize) -> (Vec<(String, usize)>, Vec<String>) {
        (vec![(file.to_owned(), chain)], Vec::new())
    }

    #[test]
    fn each_tools_layout_is_read_as_it_lies_there() {
        let Issued { leaf, authority, key } = issued("conf.example.org");
        let chain = leaf.clone() + &authority;
        let new = || tempfile::tempdir().unwrap();

        let haproxy = new();
        write(haproxy.path(), "conf.pem", &(chain.clone() + &key));
        write(haproxy.path(), "dhparam.pem", DH);
        assert_eq!(read(haproxy.path()), only("conf.pem", 2));

        let named = new();
        write(named.path(), "conf.pem", &chain);
        write(named.path(), "conf.pem.key", &key);
        write(named.path(), "ca.pem", &authority);
        assert_eq!(read(named.path()), only("conf.pem", 2));

        let certbot = new();
        for (name, text) in [
            ("cert", &leaf),
            ("chain", &authority),
            ("fullchain", &chain),
            ("privkey", &key),
        ] {
            write(certbot.path(), &format!("archive/conf/{name}1.pem"), text);
            fs::create_dir_all(certbot.path().join("live/conf")).unwrap();
            let link = certbot.path().join(format!("live/conf/{name}.pem"));
            symlink(format!("../../archive/conf/{name}1.pem"), link).unwrap();
        }
        write(certbot.path(), "live/README", "");
        assert_eq!(read(certbot.path()), only("live/conf/fullchain.pem", 2));
        assert_eq!(read(&certbot.path().join("live")), only("conf/fullchain.pem", 2));
        assert_eq!(read(&certbot.path().join("live/conf")), only("fullchain.pem", 2));

        let kubernetes = new();
        write(kubernetes.path(), "..2026_11_28/tls.crt", &chain);
        write(kubernetes.path(), "..2026_11_28/tls.key", &key);
        symlink("..2026_11_28", kubernetes.path().join("..data")).unwrap();
        for name in ["tls.crt", "tls.key"] {
            symlink(format!("..data/{name}"), kubernetes.path().join(name)).unwrap();
        }
        assert_eq!(read(kubernetes.path()), only("tls.crt", 2));

        let caddy = new();
        let place = "certificates/acme-v02.api.letsencrypt.org-directory/conf";
        write(caddy.path(), &format!("{place}/conf.crt"), &chain);
        write(caddy.path(), &format!("{place}/conf.key"), &key);
        write(caddy.path(), &format!("{place}/conf.json"), "{}");
        write(caddy.path(), "acme/users/me/me.key", &issued("me").key);
        assert_eq!(read(caddy.path()), only(&format!("{place}/conf.crt"), 2));

        let acme_sh = new();
        for (name, text) in [
            ("conf.cer", &leaf),
            ("ca.cer", &authority),
            ("fullchain.cer", &chain),
            ("conf.key", &key),
        ] {
            write(acme_sh.path(), &format!("conf_ecc/{name}"), text);
        }
        write(acme_sh.path(), "ca/acme/account.key", &issued("me").key);
        assert_eq!(read(acme_sh.path()), only("conf_ecc/fullchain.cer", 2));
    }

    #[test]
    fn a_renewal_that_is_half_written_is_told_wherever_it_lies() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (issued("conf.example.org"), issued("conf.example.org"));
        write(dir.path(), "live/conf/fullchain.pem", &new.leaf);
        write(dir.path(), "live/conf/privkey.pem", &old.key);
        let fault = "live/conf/privkey.pem: is not the key of the first certificate in fullchain.pem";
        assert_eq!(read(dir.path()), (Vec::new(), vec![fault.to_owned()]));
    }

    #[test]
    fn the_same_certificate_in_two_folders_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let pair = issued("conf.example.org");
        for place in ["a", "b"] {
            write(dir.path(), &format!("{place}/tls.crt"), &pair.leaf);
            write(dir.path(), &format!("{place}/tls.key"), &pair.key);
        }
        assert_eq!(read(dir.path()), only("a/tls.crt", 1));
    }

    #[test]
    fn a_key_inside_a_chain_is_held_to_what_keys_are_held_to() {
        let dir = tempfile::tempdir().unwrap();
        let pair = issued("conf.example.org");
        write(dir.path(), "conf.pem", &(pair.leaf + &pair.key));
        fs::set_permissions(dir.path().join("conf.pem"), fs::Permissions::from_mode(0o666)).unwrap();
        let (pairs, problems) = read(dir.path());
        assert!(
            pairs.is_empty() && problems[0].contains("may be written by others"),
            "{problems:?}"
        );
    }

    #[test]
    fn what_changes_a_file_or_a_link_changes_the_fingerprint() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "..1/tls.crt", "a");
        write(dir.path(), "..2/tls.crt", "a");
        symlink("..1", dir.path().join("..data")).unwrap();
        symlink("..data/tls.crt", dir.path().join("tls.crt")).unwrap();
        let before = fingerprint(dir.path());
        assert_eq!(fingerprint(dir.path()), before);
        fs::remove_file(dir.path().join("..data")).unwrap();
        symlink("..2", dir.path().join("..data")).unwrap();
        assert_ne!(fingerprint(dir.path()), before);
    }
}
