//! The client's files: read once at the start, answered from memory, with the page that holds a session.
//!
//! A request looks a name up and shares the bytes under it; no path of a request ever reaches the file system. The
//! page is not one of the names: it is shown at a session's path, which `crate::route` knows, and without a folder a
//! small page of our own stands in its place.
//!
//! Not here: which path is a file's (`crate::route`), the session (`crate::handoff`), compressed forms.
//!
//! Sources: product.md "Client files"; contract.md sections 0.2, 8, 12; RFC 9110.

mod conditional;
mod config_js;
mod demo;
mod folder;
mod index;
mod media;
mod method;
mod path;
mod problem;
mod range;
mod settings;
mod stored;
mod token;

use std::collections::HashMap;

use hyper::{HeaderMap, Method, Response, StatusCode};

use self::stored::Stored;
pub use self::{demo::Shown, problem::FilesProblem, settings::FilesSettings};
use crate::reply::{Body, Failure};

const INDEX: &str = "index.html";
const CONFIG_JS: &str = "assets/config.js";

/// The client, ready to be served.
pub struct ClientFiles {
    page: Option<Stored>,
    assets: HashMap<Box<str>, Stored>,
}

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
            page = Some(Stored::page(html));
            assets.extend(found.into_iter().map(|(name, file)| {
                let stored = Stored::asset(&name, file);
                (name, stored)
            }));
        }
        let config_js = Stored::asset(CONFIG_JS, config_js::load(settings)?);
        assets.insert(CONFIG_JS.into(), config_js);
        Ok(Self { page, assets })
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

#[cfg(test)]
mod tests;
