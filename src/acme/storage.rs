//! What is kept in `acme.storage`: the account, certificates with their keys, orders that are under way, answers to checks,
//! and what came of the last order of each name.
//!
//! SECURITY: each file is for its owner alone, is written beside its place and put there whole. A name that becomes a file's
//! is checked here.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use aws_lc_rs::{digest, rand};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{due::Window, kind::Kind};

/// By which clocks of machines that share the folder may differ, in seconds.
const CLOCKS: i64 = 300;

/// A longer name, whose file's name would be too long with what comes behind it, is cut there and told from others by a hash.
const LONGEST_PLAIN: usize = 200;
/// The longest name of DNS, and what stands before it.
const LONGEST_NAME: usize = 260;

/// What a process that was cut off has left is removed after that, in seconds.
const LEFT_OVER: i64 = 24 * 3600;

/// Far more than any file here has.
const MAX_BYTES: u64 = 256 << 10;

const CERTIFICATES: &str = "certificates";
const CHALLENGES: &str = "challenges";
const ORDERS: &str = "orders";
const STATE: &str = "state";
const LOCK: &str = "lock";

#[derive(Clone, Debug)]
pub(super) struct Storage {
    folder: PathBuf,
}

/// What came of the orders of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    /// Failures since the last success.
    pub failures: u32,
    /// When the last order ended, and when there may be another; in seconds since 1970.
    pub tried: i64,
    pub next: i64,
    /// Before that the CA wants none.
    pub until: i64,
    /// Why the last one failed, in the CA's own words.
    pub words: String,
    /// How the name was proved the last time, and how it was not.
    pub worked: Option<Kind>,
    pub failed: Option<Kind>,
    /// The staging directory has given a certificate.
    pub staged: bool,
    pub window: Option<Window>,
}

impl Record {
    /// As it counts now. What was written by a clock that was ahead would keep everybody waiting until then.
    pub(super) fn believed(mut self, now: i64) -> Self {
        if self.tried > now + CLOCKS {
            (self.tried, self.next, self.until) = (now, now, now);
        }
        let (_, longest) = super::due::ASK_AGAIN;
        if let Some(window) = &mut self.window
            && window.ask_again > now + longest + CLOCKS
        {
            window.ask_again = now;
        }
        self
    }
}

/// An order that is under way.
#[derive(Serialize, Deserialize)]
pub(super) struct Under {
    pub directory: String,
    pub url: String,
    /// The private key as PEM.
    pub key: String,
    /// Unix time in seconds.
    pub since: i64,
}

