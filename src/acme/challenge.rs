//! The answers to a CA's checks, by which a name is proved to be ours.
//!
//! A CA asks from several networks, and any of several gateways may be asked: answers are in memory, in `acme.storage`, and in
//! Redis where `limits.store` names one.
//!
//! Sources: RFC 8555 section 8.3 (http-01), RFC 8737 (tls-alpn-01), RFC 8738 section 6 (the name of an address).

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use super::storage::Storage;

/// Where http-01 asks; the token follows.
pub const PREFIX: &str = "/.well-known/acme-challenge/";

/// The protocol of ALPN by which tls-alpn-01 asks.
pub const ALPN: &[u8] = b"acme-tls/1";

/// Answers of others that are kept: they are for a few checks at a time.
const MAX_SHARED: usize = 256;

/// Files that are read at a time, and how long somebody waits for one: the folder may be another machine's.
const READS_AT_ONCE: usize = 8;
const READ_WITHIN: Duration = Duration::from_secs(2);

/// Answers to checks, by the token of http-01 or the name of tls-alpn-01.
pub(super) type All = BTreeMap<String, String>;

/// The answers that are to be given now; clones are the same.
#[derive(Clone, Default)]
pub struct Answers(Arc<State>);

struct State {
    storage: Option<Storage>,
    own: Mutex<All>,
    /// What other gateways answer, read from the shared store.
    shared: ArcSwapOption<All>,
    reads: Arc<Semaphore>,
    /// Answers stay when this gateway goes: somebody else goes on with their orders.
    stay: AtomicBool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            storage: None,
            own: Mutex::default(),
            shared: ArcSwapOption::default(),
            reads: Arc::new(Semaphore::new(READS_AT_ONCE)),
            stay: AtomicBool::new(false),
        }
    }
}

/// An answer that is given until this is dropped.
pub(super) struct Given {
    answers: Answers,
    of: String,
}

impl Answers {
    pub(super) fn in_storage(storage: Storage) -> Self {
        Self(Arc::new(State {
            storage: Some(storage),
            ..State::default()
        }))
    }

    /// Are there checks at all?
    pub fn is_on(&self) -> bool {
        self.0.storage.is_some()
    }

    /// What http-01 wants to read.
    pub async fn of_token(&self, unverified: &str) -> Option<String> {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if !unverified.bytes().all(is_token) {
            return None;
        }
        self.find(unverified).await
    }

    /// What the certificate has to hold that tls-alpn-01 wants to see: a hash.
    pub async fn of_name(&self, unverified: &str) -> Option<[u8; 32]> {
        let name = unverified.to_ascii_lowercase();
        let hash = self
            .find(&key_of(name.strip_suffix('.').unwrap_or(&name)))
            .await?;
        BASE64_URL_SAFE_NO_PAD.decode(hash).ok()?.try_into().ok()
    }

    async fn find(&self, of: &str) -> Option<String> {
        if let Some(own) = self.own().get(of) {
            return Some(own.clone());
        }
        if let Some(shared) = self.0.shared.load().as_ref().and_then(|all| all.get(of)) {
            return Some(shared.clone());
        }
        let (storage, of) = (self.0.storage.clone()?, of.to_owned());
        // SECURITY: anybody may ask, and the folder may hang: never on a thread that serves, and never on many others.
        let read = async {
            let place = Arc::clone(&self.0.reads).acquire_owned().await.ok()?;
            let reading = spawn_blocking(move || {
                let answer = storage.answer(&of);
                drop(place);
                answer
            });
            reading.await.ok().flatten()
        };
        timeout(READ_WITHIN, read).await.ok().flatten()
    }

    /// From now on no answer is taken back: this gateway goes, and another one goes on with what is under way.
    pub(super) fn stay(&self) {
        self.0.stay.store(true, Ordering::SeqCst);
    }

    /// Answers a check of http-01.
    pub(super) fn give_token(&self, token: &str, answer: &str) -> std::io::Result<Given> {
        self.give(token.to_owned(), answer.to_owned())
    }

    /// Answers a check of tls-alpn-01.
    pub(super) fn give_name(&self, name: &str, hash: &[u8]) -> std::io::Result<Given> {
        self.give(key_of(&asked_as(name)), BASE64_URL_SAFE_NO_PAD.encode(hash))
    }

