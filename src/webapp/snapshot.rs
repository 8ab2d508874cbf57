//! A snapshot: everything that is served at one moment. It has the newest release whole, and of earlier releases the
//! files that a page opened before may still ask for.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    fmt, iter,
    num::NonZeroUsize,
    sync::Arc,
};

use serde_json::{Map, Value};
use tracing::warn;

use super::{
    CONFIG_JS, WebAppProblem, WebAppSettings,
    content::{Content, Hash},
    folder::LOGIN,
    known::{Known, Served},
    media,
    pages::Pages,
    release::Release,
    released::{self, Released},
    source,
    stored::Stored,
};

/// A page and its files. Nothing in it changes, except that codings are added.
pub(super) struct Snapshot {
    pub pages: Option<Pages>,
    assets: Served,
    /// The client's own keys in its `config.js`.
    config: Map<String, Value>,
    /// The paths below the mount of the files that the page needs first.
    first: Vec<String>,
    /// For each release, the newest first: its files with a content hash in their names.
    generations: Vec<Arc<Served>>,
    /// Each release at its own addresses, the newest first, which is the one that `assets` has whole.
    released: Vec<Arc<Released>>,
}

/// What is at a path below the mount.
pub(super) enum At<'a> {
    /// A file by its name in the newest build.
    Name(&'a Stored),
    /// A file of the release that the path names. It never changes.
    Release(&'a Stored),
    /// A file of the newest release, as the one that the path names is not known here, or as its `config.js` is not.
    Instead(&'a Stored),
    /// No file, as the release that the path names has none of this name.
    NotInRelease,
    Nothing,
}

/// How much a snapshot holds, for the log.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stock {
    /// Those that are equal count once.
    files: usize,
    bytes: usize,
    codings: usize,
    coded_bytes: usize,
}

impl Snapshot {
    /// Reads what `client.path` leads to. Builds that are broken are told and passed over, as long as there is another.
    pub fn read(
        settings: &WebAppSettings,
        known: &Known,
        before: Option<&Self>,
    ) -> Result<Self, WebAppProblem> {
        let Some(path) = &settings.path else {
            let none = Release::read(None, settings, known)?;
            return Ok(Self::new(none, None, iter::empty(), settings.keep_releases));
        };
        let mut builds = source::builds(path)?.into_iter();
        let mut newest_problem = None;
        let current = loop {
            let Some(build) = builds.next() else {
                let problem = newest_problem.unwrap_or_else(|| WebAppProblem::NoIndex(path.clone()));
                return Err(WebAppProblem::NoRelease(path.clone(), Box::new(problem)));
            };
            let release = Release::read(Some(&build), settings, known);
            match release
                .and_then(|release| release.whole_or(&build, before.is_none() && build.path() == path))
            {
                Ok(release) => break release,
                // There is no other.
                Err(problem) if build.path() == path => return Err(problem),
                // No fault of this build's.
                Err(problem @ WebAppProblem::ConfigFile(..)) => return Err(problem),
                Err(problem) => {
                    warn!("Refused a release of the client: {problem}");
                    newest_problem.get_or_insert(problem);
                }
            }
        };
        let on_disk = builds.filter_map(|build| match Release::read_older(&build, known) {
            Ok(release) => Some(Arc::new(release)),
            Err(problem) => {
                warn!("Refused an older release of the client: {problem}");
                None
            }
        });
        Ok(Self::new(current, before, on_disk, settings.keep_releases))
    }

    /// What was served a moment ago is what is open somewhere, so it comes before the builds that are on disk.
    ///
    /// Releases that differ in nothing but files without a hash share a generation: changing a logo now and then costs no
    /// page its scripts.
    fn new(
        release: Release,
        before: Option<&Self>,
        on_disk: impl Iterator<Item = Arc<Released>>,
        keep: NonZeroUsize,
    ) -> Self {
        let keep = keep.get();
        let mut generations = vec![Arc::new(release.released.hashed())];
        let mut released = vec![Arc::new(release.released)];
        let is_one = |a: &Released, b: &Released| a.id() == b.id();
        if let Some(before) = before {
            for generation in &before.generations {
                keep_other(&mut generations, Arc::clone(generation), keep, is_same);
            }
            for release in &before.released {
                keep_other(&mut released, Arc::clone(release), keep, is_one);
            }
        }
        let mut on_disk = on_disk;
        while generations.len() < keep || released.len() < keep {
            let Some(release) = on_disk.next() else {
                break;
            };
            keep_other(&mut generations, Arc::new(release.hashed()), keep, is_same);
            keep_other(&mut released, release, keep, is_one);
        }
        // A name that several have is the newest's.
        let mut assets = Served::new();
        for generation in generations.iter().rev() {
            assets.extend(
                generation
                    .iter()
                    .map(|(name, file)| (name.clone(), Arc::clone(file))),
            );
        }
        assets.extend(release.files);
        Self {
            pages: release.pages,
            assets,
            config: release.config,
            first: release.first,
            generations,
            released,
        }
    }

    /// The file of this name in the newest build.
    pub fn asset(&self, name: &str) -> Option<&Stored> {
        self.assets.get(name).map(|file| &**file)
    }

    /// What is at this path below the mount.
    pub fn at(&self, path: &str) -> At<'_> {
        if let Some(file) = self.asset(path) {
            return At::Name(file);
        }
        let Some((id, name)) = released::split(path).filter(|(_, name)| *name != LOGIN) else {
            return At::Nothing;
        };
        let known = self.released.iter().find(|release| release.id() == id);
        if let Some(file) = known.and_then(|release| release.get(name)) {
            return At::Release(file);
        }
        let instead = if released::is_config(name) {
            self.released.first().and_then(|newest| newest.config())
        } else if known.is_none() || name == CONFIG_JS {
            self.asset(name)
        } else {
            return At::NotInRelease;
        };
        instead.map_or(At::Nothing, At::Instead)
    }

    /// A value of the client's own `config.js`.
    pub fn config(&self, key: &str) -> Option<&Value> {
        self.config.get(key)
    }

    fn pages(&self) -> impl Iterator<Item = &Stored> {
        self.pages.iter().flat_map(Pages::iter)
    }

    /// Does the other snapshot serve the same?
    pub fn is_as(&self, other: &Self) -> bool {
        let pages = |snapshot: &Self| {
            snapshot
                .pages()
                .map(|page| page.content().hash)
                .collect::<Vec<_>>()
        };
        pages(self) == pages(other) && is_same(&self.assets, &other.assets)
    }

    /// All contents that can be compressed, the most important first.
    pub fn to_code(&self) -> Vec<Arc<Content>> {
        let current = self.generations.first();
        let is_old = |name: &str| {
            media::has_content_hash(name) && current.is_some_and(|current| !current.contains_key(name))
        };
        let by_name = self.assets.iter().map(|(name, file)| (is_old(name), &**file));
        let releases = self
            .released
            .iter()
            .zip([false].into_iter().chain(iter::repeat(true)));
        let by_release =
            releases.flat_map(|(release, is_old)| release.files().map(move |file| (is_old, file)));
        let mut files: Vec<_> = by_name.chain(by_release).collect();
        files.sort_by_key(|(is_old, file)| (*is_old, Reverse(file.content().plain().bytes.len())));
        let first = self.first.iter().filter_map(|path| match self.at(path) {
            At::Name(file) | At::Release(file) | At::Instead(file) => Some(file),
            At::NotInRelease | At::Nothing => None,
        });
        let mut seen = HashSet::new();
        self.pages()
            .chain(first)
            .chain(files.into_iter().map(|(_, file)| file))
            .filter_map(Stored::to_code)
            .filter(|content| seen.insert(content.hash))
            .cloned()
            .collect()
    }

    pub fn bytes_to_code(&self) -> usize {
        let contents = self.to_code();
        contents.iter().map(|content| content.plain().bytes.len()).sum()
    }

    /// All contents, so that a later snapshot can share those that it has too.
    pub fn contents(&self) -> HashMap<Hash, Arc<Content>> {
        let files = self.assets.values().map(|file| &**file);
        let of_releases = self.released.iter().flat_map(|release| release.files());
        files
            .chain(of_releases)
            .chain(self.pages())
            .map(Stored::content)
            .map(|content| (content.hash, Arc::clone(content)))
            .collect()
    }

    pub fn stock(&self) -> Stock {
        let contents = self.contents();
        contents.values().fold(Stock::default(), |sum, content| Stock {
            files: sum.files + 1,
            bytes: sum.bytes + content.plain().bytes.len(),
            codings: sum.codings + content.forms().count(),
            coded_bytes: sum.coded_bytes + content.forms().map(|form| form.bytes.len()).sum::<usize>(),
        })
    }
}

/// Adds one to those that are kept, if it is not among them and they are not too many.
fn keep_other<T>(kept: &mut Vec<Arc<T>>, other: Arc<T>, most: usize, is_same: impl Fn(&T, &T) -> bool) {
    if kept.len() < most && !kept.iter().any(|known| is_same(known, &other)) {
        kept.push(other);
    }
}

fn is_same(a: &Served, b: &Served) -> bool {
    let hash_in = |files: &Served, name: &str| files.get(name).map(|file| file.content().hash);
    a.len() == b.len()
        && a.iter()
            .all(|(name, file)| hash_in(b, name) == Some(file.content().hash))
}

impl fmt::Display for Stock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            files,
            bytes,
            codings,
            coded_bytes,
        } = self;
        write!(
            f,
            "{files} files of {bytes} bytes, with {codings} compressed forms of {coded_bytes} bytes"
        )
    }
}
