//! Rate limits: what each counts, and what it protects.
//!
//! | limit | counts | protects |
//! | --- | --- | --- |
//! | `user` | tokens for one user of one room of one caller | the participant, whom every new token throws out |
//! | `room` | tokens for one room of one caller | the room from a platform that runs wild |
//! | `caller` | tokens for one caller | plugnmeet-server |
//! | `failures` | bad keys, signatures, checksums and links of one address block (an IPv4 address or an IPv6 /64) | the secret, from guessing; the log, from noise |
//! | `renewal` | tokens renewed for one user of one room | this gateway's key, from signing on and on |
//! | `design` | designs that one address block has checked | this gateway's time |
//! | `check_page` | check pages for one address block | `LiveKit`'s relay, for which each has a login |
//!
//! Many users share a caller's address, so no limit on good requests counts by address. `failures` never refuses a good
//! request: it is only asked after something was wrong.
//!
//! | file | holds |
//! | --- | --- |
//! | `rate`, `over` | how often; the refusal and its headers |
//! | `bucket`, `memory` | what is counted under which key; counting in this process |
//! | `handed` | what was counted goes over to a new process |
//! | `redis`, `address` | counting for all replicas at once; where Redis is |
//! | `gcra.lua`, `give_back.lua` | the scripts that count there, and put back |

mod address;
mod bucket;
mod handover;
mod memory;
mod over;
mod rate;
mod redis;

use std::{collections::HashMap, num::NonZeroU32, sync::Arc, time::Duration};

pub use self::{
    address::{AddressProblem, RedisAddress},
    handover::HandedLimits,
    over::OverLimit,
    rate::{RateProblem, RateSettings},
};
use self::{
    bucket::{Bucket, Limit},
    redis::Redis,
};
use crate::{addr::ClientAddr, clock::Clock, observe::Metrics};

/// The rates at which one caller may get tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    pub user: RateSettings,
    pub room: RateSettings,
    pub caller: RateSettings,
}

/// The settings of all limits, and the place where they are counted.
#[derive(Clone, Debug)]
pub struct LimitsSettings {
    /// The rates of a caller that has no rates of its own.
    pub rates: Rates,
    /// The rate of failures of a client (the table at the top of this file).
    pub failures: RateSettings,
    /// The rate of renewals (the table at the top of this file).
    pub renewal: RateSettings,
    /// The rate of design checks (the table at the top of this file).
    pub design: RateSettings,
    /// The rate of check pages (the table at the top of this file).
    pub check_page: RateSettings,
    /// The place where limits are counted.
    pub store: StoreSettings,
}

/// The place where limits are counted.
#[derive(Clone, Debug)]
pub enum StoreSettings {
    Memory,
    Redis(RedisSettings),
}

/// The settings of limits that replicas share by Redis.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    pub address: RedisAddress,
    /// The longest time for which a decision waits for Redis.
    pub timeout: Duration,
    /// The number of gateways that share the limits. While Redis does not answer each allows its share of a limit.
    pub replicas: NonZeroU32,
}

pub struct Limits {
    defaults: CallerLimits,
    callers: HashMap<String, CallerLimits>,
    failures: Limit,
    renewal: Limit,
    design: Limit,
    check_page: Limit,
    redis: Option<Arc<Redis>>,
    metrics: Arc<Metrics>,
    clock: Clock,
}

/// The limits of one `[[callers]]` entry.
struct CallerLimits {
    user: Limit,
    room: Limit,
    caller: Limit,
}

/// The place where a token was counted, so that it can be given back there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    Locally,
    Together,
}

impl Limits {
    /// Starts counting; `callers` are those with keys of their own, by name. A Redis that does not answer is waited
    /// for in the background.
    pub async fn start(
        settings: &LimitsSettings,
        callers: &[(String, Rates)],
        metrics: &Arc<Metrics>,
        clock: &Clock,
    ) -> Self {
        Self::made(settings, callers, metrics, clock, None).await
    }

    /// The same counts under other settings: each limit of a caller goes on where it is, by the caller's name. The link to
    /// Redis stays, if it is to the same one.
    pub async fn again(&self, settings: &LimitsSettings, callers: &[(String, Rates)]) -> Self {
        Self::made(settings, callers, &self.metrics, &self.clock, Some(self)).await
    }

