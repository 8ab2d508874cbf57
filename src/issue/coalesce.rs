//! Identical signed requests that are under way at the same moment share one call to the server.
//!
//! A second token for a user who is online removes them from the room, so a double click must not become a second call
//! (docs/plugnmeet.md section 3). No answer is kept after the call, because the server may answer differently a moment
//! later. An answer that may not be shared, such as a failure, goes to its own client alone: each request that waited
//! for it then makes a call of its own, once.
//!
//! Calls are shared within a process: two replicas behind one balancer make two calls.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::{runtime::Handle, sync::watch};

/// Calls that others may join; while there are as many, further requests are calls of their own. The limits let through
/// far fewer.
const MAX_CALLS: usize = 10_000;

/// What makes two requests the same: everything on which the server's answer depends, and who is to count for it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    /// The caller's name, under which the request is limited.
    pub(super) caller: Box<str>,
    /// The signature over the body, by the server's own key. It has been checked.
    pub(super) signature: Box<[u8]>,
    /// Must the answer be protobuf?
    pub(super) protobuf: bool,
}

pub(super) struct Ended<A> {
    pub(super) answer: A,
    /// Is the answer right for every identical request?
    pub(super) shareable: bool,
}

/// An answer, and whether it came from another request's call.
pub(super) struct Shared<A> {
    pub(super) answer: A,
    pub(super) of_another: bool,
}

/// The running calls; `A` is the type of an answer.
pub(super) struct Coalesce<A> {
    calls: Arc<Calls<A>>,
}

impl<A> Default for Coalesce<A> {
    fn default() -> Self {
        Self {
            calls: Arc::default(),
        }
    }
}

/// The sender with which each running call tells its answer.
type Calls<A> = Mutex<HashMap<Identity, watch::Sender<Option<A>>>>;

impl<A: Clone + Send + Sync + 'static> Coalesce<A> {
    /// The answer of the call that is under way for this identity, if it may be shared; else that of this one, which goes
    /// on when its client leaves. A call without an identity is shared with nobody.
    pub(super) async fn share<F>(&self, identity: Option<Identity>, call: Pin<Box<F>>) -> Shared<A>
    where
        F: Future<Output = Ended<A>> + Send + 'static,
    {
        let leading = match identity.map(|identity| self.join(identity)) {
            Some(Joined::Waiting(mut told)) => {
                let told = told.wait_for(Option::is_some).await;
                if let Some(answer) = told.ok().and_then(|answer| answer.clone()) {
                    return Shared {
                        answer,
                        of_another: true,
                    };
                }
                None
            }
            Some(Joined::Leading(leading)) => Some(leading),
            Some(Joined::NoRoom) | None => None,
        };
        let ours = GoesOn {
            call: Some(call),
            leading,
        };
        Shared {
            answer: ours.await,
            of_another: false,
        }
    }

    fn join(&self, identity: Identity) -> Joined<A> {
        let mut calls = lock(&self.calls);
        if let Some(call) = calls.get(&identity) {
            return Joined::Waiting(call.subscribe());
        }
        if calls.len() >= MAX_CALLS {
            return Joined::NoRoom;
        }
        let tell = watch::Sender::new(None);
        calls.insert(identity.clone(), tell.clone());
        Joined::Leading(Leading {
            identity,
            tell,
            answer: None,
            calls: Arc::clone(&self.calls),
        })
    }
}

/// The part that a request has among identical ones.
enum Joined<A> {
    Waiting(watch::Receiver<Option<A>>),
    Leading(Leading<A>),
    NoRoom,
}

/// A running call that other requests can join until this is dropped.
struct Leading<A> {
    identity: Identity,
    tell: watch::Sender<Option<A>>,
    /// The answer that the waiting requests get when this is dropped.
    answer: Option<A>,
    calls: Arc<Calls<A>>,
}

impl<A: Clone> Leading<A> {
    fn ended(mut self, ended: &Ended<A>) {
        self.answer = ended.shareable.then(|| ended.answer.clone());
    }
}

impl<A> Drop for Leading<A> {
    /// INVARIANT: first nobody can join any more, then those who did are told. Until here the place was this call's alone, so
    /// it is no other's that is taken away.
    fn drop(&mut self) {
        lock(&self.calls).remove(&self.identity);
        if let Some(answer) = self.answer.take() {
            self.tell.send_replace(Some(answer));
        }
    }
}

/// A request's own call. It runs as a part of the request that waits for it. If it is dropped before its end it goes on
/// as a task of its own.
struct GoesOn<A, F>
where
    A: Clone + Send + Sync + 'static,
    F: Future<Output = Ended<A>> + Send + 'static,
{
    call: Option<Pin<Box<F>>>,
    leading: Option<Leading<A>>,
}

/// The call is pinned in a box of its own, and no other field is pinned.
impl<A, F> Unpin for GoesOn<A, F>
where
    A: Clone + Send + Sync + 'static,
    F: Future<Output = Ended<A>> + Send + 'static,
{
}

impl<A, F> Future for GoesOn<A, F>
where
    A: Clone + Send + Sync + 'static,
    F: Future<Output = Ended<A>> + Send + 'static,
{
    type Output = A;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<A> {
        let Some(call) = &mut self.call else {
            return Poll::Pending;
        };
        let ended = ready!(call.as_mut().poll(cx));
        self.call = None;
        if let Some(leading) = self.leading.take() {
            leading.ended(&ended);
        }
        Poll::Ready(ended.answer)
    }
}

