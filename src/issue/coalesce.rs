//! Identical signed requests share one call to the server, and its answer.
//!
//! A second token for a user who is online throws them out of the room, so a double click, or an SDK that tries again,
//! must not become a second call (contract.md section 3). That holds for failures too: nobody knows how far a call that
//! broke off had come.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest;
use tokio::sync::watch;

use crate::clock::Clock;

/// Calls remembered; while there are as many, further requests are calls of their own.
const MAX_CALLS: usize = 10_000;

/// What makes two requests the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Identity([u8; 32]);

impl Identity {
    /// Of everything that the server would look at.
    pub(super) fn of(parts: &[&[u8]]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut identity = [0; 32];
        for (to, from) in identity.iter_mut().zip(context.finish().as_ref()) {
            *to = *from;
        }
        Self(identity)
    }
}

/// Calls of the last moments; `A` is an answer.
pub(super) struct Coalesce<A> {
    window: Duration,
    clock: Clock,
    recent: Mutex<Recent<A>>,
}

struct Recent<A> {
    calls: HashMap<Identity, Call<A>>,
    /// When what is over was last thrown out.
    swept: Duration,
}

struct Call<A> {
    began: Duration,
    answer: watch::Receiver<Option<A>>,
}

impl<A: Clone + Send + Sync + 'static> Coalesce<A> {
    pub(super) fn new(window: Duration, clock: Clock) -> Self {
        let recent = Mutex::new(Recent {
            calls: HashMap::new(),
            swept: Duration::ZERO,
        });
        Self {
            window,
            clock,
            recent,
        }
    }

    /// The answer of the one call for this identity: of a recent one, or of this one, which goes on when its client
    /// leaves. None if the call itself was cut off.
    pub(super) async fn share<F>(&self, identity: Identity, call: F) -> Option<A>
    where
        F: Future<Output = A> + Send + 'static,
    {
        let (tell, answer) = watch::channel(None);
        let mut answer = match self.join(identity, answer) {
            Ok(recent) => recent,
            Err(ours) => {
                tokio::spawn(async move { tell.send_replace(Some(call.await)) });
                ours
            }
        };
        let answered = answer.wait_for(Option::is_some).await.ok()?;
        answered.clone()
    }

    /// A recent call's answer, or our own to be filled.
    fn join(
        &self,
        identity: Identity,
        ours: watch::Receiver<Option<A>>,
    ) -> Result<watch::Receiver<Option<A>>, watch::Receiver<Option<A>>> {
        let now = self.clock.steady();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(call) = recent
            .calls
            .get(&identity)
            .filter(|call| now < call.began + self.window)
        {
            return Ok(call.answer.clone());
        }
        // Answers hold tokens: none is kept for longer than it takes.
        if now >= recent.swept + self.window {
            recent.calls.retain(|_, call| now < call.began + self.window);
            recent.swept = now;
        }
        if recent.calls.len() < MAX_CALLS && !self.window.is_zero() {
            recent.calls.insert(
                identity,
                Call {
                    began: now,
                    answer: ours.clone(),
                },
            );
        }
        Err(ours)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    fn counting(calls: &Arc<AtomicUsize>) -> impl Future<Output = usize> + Send + use<> {
        let calls = Arc::clone(calls);
        async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            calls.fetch_add(1, Ordering::Relaxed)
        }
    }

    #[tokio::test]
    async fn identical_requests_within_the_window_are_one_call() {
        let (clock, calls) = (Clock::system(), Arc::new(AtomicUsize::new(0)));
        let coalesce = Coalesce::new(Duration::from_secs(10), clock.clone());
        let (one, other) = (Identity::of(&[b"ab", b"c"]), Identity::of(&[b"a", b"bc"]));
        let both = tokio::join!(
            coalesce.share(one, counting(&calls)),
            coalesce.share(one, counting(&calls))
        );
        assert_eq!(both, (Some(0), Some(0)));
        assert_eq!(coalesce.share(other, counting(&calls)).await, Some(1));
        clock.advance(Duration::from_secs(10));
        assert_eq!(coalesce.share(one, counting(&calls)).await, Some(2));
    }

    #[tokio::test]
    async fn a_client_that_leaves_does_not_end_the_call() {
        let calls = Arc::new(AtomicUsize::new(0));
        let coalesce = Coalesce::new(Duration::from_secs(10), Clock::system());
        let identity = Identity::of(&[b"a"]);
        let left = tokio::time::timeout(
            Duration::from_millis(1),
            coalesce.share(identity, counting(&calls)),
        )
        .await;
        assert!(left.is_err());
        assert_eq!(coalesce.share(identity, counting(&calls)).await, Some(0));
    }

    #[tokio::test]
    async fn no_window_shares_nothing() {
        let calls = Arc::new(AtomicUsize::new(0));
        let coalesce = Coalesce::new(Duration::ZERO, Clock::system());
        let identity = Identity::of(&[b"a"]);
        assert_eq!(coalesce.share(identity, counting(&calls)).await, Some(0));
        assert_eq!(coalesce.share(identity, counting(&calls)).await, Some(1));
    }
}
