//! A secret in a file of its own, and whether nobody else had a hand in it.
//!
//! Who may write the file chooses what we sign with, and who owns it may let anybody write it: such a file is refused.
//! What others may only read is usual (certbot's and the official installer's groups), and is left to a warning.
//!
//! SECURITY: no error shows the name or the content. A secret that stands where the name of its file should be would be in
//! the log then.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use rustix::fs::{Access, OFlags, access};

use super::owner::{is_gateways_group, is_ours};

/// Mode bits: writable by the group or by others.
const MAY_WRITE: u32 = 0o022;
/// Mode bits: readable by the group, by others.
const GROUP_MAY_READ: u32 = 0o040;
const OTHERS_MAY_READ: u32 = 0o004;

/// A secret file as it was read.
pub struct SecretFile {
    pub bytes: Vec<u8>,
    /// May somebody beside its owner read it?
    pub exposed: Option<Exposed>,
}

/// Others than its owner may read a file; the file's permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exposed(u32);

/// Why a file is not taken for a secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The system refuses it, or it has no end.
    #[error("can't be read: {0}")]
    Unreadable(io::Error),
    /// Others than its owner may write it: its permissions.
    #[error("may be written by others (mode {0:03o})")]
    Writable(u32),
    /// Somebody else's, and not root's either: its owner.
    #[error("belongs to another user (uid {0})")]
    Strangers(u32),
}

impl SecretFileError {
    /// What the operator should do.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Unreadable(_) => None,
            Self::Writable(_) => Some("chmod 600 it, and make a new secret if others had it"),
            Self::Strangers(_) => Some("chown it to the gateway's user or to root"),
        }
    }
}

impl fmt::Display for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "can be read by others than its owner (mode {:03o}): chmod 600 it",
            self.0
        )
    }
}

/// Reads a file that holds a secret, unless it is larger than any, or somebody else has a hand in it. The very file that
/// is read is judged, wherever links lead to.
pub fn read_file(path: &Path, max_bytes: u64) -> Result<SecretFile, SecretFileError> {
    // A named pipe would be waited for until somebody writes to it.
    let unwaiting = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(unwaiting).open(path);
    let mut file = file.map_err(SecretFileError::Unreadable)?;
    let found = file.metadata().map_err(SecretFileError::Unreadable)?;
    // What a folder is, reading it tells.
    if !found.is_file() && !found.is_dir() {
        let why = "is no file, but a pipe or a device";
        return Err(SecretFileError::Unreadable(io::Error::other(why)));
    }
    let mode = found.mode() & 0o777;
    if !is_ours(found.uid()) {
        return Err(SecretFileError::Strangers(found.uid()));
    }
    if mode & MAY_WRITE != 0 {
        return Err(SecretFileError::Writable(mode));
    }
    let mut bytes = Vec::new();
    let read = Read::by_ref(&mut file)
        .take(max_bytes + 1)
        .read_to_end(&mut bytes);
    read.map_err(SecretFileError::Unreadable)?;
    if bytes.len() as u64 > max_bytes {
        let too_large = io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("more than {max_bytes} bytes"),
        );
        return Err(SecretFileError::Unreadable(too_large));
    }
    Ok(SecretFile {
        bytes,
        exposed: is_exposed(mode, || is_gateways_group(found.gid())).then_some(Exposed(mode)),
    })
}

fn is_exposed(mode: u32, is_gateways_group: impl Fn() -> bool) -> bool {
    mode & OTHERS_MAY_READ != 0 || (mode & GROUP_MAY_READ != 0 && !is_gateways_group())
}

