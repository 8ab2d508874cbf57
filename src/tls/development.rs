//! A certificate of our own making, for a folder that has none: a newcomer sees the whole way work over HTTPS.
//!
//! Kept for the next start, so that a browser's exception, or a trust store with the file in it, stays good. Made anew
//! only while it is the sole pair and does not fit any more; never is a pair touched that somebody else put there.
//!
//! Source: RFC 5280 section 4.2.1. It is no CA: whoever trusts the file trusts one server, not everything its key signs.

use std::{
    ffi::OsStr,
    fs::{self, OpenOptions},
    io::{self, Write},
    net::IpAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};
use x509_parser::time::ASN1Time;

use super::{
    folder,
    leaf::COMMON_NAME,
    pair::Chain,
    problem::{Fault, TlsProblem},
    store::CoveredNames,
};
use crate::secret;

const NAME: &str = "development";
const ALWAYS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
const DAY_SECONDS: i64 = 24 * 3600;
/// The longest that browsers take from anyone.
const LIFETIME_DAYS: i64 = 397;

/// How long before its end it is made anew.
const SOON_SECONDS: i64 = 14 * DAY_SECONDS;

/// Where our own certificate lies in a folder.
pub(super) fn file(dir: &Path) -> PathBuf {
    dir.join(NAME).with_extension("pem")
}

fn key_file(dir: &Path) -> PathBuf {
    dir.join(NAME).with_extension("key")
}

/// Is there a pair to make? If the folder has none, or only ours and that is past its use.
pub(super) fn is_needed(dir: &Path, names: &CoveredNames, now: i64) -> Result<bool, TlsProblem> {
    match fs::metadata(dir) {
        Ok(about) if about.is_dir() => {}
        Ok(_) => return Err(TlsProblem::new(dir, Fault::NotAFolder)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(TlsProblem::new(dir, Fault::Unreadable(error))),
    }
    let files = folder::files(dir)?;
    let ours = [file(dir), key_file(dir)];
    Ok(files.is_empty() || files.iter().all(|file| ours.contains(file)) && is_past_use(dir, names, now))
}

/// May and can the pair be made? Without `anywhere` the folder has to be there, and nothing in it but what is ours:
/// somebody made it for this. One that is missing is a slip of the pen, and one with other things in it has an owner
/// (`/etc/letsencrypt/live`).
pub(super) fn can_be_made(dir: &Path, names: &CoveredNames, anywhere: bool) -> Result<(), TlsProblem> {
    if !anywhere && !is_for_us_alone(dir) {
        return Err(TlsProblem::new(dir, Fault::NoneToMake(names.public.clone())));
    }
    secret::can_make_in(dir).map_err(|error| TlsProblem::new(dir, Fault::NotMade(error)))
}

fn is_for_us_alone(dir: &Path) -> bool {
    let is_ours = |name: &OsStr| {
        let name = name.as_encoded_bytes();
        name.starts_with(b".") || name.starts_with(b"development.") || name == b"plugnmeet-secret"
    };
    fs::read_dir(dir).is_ok_and(|mut all| all.all(|file| file.is_ok_and(|file| is_ours(&file.file_name()))))
}

/// Makes `development.pem` and `development.key`, if they are needed.
pub(super) fn ensure(dir: &Path, names: &CoveredNames, anywhere: bool, now: i64) -> Result<(), TlsProblem> {
    if !is_needed(dir, names, now)? {
        return Ok(());
    }
    can_be_made(dir, names, anywhere)?;
    let not_made = |file: &Path, error| TlsProblem::new(file, Fault::NotMade(error));
    fs::create_dir_all(dir).map_err(|error| not_made(dir, error))?;
    let (pem, key) = (file(dir), key_file(dir));
    let made = make(names, now).map_err(|error| not_made(&pem, io::Error::other(error)))?;
    // In this order an interrupted start leaves our certificate without a key, which the next start takes as past its use.
    if key.exists() {
        fs::remove_file(&key).map_err(|error| not_made(&key, error))?;
    }
    write(&pem, 0o644, &made.certificate).map_err(|error| not_made(&pem, error))?;
    write(&key, 0o600, &made.key.serialize_pem()).map_err(|error| not_made(&key, error))
}

/// Is it ours, and of no more use? About to expire counts: a gateway runs for weeks.
fn is_past_use(dir: &Path, names: &CoveredNames, now: i64) -> bool {
    let Ok(Some(chain)) = Chain::read(&file(dir)) else {
        return false;
    };
    let leaf = chain.leaf;
    let fits = leaf.is_valid_at(now)
        && leaf.is_valid_at(now + SOON_SECONDS)
        && names.iter().all(|host| leaf.covers(host));
    leaf.self_made && !(fits && key_file(dir).exists())
}

struct Made {
    certificate: String,
    key: KeyPair,
}

fn make(names: &CoveredNames, now: i64) -> Result<Made, rcgen::Error> {
    let mut covered: Vec<String> = names.iter().chain(ALWAYS).map(canonical).collect();
    covered.sort();
    covered.dedup();
    let mut params = CertificateParams::new(covered)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, COMMON_NAME);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // A client whose clock is behind ours takes it too.
    params.not_before = at(now - DAY_SECONDS)?.to_datetime();
    params.not_after = at(now + (LIFETIME_DAYS - 1) * DAY_SECONDS)?.to_datetime();

    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.self_signed(&key)?.pem();
    Ok(Made { certificate, key })
}

