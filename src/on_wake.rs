//! A future that is polled only when it has been woken, or somebody else waits for it.
//!
//! The task of a connection wakes many times for one request, and that of a tunnel for every message; each time it would ask
//! again whether it has to end. That is told seldom, and asking costs locks that all connections share.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// A future that is polled only when it has been woken.
pub struct OnWake<F> {
    future: F,
    bell: Option<(Arc<Bell>, Waker)>,
}

/// Notes that the future has been woken, and wakes the task that waits for it.
struct Bell {
    has_rung: AtomicBool,
    task: Waker,
}

impl<F> OnWake<F> {
    pub fn new(future: F) -> Self {
        Self { future, bell: None }
    }
}

impl<F: Future + Unpin> Future for OnWake<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let known = this.bell.take_if(|(bell, _)| bell.task.will_wake(cx.waker()));
        let bell = if let Some(known) = known {
            if !known.0.has_rung.load(Ordering::Acquire) {
                this.bell = Some(known);
                return Poll::Pending;
            }
            // Before the poll, so that whatever rings from now on is heard.
            known.0.has_rung.store(false, Ordering::Release);
            known
        } else {
            let bell = Arc::new(Bell {
                has_rung: AtomicBool::new(false),
                task: cx.waker().clone(),
            });
            let waker = Waker::from(Arc::clone(&bell));
            (bell, waker)
        };
        let (_, waker) = this.bell.insert(bell);
        Pin::new(&mut this.future).poll(&mut Context::from_waker(waker))
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_rung.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        sync::atomic::AtomicUsize,
        task::{Context, Poll, Waker},
    };

    use tokio::sync::oneshot;

    use super::*;

    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_is_not_woken_is_not_asked() {
        let mut asked = 0;
        let mut kept = None;
        let mut future = OnWake::new(poll_fn(|cx: &mut Context<'_>| {
            asked += 1;
            kept = Some(cx.waker().clone());
            Poll::<()>::Pending
        }));
        let task = Arc::new(Counted::default());
        let waker = Waker::from(Arc::clone(&task));
        for _ in 0..10 {
            let polled = Pin::new(&mut future).poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
        }
        drop(future);
        assert_eq!(asked, 1);
        kept.take().unwrap().wake();
        assert_eq!(task.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn who_is_woken_is_asked_and_so_is_whoever_another_task_waits_for() {
        let (tell, mut told) = oneshot::channel::<u8>();
        let mut future = OnWake::new(&mut told);
        let (first, second) = (Arc::new(Counted::default()), Arc::new(Counted::default()));
        for task in [&first, &second] {
            let waker = Waker::from(Arc::clone(task));
            let polled = Pin::new(&mut future).poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
        }
        tell.send(7).unwrap();
        // Only the one that waits now is woken.
        assert_eq!(first.0.load(Ordering::Relaxed), 0);
        assert_eq!(second.0.load(Ordering::Relaxed), 1);
        let waker = Waker::from(second);
        let polled = Pin::new(&mut future).poll(&mut Context::from_waker(&waker));
        assert_eq!(polled, Poll::Ready(Ok(7)));
    }
}
