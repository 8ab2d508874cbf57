//! What the kernel allows and has: descriptors, queues, buffers, memory, disks, the clock.

use rustix::{
    fs::statvfs,
    process::{Resource, getrlimit},
};

use super::Machine;
use crate::doctor::finding::{Said, all_or};

/// A tunnel takes two descriptors.
const ENOUGH_FILES: u64 = 65_536;
/// Of connections that wait to be accepted.
const ENOUGH_WAITING: u64 = 1024;
/// What LiveKit asks for.
const ENOUGH_BUFFER: u64 = 5_000_000;
/// plugNmeet with all its parts.
const ENOUGH_KIB: u64 = 3_500_000;
const LITTLE_PERCENT: u64 = 10;
const LITTLE_DISK: u64 = 2 << 30;
const NO_DISK: u64 = 200 << 20;

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

pub fn local_ports(machine: &Machine) -> Vec<Said> {
    let range = machine
        .read("proc/sys/net/ipv4/ip_local_port_range")
        .unwrap_or_default();
    let mut ends = range.split_whitespace().map(str::parse::<u16>);
    let (Some(Ok(from)), Some(Ok(to))) = (ends.next(), ends.next()) else {
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
    let Ok(found) = statvfs(at.as_path()) else {
        return vec![Said::skip(format!("{} can't be asked", at.display()))];
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let place = at.display().to_string();
    let advice = "make room: recordings, logs, docker system prune";
    let said = format!("{} MiB are free", free >> 20);
    vec![match free {
        free if free < NO_DISK => Said::fail(said, advice).at(place),
        free if free < LITTLE_DISK => Said::warn(said, advice).at(place),
        _ => Said::ok(said),
    }]
}

pub fn clock(machine: &Machine) -> Vec<Said> {
    let signs = [
        "run/systemd/timesync/synchronized",
        "run/chrony",
        "run/ntpd.pid",
        "run/openntpd.pid",
    ];
    let processes = super::processes(&machine.root);
    let keeper = processes
        .iter()
        .find(|(_, name)| ["chronyd", "ntpd", "systemd-timesyn", "openntpd"].contains(&name.as_str()));
    if signs.iter().any(|sign| machine.root.join(sign).exists()) || keeper.is_some() {
        return vec![Said::ok("is kept right")];
    }
    vec![Said::warn(
        "nobody keeps the clock right; a minute off, and tokens are refused",
        "timedatectl set-ntp true; in a container its host does it",
    )]
}
