//! The operator's handle on a running gateway: what the control socket's commands do.

use std::{net::SocketAddr, process, sync::Arc, time::Duration};

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::serving::Current;
use crate::{
    clock::Clock,
    control::{Answer, Command, Operator},
    places::Places,
    tls::Tls,
    upgrade::Registry,
};

/// Sees a running gateway; clones are the same.
#[derive(Clone)]
pub struct Handle(Arc<Seen>);

/// What a handle sees.
pub(super) struct Seen {
    pub(super) current: Current,
    pub(super) clock: Clock,
    /// By the steady clock.
    pub(super) started: Duration,
    pub(super) https: SocketAddr,
    pub(super) http: Option<SocketAddr>,
    pub(super) admin: Option<SocketAddr>,
    pub(super) tls: Tls,
    pub(super) places: Places,
    pub(super) tunnels: Registry,
}

impl Handle {
    pub(super) fn new(seen: Seen) -> Self {
        Self(Arc::new(seen))
    }

    /// What runs, by name. Room ids stand here alone, in clear.
    ///
    /// A new row is one more `insert`: whoever shows it needs to know nothing of it.
    pub fn status(&self) -> Map<String, Value> {
        let seen = &self.0;
        let current = seen.current.load();
        let uptime = seen.clock.steady().saturating_sub(seen.started);
        let mut rows = Map::new();
        let mut row = |name: &str, value: Value| rows.insert(name.to_owned(), value);
        row("version", env!("CARGO_PKG_VERSION").into());
        row("process", process::id().into());
        row("uptime_s", uptime.as_secs().into());
        let listeners = json!({ "https": seen.https, "http": seen.http, "admin": seen.admin });
        row("listeners", listeners);
        let certificates = seen.tls.ends(seen.clock.unix());
        row(
            "certificates",
            certificates
                .into_iter()
                .map(|(name, end)| (name, at(end)))
                .collect(),
        );
        row("connections", seen.places.taken().into());
        let upstreams = current.router.upstreams.each();
        let tunnels = upstreams.filter_map(|upstream| {
            let open = upstream.open_tunnels()?;
            Some((upstream.name().to_owned(), Value::from(open)))
        });
        row("tunnels", tunnels.collect());
        let rooms = seen.tunnels.rooms().into_iter().map(|room| {
            let of_room = json!({ "people": room.people, "tunnels": room.tunnels });
            (room.room_id.into_string(), of_room)
        });
        row("rooms", rooms.collect());
        let standing = current.router.joining.standing();
        row(
            "joining",
            json!({
                "places": standing.places,
                "taken": standing.joining,
                "waiting": standing.waiting,
                "longest_wait_s": standing.longest.as_secs(),
            }),
        );
        rows
    }
}

impl Operator for Handle {
    async fn act(&self, command: Command) -> Answer {
        match command {
            Command::Status => Answer::done().with("status", self.status()),
            // Whoever runs the gateway takes it before it gets here (`crate::cli`).
            Command::Upgrade => Answer::refused("this gateway can't be upgraded"),
        }
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
