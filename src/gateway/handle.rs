//! The operator's handle on a running gateway: what there is to see.

use std::{net::SocketAddr, process, sync::Arc, time::Duration};

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use tokio::sync::Mutex;

use super::{
    build::State,
    port,
    serving::Current,
    way::{LateAdmin, Leaving},
};
use crate::acme::Status;

/// Sees a running gateway, and changes it; clones are the same.
#[derive(Clone)]
pub struct Handle(Arc<Seen>);

pub(super) struct Seen {
    pub(super) current: Current,
    pub(super) state: State,
    /// The steady clock's time of the start.
    pub(super) started: Duration,
    pub(super) https_port: u16,
    /// Where it listens, by the names of listeners.
    pub(super) addresses: Vec<(&'static str, SocketAddr)>,
    pub(super) late_admin: LateAdmin,
    pub(super) leaving: Leaving,
    pub(super) port: port::Seen,
    /// Reloads come one after the other.
    pub(super) turn: Mutex<()>,
}

impl Handle {
    pub(super) fn new(seen: Seen) -> Self {
        Self(Arc::new(seen))
    }

    pub(super) fn seen(&self) -> &Seen {
        &self.0
    }

    /// The most time for open requests at a stop.
    pub(super) fn drain_deadline(&self) -> Duration {
        self.0.current.load().in_use.drain
    }

    /// Between the word that the gateway stops and the end of accepting.
    pub(super) fn drain_delay(&self) -> Duration {
        self.0.current.load().in_use.drain_delay
    }

    /// The most time for connections that stay when another process has taken over.
    pub(super) fn handover(&self) -> Duration {
        self.0.current.load().in_use.handover
    }

    /// Lets go of all addresses, for a gateway that starts, if this one stops. Says whether nobody listens there any more.
    pub async fn give_way(&self) -> bool {
        self.0.leaving.give_way(&self.0.state.drain).await
    }

    /// Reads certificates and the client's files again, soon.
    pub(super) fn read_files_again(&self) {
        self.0.state.tls.ask_for_new();
        self.0.state.acme.look();
        self.0.current.load().router.webapp.ask_for_new();
    }

    /// By name: an address, a list of them, or null for none. Those that few have are told where they are.
    fn listeners(&self) -> Map<String, Value> {
        let late = self.0.late_admin.addrs();
        let late = late.into_iter().map(|addr| ("admin", addr));
        let all: Vec<_> = self.0.addresses.iter().copied().chain(late).collect();
        let of = |name| {
            let here = all.iter().filter(|(its, _)| *its == name);
            let mut here: Vec<Value> = here.map(|(_, addr)| addr.to_string().into()).collect();
            match here.len() {
                0 => Value::Null,
                1 => here.remove(0),
                _ => here.into(),
            }
        };
        let always = ["https", "http", "admin"].map(|name| (name.to_owned(), of(name)));
        let others = ["plain", "tcp"].map(|name| (name.to_owned(), of(name)));
        let others = others.into_iter().filter(|(_, value)| !value.is_null());
        always.into_iter().chain(others).collect()
    }

    /// What runs, by name. Room ids stand here alone, in clear.
    ///
    /// A new row is one more `insert`: whoever shows it needs to know nothing of it.
    pub fn status(&self) -> Map<String, Value> {
        let seen = &self.0;
        let current = seen.current.load();
        let (state, in_use) = (&seen.state, &current.in_use);
        let uptime = state.clock.steady().saturating_sub(seen.started);
        let mut rows = Map::new();
        let mut row = |name: &str, value: Value| rows.insert(name.to_owned(), value);
        row("version", env!("CARGO_PKG_VERSION").into());
        row("process", process::id().into());
        row("uptime_s", uptime.as_secs().into());
        row(
            "configuration",
            json!({ "hash": in_use.hash, "taken_up": at(in_use.taken_up), "waiting_for_restart": in_use.waiting }),
        );
        row("listeners", self.listeners().into());
        let certificates = state.tls.ends(state.clock.unix());
        row(
            "certificates",
            certificates
                .into_iter()
                .map(|(name, end)| (name, at(end)))
                .collect(),
        );
        let ordered: Map<String, Value> = state
            .acme
            .statuses()
            .into_iter()
            .map(|(name, status)| (name, shown(status)))
            .collect();
        if !ordered.is_empty() {
            row("acme", ordered.into());
        }
        row("connections", state.places.taken().into());
        row("requests", seen.current.requests().into());
        let upstreams = current.router.upstreams.each();
        let tunnels = upstreams.filter_map(|upstream| {
            let open = upstream.open_tunnels()?;
            Some((upstream.name().to_owned(), Value::from(open)))
        });
        let waiting = current
            .router
            .upstreams
            .each()
            .map(|upstream| (upstream.name(), upstream.waiting()));
        let waiting = waiting.filter(|(_, many)| *many > 0);
        let waiting = waiting.map(|(name, many)| (name.to_owned(), Value::from(many)));
        row("waiting", waiting.collect());
        let relays = seen.port.tunnels().filter(|(_, open)| *open > 0);
        let relays = relays.map(|(name, open)| (name.to_owned(), Value::from(open)));
        row("tunnels", tunnels.chain(relays).collect());
        if let Some(found) = seen.port.turn() {
            row("turn", found.into());
        }
        let rooms = state.tunnels.rooms().into_iter().map(|room| {
            let of_room = json!({ "people": room.people, "tunnels": room.tunnels });
            (room.room_id.into_string(), of_room)
        });
        row("rooms", rooms.collect());
        let status = current.router.joining.status();
        row(
            "joining",
            json!({
                "places": status.places,
                "taken": status.joining,
                "waiting": status.waiting,
                "longest_wait_s": status.longest.as_secs(),
                "rooms": current.router.joining.rooms(),
            }),
        );
        rows
    }
}

/// How a name's certificate stands that the gateway orders.
fn shown(status: Status) -> Value {
    match status {
        Status::Waits { until } => json!({ "state": "waits", "next": at(until) }),
        Status::Orders => json!({ "state": "orders" }),
        Status::Others => json!({ "state": "another gateway orders" }),
        Status::Failed { words, next } => json!({ "state": "failed", "next": at(next), "reason": words }),
    }
}

/// A time in seconds since 1970, as RFC 3339 has it.
fn at(unix: i64) -> Value {
    let Ok(time) = OffsetDateTime::from_unix_timestamp(unix) else {
        return unix.into();
    };
    let ((hour, minute, second), month) = (time.to_hms(), u8::from(time.month()));
    let (year, day) = (time.year(), time.day());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_people_and_programs_read_it() {
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(1_796_000_461), "2026-11-30T01:01:01Z");
        assert_eq!(at(i64::MAX), i64::MAX);
    }
}
