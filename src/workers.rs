//! Threads that each have a runtime of their own. A connection stays on one of them with all that is done for it: what
//! nobody shares needs no lock and wakes nobody else.
//!
//! Nothing on them may block, as all that is on the same thread would wait.

use std::{io, num::NonZeroUsize, thread};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// Running threads; they end, with whatever is still on them, when this is dropped.
#[derive(Debug)]
pub struct Workers {
    runtimes: Vec<Handle>,
    ended: CancellationToken,
}

impl Workers {
    /// So many threads of this name.
    pub fn start(name: &str, threads: NonZeroUsize) -> io::Result<Self> {
        let mut workers = Self {
            runtimes: Vec::with_capacity(threads.get()),
            ended: CancellationToken::new(),
        };
        for number in 0..threads.get() {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            workers.runtimes.push(runtime.handle().clone());
            let ended = workers.ended.clone();
            thread::Builder::new()
                .name(format!("{name}-{number}"))
                .spawn(move || runtime.block_on(ended.cancelled()))?;
        }
        Ok(workers)
    }

    /// The one with the fewest tasks, which follow from its connections, open WebSockets and streams.
    pub fn least_busy(&self) -> Option<&Handle> {
        let busy = |runtime: &&Handle| runtime.metrics().num_alive_tasks();
        self.runtimes.iter().min_by_key(busy)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use super::*;

    #[test]
    fn tasks_go_to_whoever_has_the_fewest_and_end_with_the_workers() {
        let workers = Workers::start("test", NonZeroUsize::new(3).unwrap()).unwrap();
        let tasks: Vec<_> = (0..9)
            .map(|_| workers.least_busy().unwrap().spawn(pending::<()>()))
            .collect();
        let busy = |runtime: &Handle| runtime.metrics().num_alive_tasks();
        assert_eq!(workers.runtimes.iter().map(busy).collect::<Vec<_>>(), [3, 3, 3]);

        drop(workers);
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            for task in tasks {
                let ended = tokio::time::timeout(Duration::from_secs(30), task).await.unwrap();
                assert!(ended.unwrap_err().is_cancelled());
            }
        });
    }
}
