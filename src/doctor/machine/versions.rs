//! The client's build against the server that runs: both are released together, under the same numbers.
//!
//! Neither says it to those who ask: the server tells its version to people in a meeting alone. Both have it inside. The
//! client's build has the number in the text at the end of a meeting's settings
//! (`t("plugnmeet-server-client-version", {server: …, client: "2.4.0"})`), and the server's program in the name that it gives its
//! web framework (`plugNmeet version: 2.4.0 runtime: `), which Go's compiler puts together. Where no server runs here, the tag of
//! its image counts, if that is a version.
//!
//! Not here: the version of `LiveKit` (`super::super::media`).
//!
//! Source: docs/plugnmeet.md sections 10 and 12.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use memchr::memmem;
use tokio::task::spawn_blocking;

use super::{Machine, processes};
use crate::doctor::finding::Said;

/// The name of the server's process, of which the kernel keeps 15 letters.
const SERVER: &str = "plugnmeet-serve";
const IN_SERVER: (&[u8], &[u8]) = (b"plugNmeet version: ", b" runtime: ");
const IN_CLIENT: &[u8] = b"plugnmeet-server-client-version";
/// A version is at most that far behind the text before it.
const NEAR: usize = 256;
/// Of the client's scripts, which are some hundred.
const MAX_FILES: usize = 10_000;
/// Of a script or of a server's program, which has some 100 MB.
const MAX_BYTES: u64 = 1 << 30;
const PIECE: usize = 1 << 20;

/// Both numbers of a release; the third is for mends on one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Release(u32, u32);

/// A version as it is written, and its release.
type Version = (String, Release);

pub async fn client_version(machine: Arc<Machine>) -> Vec<Said> {
    // Files of some hundred megabytes are read.
    spawn_blocking(move || compared(&machine))
        .await
        .unwrap_or_else(|error| vec![Said::skip(format!("can't be looked at: {error}"))])
}

fn compared(machine: &Machine) -> Vec<Said> {
    let Some(client) = &machine.client else {
        return vec![Said::skip("no client is named")];
    };
    let Some((build, ours)) = of_client(client) else {
        return vec![Said::skip(format!(
            "{} says no version, as each build of plugNmeet's client does",
            client.display()
        ))];
    };
    let running = of_servers(&machine.root);
    let (servers, from) = if running.is_empty() {
        let tag = machine.server_tag.as_deref().and_then(version);
        (tag.into_iter().collect(), "docker-compose.yaml's")
    } else {
        (running, "running")
    };
    if servers.is_empty() {
        return vec![Said::skip(
            "no server runs here whose program root can read, and docker-compose.yaml has no version of it",
        )];
    }
    let names: Vec<&str> = servers.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(", ");
    if servers.iter().all(|(_, theirs)| *theirs == ours) {
        return vec![Said::ok(format!("client {build}, and the {from} server {names}"))];
    }
    vec![
        Said::warn(
            format!(
                "the client is {build}, and the {from} server {names}: they are made for each other's release"
            ),
            "take both from one release: plugNmeet's update.sh, and a restart of its service",
        )
        .at(client.display().to_string()),
    ]
}

/// The version in this folder's scripts.
fn of_client(client: &Path) -> Option<Version> {
    let mut folders = vec![client.join("assets")];
    let mut left = MAX_FILES;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            left = left.checked_sub(1)?;
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(kind) if kind.is_file() && path.extension().is_some_and(|end| end == "js") => {
                    if let Ok(Some(found)) = find(&path, IN_CLIENT, of_script) {
                        return Some(found);
                    }
                }
                Ok(_) | Err(_) => {}
            }
        }
    }
    None
}

/// The versions of the servers that run here; only root sees those of others.
fn of_servers(root: &Path) -> BTreeSet<Version> {
    let servers = processes(root).into_iter().filter(|(_, name)| name == SERVER);
    let versions = servers.filter_map(|(number, _)| {
        let program = root.join(format!("proc/{number}/exe"));
        find(&program, IN_SERVER.0, of_program).ok().flatten()
    });
    versions.collect()
}

