//! What this process has counted goes over to a new one, so that nobody who has used up a limit gets it anew by an upgrade.
//!
//! A key is the same in both (`super::bucket`). What goes over is how long it takes until a bucket is full again: the two
//! clocks have no beginning in common. Buckets that are full are as good as none.
//!
//! Not here: counts in Redis, where both look.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::{CallerLimits, Limits, bucket::Limit};
use crate::handover::Part;

/// Buckets of all limits together, some 40 bytes each on their way. Each limit has an equal share.
const MOST_BUCKETS: usize = 300_000;

#[derive(Serialize, Deserialize)]
pub struct HandedLimits(Vec<HandedLimit>);

#[derive(Serialize, Deserialize)]
struct HandedLimit {
    /// A caller with limits of its own.
    caller: Option<String>,
    limit: String,
    /// The key of each bucket, and the microseconds until it is full.
    buckets: Vec<(String, u64)>,
}

impl Part for HandedLimits {
    const NAME: &'static str = "limits";
    const VERSION: u32 = 1;
}

impl Limits {
    /// What is counted in this process, for a new one. Of too many buckets those that need longest go over.
    pub fn hand_over(&self) -> HandedLimits {
        let share = MOST_BUCKETS / self.each().count().max(1);
        let handed = |(caller, limit): (Option<&str>, &Limit)| {
            let mut buckets = limit.not_full();
            buckets.sort_unstable_by_key(|(_, wait)| std::cmp::Reverse(*wait));
            buckets.truncate(share);
            let buckets = buckets.into_iter().map(|(key, wait)| {
                let micros = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
                (BASE64_URL_SAFE_NO_PAD.encode(key), micros)
            });
            HandedLimit {
                caller: caller.map(str::to_owned),
                limit: limit.name.to_owned(),
                buckets: buckets.collect(),
            }
        };
        HandedLimits(self.each().map(handed).collect())
    }

    /// Goes on with what an old process has counted, for the limits that are there still.
    pub fn go_on_with(&self, handed: &HandedLimits) {
        for HandedLimit {
            caller,
            limit,
            buckets,
        } in &handed.0
        {
            let is_it =
                |(of, other): &(Option<&str>, &Limit)| *of == caller.as_deref() && other.name == limit;
            let Some((_, limit)) = self.each().find(is_it) else {
                continue;
            };
            for (key, micros) in buckets.iter().take(MOST_BUCKETS) {
                let key = BASE64_URL_SAFE_NO_PAD.decode(key).ok();
                if let Some(key) = key.and_then(|key| key.try_into().ok()) {
                    limit.is_not_full_for(&key, Duration::from_micros(*micros));
                }
            }
        }
    }

    /// Every limit, and the caller that it belongs to.
    fn each(&self) -> impl Iterator<Item = (Option<&str>, &Limit)> {
        fn three<'l>(
            caller: Option<&'l str>,
            of: &'l CallerLimits,
        ) -> impl Iterator<Item = (Option<&'l str>, &'l Limit)> {
            [&of.user, &of.room, &of.caller]
                .map(|limit| (caller, limit))
                .into_iter()
        }
        let of_callers = self.callers.iter().flat_map(|(name, of)| three(Some(name), of));
        let of_all =
            [&self.failures, &self.renewal, &self.design, &self.check_page].map(|limit| (None, limit));
        three(None, &self.defaults).chain(of_callers).chain(of_all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        addr::ClientAddr,
        clock::Clock,
        handover::Parts,
        limits::{LimitsSettings, RateSettings, Rates, StoreSettings},
    };

    fn rate(text: &str) -> RateSettings {
        RateSettings::parse(text).unwrap()
    }

