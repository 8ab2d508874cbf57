//! `[limits]`, `[timeouts]` and `[sizes]`: how often something may happen, how long it may take, how large it may be.

use std::num::NonZeroUsize;

use super::super::{
    reader::{Table, Taken},
    shape::{Sizes, Timeouts},
    store,
    units::{BODY, BYTE_RATE, CONNECTIONS, DEADLINE, DURATION, HEADER, RATE, SILENCE, TOKEN_BODY},
};
use crate::limits::{LimitsSettings, Rates};

/// Reads `[limits]`. The second value is `limits.connections`.
pub(super) fn limits(table: &mut Table<'_>) -> Taken<(LimitsSettings, Option<NonZeroUsize>)> {
    let connections = table.text(
        "connections",
        "4000",
        &CONNECTIONS,
        "Connections that one address (IPv6: one /64) may have open at once, WebSockets among them; `0` for any number. It does \
         not count for `trust.proxies`. Danger: a school sits behind one address.",
    )?;
    let settings = LimitsSettings {
        rates: Rates {
            user: table.text(
                "user",
                "10/min",
                &RATE,
                "Tokens for one user of one room. Each new token throws the user out. `N/min` lets N through at once, then one every \
                 60/N seconds.",
            )?,
            room: table.text(
                "room",
                "1200/min",
                &RATE,
                "Tokens for one room. Danger: a school of 400 joins at nine o'clock.",
            )?,
            caller: table.text(
                "caller",
                "6000/min",
                &RATE,
                "Tokens for one API key. Joins through BBB's API, LTI and breakout rooms count for the server's key.",
            )?,
        },
        failures: table.text(
            "failures",
            "20/min",
            &RATE,
            "Bad keys, signatures, checksums and links of one address (IPv6: one /64). Good requests are never refused for it.",
        )?,
        renewal: table.text(
            "renewal",
            "30/min",
            &RATE,
            "Tokens that reloads renew, for one user of one room. They count in no other limit.",
        )?,
        design: table.text(
            "design",
            "60/min",
            &RATE,
            "Designs that one address (IPv6: one /64) has checked at `POST /conference/design/check`.",
        )?,
        check_page: table.text(
            "check_page",
            "60/min",
            &RATE,
            "Check pages (`check_page.enabled`) that one address (IPv6: one /64) may open. Each has a login for TURN.",
        )?,
        store: store::limits(table)?,
    };
    Ok((settings, connections))
}

pub(super) fn timeouts(table: &mut Table<'_>) -> Taken<Timeouts> {
    Ok(Timeouts {
        handshake: table.text(
            "handshake",
            "10s",
            &DEADLINE,
            "For a TLS handshake; and before it as much again for a PROXY header, if one has to come.",
        )?,
        header: table.text(
            "header",
            "10s",
            &DEADLINE,
            "For the head of a request, from its first byte to its last; then as much again for the whole body of a request that is \
             checked here before it goes on.",
        )?,
        idle: table.text(
            "idle",
            "75s",
            &DEADLINE,
            "For a connection without a request, for a client that takes nothing of an answer, and for an upstream that falls silent \
             in the middle of one. Make it longer than the time for which a balancer in front keeps connections.",
        )?,
        connect: table.text(
            "connect",
            "5s",
            &DEADLINE,
            "For an upstream to accept a connection; with several addresses, for all of them together.",
        )?,
        upgrade: table.text(
            "upgrade",
            "12s",
            &DEADLINE,
            "For an upstream that a WebSocket is meant for, while it is started again: the request waits, goes on the moment somebody \
             listens, and is 503 after this time. NATS' client gives each try 20s, LiveKit's 15s.",
        )?,
        admission: table.text(
            "admission",
            "5m",
            &DEADLINE,
            "For somebody who waits to be let in while very many join (`upstreams.joining`); then the page says so.",
        )?,
        response: table.text(
            "response",
            "50s",
            &DEADLINE,
            "For the head of an upstream's answer, once nothing of the request moves. A token can take the server 20s, a whiteboard \
             page 50s; a request for a token is given 30s at least.",
        )?,
        drain: table.text(
            "drain",
            "30s",
            &DURATION,
            "For open requests at a stop; meetings' WebSockets are closed one after the other in this time. `0s` closes all at once.",
        )?,
        drain_delay: table.text(
            "drain_delay",
            "0s",
            &DURATION,
            "At a stop, from `/readyz` saying 503 until no connection is taken any more. A balancer that asks `/readyz` needs time to \
             notice: `5s` for Kubernetes.",
        )?,
        handover: table.text(
            "handover",
            "12h",
            &DURATION,
            "For WebSockets and requests of the old process, after an upgrade; then it stops as it would without a new one.",
        )?,
        tunnel_silence: table.text(
            "tunnel_silence",
            "50s",
            &SILENCE,
            "For a client to say anything at `/ws`: 1s or more, `0s` for never. A live client pings every 10s. Danger: under 45s a tab \
             in the background is cut off; above 65s its place on the server is gone.",
        )?,
    })
}

pub(super) fn sizes(table: &mut Table<'_>) -> Taken<Sizes> {
    Ok(Sizes {
        header_bytes: table.text(
            "header",
            "32KiB",
            &HEADER,
            "The target of a request, and as much again for its fields: 4KiB to 1MiB. LiveKit's clients send long targets.",
        )?,
        token_body_bytes: table.text(
            "token_body",
            "256KiB",
            &TOKEN_BODY,
            "A body that is checked here before it goes on, and so is held in memory: 1B to 16MiB. Pictures of participants come in it.",
        )?,
        body_bytes: table.text(
            "body",
            "50MiB",
            &BODY,
            "Any other body. It is the server's own `max_size`, so that the gateway answers 413 before anything is sent on.",
        )?,
        least_bytes_per_second: table.text(
            "least_rate",
            "1KiB/s",
            &BYTE_RATE,
            "A body that comes more slowly is cut off.",
        )?,
    })
}
