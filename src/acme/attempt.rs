//! One attempt at a certificate: a look whether the name leads here, a trial, the order; and what is known after it.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::{
    Status,
    ca::Ca,
    certificate::Certificate,
    due,
    kind::Kind,
    order::{Failed, Obtained, Wanted, obtain},
    preflight,
    schedule::{HEAR, Scheduler},
    shared::LOCK_MS,
    storage::Record,
};

/// The most time for a whole order; it is longer than all its parts.
const ORDER: Duration = Duration::from_secs(900);

/// The longest rest after an order that succeeded, in seconds.
const LONGEST_REST: i64 = 3600;

/// Failures of a name's own look, after which it is ordered all the same: not every machine reaches itself by its public name.
const LOOKS_THAT_COUNT: u32 = 3;

/// Why there is no certificate yet, and who was asked.
struct NotYet {
    failed: Failed,
    asked_ca: bool,
}

impl Scheduler {
    /// Orders a certificate. Says when to look again, in seconds since 1970.
    pub(super) async fn order(&self, name: &str) -> i64 {
        self.state.statuses.set(name, Status::Orders);
        let before = self.record(name);
        let holding = async {
            loop {
                sleep(Duration::from_millis(LOCK_MS / 4)).await;
                if let Some(shared) = &self.shared {
                    shared.lock().await.ok();
                }
            }
        };
        let ordered = tokio::select! {
            ordered = timeout(ORDER, self.ordered(name, &before)) => ordered.unwrap_or_else(|_| Err(NotYet {
                failed: Failed::new("the order takes too long"),
                asked_ca: true,
            })),
            never = holding => never,
        };
        // Pauses count from the end: an attempt may take a quarter of an hour.
        let now = self.tools.clock.unix();
        let status = match ordered {
            Ok(obtained) => {
                let record = Record {
                    staged: true,
                    worked: obtained.by.or(before.worked),
                    tried: now,
                    next: now + self.rest_after(name),
                    ..Record::default()
                };
                self.keep(name, &record);
                self.tools.metrics.acme().ordered("issued");
                self.tools.metrics.acme().failing(name, 0);
                info!(name, by = obtained.by.map(Kind::word), "A certificate was issued");
                (self.tools.renewed)();
                return self.tools.clock.unix();
            }
            Err(NotYet { failed, asked_ca }) => {
                // A trial of this attempt has kept what it found out.
                let known = self.record(name);
                let record = after_failure(name, &known, &failed, asked_ca, now);
                self.keep(name, &record);
                let metrics = self.tools.metrics.acme();
                metrics.ordered(if asked_ca { "failed" } else { "not_asked" });
                metrics.failing(name, record.failures);
                warn!(
                    name,
                    reason = record.words,
                    next_s = record.next - now,
                    "No certificate was issued; what is served stays"
                );
                Status::Failed {
                    words: record.words,
                    next: record.next,
                }
            }
        };
        let next = match &status {
            Status::Failed { next, .. } => *next,
            Status::Waits { .. } | Status::Orders | Status::Others => now,
        };
        self.state.statuses.set(name, status);
        next
    }

    /// The least time from one certificate to the next order, in seconds, whatever the CA's window and our clock say. A
    /// certificate that can't be read back rests for the longest.
    fn rest_after(&self, name: &str) -> i64 {
        let life = self
            .certificate(name)
            .map(|certificate| certificate.ends - certificate.begins);
        life.map_or(LONGEST_REST, |life| (life / 12).clamp(1, LONGEST_REST))
    }

