//! Making every coding before the start, as part of a build: the gateway then finds them all in the cache.

use std::{fmt, time::Duration};

use super::{
    ClientFiles, FilesProblem, FilesSettings, cache,
    making::{Effort, Making},
    snapshot::Stock,
};

/// What there is when all is made.
#[derive(Clone, Copy, Debug)]
pub struct Prepared(Stock);

impl fmt::Display for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How often it is looked whether all is done; the end itself is not missed.
const PATIENCE: Duration = Duration::from_secs(60);

impl ClientFiles {
    /// Makes what the cache lacks, on all cores.
    pub fn prepare(settings: FilesSettings) -> Result<Prepared, FilesProblem> {
        if settings.path.is_none() {
            return Err(FilesProblem::NoClient);
        }
        let folder = settings.cache.clone().ok_or(FilesProblem::NoCache)?;
        let files = Self::load(settings)?;
        let snapshot = files.snapshot.load();
        let making = Making::start(&snapshot, cache(&files.settings), Effort::Full, None);
        while !making.wait(PATIENCE) {}
        if making.cache_failed() {
            return Err(FilesProblem::CacheFailed(folder));
        }
        Ok(Prepared(snapshot.stock()))
    }
}
