//! Which tunnels are open: counted by the name of their upstream, and known by the room that they are for, once that has
//! gone by.
//!
//! Room ids are here in clear, for `status` over the control socket and for ending one room's tunnels; no log and no
//! metric has them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::oneshot;

use crate::{
    clock::Clock,
    observe::Metrics,
    token::{TokenKeys, UnverifiedParticipant},
};

/// All open tunnels; clones are the same registry.
#[derive(Clone, Debug, Default)]
pub struct Registry(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    open: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    upstream: &'static str,
    whose: Option<UnverifiedParticipant>,
    /// None once it has been told.
    close: Option<oneshot::Sender<()>>,
}

/// A room, as the tokens of its tunnels name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomTunnels {
    pub room_id: Box<str>,
    /// People with at least one tunnel.
    pub people: usize,
    pub tunnels: BTreeMap<&'static str, usize>,
}

impl Registry {
    /// How many tunnels are open, by upstream.
    pub fn by_upstream(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for entry in self.lock().open.values() {
            *counts.entry(entry.upstream).or_default() += 1;
        }
        counts
    }

    /// The rooms that have tunnels, by their ids. A tunnel whose room is not known yet, or never, is in none.
    pub fn rooms(&self) -> Vec<RoomTunnels> {
        let mut rooms = BTreeMap::<Box<str>, (BTreeSet<Box<str>>, BTreeMap<&'static str, usize>)>::new();
        for entry in self.lock().open.values() {
            let Some(whose) = &entry.whose else { continue };
            let (people, tunnels) = rooms.entry(whose.room_id.clone()).or_default();
            people.insert(whose.user_id.clone());
            *tunnels.entry(entry.upstream).or_default() += 1;
        }
        rooms
            .into_iter()
            .map(|(room_id, (people, tunnels))| RoomTunnels {
                room_id,
                people: people.len(),
                tunnels,
            })
            .collect()
    }

    /// Closes all tunnels of a room with 1001, "going away". Says how many there were.
    pub fn close_room(&self, room_id: &str) -> usize {
        let mut tunnels = 0;
        for entry in self.lock().open.values_mut() {
            let is_of_room = |whose: &UnverifiedParticipant| &*whose.room_id == room_id;
            if !entry.whose.as_ref().is_some_and(is_of_room) {
                continue;
            }
            tunnels += 1;
            if let Some(close) = entry.close.take() {
                close.send(()).ok();
            }
        }
        tunnels
    }

    fn enter(
        &self,
        upstream: &'static str,
        whose: Option<UnverifiedParticipant>,
    ) -> (u64, oneshot::Receiver<()>) {
        let (close, to_close) = oneshot::channel();
        let mut state = self.lock();
        let id = state.next;
        state.next += 1;
        let entry = Entry {
            upstream,
            whose,
            close: Some(close),
        };
        state.open.insert(id, entry);
        (id, to_close)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tunnels to one upstream; clones are the same.
#[derive(Clone, Debug)]
pub struct Tunnels(Arc<Upstream>);

#[derive(Clone, Debug)]
struct Upstream {
    name: &'static str,
    silence: Option<Duration>,
    /// Where its client says in a CONNECT whose it is.
    nats: Option<NatsClients>,
    open: Gauge,
    registry: Registry,
}

/// Whose token a client of NATS may show.
#[derive(Clone)]
pub struct NatsClients {
    pub keys: Arc<TokenKeys>,
    pub clock: Clock,
}

impl fmt::Debug for NatsClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsClients").finish_non_exhaustive()
    }
}

/// One open tunnel; gone when dropped.
pub(super) struct Open {
    id: u64,
    tunnels: Tunnels,
}

impl Tunnels {
    /// None open yet. With `silence` a client that says nothing for so long is gone, and so is an upstream that answers
    /// nothing.
    pub fn to(
        name: &'static str,
        silence: Option<Duration>,
        nats: Option<NatsClients>,
        metrics: &Metrics,
        registry: &Registry,
    ) -> Self {
        Self(Arc::new(Upstream {
            name,
            silence,
            nats,
            open: metrics.tunnels(name),
            registry: registry.clone(),
        }))
    }

    /// The same tunnels; those that are opened from now on have these settings.
    #[must_use]
    pub fn again(&self, silence: Option<Duration>, nats: Option<NatsClients>) -> Self {
        Self(Arc::new(Upstream {
            silence,
            nats,
            ..Upstream::clone(&self.0)
        }))
    }

    pub(super) fn name(&self) -> &'static str {
        self.0.name
    }

    pub(super) fn silence(&self) -> Option<Duration> {
        self.0.silence
    }

    pub fn count(&self) -> i64 {
        self.0.open.get()
    }

    pub(super) fn nats(&self) -> Option<&NatsClients> {
        self.0.nats.as_ref()
    }

    /// Counts a tunnel, and gives what tells it that it is to be closed.
    pub(super) fn enter(&self, whose: Option<UnverifiedParticipant>) -> (Open, oneshot::Receiver<()>) {
        self.0.open.inc();
        let (id, to_close) = self.0.registry.enter(self.0.name, whose);
        let open = Open {
            id,
            tunnels: self.clone(),
        };
        (open, to_close)
    }
}

impl Open {
    /// Now it is known whose it is.
    pub(super) fn is_of(&self, whose: UnverifiedParticipant) {
        if let Some(entry) = self.tunnels.0.registry.lock().open.get_mut(&self.id) {
            entry.whose = Some(whose);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.tunnels.0.open.dec();
        self.tunnels.0.registry.lock().open.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn participant(room_id: &str, user_id: &str) -> UnverifiedParticipant {
        UnverifiedParticipant {
            room_id: room_id.into(),
            user_id: user_id.into(),
        }
    }

    #[tokio::test]
    async fn a_room_is_known_by_its_tunnels_and_closed_alone() {
        let (registry, metrics) = (Registry::default(), Metrics::default());
        let livekit = Tunnels::to("livekit", None, None, &metrics, &registry);
        let nats = Tunnels::to("nats", None, None, &metrics, &registry);
        let (media, media_closes) = livekit.enter(Some(participant("room01", "ann")));
        let ((first, first_closes), (other, mut other_closes)) = (nats.enter(None), nats.enter(None));
        assert_eq!(registry.rooms().len(), 1);
        first.is_of(participant("room01", "ann"));
        other.is_of(participant("room02", "bob"));
        assert_eq!(
            registry.by_upstream(),
            BTreeMap::from([("livekit", 1), ("nats", 2)])
        );
        let both = BTreeMap::from([("livekit", 1), ("nats", 1)]);
        let rooms = registry.rooms();
        assert_eq!(
            rooms
                .first()
                .map(|room| (&*room.room_id, room.people, &room.tunnels)),
            Some(("room01", 1, &both))
        );
        assert_eq!(registry.close_room("room01"), 2);
        first_closes.await.unwrap();
        media_closes.await.unwrap();
        assert!(other_closes.try_recv().is_err());
        assert_eq!(
            registry.close_room("room01"),
            2,
            "they are told once and are still there"
        );
        drop((first, media));
        assert_eq!(registry.rooms().len(), 1);
        assert_eq!(registry.close_room("room01"), 0);
    }
}
