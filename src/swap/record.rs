//! What was before a swap, beside the configuration: written before the first step, gone after the last one back.
//!
//! A swap that broke off, by a crash or a loss of power, is found by the next one, which undoes it.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

const RECORD: &str = "swap.state";
const LOCK: &str = "swap.lock";
/// More than any record has.
const MAX_BYTES: u64 = 1 << 20;

/// What was before, and how far the swap has come.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Is the gateway in HAProxy's place, with all routes asked for? Else something is under way, or broke off.
    pub in_place: bool,
    pub haproxy_was_active: bool,
    pub haproxy_was_enabled: bool,
    /// Scripts that lost their right to run.
    pub hooks: Vec<PathBuf>,
}

/// Why there is no record.
#[derive(Debug)]
pub enum RecordError {
    /// Another swap is under way on this machine.
    Busy,
    /// A file can't be read or written.
    File(PathBuf, io::Error),
    /// The record is no record.
    Broken(PathBuf),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("another swap is under way; wait for its end"),
            Self::File(file, error) => write!(f, "{}: {error}", file.display()),
            Self::Broken(file) => write!(
                f,
                "{} cannot be understood: look at which of haproxy and plugnmeet-gateway is to run, and remove that file",
                file.display()
            ),
        }
    }
}

/// The folder of the record, held by this process alone.
pub(super) struct Held {
    file: PathBuf,
    _lock: File,
}

impl Held {
    pub(super) fn of(folder: &Path) -> Result<Self, RecordError> {
        let path = folder.join(LOCK);
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| RecordError::File(path.clone(), error))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| {
            if error == rustix::io::Errno::WOULDBLOCK {
                RecordError::Busy
            } else {
                RecordError::File(path, error.into())
            }
        })?;
        Ok(Self {
            file: folder.join(RECORD),
            _lock: lock,
        })
    }

    pub(super) fn read(&self) -> Result<Option<Record>, RecordError> {
        read(&self.file)
    }

    /// In one step, and on the disk when this returns.
    pub(super) fn write(&self, record: &Record) -> Result<(), RecordError> {
        let new = self.file.with_extension("state.new");
        let told = |error| RecordError::File(new.clone(), error);
        let text = serde_json::to_string(record).map_err(|error| told(error.into()))?;
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .map_err(told)?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&new, &self.file))
            .and_then(|()| self.sync())
            .map_err(told)
    }

    pub(super) fn clear(&self) -> Result<(), RecordError> {
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(RecordError::File(self.file.clone(), error))
            }
            Ok(()) | Err(_) => self
                .sync()
                .map_err(|error| RecordError::File(self.file.clone(), error)),
        }
    }

    fn sync(&self) -> io::Result<()> {
        match self.file.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

fn read(file: &Path) -> Result<Option<Record>, RecordError> {
    let told = |error| RecordError::File(file.to_owned(), error);
    match fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(told(error)),
        Ok(about) if !about.is_file() || about.len() > MAX_BYTES => {
            return Err(RecordError::Broken(file.to_owned()));
        }
        Ok(_) => {}
    }
    let text = fs::read_to_string(file).map_err(told)?;
    match serde_json::from_str(&text) {
        Ok(record) => Ok(Some(record)),
        Err(_) => Err(RecordError::Broken(file.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let held = Held::of(folder.path()).unwrap();
        assert_eq!(held.read().unwrap(), None);
        let record = Record {
            in_place: false,
            haproxy_was_active: true,
            haproxy_was_enabled: false,
            hooks: vec!["/etc/a".into()],
        };
        held.write(&record).unwrap();
        assert_eq!(held.read().unwrap(), Some(record));
        assert!(matches!(Held::of(folder.path()), Err(RecordError::Busy)));
        held.clear().unwrap();
        held.clear().unwrap();
        assert_eq!(held.read().unwrap(), None);
        drop(held);
        let held = Held::of(folder.path()).unwrap();
        fs::write(folder.path().join(RECORD), "{").unwrap();
        assert!(matches!(held.read(), Err(RecordError::Broken(_))));
    }
}