    async fn made(
        settings: &LimitsSettings,
        callers: &[(String, Rates)],
        metrics: &Arc<Metrics>,
        clock: &Clock,
        before: Option<&Self>,
    ) -> Self {
        let (replicas, redis) = match &settings.store {
            StoreSettings::Memory => (NonZeroU32::MIN, None),
            StoreSettings::Redis(settings) => {
                let linked = before.and_then(|before| before.redis.as_ref());
                let redis = match linked.filter(|redis| redis.is_as(settings)) {
                    Some(redis) => Arc::clone(redis),
                    None => Arc::new(Redis::start(settings, metrics).await),
                };
                (settings.replicas, Some(redis))
            }
        };
        let limit = |name, rate: RateSettings, before: Option<&Limit>| {
            Limit::new(name, rate, rate.divided_by(replicas), clock, before)
        };
        // A set for each, so that no caller can fill the memory of another's; there are as many as are configured.
        let of = |rates: &Rates, before: Option<&CallerLimits>| CallerLimits {
            user: limit("user", rates.user, before.map(|limits| &limits.user)),
            room: limit("room", rates.room, before.map(|limits| &limits.room)),
            caller: limit("caller", rates.caller, before.map(|limits| &limits.caller)),
        };
        let of_caller = |name: &String| before.and_then(|before| before.callers.get(name));
        Self {
            defaults: of(&settings.rates, before.map(|before| &before.defaults)),
            callers: callers
                .iter()
                .map(|(name, rates)| (name.clone(), of(rates, of_caller(name))))
                .collect(),
            failures: limit(
                "failures",
                settings.failures,
                before.map(|before| &before.failures),
            ),
            renewal: limit("renewal", settings.renewal, before.map(|before| &before.renewal)),
            design: limit("design", settings.design, before.map(|before| &before.design)),
            check_page: limit(
                "check_page",
                settings.check_page,
                before.map(|before| &before.check_page),
            ),
            redis,
            metrics: Arc::clone(metrics),
            clock: clock.clone(),
        }
    }

    /// These are the limits from now on.
    pub fn take_over(&self) {
        if self.redis.is_none() {
            self.metrics.limits_shared(false);
        }
    }

    /// Counts a token for this user of this room and caller, or refuses it. The narrowest limit comes first, so that a
    /// user who asks all the time takes nothing from the room or the caller.
    pub async fn issue(&self, caller: &str, room_id: &str, user_id: &str) -> Result<Counted, OverLimit> {
        let limits = self.callers.get(caller).unwrap_or(&self.defaults);
        let of_user = limits.user.bucket(&[caller, room_id, user_id]);
        let of_room = limits.room.bucket(&[caller, room_id]);
        let of_caller = limits.caller.bucket(&[caller]);
        if user_id.is_empty() {
            // That is many users: the server makes an id up for each (docs/plugnmeet.md section 0.6).
            self.take(&[of_room, of_caller]).await
        } else {
            self.take(&[of_user, of_room, of_caller]).await
        }
    }

    /// The token became another user's, as the room makes up ids of its own: this user's place is free again. Waits for
    /// nothing.
    pub fn give_back(&self, caller: &str, room_id: &str, user_id: &str, counted: Counted) {
        if user_id.is_empty() {
            return;
        }
        let limits = self.callers.get(caller).unwrap_or(&self.defaults);
        let of_user = limits.user.bucket(&[caller, room_id, user_id]);
        match (counted, &self.redis) {
            (Counted::Together, Some(redis)) => redis.give_back(&of_user),
            (Counted::Locally, _) | (Counted::Together, None) => of_user.give_back_locally(),
        }
    }

    /// Counts a failure of this client, and refuses the client if it has had too many.
    pub async fn failure(&self, client: ClientAddr) -> Result<(), OverLimit> {
        let of_client = self.failures.bucket(&[&client.prefix().to_string()]);
        self.take(&[of_client]).await.map(drop)
    }

    /// Counts a renewal for this user of this room, or refuses it. Renewals count apart, so that reloads use up nothing
    /// that joining needs.
    pub async fn renewal(&self, room_id: &str, user_id: &str) -> Result<(), OverLimit> {
        let of_session = self.renewal.bucket(&[room_id, user_id]);
        self.take(&[of_session]).await.map(drop)
    }

    /// Counts a design check of this client, and refuses it if there were too many.
    pub async fn design_check(&self, client: ClientAddr) -> Result<(), OverLimit> {
        let of_client = self.design.bucket(&[&client.prefix().to_string()]);
        self.take(&[of_client]).await.map(drop)
    }

    /// Counts a check page for this client, and refuses it if there were too many.
    pub async fn check_page(&self, client: ClientAddr) -> Result<(), OverLimit> {
        let of_client = self.check_page.bucket(&[&client.prefix().to_string()]);
        self.take(&[of_client]).await.map(drop)
    }

