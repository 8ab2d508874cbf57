//! Do the parts of plugNmeet answer on this machine, and do the names lead here?

use std::{collections::BTreeSet, fmt::Write as _, net::UdpSocket, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::Machine;
use crate::{
    doctor::{
        files::is_local,
        finding::{Said, all_or},
    },
    proxy::addresses,
    turn,
};

/// The most time until a part on this machine takes a connection.
const CONNECT: Duration = Duration::from_secs(3);
const LOOK_UP: Duration = Duration::from_secs(10);

async fn connects(host: &str, port: u16) -> Result<TcpStream, String> {
    match timeout(CONNECT, TcpStream::connect((host, port))).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no connection within {} s", CONNECT.as_secs())),
    }
}

pub async fn parts(machine: Arc<Machine>) -> Vec<Said> {
    if machine.parts.is_empty() {
        return vec![Said::skip("there is no configuration; name it by --config")];
    }
    let mut wrong = Vec::new();
    let mut well = Vec::new();
    for (part, host, port) in &machine.parts {
        match connects(host, *port).await {
            Ok(_) => well.push(*part),
            Err(why) => wrong.push(Said::fail(
                format!("{part} does not answer at {host}:{port}: {why}"),
                if is_local(host) {
                    "docker compose ps and systemctl status plugnmeet, in the folder of plugNmeet"
                } else {
                    "is it running, and does the way there lead through a firewall?"
                },
            )),
        }
    }
    well.dedup();
    all_or(wrong, format!("{} answer", well.join(", ")))
}

pub async fn turn_takes(machine: Arc<Machine>) -> Vec<Said> {
    let Some((host, port)) = &machine.turn else {
        return vec![Said::skip("TURN is not served by the gateway")];
    };
    let found = addresses(host, *port).await.unwrap_or_default();
    let Some(at) = found.first() else {
        return vec![Said::fail(
            format!("{host} has no address"),
            "write an address at turn.upstream",
        )];
    };
    match turn::takes(*at).await {
        "proxy_header" => vec![Said::ok("LiveKit reads PROXY headers")],
        "plain" => vec![Said::warn(
            "LiveKit reads no PROXY header, and takes the gateway for the client",
            "write turn.proxy_protocol: true in livekit.yaml (LiveKit 1.13.7)",
        )],
        "tls_inside" => vec![Said::warn(
            "LiveKit ends TLS itself",
            "write turn.external_tls: true in livekit.yaml",
        )],
        "not_trusted" => vec![Said::fail(
            "LiveKit reads PROXY headers, and not from this machine",
            "add it to turn.proxy_protocol_trusted_cidrs in livekit.yaml",
        )],
        "away" => vec![Said::fail(
            format!("nobody listens at {at}"),
            "is LiveKit running, with turn.enabled and turn.tls_port?",
        )],
        _ => vec![Said::fail(
            format!("what listens at {at} is not TURN"),
            "is it LiveKit's turn.tls_port?",
        )],
    }
}

pub async fn names(machine: Arc<Machine>) -> Vec<Said> {
    if machine.names.is_empty() {
        return vec![Said::skip("no file names a host")];
    }
    let mut wrong = Vec::new();
    let mut all = BTreeSet::new();
    let mut ours = None;
    for name in &machine.names {
        let found = timeout(LOOK_UP, addresses(name, 443)).await;
        let found: BTreeSet<String> = match found {
            Ok(Ok(found)) => found.into_iter().map(|at| at.ip().to_string()).collect(),
            Ok(Err(_)) | Err(_) => BTreeSet::new(),
        };
        if found.is_empty() {
            wrong.push(Said::fail(
                format!("{name} has no address"),
                "make an A record that leads here",
            ));
            continue;
        }
        if ours.get_or_insert_with(|| found.clone()) != &found {
            let first = machine.names.first().cloned().unwrap_or_default();
            wrong.push(Said::warn(
                format!("{name} leads elsewhere than {first}"),
                "both are this gateway's names: mend the record that is old",
            ));
        }
        all.extend(found);
    }
    let all: Vec<String> = all.into_iter().collect();
    all_or(wrong, format!("{}: {}", machine.names.join(", "), all.join(", ")))
}

