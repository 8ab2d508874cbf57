//! The folder that keeps compressed forms (codings) of the client's files from one start to the next.
//!
//! A file's name holds two hashes, `PLAIN.CODED.br`: that of the content that was compressed, and that of the
//! compressed form. So a file that is incomplete, or was exchanged, is recognised when it is read. An empty file says
//! that the coding isn't worth it.
//!
//! The folder may be shared, deleted, or made elsewhere and mounted read-only: the gateway makes again what is missing.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use aws_lc_rs::rand;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use tracing::{debug, warn};

use super::{
    coding::Coding,
    content::{Content, Hash},
};
use crate::clock::Clock;

/// An entry that no gateway has used for this time belongs to an old release and is removed.
const KEPT_UNUSED: Duration = Duration::from_secs(30 * 24 * 3600);
/// The least time between two marks of an entry's use: more marks would add nothing.
const MARKED_EVERY: Duration = Duration::from_secs(24 * 3600);

/// The folder of codings, with its entries as they were when the gateway listed it.
pub(super) struct Cache {
    folder: PathBuf,
    entries: HashMap<(Hash, Coding), Entry>,
    /// Has a write failed? The operator is warned of the first failure alone.
    failed: AtomicBool,
}

struct Entry {
    path: PathBuf,
    coded: Hash,
}

