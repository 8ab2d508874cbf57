//! The client's files: read once at the start, answered from memory, with the page that holds a session.
//!
//! A request looks a name up and shares the bytes under it; no path of a request ever reaches the file system. The
//! page is not one of the names: it is shown at a session's path, which `crate::route` knows, and without a folder a
//! small page of our own stands in its place.
//!
//! | file | is there for |
//! | --- | --- |
//! | `folder` | the client's folder -> names and bytes |
//! | `index`, `config_js`, `demo` | the page, `config.js`, the page in the client's place |
//! | `content`, `coding`, `making` | a file's bytes in every coding; writing and reading codings; making them in the background |
//! | `stored` | a file's answer: `method`, `accept`, `conditional`, `range`, `multipart` each read a part of the request |
//! | `media` | what a name says of a file |
//! | `path` | the path of a request -> a name |
//!
//! Not here: which path is a file's (`crate::route`), the session (`crate::handoff`).
//!
//! Sources: product.md "Client files"; contract.md sections 0.2, 8, 12; RFC 9110.

mod accept;
mod coding;
mod conditional;
mod config_js;
mod content;
mod demo;
mod folder;
mod index;
mod making;
mod media;
mod method;
mod multipart;
mod path;
mod problem;
mod range;
mod settings;
mod stored;
mod token;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper::{HeaderMap, Method, Response, StatusCode};

use self::{
    content::Content,
    folder::Found,
    making::{Effort, Making},
    stored::Stored,
};
pub use self::{demo::Shown, problem::FilesProblem, settings::FilesSettings};
use crate::reply::{Body, Failure};

const INDEX: &str = "index.html";
const CONFIG_JS: &str = "assets/config.js";

/// The client, ready to be served.
pub struct ClientFiles {
    page: Option<Stored>,
    assets: HashMap<Box<str>, Stored>,
    /// What is under way; it ends with the files.
    making: Mutex<Option<Making>>,
}

/// A client of a few files is compressed within it; a real one takes longer than anybody waits.
const START_PATIENCE: Duration = Duration::from_millis(50);

impl ClientFiles {
    /// Reads everything into memory. Blocks: for the start alone.
    pub fn load(settings: &FilesSettings) -> Result<Self, FilesProblem> {
        let mut page = None;
        let mut assets = HashMap::new();
        if let Some(path) = &settings.path {
            let mut found = folder::read(path, settings.expose_login)?;
            let index = found
                .remove(INDEX)
                .ok_or_else(|| FilesProblem::NoIndex(path.clone()))?;
            let html = str::from_utf8(&index.content)
                .ok()
                .and_then(|html| index::with_base(html, settings.mount()))
                .ok_or_else(|| FilesProblem::NoHead(path.join(INDEX)))?;
            page = Some(Stored::page(Content::new(html.into())));
            assets.extend(found.into_iter().map(|(name, file)| {
                let stored = asset(&name, file);
                (name, stored)
            }));
        }
        let config_js = asset(CONFIG_JS, config_js::load(settings)?);
        assets.insert(CONFIG_JS.into(), config_js);
        Ok(Self {
            page,
            assets,
            making: Mutex::default(),
        })
    }

    /// Compresses them in the background. Blocks for a moment, in which a small client is finished.
    pub fn compress(&self) {
        let making = Making::start(&self.contents(), Effort::Background);
        making.wait(START_PATIENCE);
        *self.making.lock().unwrap_or_else(PoisonError::into_inner) = Some(making);
    }

    /// Everything that can be coded, the most important first.
    fn contents(&self) -> Vec<Arc<Content>> {
        let mut files: Vec<_> = self.assets.values().filter_map(Stored::to_code).collect();
        files.sort_by_key(|content| std::cmp::Reverse(content.plain().bytes.len()));
        let page = self.page.iter().filter_map(Stored::to_code);
        page.chain(files).cloned().collect()
    }

    /// The page of a session: the client's, or our own that shows what the client would have been handed.
    pub fn page(
        &self,
        shown: Shown<'_>,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Response<Body>, Failure> {
        match &self.page {
            Some(page) => page.answer(method, headers),
            None => demo::answer(shown, method),
        }
    }

    /// The page of a session whose browser keeps no cookie.
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
        path::file_name(raw_path)
            .and_then(|name| self.assets.get(name.as_ref()).ok_or_else(missing))
            .and_then(|stored| stored.answer(method, headers))
            .map_err(stored::shared)
    }
}

fn asset(name: &str, found: Found) -> Stored {
    Stored::asset(name, Content::new(found.content), found.modified)
}

#[cfg(test)]
mod tests;
