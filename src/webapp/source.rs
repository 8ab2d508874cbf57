//! What `client.path` leads to: a build, the archive of one, or a folder of several, of which the newest is served.
//!
//! The newest is found by name, in the order of versions: 2.4.10 comes after 2.4.9, and 2.5.0-rc.1 before 2.5.0. A
//! file's time would only say when it was copied. Names that begin with a dot are ignored, so a release can be copied
//! under such a name and renamed when it is complete.

use std::{
    cmp::Ordering,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use super::{
    INDEX, WebAppProblem, WebAppSettings, archive,
    folder::{self, Files},
};

/// The place of a build. It may be broken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Build {
    path: PathBuf,
    is_archive: bool,
}

/// All builds, the newest first. There is always one at least, but it may be broken.
pub(super) fn builds(path: &Path) -> Result<Vec<Build>, WebAppProblem> {
    let unreadable = |error| WebAppProblem::Unreadable(path.to_owned(), error);
    let is_archive = fs::metadata(path).map_err(unreadable)?.is_file();
    if is_archive || path.join(INDEX).is_file() {
        let path = path.to_owned();
        return Ok(vec![Build { path, is_archive }]);
    }
    let mut named = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            continue;
        };
        let path = entry.path();
        let zip = name.strip_suffix(".zip").map(str::to_owned);
        let is_archive = zip.is_some() && path.is_file();
        if !name.starts_with('.') && (is_archive || path.is_dir()) {
            named.push((zip.unwrap_or(name), Build { path, is_archive }));
        }
    }
    named
        .sort_by(|(a, a_build), (b, b_build)| by_version(b, a).then_with(|| b_build.path.cmp(&a_build.path)));
    if named.is_empty() {
        return Err(WebAppProblem::NoIndex(path.to_owned()));
    }
    Ok(named.into_iter().map(|(_, build)| build).collect())
}

impl Build {
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn read(&self, expose_login: bool) -> Result<Files, WebAppProblem> {
        if self.is_archive {
            archive::read(&self.path, expose_login)
        } else {
            folder::read(&self.path, expose_login)
        }
    }
}

/// A number that changes when anything that is read changes. It is made of names, sizes and times, without reading
/// files.
pub(super) fn fingerprint(settings: &WebAppSettings) -> u64 {
    let mut hasher = DefaultHasher::new();
    if let Some(file) = &settings.config_file {
        Marks::of(file, &mut hasher);
    }
    if let Some(path) = &settings.path {
        match builds(path) {
            Ok(builds) => {
                for (nth, build) in builds.iter().enumerate() {
                    build.path.hash(&mut hasher);
                    // Of those that are too old to be served it is enough to know that they are there.
                    if nth < settings.keep_releases.get() {
                        Marks::of(&build.path, &mut hasher);
                    }
                }
            }
            Err(problem) => problem.to_string().hash(&mut hasher),
        }
    }
    hasher.finish()
}

/// Reads names, sizes and times of a file, or of a folder as far down as it is served. A link that leads out of it,
/// such as to the root of the file system, is not followed.
struct Marks<'a> {
    root: PathBuf,
    /// The canonical paths of the folders that are being looked at, so that no link leads round in a circle.
    above: Vec<PathBuf>,
    left: usize,
    hasher: &'a mut DefaultHasher,
}

impl<'a> Marks<'a> {
    fn of(path: &Path, hasher: &'a mut DefaultHasher) {
        let Ok(root) = fs::canonicalize(path) else {
            return path.hash(hasher);
        };
        let mut marks = Marks {
            root: root.clone(),
            above: Vec::new(),
            left: folder::MAX_FILES,
            hasher,
        };
        marks.mark(root);
    }

    /// Adds a build to the fingerprint; `real` is its canonical path.
    fn mark(&mut self, real: PathBuf) {
        let Ok(about) = fs::metadata(&real) else {
            return real.hash(self.hasher);
        };
        (&real, about.len(), about.modified().ok()).hash(self.hasher);
        if about.is_dir()
            && let Ok(listing) = fs::read_dir(&real)
        {
            let mut below: Vec<_> = listing.flatten().collect();
            below.sort_by_key(fs::DirEntry::file_name);
            self.above.push(real);
            for entry in below {
                self.entry(&entry);
            }
            self.above.pop();
        }
    }

    fn entry(&mut self, entry: &fs::DirEntry) {
        let (name, path) = (entry.file_name(), entry.path());
        if folder::servable(&name).is_none() || self.left == 0 {
            return;
        }
        self.left -= 1;
        name.hash(self.hasher);
        if entry.file_type().is_ok_and(|kind| !kind.is_symlink()) {
            self.mark(path);
        } else if let Some(target) = folder::within(&path, &self.root, &self.above) {
            self.mark(target);
        } else {
            fs::read_link(&path).ok().hash(self.hasher);
        }
    }
}

/// A part of a name. The order of the variants and values is the order of versions.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Piece<'a> {
    /// The dash before a letter, as in `-rc.1`: such a version comes before the release of that number.
    Before,
    End,
    /// A number: how many digits it has without leading zeros, and these digits.
    Number(usize, &'a str),
    Other(char),
}

fn by_version(a: &str, b: &str) -> Ordering {
    pieces(a).cmp(pieces(b))
}