impl<A, F> Drop for GoesOn<A, F>
where
    A: Clone + Send + Sync + 'static,
    F: Future<Output = Ended<A>> + Send + 'static,
{
    fn drop(&mut self) {
        let (Some(call), Ok(runtime)) = (self.call.take(), Handle::try_current()) else {
            return;
        };
        let leading = self.leading.take();
        // Not this type again: a runtime that ends drops at once what is still given to it.
        runtime.spawn(async move {
            let ended = call.await;
            if let Some(leading) = leading {
                leading.ended(&ended);
            }
        });
    }
}

fn lock<A>(calls: &Calls<A>) -> MutexGuard<'_, HashMap<Identity, watch::Sender<Option<A>>>> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use tokio::time::{sleep, timeout};

    use super::*;

    fn of(signature: &str, protobuf: bool) -> Identity {
        Identity {
            caller: "server".into(),
            signature: signature.as_bytes().into(),
            protobuf,
        }
    }

    const SHORT: Duration = Duration::from_millis(5);

    /// A server that counts calls; every answer tells its number, and is shareable unless said otherwise.
    #[derive(Clone)]
    struct Server {
        calls: Arc<AtomicUsize>,
        shareable: bool,
    }

    impl Server {
        fn new(shareable: bool) -> Self {
            Self {
                calls: Arc::default(),
                shareable,
            }
        }

        fn call(&self) -> Pin<Box<impl Future<Output = Ended<usize>> + Send + use<>>> {
            let Self { calls, shareable } = self.clone();
            Box::pin(async move {
                let answer = calls.fetch_add(1, Ordering::Relaxed);
                sleep(SHORT).await;
                Ended { answer, shareable }
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn identical_requests_under_way_are_one_call_and_nothing_is_kept() {
        let (server, coalesce) = (Server::new(true), Coalesce::default());
        let (one, two, other) = tokio::join!(
            coalesce.share(Some(of("a", false)), server.call()),
            coalesce.share(Some(of("a", false)), server.call()),
            coalesce.share(Some(of("a", true)), server.call()),
        );
        assert_eq!((one.answer, one.of_another), (0, false));
        assert_eq!((two.answer, two.of_another), (0, true));
        assert_eq!((other.answer, other.of_another), (1, false));
        assert!(lock(&coalesce.calls).is_empty());
        assert_eq!(
            coalesce.share(Some(of("a", false)), server.call()).await.answer,
            2
        );
        assert!(lock(&coalesce.calls).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waited_for_what_may_not_be_shared_calls_for_itself_once() {
        let (server, coalesce) = (Server::new(false), Coalesce::default());
        let (one, two, three) = tokio::join!(
            coalesce.share(Some(of("a", false)), server.call()),
            coalesce.share(Some(of("a", false)), server.call()),
            coalesce.share(Some(of("a", false)), server.call()),
        );
        let mut answers = [one.answer, two.answer, three.answer];
        answers.sort_unstable();
        assert_eq!(answers, [0, 1, 2]);
        assert!(!one.of_another && !two.of_another && !three.of_another);
        assert_eq!(server.calls.load(Ordering::Relaxed), 3);
        assert!(lock(&coalesce.calls).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_leaves_does_not_end_the_call() {
        for identity in [Some(of("a", false)), None] {
            let coalesce = Coalesce::default();
            let server = Server::new(true);
            let left = timeout(SHORT / 2, coalesce.share(identity.clone(), server.call())).await;
            assert!(left.is_err());
            let second = coalesce.share(identity.clone(), server.call()).await;
            assert_eq!(second.of_another, identity.is_some());
            sleep(SHORT).await;
            assert!(lock(&coalesce.calls).is_empty());
        }
    }

    #[test]
    fn a_call_ends_with_the_process() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let (server, coalesce) = (Server::new(true), Coalesce::default());
        let (call, calls) = (server.call(), Arc::clone(&coalesce.calls));
        runtime.spawn(async move { coalesce.share(Some(of("a", false)), call).await.answer });
        runtime.block_on(tokio::task::yield_now());
        assert_eq!(lock(&calls).len(), 1);
        drop(runtime);
        assert_eq!(Arc::strong_count(&server.calls), 1);
        assert!(lock(&calls).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_shared_that_has_no_identity() {
        let (server, coalesce) = (Server::new(true), Coalesce::default());
        let (one, two) = tokio::join!(
            coalesce.share(None, server.call()),
            coalesce.share(None, server.call())
        );
        assert!(one.answer != two.answer && !one.of_another && !two.of_another);
    }

    #[tokio::test(start_paused = true)]
    async fn with_too_many_under_way_a_request_is_a_call_of_its_own() {
        let (server, coalesce) = (Server::new(true), Coalesce::default());
        let waiting: Vec<_> = (0..MAX_CALLS)
            .map(|at| coalesce.join(of(&at.to_string(), false)))
            .collect();
        assert!(matches!(coalesce.join(of("one more", false)), Joined::NoRoom));
        assert_eq!(
            coalesce
                .share(Some(of("one more", false)), server.call())
                .await
                .answer,
            0
        );
        drop(waiting);
        assert!(lock(&coalesce.calls).is_empty());
    }
}
