//! `[plugnmeet]`, `[upstreams]` and `[issuer]`: the servers behind the gateway, and who makes tokens.

use super::super::{
    address::UPSTREAM,
    kind::{Kind, Refusal, word},
    reader::{Table, Taken},
    secrets::{self, SecretKind},
    shape::{Issuer, PlugNmeet, Upstreams},
    units::{JOINS, UPSTREAM_CONNECTIONS, VALIDITY},
    words::Issuers,
};
use crate::issue::{EmbeddedSettings, Mode};

/// An API key. It is sent in a header field, and is part of the server's paths.
pub(super) const API_KEY: Kind<String> =
    Kind::new("write the server's client_info.api_key", |text| {
        match text.bytes().all(|b| b.is_ascii_graphic()) {
            true if text.is_empty() => Err(Refusal::new("is empty")),
            true => Ok(text.to_owned()),
            false => Err(Refusal::new("can't be sent in a header")),
        }
    })
    .like(r"^[!-~]+$");

const SECRET: SecretKind = SecretKind {
    allowed: "write the server's client_info.secret",
    file_allowed: "name a readable file that holds the server's client_info.secret",
};

pub(super) fn plugnmeet(table: &mut Table<'_>) -> Taken<PlugNmeet> {
    Ok(PlugNmeet {
        api_key: table.text(
            "api_key",
            "plugnmeet",
            &API_KEY,
            "`client_info.api_key` of plugnmeet-server.",
        )?,
        secret: secrets::signing(
            table,
            "secret",
            &SECRET,
            "`client_info.secret` of plugnmeet-server, which signs requests and join tokens. An empty one stops the start; one under \
             32 bytes is warned about. Without any the embedded issuer makes one at the first start, in `tls.certs`. Danger: whoever \
             knows it can enter every room.",
        )
        .unwrap_or_default(),
    })
}

pub(super) fn upstreams(table: &mut Table<'_>) -> Taken<Upstreams> {
    Ok(Upstreams {
        server: table.list(
            "server",
            &["http://127.0.0.1:8080"],
            &UPSTREAM,
            "plugnmeet-server: one address or several, over plain HTTP or a Unix socket. With an empty list its paths are 404. A \
             name may have several addresses, which have their turns. An address that fails is asked last until it takes a connection \
             again.",
        )?,
        livekit: table.optional(
            "livekit",
            "",
            &UPSTREAM,
            "LiveKit's signalling, at `/livekit`. Without it those paths are 404.",
        )?,
        nats: table.optional(
            "nats",
            "",
            &UPSTREAM,
            "NATS' WebSocket, at `/ws`. Without it that path is 404.",
        )?,
        etherpad: table.optional(
            "etherpad",
            "",
            &UPSTREAM,
            "Etherpad, at `/etherpad`, for releases before 2.4. Without it those paths are 404.",
        )?,
        ingress: table.optional(
            "ingress",
            "",
            &UPSTREAM,
            "The WHIP ingress, at `/whip`. Without it those paths are 404.",
        )?,
        expose: table.list(
            "expose",
            &[],
            &word(),
            "What is 404 unless it is named. `login` is a page of the server's that asks for the API secret; `metrics` tells of the \
             server's load; `ws` is everything below `/ws/`, `livekit` everything below `/livekit`, `etherpad_admin` is \
             `/etherpad/admin`. Danger: these pages are for operators, not for the public.",
        )?,
        max_connections: table.text(
            "max_connections",
            "4096",
            &UPSTREAM_CONNECTIONS,
            "Connections to one upstream that may be in use at once, open WebSockets among them, from 1 to 1000000. All \
             upstreams together have half of the limit of open files. A request that finds none waits for `timeouts.connect`, then gets 503. A participant needs two WebSockets.",
        )?,
        joining: table.text(
            "joining",
            "auto",
            &JOINS,
            "How many people may be on their way into meetings at once, where `upstreams.nats` is there: NATS refuses, for good, \
             whomever it can't let in within 5s. `auto` finds the number by how soon NATS answers, 8 to 512; a number is that many; \
             0 lets everybody in at once. The others wait while their page loads, moderators first, then rooms in turn.",
        )?,
        joining_message: table.flag(
            "joining_message",
            true,
            "Does the client's page say, to whoever waits for 10s because of `upstreams.joining`, that many people are joining and \
             how many are let in before? A small script of the gateway's in the page asks for it; the page's policy allows it by \
             its hash.",
        ),
    })
}

pub(super) fn issuer(table: &mut Table<'_>) -> Taken<Issuer> {
    let mode = table.text(
        "mode",
        "embedded",
        &word(),
        "`upstream`: plugnmeet-server makes join tokens, and it alone can let somebody into a real room. `embedded`: the gateway \
         signs them itself, for development and demonstrations.",
    )?;
    let token_validity = table.text(
        "token_validity",
        "10m",
        &VALIDITY,
        "How long an embedded token opens the page, from 1s to 24h.",
    )?;
    Ok(Issuer {
        mode: match mode {
            Issuers::Embedded => Mode::Embedded(EmbeddedSettings { token_validity }),
            Issuers::Upstream => Mode::Upstream,
        },
        // The key held a time in older releases, for which answers were kept.
        coalesce: table.flag_or(
            "coalesce",
            true,
            "write true, or false for what was \"0s\"; no answer is kept any more, so there is no time to write",
            "Do identical signed requests that are under way at the same moment share one call to plugnmeet-server? Without it a \
             double click throws out a participant who is online. Nothing is kept after the answer.",
        ),
    })
}
