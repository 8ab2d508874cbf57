//! Gateways that have handed over or stop, and have work left: each has a socket of its own beside the one in use, by the
//! number of its process. The gateway in use asks them, so that nobody else has to know of them.
//!
//! SECURITY: what lies there and is another user's is not asked.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::geteuid;
use tokio::{net::UnixStream, task::JoinSet, time::timeout};

use super::{
    ask::exchange,
    command::{Answer, Command},
};

/// Between the name of the socket in use and the number of a process.
const INFIX: &[u8] = b".old.";

/// The most time for one old process to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Those that are asked at once. Each upgrade of the last twelve hours may have left one.
const MOST_OLD: usize = 256;

/// Where the process with this number has its socket once another one has the place.
pub fn old_place(place: &Path, process: u32) -> PathBuf {
    let mut name = prefix(place);
    name.push(process.to_string());
    place.with_file_name(name)
}

/// Asks all of them; who does not answer is left out. The lowest number comes first.
pub async fn ask_old(place: &Path, command: &Command) -> Vec<(u32, Answer)> {
    let mut asking = JoinSet::new();
    for (process, path) in old_ones(place).into_iter().take(MOST_OLD) {
        let command = command.clone();
        asking.spawn(async move {
            let answer = timeout(PATIENCE, ask_one(&path, &command)).await;
            Some((process, answer.ok().flatten()?))
        });
    }
    let mut answers: Vec<_> = asking.join_all().await.into_iter().flatten().collect();
    answers.sort_unstable_by_key(|(process, _)| *process);
    answers
}

async fn ask_one(path: &Path, command: &Command) -> Option<Answer> {
    match UnixStream::connect(path).await {
        Ok(stream) => exchange(stream, command).await,
        Err(error) => {
            if error.kind() == io::ErrorKind::ConnectionRefused {
                // Of a process that did not come to its end.
                fs::remove_file(path).ok();
            }
            None
        }
    }
}

fn old_ones(place: &Path) -> Vec<(u32, PathBuf)> {
    let folder = match place.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) | None => Path::new("."),
    };
    let (prefix, own) = (prefix(place), geteuid().as_raw());
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let found = entries.flatten().filter_map(|entry| {
        let name = entry.file_name();
        let process = name.as_bytes().strip_prefix(prefix.as_bytes())?;
        let process = std::str::from_utf8(process).ok()?.parse().ok()?;
        let path = folder.join(name);
        let is_ours = fs::symlink_metadata(&path).is_ok_and(|about| about.uid() == own);
        is_ours.then_some((process, path))
    });
    found.collect()
}

fn prefix(place: &Path) -> OsString {
    let mut name = place.file_name().unwrap_or_default().to_owned();
    name.push(OsStr::from_bytes(INFIX));
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Operator, Socket, serve};

    #[derive(Clone)]
    struct Named(u32);

    impl Operator for Named {
        async fn act(&self, command: Command) -> Answer {
            assert_eq!(command, Command::Status);
            Answer::done().with("named", self.0)
        }
    }

    #[tokio::test]
    async fn every_old_one_is_asked_and_what_a_crash_left_is_cleared_away() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("control.sock");
        let mut serving = Vec::new();
        for process in [70, 7] {
            let socket = Socket::open(&old_place(&place, process)).await.unwrap();
            serving.push(tokio::spawn(async move { serve(&socket, Named(process)).await }));
        }
        let crashed = old_place(&place, 8);
        drop(std::os::unix::net::UnixListener::bind(&crashed).unwrap());
        fs::write(folder.path().join("control.sock.old.x"), "").unwrap();
        fs::write(folder.path().join("control.sock.9"), "").unwrap();
        let answers = ask_old(&place, &Command::Status).await;
        let named: Vec<_> = answers
            .iter()
            .map(|(process, answer)| (*process, answer.member("named").cloned()))
            .collect();
        assert_eq!(named, [(7, Some(7.into())), (70, Some(70.into()))]);
        assert!(!crashed.exists() && folder.path().join("control.sock.9").exists());
        for one in serving {
            one.abort();
        }
    }
}
