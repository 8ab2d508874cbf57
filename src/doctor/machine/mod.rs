//! This machine: who holds the ports, do the parts answer, what the kernel allows, names, the firewall.
//!
//! Nothing is sent to other machines but questions for names, and for the time to the servers that this machine asks
//! anyway.

mod firewall;
mod kernel;
mod parts;
mod ports;
mod rights;
mod time;
mod versions;

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
};

pub use self::{firewall::*, kernel::*, parts::*, ports::*, rights::*, time::*, versions::*};
use super::{
    files::{Files, Part},
    media::image,
};
use crate::{clock::Clock, official::text, proxy::Target};

/// NATS' default of `max_connections`.
const NATS_CONNECTIONS: u64 = 65_536;

/// What a machine is asked about.
pub struct Machine {
    /// The root of the file system.
    root: PathBuf,
    /// The folder of the official installation.
    from: PathBuf,
    /// Is the gateway in `HAProxy`'s place?
    in_front: bool,
    /// Ports of the gateway's own, and the keys that name them.
    listens: Vec<(u16, String)>,
    /// Ports of the gateway that runs.
    running: BTreeSet<u16>,
    /// Where parts have to answer on this machine: the part, host and port.
    parts: Vec<(&'static str, String, u16)>,
    /// Names that have to lead here.
    names: Vec<String>,
    /// Ports that people outside come to: the protocol, from, to, and what for.
    open: Vec<(&'static str, u16, u16, &'static str)>,
    turn: Option<(String, u16)>,
    /// Redis: host and port, password.
    redis: Option<(String, u16, Option<String>)>,
    /// Is anything of plugNmeet's here?
    installed: bool,
    /// What the gateway reads: files and folders.
    reads: Vec<PathBuf>,
    /// Its folder of certificates.
    certs: Option<PathBuf>,
    /// How many connections `NATS` takes, and where that is said.
    nats_connections: Option<(u64, String)>,
    jetstream: Option<Store>,
    /// The client's files: those that are served, else the server's.
    client: Option<PathBuf>,
    /// The tag of the server's image.
    server_tag: Option<String>,
    clock: Clock,
}

/// What `JetStream` keeps.
struct Store {
    folder: PathBuf,
    /// In bytes. None: `NATS` takes three quarters of what is free.
    most: Option<u64>,
    place: String,
}

impl Machine {
    pub fn of(files: &Files<'_>, running: &[SocketAddr], clock: &Clock) -> Self {
        let gateway = files.gateway;
        let ours = files.has(Part::Gateway);
        let mut machine = Self {
            root: files.places.root.clone(),
            from: files.places.from.clone(),
            in_front: ours && !gateway.listen.proxy_protocol,
            listens: Vec::new(),
            running: running.iter().map(SocketAddr::port).collect(),
            parts: Vec::new(),
            names: Vec::new(),
            open: Vec::new(),
            turn: None,
            redis: None,
            installed: files.has(Part::Config),
            reads: Vec::new(),
            certs: ours.then(|| gateway.tls.certs.clone()),
            nats_connections: None,
            jetstream: None,
            client: gateway
                .client
                .path
                .clone()
                .or_else(|| files.client_folder.clone()),
            server_tag: image(&files.compose, "mynaparrot/plugnmeet-server")
                .and_then(|image| Some(image.split_once(':')?.1.to_owned())),
            clock: clock.clone(),
        };
        machine
            .names
            .extend(files.origin().and_then(|url| url.host_str().map(str::to_owned)));
        if ours {
            let listen = &gateway.listen;
            for (addrs, key) in [(&listen.https, "listen.https"), (&listen.http, "listen.http")] {
                let ports: BTreeSet<u16> = addrs.iter().map(SocketAddr::port).collect();
                machine
                    .listens
                    .extend(ports.into_iter().map(|port| (port, files.ours(key))));
            }
            let relayed = gateway.tcp.iter().flat_map(|tcp| &tcp.listen);
            let relayed: BTreeSet<u16> = relayed.map(SocketAddr::port).collect();
            machine
                .listens
                .extend(relayed.into_iter().map(|port| (port, files.ours("tcp"))));
            machine.names.extend(gateway.hosts.iter().cloned());
            let upstreams = &gateway.upstreams;
            machine.expect("plugnmeet-server", upstreams.server.iter());
            machine.expect("LiveKit", upstreams.livekit.iter());
            machine.expect("NATS", upstreams.nats.iter());
            machine.expect("Etherpad", upstreams.etherpad.iter());
            machine.expect("the ingress", upstreams.ingress.iter());
            if let Some(turn) = &gateway.turn
                && let Target::Tcp { host, port } = &turn.upstream
            {
                machine.turn = Some((host.clone(), *port));
            }
        }
        if ours {
            machine.reads = gateway.files();
        }
        machine.of_livekit(files);
        machine.of_nats(files);
        machine.redis = files.config.text(&["redis_info", "host"]).and_then(|host| {
            let (host, port) = host.value.rsplit_once(':')?;
            let password = files
                .config
                .text(&["redis_info", "password"])
                .map(|found| found.value);
            Some((host.to_owned(), port.parse().ok()?, password))
        });
        machine.names.dedup();
        machine
    }

