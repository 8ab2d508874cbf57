//! Tickets by which clients resume: sealed here, and opened by whoever has the keys, which a new process gets from the old
//! one. rustls' own ticketer keeps its keys to itself.
//!
//! A ticket is the key's name, a nonce and what AES-256-GCM-SIV makes of the state, with the name sealed in. A key seals for
//! six hours and opens for six more, so that there are never more than two; that is what rustls' own does.
//!
//! Source: RFC 5077 section 4, RFC 8452.

use std::{fmt, sync::Mutex, sync::PoisonError, time::Duration};

use arc_swap::ArcSwap;
use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    rand,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use rustls::server::ProducesTickets;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::handover::Part;

/// How long a key seals, and how long it then still opens.
const TURN: Duration = Duration::from_secs(6 * 60 * 60);

const NAME_BYTES: usize = 16;
const KEY_BYTES: usize = 32;

/// The keys, which change while the gateway runs.
pub(super) struct Tickets {
    keys: ArcSwap<Keys>,
    /// Held while keys are replaced.
    turning: Mutex<()>,
}

struct Keys {
    current: Key,
    previous: Option<Key>,
}

#[derive(Clone)]
struct Key {
    name: [u8; NAME_BYTES],
    secret: [u8; KEY_BYTES],
    since: Instant,
}

/// The keys as they are handed over; the first seals.
#[derive(Serialize, Deserialize)]
pub struct TicketKeys(Vec<HandedKey>);

#[derive(Serialize, Deserialize)]
struct HandedKey {
    name: String,
    secret: String,
    age_s: u64,
}

impl Part for TicketKeys {
    const NAME: &'static str = "ticket_keys";
    const VERSION: u32 = 1;
}

impl Key {
    /// None only if the library has no random bytes.
    fn new() -> Option<Self> {
        let (mut name, mut secret) = ([0; NAME_BYTES], [0; KEY_BYTES]);
        rand::fill(&mut name).ok()?;
        rand::fill(&mut secret).ok()?;
        Some(Self {
            name,
            secret,
            since: Instant::now(),
        })
    }

    fn aead(&self) -> Option<RandomizedNonceKey> {
        RandomizedNonceKey::new(&AES_256_GCM_SIV, &self.secret).ok()
    }

    fn seal(&self, state: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = state.to_vec();
        let nonce = self
            .aead()?
            .seal_in_place_append_tag(Aad::from(self.name), &mut sealed)
            .ok()?;
        Some([&self.name[..], nonce.as_ref(), &sealed].concat())
    }

    fn open(&self, nonce: [u8; NONCE_LEN], sealed: &[u8]) -> Option<Vec<u8>> {
        let mut state = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self
            .aead()?
            .open_in_place(nonce, Aad::from(self.name), &mut state)
            .ok()?;
        Some(opened.to_vec())
    }

    fn handed(&self) -> HandedKey {
        HandedKey {
            name: BASE64_STANDARD.encode(self.name),
            secret: BASE64_STANDARD.encode(self.secret),
            age_s: self.since.elapsed().as_secs(),
        }
    }
}

impl HandedKey {
    fn key(&self) -> Option<Key> {
        Some(Key {
            name: BASE64_STANDARD.decode(&self.name).ok()?.try_into().ok()?,
            secret: BASE64_STANDARD.decode(&self.secret).ok()?.try_into().ok()?,
            // A machine that was started less than this ago has no such key.
            since: Instant::now().checked_sub(Duration::from_secs(self.age_s))?,
        })
    }
}

impl Tickets {
    /// Keys of its own; none only if the library has no random bytes.
    pub(super) fn new() -> Option<Self> {
        Some(Self {
            keys: ArcSwap::from_pointee(Keys {
                current: Key::new()?,
                previous: None,
            }),
            turning: Mutex::default(),
        })
    }

    pub(super) fn hand_over(&self) -> TicketKeys {
        let keys = self.keys.load();
        let all = [Some(&keys.current), keys.previous.as_ref()];
        TicketKeys(all.into_iter().flatten().map(Key::handed).collect())
    }

    /// Seals and opens as the old process did. What makes no sense changes nothing.
    pub(super) fn take_over(&self, keys: &TicketKeys) {
        let mut keys = keys.0.iter().map(HandedKey::key);
        if let Some(Some(current)) = keys.next() {
            let previous = keys.next().flatten();
            self.keys.store(Keys { current, previous }.into());
        }
    }

