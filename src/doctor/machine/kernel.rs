//! What the kernel allows and has: descriptors, queues, buffers, ports, memory, disks.

use std::path::Path;

use rustix::{
    fs::statvfs,
    process::{Resource, getrlimit},
};

use super::Machine;
use crate::doctor::finding::{Said, all_or};

/// A tunnel takes two descriptors.
const ENOUGH_FILES: u64 = 65_536;
/// As many connections should be able to wait to be accepted.
const ENOUGH_WAITING: u64 = 1024;
/// What LiveKit asks for.
const ENOUGH_BUFFER: u64 = 5_000_000;
/// plugNmeet with all its parts.
const ENOUGH_KIB: u64 = 3_500_000;
const LITTLE_PERCENT: u64 = 10;
const LITTLE_DISK: u64 = 2 << 30;
const NO_DISK: u64 = 200 << 20;
/// A range for media in which others may be in the way: `LiveKit` takes two ports for each person without one port for all.
const FEW_PORTS: u16 = 1000;
/// Files of `NATS` beside its connections: its streams, its log.
const OTHER_FILES: u64 = 512;

pub fn open_files(_: &Machine) -> Vec<Said> {
    let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    if most < ENOUGH_FILES {
        return vec![Said::warn(
            format!("a process may open {most} files; each person needs some six"),
            "raise LimitNOFILE in the unit, or ulimit -Hn",
        )];
    }
    vec![Said::ok(if most == u64::MAX {
        "no limit".to_owned()
    } else {
        most.to_string()
    })]
}

pub fn somaxconn(machine: &Machine) -> Vec<Said> {
    let file = "proc/sys/net/core/somaxconn";
    match machine.number(file) {
        Some(most) if most < ENOUGH_WAITING => vec![
            Said::warn(
                format!("{most} connections may wait to be accepted; a school comes in one moment"),
                "sysctl -w net.core.somaxconn=4096, and into /etc/sysctl.d",
            )
            .at(format!("/{file}")),
        ],
        Some(most) => vec![Said::ok(most.to_string())],
        None => vec![Said::skip("the kernel does not tell")],
    }
}

pub fn udp_buffers(machine: &Machine) -> Vec<Said> {
    let file = "proc/sys/net/core/rmem_max";
    match machine.number(file) {
        Some(most) if most < ENOUGH_BUFFER => vec![
            Said::warn(
                format!("{most} bytes of media may wait for LiveKit, which wants {ENOUGH_BUFFER}: packets are lost under load"),
                "sysctl -w net.core.rmem_max=5000000, and into /etc/sysctl.d",
            )
            .at(format!("/{file}")),
        ],
        Some(most) => vec![Said::ok(most.to_string())],
        None => vec![Said::skip("the kernel does not tell")],
    }
}

/// The ports that the kernel gives to outgoing connections.
fn local_range(machine: &Machine) -> Option<(u16, u16)> {
    let range = machine.read("proc/sys/net/ipv4/ip_local_port_range")?;
    let mut ends = range.split_whitespace().map(str::parse::<u16>);
    Some((ends.next()?.ok()?, ends.next()?.ok()?))
}

pub fn local_ports(machine: &Machine) -> Vec<Said> {
    let Some((from, to)) = local_range(machine) else {
        return vec![Said::skip("the kernel does not tell")];
    };
    let reserved = machine
        .read("proc/sys/net/ipv4/ip_local_reserved_ports")
        .unwrap_or_default();
    let is_reserved = |port: u16| {
        reserved.trim().split(',').any(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            matches!((first.parse::<u16>(), last.parse::<u16>()), (Ok(first), Ok(last)) if (first..=last).contains(&port))
        })
    };
    let ours = machine.listens.iter().map(|(port, key)| (*port, key.clone()));
    let parts = machine
        .parts
        .iter()
        .map(|(part, _, port)| (*port, (*part).to_owned()));
    let taken = ours
        .chain(parts)
        .filter(|(port, _)| (from..=to).contains(port) && !is_reserved(*port));
    let wrong = taken.map(|(port, who)| {
        Said::warn(
            format!("the kernel may give port {port} of {who} to somebody's outgoing connection, and then it can't start"),
            format!("sysctl -w net.ipv4.ip_local_reserved_ports={port}"),
        )
        .at("/proc/sys/net/ipv4/ip_local_port_range")
    });
    all_or(
        wrong.collect(),
        format!("{from} to {to}, and nobody listens there"),
    )
}

