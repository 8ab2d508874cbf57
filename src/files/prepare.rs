//! Making every coding before the start, as part of a build: the gateway then finds them all in the cache.

use std::{fmt, time::Duration};

use super::{
    ClientFiles, FilesProblem, FilesSettings,
    making::{Effort, Making},
    shelf::Stock,
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
    pub fn prepare(settings: &FilesSettings) -> Result<Prepared, FilesProblem> {
        if settings.path.is_none() {
            return Err(FilesProblem::NoClient);
        }
        let folder = settings.cache.as_ref().ok_or(FilesProblem::NoCache)?;
        let files = Self::load(settings)?;
        let making = Making::start(&files.shelf, files.cache.as_ref(), Effort::Full);
        while !making.wait(PATIENCE) {}
        match &files.cache {
            Some(cache) if cache.has_failed() => Err(FilesProblem::CacheFailed(folder.clone())),
            _ => Ok(Prepared(files.shelf.stock())),
        }
    }
}