    fn turn(&self) {
        let _one = self.turning.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = self.keys.load();
        let age = keys.current.since.elapsed();
        if age < TURN {
            return;
        }
        // Without random bytes the old one seals on.
        if let Some(current) = Key::new() {
            let previous = (age < TURN * 2).then(|| keys.current.clone());
            self.keys.store(Keys { current, previous }.into());
        }
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(TURN.as_secs() * 2).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, state: &[u8]) -> Option<Vec<u8>> {
        if self.keys.load().current.since.elapsed() >= TURN {
            self.turn();
        }
        self.keys.load().current.seal(state)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME_BYTES>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let keys = self.keys.load();
        [Some(&keys.current), keys.previous.as_ref()]
            .into_iter()
            .flatten()
            .find(|key| key.name == *name && key.since.elapsed() < TURN * 2)?
            .open(*nonce, sealed)
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::handover::Parts;

    fn handed(from: &Tickets, to: &Tickets) {
        let mut parts = Parts::default();
        parts.put(&from.hand_over());
        to.take_over(&parts.take().unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_ticket_opens_for_twelve_hours_at_most_and_there_are_two_keys() {
        let tickets = Tickets::new().unwrap();
        let first = tickets.encrypt(b"first").unwrap();
        advance(TURN.saturating_sub(Duration::from_secs(1))).await;
        let last_of_key = tickets.encrypt(b"last").unwrap();
        assert_eq!(first[..NAME_BYTES], last_of_key[..NAME_BYTES]);
        advance(Duration::from_secs(1)).await;
        let second = tickets.encrypt(b"second").unwrap();
        assert_ne!(first[..NAME_BYTES], second[..NAME_BYTES]);
        assert_eq!(tickets.decrypt(&first).as_deref(), Some(&b"first"[..]));
        assert_eq!(tickets.hand_over().0.len(), 2);
        advance(TURN.saturating_sub(Duration::from_secs(1))).await;
        assert!(tickets.decrypt(&first).is_some());
        advance(Duration::from_secs(1)).await;
        assert_eq!(tickets.decrypt(&first), None);
        tickets.encrypt(b"third").unwrap();
        assert_eq!(tickets.decrypt(&last_of_key), None);
        assert_eq!(tickets.decrypt(&second).as_deref(), Some(&b"second"[..]));
        assert_eq!(tickets.hand_over().0.len(), 2);
        // Nobody came for a day: what sealed then is gone whole.
        advance(TURN * 4).await;
        tickets.encrypt(b"late").unwrap();
        assert_eq!(tickets.hand_over().0.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_process_opens_what_the_old_one_sealed_and_turns_when_it_would() {
        let (old, new) = (Tickets::new().unwrap(), Tickets::new().unwrap());
        let before = old.encrypt(b"before").unwrap();
        advance(TURN).await;
        let sealed = old.encrypt(b"state").unwrap();
        assert_eq!(new.decrypt(&sealed), None);
        // The clock of a test starts at nothing, and so nothing of it can be older.
        advance(Duration::from_secs(60)).await;
        handed(&old, &new);
        assert_eq!(new.decrypt(&sealed).as_deref(), Some(&b"state"[..]));
        assert_eq!(new.decrypt(&before).as_deref(), Some(&b"before"[..]));
        let by_new = new.encrypt(b"new").unwrap();
        assert_eq!(old.decrypt(&by_new).as_deref(), Some(&b"new"[..]));
        advance(TURN.saturating_sub(Duration::from_secs(61))).await;
        assert_eq!(new.encrypt(b"").unwrap()[..NAME_BYTES], sealed[..NAME_BYTES]);
        advance(Duration::from_secs(2)).await;
        assert_ne!(new.encrypt(b"").unwrap()[..NAME_BYTES], sealed[..NAME_BYTES]);
    }

    #[tokio::test]
    async fn what_was_changed_or_never_sealed_does_not_open() {
        let tickets = Tickets::new().unwrap();
        let sealed = tickets.encrypt(b"state").unwrap();
        assert_eq!(sealed.len(), NAME_BYTES + NONCE_LEN + b"state".len() + 16);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(tickets.decrypt(&changed), None, "{at}");
            assert_eq!(tickets.decrypt(&sealed[..at]), None, "{at}");
        }
        assert_ne!(tickets.encrypt(b"state").unwrap(), sealed);
        assert_eq!(format!("{tickets:?}"), "Tickets { .. }");
    }

    #[tokio::test]
    async fn keys_that_make_no_sense_change_nothing() {
        let tickets = Tickets::new().unwrap();
        let sealed = tickets.encrypt(b"state").unwrap();
        for keys in [
            "[]",
            r#"[{"name":"","secret":"","age_s":0}]"#,
            r#"[{"name":"AAAA","secret":"!","age_s":18446744073709551615}]"#,
        ] {
            tickets.take_over(&serde_json::from_str(keys).unwrap());
            assert!(tickets.decrypt(&sealed).is_some(), "{keys}");
        }
    }
}
