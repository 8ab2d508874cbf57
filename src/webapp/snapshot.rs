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
    WebAppProblem, WebAppSettings,
    content::{Content, Hash},
    known::{Known, Served},
    media,
    pages::Pages,
    release::Release,
    source,
    stored::Stored,
};

/// A page and its files. Nothing in it changes, except that codings are added.
pub(super) struct Snapshot {
    pub pages: Option<Pages>,
    assets: Served,
    /// The client's own keys in its `config.js`.
    config: Map<String, Value>,
    /// The names of the files that the page needs first.
    first: Vec<String>,
    /// For each release, the newest first: its files with a content hash in their names.
    generations: Vec<Arc<Served>>,
}

/// How much a snapshot holds, for the log.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stock {
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
            return Ok(Self::new(none, iter::empty(), settings.keep_releases));
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
        let on_disk = builds.filter_map(|build| match Release::read_hashed(&build, known) {
            Ok(files) => Some(Arc::new(files)),
            Err(problem) => {
                warn!("Refused an older release of the client: {problem}");
                None
            }
        });
        // What was served a moment ago is what is open somewhere.
        let served = before
            .iter()
            .flat_map(|before| before.generations.iter().cloned());
        Ok(Self::new(current, served.chain(on_disk), settings.keep_releases))
    }

    fn new(release: Release, older: impl Iterator<Item = Arc<Served>>, keep: NonZeroUsize) -> Self {
        let mut generations = vec![Arc::new(release.hashed())];
        for generation in older {
            if generations.len() == keep.get() {
                break;
            }
            if !generations.iter().any(|known| is_same(known, &generation)) {
                generations.push(generation);
            }
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
        }
    }

    pub fn asset(&self, name: &str) -> Option<&Stored> {
        self.assets.get(name).map(|file| &**file)
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
        let mut files: Vec<_> = self.assets.iter().collect();
        files.sort_by_key(|(name, file)| (is_old(name), Reverse(file.content().plain().bytes.len())));
        let first = self.first.iter().filter_map(|name| self.asset(name));
        let mut seen = HashSet::new();
        self.pages()
            .chain(first)
            .chain(files.into_iter().map(|(_, file)| &**file))
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
        files
            .chain(self.pages())
            .map(Stored::content)
            .map(|content| (content.hash, Arc::clone(content)))
            .collect()
    }

    pub fn stock(&self) -> Stock {
        let stock = Stock {
            files: self.assets.len() + self.pages().count(),
            ..Stock::default()
        };
        self.contents().values().fold(stock, |sum, content| Stock {
            bytes: sum.bytes + content.plain().bytes.len(),
            codings: sum.codings + content.forms().count(),
            coded_bytes: sum.coded_bytes + content.forms().map(|form| form.bytes.len()).sum::<usize>(),
            ..sum
        })
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
