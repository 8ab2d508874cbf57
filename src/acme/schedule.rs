//! Which name is looked at when, and what is done then.
//!
//! One name after the other, as there are few and nobody is in a hurry: what is served stays until there is something newer.

use std::{sync::Arc, time::Duration};

use instant_acme::Error;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::{
    AcmeSettings, Shared, State, Status, Storage, Tools,
    ca::Ca,
    certificate::Certificate,
    due::{self, Window},
    storage::{Lock, Record},
};

/// The most time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(3600);
/// The least time between two looks.
const REST: Duration = Duration::from_secs(1);
/// Until it is looked again at what another gateway orders.
const OTHERS: i64 = 30;
/// Between two looks at what other gateways answer; they have heard of an answer of ours after twice that.
pub(super) const HEAR: Duration = Duration::from_secs(1);

/// Looks after which answers are given to others again that they have had.
const ANSWER_AGAIN: u64 = 10;

pub(super) struct Scheduler {
    pub(super) settings: AcmeSettings,
    pub(super) storage: Storage,
    pub(super) tools: Arc<Tools>,
    pub(super) state: Arc<State>,
    pub(super) shared: Option<Shared>,
}

impl Scheduler {
    pub(super) fn new(
        settings: AcmeSettings,
        tools: Arc<Tools>,
        state: Arc<State>,
        shared: Option<Shared>,
    ) -> Self {
        Self {
            storage: Storage::at(&settings.storage),
            settings,
            tools,
            state,
            shared,
        }
    }

    pub(super) async fn run(self) {
        if let Err(error) = self.storage.make() {
            warn!(%error, folder = %self.settings.storage.display(), "acme.storage can't be made");
        }
        self.storage.tidy(self.tools.clock.unix());
        tokio::join!(self.look_again_and_again(), self.hear());
    }

    async fn look_again_and_again(&self) {
        let mut asked = false;
        loop {
            let names = self.state.names.load_full();
            self.state.statuses.keep_only(&names);
            let mut next = i64::MAX;
            for name in names.iter() {
                next = next.min(self.look_at(name, asked).await);
            }
            let left = next.saturating_sub(self.tools.clock.unix());
            let left = Duration::from_secs(u64::try_from(left).unwrap_or_default());
            asked = tokio::select! {
                () = sleep(left.clamp(REST, LOOK_EVERY)) => false,
                () = self.state.asked.notified() => true,
            };
        }
    }

    /// Looks at a name, and orders if it is due. Says when to look again, in seconds since 1970.
    async fn look_at(&self, name: &str, asked: bool) -> i64 {
        let now = self.tools.clock.unix();
        if let Err((due, status)) = self.due(name, asked) {
            self.state.statuses.set(name, status);
            // A window of the CA's is asked for while nothing is due.
            return due.min(self.ask_for_window(name, now).await);
        }
        let lock = match self.lock().await {
            Ok(Some(lock)) => lock,
            Ok(None) => {
                self.state.statuses.set(name, Status::Others);
                return now + OTHERS;
            }
            Err(words) => {
                warn!(name, reason = words, "Nobody can say who orders a certificate");
                let next = now + OTHERS;
                self.state.statuses.set(name, Status::Failed { words, next });
                return next;
            }
        };
        self.take_over(name).await;
        // Another gateway may have been faster.
        let next = match self.due(name, asked) {
            Ok(()) => self.order(name).await,
            Err((due, status)) => {
                self.state.statuses.set(name, status);
                due
            }
        };
        drop(lock);
        if let Some(shared) = &self.shared {
            shared.unlock().await;
        }
        next
    }

    /// Ok: now. Else when, and how it stands until then.
    fn due(&self, name: &str, asked: bool) -> Result<(), (i64, Status)> {
        let now = self.tools.clock.unix();
        let mut record = self.record(name);
        // Those of an earlier process too.
        self.tools.metrics.acme().failing(name, record.failures);
        let renewal = self.certificate(name).map(|certificate| {
            let share = due::share(certificate.der());
            due::renewal(certificate.begins, certificate.ends, share, record.window)
        });
        if asked && record.failures > 0 {
            // Somebody who has mended something does not want to wait for a day.
            record.next = record
                .next
                .min(record.tried + due::PAUSE_BEFORE_RELOADED)
                .max(record.until);
        }
        let due = renewal.unwrap_or_default().max(record.next);
        if due > now {
            let status = if record.failures > 0 && renewal.is_none_or(|renewal| renewal <= now) {
                Status::Failed {
                    words: record.words,
                    next: due,
                }
            } else {
                Status::Waits { until: due }
            };
            return Err((due, status));
        }
        Ok(())
    }