/// Can a file be made in this folder, or in one that would first have to be made? Nothing is made to find out.
pub fn can_make_in(folder: &Path) -> io::Result<()> {
    let mut at = folder;
    loop {
        let found = if at.as_os_str().is_empty() {
            Path::new(".")
        } else {
            at
        };
        match (fs::metadata(found), at.parent()) {
            (Err(error), Some(parent)) if error.kind() == io::ErrorKind::NotFound => at = parent,
            (Err(error), _) => return Err(error),
            (Ok(about), _) if !about.is_dir() => return Err(io::ErrorKind::NotADirectory.into()),
            (Ok(_), _) => return Ok(access(found, Access::WRITE_OK | Access::EXEC_OK)?),
        }
    }
}

/// The secret in a file's text: without what editors and shells leave around it, a BOM before, blanks and line ends behind.
pub fn trimmed(text: &str) -> &str {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.trim_end_matches([' ', '\t', '\r', '\n', '\u{feff}'])
}

#[cfg(test)]
mod tests {
    use rustix::process::geteuid;
    use std::{
        fs::Permissions,
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;

    #[test]
    fn what_others_may_write_is_refused_and_what_they_may_read_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("secret"), folder.path().join("link"));
        fs::write(&path, "s").unwrap();
        symlink(&path, &link).unwrap();
        for mode in [0o600, 0o400, 0o700, 0o640, 0o604, 0o644, 0o440] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            for path in [&path, &link] {
                let file = read_file(path, 10).unwrap();
                assert_eq!(file.bytes, b"s");
                assert_eq!(file.exposed.is_some(), mode & 0o077 != 0, "{mode:o}");
            }
        }
        for mode in [0o620, 0o602, 0o660, 0o666, 0o777, 0o622] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            for path in [&path, &link] {
                let error = read_file(path, 10).map(|_| ()).unwrap_err();
                assert_eq!(
                    error.to_string(),
                    format!("may be written by others (mode {mode:o})")
                );
            }
        }
    }

    #[test]
    fn what_the_gateways_own_group_may_read_is_not_exposed() {
        for (mode, gateways_group, exposed) in [
            (0o600, false, false),
            (0o640, false, true),
            (0o640, true, false),
            (0o644, true, true),
            (0o604, true, true),
        ] {
            assert_eq!(
                is_exposed(mode, || gateways_group),
                exposed,
                "{mode:o} {gateways_group}"
            );
        }
    }

    #[test]
    fn what_belongs_to_a_stranger_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "s").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        // Only root can give a file away.
        if std::os::unix::fs::chown(&path, Some(65_534), None).is_ok() {
            let error = read_file(&path, 10).map(|_| ()).unwrap_err();
            assert_eq!(error.to_string(), "belongs to another user (uid 65534)");
        } else {
            assert!(!geteuid().is_root());
        }
    }

    #[test]
    fn a_file_that_has_no_end_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "eleven byte").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let error = read_file(&path, 10).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "can't be read: more than 10 bytes");
    }

    #[test]
    fn a_pipe_is_refused_at_once_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
        for (path, why) in [
            (path.as_path(), "is no file, but a pipe or a device"),
            (folder.path(), "Is a directory (os error 21)"),
        ] {
            let error = read_file(path, 10).map(|_| ()).unwrap_err();
            assert_eq!(error.to_string(), format!("can't be read: {why}"));
        }
    }

    #[test]
    fn whether_something_can_be_made_is_found_out_without_making_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(can_make_in(folder.path()).is_ok());
        assert!(can_make_in(&folder.path().join("a/b")).is_ok());
        assert!(can_make_in(Path::new("nowhere/yet")).is_ok());
        fs::write(folder.path().join("file"), "").unwrap();
        for below in ["file", "file/a"] {
            let error = can_make_in(&folder.path().join(below)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotADirectory, "{below}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_editors_leave_around_a_secret_is_cut_off() {
        for text in [
            "s 1",
            "s 1\n",
            "s 1\r\n",
            "\u{feff}s 1",
            "s 1 \t\n\n",
            "\u{feff}s 1\r\n \n",
        ] {
            assert_eq!(trimmed(text), "s 1", "{text:?}");
        }
        assert_eq!(trimmed(" s"), " s");
        assert_eq!(trimmed("\n\n"), "");
    }
}
