//! Makes codings of the client's files, in the background: at a start while they are served as they are, and for a new
//! release while the old one is served. Other processes do the work where there are any (`compressor`).
//!
//! All in gzip first, which takes a second or two and which everybody can read, then in zstd, then in brotli, which
//! takes a minute; within each what the page needs first comes first.

use std::{
    num::NonZero,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use tokio::sync::mpsc::Receiver as AtWork;
use tracing::{debug, info, warn};

use super::{
    cache::Cache,
    coding::Coding,
    compressor::{Compressor, Encoder, Outside},
    content::Content,
    snapshot::Snapshot,
};

/// The order of the codings: first the one that is made quickly and that every client accepts, last the smallest.
const STAGES: [Coding; 3] = [Coding::Gzip, Coding::Zstd, Coding::Brotli];

/// Requests come first: this is the lowest priority there is. A process has that of the thread that starts it.
const NICE: i32 = 19;

/// The largest number of processes that compress. More would hardly finish earlier, because the largest file takes as
/// long in any case, and each process needs memory of its own.
const MOST_PROCESSES: usize = 4;

/// A coding that is to be made. The job is skipped if its content is dropped before.
struct Job {
    content: Weak<Content>,
    coding: Coding,
}

/// The share of the machine that compressing may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// One core is left free, and the work has the lowest priority on the others.
    Background,
    /// All cores at normal priority: somebody waits for the result.
    Full,
}

/// The running jobs. They stop when this is dropped.
pub(super) struct Making {
    shared: Arc<Shared>,
    /// A channel without messages that closes when the last worker ends; for callers that block.
    working: Receiver<()>,
    /// The same as `working`, for callers that do not block.
    at_work: AtWork<()>,
}

/// Held by each worker. The channels close when the last copy is dropped.
#[derive(Clone)]
struct Presence {
    _blocking: Sender<()>,
    _async: tokio::sync::mpsc::Sender<()>,
}

struct Shared {
    jobs: Vec<Job>,
    next: AtomicUsize,
    stopped: AtomicBool,
    /// The number of jobs that have ended, with or without a result.
    done: AtomicUsize,
    cache: Option<Cache>,
    /// The processes that compress. None: the gateway's own process compresses.
    outside: Option<Outside>,
    /// The snapshot that is compressed: its contents are in use when the cache is tidied at the end.
    snapshot: Weak<Snapshot>,
}

impl Making {
    /// Starts making every coding that the snapshot lacks.
    pub fn start(
        snapshot: &Arc<Snapshot>,
        cache: Option<Cache>,
        effort: Effort,
        compressor: Option<&Compressor>,
    ) -> Self {
        let contents = snapshot.to_code();
        let jobs: Vec<Job> = STAGES
            .into_iter()
            .flat_map(|coding| {
                let lacking = contents.iter().filter(move |content| content.lacks(coding));
                lacking.map(move |content| Job {
                    content: Arc::downgrade(content),
                    coding,
                })
            })
            .collect();
        let most = compressor.map_or(usize::MAX, |_| MOST_PROCESSES);
        let workers = effort.threads().min(jobs.len()).min(most);
        let shared = Arc::new(Shared {
            jobs,
            next: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            done: AtomicUsize::new(0),
            cache,
            outside: compressor.cloned().map(Outside::by),
            snapshot: Arc::downgrade(snapshot),
        });
        let (blocking, working) = mpsc::channel();
        let (at_work, at_work_until) = tokio::sync::mpsc::channel(1);
        let present = Presence {
            _blocking: blocking,
            _async: at_work,
        };
        for worker in 0..workers {
            let (shared, present) = (Arc::clone(&shared), present.clone());
            let work = move || {
                if effort == Effort::Background
                    && let Err(error) = rustix::process::nice(NICE)
                {
                    debug!(%error, "Compressing at the usual priority");
                }
                shared.work(worker);
                drop(present);
            };
            if let Err(error) = thread::Builder::new().name("compress".to_owned()).spawn(work) {
                warn!(%error, "No thread to compress the client's files");
            }
        }
        Self {
            shared,
            working,
            at_work: at_work_until,
        }
    }

    /// A value without jobs that counts as running until the second value is dropped.
    #[cfg(test)]
    pub fn endless(snapshot: &Arc<Snapshot>) -> (Self, impl Sized + use<>) {
        let mut making = Self::start(snapshot, None, Effort::Full, None);
        making.shared.stopped.store(true, Ordering::Relaxed);
        let (worker, at_work) = tokio::sync::mpsc::channel::<()>(1);
        making.at_work = at_work;
        (making, worker)
    }

