//! How much of a certificate's life is left, and when somebody is to be told.
//!
//! Renewal is due when a third of the life is left, whatever its length: 30 days of Let's Encrypt's 90, two of six. Who
//! hears of it then, at a tenth, and on each of the last three days, has time to act and is not told every hour.

const DAY_SECONDS: i64 = 24 * 3600;

/// A point in a certificate's life after which it is warned about; later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Young,
    LastThird,
    LastTenth,
    /// The day after which so many are left: 2, 1, 0.
    DaysLeft(std::cmp::Reverse<i64>),
    Over(i64),
}

/// Times in seconds since 1970.
pub(super) fn stage(begins: i64, ends: i64, now: i64) -> Stage {
    let (life, left) = (ends.saturating_sub(begins), ends.saturating_sub(now));
    if left < 0 {
        Stage::Over((-left) / DAY_SECONDS)
    } else if left > life / 3 {
        Stage::Young
    } else if left < 3 * DAY_SECONDS {
        Stage::DaysLeft(std::cmp::Reverse(left / DAY_SECONDS))
    } else if left > life / 10 {
        Stage::LastThird
    } else {
        Stage::LastTenth
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;

    use super::*;

    #[test]
    fn a_life_has_a_third_a_tenth_and_three_days_at_its_end() {
        let of = |days: i64, left: i64| stage(0, days * DAY_SECONDS, (days - left) * DAY_SECONDS + 1);
        assert_eq!(of(90, 90), Stage::Young);
        assert_eq!(of(90, 31), Stage::Young);
        assert_eq!(of(90, 30), Stage::LastThird);
        assert_eq!(of(90, 9), Stage::LastTenth);
        assert_eq!(of(90, 3), Stage::DaysLeft(Reverse(2)));
        assert_eq!(of(90, 1), Stage::DaysLeft(Reverse(0)));
        assert_eq!(of(90, 0), Stage::Over(0));
        assert_eq!(of(90, -2), Stage::Over(2));
        // Of a short life the last three days are not all late.
        assert_eq!(of(6, 3), Stage::Young);
        assert_eq!(of(6, 2), Stage::DaysLeft(Reverse(1)));
    }

    #[test]
    fn what_comes_later_is_greater() {
        let stages: Vec<Stage> = (-3..=90)
            .rev()
            .map(|left| stage(0, 90 * DAY_SECONDS, (90 - left) * DAY_SECONDS))
            .collect();
        assert!(stages.is_sorted());
    }
}