/// The server and LiveKit's ingress call the public name from this machine.
pub async fn hairpin(machine: Arc<Machine>) -> Vec<Said> {
    let Some(name) = machine.names.first() else {
        return vec![Said::skip("no file names a host")];
    };
    match connects(name, 443).await {
        Ok(_) => vec![Said::ok(format!("{name} answers this machine, too"))],
        Err(why) => vec![Said::fail(
            format!(
                "this machine can't reach {name} at port 443 ({why}), and plugNmeet's parts call each other by it"
            ),
            format!("write 127.0.0.1 {name} into /etc/hosts, or let the router lead calls back"),
        )],
    }
}

pub async fn redis(machine: Arc<Machine>) -> Vec<Said> {
    let Some((host, port, password)) = &machine.redis else {
        return vec![Said::skip("config.yaml names no Redis of one address")];
    };
    let mut stream = match connects(host, *port).await {
        Ok(stream) => stream,
        Err(why) => {
            return vec![Said::fail(
                format!("Redis does not answer at {host}:{port}: {why}"),
                "systemctl status redis-server",
            )];
        }
    };
    let mut question = String::new();
    if let Some(password) = password {
        write!(
            question,
            "*2\r\n$4\r\nAUTH\r\n${}\r\n{password}\r\n",
            password.len()
        )
        .ok();
    }
    question.push_str("*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$16\r\nmaxmemory-policy\r\n");
    let asking = async {
        stream.write_all(question.as_bytes()).await?;
        let mut got = Vec::new();
        while !got.ends_with(b"\r\n")
            || (!got.starts_with(b"-") && memchr::memmem::find(&got, b"maxmemory-policy").is_none())
        {
            if stream.read_buf(&mut got).await? == 0 || got.len() > 4096 {
                break;
            }
        }
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&got).into_owned())
    };
    let Ok(Ok(said)) = timeout(CONNECT, asking).await else {
        return vec![Said::fail(
            "Redis takes connections and says nothing",
            "systemctl status redis-server",
        )];
    };
    if said.contains("WRONGPASS") || said.contains("NOAUTH") {
        return vec![Said::fail(
            "Redis refuses the password of config.yaml",
            "write the same into redis_info of config.yaml and requirepass of redis.conf",
        )];
    }
    let policy = said
        .trim_end()
        .rsplit("\r\n")
        .next()
        .unwrap_or_default()
        .to_owned();
    if policy.starts_with('-') || policy.is_empty() {
        return vec![Said::skip("Redis does not tell its policy")];
    }
    if policy != "noeviction" {
        return vec![Said::warn(
            format!("Redis throws keys away when it is full ({policy}), and rooms with them"),
            "redis-cli CONFIG SET maxmemory-policy noeviction, and into redis.conf",
        )];
    }
    vec![Said::ok("answers, and throws nothing away")]
}

/// Is UDP for media bound on an address of this machine at all? A socket of ours shows whether the port is taken.
pub fn media(machine: &Machine) -> Vec<Said> {
    let Some((_, port, _, _)) = machine
        .open
        .iter()
        .find(|(protocol, .., what)| *protocol == "udp" && *what == "TURN")
    else {
        return vec![Said::skip("LiveKit has no TURN over UDP")];
    };
    match UdpSocket::bind(("0.0.0.0", *port)) {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            vec![Said::ok(format!(
                "UDP port {port} is held, by LiveKit it is hoped"
            ))]
        }
        Err(error) => vec![Said::skip(format!("UDP port {port} can't be tried: {error}"))],
        Ok(_) => vec![Said::fail(
            format!("nobody holds UDP port {port}"),
            "is LiveKit running, with turn.enabled and turn.udp_port?",
        )],
    }
}