    pub(super) fn record(&self, name: &str) -> Record {
        self.storage.record(name).believed(self.tools.clock.unix())
    }

    pub(super) fn certificate(&self, name: &str) -> Option<Certificate> {
        Certificate::read(&self.storage.certificate(name)?, name)
    }

    /// Asks the CA when it wants a certificate to be renewed. Says when to ask again.
    async fn ask_for_window(&self, name: &str, now: i64) -> i64 {
        let known = self.record(name).window;
        let Some(certificate) = self.certificate(name) else {
            return i64::MAX;
        };
        if let Some(window) = known.filter(|window| window.ask_again > now) {
            return window.ask_again;
        }
        let Some(id) = certificate.id() else {
            return i64::MAX;
        };
        let asked = async {
            let ca = Ca::new(&self.settings).map_err(|why| Error::Other(why.into()))?;
            // An account is made by whoever orders, and nobody else.
            let account = ca.kept_account(&self.storage, &self.settings.directory).await?;
            account.renewal_info(&id).await
        };
        let (least, most) = due::ASK_AGAIN;
        let window = match asked.await {
            Ok((info, again)) => {
                let again = i64::try_from(again.as_secs()).unwrap_or(most).clamp(least, most);
                Window {
                    from: info.suggested_window.start.unix_timestamp(),
                    until: info.suggested_window.end.unix_timestamp(),
                    ask_again: now + again,
                }
            }
            Err(error) => {
                debug!(name, %error, "The CA does not say when to renew");
                // An old window counts until there is another; one that never was is none.
                let none = Window {
                    from: 0,
                    until: -1,
                    ask_again: 0,
                };
                Window {
                    ask_again: now + i64::try_from(LOOK_EVERY.as_secs()).unwrap_or(most),
                    ..known.unwrap_or(none)
                }
            }
        };
        // Whoever orders meanwhile writes the record, and has more to say.
        let Ok(Some(_lock)) = self.storage.lock() else {
            return now + OTHERS;
        };
        if self
            .certificate(name)
            .is_none_or(|kept| kept.der() != certificate.der())
        {
            return now;
        }
        let record = Record {
            window: Some(window),
            ..self.record(name)
        };
        self.keep(name, &record);
        // What it says may be that it is due now.
        if window.from <= now && window.until >= window.from {
            return now;
        }
        window.ask_again
    }

    /// None: somebody else orders. Or why nobody can say.
    async fn lock(&self) -> Result<Option<Lock>, String> {
        let lock = self
            .storage
            .lock()
            .map_err(|error| format!("acme.storage can't be locked: {error}"))?;
        if let (Some(_), Some(shared)) = (&lock, &self.shared) {
            let is_ours = shared.lock().await;
            if !is_ours.map_err(|error| format!("Redis does not say who orders: {error}"))? {
                return Ok(None);
            }
        }
        Ok(lock)
    }

    /// Takes over what another gateway has ordered, if it is newer. Says whether it was.
    async fn take_over(&self, name: &str) -> bool {
        let Some(shared) = &self.shared else { return false };
        let Ok(Some(pem)) = shared.certificate(name).await else {
            return false;
        };
        let Some(theirs) = Certificate::read(&pem, name) else {
            return false;
        };
        let is_newer = self
            .certificate(name)
            .is_none_or(|own| own.der() != theirs.der() && own.begins <= theirs.begins);
        let Ok(text) = String::from_utf8(pem) else {
            return false;
        };
        if !is_newer || self.storage.keep_certificate(name, &text).is_err() {
            return false;
        }
        self.keep(name, &Record::default());
        info!(name, "A certificate has come from another gateway");
        (self.tools.renewed)();
        true
    }

    pub(super) fn keep(&self, name: &str, record: &Record) {
        if let Err(error) = self.storage.keep_record(name, record) {
            warn!(name, %error, "acme.storage can't be written");
        }
    }

    /// Answers checks of other gateways' orders, and takes over what they got.
    async fn hear(&self) {
        let Some(shared) = &self.shared else { return };
        let (mut issued, mut given) = (0, super::challenge::All::new());
        for turn in 0_u64.. {
            let own = self.state.answers.all();
            // Redis may have begun anew, or its own time for them be over.
            let is_again = !own.is_empty() && turn.is_multiple_of(ANSWER_AGAIN);
            if (own != given || is_again) && shared.answer(&own).await.is_ok() {
                given = own;
            }
            if let Ok(seen) = shared.look().await {
                self.state.answers.share(seen.answers);
                if seen.issued != issued {
                    for name in self.state.names.load_full().iter() {
                        if self.take_over(name).await {
                            self.state.asked.notify_one();
                        }
                    }
                    issued = seen.issued;
                }
            }
            sleep(HEAR).await;
        }
    }
}
