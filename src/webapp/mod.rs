//! The client's files: read as a whole, answered from memory, with the page that holds a session.
//!
//! A request looks a name up and shares the bytes under it; no path of a request ever reaches the file system. A new
//! release is read beside the old one and takes its place at once, or is refused. The page is not one of the names: it
//! is shown at a session's path, which `crate::route` knows, and without a folder a small page of our own stands in its
//! place.
//!
//! | file | is there for |
//! | --- | --- |
//! | `source`, `folder`, `archive` | where builds lie; a folder or an archive -> names and bytes |
//! | `release`, `snapshot` | a build that is ready to be served; everything that is served |
//! | `released`, `addresses` | files at addresses that name their release; the page's addresses, and others in their place |
//! | `watch` | a new release takes the place of the old one |
//! | `index`, `pages`, `preload` | the page, in each language, and what it needs first, announced as each kind of `browser` wants it |
//! | `waiting` | the script in the page that tells whoever waits to be let in how many are before |
//! | `config_js`, `config_script`, `demo` | `config.js`; what the host's own says; the page in the client's place |
//! | `favicon` | the icon that browsers ask for by themselves |
//! | `content`, `coding` | a file's bytes in every coding; writing and reading codings |
//! | `making`, `prepare` | making codings in the background, or all of them before the start |
//! | `compressor` | a process that compresses, and is gone then with all its memory |
//! | `cache`, `ready_made` | codings that were made before: at another start, by the client's build |
//! | `stored` | a file's answer: `method`, `accept`, `conditional`, `range`, `multipart` each read a part of the request |
//! | `patient` | a large script lets style sheets pass |
//! | `media` | what a name says of a file |
//! | `path` | the path of a request -> a name |
//!
//! Not here: which path is a file's (`crate::route`), the session (`crate::session`).
//!
//! Sources: docs/plugnmeet.md sections 0.2, 8, 12; RFC 9110.

mod accept;
mod addresses;
mod archive;
mod browser;
mod cache;
mod coding;
mod compressor;
mod conditional;
mod config_js;
mod config_script;
mod content;
mod demo;
mod favicon;
mod folder;
mod index;
mod known;
mod making;
mod media;
mod method;
mod multipart;
mod pages;
mod path;
mod patient;
mod preload;
mod prepare;
mod problem;
mod range;
mod ready_made;
mod release;
mod released;
mod settings;
mod snapshot;
mod source;
mod stored;
mod token;
mod waiting;
mod watch;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use arc_swap::ArcSwap;
use hyper::{HeaderMap, Method, Response, StatusCode};
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use self::{
    browser::Browser,
    compressor::{CompressJob, Compressor, compress_jobs},
    config_js::lost_translations,
    config_script::{AssetsPath, ConfigScript, read as read_config_script},
    demo::Shown,
    prepare::Prepared,
    problem::WebAppProblem,
    settings::WebAppSettings,
    waiting::waiting_script,
};
use self::{
    cache::Cache,
    known::Known,
    making::{Effort, Making},
    media::Keep,
    snapshot::{At, Snapshot},
    stored::Stored,
};
use crate::reply::{Body, Failure};

const INDEX: &str = "index.html";
const CONFIG_JS: &str = "assets/config.js";

/// The client's files in memory, with the settings that say where they come from.
pub struct WebApp {
    settings: WebAppSettings,
    snapshot: ArcSwap<Snapshot>,
    /// The fingerprint of what was on disk when the snapshot was read.
    read_at: AtomicU64,
    /// The compressing of the current snapshot. It stops when this is dropped.
    making: Mutex<Option<Making>>,
    asked: Notify,
    /// Others have taken the place of these.
    replaced: CancellationToken,
    /// How to start a process that compresses in the background. Without one the gateway's own process compresses.
    compressor: OnceLock<Compressor>,
    /// The gateway's icon, for a client without one.
    favicon: Stored,
}

/// The largest size of a client whose start waits up to `START_PATIENCE` for its compressed forms. A larger one takes
/// too long anyway.
const SMALL_BYTES: usize = 64 << 10;
const START_PATIENCE: Duration = Duration::from_millis(50);

impl WebApp {
    /// Reads all files into memory. Blocks the thread.
    pub fn load(settings: WebAppSettings) -> Result<Self, WebAppProblem> {
        Self::read(settings, None)
    }

    /// As `load`, in the place of these: what is the same is not compressed again, and a page that was opened before still
    /// gets its parts.
    pub fn load_after(&self, settings: WebAppSettings) -> Result<Self, WebAppProblem> {
        let new = Self::read(settings, Some(&self.snapshot.load()))?;
        if let Some(compressor) = self.compressor.get() {
            new.compress_by(compressor.clone());
        }
        Ok(new)
    }