    async fn take(&self, buckets: &[Bucket<'_>]) -> Result<Counted, OverLimit> {
        if let Some(redis) = &self.redis
            && let Some(decision) = redis.take(buckets).await
        {
            return decision.map(|()| Counted::Together);
        }
        buckets.iter().try_for_each(Bucket::take_locally)?;
        Ok(Counted::Locally)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTED: Result<Counted, OverLimit> = Ok(Counted::Locally);

    fn rate(text: &str) -> RateSettings {
        RateSettings::parse(text).unwrap()
    }

    fn rates(user: &str, room: &str, caller: &str) -> Rates {
        Rates {
            user: rate(user),
            room: rate(room),
            caller: rate(caller),
        }
    }

    async fn limits(clock: &Clock) -> Limits {
        let settings = LimitsSettings {
            rates: rates("10/min", "40/min", "100/min"),
            failures: rate("20/min"),
            renewal: rate("30/min"),
            design: rate("60/min"),
            check_page: rate("60/min"),
            store: StoreSettings::Memory,
        };
        let slow = ("slow".to_owned(), rates("1/min", "2/min", "3/min"));
        Limits::start(&settings, &[slow], &Arc::default(), clock).await
    }

    #[tokio::test]
    async fn ten_a_minute_is_ten_at_once_and_then_one_every_six_seconds() {
        let clock = Clock::system();
        let limits = limits(&clock).await;
        for _ in 0..10 {
            assert_eq!(limits.issue("c", "r", "u").await, COUNTED);
        }
        let over = limits.issue("c", "r", "u").await.unwrap_err();
        assert_eq!((over.limit, over.wait_secs()), ("user", 6));
        clock.advance(Duration::from_secs(6));
        assert_eq!(limits.issue("c", "r", "u").await, COUNTED);
        assert!(limits.issue("c", "r", "u").await.is_err());
    }

    #[tokio::test]
    async fn a_refused_user_takes_nothing_from_the_room() {
        let limits = limits(&Clock::system()).await;
        for _ in 0..100 {
            limits.issue("c", "r", "hammering").await.ok();
        }
        for user in 0..30 {
            assert_eq!(limits.issue("c", "r", &user.to_string()).await, COUNTED);
        }
        assert_eq!(
            limits.issue("c", "r", "one more").await.unwrap_err().limit,
            "room"
        );
        assert_eq!(limits.issue("other", "r", "one more").await, COUNTED);
    }

    #[tokio::test]
    async fn a_place_that_is_given_back_is_the_users_alone() {
        let limits = limits(&Clock::system()).await;
        for _ in 0..40 {
            assert_eq!(limits.issue("c", "r", "guest").await, COUNTED);
            limits.give_back("c", "r", "guest", Counted::Locally);
        }
        assert_eq!(limits.issue("c", "r", "guest").await.unwrap_err().limit, "room");
        limits.give_back("c", "r", "", Counted::Locally);
        assert_eq!(limits.issue("c", "r", "").await.unwrap_err().limit, "room");
    }

    #[tokio::test]
    async fn an_empty_user_id_is_not_one_user() {
        let limits = limits(&Clock::system()).await;
        for _ in 0..40 {
            assert_eq!(limits.issue("c", "r", "").await, COUNTED);
        }
    }

    #[tokio::test]
    async fn a_caller_has_its_own_rates_and_touches_no_others() {
        let limits = limits(&Clock::system()).await;
        assert_eq!(limits.issue("slow", "r", "u").await, COUNTED);
        let over = |caller, room, user| {
            let limits = &limits;
            async move {
                limits
                    .issue(caller, room, user)
                    .await
                    .map(drop)
                    .map_err(|over| over.limit)
            }
        };
        assert_eq!(over("slow", "r", "u").await, Err("user"));
        assert_eq!(over("slow", "r", "v").await, Ok(()));
        assert_eq!(over("slow", "r", "w").await, Err("room"));
        assert_eq!(over("slow", "s", "u").await, Ok(()));
        assert_eq!(over("slow", "t", "u").await, Err("caller"));
        assert_eq!(over("c", "r", "u").await, Ok(()));
    }

    #[tokio::test]
    async fn who_has_used_up_a_limit_has_done_so_under_other_settings_too() {
        let clock = Clock::system();
        let limits = limits(&clock).await;
        let settings = LimitsSettings {
            rates: rates("10/min", "40/min", "100/min"),
            failures: rate("20/min"),
            renewal: rate("30/min"),
            design: rate("60/min"),
            check_page: rate("60/min"),
            store: StoreSettings::Memory,
        };
        for _ in 0..10 {
            assert_eq!(limits.issue("c", "r", "u").await, COUNTED);
        }
        assert_eq!(limits.issue("slow", "r", "u").await, COUNTED);
        let slow = ("slow".to_owned(), rates("1/min", "2/min", "3/min"));
        let new = ("new".to_owned(), rates("1/min", "2/min", "3/min"));
        let again = limits.again(&settings, &[new, slow]).await;
        assert_eq!(again.issue("c", "r", "u").await.unwrap_err().limit, "user");
        assert_eq!(again.issue("slow", "r", "u").await.unwrap_err().limit, "user");
        assert_eq!(again.issue("new", "r", "u").await, COUNTED);
        // What is still under way by the old ones counts too.
        assert_eq!(limits.issue("c", "r", "v").await, COUNTED);
        for _ in 0..9 {
            assert_eq!(again.issue("c", "r", "v").await, COUNTED);
        }
        assert!(again.issue("c", "r", "v").await.is_err());
    }

    #[tokio::test]
    async fn failures_count_by_address_block() {
        let limits = limits(&Clock::system()).await;
        for host in 0..20 {
            let client = ClientAddr(format!("2001:db8::{host:x}").parse().unwrap());
            assert_eq!(limits.failure(client).await, Ok(()));
        }
        let neighbour = ClientAddr("2001:db8::ffff".parse().unwrap());
        assert!(limits.failure(neighbour).await.is_err());
        let stranger = ClientAddr("2001:db8:0:1::".parse().unwrap());
        assert_eq!(limits.failure(stranger).await, Ok(()));
    }
}