/// What `read` makes of what follows `before` in a file, the first time that it makes something of it.
fn find(file: &Path, before: &[u8], read: fn(&[u8]) -> Option<Version>) -> io::Result<Option<Version>> {
    let mut file = File::open(file)?.take(MAX_BYTES);
    let mut held = Vec::new();
    loop {
        let added = file.by_ref().take(PIECE as u64).read_to_end(&mut held)?;
        let mut found = memmem::find_iter(&held, before).filter_map(|at| {
            let behind = held.get(at + before.len()..)?;
            read(behind.get(..NEAR).unwrap_or(behind))
        });
        let found = found.next();
        if found.is_some() || added == 0 {
            return Ok(found);
        }
        // What may have begun at the end of this piece is read again with the next.
        held.drain(..held.len().saturating_sub(before.len() + NEAR));
    }
}

/// `2.4.0 runtime: `
fn of_program(behind: &[u8]) -> Option<Version> {
    let end = memmem::find(behind, IN_SERVER.1)?;
    version(std::str::from_utf8(behind.get(..end)?).ok()?)
}

/// `", {server: e, client: "2.4.0"})`, with any of JavaScript's quotes, or the same made small.
fn of_script(behind: &[u8]) -> Option<Version> {
    let text = String::from_utf8_lossy(behind);
    let (_, value) = text.split_once("client:")?;
    let value = value.trim_start();
    let quote = value.chars().next().filter(|first| "\"'`".contains(*first))?;
    version(value.split(quote).nth(1)?)
}

/// `2.4.0`, `v2.4.0` and `2.4.1-28`.
fn version(text: &str) -> Option<Version> {
    let numbers = text.strip_prefix('v').unwrap_or(text);
    let mut parts = numbers.split('.').map(str::parse::<u32>);
    let release = Release(parts.next()?.ok()?, parts.next()?.ok()?);
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-+".contains(c);
    (numbers.len() <= 32 && numbers.chars().all(plain)).then(|| (numbers.to_owned(), release))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(found: Option<Version>) -> Option<String> {
        found.map(|(name, _)| name)
    }

    #[test]
    fn the_version_of_a_build_is_read_as_bundlers_write_it() {
        for (behind, is) in [
            ("`,{server:t,client:`2.4.0`}),document.body", Some("2.4.0")),
            ("\",{server:t,client:\"2.1.9\"})", Some("2.1.9")),
            (
                "', {\n server: serverVersion,\n client: '2.4.1-28',\n })",
                Some("2.4.1-28"),
            ),
            // A text of a translation.
            ("\":\"Server: {{server}}, client: {{client}}\"", None),
            ("`,{server:t,client:r})", None),
            ("`,{server:t,client:`", None),
            ("`,{server:t,client:`two`})", None),
        ] {
            assert_eq!(name(of_script(behind.as_bytes())).as_deref(), is, "{behind}");
        }
    }

    #[test]
    fn the_version_of_a_program_is_found_wherever_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("program");
        for at in [0, 100, PIECE - 40, PIECE - 20, PIECE - 1, PIECE, 2 * PIECE + 7] {
            let mut program = vec![0; at];
            program.extend(b"plugNmeet version: 2.4.0 runtime: begin");
            program.resize(at + 3 * PIECE, 1);
            fs::write(&file, &program).unwrap();
            let found = find(&file, IN_SERVER.0, of_program).unwrap();
            assert_eq!(found, Some(("2.4.0".into(), Release(2, 4))), "{at}");
        }
        fs::write(&file, "plugNmeet version: 2.4.0").unwrap();
        assert_eq!(find(&file, IN_SERVER.0, of_program).unwrap(), None);
    }

    #[test]
    fn a_version_has_two_numbers_at_least() {
        assert_eq!(version("v2.4"), Some(("2.4".into(), Release(2, 4))));
        for none in [
            "latest",
            "",
            "2",
            "v2",
            "2.x",
            "2.4.0\u{1b}[2J",
            "2.4.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert_eq!(version(none), None, "{none}");
        }
    }
}
