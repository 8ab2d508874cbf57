//! May the gateway's own user read what its configuration names? Tried by that user's rights, so that groups and access
//! lists count as they do for the gateway.

use std::{path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use tokio::{process::Command, time::timeout};

use super::Machine;
use crate::doctor::finding::{Said, all_or};

/// The user of the package.
const USER: &str = "plugnmeet-gateway";
const WITHIN: Duration = Duration::from_secs(10);
/// Says which of its arguments can't be read, or, of folders, be looked into; each with a zero byte behind it.
const TRY: &str =
    r#"for f; do test -r "$f" && { test ! -d "$f" || test -x "$f"; } || printf '%s\0' "$f"; done"#;

pub async fn readable(machine: Arc<Machine>) -> Vec<Said> {
    if machine.reads.is_empty() {
        return vec![Said::skip("there is no configuration; name it by --config")];
    }
    let passwd = machine.read("etc/passwd").unwrap_or_default();
    let ids = passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [USER, _, uid, gid, ..] = fields.as_slice() else {
            return None;
        };
        Some(((*uid).to_owned(), (*gid).to_owned()))
    });
    let Some((uid, gid)) = ids else {
        return vec![Said::skip(format!("there is no user {USER}"))];
    };
    if !rustix::process::geteuid().is_root() {
        return vec![Said::skip("root alone can try another user's rights")];
    }
    let files = files(&machine);
    let trying = Command::new("setpriv")
        .args([
            "--reuid",
            &uid,
            "--regid",
            &gid,
            "--init-groups",
            "--",
            "sh",
            "-c",
            TRY,
            "sh",
        ])
        .args(&files)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let said = match timeout(WITHIN, trying).await {
        Ok(Ok(output)) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        Ok(Ok(_) | Err(_)) | Err(_) => return vec![Said::skip("setpriv can't take the user's rights")],
    };
    let wrong = said.split_terminator('\0').map(|file| {
        Said::fail(
            format!("{USER} can't read it, so the gateway does not start, or serves without it"),
            format!("give the file, and the folders above it, to the group of {USER}: chgrp {USER} and chmod g+r (g+x for folders)"),
        )
        .at(file)
    });
    all_or(
        wrong.collect(),
        format!("{USER} reads all {} files and folders", files.len()),
    )
}

/// What the configuration names, and what is in the folder of certificates.
fn files(machine: &Machine) -> Vec<PathBuf> {
    let mut files = machine.reads.clone();
    if let Some(certs) = &machine.certs
        && let Ok(entries) = std::fs::read_dir(certs)
    {
        let pairs = entries.flatten().map(|entry| entry.path()).filter(|path| {
            let end = path.extension().and_then(|end| end.to_str());
            matches!(end, Some("pem" | "key" | "crt"))
        });
        files.extend(pairs);
    }
    files
}
