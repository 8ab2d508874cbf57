//! Stopping in steps: it is told, then nothing new is taken, then WebSockets are closed one after the other, and at the
//! deadline what is left is closed.
//!
//! With a successor nobody is in a hurry: nothing new is taken, and what is there may stay for long.
//!
//! Every task that must not be cut off is spawned through `Drain::spawn`. The gateway waits for all of them before it
//! ends.

use std::{
    future::Future,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, task::JoinError, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The shared state of an orderly stop. Clones are the same drain.
#[derive(Clone, Debug, Default)]
pub struct Drain(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    leaving: CancellationToken,
    draining: CancellationToken,
    closing: CancellationToken,
    in_turn: InTurn,
    fault: OnceLock<String>,
    failed: CancellationToken,
    tasks: TaskTracker,
}

/// Those who are closed one after the other, and not in one moment, so that they do not come back in one.
#[derive(Debug, Default)]
struct InTurn {
    begun: CancellationToken,
    /// The time from the first close to the last.
    window: OnceLock<Duration>,
    next: AtomicU32,
    handed_over: AtomicBool,
}

/// The time for sockets to close after the deadline, so that close frames can be sent.
const CLOSING_GRACE: Duration = Duration::from_secs(2);

/// The time before the deadline at which the last WebSocket closes. A client answers a Close frame within a round trip.
const LAST_GOODBYE: Duration = Duration::from_secs(1);

/// 2^32 divided by the golden ratio: multiples of it, cut to 32 bits, are spread evenly however many there are.
const GOLDEN: u32 = 2_654_435_769;

impl Drain {
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.tasks.spawn(task);
    }

    pub fn spawn_on(&self, runtime: &Handle, task: impl Future<Output = ()> + Send + 'static) {
        self.0.tasks.spawn_on(task, runtime);
    }

    /// As `spawn`, for what has to run until nothing new is taken: its end before that, or a panic, is a fault.
    pub fn spawn_watched(&self, what: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.0.tasks.spawn(self.clone().watch(what, task));
    }

    /// As `spawn_watched`, for what another may have taken the place of by its end, which is no fault then.
    pub fn spawn_watched_until(
        &self,
        what: &'static str,
        replaced: CancellationToken,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let drain = self.clone();
        self.0.tasks.spawn(async move {
            let ended = tokio::spawn(task).await;
            drain.judge(what, &ended, replaced.is_cancelled());
        });
    }

    /// The same for a task that no drain waits for.
    pub async fn watch(self, what: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let ended = tokio::spawn(task).await;
        self.judge(what, &ended, false);
    }

    fn judge(&self, what: &str, ended: &Result<(), JoinError>, is_replaced: bool) {
        let may_end = is_replaced || self.is_draining();
        if !may_end || ended.as_ref().is_err_and(JoinError::is_panic) {
            self.fail(what);
        }
    }

    /// Something without which the gateway serves nobody any more has ended.
    pub fn fail(&self, what: &str) {
        self.0.fault.set(what.to_owned()).ok();
        self.0.failed.cancel();
    }

    /// What has ended first, if anything has.
    pub fn fault(&self) -> Option<&str> {
        self.0.fault.get().map(String::as_str)
    }

    /// Resolves when something has.
    pub async fn failed(&self) -> &str {
        self.0.failed.cancelled().await;
        self.fault().unwrap_or_default()
    }

    /// Resolves when nothing new may be accepted.
    pub async fn draining(&self) {
        self.0.draining.cancelled().await;
    }

    /// Resolves when everything has to close.
    pub async fn closing(&self) {
        self.0.closing.cancelled().await;
    }

    /// Resolves when it is this one's turn to close, at the latest when all have to. Whoever asks has one turn.
    pub async fn closing_in_turn(&self) {
        self.0.in_turn.begun.cancelled().await;
        // In a box, as everybody waits for the turns to begin, and nobody for long after that.
        Box::pin(async {
            let nth = self.0.in_turn.next.fetch_add(1, Ordering::Relaxed);
            let window = self.0.in_turn.window.get().copied().unwrap_or_default();
            // The first to ask is the last to go: one alone has all the time there is.
            let early = f64::from(nth.wrapping_mul(GOLDEN)) / f64::from(u32::MAX);
            tokio::select! {
                () = sleep(window.saturating_sub(window.mul_f64(early))) => {}
                () = self.closing() => {}
            }
        })
        .await;
    }

    pub fn is_draining(&self) -> bool {
        self.0.draining.is_cancelled()
    }

    /// Is it known that it stops?
    pub fn is_leaving(&self) -> bool {
        self.0.leaving.is_cancelled()
    }

    /// Does somebody else take what is new?
    pub fn is_handed_over(&self) -> bool {
        self.0.in_turn.handed_over.load(Ordering::Relaxed)
    }

    /// Says that it stops, and goes on for now.
    pub fn leave(&self) {
        self.0.leaving.cancel();
    }

    /// Begins the drain: nothing new is accepted.
    pub fn begin(&self) {
        self.leave();
        self.0.draining.cancel();
        self.0.tasks.close();
    }

    /// Takes nothing new from here on, as somebody else does.
    pub fn hand_over(&self) {
        self.0.in_turn.handed_over.store(true, Ordering::Relaxed);
        self.begin();
    }

    /// Tells all tasks that are left to close their connections now.
    pub fn close(&self) {
        self.begin();
        self.0.closing.cancel();
        self.0.in_turn.begun.cancel();
    }

    /// Waits for all tasks, and closes nothing. Says whether all have ended in this time.
    pub async fn wait(&self, deadline: Duration) -> bool {
        self.begin();
        tokio::time::timeout(deadline, self.0.tasks.wait()).await.is_ok()
    }

    /// Waits for all tasks. Those that have turns close until the deadline, and then the remaining ones are told to close.
    /// Returns whether all ended by themselves.
    pub async fn finish(&self, deadline: Duration) -> bool {
        self.begin();
        self.0.in_turn.window.set(window_within(deadline)).ok();
        self.0.in_turn.begun.cancel();
        tokio::select! {
            () = self.0.tasks.wait() => return true,
            () = self.0.closing.cancelled() => {}
            () = sleep(deadline) => {}
        }
        self.close();
        // Whatever is later still goes down with the runtime.
        tokio::time::timeout(CLOSING_GRACE, self.0.tasks.wait())
            .await
            .ok();
        false
    }
}

