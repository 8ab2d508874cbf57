//! Making every coding before the start, as part of a build: the gateway then finds them all in the cache.

use std::{fmt, time::Duration};

use super::{
    WebApp, WebAppProblem, WebAppSettings, cache,
    making::{Effort, Making},
    snapshot::Stock,
};

/// The result: what the release holds when every coding has been made.
#[derive(Clone, Copy, Debug)]
pub struct Prepared(Stock);

impl fmt::Display for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How often the loop wakes while it waits for the end. It wakes at the end in any case.
const PATIENCE: Duration = Duration::from_secs(60);

impl WebApp {
    /// Makes all codings that the cache lacks, on all cores.
    pub fn prepare(settings: WebAppSettings) -> Result<Prepared, WebAppProblem> {
        if settings.path.is_none() {
            return Err(WebAppProblem::NoClient);
        }
        let folder = settings.cache.clone().ok_or(WebAppProblem::NoCache)?;
        let files = Self::load(settings)?;
        let snapshot = files.snapshot.load();
        let making = Making::start(&snapshot, cache(&files.settings), Effort::Full, None);
        while !making.wait(PATIENCE) {}
        if making.cache_failed() {
            return Err(WebAppProblem::CacheFailed(folder));
        }
        Ok(Prepared(snapshot.stock()))
    }
}
