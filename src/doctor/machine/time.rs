//! Is the clock right? Its own servers of time are asked, as this machine's files name them, and nobody else.
//!
//! Source: RFC 5905 sections 7.3 (the message) and 14 (simple clients); RFC 8915 is left to whoever keeps the clock.

use std::{sync::Arc, time::Duration};

use tokio::{net::UdpSocket, time::timeout};

use super::Machine;
use crate::{doctor::finding::Said, proxy::addresses};

/// The most time for one server's answer.
const ANSWER: Duration = Duration::from_secs(2);
const MAX_SERVERS: usize = 3;
/// `nbf` and `exp` are taken with a minute's leeway.
const MOST_SECONDS: i64 = 60;
/// Seconds from 1900, where NTP begins, to 1970.
const FROM_1900: i64 = 2_208_988_800;
const PORT: u16 = 123;
const MESSAGE_BYTES: usize = 48;
/// Version 4, from a client.
const QUESTION: u8 = 0x23;
/// The mode of a server's answer, below the bits of the version.
const SERVER: u8 = 4;

pub async fn clock(machine: Arc<Machine>) -> Vec<Said> {
    let kept = is_kept(&machine);
    for (host, port) in servers(&machine).into_iter().take(MAX_SERVERS) {
        let Ok(Some(there)) = timeout(ANSWER, ask(&host, port)).await else {
            continue;
        };
        let off = machine.clock.unix() - there;
        if off.abs() > MOST_SECONDS {
            let way = if off > 0 { "ahead" } else { "behind" };
            return vec![Said::fail(
                format!("the clock is {} s {way} of {host}: tokens are refused", off.abs()),
                "timedatectl set-ntp true, and look why nobody keeps it right",
            )];
        }
        if kept {
            return vec![Said::ok(format!("is kept right, and agrees with {host}"))];
        }
        return vec![unkept("agrees with its server now, and nobody keeps it right")];
    }
    if kept {
        return vec![Said::ok("is kept right")];
    }
    vec![unkept(
        "nobody keeps the clock right; a minute off, and tokens are refused",
    )]
}

fn unkept(found: &str) -> Said {
    Said::warn(found, "timedatectl set-ntp true; in a container its host does it")
}

fn is_kept(machine: &Machine) -> bool {
    let signs = [
        "run/systemd/timesync/synchronized",
        "run/chrony",
        "run/ntpd.pid",
        "run/openntpd.pid",
    ];
    let keepers = ["chronyd", "ntpd", "systemd-timesyn", "openntpd"];
    signs.iter().any(|sign| machine.root.join(sign).exists())
        || super::processes(&machine.root)
            .iter()
            .any(|(_, name)| keepers.contains(&name.as_str()))
}

/// The servers that this machine's files name. Those of systemd's that are commented out are its defaults.
fn servers(machine: &Machine) -> Vec<(String, u16)> {
    let mut found = Vec::new();
    for file in [
        "etc/chrony/chrony.conf",
        "etc/chrony.conf",
        "etc/ntpsec/ntp.conf",
        "etc/ntp.conf",
    ] {
        let text = machine.read(file).unwrap_or_default();
        found.extend(text.lines().filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let ["server" | "pool", host, options @ ..] = words.as_slice() else {
                return None;
            };
            let port = options.iter().position(|word| *word == "port");
            let port = port.and_then(|at| options.get(at + 1)?.parse().ok());
            Some(((*host).to_owned(), port.unwrap_or(PORT)))
        }));
    }
    let text = machine.read("etc/systemd/timesyncd.conf").unwrap_or_default();
    for key in ["NTP=", "FallbackNTP="] {
        let named = text
            .lines()
            .filter_map(|line| line.trim_start_matches('#').strip_prefix(key));
        found.extend(
            named
                .flat_map(str::split_whitespace)
                .map(|host| (host.to_owned(), PORT)),
        );
    }
    found
}

/// The time there, in seconds since 1970.
async fn ask(host: &str, port: u16) -> Option<i64> {
    let at = *addresses(host, port).await.ok()?.first()?;
    let socket = UdpSocket::bind(if at.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })
        .await
        .ok()?;
    socket.connect(at).await.ok()?;
    let mut message = [0; MESSAGE_BYTES];
    message[0] = QUESTION;
    socket.send(&message).await.ok()?;
    let read = socket.recv(&mut message).await.ok()?;
    let [first, stratum, ..] = message;
    // A server that is not right itself says so by the first two bits, or by a stratum of none.
    let is_answer = read == MESSAGE_BYTES && first & 7 == SERVER && first >> 6 != 3 && stratum != 0;
    let sent = u32::from_be_bytes(message.get(40..44)?.try_into().ok()?);
    is_answer.then(|| i64::from(sent) - FROM_1900)
}