    fn of_livekit(&mut self, files: &Files<'_>) {
        if !files.has(Part::Livekit) {
            return;
        }
        let livekit = &files.livekit;
        let port = |path: &[&str], default: u64| {
            let found = livekit.number(path).map_or(default, |found| found.value);
            u16::try_from(found).unwrap_or_default()
        };
        let rtc = (
            port(&["rtc", "port_range_start"], 50_000),
            port(&["rtc", "port_range_end"], 60_000),
        );
        self.open.push(("tcp", 443, 443, "the page and TURN"));
        self.open
            .push(("tcp", 80, 80, "people who type the name, and CAs"));
        self.open.push(("udp", rtc.0, rtc.1, "media"));
        let tcp = port(&["rtc", "tcp_port"], 7881);
        self.open.push(("tcp", tcp, tcp, "media over TCP"));
        if livekit.is_true(&["turn", "enabled"]) {
            let udp = port(&["turn", "udp_port"], 0);
            if udp > 0 {
                self.open.push(("udp", udp, udp, "TURN"));
            }
            let domain = livekit.text(&["turn", "domain"]).map(|found| found.value);
            self.names.extend(domain);
        }
    }

    fn of_nats(&mut self, files: &Files<'_>) {
        if !files.has(Part::Nats) {
            return;
        }
        let nats = &files.nats;
        let most = nats.number(&["max_connections"]);
        let place = nats.place(&["max_connections"]);
        self.nats_connections = Some((most.map_or(NATS_CONNECTIONS, |found| found.value), place));
        let Some(inside) = nats.text(&["jetstream", "store_dir"]) else {
            return;
        };
        let size = ["max_file_store", "max_file"].map(|key| nats.text(&["jetstream", key]));
        let size = size.into_iter().flatten().next();
        self.jetstream = Some(Store {
            folder: files.on_this_machine(Path::new(&inside.value)),
            most: size.as_ref().and_then(|found| bytes(&found.value)),
            place: size.map_or(inside.origin, |found| found.origin),
        });
    }

    fn expect<'t>(&mut self, part: &'static str, targets: impl Iterator<Item = &'t Target>) {
        let targets = targets.filter_map(|target| match target {
            Target::Tcp { host, port } => Some((part, host.clone(), *port)),
            Target::Unix(_) => None,
        });
        self.parts.extend(targets);
    }

    /// A file of the kernel's or of the system's.
    fn read(&self, name: &str) -> Option<String> {
        let file = self.root.join(name);
        // Those of the kernel have no size.
        if Path::new(name).starts_with("proc") {
            return std::fs::read_to_string(file).ok();
        }
        text(&file).ok().flatten()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.read(name)?.trim().parse().ok()
    }
}

/// A size as `NATS` writes it: `10GB`, `512M`.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..)?.to_ascii_uppercase();
    let shift = match unit.trim_end_matches('B').trim_end_matches('I') {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        "P" => 50,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}