    /// Could a coding not be written to the cache?
    pub fn cache_failed(&self) -> bool {
        self.shared.cache.as_ref().is_some_and(Cache::has_failed)
    }

    /// Waits until all jobs have ended.
    pub async fn ended(&mut self) {
        self.at_work.recv().await;
    }

    /// Waits at most `patience` for all jobs to end. Returns whether they have ended.
    pub fn wait(&self, patience: Duration) -> bool {
        self.working.recv_timeout(patience) != Err(RecvTimeoutError::Timeout)
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        if let Some(outside) = &self.shared.outside {
            outside.end();
        }
    }
}

impl Shared {
    fn work(&self, worker: usize) {
        let mut encoder = Encoder::new(self.outside.as_ref(), worker);
        while let Some(job) = self.take() {
            if let Some(content) = job.content.upgrade()
                && content.lacks(job.coding)
            {
                self.make(&content, job.coding, &mut encoder);
            }
            if self.done.fetch_add(1, Ordering::Relaxed) + 1 == self.jobs.len() {
                self.finish();
            }
        }
    }

    fn take(&self) -> Option<&Job> {
        if self.stopped.load(Ordering::Relaxed) {
            return None;
        }
        self.jobs.get(self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn make(&self, content: &Content, coding: Coding, encoder: &mut Encoder<'_>) {
        let plain = &content.plain().bytes;
        let mut coded = match encoder.encode(coding, plain) {
            Ok(coded) => coded,
            Err(_) if self.stopped.load(Ordering::Relaxed) => return,
            // Out of memory, at most: the file is served as it is.
            Err(error) => return warn!(%error, coding = coding.name(), "A file can't be compressed"),
        };
        if !is_worth_it(coded.len(), plain.len()) {
            coded = Vec::new();
        }
        if let Some(cache) = &self.cache {
            cache.keep(content.hash, coding, &coded);
        }
        content.learn(coding, (!coded.is_empty()).then(|| coded.into()));
    }

    fn finish(&self) {
        let Some(all) = self.snapshot.upgrade() else {
            return;
        };
        info!("Compressed the client's files: {}", all.stock());
        if let Some(cache) = &self.cache {
            let in_use = all.contents();
            cache.tidy(|content| in_use.contains_key(&content));
        }
    }
}

impl Effort {
    fn threads(self) -> usize {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        match self {
            Self::Background => cores.saturating_sub(1).max(1),
            Self::Full => cores,
        }
    }
}

/// Does the coding save at least a tenth? Less is not worth another copy in memory and the browser's work.
fn is_worth_it(coded: usize, plain: usize) -> bool {
    coded <= plain - plain / 10
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pseudo-random bytes: nothing makes them smaller.
    fn noise() -> Vec<u8> {
        let mut state = 1_u32;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        std::iter::repeat_with(next).take(500).collect()
    }

    fn shared(content: &Arc<Content>) -> Shared {
        Shared {
            jobs: vec![Job {
                content: Arc::downgrade(content),
                coding: Coding::Gzip,
            }],
            next: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            done: AtomicUsize::new(0),
            cache: None,
            outside: None,
            snapshot: Weak::new(),
        }
    }

    #[test]
    fn what_saves_too_little_is_not_kept() {
        assert!(is_worth_it(90, 100) && !is_worth_it(91, 100) && !is_worth_it(200, 100));
        assert!(is_worth_it(0, 0));
        let content = Content::new(noise());
        shared(&content).work(0);
        assert!(!content.lacks(Coding::Gzip));
        assert_eq!(content.forms().count(), 0);
    }

    #[test]
    fn nothing_is_made_twice() {
        let content = Content::new(b"0123456789".repeat(100));
        content.learn(Coding::Gzip, Some("from elsewhere".into()));
        let shared = shared(&content);
        shared.work(0);
        assert_eq!(content.forms().next().unwrap().bytes, "from elsewhere");
        assert_eq!(shared.done.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn nobody_works_for_what_is_gone() {
        let shared = shared(&Content::new(noise()));
        shared.work(0);
        assert_eq!(shared.done.load(Ordering::Relaxed), 1);
        shared.next.store(0, Ordering::Relaxed);
        shared.stopped.store(true, Ordering::Relaxed);
        assert!(shared.take().is_none());
    }
}
