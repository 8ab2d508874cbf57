//! A file of the installation, as text.

use std::{fmt, fs, io, path::Path};

/// More than any of these files has.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// A file can't be read, or not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub file: String,
    pub why: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.why)
    }
}

impl std::error::Error for Unreadable {}

/// A file's text; none if it is not there.
pub fn text(file: &Path) -> Result<Option<String>, Unreadable> {
    let told = |why: String| Unreadable {
        file: file.display().to_string(),
        why,
    };
    let about = match fs::metadata(file) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(told(format!("cannot be read: {error}"))),
    };
    if !about.is_file() || about.len() > MAX_FILE_BYTES {
        return Err(told("is no file of ordinary size".into()));
    }
    fs::read_to_string(file)
        .map(Some)
        .map_err(|error| told(format!("cannot be read: {error}")))
}
