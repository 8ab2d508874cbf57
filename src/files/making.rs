//! Makes codings of the client's files, in the background while they are served as they are.
//!
//! All in gzip first, which takes a second or two and which everybody can read, then in zstd, then in brotli, which
//! takes a minute; within each what the page needs first comes first.

use std::{
    num::NonZero,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use tracing::{debug, info, warn};

use super::{coding::Coding, content::Content};

/// From what is quick and known to all to what is small.
const STAGES: [Coding; 3] = [Coding::Gzip, Coding::Zstd, Coding::Brotli];

/// Requests come first: this is the lowest priority there is.
const NICE: i32 = 19;

/// A coding that is to be made, unless the file is gone by then.
struct Job {
    content: Weak<Content>,
    coding: Coding,
}

/// How much of the machine it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// A core stays free, and the rest is taken only while nobody else wants it.
    Background,
    /// All there is.
    Full,
}

/// Jobs under way; they end with it.
pub(super) struct Making {
    shared: Arc<Shared>,
    /// Says nothing, and ends with the last worker.
    working: Receiver<()>,
}

struct Shared {
    jobs: Vec<Job>,
    next: AtomicUsize,
    stopped: AtomicBool,
    /// What was made.
    count: AtomicUsize,
    bytes: AtomicUsize,
}

impl Making {
    /// Begins; `contents` are in the order of their importance.
    pub fn start(contents: &[Arc<Content>], effort: Effort) -> Self {
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
        let workers = effort.threads().min(jobs.len());
        let shared = Arc::new(Shared {
            jobs,
            next: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            count: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        });
        let (until_end, working) = mpsc::channel();
        for _ in 0..workers {
            let (shared, until_end) = (Arc::clone(&shared), until_end.clone());
            let work = move || {
                if effort == Effort::Background
                    && let Err(error) = rustix::process::nice(NICE)
                {
                    debug!(%error, "Compressing at the usual priority");
                }
                shared.work();
                drop(until_end);
            };
            if let Err(error) = thread::Builder::new().name("compress".to_owned()).spawn(work) {
                warn!(%error, "No thread to compress the client's files");
            }
        }
        Self { shared, working }
    }

    /// Waits until all is made, no longer than this. Says whether it is.
    pub fn wait(&self, patience: Duration) -> bool {
        self.working.recv_timeout(patience) != Err(RecvTimeoutError::Timeout)
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn work(&self) {
        while let Some(job) = self.take() {
            if let Some(content) = job.content.upgrade()
                && content.lacks(job.coding)
            {
                self.make(&content, job.coding);
            }
        }
    }

    fn take(&self) -> Option<&Job> {
        if self.stopped.load(Ordering::Relaxed) {
            return None;
        }
        self.jobs.get(self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn make(&self, content: &Content, coding: Coding) {
        let plain = &content.plain().bytes;
        match coding.encode(plain) {
            Ok(coded) => {
                let coded = is_worth_it(coded.len(), plain.len()).then_some(coded);
                let bytes = coded.as_ref().map_or(0, Vec::len);
                content.learn(coding, coded.map(Into::into));
                self.bytes.fetch_add(bytes, Ordering::Relaxed);
                if self.count.fetch_add(1, Ordering::Relaxed) + 1 == self.jobs.len() {
                    let bytes = self.bytes.load(Ordering::Relaxed);
                    info!(variants = self.jobs.len(), bytes, "Compressed the client's files");
                }
            }
            // Out of memory, at most: the file is served as it is.
            Err(error) => warn!(%error, coding = coding.name(), "A file can't be compressed"),
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

/// A tenth at least: less is not worth another copy in memory and the browser's work.
fn is_worth_it(coded: usize, plain: usize) -> bool {
    coded <= plain - plain / 10
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn script() -> Arc<Content> {
        Content::new(b"export const a = () => import('./b.js');\n".repeat(100))
    }

    /// Pseudo-random bytes: nothing makes them smaller.
    fn noise() -> Arc<Content> {
        let bytes = (0..500_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1] ^ n.to_le_bytes()[0]);
        Content::new(bytes.collect())
    }

    #[test]
    fn every_coding_of_every_content_is_made_once() {
        let contents = [script(), noise()];
        let making = Making::start(&contents, Effort::Full);
        assert!(making.wait(LONG));
        assert_eq!(making.shared.count.load(Ordering::Relaxed), 6);
        for content in &contents {
            assert!(Coding::ALL.iter().all(|coding| !content.lacks(*coding)));
        }
        let again = Making::start(&contents, Effort::Background);
        assert!(again.shared.jobs.is_empty() && again.wait(LONG));
    }

    #[test]
    fn what_saves_too_little_is_not_kept() {
        assert!(is_worth_it(90, 100) && !is_worth_it(91, 100) && !is_worth_it(200, 100));
        assert!(is_worth_it(0, 0));
    }

    #[test]
    fn nobody_works_for_what_is_gone() {
        let shared = Shared {
            jobs: vec![Job {
                content: Arc::downgrade(&script()),
                coding: Coding::Gzip,
            }],
            next: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            count: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        };
        shared.work();
        assert_eq!(shared.count.load(Ordering::Relaxed), 0);
        shared.next.store(0, Ordering::Relaxed);
        shared.stopped.store(true, Ordering::Relaxed);
        assert!(shared.take().is_none());
    }
}
