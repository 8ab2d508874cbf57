//! Where the socket is, and its file.
//!
//! A file of a gateway that is gone is replaced; one at which somebody answers stays that gateway's. The new socket is made
//! beside it, is nobody else's before anybody can connect, and takes the place in one step. Two gateways that start at one
//! moment take turns, by a lock on the folder.
//!
//! Source: unix(7).

use std::{
    ffi::{OsStr, OsString},
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
        net,
    },
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};
use socket2::{Domain, SockAddr, Type};
use tokio::{
    net::{UnixListener, UnixStream},
    time::{sleep, timeout},
};

/// Where systemd's `RuntimeDirectory=` is (systemd.exec(5)).
const RUNTIME_DIRECTORY: &str = "RUNTIME_DIRECTORY";

/// The name in that folder.
const NAME: &str = "control.sock";

/// In the working directory, as all other paths.
const OWN_FOLDER: &str = "run";

/// The unit's own folder, for an operator who has no variable of the unit's.
const UNITS_FOLDER: &str = "/run/plugnmeet-gateway";

/// Those who wait to be answered, beside those who are.
const BACKLOG: i32 = 16;

/// The most time for a gateway at the socket to take a connection.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// For another gateway that is taking the place at this moment.
const TURNS: usize = 20;
const TURN: Duration = Duration::from_millis(50);

/// `control.socket`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketSetting {
    /// In systemd's folder, or in the working directory.
    Auto,
    None,
    At(PathBuf),
}

impl SocketSetting {
    /// Where a gateway with this setting has its socket; `variables` are those of its environment.
    pub fn path(&self, variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
        match self {
            Self::Auto => {
                Some(in_runtime_directory(variable).unwrap_or_else(|| Path::new(OWN_FOLDER).join(NAME)))
            }
            Self::None => None,
            Self::At(path) => Some(path.clone()),
        }
    }

    /// Where a gateway with this setting may have its socket, for somebody with another environment.
    pub fn places(&self, variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
        let mut places: Vec<PathBuf> = match self {
            Self::Auto => {
                let own = Path::new(OWN_FOLDER).join(NAME);
                let units = Path::new(UNITS_FOLDER).join(NAME);
                in_runtime_directory(variable)
                    .into_iter()
                    .chain([own, units])
                    .collect()
            }
            Self::None => Vec::new(),
            Self::At(path) => vec![path.clone()],
        };
        places.dedup();
        places
    }
}

/// The first folder, if there are several.
fn in_runtime_directory(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folders = variable(RUNTIME_DIRECTORY)?;
    let first = folders.as_bytes().split(|byte| *byte == b':').next()?;
    (!first.is_empty()).then(|| Path::new(OsStr::from_bytes(first)).join(NAME))
}

/// The socket of this gateway; its file is gone when this is dropped.
#[derive(Debug)]
pub struct Socket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    file: FileId,
}

