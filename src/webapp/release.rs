//! One release: a build of the client, read from its files and prepared for serving.
//!
//! A release is read and checked whole before any file of it is served: a broken build is refused as a whole.

use std::{
    collections::HashMap,
    num::NonZero,
    panic,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use tracing::warn;

use super::{
    CONFIG_JS, INDEX, WebAppProblem, WebAppSettings,
    cache::Cache,
    config_js,
    content::{Content, Hash},
    folder::{Files, Found},
    index, media,
    pages::Pages,
    preload,
    ready_made::{self, ReadyMade},
    source::Build,
    stored::Stored,
};

/// Files by the name under which they are served.
pub(super) type Served = HashMap<Box<str>, Arc<Stored>>;

/// One build of the client, with what the configuration adds to it.
pub(super) struct Release {
    /// The client's pages. None: there is no client, and the gateway shows a page of its own.
    pub pages: Option<Pages>,
    pub files: Served,
    /// The names of the files that the page needs first.
    pub first: Vec<String>,
    /// A file that the page needs and that does not exist.
    pub lacks: Option<String>,
}

/// What is known of contents before they are read: those that are served or were read already, and what the cache has of
/// others.
pub(super) struct Known {
    contents: Mutex<HashMap<Hash, Arc<Content>>>,
    cache: Option<Cache>,
}

impl Release {
    /// Reads a build. Without a build the release has no page.
    pub fn read(
        build: Option<&Build>,
        settings: &WebAppSettings,
        known: &Known,
    ) -> Result<Self, WebAppProblem> {
        let mut html = None;
        let mut files = Files::new();
        if let Some(build) = build {
            files = build.read(settings.expose_login)?;
            let index = files
                .remove(INDEX)
                .ok_or_else(|| WebAppProblem::NoIndex(build.path().to_owned()))?;
            let with_base = str::from_utf8(&index.content)
                .ok()
                .and_then(|html| index::with_base(html, settings.mount()))
                .ok_or_else(|| WebAppProblem::NoHead(build.path().join(INDEX)))?;
            html = Some(with_base);
        }
        let ready_made = ready_made::split_off(&mut files);
        files.insert(CONFIG_JS.into(), config_js::load(settings)?);
        let files = known.stored(files, ready_made);
        let needed = preload::needed(html.as_deref().unwrap_or_default(), settings.mount(), |name| {
            files.contains_key(name)
        });
        let pages = html.map(|html| Pages::of(&html, settings.tells_of_waiting, needed.link.as_ref(), known));
        Ok(Self {
            pages,
            files,
            first: needed.names,
            lacks: needed.lacks,
        })
    }

    /// Refuses a release that lacks a file, unless there is no other to serve.
    pub fn whole_or(self, build: &Build, is_all_there_is: bool) -> Result<Self, WebAppProblem> {
        let Some(name) = &self.lacks else {
            return Ok(self);
        };
        let problem = WebAppProblem::Lacks(build.path().to_owned(), name.clone());
        if is_all_there_is {
            warn!("The client is not whole: {problem}");
            return Ok(self);
        }
        Err(problem)
    }

    /// The files with a content hash in their names: a page that was opened before an update may still ask for them.
    pub fn hashed(&self) -> Served {
        let files = self.files.iter();
        files
            .filter(|(name, _)| media::has_content_hash(name))
            .map(|(name, file)| (name.clone(), Arc::clone(file)))
            .collect()
    }

    /// Reads the files with a content hash in their names from a build that is no longer the newest.
    pub fn read_hashed(build: &Build, known: &Known) -> Result<Served, WebAppProblem> {
        let mut files = build.read(false)?;
        let mut ready_made = ready_made::split_off(&mut files);
        files.retain(|name, _| media::has_content_hash(name));
        ready_made.retain(|name, _| media::has_content_hash(name));
        Ok(known.stored(files, ready_made))
    }
}

impl Known {
    pub fn new(contents: HashMap<Hash, Arc<Content>>, cache: Option<Cache>) -> Self {
        Self {
            contents: Mutex::new(contents),
            cache,
        }
    }

    /// The content of these bytes. Equal bytes share one content.
    pub fn content(&self, bytes: Vec<u8>) -> Arc<Content> {
        let new = Content::new(bytes);
        let content = {
            let mut contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(contents.entry(new.hash).or_insert(new))
        };
        if let Some(cache) = &self.cache {
            cache.teach(&content);
        }
        content
    }

    /// Makes the served form of all files, on all cores, as a start waits for it.
    fn stored(&self, files: Files, mut ready_made: ReadyMade) -> Served {
        let mut files: Vec<_> = files
            .into_iter()
            .map(|(name, file)| {
                let codings = ready_made.remove(&name).unwrap_or_default();
                (name, file, codings)
            })
            .collect();
        // The largest first, so that none is left over at the end.
        files.sort_by_key(|(_, file, _)| std::cmp::Reverse(file.content.len()));
        let work = |(name, Found { content, modified }, codings): (Box<str>, Found, _)| {
            let content = self.content(content);
            ready_made::teach(&name, codings, &content);
            let stored = Arc::new(Stored::asset(&name, content, modified));
            (name, stored)
        };
        on_all_cores(files, work).into_iter().collect()
    }
}

fn on_all_cores<T: Send, U: Send>(items: Vec<T>, work: impl Fn(T) -> U + Sync) -> Vec<U> {
    let items = Mutex::new(items.into_iter());
    let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
    let worker = || std::iter::from_fn(next).map(&work).collect::<Vec<U>>();
    let others = thread::available_parallelism().map_or(0, |cores| NonZero::get(cores) - 1);
    thread::scope(|scope| {
        let others: Vec<_> = (0..others).map(|_| scope.spawn(worker)).collect();
        let mut done = worker();
        for other in others {
            match other.join() {
                Ok(more) => done.extend(more),
                Err(panicked) => panic::resume_unwind(panicked),
            }
        }
        done
    })
}
