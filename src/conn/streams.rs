//! Ends HTTP/2 streams whose client takes nothing, one by one, so that the other streams of the connection go on.
//!
//! Each stream has its own window, and while that is closed nothing asks the body for more: neither the body's timer
//! nor the socket's would ever fire. So each stream has a timer of its own, made when the stream first waits for its
//! client.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::rt::Executor;
use tokio::time::{Sleep, sleep};

tokio::task_local! {
    static STREAM: Progress;
}

/// Runs the streams of one connection, each as a task.
#[derive(Clone)]
pub(super) struct Streams {
    patience: Duration,
}

/// Tells who is waited for in a stream; the body of the answer sets it. The number is odd while the client has
/// something to take, and another for each piece of it.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<AtomicU64>);

/// A stream that ends when its client has taken nothing for the time `patience`.
struct Watched<F> {
    /// The future is boxed because it is large and is moved.
    stream: Pin<Box<F>>,
    progress: Progress,
    patience: Duration,
    /// The value of `progress` for which the timer runs.
    turn: u64,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Streams {
    /// Runs streams whose clients may take nothing of an answer for the time `patience`.
    pub(super) fn with(patience: Duration) -> Self {
        Self { patience }
    }
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        let progress = Progress::default();
        let watched = Watched {
            stream: Box::pin(stream),
            progress: progress.clone(),
            patience: self.patience,
            turn: 0,
            timer: None,
        };
        tokio::spawn(STREAM.scope(progress, watched));
    }
}

impl<F: Future> Future for Watched<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let turn = self.progress.0.load(Ordering::Relaxed);
        if turn & 1 == 0 {
            self.timer = None;
            return Poll::Pending;
        }
        if turn != self.turn {
            self.turn = turn;
            self.timer = None;
        }
        let patience = self.patience;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(patience)));
        timer.as_mut().poll(cx)
    }
}

impl Progress {
    /// The progress of the stream whose task is running; `None` on HTTP/1, where the socket's own timer is enough.
    pub(super) fn of_this_stream() -> Option<Self> {
        STREAM.try_with(Clone::clone).ok()
    }

    /// Notes that there is another piece for the client to take.
    pub(super) fn clients_turn(&self) {
        let turn = self.0.load(Ordering::Relaxed);
        self.0.store((turn | 1).wrapping_add(2), Ordering::Relaxed);
    }

    /// Notes that there is nothing for the client to take.
    pub(super) fn our_turn(&self) {
        let turn = self.0.load(Ordering::Relaxed);
        self.0.store(turn & !1, Ordering::Relaxed);
    }
}
