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
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{runtime::Handle, sync::watch, time::sleep};

use crate::clock::Clock;

/// Calls remembered; while there are as many, further requests are calls of their own. The limits let through far fewer.
const MAX_CALLS: usize = 10_000;

/// What makes two requests the same: everything on which the server's answer depends.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    /// The server's own, over the body, and checked.
    pub(super) signature: Box<[u8]>,
    /// Is the answer to be protobuf?
    pub(super) protobuf: bool,
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
    pub(super) async fn share<F>(&self, identity: Identity, call: Pin<Box<F>>) -> Shared<A>
    where
        F: Future<Output = A> + Send + 'static,
    {
        let remembered = match self.join(identity) {
            Ok(mut recent) => {
                let answer = recent.wait_for(Option::is_some).await;
                return Shared {
                    answer: answer.ok().and_then(|answer| answer.clone()),
                    of_another: true,
                };
            }
            Err(ours) => ours,
        };
        let ours = GoesOn {
            call: Some(call),
            remembered,
        };
        Shared {
            answer: Some(ours.await),
            of_another: false,
        }
    }

    /// Another's call, or our own to be made, remembered if it is to be shared.
    fn join(&self, identity: Identity) -> Result<watch::Receiver<Option<A>>, Option<Remembered<A>>> {
        if self.window.is_zero() {
            return Err(None);
        }
        let now = self.clock.steady();
        let mut calls = lock(&self.calls);
        let is_recent = |call: &&Call<A>| call.ended.is_none_or(|ended| now < ended + self.window);
        if let Some(call) = calls.get(&identity).filter(is_recent) {
            return Ok(call.answer.clone());
        }
        if calls.len() >= MAX_CALLS {
            return Err(None);
        }
        let (tell, answer) = watch::channel(None);
        let call = Call { answer, ended: None };
        calls.insert(identity.clone(), call);
        Err(Some(Remembered {
            identity,
            tell,
            calls: Arc::clone(&self.calls),
            clock: self.clock.clone(),
            window: self.window,
        }))
    }
}

/// A call of our own that others may join.
struct Remembered<A> {
    identity: Identity,
    tell: watch::Sender<Option<A>>,
    calls: Arc<Calls<A>>,
    clock: Clock,
    window: Duration,
}

impl<A: Answer> Remembered<A> {
    fn ended(self, answer: &A) {
        let Self {
            identity,
            tell,
            calls,
            clock,
            window,
        } = self;
        // Answers hold tokens: none is kept for longer than it takes.
        let keep = if answer.is_harmless() {
            Duration::ZERO
        } else {
            window
        };
        if let Some(call) = lock(&calls).get_mut(&identity) {
            call.ended = Some(clock.steady());
        }
        tell.send_replace(Some(answer.clone()));
        tokio::spawn(async move {
            sleep(keep).await;
            lock(&calls).remove(&identity);
        });
    }
}

/// A call of our own. It is a part of whoever waits for it; dropped before its end, it becomes a task of its own.
struct GoesOn<A: Answer, F: Future<Output = A> + Send + 'static> {
    call: Option<Pin<Box<F>>>,
    remembered: Option<Remembered<A>>,
}

impl<A: Answer, F: Future<Output = A> + Send + 'static> Future for GoesOn<A, F> {
    type Output = A;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<A> {
        let Some(call) = &mut self.call else {
            return Poll::Pending;
        };
        let answer = ready!(call.as_mut().poll(cx));
        self.call = None;
        if let Some(remembered) = self.remembered.take() {
            remembered.ended(&answer);
        }
        Poll::Ready(answer)
    }
}

