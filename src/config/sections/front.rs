//! `[listen]`, `[tls]`, `[log]`, `[control]` and `[trust]`: what clients and operators see, and whom the gateway
//! trusts.

use super::super::{
    address::{HOST, INTERNAL, PROXY, SOCKET},
    kind::{CONTROL, PATH, word},
    reader::{Table, Taken},
    shape::{Listen, Tls, Trust},
    units::THREADS,
};
use crate::{addr::Networks, control::SocketSetting, observe::LogSettings};

pub(super) fn listen(table: &mut Table<'_>) -> Taken<Listen> {
    Ok(Listen {
        https: table.several(
            "https",
            "127.0.0.1:8443",
            false,
            &SOCKET,
            "Where HTTPS is served: an address, or a list of them. `0.0.0.0:443` is all of this machine's IPv4 addresses, `[::]:443` all \
             that there are, and in `[\"0.0.0.0:443\", \"[::]:443\"]` each is for its own. All are opened, or the gateway does not \
             start. A port below 1024 needs root or `CAP_NET_BIND_SERVICE`; with port 0 the system chooses one.",
        )?,
        http: table.several(
            "http",
            "127.0.0.1:8880",
            true,
            &SOCKET,
            "Where plain HTTP is answered, with a redirect to HTTPS and nothing else; an address, or a list of them.",
        )?,
        plain: table.several(
            "plain",
            "",
            true,
            &SOCKET,
            "Where balancers of `trust.proxies` that end TLS themselves call, by plain HTTP/1.1; connections from elsewhere are \
             refused. Their `X-Forwarded-Proto` and `X-Forwarded-For` count. `listen.proxy_protocol` does not count here. An address, or a \
             list of them.",
        )?,
        admin: table.several(
            "admin",
            "127.0.0.1:9180",
            true,
            &SOCKET,
            "Where `/livez`, `/readyz` and `/metrics` are; an address, or a list of them. Danger: it asks for no password, so keep it off \
             public addresses.",
        )?,
        admin_hosts: table.list(
            "admin_hosts",
            &[],
            &HOST,
            "Names by which the admin listener is asked, beside addresses and `localhost`. A request for any other name is refused \
             with 421, so that no page in a browser on this machine can read it. A Prometheus that asks by a name needs it here.",
        )?,
        proxy_protocol: table.flag(
            "proxy_protocol",
            false,
            "Does every connection begin with a PROXY header? It is taken from `trust.proxies` alone, which must be named then; \
             connections from elsewhere are refused.",
        ),
        threads: table.text(
            "threads",
            "auto",
            &THREADS,
            "Threads that serve connections, from 1 to 256. `auto` is one for each core that the process may use.",
        )?,
    })
}

pub(super) fn tls(table: &mut Table<'_>) -> Taken<Tls> {
    Ok(Tls {
        certs: table.text(
            "certs",
            "certs",
            &PATH,
            "The folder of certificates: `NAME.pem`, the chain with the server's own certificate first, and `NAME.key` beside it. A \
             key that others may write is refused; one that others may read is warned about. Without any certificate the gateway makes \
             one of its own, and browsers warn of it. For a public host that listens to the world it does so only in the default folder, \
             or in one that is there and empty.",
        )?,
        min_version: table.text(
            "min_version",
            "1.2",
            &word(),
            "The oldest version of TLS that is spoken. TLS 1.2 is with forward secrecy and AEAD alone, as every browser since 2014 has \
             it; some learning platforms call over it.",
        )?,
    })
}

pub(super) fn log(table: &mut Table<'_>) -> Taken<LogSettings> {
    Ok(LogSettings {
        level: table.text(
            "level",
            "info",
            &word(),
            "The least important level that is logged.",
        )?,
        format: table.text(
            "format",
            "auto",
            &word(),
            "`auto` is text on a terminal, else JSON. The log goes to standard output.",
        )?,
        access: table.flag(
            "access",
            true,
            "Is there a record of each request? It never has a token or a query.",
        ),
    })
}

pub(super) fn control(table: &mut Table<'_>) -> Taken<SocketSetting> {
    table.text(
        "socket",
        "auto",
        &CONTROL,
        "The Unix socket over which `plugnmeet-gateway status`, `reload` and `drain` ask a running gateway: it answers its own user and root. \
         `auto` is `control.sock` in systemd's `RuntimeDirectory=`, and without one `run/control.sock`; an empty text is no socket. \
         Where another gateway answers there, this one has none.",
    )
}

pub(super) fn trust(table: &mut Table<'_>) -> Taken<Trust> {
    let proxies = table.list(
        "proxies",
        &[],
        &PROXY,
        "Networks of the balancers in front of the gateway. Their `X-Forwarded-*` fields and PROXY headers count, nobody else's do. \
         Danger: whoever calls from here can take any client's address.",
    )?;
    let internal = table.list(
        "internal",
        &[],
        &INTERNAL,
        "Networks that may call `/webhook`, `/livekit/twirp` and `/auth/recorder/notify`; `self` is this machine. With an empty \
         list everybody may, as these calls prove themselves.",
    )?;
    // Each entry was checked alone, where its line is known, so a list of them can be parsed.
    Ok(Trust {
        proxies: Networks::parse(&proxies, false).unwrap_or_default(),
        internal: Networks::parse(&internal, true).unwrap_or_default(),
    })
}
