//! Identical signed requests share one call to the server, and its answer.
//!
//! A second token for a user who is online throws them out of the room, so a double click, or an SDK that tries again,
//! must not become a second call (contract.md section 3). A call that is under way is shared however long it takes; its
//! answer is shared for a while after it.
//!
//! Shared within this process: two replicas behind one balancer make two calls.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest;
use tokio::{sync::watch, time::sleep};

use crate::clock::Clock;

/// Calls remembered; while there are as many, further requests are calls of their own. The limits let through far fewer.
const MAX_CALLS: usize = 10_000;

/// What makes two requests the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Identity([u8; 32]);

impl Identity {
    /// Of everything on which the server's answer depends.
    pub(super) fn of(parts: &[&[u8]]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        Self(
            context
                .finish()
                .as_ref()
                .first_chunk()
                .copied()
                .unwrap_or_default(),
        )
    }
}

/// What is shared.
pub(super) trait Answer: Clone + Send + Sync + 'static {
    /// Can nothing have happened on the server, so that the next request may well be another call?
    fn is_harmless(&self) -> bool;
}

/// Calls of the last moments; `A` is an answer.
pub(super) struct Coalesce<A> {
    window: Duration,
    clock: Clock,
    calls: Arc<Calls<A>>,
}

type Calls<A> = Mutex<HashMap<Identity, Call<A>>>;

#[derive(Clone)]
struct Call<A> {
    answer: watch::Receiver<Option<A>>,
    /// None while it is under way.
    ended: Option<Duration>,
}

/// An answer, and whether it is that of another's call.
pub(super) struct Shared<A> {
    pub(super) answer: Option<A>,
    pub(super) of_another: bool,
}

impl<A: Answer> Coalesce<A> {
    pub(super) fn new(window: Duration, clock: Clock) -> Self {
        Self {
            window,
            clock,
            calls: Arc::default(),
        }
    }

    /// The answer of the one call for this identity: of one under way or just ended, or of this one, which goes on when
    /// its client leaves. There is none if the call itself was cut off.
    pub(super) async fn share<F>(&self, identity: Identity, call: F) -> Shared<A>
    where
        F: Future<Output = A> + Send + 'static,
    {
        let (tell, ours) = watch::channel(None);
        let (mut answer, of_another) = match self.join(identity, ours) {
            Ok(recent) => (recent, true),
            Err(ours) => {
                let (calls, clock, window) = (Arc::clone(&self.calls), self.clock.clone(), self.window);
                tokio::spawn(async move {
                    let answer = call.await;
                    // Answers hold tokens: none is kept for longer than it takes.
                    let keep = if answer.is_harmless() {
                        Duration::ZERO
                    } else {
                        window
                    };
                    if let Some(call) = lock(&calls).get_mut(&identity) {
                        call.ended = Some(clock.steady());
                    }
                    tell.send_replace(Some(answer));
                    sleep(keep).await;
                    lock(&calls).remove(&identity);
                });
                (ours, false)
            }
        };
        let answer = answer
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|answer| answer.clone());
        Shared { answer, of_another }
    }

    /// Another's call, or our own to be made.
    fn join(
        &self,
        identity: Identity,
        ours: watch::Receiver<Option<A>>,
    ) -> Result<watch::Receiver<Option<A>>, watch::Receiver<Option<A>>> {
        let now = self.clock.steady();
        let mut calls = lock(&self.calls);
        let is_recent = |call: &&Call<A>| call.ended.is_none_or(|ended| now < ended + self.window);
        if let Some(call) = calls.get(&identity).filter(is_recent) {
            return Ok(call.answer.clone());
        }
        if calls.len() < MAX_CALLS && !self.window.is_zero() {
            calls.insert(
                identity,
                Call {
                    answer: ours.clone(),
                    ended: None,
                },
            );
        }
        Err(ours)
    }
}

