//! How often something may happen: `10/min`, parsed once into what can't be wrong.

use std::{num::NonZeroU32, time::Duration};

/// A rate: `count` requests at once, and then one every `window / count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateSettings {
    pub(super) count: NonZeroU32,
    pub(super) window: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateProblem {
    /// The text is not of the form `10/min`.
    #[error("is not a rate")]
    NotARate,
    /// The count is 0, or the window is.
    #[error("would refuse every request")]
    RefusesEverything,
}

impl RateSettings {
    /// Parses `10/s`, `10/min` or `10/h`.
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

    /// The share of one of so many replicas, at least one request.
    pub(super) fn divided_by(self, replicas: NonZeroU32) -> Self {
        Self {
            count: NonZeroU32::new(self.count.get() / replicas).unwrap_or(NonZeroU32::MIN),
            window: self.window,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_replicas_share_is_never_nothing() {
        let share = |replicas| {
            let rate = RateSettings::parse("10/min").unwrap();
            rate.divided_by(NonZeroU32::new(replicas).unwrap()).count.get()
        };
        assert_eq!([1, 3, 10, 11].map(share), [10, 3, 1, 1]);
    }
}