impl Cache {
    /// Lists the folder. A folder that does not exist is an empty one.
    pub fn at(folder: &Path) -> Self {
        let mut entries = HashMap::new();
        match fs::read_dir(folder) {
            Ok(listing) => {
                for file in listing.flatten() {
                    if let Some((key, coded)) = file.file_name().to_str().and_then(parsed) {
                        entries.insert(
                            key,
                            Entry {
                                path: file.path(),
                                coded,
                            },
                        );
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => warn!(folder = %folder.display(), %error, "The client's cache can't be read"),
        }
        Self {
            folder: folder.to_owned(),
            entries,
            failed: AtomicBool::new(false),
        }
    }

    /// Gives the content each of its codings that the cache has.
    pub fn teach(&self, content: &Content) {
        for coding in Coding::ALL {
            if content.lacks(coding)
                && let Some(entry) = self.entries.get(&(content.hash, coding))
                && let Some(coded) = entry.read(content.plain().bytes.len())
            {
                content.learn(coding, (!coded.is_empty()).then_some(coded));
            }
        }
    }

    /// Keeps a coding, or that there is none that would be worth it. A folder that can't be written costs the next start
    /// some time, and nothing else.
    pub fn keep(&self, content: Hash, coding: Coding, coded: &[u8]) {
        if self.has_failed() {
            return;
        }
        if let Err(error) = self.write(content, coding, coded)
            && !self.failed.swap(true, Ordering::Relaxed)
        {
            warn!(
                folder = %self.folder.display(), %error,
                "The client's cache can't be written: the next start will compress again"
            );
        }
    }

    /// Has a coding failed to be written?
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    fn write(&self, content: Hash, coding: Coding, coded: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let name = name(content, coding, Hash::of(coded));
        // Readers see all of it or nothing: a name is given to what is complete.
        // Gateways that share the folder may all be process 1 of their containers, so that is no name to write under.
        let unfinished = self.folder.join(format!(".{name}.{}", nonce()?));
        let path = self.folder.join(name);
        let written = fs::write(&unfinished, coded).and_then(|()| fs::rename(&unfinished, &path));
        if written.is_err() {
            fs::remove_file(&unfinished).ok();
        } else if let Some(old) = self
            .entries
            .get(&(content, coding))
            .filter(|old| old.path != path)
        {
            // It was there, and was not used: it isn't what its name says.
            fs::remove_file(&old.path).ok();
        }
        written
    }

    /// Removes entries that nobody has used for `KEPT_UNUSED`, unless they are `in_use`, and files that were never
    /// finished.
    pub fn tidy(&self, in_use: impl Fn(Hash) -> bool) {
        let Ok(listing) = fs::read_dir(&self.folder) else {
            return;
        };
        for file in listing.flatten() {
            let file_name = file.file_name();
            let name = file_name.to_str().unwrap_or_default();
            let ours = match name.strip_prefix('.').and_then(|name| name.rsplit_once('.')) {
                Some((unfinished, _)) => parsed(unfinished).is_some(),
                None => parsed(name).is_some_and(|((content, _), _)| !in_use(content)),
            };
            if ours && age(&file.path()).is_some_and(|age| age > KEPT_UNUSED) {
                debug!(name, "Removed from the client's cache");
                fs::remove_file(file.path()).ok();
            }
        }
    }
}

impl Entry {
    /// Reads an entry, if it is what its name says. SECURITY: names are hashes without a key, so only the gateway may
    /// be able to write to the folder.
    fn read(&self, plain_len: usize) -> Option<Bytes> {
        let about = fs::metadata(&self.path).ok()?;
        // Whatever this is, it saves nothing, and may be without end.
        if !about.is_file() || usize::try_from(about.len()).ok()? > plain_len {
            return None;
        }
        let coded = fs::read(&self.path).ok()?;
        if Hash::of(&coded) != self.coded {
            warn!(path = %self.path.display(), "Ignored a file in the client's cache that is not what its name says");
            return None;
        }
        if age(&self.path).is_some_and(|age| age > MARKED_EVERY)
            && let Ok(file) = fs::File::options().append(true).open(&self.path)
        {
            file.set_modified(Clock::system().wall()).ok();
        }
        Some(coded.into())
    }
}

fn nonce() -> io::Result<String> {
    let mut bytes = [0; 8];
    rand::fill(&mut bytes).map_err(|_| io::Error::other("the system has no random bytes"))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

fn age(path: &Path) -> Option<Duration> {
    let modified = fs::metadata(path).and_then(|about| about.modified()).ok()?;
    Clock::system().wall().duration_since(modified).ok()
}

fn name(content: Hash, coding: Coding, coded: Hash) -> String {
    format!("{}.{}{}", content.text(), coded.text(), coding.suffix())
}

fn parsed(name: &str) -> Option<((Hash, Coding), Hash)> {
    let coding = Coding::ALL
        .into_iter()
        .find(|coding| name.ends_with(coding.suffix()))?;
    let (content, coded) = name.strip_suffix(coding.suffix())?.split_once('.')?;
    Some(((Hash::parse(content)?, coding), Hash::parse(coded)?))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, sync::Arc};

    use tempfile::TempDir;

    use super::*;

    fn content() -> Arc<Content> {
        Content::new(b"0123456789".repeat(100))
    }

    fn taught(folder: &Path) -> Arc<Content> {
        let content = content();
        Cache::at(folder).teach(&content);
        content
    }

    fn only_file(folder: &Path) -> PathBuf {
        let mut files = fs::read_dir(folder).unwrap();
        let file = files.next().unwrap().unwrap().path();
        assert!(files.next().is_none());
        file
    }

    #[test]
    fn what_was_kept_is_known_at_the_next_start() {
        let folder = TempDir::new().unwrap();
        let folder = folder.path().join("deep/cache");
        let before = taught(&folder);
        assert!(Coding::ALL.iter().all(|coding| before.lacks(*coding)));
        let cache = Cache::at(&folder);
        cache.keep(before.hash, Coding::Brotli, b"coded");
        cache.keep(before.hash, Coding::Gzip, b"");
        let after = taught(&folder);
        let tag = format!("\"{}-br\"", before.hash.text()).parse().unwrap();
        assert_eq!(after.tagged(&tag).unwrap().bytes, "coded");
        assert!(!after.lacks(Coding::Gzip) && after.lacks(Coding::Zstd));
        let other = Content::new(b"9876543210".repeat(100));
        Cache::at(&folder).teach(&other);
        assert!(other.lacks(Coding::Brotli));
    }

    #[test]
    fn half_a_file_or_another_under_its_name_is_not_used_and_is_replaced() {
        let folder = TempDir::new().unwrap();
        let folder = folder.path();
        let hash = content().hash;
        Cache::at(folder).keep(hash, Coding::Brotli, b"coded");
        let path = only_file(folder);
        for bad in [&b"code"[..], b"", b"coded.", b"other", &b"x".repeat(5000)] {
            fs::write(&path, bad).unwrap();
            assert!(taught(folder).lacks(Coding::Brotli), "{bad:?}");
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(taught(folder).lacks(Coding::Brotli));
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "code").unwrap();
        Cache::at(folder).keep(hash, Coding::Brotli, b"coded better");
        assert_ne!(only_file(folder), path);
        assert!(!taught(folder).lacks(Coding::Brotli));
    }

    #[test]
    fn what_is_written_at_the_same_time_is_written_apart() {
        let folder = TempDir::new().unwrap();
        let (folder, hash) = (folder.path(), content().hash);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let cache = Cache::at(folder);
                        cache.keep(hash, Coding::Brotli, b"coded");
                        assert!(!cache.has_failed());
                    }
                });
            }
        });
        assert_eq!(fs::read(only_file(folder)).unwrap(), b"coded");
    }

    #[test]
    fn files_that_are_not_ours_are_left_alone() {
        let folder = TempDir::new().unwrap();
        let hash = content().hash.text();
        for name in [
            "README.md".to_owned(),
            format!("{hash}.br"),
            format!("{hash}.short.br"),
            format!("{hash}.{hash}.br.bak"),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, "x").unwrap();
            let file = fs::File::options().append(true).open(&path).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        }
        let cache = Cache::at(folder.path());
        assert!(cache.entries.is_empty());
        cache.tidy(|_| false);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    }

    #[test]
    fn what_nobody_has_used_for_long_goes() {
        let folder = TempDir::new().unwrap();
        let folder = folder.path();
        let (old, used, young) = (content().hash, Hash::of(b"used"), Hash::of(b"young"));
        let cache = Cache::at(folder);
        for hash in [old, used, young] {
            cache.keep(hash, Coding::Zstd, b"coded");
        }
        fs::write(
            folder.join(format!(".{}.77", name(young, Coding::Gzip, young))),
            "half",
        )
        .unwrap();
        let long_ago = Clock::system().wall() - KEPT_UNUSED - Duration::from_secs(60);
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if !path.to_str().unwrap().contains(&format!("/{}", young.text())) {
                let file = fs::File::options().append(true).open(path).unwrap();
                file.set_modified(long_ago).unwrap();
            }
        }
        // A use counts.
        let content = content();
        Cache::at(folder).teach(&content);
        assert!(!content.lacks(Coding::Zstd));
        cache.tidy(|hash| hash == used);
        assert_eq!(fs::read_dir(folder).unwrap().count(), 3);
        cache.tidy(|_| false);
        assert_eq!(fs::read_dir(folder).unwrap().count(), 2);
    }

    #[test]
    fn a_folder_that_can_not_be_written_is_no_more_than_a_warning() {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
        let cache = Cache::at(&folder.path().join("file/cache"));
        assert!(!cache.has_failed());
        cache.keep(content().hash, Coding::Brotli, b"coded");
        cache.keep(content().hash, Coding::Gzip, b"coded");
        assert!(cache.has_failed());
    }
}