pub fn memory(machine: &Machine) -> Vec<Said> {
    let Some(text) = machine.read("proc/meminfo") else {
        return vec![Said::skip("the kernel does not tell")];
    };
    let kib = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok())
            .unwrap_or_default()
    };
    let (all, free) = (kib("MemTotal"), kib("MemAvailable"));
    let mut wrong = Vec::new();
    if machine.installed && all < ENOUGH_KIB {
        wrong.push(Said::warn(
            format!("{} MiB, and plugNmeet with all its parts wants 4 GiB", all >> 10),
            "give the machine more",
        ));
    }
    if free * 100 < all * LITTLE_PERCENT {
        wrong.push(Said::warn(
            format!("{} of {} MiB are free", free >> 10, all >> 10),
            "look who takes it: ps aux --sort -rss | head",
        ));
    }
    all_or(wrong, format!("{} of {} MiB are free", free >> 10, all >> 10))
}

pub fn disk(machine: &Machine) -> Vec<Said> {
    let at = if machine.from.exists() {
        &machine.from
    } else {
        &machine.root
    };
    match free_at(at) {
        Some(free) => vec![room(free, "make room: recordings, logs, docker system prune", at)],
        None => vec![Said::skip(format!("{} can't be asked", at.display()))],
    }
}

/// Free bytes of the folder's file system.
fn free_at(folder: &Path) -> Option<u64> {
    let found = statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

fn room(free: u64, advice: &str, at: &Path) -> Said {
    let said = format!("{} MiB are free", free >> 20);
    let place = at.display().to_string();
    match free {
        free if free < NO_DISK => Said::fail(said, advice).at(place),
        free if free < LITTLE_DISK => Said::warn(said, advice).at(place),
        _ => Said::ok(said),
    }
}

/// Outgoing connections of other programs hold ports of a range for media, too. In a large one `LiveKit` takes another.
pub fn media_ports(machine: &Machine) -> Vec<Said> {
    let Some((_, first, last, _)) = machine.open.iter().find(|(.., what)| *what == "media") else {
        return vec![Said::skip("there is no livekit.yaml")];
    };
    let Some((from, to)) = local_range(machine) else {
        return vec![Said::skip("the kernel does not tell")];
    };
    let ports = last.saturating_sub(*first);
    if *first > to || *last < from {
        return vec![Said::ok(format!("media has {first} to {last} for itself"))];
    }
    if ports < FEW_PORTS {
        let place = "/proc/sys/net/ipv4/ip_local_port_range";
        return vec![
            Said::warn(
                format!("media has {first} to {last} alone, and the kernel gives them to anybody's outgoing UDP, such as questions for names"),
                format!("sysctl -w net.ipv4.ip_local_reserved_ports={first}-{last}, or a larger range in livekit.yaml"),
            )
            .at(place),
        ];
    }
    vec![Said::ok(format!(
        "media has {first} to {last}; of those the kernel gives some to others, and enough are left"
    ))]
}

/// `NATS` opens a file for each connection.
pub fn nats_files(machine: &Machine) -> Vec<Said> {
    let Some((most, place)) = &machine.nats_connections else {
        return vec![Said::skip("there is no nats-server.conf")];
    };
    let nats = super::processes(&machine.root)
        .into_iter()
        .find(|(_, name)| name == "nats-server");
    let limit = nats.and_then(|(id, _)| {
        let text = machine.read(&format!("proc/{id}/limits"))?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("Max open files"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    });
    let Some(limit) = limit else {
        return vec![Said::skip("NATS does not run here, or its limit is not seen")];
    };
    if limit < most.saturating_add(OTHER_FILES) {
        return vec![
            Said::warn(
                format!("NATS takes {most} connections, and may open {limit} files: above that nobody gets in, and nobody says why"),
                format!("raise nofile of NATS (ulimits in docker-compose.yaml), or write max_connections: {}", limit.saturating_sub(OTHER_FILES)),
            )
            .at(place.clone()),
        ];
    }
    vec![Said::ok(format!("{limit} files for {most} connections"))]
}

/// `JetStream` has the rooms, and stops at a full disk.
pub fn jetstream(machine: &Machine) -> Vec<Said> {
    let Some(store) = &machine.jetstream else {
        return vec![Said::skip("no file says where JetStream keeps its files")];
    };
    let Some(free) = free_at(&store.folder) else {
        return vec![Said::skip(format!("{} can't be asked", store.folder.display()))];
    };
    let advice = "make room, or give nats-data a disk of its own";
    if let Some(most) = store.most.filter(|most| *most > free) {
        return vec![
            Said::warn(
                format!(
                    "JetStream may take {} MiB, and {} MiB are free",
                    most >> 20,
                    free >> 20
                ),
                "write a smaller max_file_store, or make room",
            )
            .at(store.place.clone()),
        ];
    }
    vec![room(free, advice, &store.folder)]
}
