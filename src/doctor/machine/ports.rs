//! Who holds which port, and who runs.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use super::Machine;
use crate::doctor::finding::{Said, all_or};

/// The most processes that are looked at.
const MAX_PROCESSES: usize = 100_000;
/// The most sockets of one process.
const MAX_SOCKETS: usize = 100_000;

/// The processes: number and name.
pub fn processes(root: &Path) -> Vec<(u32, String)> {
    let Ok(entries) = fs::read_dir(root.join("proc")) else {
        return Vec::new();
    };
    let numbers = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let named = numbers.take(MAX_PROCESSES).filter_map(|number| {
        let name = fs::read_to_string(root.join(format!("proc/{number}/comm"))).ok()?;
        Some((number, name.trim().to_owned()))
    });
    named.collect()
}

/// Listening sockets of TCP: port and inode.
fn listening(root: &Path) -> Vec<(u16, u64)> {
    let mut found = Vec::new();
    for name in ["proc/net/tcp", "proc/net/tcp6"] {
        let text = fs::read_to_string(root.join(name)).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (Some(local), Some(state), Some(inode)) = (fields.get(1), fields.get(3), fields.get(9))
            else {
                continue;
            };
            let port = local
                .rsplit_once(':')
                .and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
            if let (Some(port), Ok(inode)) = (port, inode.parse())
                && *state == "0A"
            {
                found.push((port, inode));
            }
        }
    }
    found
}

/// The name of the process that has this socket; only root sees those of others.
fn holder(root: &Path, inode: u64) -> Option<(u32, String)> {
    let wanted = format!("socket:[{inode}]");
    processes(root).into_iter().find(|(number, _)| {
        let Ok(entries) = fs::read_dir(root.join(format!("proc/{number}/fd"))) else {
            return false;
        };
        let mut links = entries.flatten().take(MAX_SOCKETS);
        links.any(|entry| fs::read_link(entry.path()).is_ok_and(|to| to.as_os_str() == wanted.as_str()))
    })
}

/// The name of the gateway's process, as far as the kernel keeps it.
const OURS: &str = "plugnmeet-gatew";

/// Does this process run the very file that runs now? Whoever installs the program may give it another name.
fn runs_this_program(root: &Path, process: u32) -> bool {
    let file = |process: &str| {
        let about = fs::metadata(root.join(format!("proc/{process}/exe"))).ok()?;
        Some((about.dev(), about.ino()))
    };
    file("self").is_some_and(|ours| file(&process.to_string()) == Some(ours))
}

/// Are the gateway's ports its own, or free?
pub fn ports(machine: &Machine) -> Vec<Said> {
    if machine.listens.is_empty() {
        return vec![Said::skip("there is no configuration; name it by --config")];
    }
    let listening = listening(&machine.root);
    let mut wrong = Vec::new();
    let mut well = Vec::new();
    for (port, key) in &machine.listens {
        if machine.running.contains(port) {
            well.push(format!("{port} is the gateway's"));
            continue;
        }
        let Some((_, inode)) = listening.iter().find(|(held, _)| held == port) else {
            well.push(format!("{port} is free"));
            continue;
        };
        match holder(&machine.root, *inode) {
            Some((number, name)) if name == OURS || runs_this_program(&machine.root, number) => {
                well.push(format!("{port} is the gateway's"));
            }
            Some((number, name)) => wrong.push(
                Said::fail(
                    format!("port {port} is held by {name} (process {number})"),
                    if name == "haproxy" {
                        "systemctl disable --now haproxy, and start the gateway".to_owned()
                    } else {
                        "stop it, or give the gateway another port".to_owned()
                    },
                )
                .at(key.clone()),
            ),
            None => well.push(format!("{port} is somebody's whom only root sees")),
        }
    }
    all_or(wrong, well.join(", "))
}

/// Both at once: one of them has not got the ports.
pub fn haproxy(machine: &Machine) -> Vec<Said> {
    let running = processes(&machine.root)
        .into_iter()
        .find(|(_, name)| name == "haproxy");
    match running {
        Some((number, _)) if machine.in_front => vec![Said::warn(
            format!("HAProxy runs (process {number}), and the gateway is to be in its place"),
            "systemctl disable --now haproxy; or put the gateway behind it (listen.proxy_protocol)",
        )],
        _ => vec![Said::ok("does not run, or stays in front")],
    }
}
