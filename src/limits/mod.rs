//! How often what may happen, and whom each limit protects.
//!
//! | limit | counts | protects |
//! | --- | --- | --- |
//! | `user` | tokens for one user of one room of one caller | the participant, whom every new token throws out |
//! | `room` | tokens for one room of one caller | the room from a platform that runs wild |
//! | `caller` | tokens for one caller | plugnmeet-server |
//! | `failures` | bad signatures and bad links of one client prefix | the secret, from guessing; the log, from noise |
//!
//! A signed caller's address is not a user, so no limit on good requests looks at it. `failures` never refuses what is
//! good: it is asked only once something was bad.
//!
//! Sources: product.md "Limits"; the `RateLimit` fields: draft-ietf-httpapi-ratelimit-headers-10.

mod memory;

use std::{fmt, num::NonZeroU32, time::Duration};

use hyper::{
    StatusCode,
    header::{HeaderName, HeaderValue, RETRY_AFTER},
};

use self::memory::Gcra;
use crate::{addr::ClientAddr, clock::Clock, reply::Failure};

/// So many at once, and then one every `window / count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateSettings {
    count: NonZeroU32,
    window: Duration,
}

/// Why a rate is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateProblem {
    /// Not of the form `10/min`.
    NotARate,
    /// Zero of anything.
    RefusesEverything,
}

impl fmt::Display for RateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotARate => "is not a rate",
            Self::RefusesEverything => "would refuse every request",
        })
    }
}

impl RateSettings {
    /// From `10/s`, `10/min` or `10/h`.
    pub fn parse(text: &str) -> Result<Self, RateProblem> {
        let (count, unit) = text.split_once('/').ok_or(RateProblem::NotARate)?;
        if !count.bytes().all(|b| b.is_ascii_digit()) {
            return Err(RateProblem::NotARate);
        }
        let count: u32 = count.parse().map_err(|_| RateProblem::NotARate)?;
        let window = match unit {
            "s" => Duration::from_secs(1),
            "min" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            _ => return Err(RateProblem::NotARate),
        };
        let count = NonZeroU32::new(count).ok_or(RateProblem::RefusesEverything)?;
        Ok(Self { count, window })
    }
}

/// The four limits.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the table above says what each counts")]
pub struct LimitsSettings {
    pub user: RateSettings,
    pub room: RateSettings,
    pub caller: RateSettings,
    pub failures: RateSettings,
}

/// The running limits.
pub struct Limits {
    user: Limit,
    room: Limit,
    caller: Limit,
    failures: Limit,
}

/// One limit with the name it has in headers.
struct Limit {
    name: &'static str,
    rate: RateSettings,
    gcra: Gcra,
}

/// A refusal: which limit, and how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverLimit {
    limit: &'static str,
    rate: RateSettings,
    wait: Duration,
}

impl Limits {
    /// Limits in the memory of this process.
    pub fn in_memory(settings: &LimitsSettings, clock: &Clock) -> Self {
        let limit = |name, rate: RateSettings| Limit {
            name,
            rate,
            gcra: Gcra::new(rate.count, rate.window, clock),
        };
        Self {
            user: limit("user", settings.user),
            room: limit("room", settings.room),
            caller: limit("caller", settings.caller),
            failures: limit("failures", settings.failures),
        }
    }

    /// May this caller have a token for this user of this room? The narrowest limit comes first, so that one user who
    /// hammers takes nothing from the room or the caller.
    pub fn issue(&self, caller: &str, room_id: &str, user_id: &str) -> Result<(), OverLimit> {
        // An empty user id is many users: the server makes one up for each (contract.md section 0.6).
        if !user_id.is_empty() {
            self.user.check(&(caller, room_id, user_id))?;
        }
        self.room.check(&(caller, room_id))?;
        self.caller.check(&caller)
    }

    /// Something of this client's was bad: has it been too often?
    pub fn failure(&self, client: ClientAddr) -> Result<(), OverLimit> {
        self.failures.check(&client.prefix())
    }
}

impl Limit {
    fn check(&self, key: &impl std::hash::Hash) -> Result<(), OverLimit> {
        self.gcra.check(key).map_err(|wait| OverLimit {
            limit: self.name,
            rate: self.rate,
            wait,
        })
    }
}