impl<A: Answer, F: Future<Output = A> + Send + 'static> Drop for GoesOn<A, F> {
    fn drop(&mut self) {
        let (Some(call), Ok(runtime)) = (self.call.take(), Handle::try_current()) else {
            return;
        };
        let remembered = self.remembered.take();
        // Not this type again: a runtime that ends drops at once what is still given to it.
        runtime.spawn(async move {
            let answer = call.await;
            if let Some(remembered) = remembered {
                remembered.ended(&answer);
            }
        });
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

    fn of(signature: &str, protobuf: bool) -> Identity {
        Identity {
            signature: signature.as_bytes().into(),
            protobuf,
        }
    }

    fn counting(
        calls: &Arc<AtomicUsize>,
        takes: Duration,
    ) -> Pin<Box<impl Future<Output = usize> + Send + use<>>> {
        let calls = Arc::clone(calls);
        Box::pin(async move {
            sleep(takes).await;
            calls.fetch_add(1, Ordering::Relaxed)
        })
    }

    const SHORT: Duration = Duration::from_millis(5);
    const WINDOW: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn identical_requests_are_one_call_until_some_time_after_it() {
        let (clock, calls) = (Clock::system(), Arc::new(AtomicUsize::new(0)));
        let coalesce = Coalesce::new(WINDOW, clock.clone());
        let (one, other) = (of("a", false), of("a", true));
        let both = tokio::join!(
            coalesce.share(one.clone(), counting(&calls, SHORT)),
            coalesce.share(one.clone(), counting(&calls, SHORT))
        );
        assert_eq!((both.0.answer, both.0.of_another), (Some(0), false));
        assert_eq!((both.1.answer, both.1.of_another), (Some(0), true));
        assert_eq!(
            coalesce.share(other, counting(&calls, SHORT)).await.answer,
            Some(1)
        );
        clock.advance(WINDOW);
        assert_eq!(
            coalesce.share(one.clone(), counting(&calls, SHORT)).await.answer,
            Some(2)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_under_way_is_shared_however_long_it_takes() {
        let (clock, calls) = (Clock::system(), Arc::new(AtomicUsize::new(0)));
        let coalesce = Arc::new(Coalesce::new(WINDOW, clock.clone()));
        let identity = of("a", false);
        let long = counting(&calls, WINDOW * 2);
        let first = {
            let (coalesce, identity) = (Arc::clone(&coalesce), identity.clone());
            tokio::spawn(async move { coalesce.share(identity, long).await.answer })
        };
        sleep(SHORT).await;
        clock.advance(WINDOW + SHORT);
        assert_eq!(
            coalesce
                .share(identity.clone(), counting(&calls, SHORT))
                .await
                .answer,
            Some(0)
        );
        assert_eq!(first.await.unwrap(), Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_leaves_does_not_end_the_call() {
        let calls = Arc::new(AtomicUsize::new(0));
        let coalesce = Coalesce::new(WINDOW, Clock::system());
        let identity = of("a", false);
        let left = tokio::time::timeout(
            SHORT / 2,
            coalesce.share(identity.clone(), counting(&calls, SHORT)),
        )
        .await;
        assert!(left.is_err());
        assert_eq!(
            coalesce
                .share(identity.clone(), counting(&calls, SHORT))
                .await
                .answer,
            Some(0)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nor_does_it_where_nothing_is_shared() {
        let calls = Arc::new(AtomicUsize::new(0));
        let coalesce = Coalesce::new(Duration::ZERO, Clock::system());
        let left = tokio::time::timeout(SHORT / 2, coalesce.share(of("a", false), counting(&calls, SHORT)));
        assert!(left.await.is_err());
        sleep(SHORT).await;
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_call_ends_with_the_process() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let coalesce = Coalesce::new(WINDOW, Clock::system());
        let call = counting(&calls, WINDOW);
        runtime.spawn(async move { coalesce.share(of("a", false), call).await.answer });
        runtime.block_on(tokio::task::yield_now());
        drop(runtime);
        assert_eq!(Arc::strong_count(&calls), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_did_nothing_is_forgotten_and_so_is_every_answer_in_time() {
        let calls = Arc::new(AtomicUsize::new(100));
        let coalesce = Coalesce::new(WINDOW, Clock::system());
        let identity = of("a", false);
        assert_eq!(
            coalesce
                .share(identity.clone(), counting(&calls, SHORT))
                .await
                .answer,
            Some(100)
        );
        sleep(SHORT).await;
        assert_eq!(
            coalesce
                .share(identity.clone(), counting(&calls, SHORT))
                .await
                .answer,
            Some(101)
        );
        calls.store(0, Ordering::Relaxed);
        coalesce.share(of("b", false), counting(&calls, SHORT)).await;
        sleep(WINDOW * 2).await;
        assert_eq!(lock(&coalesce.calls).len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn no_window_shares_nothing() {
        let calls = Arc::new(AtomicUsize::new(0));
        let coalesce = Coalesce::new(Duration::ZERO, Clock::system());
        let identity = of("a", false);
        assert_eq!(
            coalesce
                .share(identity.clone(), counting(&calls, SHORT))
                .await
                .answer,
            Some(0)
        );
        assert_eq!(
            coalesce
                .share(identity.clone(), counting(&calls, SHORT))
                .await
                .answer,
            Some(1)
        );
    }
}
