//! One release: a build of the client, read from its files and prepared for serving.
//!
//! A release is read and checked whole before any file of it is served: a broken build is refused as a whole.

use serde_json::{Map, Value};
use tracing::warn;

use super::{
    CONFIG_JS, INDEX, WebAppProblem, WebAppSettings,
    addresses::Base,
    config_js,
    folder::Files,
    index,
    known::{Known, Served},
    pages::Pages,
    preload, ready_made,
    released::{self, Released},
    source::Build,
};

/// The folder in which the client finds its files by `staticAssetsPath`.
const ASSETS: &str = "assets";

/// One build of the client, with what the configuration adds to it.
pub(super) struct Release {
    /// The client's pages. None: there is no client, and the gateway shows a page of its own.
    pub pages: Option<Pages>,
    pub files: Served,
    /// The same files at the addresses of the release, with the `config.js` that the page names.
    pub released: Released,
    /// The client's own keys in its `config.js`.
    pub config: Map<String, Value>,
    /// The paths below the mount of the files that the page needs first.
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
        let mount = settings.mount();
        let ready_made = ready_made::split_off(&mut files);
        let config_js = config_js::load(settings, files.get(CONFIG_JS))?;
        let at_mount = config_js.with_assets_at(&format!("{mount}/{ASSETS}"), settings);
        files.insert(CONFIG_JS.into(), at_mount);
        let files = known.stored(files, ready_made);
        let released = Released::of(&files);
        let at_release = config_js.with_assets_at(&format!("{mount}/{}", released.path(ASSETS)), settings);
        let released = released.with_config(known.file(CONFIG_JS, at_release));
        let html = html.map(|html| match Base::of(mount) {
            Some(base) => base.rename(&html, |name| released.instead_of(name)),
            None => html,
        });
        let is_ours = |path: &str| {
            let of_release = released::split(path).filter(|(id, _)| *id == released.id());
            files.contains_key(path) || of_release.is_some_and(|(_, name)| released.get(name).is_some())
        };
        let needed = preload::needed(html.as_deref().unwrap_or_default(), mount, is_ours);
        let pages = html.map(|html| Pages::of(&html, settings.tells_of_waiting, needed.link.as_ref(), known));
        Ok(Self {
            pages,
            files,
            released,
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

    /// Reads a build that is no longer the newest, for pages that were opened before.
    pub fn read_older(build: &Build, known: &Known) -> Result<Released, WebAppProblem> {
        let mut files = build.read(false)?;
        let ready_made = ready_made::split_off(&mut files);
        Ok(Released::of(&known.stored(files, ready_made)))
    }
}