    /// In a process that has run for a while.
    async fn after(age: Duration) -> (Clock, Limits) {
        let clock = Clock::system();
        clock.advance(age);
        let rates = |user| Rates {
            user: rate(user),
            room: rate("1200/min"),
            caller: rate("6000/min"),
        };
        let settings = LimitsSettings {
            rates: rates("10/min"),
            failures: rate("20/min"),
            renewal: rate("30/min"),
            design: rate("60/min"),
            check_page: rate("60/min"),
            store: StoreSettings::Memory,
        };
        let slow = ("slow".to_owned(), rates("2/min"));
        let limits = Limits::start(&settings, &[slow], &std::sync::Arc::default(), &clock).await;
        (clock, limits)
    }

    fn handed_over(from: &Limits, to: &Limits) {
        let mut parts = Parts::default();
        parts.put(&from.hand_over());
        let sent = serde_json::to_vec(&parts).unwrap();
        let mut parts: Parts = serde_json::from_slice(&sent).unwrap();
        to.go_on_with(&parts.take().unwrap());
    }

    #[tokio::test]
    async fn who_has_used_up_a_limit_has_done_so_in_a_new_process_too() {
        // Both ways: the new process' clock has run for less, and for more.
        for (old_age, new_age) in [(36_000, 0), (0, 36_000)] {
            let (old_clock, old) = after(Duration::from_secs(old_age)).await;
            let (new_clock, new) = after(Duration::from_secs(new_age)).await;
            let client = ClientAddr("192.0.2.1".parse().unwrap());
            for _ in 0..10 {
                old.issue("server", "room", "ann").await.unwrap();
            }
            for _ in 0..4 {
                old.issue("server", "room", "bob").await.unwrap();
            }
            for _ in 0..2 {
                old.issue("slow", "room", "ann").await.unwrap();
            }
            for _ in 0..20 {
                old.failure(client).await.unwrap();
            }
            old_clock.advance(Duration::from_secs(6));
            handed_over(&old, &new);
            // Six seconds are one more at ten a minute, and two failures.
            new.issue("server", "room", "ann").await.unwrap();
            let over = new.issue("server", "room", "ann").await.unwrap_err();
            assert_eq!((over.limit, over.wait_secs()), ("user", 6));
            for _ in 0..7 {
                new.issue("server", "room", "bob").await.unwrap();
            }
            assert!(new.issue("server", "room", "bob").await.is_err());
            assert!(new.issue("slow", "room", "ann").await.is_err());
            new.failure(client).await.unwrap();
            new.failure(client).await.unwrap();
            assert!(new.failure(client).await.is_err());
            new.issue("server", "room", "eve").await.unwrap();
            new_clock.advance(Duration::from_secs(60));
            for _ in 0..10 {
                new.issue("server", "room", "ann").await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn what_goes_over_is_bounded_and_what_is_nonsense_is_passed_over() {
        let (_, old) = after(Duration::ZERO).await;
        // A room's bucket is full again within a moment.
        for user in 0..60_000 {
            old.issue("server", &user.to_string(), &user.to_string())
                .await
                .ok();
        }
        let handed = old.hand_over();
        let buckets: usize = handed.0.iter().map(|limit| limit.buckets.len()).sum();
        assert!((MOST_BUCKETS / 10..=MOST_BUCKETS).contains(&buckets), "{buckets}");
        assert!(
            handed
                .0
                .iter()
                .all(|limit| limit.buckets.len() <= MOST_BUCKETS / 10)
        );
        let size = serde_json::to_vec(&handed).unwrap().len();
        assert!(size < buckets * 45, "{size} bytes of {buckets} buckets");

        let (_, new) = after(Duration::ZERO).await;
        let nonsense = r#"[{"caller":null,"limit":"user","buckets":[["",1],["?",2],["AAAA",3]]},
            {"caller":"nobody","limit":"user","buckets":[]},{"caller":null,"limit":"none","buckets":[]}]"#;
        new.go_on_with(&serde_json::from_str(nonsense).unwrap());
        assert!(new.each().all(|(_, limit)| limit.not_full().is_empty()));
    }
}
