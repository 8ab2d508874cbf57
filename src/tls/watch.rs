//! New certificates take the place of the old ones while the gateway runs.
//!
//! Looked for by names, sizes and times, every few seconds, and on a signal at once. What changes is left alone until it has
//! rested from one look to the next, as chain and key are two files. The new set is checked whole and then serves all new
//! handshakes, in one step; no connection ends. What is wrong is told once, and the old set stays.
//!
//! The same looks tell who is near their end, and keep the metric of it.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tracing::{error, info, warn};

use super::{Served, Shared, Tls, age::Stage, store::CertificateFile};
use crate::{clock::Clock, drain::Drain, observe::Metrics};

/// The time between two looks at the folder.
const LOOK_EVERY: Duration = Duration::from_secs(5);

impl Tls {
    /// Reads the certificates again, soon.
    pub fn ask_for_new(&self) {
        self.shared.asked.notify_one();
    }

    /// Looks for new certificates until the gateway stops.
    pub fn watch(&self, clock: Clock, metrics: Arc<Metrics>, drain: &Drain) {
        let (shared, stop) = (Arc::clone(&self.shared), drain.clone());
        drain.spawn_watched("watcher of certificates", async move {
            tokio::select! {
                () = stop.draining() => {}
                () = look_again_and_again(shared, clock, metrics) => {}
            }
        });
    }
}

async fn look_again_and_again(shared: Arc<Shared>, clock: Clock, metrics: Arc<Metrics>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut settings, mut seen) = {
        let served = shared.current.load();
        (served.settings.clone(), Arc::clone(&served.read_at))
    };
    let mut read = Arc::clone(&seen);
    let mut told = Told::default();
    // A start tells all but the worst itself.
    told.ages(&shared, clock.unix(), |age| matches!(age, Stage::Over(_)));
    metrics.certificates(&shared.current.load().ends(clock.unix()));
    loop {
        let now = clock.unix();
        told.ages(&shared, now, |_| true);
        let is_asked = tokio::select! {
            _ = ticks.tick() => false,
            () = shared.asked.notified() => true,
        };
        let served = shared.current.load_full();
        if settings.certs != served.settings.certs {
            settings = served.settings.clone();
            seen = Arc::clone(&served.read_at);
            read = Arc::clone(&seen);
        }
        drop(served);
        let look_at = settings.clone();
        let Ok(found) = spawn_blocking(move || Arc::new(look_at.fingerprint())).await else {
            continue;
        };
        let has_rested = found == seen;
        seen = Arc::clone(&found);
        if !is_asked && (!has_rested || found == read) {
            continue;
        }
        read = found;
        let (reader, now) = (Arc::clone(&shared), clock.unix());
        match spawn_blocking(move || reader.read_again(now)).await {
            Ok(refused) => {
                told.refused(refused);
                metrics.certificates(&shared.current.load().ends(now));
            }
            Err(error) => error!(%error, "Reading the certificates broke off"),
        }
    }
}

impl Shared {
    /// Takes up what lies in the folder. Says what was refused of it, by file. Blocks.
    fn read_again(&self, now: i64) -> Vec<String> {
        let old = self.current.load_full();
        let (next, aside) =
            match old.next_of_each(&old.settings.certs, old.settings.acme.as_deref(), &old.names, now) {
                Ok(next) => next,
                Err(problems) => return problems.iter().map(ToString::to_string).collect(),
            };
        let is_new = !next.is_as(&old);
        if is_new {
            for file in next.files() {
                info!("Serving a certificate: {file}");
            }
            for warning in next
                .warnings()
                .iter()
                .filter(|warning| !old.warnings().contains(warning))
            {
                warn!("{warning}");
            }
            let next = Served {
                store: Arc::new(next),
                settings: old.settings.clone(),
                names: old.names.clone(),
                read_at: Arc::clone(&old.read_at),
            };
            // Other settings may have been taken up meanwhile, and their folder with them.
            self.current.compare_and_swap(&old, Arc::new(next));
            self.judge();
        }
        aside.iter().map(ToString::to_string).collect()
    }
}

/// What has been told, so that it is told once.
#[derive(Default)]
struct Told {
    refused: Vec<String>,
    ages: BTreeMap<PathBuf, Stage>,
}

impl Told {
    fn refused(&mut self, now: Vec<String>) {
        for refused in now.iter().filter(|line| !self.refused.contains(line)) {
            warn!("Refused a new certificate, the old one stays: {refused}");
        }
        self.refused = now;
    }

