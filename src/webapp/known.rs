//! Contents that are known before files are read, so that equal bytes are kept and compressed once.

use std::{
    collections::HashMap,
    num::NonZero,
    panic,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use super::{
    cache::Cache,
    content::{Content, Hash},
    folder::{Files, Found},
    ready_made::{self, ReadyMade},
    stored::Stored,
};

/// Files by the name under which they are served.
pub(super) type Served = HashMap<Box<str>, Arc<Stored>>;

/// What is known of contents before they are read: those that are served or were read already, and what the cache has of
/// others.
pub(super) struct Known {
    contents: Mutex<HashMap<Hash, Arc<Content>>>,
    cache: Option<Cache>,
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

    /// Makes the served form of one file.
    pub fn file(&self, name: &str, found: Found) -> Arc<Stored> {
        let content = self.content(found.content);
        Arc::new(Stored::asset(name, content, found.modified))
    }

    /// Makes the served form of all files, on all cores, as a start waits for it.
    pub fn stored(&self, files: Files, mut ready_made: ReadyMade) -> Served {
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
