//! One release: a build of the client, read from its files and prepared for serving.
//!
//! A release is read and checked whole before any file of it is served: a broken build is refused as a whole.

use std::sync::Arc;

use serde_json::{Map, Value};
use tracing::warn;

use super::{
    CONFIG_JS, INDEX, WebAppProblem, WebAppSettings, config_js,
    folder::Files,
    index,
    known::{Known, Served},
    media,
    pages::Pages,
    preload, ready_made,
    source::Build,
};

/// One build of the client, with what the configuration adds to it.
pub(super) struct Release {
    /// The client's pages. None: there is no client, and the gateway shows a page of its own.
    pub pages: Option<Pages>,
    pub files: Served,
    /// The client's own keys in its `config.js`.
    pub config: Map<String, Value>,
    /// The names of the files that the page needs first.
    pub first: Vec<String>,
    /// A file that the page needs and that does not exist.
    pub lacks: Option<String>,
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
        let config_js = config_js::load(settings, files.get(CONFIG_JS))?;
        let assets = format!("{}/assets", settings.mount());
        files.insert(CONFIG_JS.into(), config_js.with_assets_at(&assets, settings));
        let files = known.stored(files, ready_made);
        let needed = preload::needed(html.as_deref().unwrap_or_default(), settings.mount(), |name| {
            files.contains_key(name)
        });
        let pages = html.map(|html| Pages::of(&html, settings.tells_of_waiting, needed.link.as_ref(), known));
        Ok(Self {
            pages,
            files,
            config: config_js.keys,
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
