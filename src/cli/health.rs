//! Asks again and again whether everything that serves still runs. A service manager that wants to know is told so; a
//! thread that has ended is a fault of the gateway.

use std::{env, sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    gateway::Threads,
    notify::{self, Notify},
};

/// The longest time between two questions. It is shorter if the service manager wants to hear more often.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// How long a thread may take to run a task. On the busiest machine it takes a second; a thread that needs longer than
/// this is stuck.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// Asks in the background, until this is dropped.
pub(super) struct Watch {
    _asking: AbortOnDropHandle<()>,
}

impl Watch {
    /// Begins to ask whether these threads run, and whether the log's thread has ended.
    pub(super) fn begin(
        threads: Threads,
        log_has_ended: impl Fn() -> bool + Send + Sync + 'static,
        notify: Arc<Notify>,
    ) -> Self {
        let wanted = notify::watchdog(
            env::var_os("WATCHDOG_USEC").as_deref(),
            env::var_os("WATCHDOG_PID").as_deref(),
        );
        let asking = async move {
            while threads.answer(ANSWERS_WITHIN).await {
                if log_has_ended() {
                    threads.fail("thread log");
                    return;
                }
                if wanted.is_some() {
                    notify.alive();
                }
                sleep(wanted.unwrap_or(ASK_EVERY).min(ASK_EVERY)).await;
            }
        };
        Self {
            _asking: AbortOnDropHandle::new(tokio::spawn(asking)),
        }
    }
}