    fn read(settings: WebAppSettings, before: Option<&Snapshot>) -> Result<Self, WebAppProblem> {
        let read_at = source::fingerprint(&settings);
        let contents = before.map_or_else(HashMap::new, Snapshot::contents);
        let snapshot = Snapshot::read(&settings, &Known::new(contents, cache(&settings)), before)?;
        Ok(Self {
            settings,
            snapshot: ArcSwap::from_pointee(snapshot),
            read_at: AtomicU64::new(read_at),
            making: Mutex::default(),
            asked: Notify::new(),
            replaced: CancellationToken::new(),
            compressor: OnceLock::new(),
            favicon: favicon::own(),
        })
    }

    /// A value that `config.js` has at this moment, from `[client.config]` or from the release's own file.
    pub fn config(&self, key: &str) -> Option<Value> {
        self.snapshot.load().config(key).cloned()
    }

    /// Would these settings give the same files?
    pub fn is_as(&self, settings: &WebAppSettings) -> bool {
        self.settings == *settings
    }

    /// Others have taken the place of these: nobody looks for new ones any more.
    pub fn replaced(&self) {
        self.replaced.cancel();
    }

    /// Sets how processes that compress in the background are started. Only the first call counts.
    pub fn compress_by(&self, compressor: Compressor) {
        self.compressor.set(compressor).ok();
    }

    /// Starts to compress all files in the background. Blocks up to `START_PATIENCE` if the client is small.
    pub fn compress(&self) {
        let all = self.snapshot.load();
        let making = self.start_making(&all);
        if is_small(&all) {
            making.wait(START_PATIENCE);
        }
        *self.making.lock().unwrap_or_else(PoisonError::into_inner) = Some(making);
    }

    fn start_making(&self, all: &Arc<Snapshot>) -> Making {
        let effort = if is_small(all) {
            Effort::Full
        } else {
            Effort::Background
        };
        // What takes a moment takes little memory.
        let compressor = self.compressor.get().filter(|_| effort == Effort::Background);
        Making::start(all, cache(&self.settings), effort, compressor)
    }

    fn stop_making(&self) {
        self.making.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The page of a session: the client's, or our own that shows what the client would have been handed.
    pub fn page(
        &self,
        shown: Shown<'_>,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Response<Body>, Failure> {
        let current = self.snapshot.load();
        let of_client = current.pages.as_ref();
        match of_client.and_then(|pages| pages.for_reader(shown.language, shown.browser)) {
            Some(page) => page.answer(method, headers),
            None => demo::answer(shown, method),
        }
    }

    /// The page for a session whose browser keeps no cookie, with the token in it.
    pub fn page_with_token(
        &self,
        shown: Shown<'_>,
        method: &Method,
        token: &str,
        nonce: &str,
    ) -> Result<Response<Body>, Failure> {
        let page = self.page(shown, method, &HeaderMap::new())?;
        Ok(token::into_page(page, token, nonce))
    }

    /// The file under what follows the mount in a request's path, as it came, still percent-encoded.
    pub fn asset(
        &self,
        raw_path: &str,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Response<Body>, Failure> {
        let missing = || Failure::new(StatusCode::NOT_FOUND, "no_such_file", "there is no such file");
        // The bytes outlive the release that they are of.
        let current = self.snapshot.load();
        path::file_name(raw_path)
            .and_then(|path| match current.at(&path) {
                At::Name(file) => file.answer(method, headers),
                At::Release(file) => file.answer_kept(method, headers, Keep::ForGood),
                At::Instead(file) => file.answer_kept(method, headers, Keep::AskAgain),
                At::NotInRelease => stored::never_there(method),
                At::Nothing => Err(missing()),
            })
            .map_err(stored::shared)
    }

    /// The client's icon, or the gateway's if the client has none.
    pub fn favicon(&self, method: &Method, headers: &HeaderMap) -> Result<Response<Body>, Failure> {
        let current = self.snapshot.load();
        let of_client = favicon::NAMES.iter().find_map(|name| current.asset(name));
        of_client
            .unwrap_or(&self.favicon)
            .answer(method, headers)
            .map_err(stored::shared)
    }
}

fn is_small(all: &Snapshot) -> bool {
    all.bytes_to_code() <= SMALL_BYTES
}

fn cache(settings: &WebAppSettings) -> Option<Cache> {
    settings.cache.as_deref().map(Cache::at)
}

#[cfg(test)]
mod tests;