fn lock<A>(calls: &Calls<A>) -> std::sync::MutexGuard<'_, HashMap<Identity, Call<A>>> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    impl Answer for usize {
        fn is_harmless(&self) -> bool {
            *self >= 100
        }
    }

    fn counting(calls: &Arc<AtomicUsize>, takes: Duration) -> impl Future<Output = usize> + Send + use<> {
        let calls = Arc::clone(calls);
        async move {
            sleep(takes).await;
            calls.fetch_add(1, Ordering::Relaxed)
        }
    }

    const SHORT: Duration = Duration::from_millis(5);
    const WINDOW: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn identical_requests_are_one_call_until_some_time_after_it() {
        let (clock, calls) = (Clock::system(), Arc::new(AtomicUsize::new(0)));
        let coalesce = Coalesce::new(WINDOW, clock.clone());
        let (one, other) = (Identity::of(&[b"ab", b"c"]), Identity::of(&[b"a", b"bc"]));
        let both = tokio::join!(
            coalesce.share(one, counting(&calls, SHORT)),
            coalesce.share(one, counting(&calls, SHORT))
        );
        assert_eq!((both.0.answer, both.0.of_another), (Some(0), false));
        assert_eq!((both.1.answer, both.1.of_another), (Some(0), true));
        assert_eq!(
            coalesce.share(other, counting(&calls, SHORT)).await.answer,
            Some(1)
        );
        clock.advance(WINDOW);
        assert_eq!(coalesce.share(one, counting(&calls, SHORT)).await.answer, Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_under_way_is_shared_however_long_it_takes() {
        let (clock, calls) = (Clock::system(), Arc::new(AtomicUsize::new(0)));
        let coalesce = Arc::new(Coalesce::new(WINDOW, clock.clone()));
        let identity = Identity::of(&[b"a"]);
        let long = counting(&calls, WINDOW * 2);
        let first = {
            let coalesce = Arc::clone(&coalesce);
            tokio::spawn(async move { coalesce.share(identity, long).await.answer })
        };
        sleep(SHORT).await;
        clock.advance(WINDOW + SHORT);
        assert_eq!(
            coalesce.share(identity, counting(&calls, SHORT)).await.answer,
            Some(0)
        );
        assert_eq!(first.await.unwrap(), Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_leaves_does_not_end_the_call() {
        let calls = Arc::new(AtomicUsize::new(0));
        let coalesce = Coalesce::new(WINDOW, Clock::system());
        let identity = Identity::of(&[b"a"]);
        let left = tokio::time::timeout(SHORT / 2, coalesce.share(identity, counting(&calls, SHORT))).await;
        assert!(left.is_err());
        assert_eq!(
            coalesce.share(identity, counting(&calls, SHORT)).await.answer,
            Some(0)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_did_nothing_is_forgotten_and_so_is_every_answer_in_time() {
        let calls = Arc::new(AtomicUsize::new(100));
        let coalesce = Coalesce::new(WINDOW, Clock::system());
        let identity = Identity::of(&[b"a"]);
        assert_eq!(
            coalesce.share(identity, counting(&calls, SHORT)).await.answer,
            Some(100)
        );
        sleep(SHORT).await;
        assert_eq!(
            coalesce.share(identity, counting(&calls, SHORT)).await.answer,
            Some(101)
        );
        calls.store(0, Ordering::Relaxed);
        coalesce
            .share(Identity::of(&[b"b"]), counting(&calls, SHORT))
            .await;
        sleep(WINDOW * 2).await;
        assert_eq!(lock(&coalesce.calls).len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn no_window_shares_nothing() {
        let calls = Arc::new(AtomicUsize::new(0));
        let coalesce = Coalesce::new(Duration::ZERO, Clock::system());
        let identity = Identity::of(&[b"a"]);
        assert_eq!(
            coalesce.share(identity, counting(&calls, SHORT)).await.answer,
            Some(0)
        );
        assert_eq!(
            coalesce.share(identity, counting(&calls, SHORT)).await.answer,
            Some(1)
        );
    }
}
