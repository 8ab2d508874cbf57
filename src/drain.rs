//! Stopping in two steps: first nothing new is taken, then, at the deadline, what is left is closed.
//!
//! Every task that must not be cut off is spawned through `Drain::spawn`; whoever stops the gateway waits for them all.

use std::{future::Future, time::Duration};

use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The shared state of an orderly stop. Clones are the same drain.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    draining: CancellationToken,
    closing: CancellationToken,
    tasks: TaskTracker,
}

/// The time for sockets to close after the deadline, so that close frames can be sent.
const CLOSING_GRACE: Duration = Duration::from_secs(2);

impl Drain {
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    pub fn spawn_on(&self, runtime: &Handle, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(task, runtime);
    }

    /// Resolves when nothing new may be accepted.
    pub async fn draining(&self) {
        self.draining.cancelled().await;
    }

    /// Resolves when everything has to close.
    pub async fn closing(&self) {
        self.closing.cancelled().await;
    }

    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Begins the drain: nothing new is accepted.
    pub fn begin(&self) {
        self.draining.cancel();
        self.tasks.close();
    }

    /// Tells all tasks that are left to close their connections now.
    pub fn close(&self) {
        self.begin();
        self.closing.cancel();
    }

    /// Waits for all tasks; at the deadline the rest is told to close. Says whether all ended by themselves.
    pub async fn finish(&self, deadline: Duration) -> bool {
        self.begin();
        tokio::select! {
            () = self.tasks.wait() => return true,
            () = self.closing.cancelled() => {}
            () = tokio::time::sleep(deadline) => {}
        }
        self.close();
        // Whatever is later still goes down with the runtime.
        tokio::time::timeout(CLOSING_GRACE, self.tasks.wait()).await.ok();
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_ends_by_itself_is_waited_for() {
        let drain = Drain::default();
        drain.spawn(tokio::time::sleep(Duration::from_secs(5)));
        assert!(drain.finish(Duration::from_secs(30)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_at_the_deadline_is_told_to_close() {
        let drain = Drain::default();
        let task = drain.clone();
        drain.spawn(async move { task.closing().await });
        let started = tokio::time::Instant::now();
        assert!(!drain.finish(Duration::from_secs(30)).await);
        assert_eq!(started.elapsed(), Duration::from_secs(30));
    }
}