/// Nobody else orders while this is held; the system lets go of it when the process ends.
pub(super) struct Lock(#[expect(dead_code, reason = "held, and never read")] File);

impl Storage {
    pub(super) fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    pub(super) fn certificates(&self) -> PathBuf {
        self.folder.join(CERTIFICATES)
    }

    /// Makes the folders; those that are there keep their permissions.
    pub(super) fn make(&self) -> io::Result<()> {
        for folder in [CERTIFICATES, CHALLENGES, ORDERS, STATE] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(self.folder.join(folder))?;
        }
        Ok(())
    }

    /// Removes drafts and answers that nobody waits for any more.
    pub(super) fn tidy(&self, now: i64) {
        for name in [CERTIFICATES, CHALLENGES, ORDERS, STATE] {
            for entry in fs::read_dir(self.folder.join(name))
                .into_iter()
                .flatten()
                .flatten()
            {
                let is_kept = name != CHALLENGES && !entry.file_name().as_encoded_bytes().starts_with(b".");
                let changed = entry.metadata().and_then(|about| about.modified());
                if !is_kept && changed.is_ok_and(|changed| unix(changed) < now - LEFT_OVER) {
                    fs::remove_file(entry.path()).ok();
                }
            }
        }
    }

    /// None: somebody else has it.
    pub(super) fn lock(&self) -> io::Result<Option<Lock>> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.folder.join(LOCK))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The chain of a name, and its key behind it.
    pub(super) fn certificate(&self, name: &str) -> Option<Vec<u8>> {
        read(&self.file(CERTIFICATES, name, "pem")?)
    }

    pub(super) fn keep_certificate(&self, name: &str, pem: &str) -> io::Result<()> {
        self.put(CERTIFICATES, name, "pem", pem.as_bytes())
    }

    /// The file is named by the CA's directory, as an account is one CA's.
    pub(super) fn account<T: DeserializeOwned>(&self, directory: &str) -> Option<T> {
        serde_json::from_slice(&read(&self.account_file(directory))?).ok()
    }

    pub(super) fn keep_account(&self, directory: &str, account: &impl Serialize) -> io::Result<()> {
        write(&self.account_file(directory), &serde_json::to_vec(account)?)
    }

    pub(super) fn drop_account(&self, directory: &str) {
        fs::remove_file(self.account_file(directory)).ok();
    }

    fn account_file(&self, directory: &str) -> PathBuf {
        self.folder
            .join(format!("account-{:016x}.json", hash_of(directory)))
    }

    pub(super) fn record(&self, name: &str) -> Record {
        self.json(STATE, name).unwrap_or_default()
    }

    pub(super) fn keep_record(&self, name: &str, record: &Record) -> io::Result<()> {
        self.put(STATE, name, "json", &serde_json::to_vec(record)?)
    }

    pub(super) fn order(&self, name: &str) -> Option<Under> {
        self.json(ORDERS, name)
    }

    pub(super) fn keep_order(&self, name: &str, order: &Under) -> io::Result<()> {
        self.put(ORDERS, name, "json", &serde_json::to_vec(order)?)
    }

    pub(super) fn drop_order(&self, name: &str) {
        if let Some(file) = self.file(ORDERS, name, "json") {
            fs::remove_file(file).ok();
        }
    }

    /// What answers a check, by its token or by its name.
    pub(super) fn answer(&self, of: &str) -> Option<String> {
        String::from_utf8(read(&self.file(CHALLENGES, of, "txt")?)?).ok()
    }

    pub(super) fn keep_answer(&self, of: &str, answer: &str) -> io::Result<()> {
        self.put(CHALLENGES, of, "txt", answer.as_bytes())
    }

    pub(super) fn drop_answer(&self, of: &str) {
        if let Some(file) = self.file(CHALLENGES, of, "txt") {
            fs::remove_file(file).ok();
        }
    }

    fn json<T: DeserializeOwned>(&self, folder: &str, name: &str) -> Option<T> {
        serde_json::from_slice(&read(&self.file(folder, name, "json")?)?).ok()
    }

    fn put(&self, folder: &str, name: &str, end: &str, bytes: &[u8]) -> io::Result<()> {
        let file = self
            .file(folder, name, end)
            .ok_or(io::ErrorKind::InvalidFilename)?;
        write(&file, bytes)
    }

    /// None of a name that would lead elsewhere.
    fn file(&self, folder: &str, name: &str, end: &str) -> Option<PathBuf> {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
        let is_sound =
            (1..=LONGEST_NAME).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(is_plain);
        let short = match name.get(..LONGEST_PLAIN) {
            // No name has a tilde.
            Some(start) if name.len() > LONGEST_PLAIN => format!("{start}~{:016x}", hash_of(name)),
            Some(_) | None => name.to_owned(),
        };
        is_sound.then(|| self.folder.join(folder).join(format!("{short}.{end}")))
    }
}

fn hash_of(text: &str) -> u64 {
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    let first = hash.as_ref().first_chunk::<8>().copied().unwrap_or_default();
    u64::from_be_bytes(first)
}

/// Unix time in seconds.
fn unix(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.unwrap_or(Duration::ZERO).as_secs()).unwrap_or(i64::MAX)
}

fn read(file: &Path) -> Option<Vec<u8>> {
    let read = crate::secret::read_file(file, MAX_BYTES).ok()?;
    Some(read.bytes)
}