/// A file, whatever its name.
type FileId = (u64, u64);

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum NotOpen {
    #[error("another gateway answers there")]
    InUse,
    /// Something that is no socket is there.
    #[error("something else lies there")]
    NoSocket,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Socket {
    /// Makes it, and the folder around it if there is none.
    pub async fn open(path: &Path) -> Result<Self, NotOpen> {
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            Some(_) | None => Path::new("."),
        };
        if !folder.exists() {
            DirBuilder::new().mode(0o700).create(folder)?;
        }
        let folder = File::open(folder)?;
        lock(&folder).await?;
        match fs::symlink_metadata(path) {
            Ok(about) if !about.file_type().is_socket() => return Err(NotOpen::NoSocket),
            Ok(_) if is_answered(path).await => return Err(NotOpen::InUse),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let listener = make(path)?;
        let about = fs::symlink_metadata(path)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            file: (about.dev(), about.ino()),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Socket {
    /// Another gateway may have taken the place.
    fn drop(&mut self) {
        let about = fs::symlink_metadata(&self.path);
        if about.is_ok_and(|about| (about.dev(), about.ino()) == self.file) {
            fs::remove_file(&self.path).ok();
        }
    }
}

/// Until the folder is closed. A folder that others may lock is none to wait for.
async fn lock(folder: &File) -> io::Result<()> {
    for _ in 0..TURNS {
        if flock(folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return Ok(());
        }
        sleep(TURN).await;
    }
    Err(io::Error::new(
        io::ErrorKind::WouldBlock,
        "somebody holds a lock on the folder",
    ))
}

/// Only a refused connection says that nobody is there.
async fn is_answered(path: &Path) -> bool {
    match timeout(ANSWERS_WITHIN, UnixStream::connect(path)).await {
        Ok(Err(error)) => error.kind() != io::ErrorKind::ConnectionRefused,
        Ok(Ok(_)) | Err(_) => true,
    }
}

/// SECURITY: nobody can connect before it listens, and by then the file is its owner's alone.
fn make(path: &Path) -> io::Result<UnixListener> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", process::id()));
    let beside = path.with_file_name(name);
    // Of a process with this number that did not come to its end.
    fs::remove_file(&beside).ok();
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(&beside)?)?;
    let placed = fs::set_permissions(&beside, Permissions::from_mode(0o600))
        .and_then(|()| socket.listen(BACKLOG))
        .and_then(|()| fs::rename(&beside, path));
    if let Err(error) = placed {
        fs::remove_file(&beside).ok();
        return Err(error);
    }
    socket.set_nonblocking(true)?;
    UnixListener::from_std(net::UnixListener::from(socket))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn at(folder: &TempDir) -> PathBuf {
        folder.path().join("run").join(NAME)
    }

    #[tokio::test]
    async fn the_file_is_its_owners_alone_and_goes_with_the_gateway() {
        let folder = TempDir::new().unwrap();
        let path = at(&folder);
        let socket = Socket::open(&path).await.unwrap();
        let mode = |path: &Path| fs::symlink_metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_running_gateways_socket_is_left_alone_and_one_of_a_dead_gateway_is_replaced() {
        let folder = TempDir::new().unwrap();
        let path = at(&folder);
        let first = Socket::open(&path).await.unwrap();
        let second = Socket::open(&path).await;
        assert!(matches!(second, Err(NotOpen::InUse)), "{second:?}");
        // As after a crash: the file is there, and nobody listens.
        let kept = path.with_file_name("kept");
        fs::hard_link(&path, &kept).unwrap();
        drop(first);
        fs::rename(&kept, &path).unwrap();
        let third = Socket::open(&path).await.unwrap();
        UnixStream::connect(&path).await.unwrap();
        drop(third);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn nothing_else_is_taken_for_a_socket_and_nothing_else_is_removed() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join(NAME);
        fs::write(&path, "mine").unwrap();
        assert!(matches!(Socket::open(&path).await, Err(NotOpen::NoSocket)));
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        fs::remove_file(&path).unwrap();

        let socket = Socket::open(&path).await.unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "another's").unwrap();
        drop(socket);
        assert_eq!(fs::read(&path).unwrap(), b"another's");
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_made_is_told() {
        let path = Path::new("/proc/none/control.sock");
        assert!(matches!(Socket::open(path).await, Err(NotOpen::Io(_))));
    }

    #[test]
    fn the_units_folder_comes_before_the_working_directory() {
        let none = |_: &str| None;
        let some = |_: &str| Some(OsString::from("/run/a:/run/b"));
        let empty = |_: &str| Some(OsString::new());
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(SocketSetting::Auto.path(none), path("run/control.sock"));
        assert_eq!(SocketSetting::Auto.path(empty), path("run/control.sock"));
        assert_eq!(SocketSetting::Auto.path(some), path("/run/a/control.sock"));
        assert_eq!(SocketSetting::None.path(some), None);
        assert_eq!(SocketSetting::At("x".into()).path(some), path("x"));
        assert_eq!(
            SocketSetting::Auto.places(none),
            ["run/control.sock", "/run/plugnmeet-gateway/control.sock"].map(PathBuf::from)
        );
        assert!(SocketSetting::None.places(some).is_empty());
    }
}
