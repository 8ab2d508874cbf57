//! The end of a running gateway, with a successor or without one; and what a successor begins with.

use std::{future::pending, os::fd::AsFd, sync::Arc, time::Duration};

use tokio::time::timeout;
use tracing::{info, warn};

use super::{Handle, Running, serving::Current};
use crate::{
    drain::Drain,
    handover::{Offered, Parts, Successor, Taking, Telling},
    tls::{TicketKeys, Tls},
    workers::Workers,
};

/// The name of the admin listener among those that go over.
const ADMIN: &str = "admin";

/// The most time for what was learned last to be told.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What an older gateway hands over to one that starts; by default nobody does.
#[derive(Default)]
pub struct Inherited {
    /// What the new process needs before it listens.
    pub early: Parts,
    /// The way to the older gateway.
    pub from: Option<Taking>,
}

impl Inherited {
    pub(super) fn early(&mut self, tls: &Tls) {
        if let Some(keys) = self.early.take::<TicketKeys>() {
            tls.take_over_tickets(&keys);
        }
    }

    /// All is ready but the listeners: from here on the older one is about to let go.
    pub(super) async fn late(&mut self, current: &Current) {
        if let Some(from) = &mut self.from {
            let mut parts = from.prepared().await;
            let now = current.load();
            now.router.issue.take_over(&mut parts);
            if let Some(counted) = parts.take() {
                now.limits.go_on_with(&counted);
            }
        }
    }
}

/// The threads that serve, to be asked whether they do.
pub struct Threads {
    workers: Arc<Workers>,
    acceptor: Arc<Workers>,
    drain: Drain,
}

impl Threads {
    /// Has each run a task within this time? If not, the gateway has failed.
    pub async fn answer(&self, within: Duration) -> bool {
        let (worker, acceptor) = tokio::join!(self.workers.silent(within), self.acceptor.silent(within));
        let silent = worker.or(acceptor);
        if let Some(thread) = silent {
            self.fail(&format!("thread {thread}"));
        }
        silent.is_none()
    }

    /// Something else has ended without which nobody is served.
    pub fn fail(&self, what: &str) {
        self.drain.fail(what);
    }
}

impl Handle {
    /// What is remembered and counted by now. What is learned later goes the way that is given.
    pub fn remembered(&self, telling: &Telling) -> Parts {
        let mut parts = Parts::default();
        let now = self.seen().current.load();
        // First, so that nothing falls between the two.
        now.router.issue.tells(Some(telling));
        now.router.issue.hand_over(&mut parts);
        parts.put(&now.limits.hand_over());
        parts
    }
}

impl Running {
    /// The threads that serve.
    pub fn threads(&self) -> Threads {
        Threads {
            workers: Arc::clone(&self.workers),
            acceptor: Arc::clone(&self.acceptor),
            drain: self.drain.clone(),
        }
    }

    /// Resolves when something has ended without which nobody is served. Says what.
    pub async fn failed(&self) -> String {
        self.drain.failed().await.to_owned()
    }

    /// What a new process needs to start.
    pub fn offered(&mut self) -> Offered<'_> {
        let mut early = Parts::default();
        early.put(&self.handle.seen().state.tls.ticket_keys());
        let late = self.late_admin.take_sockets();
        self.listening
            .extend(late.into_iter().map(|socket| (ADMIN.to_owned(), socket)));
        let descriptors = self.listening.iter();
        Offered {
            listeners: descriptors
                .map(|(name, socket)| (name.clone(), socket.as_fd()))
                .collect(),
            early,
        }
    }

    /// Learns what the older gateway does, as long as it is there.
    pub fn learn_from(&self, mut older: Taking) {
        let handle = self.handle();
        tokio::spawn(async move {
            while let Some(mut parts) = older.learned().await {
                handle.seen().current.load().router.issue.learn(&mut parts);
            }
        });
    }

    /// Takes nothing new any more, as a new process does. Stays for those who are here, for `timeouts.handover` at most,
    /// and then stops as without a successor. `asked` resolves each time that it is to go sooner: first it closes
    /// WebSockets in turn, then everything at once.
    pub async fn retire(mut self, successor: Successor, mut asked: impl AsyncFnMut()) {
        self.stop_listening();
        self.drain.hand_over();
        self.handle.seen().leaving.admin_drain.hand_over();
        let telling = tokio::spawn(successor.release());
        let handover = self.handle.handover();
        info!(
            deadline_s = handover.as_secs(),
            "Handed over; WebSockets and requests stay until they end"
        );
        let ended = tokio::select! {
            ended = self.drain.wait(handover) => ended,
            () = asked() => false,
        };
        let handle = self.handle();
        if ended {
            info!("Stopped");
        } else {
            self.end(asked()).await;
        }
        handle.seen().current.load().router.issue.tells(None);
        timeout(LAST_WORDS, telling).await.ok();
    }

    /// Stops in order: it is told, nothing new is taken, WebSockets are closed in turn, and at the deadline everything.
    /// `now` cuts the waiting short.
    pub async fn stop(mut self, now: impl Future<Output = ()>) {
        self.drain.leave();
        tokio::pin!(now);
        let delay = self.handle.drain_delay();
        if !delay.is_zero() {
            info!(delay_s = delay.as_secs(), "Stopping; connections are still taken");
            let hurry = tokio::select! {
                () = tokio::time::sleep(delay) => false,
                () = self.handle.seen().leaving.hurry.cancelled() => false,
                () = &mut now => true,
            };
            if hurry {
                self.stop_listening();
                self.drain.close();
                self.end(pending()).await;
                return;
            }
        }
        // Another gateway may start here: it needs the addresses.
        self.stop_listening();
        self.end(now).await;
    }

    /// What the loops that accept have is left.
    fn stop_listening(&mut self) {
        self.listening.clear();
        self.late_admin.close();
    }

    async fn end(self, now: impl Future<Output = ()>) {
        let deadline = self.handle.drain_deadline();
        info!(deadline_s = deadline.as_secs(), "Draining");
        let finished = tokio::select! {
            finished = self.drain.finish(deadline) => finished,
            () = now => {
                self.drain.close();
                self.drain.finish(Duration::ZERO).await;
                false
            }
        };
        if !finished {
            warn!("Closed what had not ended by itself");
        }
        let admin_drain = &self.handle.seen().leaving.admin_drain;
        admin_drain.close();
        admin_drain.finish(Duration::ZERO).await;
        info!("Stopped");
    }
}
