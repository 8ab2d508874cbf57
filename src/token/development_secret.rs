//! The secret of a gateway that nobody gave one: made at its first start, beside the certificates.
//!
//! A constant in the repository would let anybody sign for every gateway that was never configured.
//!
//! INVARIANT: a reader sees no secret or the whole one, and of two gateways that start at once both get the same.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process,
};

use aws_lc_rs::rand;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::TokenKeys;
use crate::secret::{self, Secret, SecretFileError};

/// The number of random bytes of a secret, which are 48 characters.
const SECRET_BYTES: usize = 36;

/// The largest file that is read. A larger one is not the file of a secret.
const MAX_BYTES: u64 = 64 * 1024;

/// The path of the secret's file in the folder of certificates.
pub fn path(certs: &Path) -> PathBuf {
    certs.join("plugnmeet-secret")
}

/// Reads the secret, if one has been made.
pub fn read(certs: &Path) -> io::Result<Option<Secret<String>>> {
    let read = match secret::read_file(&path(certs), MAX_BYTES) {
        Ok(read) => read,
        Err(SecretFileError::Unreadable(error)) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(error) => {
            let advice = error
                .advice()
                .map_or_else(String::new, |advice| format!("; {advice}"));
            return Err(io::Error::other(format!("{error}{advice}")));
        }
    };
    let text = String::from_utf8(read.bytes).map_err(io::Error::other)?;
    let text = secret::trimmed(&text);
    if text.len() < TokenKeys::SHORT_SECRET_BYTES {
        let why = "it is too short for a secret; remove it, and the next start makes another";
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    Ok(Some(Secret::new(text.to_owned())))
}

/// The warning about a secret's file that others may read.
pub fn warning(certs: &Path) -> Option<String> {
    let file = path(certs);
    let exposed = secret::read_file(&file, MAX_BYTES).ok()?.exposed?;
    Some(format!("{}: {exposed}", file.display()))
}

/// Reads the secret, or makes one if there is none.
pub fn read_or_make(certs: &Path) -> io::Result<Secret<String>> {
    if let Some(secret) = read(certs)? {
        return Ok(secret);
    }
    DirBuilder::new().recursive(true).mode(0o700).create(certs)?;
    let draft = certs.join(format!(".plugnmeet-secret.{}", process::id()));
    let made = write(&draft).and_then(|()| publish(&draft, &path(certs)));
    fs::remove_file(&draft).ok();
    made?;
    read(certs)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
}

fn write(draft: &Path) -> io::Result<()> {
    let mut bytes = [0; SECRET_BYTES];
    rand::fill(&mut bytes).map_err(|_| io::Error::other("the system has no random bytes"))?;
    // What a start that was cut off has left.
    fs::remove_file(draft).ok();
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(draft)?;
    writeln!(file, "{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))?;
    file.sync_all()
}

/// Gives the finished file its name by a link, which replaces no file: if another process was faster, its secret stays.
fn publish(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let certs = folder.path().join("new/certs");
        assert_eq!(read(&certs).unwrap(), None);
        let secret = read_or_make(&certs).unwrap();
        assert_eq!(secret.expose().len(), 48);
        assert_eq!(read_or_make(&certs).unwrap(), secret);
        let mode = fs::metadata(path(&certs)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&certs).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn whoever_comes_second_takes_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let (draft, path) = (folder.path().join("draft"), path(folder.path()));
        fs::write(&path, "the first").unwrap();
        write(&draft).unwrap();
        publish(&draft, &path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "the first");
    }

    #[test]
    fn one_that_others_may_write_is_refused_and_one_that_they_may_read_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let secret = read_or_make(folder.path()).unwrap();
        let (file, chmod) = (path(folder.path()), |mode| {
            fs::set_permissions(path(folder.path()), fs::Permissions::from_mode(mode)).unwrap();
        });
        assert_eq!(warning(folder.path()), None);
        chmod(0o640);
        assert_eq!(read_or_make(folder.path()).unwrap(), secret);
        let what = "can be read by others than its owner (mode 640): chmod 600 it";
        assert_eq!(
            warning(folder.path()),
            Some(format!("{}: {what}", file.display()))
        );
        chmod(0o666);
        assert_eq!(
            read_or_make(folder.path()).unwrap_err().to_string(),
            "may be written by others (mode 666); chmod 600 it, and make a new secret if others had it"
        );
        assert_eq!(warning(folder.path()), None);
    }

    #[test]
    fn what_is_no_secret_is_not_taken_for_one() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(path(folder.path()), "\n").unwrap();
        let error = read_or_make(folder.path()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "it is too short for a secret; remove it, and the next start makes another"
        );
    }
}