fn at(unix: i64) -> Result<ASN1Time, rcgen::Error> {
    ASN1Time::from_timestamp(unix).map_err(|_| rcgen::Error::Time)
}

/// One spelling of an address, so that none is listed twice.
fn canonical(host: &str) -> String {
    host.parse::<IpAddr>()
        .map_or_else(|_| host.to_owned(), |ip| ip.to_string())
}

/// Never half a file under its own name, and never a moment in which others can read a key.
fn write(file: &Path, mode: u32, text: &str) -> io::Result<()> {
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(file.file_name().unwrap_or_default());
    let hidden = file.with_file_name(hidden);
    // From a start that was interrupted; opened anew it would keep whatever mode it has.
    match fs::remove_file(&hidden) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut open = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&hidden)?;
    open.write_all(text.as_bytes())?;
    open.sync_all()?;
    fs::rename(&hidden, file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;
    use crate::{
        clock::Clock,
        tls::{
            CertStore, Tls, TlsSettings,
            testing::{DAY, NOW, certificate, connect, made, trusting},
        },
    };

    struct Certs {
        dir: TempDir,
    }

    impl Certs {
        fn new() -> Self {
            Self {
                dir: tempfile::tempdir().unwrap(),
            }
        }

        /// A folder that is not there yet.
        fn path(&self) -> PathBuf {
            self.dir.path().join("certs")
        }

        fn start(&self, public: &str, now: i64) -> Result<CertStore, String> {
            let names = CoveredNames {
                public: public.into(),
                hosts: vec!["10.1.2.3".into()],
            };
            ensure(&self.path(), &names, true, now).map_err(|problem| problem.to_string())?;
            CertStore::load(&self.path(), None, &names, now).map_err(|problems| problems[0].to_string())
        }

        fn both(&self) -> (String, String) {
            let read = |name: &str| fs::read_to_string(self.path().join(name)).unwrap();
            (read("development.pem"), read("development.key"))
        }

        fn mode(&self, name: &str) -> u32 {
            let metadata = fs::metadata(self.path().join(name)).unwrap();
            metadata.permissions().mode() & 0o777
        }
    }

    #[test]
    fn is_made_for_all_names_and_kept_for_the_next_start() {
        let certs = Certs::new();
        let store = certs.start("conf.example.org", NOW).unwrap();
        assert_eq!(
            store.files()[0].names,
            ["conf.example.org", "localhost", "10.1.2.3", "127.0.0.1", "::1"]
        );
        assert_eq!(store.files()[0].last_day, "2027-08-25");
        assert_eq!(store.warnings(), []);
        let first = certs.both();
        certs.start("conf.example.org", NOW + 300 * DAY).unwrap();
        assert_eq!(certs.both(), first);
    }

    #[test]
    fn the_key_is_readable_by_its_owner_alone() {
        let certs = Certs::new();
        fs::create_dir(certs.path()).unwrap();
        fs::write(
            certs.path().join(".development.key"),
            "left by an interrupted start",
        )
        .unwrap();
        certs.start("localhost", NOW).unwrap();
        assert_eq!(certs.mode("development.key"), 0o600);
        assert_eq!(certs.mode("development.pem") & 0o444, 0o444);
        assert_eq!(fs::read_dir(certs.path()).unwrap().count(), 2);
    }

    #[test]
    fn is_made_anew_when_it_fits_no_more() {
        let certs = Certs::new();
        certs.start("localhost", NOW).unwrap();
        let first = certs.both();
        certs.start("conf.example.org", NOW).unwrap();
        let second = certs.both();
        assert_ne!(first, second);
        certs.start("conf.example.org", NOW + 400 * DAY).unwrap();
        let third = certs.both();
        assert_ne!(second, third);
        fs::remove_file(certs.path().join("development.key")).unwrap();
        certs.start("conf.example.org", NOW + 400 * DAY).unwrap();
        assert_ne!(third, certs.both());
        assert_eq!(certs.mode("development.key"), 0o600);
    }

    #[test]
    fn is_not_made_beside_others_nor_in_place_of_somebody_elses() {
        let certs = Certs::new();
        fs::create_dir(certs.path()).unwrap();
        let theirs = made(&["a.example"]);
        let theirs = (theirs.pem(), theirs.key());
        fs::write(certs.path().join("development.pem"), &theirs.0).unwrap();
        fs::write(certs.path().join("development.key"), &theirs.1).unwrap();
        certs.start("conf.example.org", NOW).unwrap();
        assert_eq!(certs.both(), theirs);

        fs::remove_file(certs.path().join("development.pem")).unwrap();
        let refused = certs.start("conf.example.org", NOW).unwrap_err();
        assert!(refused.ends_with("is a key without a certificate: development.pem is missing"));
        assert!(!certs.path().join("development.pem").exists());
    }

    #[test]
    fn one_past_its_days_beside_others_is_left_out() {
        let certs = Certs::new();
        certs.start("localhost", NOW).unwrap();
        let others = made(&["localhost"]).valid(NOW, NOW + 900 * DAY);
        fs::write(certs.path().join("other.pem"), others.pem()).unwrap();
        fs::write(certs.path().join("other.key"), others.key()).unwrap();
        let store = certs.start("localhost", NOW + 400 * DAY).unwrap();
        assert_eq!(store.files().len(), 1);
        let warned = store.warnings()[0].to_string();
        assert!(
            warned.ends_with(
                "development.pem: self-made and no longer valid: not served; delete it and its key"
            ),
            "{warned}"
        );
    }

    #[test]
    fn a_file_in_the_folders_place_is_named() {
        let certs = Certs::new();
        fs::write(certs.path(), "a file").unwrap();
        assert_eq!(
            certs.start("localhost", NOW).err(),
            Some(format!(
                "{}: is a file, and no folder of certificates",
                certs.path().display()
            ))
        );
    }

    /// What a trust store asks of a certificate that is its own anchor: no CA, the names, the purpose.
    #[tokio::test]
    async fn a_client_takes_it_as_its_only_trust_anchor() {
        let certs = Certs::new();
        let settings = TlsSettings {
            certs: certs.path(),
            acme: None,
            public_host: "conf.example.org".into(),
            hosts: Vec::new(),
            handshake: std::time::Duration::from_secs(10),
            make_anywhere: true,
            turn: false,
            only_tls13: false,
        };
        let tls = Tls::new(&settings, Clock::system().unix()).unwrap();
        let anchor = certificate(&certs.path().join("development.pem"));
        for name in ["conf.example.org", "localhost", "127.0.0.1", "::1"] {
            connect(&tls, name, trusting(anchor.clone())).await.unwrap();
        }
        let refused = connect(&tls, "other.example.org", trusting(anchor)).await;
        assert!(refused.is_err());
    }
}