    /// Tells of those that have come into another stage of their life, and are wanted.
    fn ages(&mut self, shared: &Shared, now: i64, is_wanted: impl Fn(Stage) -> bool) {
        let store = shared.current.load();
        let mut ages = BTreeMap::new();
        for (pair, stage) in store.stages(now) {
            let is_news = self.ages.get(&pair.file).is_none_or(|told| *told < stage);
            if is_news && is_wanted(stage) {
                let file = CertificateFile::of(pair);
                match stage {
                    Stage::Young => {}
                    Stage::Over(_) if pair.leaf.covers(&store.names.public) => {
                        error!("The certificate of the public host has expired, browsers refuse it: {file}");
                    }
                    Stage::Over(_) => warn!("A certificate has expired: {file}"),
                    Stage::LastThird | Stage::LastTenth | Stage::DaysLeft(_) => {
                        warn!("A certificate expires soon: {file}");
                    }
                }
            }
            ages.insert(pair.file.clone(), stage);
        }
        self.ages = ages;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustls::pki_types::CertificateDer;
    use tempfile::TempDir;
    use tokio::time::sleep;

    use super::*;
    use crate::tls::{
        TlsSettings,
        testing::{DAY, Made, certificate, connect, credulous, made},
    };

    struct Watched {
        dir: TempDir,
        tls: Tls,
        metrics: Arc<Metrics>,
        drain: Drain,
        now: i64,
    }

    impl Watched {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let clock = Clock::system();
            let now = clock.unix();
            made(&["a.example"])
                .valid(now - 30 * DAY, now + 60 * DAY)
                .write(&dir, "a");
            let settings = TlsSettings {
                certs: dir.path().to_owned(),
                acme: None,
                public_host: "a.example".into(),
                hosts: Vec::new(),
                handshake: Duration::from_secs(10),
                make_anywhere: true,
                turn: false,
                only_tls13: false,
            };
            let tls = Tls::new(&settings, now).unwrap();
            let (metrics, drain) = (Arc::new(Metrics::default()), Drain::default());
            tls.watch(clock, Arc::clone(&metrics), &drain);
            Self {
                dir,
                tls,
                metrics,
                drain,
                now,
            }
        }

        /// A newer certificate than the one that is served.
        fn newer(&self) -> Made {
            made(&["a.example"]).valid(self.now - DAY, self.now + 89 * DAY)
        }

        fn on_disk(&self) -> CertificateDer<'static> {
            certificate(&self.dir.path().join("a.pem"))
        }

        async fn served(&self) -> CertificateDer<'static> {
            let client = credulous(
                rustls::crypto::aws_lc_rs::default_provider(),
                rustls::ALL_VERSIONS,
            );
            connect(&self.tls, "a.example", client)
                .await
                .unwrap()
                .certificate()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_pair_is_served_once_it_has_rested() {
        let watched = Watched::new();
        let old = watched.on_disk();
        watched.newer().write(&watched.dir, "a");
        sleep(LOOK_EVERY * 3).await;
        assert_ne!(watched.on_disk(), old);
        assert_eq!(watched.served().await, watched.on_disk());
        let ends = format!(
            "certificate_not_after_seconds{{name=\"a.example\"}} {}",
            watched.now + 89 * DAY
        );
        let text = watched.metrics.text(crate::observe::Exposition::Text).unwrap();
        assert!(text.contains(&ends), "{text}");
        watched.drain.finish(Duration::ZERO).await;
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_pair_keeps_the_old_one_until_the_other_half_is_there() {
        let watched = Watched::new();
        let old = watched.on_disk();
        let new = watched.newer();
        fs::write(watched.dir.path().join("a.pem"), new.pem()).unwrap();
        watched.tls.ask_for_new();
        sleep(LOOK_EVERY * 4).await;
        assert_eq!(watched.served().await, old);
        fs::write(watched.dir.path().join("a.key"), new.key()).unwrap();
        watched.tls.ask_for_new();
        sleep(LOOK_EVERY / 2).await;
        assert_eq!(watched.served().await, watched.on_disk());
        watched.drain.finish(Duration::ZERO).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_folder_keeps_what_is_served() {
        let watched = Watched::new();
        let old = watched.on_disk();
        fs::remove_file(watched.dir.path().join("a.pem")).unwrap();
        fs::remove_file(watched.dir.path().join("a.key")).unwrap();
        sleep(LOOK_EVERY * 4).await;
        assert_eq!(watched.served().await, old);
        watched.drain.finish(Duration::ZERO).await;
    }
}
