//! Worker threads, each with a runtime of its own. A connection stays on one of them with all its tasks, so that these
//! share nothing with other threads, need no locks and wake no other thread.
//!
//! No task may block, because all other tasks on the same thread would wait.

use std::{
    io,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::{
    runtime::{Builder, Handle},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// The running worker threads. They end, with all their tasks, when this is dropped.
#[derive(Debug)]
pub struct Workers {
    each: Vec<Worker>,
    turn: AtomicUsize,
    ended: CancellationToken,
}

#[derive(Debug)]
struct Worker {
    name: String,
    runtime: Handle,
    connections: Arc<AtomicUsize>,
}

/// Counts one client connection or WebSocket on a worker until it is dropped.
#[derive(Debug)]
pub struct Load(Arc<AtomicUsize>);

impl Workers {
    /// Starts the threads. The system lists them under this name.
    pub fn start(name: &str, threads: NonZeroUsize) -> io::Result<Self> {
        let mut workers = Self {
            each: Vec::with_capacity(threads.get()),
            turn: AtomicUsize::default(),
            ended: CancellationToken::new(),
        };
        for number in 0..threads.get() {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let name = format!("{name}-{number}");
            workers.each.push(Worker {
                name: name.clone(),
                runtime: runtime.handle().clone(),
                connections: Arc::default(),
            });
            let ended = workers.ended.clone();
            thread::Builder::new()
                .name(name)
                .spawn(move || runtime.block_on(ended.cancelled()))?;
        }
        Ok(workers)
    }

    /// The runtime with the fewest connections of clients, and one more on it. Tasks are no measure: an idle connection to
    /// an upstream is a task too. Among equals each has its turn.
    pub fn least_busy(&self) -> Option<(&Handle, Load)> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.each.len().max(1);
        let (before, from_turn) = self.each.split_at_checked(turn)?;
        let in_turn = from_turn.iter().chain(before);
        let worker = in_turn.min_by_key(|worker| worker.connections.load(Ordering::Relaxed))?;
        worker.connections.fetch_add(1, Ordering::Relaxed);
        Some((&worker.runtime, Load(Arc::clone(&worker.connections))))
    }

    pub fn count(&self) -> usize {
        self.each.len()
    }

    /// The name of a thread that has not run a task within this time, and so serves nobody; none if all have.
    pub async fn silent(&self, within: Duration) -> Option<&str> {
        let asked: Vec<_> = self
            .each
            .iter()
            .map(|worker| (worker.name.as_str(), worker.runtime.spawn(async {})))
            .collect();
        let until = Instant::now() + within;
        for (name, task) in asked {
            if !matches!(timeout_at(until, task).await, Ok(Ok(()))) {
                return Some(name);
            }
        }
        None
    }

    /// The first worker's runtime, for tasks that belong to no client.
    pub fn first(&self) -> Option<&Handle> {
        self.each.first().map(|worker| &worker.runtime)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, sync::mpsc};

    use super::*;

    fn three() -> Workers {
        Workers::start("test", NonZeroUsize::new(3).unwrap()).unwrap()
    }

    fn connections(workers: &Workers) -> Vec<usize> {
        let of = |worker: &Worker| worker.connections.load(Ordering::Relaxed);
        workers.each.iter().map(of).collect()
    }

    /// What blocks a thread, and what ends one.
    #[tokio::test]
    async fn a_thread_that_runs_nothing_is_seen_by_its_name() {
        let workers = three();
        assert_eq!(workers.silent(Duration::from_secs(20)).await, None);
        let (release, blocked) = mpsc::channel::<()>();
        workers.each[1].runtime.spawn(async move { blocked.recv().ok() });
        assert_eq!(workers.silent(Duration::from_millis(200)).await, Some("test-1"));
        drop(release);
        assert_eq!(workers.silent(Duration::from_secs(20)).await, None);
        workers.each[2]
            .runtime
            .spawn(async { panic!("a task's own affair") });
        assert_eq!(workers.silent(Duration::from_secs(20)).await, None);
        workers.ended.cancel();
        assert_eq!(workers.silent(Duration::from_secs(20)).await, Some("test-0"));
    }

    #[test]
    fn connections_go_to_whoever_has_the_fewest_and_end_with_the_workers() {
        let workers = three();
        let mut loads = Vec::new();
        let tasks: Vec<_> = (0..9)
            .map(|_| {
                let (runtime, load) = workers.least_busy().unwrap();
                loads.push(load);
                runtime.spawn(pending::<()>())
            })
            .collect();
        assert_eq!(connections(&workers), [3, 3, 3]);
        loads.clear();
        assert_eq!(connections(&workers), [0, 0, 0]);

        drop(workers);
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            for task in tasks {
                let ended = tokio::time::timeout(Duration::from_secs(30), task).await.unwrap();
                assert!(ended.unwrap_err().is_cancelled());
            }
        });
    }

    /// After a burst one thread has many idle connections to upstreams left, each a task of its own.
    #[test]
    fn tasks_that_are_no_connections_of_clients_do_not_count() {
        let workers = three();
        for _ in 0..100 {
            workers.first().unwrap().spawn(pending::<()>());
        }
        let loads: Vec<_> = (0..30).map(|_| workers.least_busy().unwrap().1).collect();
        assert_eq!(connections(&workers), [10, 10, 10]);
        drop(loads);
    }

    #[test]
    fn who_comes_one_after_the_other_goes_round() {
        let workers = three();
        let tasks = |worker: &Worker| worker.runtime.metrics().num_alive_tasks();
        for _ in 0..6 {
            let (runtime, load) = workers.least_busy().unwrap();
            runtime.spawn(pending::<()>());
            drop(load);
        }
        assert_eq!(workers.each.iter().map(tasks).collect::<Vec<_>>(), [2, 2, 2]);
    }
}
