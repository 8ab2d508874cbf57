//! Everything that is served at one moment.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

use super::{
    content::{Content, Hash},
    release::{Release, Served},
    stored::Stored,
};

/// A page and its files; never changed, but for codings that are learned.
pub(super) struct Shelf {
    pub page: Option<Stored>,
    assets: Served,
    /// The names of files that the page asks for at once.
    first: Vec<String>,
}

/// What there is on a shelf, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stock {
    pub files: usize,
    pub bytes: usize,
    pub codings: usize,
    pub coded_bytes: usize,
}

impl Shelf {
    pub fn new(release: Release) -> Self {
        Self {
            page: release.page,
            assets: release.files,
            first: release.first,
        }
    }

    pub fn asset(&self, name: &str) -> Option<&Stored> {
        self.assets.get(name).map(|file| &**file)
    }

    /// Everything that can be coded, the most important first.
    pub fn to_code(&self) -> Vec<Arc<Content>> {
        let mut files: Vec<_> = self.assets.values().filter_map(|file| file.to_code()).collect();
        files.sort_by_key(|content| Reverse(content.plain().bytes.len()));
        let page = self.page.iter();
        let first = self.first.iter().filter_map(|name| self.asset(name));
        let mut seen = HashSet::new();
        page.chain(first)
            .filter_map(Stored::to_code)
            .chain(files)
            .filter(|content| seen.insert(content.hash))
            .cloned()
            .collect()
    }

    /// All contents, for a later shelf that has some of them too.
    pub fn contents(&self) -> HashMap<Hash, Arc<Content>> {
        let files = self.assets.values().map(|file| &**file);
        files
            .chain(&self.page)
            .map(Stored::content)
            .map(|content| (content.hash, Arc::clone(content)))
            .collect()
    }

    pub fn stock(&self) -> Stock {
        let files = self.assets.len() + self.page.iter().len();
        self.contents().values().fold(
            Stock {
                files,
                ..Stock::default()
            },
            |sum, content| Stock {
                files,
                bytes: sum.bytes + content.plain().bytes.len(),
                codings: sum.codings + content.forms().count(),
                coded_bytes: sum.coded_bytes + content.forms().map(|form| form.bytes.len()).sum::<usize>(),
            },
        )
    }
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
