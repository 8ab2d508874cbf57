//! A new release takes the place of the old one while the gateway runs.
//!
//! Looked for by names, sizes and times, every few seconds: that works on any file system, network and container mounts
//! included, where notifications do not. What changes is left alone until it has rested from one look to the next, so
//! that no copy is taken half; whoever asks by a signal says that it is whole.

use std::{
    future,
    sync::{Arc, atomic::Ordering},
};

use tokio::{
    task::spawn_blocking,
    time::{Interval, MissedTickBehavior, interval},
};
use tracing::{error, info, warn};

use super::{ClientFiles, FilesProblem, cache, release::Known, shelf::Shelf, source};
use crate::drain::Drain;

impl ClientFiles {
    /// Reads again what is on disk, soon.
    pub fn ask_for_new(&self) {
        self.asked.notify_one();
    }

    /// Looks for new releases until the gateway stops.
    pub fn watch(self: Arc<Self>, drain: &Drain) {
        let stop = drain.clone();
        drain.spawn(async move {
            tokio::select! {
                () = stop.draining() => {}
                () = self.look_again_and_again() => {}
            }
        });
    }

    async fn look_again_and_again(self: Arc<Self>) {
        let on_disk = self.settings.path.is_some() || self.settings.config_file.is_some();
        let mut ticks = self.settings.watch.filter(|_| on_disk).map(|every| {
            let mut ticks = interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        let mut seen = self.read_at.load(Ordering::Relaxed);
        loop {
            let is_asked = tokio::select! {
                () = next(&mut ticks) => false,
                () = self.asked.notified() => true,
            };
            let files = Arc::clone(&self);
            let look = spawn_blocking(move || files.look(seen, is_asked)).await;
            match look {
                Ok(now) => seen = now,
                Err(error) => error!(%error, "Looking for a new client broke off"),
            }
        }
    }

    /// Takes up what is there, if it is new and has rested. Says what was seen. Blocks.
    fn look(&self, seen: u64, is_asked: bool) -> u64 {
        let now = source::fingerprint(&self.settings);
        let is_new = now != self.read_at.load(Ordering::Relaxed);
        if !(is_asked || is_new && now == seen) {
            return now;
        }
        match self.take_up(now) {
            Ok(None) if is_asked => info!("The client is the same as before"),
            Ok(None) => {}
            Ok(Some(new)) => {
                info!("Took up a new client: {}", new.stock());
                self.compress();
            }
            Err(FilesProblem::Changing) => {
                info!("The client is being written; it is taken up when that is over");
                return now;
            }
            Err(problem) => warn!("Refused a new client, the old one stays: {problem}"),
        }
        // Once is enough, whatever came of it.
        self.read_at.store(now, Ordering::Relaxed);
        now
    }

    /// All of it, or nothing. None: it makes no difference.
    fn take_up(&self, now: u64) -> Result<Option<Arc<Shelf>>, FilesProblem> {
        let before = self.shelf.load();
        let known = Known::new(before.contents(), cache(&self.settings));
        let new = Shelf::read(&self.settings, &known, Some(&before))?;
        if source::fingerprint(&self.settings) != now {
            return Err(FilesProblem::Changing);
        }
        if new.is_as(&before) {
            return Ok(None);
        }
        let new = Arc::new(new);
        self.shelf.store(Arc::clone(&new));
        Ok(Some(new))
    }
}

async fn next(ticks: &mut Option<Interval>) {
    match ticks {
        Some(ticks) => {
            ticks.tick().await;
        }
        None => future::pending().await,
    }
}