fn pieces(name: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = Some(name);
    std::iter::from_fn(move || {
        let text = rest?;
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        if let Some((number, after)) = text.split_at_checked(digits).filter(|_| digits > 0) {
            rest = Some(after);
            let number = number.trim_start_matches('0');
            return Some(Piece::Number(number.len(), number));
        }
        let mut chars = text.chars();
        let first = chars.next();
        rest = first.map(|_| chars.as_str());
        Some(match first {
            None => Piece::End,
            Some('-') if chars.as_str().starts_with(|c: char| c.is_ascii_alphabetic()) => Piece::Before,
            Some(other) => Piece::Other(other),
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn names_are_ordered_as_versions_are() {
        let ordered = [
            "1",
            "2.4.9",
            "2.4.10-beta.2",
            "2.4.10-beta.11",
            "2.4.10-rc1",
            "2.4.10",
            "2.4.10-1",
            "2.4.10.1",
            "2.10",
            "10",
            "2026-01-31",
            "2026-11-02",
            "client-2.4.9",
            "client-2.4.10",
            "v2",
        ];
        for (nth, a) in ordered.iter().enumerate() {
            for (mth, b) in ordered.iter().enumerate() {
                assert_eq!(by_version(a, b), nth.cmp(&mth), "{a} {b}");
            }
        }
        assert_eq!(by_version("2.04", "2.4"), Ordering::Equal);
    }

    #[test]
    fn a_folder_of_builds_is_told_from_a_build() {
        let folder = TempDir::new().unwrap();
        let path = folder.path();
        let name = |build: &Build| build.path.strip_prefix(path).unwrap().display().to_string();
        let names = || builds(path).unwrap().iter().map(name).collect::<Vec<_>>();
        assert!(matches!(builds(path), Err(WebAppProblem::NoIndex(_))));
        for name in ["2.4.9", "2.4.10", ".2.5", "2.4.8.zip"] {
            fs::create_dir(path.join(name)).unwrap();
        }
        for name in [
            "2.4.11.zip",
            "2.4.12.zip.part",
            "README.md",
            ".2.6.zip",
            "2.4.10.zip",
        ] {
            fs::write(path.join(name), "").unwrap();
        }
        assert_eq!(
            names(),
            ["2.4.11.zip", "2.4.10.zip", "2.4.10", "2.4.9", "2.4.8.zip"]
        );
        assert!(builds(path).unwrap().iter().take(2).all(|build| build.is_archive));
        assert_eq!(builds(&path.join("2.4.11.zip")).unwrap().len(), 1);
        fs::write(path.join("index.html"), "").unwrap();
        assert_eq!(names(), [""]);
    }

    #[test]
    fn every_change_leaves_another_fingerprint() {
        let folder = TempDir::new().unwrap();
        let path = folder.path();
        let mut settings = WebAppSettings::new(
            "https://a.example".to_owned(),
            String::new(),
            serde_json::Map::new(),
        )
        .unwrap();
        settings.path = Some(path.to_owned());
        let mut seen = vec![fingerprint(&settings)];
        let mut changed = |what: &str| {
            let now = fingerprint(&settings);
            assert_eq!(now, fingerprint(&settings));
            assert!(!seen.contains(&now), "{what}");
            seen.push(now);
        };
        fs::create_dir_all(path.join("1/assets/js")).unwrap();
        changed("a build");
        fs::write(path.join("1/assets/js/a.js"), "a").unwrap();
        changed("a file");
        fs::write(path.join("1/assets/js/a.js"), "ab").unwrap();
        changed("a longer file");
        let file = fs::File::options()
            .append(true)
            .open(path.join("1/assets/js/a.js"))
            .unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        changed("another time");
        fs::rename(path.join("1/assets/js/a.js"), path.join("1/assets/js/b.js")).unwrap();
        changed("another name");
        std::os::unix::fs::symlink("..", path.join("1/assets/up")).unwrap();
        changed("a link in a circle");
        fs::remove_dir_all(path.join("1")).unwrap();
        fs::remove_dir(path).unwrap();
        changed("nothing there");
    }

    /// Nobody waits for the whole file system, and nothing in it is of interest.
    #[test]
    fn nothing_is_looked_at_that_is_not_served() {
        let folder = TempDir::new().unwrap();
        let (client, outside) = (folder.path().join("client"), folder.path().join("outside"));
        fs::create_dir_all(client.join(".git")).unwrap();
        fs::create_dir_all(outside.join("deep")).unwrap();
        fs::write(client.join("index.html"), "").unwrap();
        std::os::unix::fs::symlink(&outside, client.join("link")).unwrap();
        std::os::unix::fs::symlink("/", client.join("root")).unwrap();
        let mut settings = WebAppSettings::new(
            "https://a.example".to_owned(),
            String::new(),
            serde_json::Map::new(),
        )
        .unwrap();
        settings.path = Some(client.clone());
        let before = fingerprint(&settings);
        fs::write(outside.join("deep/a"), "").unwrap();
        fs::write(client.join(".git/config"), "").unwrap();
        assert_eq!(fingerprint(&settings), before);
        fs::write(client.join("a.js"), "").unwrap();
        assert_ne!(fingerprint(&settings), before);
    }

    proptest! {
        #[test]
        fn the_order_is_one(mut names in prop::collection::vec("[0-2a.-]{0,5}", 4)) {
            names.sort_by(|a, b| by_version(a, b));
            prop_assert_ne!(by_version(&names[0], &names[3]), Ordering::Greater);
            prop_assert_ne!(by_version(&names[1], &names[3]), Ordering::Greater);
            prop_assert_eq!(by_version(&names[0], &names[1]), by_version(&names[1], &names[0]).reverse());
        }
    }
}