impl OverLimit {
    /// Whole seconds to wait, never zero.
    pub fn wait_secs(&self) -> u64 {
        (self.wait.as_secs() + u64::from(self.wait.subsec_nanos() > 0)).max(1)
    }
}

impl fmt::Display for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "too many requests: try again in {} s", self.wait_secs())
    }
}

impl std::error::Error for OverLimit {}

impl From<OverLimit> for Failure {
    fn from(over: OverLimit) -> Self {
        let (name, wait) = (over.limit, over.wait_secs());
        let policy = format!(
            "\"{name}\";q={};w={}",
            over.rate.count,
            over.rate.window.as_secs()
        );
        let state = format!("\"{name}\";r=0;t={wait}");
        let text = |value: String| HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static(""));
        Self::new(StatusCode::TOO_MANY_REQUESTS, "over_limit", over.to_string())
            .header(RETRY_AFTER, HeaderValue::from(wait))
            .header(HeaderName::from_static("ratelimit-policy"), text(policy))
            .header(HeaderName::from_static("ratelimit"), text(state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> RateSettings {
        RateSettings::parse(text).unwrap()
    }

    fn limits(clock: &Clock) -> Limits {
        let settings = LimitsSettings {
            user: rate("10/min"),
            room: rate("40/min"),
            caller: rate("100/min"),
            failures: rate("20/min"),
        };
        Limits::in_memory(&settings, clock)
    }

    #[test]
    fn ten_a_minute_is_ten_at_once_and_then_one_every_six_seconds() {
        let clock = Clock::system();
        let limits = limits(&clock);
        for _ in 0..10 {
            assert_eq!(limits.issue("c", "r", "u"), Ok(()));
        }
        let over = limits.issue("c", "r", "u").unwrap_err();
        assert_eq!((over.limit, over.wait_secs()), ("user", 6));
        clock.advance(Duration::from_secs(6));
        assert_eq!(limits.issue("c", "r", "u"), Ok(()));
        assert!(limits.issue("c", "r", "u").is_err());
    }

    #[test]
    fn a_refused_user_takes_nothing_from_the_room() {
        let limits = limits(&Clock::system());
        for _ in 0..100 {
            limits.issue("c", "r", "hammering").ok();
        }
        for user in 0..30 {
            assert_eq!(limits.issue("c", "r", &user.to_string()), Ok(()));
        }
        assert_eq!(limits.issue("c", "r", "one more").unwrap_err().limit, "room");
        assert_eq!(limits.issue("other", "r", "one more"), Ok(()));
    }

    #[test]
    fn an_empty_user_id_is_not_one_user() {
        let limits = limits(&Clock::system());
        for _ in 0..40 {
            assert_eq!(limits.issue("c", "r", ""), Ok(()));
        }
    }

    #[test]
    fn failures_count_by_household() {
        let limits = limits(&Clock::system());
        for host in 0..20 {
            let client = ClientAddr(format!("2001:db8::{host:x}").parse().unwrap());
            assert_eq!(limits.failure(client), Ok(()));
        }
        assert!(
            limits
                .failure(ClientAddr("2001:db8::ffff".parse().unwrap()))
                .is_err()
        );
        assert_eq!(
            limits.failure(ClientAddr("2001:db8:0:1::".parse().unwrap())),
            Ok(())
        );
    }

    #[test]
    fn the_answer_has_the_fields_of_the_draft() {
        let over = OverLimit {
            limit: "user",
            rate: rate("10/min"),
            wait: Duration::from_millis(5_200),
        };
        let response = Failure::from(over).into_response(crate::reply::Format::Auth { protobuf: false });
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "6");
        assert_eq!(response.headers()["ratelimit-policy"], r#""user";q=10;w=60"#);
        assert_eq!(response.headers()["ratelimit"], r#""user";r=0;t=6"#);
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in [
            "",
            "10",
            "10/m",
            "/min",
            "-1/min",
            "+1/min",
            "1.5/min",
            "10 / min",
            "99999999999/min",
        ] {
            assert_eq!(RateSettings::parse(text), Err(RateProblem::NotARate), "{text}");
        }
        assert_eq!(RateSettings::parse("0/min"), Err(RateProblem::RefusesEverything));
    }
}
