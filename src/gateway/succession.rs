//! The end of a running gateway, with a successor or without one; and what a successor begins with.

use std::{os::fd::AsFd, sync::Arc, time::Duration};

use tracing::{info, warn};

use super::{Running, serving::Current};
use crate::{
    drain::Drain,
    handover::{Offered, Parts, Successor, Taking},
    tls::{TicketKeys, Tls},
    workers::Workers,
};

/// What an older gateway hands over to one that starts; by default nobody does.
#[derive(Default)]
pub struct Inherited {
    /// What a start needs.
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
            current.load().router.issue.take_over(&mut parts);
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
    pub fn offered(&self) -> Offered<'_> {
        let mut early = Parts::default();
        early.put(&self.handle.seen().state.tls.ticket_keys());
        let descriptors = self.listening.iter();
        Offered {
            listeners: descriptors
                .map(|(name, socket)| (name.clone(), socket.as_fd()))
                .collect(),
            early,
        }
    }

    /// What is remembered by now.
    pub fn remembered(&self) -> Parts {
        let mut parts = Parts::default();
        self.handle
            .seen()
            .current
            .load()
            .router
            .issue
            .hand_over(&mut parts);
        parts
    }

    /// Takes nothing new any more, as a new process does. Stays for those who are here, for `timeouts.handover` at most,
    /// and then stops as without a successor. `asked` resolves each time that it is to go sooner: first it closes
    /// WebSockets in turn, then everything at once.
    pub async fn retire(mut self, successor: Successor, mut asked: impl AsyncFnMut()) {
        self.listening.clear();
        self.drain.hand_over();
        self.admin_drain.hand_over();
        // What it ends with is its own affair.
        tokio::spawn(successor.release());
        let handover = self.handle.handover();
        info!(
            deadline_s = handover.as_secs(),
            "Handed over; WebSockets and requests stay until they end"
        );
        let ended = tokio::select! {
            ended = self.drain.wait(handover) => ended,
            () = asked() => false,
        };
        if ended {
            info!("Stopped");
        } else {
            self.end(asked()).await;
        }
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
                () = &mut now => true,
            };
            if hurry {
                self.drain.close();
            }
        }
        // Another gateway may start here: it needs the addresses.
        self.listening.clear();
        self.end(now).await;
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
        self.admin_drain.close();
        self.admin_drain.finish(Duration::ZERO).await;
        info!("Stopped");
    }
}
