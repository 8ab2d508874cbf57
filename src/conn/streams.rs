//! HTTP/2 streams whose client takes nothing: ended one by one, so that the others of the connection go on.
//!
//! Each stream has its own window, and while that is closed nothing asks the body for more: neither the body's timer nor
//! the socket's would ever ring. So each stream runs beside a watch of its own.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hyper::rt::Executor;
use tokio::time::{Instant, sleep};

tokio::task_local! {
    static STREAM: Progress;
}

/// Runs the streams of one connection.
#[derive(Clone)]
pub(super) struct Streams {
    patience: Duration,
}

/// How far a stream's answer has got, told by its body.
#[derive(Clone)]
pub(super) struct Progress {
    started: Instant,
    /// Since when it is the client's turn, in milliseconds after `started`, plus one; zero while it is ours.
    clients_turn: Arc<AtomicU64>,
}

impl Streams {
    /// A client may take nothing of an answer for so long; a stream ends after twice that at the latest.
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
        let patience = self.patience;
        let progress = Progress {
            started: Instant::now(),
            clients_turn: Arc::default(),
        };
        let watched = progress.clone();
        // In a box, as it is large, and what follows would move and hold it twice.
        let mut stream = Box::pin(stream);
        tokio::spawn(STREAM.scope(progress, async move {
            tokio::select! {
                _ = &mut stream => {}
                () = watched.stalled(patience) => {}
            }
        }));
    }
}

impl Progress {
    /// Of the stream that is running; none for HTTP/1, where the socket's own timer does.
    pub(super) fn of_this_stream() -> Option<Self> {
        STREAM.try_with(Clone::clone).ok()
    }

    /// There is more for the client to take.
    pub(super) fn clients_turn(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.clients_turn.store(now + 1, Ordering::Relaxed);
    }

    /// We have nothing for the client to take.
    pub(super) fn our_turn(&self) {
        self.clients_turn.store(0, Ordering::Relaxed);
    }

    async fn stalled(&self, patience: Duration) {
        loop {
            sleep(patience).await;
            let since = self.clients_turn.load(Ordering::Relaxed);
            if since > 0 && self.started.elapsed() >= Duration::from_millis(since - 1) + patience {
                return;
            }
        }
    }
}