    fn give(&self, of: String, answer: String) -> std::io::Result<Given> {
        if let Some(storage) = &self.0.storage {
            storage.keep_answer(&of, &answer)?;
        }
        self.own().insert(of.clone(), answer);
        Ok(Given {
            answers: self.clone(),
            of,
        })
    }

    /// All answers, to be put into the shared store.
    pub(super) fn all(&self) -> All {
        self.own().clone()
    }

    /// Those of other gateways.
    pub(super) fn share(&self, all: All) {
        let all = all.into_iter().take(MAX_SHARED).collect();
        self.0.shared.store(Some(Arc::new(all)));
    }

    fn own(&self) -> MutexGuard<'_, All> {
        self.0.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        if self.answers.0.stay.load(Ordering::SeqCst) {
            return;
        }
        self.answers.own().remove(&self.of);
        if let Some(storage) = &self.answers.0.storage {
            storage.drop_answer(&self.of);
        }
    }
}

/// No token is like it, as none has a dot.
fn key_of(name: &str) -> String {
    format!("tls.{name}")
}

/// The name by which a hello asks for it.
pub(super) fn asked_as(name: &str) -> String {
    match name.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        Ok(IpAddr::V6(ip)) => {
            let mut arpa = String::new();
            for byte in ip.octets().iter().rev() {
                for nibble in [byte & 15, byte >> 4] {
                    arpa.extend(char::from_digit(u32::from(nibble), 16));
                    arpa.push('.');
                }
            }
            arpa + "ip6.arpa"
        }
        Err(_) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_is_given_until_it_is_dropped_and_by_whoever_shares_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::at(folder.path());
        storage.make().unwrap();
        let (one, other) = (Answers::in_storage(storage.clone()), Answers::in_storage(storage));
        let token = one.give_token("to_k-en", "to_k-en.thumb").unwrap();
        let name = one.give_name("conf.example.org", &[7; 32]).unwrap();
        for answers in [&one, &other] {
            assert_eq!(
                answers.of_token("to_k-en").await.as_deref(),
                Some("to_k-en.thumb")
            );
            assert_eq!(answers.of_name("Conf.example.org.").await, Some([7; 32]));
            assert_eq!(answers.of_token("tls.conf.example.org").await, None);
            assert_eq!(answers.of_token("../account").await, None);
            assert_eq!(answers.of_name("other.example.org").await, None);
        }
        drop((token, name));
        for answers in [&one, &other] {
            assert_eq!(answers.of_token("to_k-en").await, None);
            assert_eq!(answers.of_name("conf.example.org").await, None);
        }
        let stays = one.give_token("stays", "stays.thumb").unwrap();
        one.stay();
        drop((stays, one));
        assert_eq!(other.of_token("stays").await.as_deref(), Some("stays.thumb"));
        assert!(!Answers::default().is_on());
    }

    /// Neither for longer than it takes to tell, nor with more threads.
    #[tokio::test(start_paused = true)]
    async fn a_folder_that_hangs_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::at(folder.path());
        storage.make().unwrap();
        storage.keep_answer("theirs", "answer").unwrap();
        let answers = Answers::in_storage(storage);
        let _own = answers.give_token("own", "own.thumb").unwrap();
        let reads = u32::try_from(READS_AT_ONCE).unwrap();
        let hanging = Arc::clone(&answers.0.reads)
            .acquire_many_owned(reads)
            .await
            .unwrap();
        let begun = tokio::time::Instant::now();
        assert_eq!(answers.of_token("theirs").await, None);
        assert_eq!(begun.elapsed(), READ_WITHIN);
        assert_eq!(answers.of_token("own").await.as_deref(), Some("own.thumb"));
        drop(hanging);
        assert_eq!(answers.of_token("theirs").await.as_deref(), Some("answer"));
    }

    #[test]
    fn an_address_is_asked_for_by_its_reversed_name() {
        assert_eq!(asked_as("192.0.2.7"), "7.2.0.192.in-addr.arpa");
        assert_eq!(
            asked_as("2001:db8::1"),
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
        );
    }
}
