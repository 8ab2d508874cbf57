//! Writes what was adopted, in one step for each file.
//!
//! A file that this program wrote says so in its first line, with a checksum of the rest. If that fits, nobody has edited the
//! file, and it may be written anew; else it is left alone, or with `force` kept beside.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use aws_lc_rs::digest;

use super::AdoptProblem;
use crate::official;

/// The beginning of the first line.
const MARK: &str = "# Made by plugnmeet-gateway adopt, checksum ";

/// What the package puts there, before anybody has edited it.
const EXAMPLE: &str = include_str!("../../config/host.toml");

/// A file that is to be there.
#[derive(Clone)]
pub struct Wanted {
    pub path: PathBuf,
    pub text: String,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// For its owner alone, and without a mark: all of it is the secret.
    Secret,
    Script,
}

/// The first line of a script; the mark follows.
const SHELL: &str = "#!/bin/sh\n";

/// What happened to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Written,
    Unchanged,
    /// Another was there, and lies here now.
    Kept(PathBuf),
}

impl Wanted {
    pub fn whole(&self) -> String {
        let shell = match self.kind {
            Kind::Secret => return self.text.clone(),
            Kind::Script => SHELL,
            Kind::Text => "",
        };
        format!("{shell}{MARK}{}\n{}", checksum(&self.text), self.text)
    }

    pub fn is_secret(&self) -> bool {
        self.kind == Kind::Secret
    }
}

/// Is it as this program or its package wrote it?
fn is_ours(found: &str) -> bool {
    if found == EXAMPLE {
        return true;
    }
    let found = found.strip_prefix(SHELL).unwrap_or(found);
    let marked = found.strip_prefix(MARK).and_then(|rest| rest.split_once('\n'));
    marked.is_some_and(|(sum, rest)| sum == checksum(rest))
}

/// What is to be done with a file.
enum Verdict {
    Leave,
    Write,
    /// The one that is there gets another name first.
    Keep,
}

/// Writes the files that are not there as they are wanted; what happened to each comes back. All are judged before the first is
/// written, so that one that is left alone leaves the others alone too. `owner` is who has to read the secrets.
pub fn write(
    wanted: &[Wanted],
    force: bool,
    owner: Option<(u32, u32)>,
) -> Result<Vec<Outcome>, AdoptProblem> {
    let verdicts: Result<Vec<Verdict>, _> = wanted.iter().map(|file| judge(file, force)).collect();
    let verdicts = verdicts?.into_iter();
    wanted
        .iter()
        .zip(verdicts)
        .map(|(file, verdict)| carry_out(file, &verdict, owner).map_err(|error| told(&file.path, &error)))
        .collect()
}

fn judge(wanted: &Wanted, force: bool) -> Result<Verdict, AdoptProblem> {
    match official::text(&wanted.path)? {
        None => Ok(Verdict::Write),
        Some(found) if found == wanted.whole() => Ok(Verdict::Leave),
        Some(found) if is_ours(&found) => Ok(Verdict::Write),
        Some(_) if force => Ok(Verdict::Keep),
        Some(_) if wanted.is_secret() => Err(AdoptProblem::OtherSecret(wanted.path.clone())),
        Some(_) => Err(AdoptProblem::Edited(wanted.path.clone())),
    }
}

fn carry_out(wanted: &Wanted, verdict: &Verdict, owner: Option<(u32, u32)>) -> io::Result<Outcome> {
    let outcome = match verdict {
        Verdict::Leave => return Ok(Outcome::Unchanged),
        Verdict::Write => Outcome::Written,
        Verdict::Keep => {
            let kept = keep(&wanted.path)?;
            if wanted.kind == Kind::Script {
                // Whoever runs all scripts of the folder would run this one too.
                fs::set_permissions(&kept, Permissions::from_mode(0o644))?;
            }
            Outcome::Kept(kept)
        }
    };
    put(wanted, &wanted.whole(), owner)?;
    Ok(outcome)
}

fn told(path: &Path, error: &io::Error) -> AdoptProblem {
    AdoptProblem::Unreadable(path.display().to_string(), format!("cannot be written: {error}"))
}

/// Gives an edited file another name, that nothing has yet.
fn keep(path: &Path) -> io::Result<PathBuf> {
    for nth in 1..1000_u32 {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".before-adopt-{nth}"));
        let kept = PathBuf::from(name);
        // A link fails where something is, and so overwrites nothing.
        match fs::hard_link(path, &kept) {
            Ok(()) => return Ok(kept),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// SECURITY: a secret is for its owner alone from its first byte on.
fn put(wanted: &Wanted, whole: &str, owner: Option<(u32, u32)>) -> io::Result<()> {
    if let Some(folder) = wanted.path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut new = wanted.path.as_os_str().to_owned();
    new.push(format!(".new-{}", std::process::id()));
    let new = PathBuf::from(new);
    let mode = match wanted.kind {
        Kind::Secret => 0o600,
        Kind::Text => 0o644,
        Kind::Script => 0o755,
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&new)?;
    let written = file
        .write_all(whole.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| match owner.filter(|_| wanted.is_secret()) {
            Some((user, group)) => chown(&new, Some(user), Some(group)),
            None => Ok(()),
        })
        .and_then(|()| fs::rename(&new, &wanted.path));
    if written.is_err() {
        fs::remove_file(&new).ok();
    }
    written
}

fn checksum(text: &str) -> String {
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    let shown = hash.as_ref().first_chunk().copied().unwrap_or_default();
    format!("{:016x}", u64::from_be_bytes(shown))
}