/// The last whose turn it is has time to answer a Close frame before the deadline: what is open then is cut off.
fn window_within(deadline: Duration) -> Duration {
    deadline.saturating_sub(LAST_GOODBYE.min(deadline / 10))
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

    #[tokio::test]
    async fn the_end_of_what_has_to_run_is_a_fault_and_its_end_in_a_drain_is_none() {
        let (panics, ends, stops) = (Drain::default(), Drain::default(), Drain::default());
        panics.spawn_watched("one", async { panic!("a fault") });
        assert_eq!(panics.failed().await, "one");
        ends.spawn_watched("two", async {});
        assert_eq!(ends.failed().await, "two");
        let until = stops.clone();
        stops.spawn_watched("three", async move { until.draining().await });
        assert!(stops.finish(Duration::from_secs(20)).await);
        assert_eq!(stops.fault(), None);
    }

    #[tokio::test]
    async fn the_end_of_what_another_has_replaced_is_no_fault_and_its_panic_is_one() {
        let (drain, replaced) = (Drain::default(), CancellationToken::new());
        let until = replaced.clone();
        drain.spawn_watched_until("one", replaced.clone(), async move { until.cancelled().await });
        replaced.cancel();
        assert!(drain.finish(Duration::from_secs(20)).await);
        assert_eq!(drain.fault(), None);
        drain.spawn_watched_until("two", replaced, async { panic!("a fault") });
        assert_eq!(drain.failed().await, "two");
        let ends = Drain::default();
        ends.spawn_watched_until("three", CancellationToken::new(), async {});
        assert_eq!(ends.failed().await, "three");
    }

    /// When each of so many that have turns closes, in seconds.
    async fn closed_at(many: usize, deadline: Duration) -> Vec<u64> {
        let (drain, (told, mut times)) = (Drain::default(), tokio::sync::mpsc::unbounded_channel());
        let started = tokio::time::Instant::now();
        for _ in 0..many {
            let (task, told) = (drain.clone(), told.clone());
            drain.spawn(async move {
                task.closing_in_turn().await;
                told.send(started.elapsed().as_secs()).unwrap();
            });
        }
        drop(told);
        drain.finish(deadline).await;
        let mut all = Vec::new();
        while let Some(at) = times.recv().await {
            all.push(at);
        }
        all
    }

    #[tokio::test(start_paused = true)]
    async fn turns_are_spread_over_the_time_but_for_its_end() {
        let all = closed_at(290, Duration::from_secs(30)).await;
        assert_eq!(all.len(), 290);
        for second in 0..29 {
            let now = all.iter().filter(|at| **at == second).count();
            assert!((8..=12).contains(&now), "{now} close in second {second}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_closes_in_turn_has_ended_by_itself() {
        for seconds in [1, 5, 30] {
            let drain = Drain::default();
            let task = drain.clone();
            drain.spawn(async move {
                task.closing_in_turn().await;
                // For the other side's Close frame.
                sleep(Duration::from_millis(50)).await;
            });
            assert!(drain.finish(Duration::from_secs(seconds)).await, "{seconds} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_alone_has_all_the_time_and_without_time_all_close_at_once() {
        assert_eq!(closed_at(1, Duration::from_secs(30)).await, [29]);
        assert_eq!(closed_at(3, Duration::ZERO).await, [0; 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_have_to_close_nobody_waits_for_a_turn() {
        let drain = Drain::default();
        drain.close();
        drain.closing_in_turn().await;
        let begun = Drain::default();
        begun.0.in_turn.window.set(Duration::from_secs(30)).unwrap();
        begun.0.in_turn.begun.cancel();
        let started = tokio::time::Instant::now();
        tokio::join!(begun.closing_in_turn(), async { begun.close() });
        assert_eq!(started.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_handover_nobody_is_told_to_close_until_the_end_of_the_wait() {
        let drain = Drain::default();
        drain.leave();
        assert!(drain.is_leaving() && !drain.is_draining());
        let task = drain.clone();
        drain.spawn(async move { task.closing_in_turn().await });
        drain.hand_over();
        assert!(drain.is_draining() && drain.is_handed_over());
        assert!(!drain.wait(Duration::from_secs(12 * 60 * 60)).await);
        let started = tokio::time::Instant::now();
        drain.finish(Duration::from_secs(30)).await;
        assert_eq!(started.elapsed(), Duration::from_secs(29));
    }
}
