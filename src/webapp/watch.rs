//! Replaces the release that is served by a newer one while the gateway runs.
//!
//! Names, sizes and times on disk are compared every few seconds. This works on every file system, also on network and
//! container mounts, where notifications do not. A change is read only if nothing changed from one check to the next,
//! so that no half copy is read. An operator who asks for a check by a signal says that the copy is complete.
//!
//! The old release is served until the new one is compressed: uncompressed files would take four times as long for
//! everybody who comes in the first minute.

use std::{
    future,
    pin::Pin,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use tokio::{
    task::spawn_blocking,
    time::{Interval, MissedTickBehavior, Sleep, interval, sleep},
};
use tracing::{error, info, warn};

use super::{WebApp, WebAppProblem, cache, known::Known, making::Making, snapshot::Snapshot, source};
use crate::drain::Drain;

/// How long the old release stays for the sake of the new one's compressed forms. One core needs some 40 s for all of them.
const FORMS_PATIENCE: Duration = Duration::from_secs(60);

/// A release that has been read and is not served yet.
struct Coming {
    snapshot: Arc<Snapshot>,
    making: Making,
    at_the_latest: Pin<Box<Sleep>>,
}

/// The result of comparing what is on disk with what is served.
enum Found {
    /// Nothing new: it is served already, or about to be served.
    Nothing,
    /// A release that is neither served nor about to be served.
    New(Arc<Snapshot>),
    /// The release that is served: another one was about to replace it, and is gone.
    Withdrawn,
}

impl WebApp {
    /// Asks for a check of what is on disk, soon.
    pub fn ask_for_new(&self) {
        self.asked.notify_one();
    }

    /// Looks for new releases until the gateway stops.
    pub fn watch(self: Arc<Self>, drain: &Drain) {
        let (stop, replaced) = (drain.clone(), self.replaced.clone());
        drain.spawn_watched_until("watcher of the client's files", replaced, async move {
            tokio::select! {
                () = stop.draining() => {}
                () = self.replaced.cancelled() => {}
                () = Arc::clone(&self).look_again_and_again() => {}
            }
            self.stop_making();
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
        let mut coming: Option<Coming> = None;
        loop {
            let is_asked = tokio::select! {
                () = ready(&mut coming) => {
                    if let Some(coming) = coming.take() {
                        self.serve(coming);
                    }
                    continue;
                }
                () = next(&mut ticks) => false,
                () = self.asked.notified() => true,
            };
            let files = Arc::clone(&self);
            let known_coming = coming.as_ref().map(|coming| Arc::clone(&coming.snapshot));
            let look = spawn_blocking(move || files.look(seen, is_asked, known_coming.as_deref())).await;
            match look {
                Ok((now, found)) => {
                    seen = now;
                    match found {
                        Found::Nothing => {}
                        Found::New(release) => coming = Some(self.prepare_for(release)),
                        Found::Withdrawn => {
                            coming = None;
                            self.compress();
                        }
                    }
                }
                Err(error) => error!(%error, "Looking for a new client broke off"),
            }
        }
    }

    /// Checks what is on disk. Reads it if it is new and did not change since the last check, or if somebody asked.
    /// Returns its fingerprint and the result. Blocks the thread.
    fn look(&self, seen: u64, is_asked: bool, coming: Option<&Snapshot>) -> (u64, Found) {
        let now = source::fingerprint(&self.settings);
        let is_new = now != self.read_at.load(Ordering::Relaxed);
        if !(is_asked || is_new && now == seen) {
            return (now, Found::Nothing);
        }
        let found = match self.read_again(now, coming) {
            Ok(Found::Nothing) if is_asked => {
                info!("The client is the same as before");
                Found::Nothing
            }
            Ok(found) => found,
            Err(WebAppProblem::Changing) => {
                info!("The client is being written; it is taken up when that is over");
                return (now, Found::Nothing);
            }
            Err(problem) => {
                warn!("Refused a new client, the old one stays: {problem}");
                Found::Nothing
            }
        };
        // Once is enough, whatever came of it.
        self.read_at.store(now, Ordering::Relaxed);
        (now, found)
    }

    /// Reads the newest build whole. An error changes nothing that is served.
    fn read_again(&self, now: u64, coming: Option<&Snapshot>) -> Result<Found, WebAppProblem> {
        let before = self.snapshot.load();
        let mut contents = before.contents();
        contents.extend(coming.map(Snapshot::contents).unwrap_or_default());
        let new = Snapshot::read(
            &self.settings,
            &Known::new(contents, cache(&self.settings)),
            Some(&before),
        )?;
        if source::fingerprint(&self.settings) != now {
            return Err(WebAppProblem::Changing);
        }
        Ok(match coming {
            Some(coming) if new.is_as(coming) => Found::Nothing,
            Some(_) if new.is_as(&before) => Found::Withdrawn,
            None if new.is_as(&before) => Found::Nothing,
            Some(_) | None => Found::New(Arc::new(new)),
        })
    }

    /// Starts compressing a new release, and stops compressing the old one.
    fn prepare_for(&self, release: Arc<Snapshot>) -> Coming {
        info!("Found a new client; it is served when it is compressed");
        self.stop_making();
        Coming {
            making: self.start_making(&release),
            snapshot: release,
            at_the_latest: Box::pin(sleep(FORMS_PATIENCE)),
        }
    }

    fn serve(&self, Coming { snapshot, making, .. }: Coming) {
        info!("Took up a new client: {}", snapshot.stock());
        self.snapshot.store(snapshot);
        *self.making.lock().unwrap_or_else(PoisonError::into_inner) = Some(making);
    }
}

/// Waits until the release that is about to be served is compressed, or until `FORMS_PATIENCE` has passed.
async fn ready(coming: &mut Option<Coming>) {
    match coming {
        Some(Coming {
            making,
            at_the_latest,
            ..
        }) => {
            tokio::select! {
                () = making.ended() => {}
                () = at_the_latest => {}
            }
        }
        None => future::pending().await,
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

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::webapp::WebAppSettings;

    fn files(folder: &TempDir) -> WebApp {
        std::fs::write(folder.path().join("index.html"), "<head></head>").unwrap();
        let mut settings = WebAppSettings::new(
            "https://a.example".to_owned(),
            String::new(),
            serde_json::Map::new(),
        )
        .unwrap();
        settings.path = Some(folder.path().to_owned());
        WebApp::load(settings).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_release_whose_forms_take_too_long_is_served_as_it_is() {
        let folder = TempDir::new().unwrap();
        let files = files(&folder);
        let began = tokio::time::Instant::now();
        let (making, _worker) = Making::endless(&files.snapshot.load());
        let mut coming = Some(Coming {
            making,
            snapshot: Arc::clone(&files.snapshot.load()),
            at_the_latest: Box::pin(sleep(FORMS_PATIENCE)),
        });
        ready(&mut coming).await;
        assert_eq!(began.elapsed().as_secs(), FORMS_PATIENCE.as_secs());
    }
}