    /// The order itself, after a look whether the name leads here, and a trial, where it is the first.
    async fn ordered(&self, name: &str, record: &Record) -> Result<Obtained, NotYet> {
        let not_asked = |failed| NotYet {
            failed,
            asked_ca: false,
        };
        let ca = Ca::new(&self.settings).map_err(|why| not_asked(Failed::new(why)))?;
        let old = self.certificate(name);
        let mut kinds = Kind::in_order(record.worked, record.failed);
        if self.settings.preflight && record.worked.is_none() && record.failures < LOOKS_THAT_COUNT {
            let works = preflight::look(name, preflight::PUBLIC, &self.state.answers)
                .await
                .map_err(|why| not_asked(Failed::new(why)))?;
            kinds.sort_by_key(|kind| !works.contains(kind));
        }
        let mut wanted = Wanted {
            name,
            profile: self.settings.profile.as_deref(),
            directory: &self.settings.directory,
            replaces: old.as_ref().and_then(Certificate::id),
            kinds,
            spread: Duration::ZERO,
            now: self.tools.clock.unix(),
            is_trial: false,
        };
        if self.shared.is_some() {
            wanted.spread = HEAR * 3;
        }
        if let Some(staging) = self.settings.staging.as_deref()
            && !record.staged
            && old.is_none()
        {
            let trial = Wanted {
                directory: staging,
                replaces: None,
                profile: wanted.profile,
                is_trial: true,
                ..wanted
            };
            let tried = self.at(&ca, &trial).await.map_err(|mut failed| {
                failed.words = format!("the CA's staging directory: {}", failed.words);
                NotYet {
                    failed,
                    asked_ca: true,
                }
            })?;
            self.keep(name, &after_trial(record, tried.by));
            wanted.kinds = kinds_after_trial(wanted.kinds, tried.by);
        }
        let obtained = self.at(&ca, &wanted).await.map_err(|failed| NotYet {
            failed,
            asked_ca: true,
        })?;
        let refused = |why| NotYet {
            failed: Failed::new(why),
            asked_ca: true,
        };
        if Certificate::read(obtained.pem.as_bytes(), name).is_none() {
            self.storage.drop_order(name);
            return Err(refused("the CA has sent no certificate for this name".to_owned()));
        }
        self.storage
            .keep_certificate(name, &obtained.pem)
            .map_err(|error| refused(format!("acme.storage: {error}")))?;
        // Until here the certificate could be fetched again with the key that is kept with the order.
        self.storage.drop_order(name);
        if let Some(shared) = &self.shared
            && let Err(error) = shared.keep_certificate(name, obtained.pem.as_bytes()).await
        {
            warn!(name, %error, "A new certificate could not be put into Redis");
        }
        Ok(obtained)
    }

    /// Orders at one directory; an account that the CA has forgotten is made anew, once.
    async fn at(&self, ca: &Ca, wanted: &Wanted<'_>) -> Result<Obtained, Failed> {
        let mut once = true;
        loop {
            let tried = async {
                let account = ca
                    .account(&self.settings, &self.storage, wanted.directory)
                    .await?;
                obtain(&account, &self.storage, &self.state.answers, wanted).await
            };
            match tried.await {
                Err(failed) if failed.no_account && once => {
                    self.storage.drop_account(wanted.directory);
                    once = false;
                }
                Err(mut failed) => {
                    failed.wait = ca.wait();
                    return Err(failed);
                }
                Ok(obtained) => return Ok(obtained),
            }
        }
    }
}

/// What is known after a trial that passed.
fn after_trial(before: &Record, by: Option<Kind>) -> Record {
    Record {
        staged: true,
        worked: by.or(before.worked),
        ..before.clone()
    }
}

/// A trial for which the CA did not check anything says nothing about the order of kinds.
fn kinds_after_trial(before: [Kind; 2], by: Option<Kind>) -> [Kind; 2] {
    by.map_or(before, |by| Kind::in_order(Some(by), None))
}

/// What is known after an order that failed.
fn after_failure(name: &str, before: &Record, failed: &Failed, asked_ca: bool, now: i64) -> Record {
    let failures = before.failures.saturating_add(1);
    let share = due::share(format!("{name} {now}").as_bytes());
    let pause = if asked_ca {
        due::pause(failures, share)
    } else {
        due::pause_before(failures, share)
    };
    let wait = failed.wait.unwrap_or_default().min(due::LONGEST_RETRY_AFTER);
    let wait = i64::try_from(wait.as_secs()).unwrap_or_default();
    Record {
        failures,
        tried: now,
        next: now + pause.max(wait),
        until: now + wait,
        words: failed.words.clone(),
        failed: failed.by.or(before.failed),
        ..before.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_trial_found_out_outlives_an_order_that_fails() {
        let known = after_trial(&Record::default(), Some(Kind::TlsAlpn));
        let record = after_failure("a.example", &known, &Failed::new("no"), true, 1000);
        assert!(record.staged);
        assert_eq!(record.worked, Some(Kind::TlsAlpn));
        assert_eq!(record.failures, 1);
        assert_eq!(record.tried, 1000);
        assert!(record.next >= 1000 + due::FIRST_PAUSE);
    }

    #[test]
    fn a_trial_without_a_check_leaves_the_order_of_kinds() {
        const TLS_FIRST: [Kind; 2] = [Kind::TlsAlpn, Kind::Http];
        const HTTP_FIRST: [Kind; 2] = [Kind::Http, Kind::TlsAlpn];
        assert_eq!(kinds_after_trial(TLS_FIRST, None), TLS_FIRST);
        assert_eq!(kinds_after_trial(HTTP_FIRST, None), HTTP_FIRST);
        assert_eq!(kinds_after_trial(HTTP_FIRST, Some(Kind::TlsAlpn)), TLS_FIRST);
        assert_eq!(kinds_after_trial(TLS_FIRST, Some(Kind::Http)), HTTP_FIRST);
    }
}