/// Never half a file under its own name, and never a moment in which others can read it.
fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    // In containers several processes may have one number, and one folder.
    let mut random = [0; 16];
    rand::fill(&mut random).map_err(|_| io::ErrorKind::Other)?;
    let draft = folder.join(format!(".{}", BASE64_URL_SAFE_NO_PAD.encode(random)));
    let written = (|| {
        let mut open = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        open.write_all(bytes)?;
        open.sync_all()?;
        fs::rename(&draft, file)?;
        File::open(folder)?.sync_all()
    })();
    if written.is_err() {
        fs::remove_file(&draft).ok();
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn storage() -> (tempfile::TempDir, Storage) {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::at(&folder.path().join("acme"));
        storage.make().unwrap();
        (folder, storage)
    }

    #[test]
    fn what_is_kept_is_whole_and_for_its_owner_alone() {
        let (_folder, storage) = storage();
        storage.keep_certificate("conf.example.org", "one").unwrap();
        storage.keep_certificate("conf.example.org", "two").unwrap();
        assert_eq!(storage.certificate("conf.example.org").unwrap(), b"two");
        let mut all = fs::read_dir(storage.certificates()).unwrap();
        let file = all.next().unwrap().unwrap();
        assert!(all.next().is_none(), "no draft is left");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let folder = fs::metadata(storage.certificates()).unwrap();
        assert_eq!(folder.permissions().mode() & 0o777, 0o700);
        // Somebody else may have put it there.
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o620)).unwrap();
        assert_eq!(storage.certificate("conf.example.org"), None);
    }

    #[test]
    fn a_name_leads_nowhere_else() {
        let (_folder, storage) = storage();
        storage.keep_answer("a_B-9", "answer").unwrap();
        assert_eq!(storage.answer("a_B-9").as_deref(), Some("answer"));
        storage.keep_certificate("2001:db8::7", "an address").unwrap();
        for name in ["", "..", "../a", "a/b", ".a", "a\0b", "a~b", &"a".repeat(261)] {
            assert!(storage.keep_answer(name, "x").is_err(), "{name}");
            assert_eq!(storage.answer(name), None, "{name}");
        }
        storage.drop_answer("a_B-9");
        assert_eq!(storage.answer("a_B-9"), None);
    }

    #[test]
    fn the_longest_names_have_files_of_their_own() {
        let (_folder, storage) = storage();
        let names = ["a", "b"].map(|end| format!("{}{end}", "a".repeat(252)));
        for name in &names {
            storage.keep_record(name, &Record::default()).unwrap();
            storage.keep_certificate(name, name).unwrap();
            storage.keep_answer(&format!("tls.{name}"), name).unwrap();
        }
        for name in &names {
            assert_eq!(storage.certificate(name).unwrap(), name.as_bytes());
            assert_eq!(storage.answer(&format!("tls.{name}")).as_ref(), Some(name));
        }
    }

    #[test]
    fn what_nobody_waits_for_is_removed_after_a_day_and_nothing_else() {
        let (_folder, storage) = storage();
        storage.keep_answer("token", "answer").unwrap();
        storage.keep_certificate("conf.example.org", "one").unwrap();
        let draft = storage.certificates().join(".draft");
        fs::write(&draft, "half").unwrap();
        let written = unix(fs::metadata(&draft).unwrap().modified().unwrap());
        storage.tidy(written + LEFT_OVER);
        assert!(draft.exists() && storage.answer("token").is_some());
        storage.tidy(written + LEFT_OVER + 60);
        assert!(!draft.exists() && storage.answer("token").is_none());
        assert!(storage.certificate("conf.example.org").is_some());
    }

    #[test]
    fn one_holds_the_lock_and_lets_go_of_it() {
        let (_folder, storage) = storage();
        let held = storage.lock().unwrap();
        assert!(held.is_some());
        assert!(storage.lock().unwrap().is_none());
        drop(held);
        assert!(storage.lock().unwrap().is_some());
    }

    #[test]
    fn times_that_lie_ahead_are_not_believed() {
        let window = |ask_again| {
            Some(Window {
                ask_again,
                ..Window::default()
            })
        };
        let written = Record {
            failures: 3,
            tried: 1_000_000,
            next: 1_001_000,
            until: 1_000_500,
            window: window(1_080_000),
            ..Record::default()
        };
        assert_eq!(written.clone().believed(1_000_000), written);
        assert_eq!(written.clone().believed(999_800), written);
        let then = written.believed(500_000);
        assert_eq!((then.tried, then.next, then.until), (500_000, 500_000, 500_000));
        assert_eq!((then.failures, then.window), (3, window(500_000)));
    }

    #[test]
    fn a_record_and_an_account_come_back_as_they_were() {
        let (_folder, storage) = storage();
        assert_eq!(storage.record("a.example"), Record::default());
        let record = Record {
            failures: 3,
            words: "no valid A records".into(),
            worked: Some(Kind::TlsAlpn),
            ..Record::default()
        };
        storage.keep_record("a.example", &record).unwrap();
        assert_eq!(storage.record("a.example"), record);
        storage
            .keep_account("https://ca.example/dir", &"account")
            .unwrap();
        assert_eq!(
            storage.account("https://ca.example/dir"),
            Some("account".to_owned())
        );
        assert_eq!(storage.account::<String>("https://other.example/dir"), None);
    }
}
