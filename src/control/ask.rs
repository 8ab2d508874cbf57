//! The operator's side of the control socket.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};

use super::command::{Answer, Command};

/// For a command to be carried out: a reload may read a large client.
const PATIENCE: Duration = Duration::from_secs(120);

/// The most bytes that are read of an answer.
const MAX_ANSWER_BYTES: u64 = 64 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The setting says that there is no socket.
    #[error("control.socket is \"\", so no gateway can be asked")]
    NoSocket,
    /// Nobody listens at any of these.
    #[error("no gateway answers at {}; is it running, and started in this directory?", each(.0))]
    Nobody(Vec<PathBuf>),
    /// The socket is another user's.
    #[error("{}: {error}; ask as the gateway's user or as root", .path.display())]
    NotAllowed { path: PathBuf, error: io::Error },
    /// The gateway did not answer in time.
    #[error("the gateway did not answer within {} s", PATIENCE.as_secs())]
    Late,
    /// What came is no answer.
    #[error("the gateway's answer broke off")]
    Broken,
}

fn each(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    shown.join(" or ")
}

/// Asks the gateway at the first of these places where somebody listens.
pub async fn ask(places: &[PathBuf], command: &Command) -> Result<Answer, AskError> {
    if places.is_empty() {
        return Err(AskError::NoSocket);
    }
    for path in places {
        match UnixStream::connect(path).await {
            Ok(stream) => {
                return timeout(PATIENCE, exchange(stream, command))
                    .await
                    .map_err(|_late| AskError::Late)?
                    .ok_or(AskError::Broken);
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(not_allowed(path, error));
            }
            Err(_) => {}
        }
    }
    Err(AskError::Nobody(places.to_vec()))
}

fn not_allowed(path: &Path, error: io::Error) -> AskError {
    AskError::NotAllowed {
        path: path.to_owned(),
        error,
    }
}

/// The answer is the last line.
pub(super) async fn exchange(mut stream: UnixStream, command: &Command) -> Option<Answer> {
    let mut line = serde_json::to_vec(command).ok()?;
    line.push(b'\n');
    stream.write_all(&line).await.ok()?;
    let mut lines = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut lines).await.ok()?;
    let last = lines.strip_suffix(b"\n")?.rsplit(|byte| *byte == b'\n').next()?;
    Answer::read(last)
}
