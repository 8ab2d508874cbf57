//! Is everything that serves still running? Asked again and again; a service manager that wants to know is told so, and what
//! has ended is a fault of the gateway's.

use std::{env, sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    gateway::Threads,
    notify::{self, Notify},
};

/// Between two questions, where no service manager says how often it wants to hear.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// For a thread to run a task. On the busiest machine it takes a second; who needs so long has lost its way.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// Asks until this is dropped.
pub(super) struct Watch {
    _asking: AbortOnDropHandle<()>,
}

impl Watch {
    /// Asks these threads, and whether the log's has ended.
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
