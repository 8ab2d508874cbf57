//! A warning about an event that may happen thousands of times. It is logged soon after the first event, and then once
//! a minute with the number of events.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::sleep;

/// The time after an event for which further events are collected into one warning.
const GATHER: Duration = Duration::from_millis(250);

/// The shortest time between two warnings.
const EVERY: Duration = Duration::from_secs(60);

/// Collects events into warnings of one a minute. Clones share one count.
#[derive(Clone)]
pub struct OnceAMinute(Arc<Told>);

struct Told {
    /// The number of events since the last warning.
    count: AtomicU64,
    running: AtomicBool,
    tell: Box<dyn Fn(u64) + Send + Sync>,
}

impl fmt::Debug for OnceAMinute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnceAMinute").field(&self.0.count).finish()
    }
}

impl OnceAMinute {
    /// Makes a collector. `tell` writes the warning with the number of events.
    pub fn new(tell: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Told {
            count: AtomicU64::new(0),
            running: AtomicBool::new(false),
            tell: Box::new(tell),
        }))
    }

    /// It happened so many times more. A task on this runtime tells it, and ends after a minute without any.
    pub fn add(&self, count: u64) {
        let told = &self.0;
        told.count.fetch_add(count, Ordering::SeqCst);
        if !told.running.swap(true, Ordering::SeqCst) {
            tokio::spawn(tell(Arc::clone(told)));
        }
    }
}

async fn tell(told: Arc<Told>) {
    sleep(GATHER).await;
    loop {
        match told.count.swap(0, Ordering::SeqCst) {
            0 => {
                told.running.store(false, Ordering::SeqCst);
                // One more may have come in between, and found the task running.
                if told.count.load(Ordering::SeqCst) == 0 || told.running.swap(true, Ordering::SeqCst) {
                    return;
                }
            }
            count => {
                (told.tell)(count);
                sleep(EVERY).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_one_warning_and_what_goes_on_is_one_a_minute() {
        let said = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&said);
        let warning = OnceAMinute::new(move |count| record.lock().unwrap().push(count));
        for _ in 0..491 {
            warning.add(1);
        }
        sleep(Duration::from_secs(1)).await;
        assert_eq!(*said.lock().unwrap(), [491]);
        warning.add(3);
        sleep(Duration::from_secs(50)).await;
        warning.add(4);
        assert_eq!(*said.lock().unwrap(), [491]);
        sleep(Duration::from_secs(10)).await;
        assert_eq!(*said.lock().unwrap(), [491, 7]);
        // A quiet minute ends it, and the next is told soon again.
        sleep(Duration::from_secs(600)).await;
        warning.add(1);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(*said.lock().unwrap(), [491, 7, 1]);
    }
}
