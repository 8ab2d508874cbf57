//! How many may be on their way in at once: it finds itself, by how soon NATS answers.
//!
//! No constant will do: a small host and a cluster differ by fifty times, and one host is slower the more are in. Answers
//! that come soon while nearly all places are taken say that there may be more; late ones, that there are too many; a
//! refusal, that there were far too many.

use std::time::Duration;

/// At the start, and the bounds.
const START: u32 = 24;
const LEAST: u32 = 8;
const MOST: u32 = 512;

/// An answer that comes sooner makes room for one more; one that comes later than `LATE` takes room away.
const SOON: Duration = Duration::from_millis(500);
const LATE: Duration = Duration::from_millis(1500);

/// The least time between two falls: what is under way was let in by the old number.
const BETWEEN_FALLS: Duration = Duration::from_secs(1);

/// The number of places, and what moves it. Times are since any fixed moment.
#[derive(Debug)]
pub(super) struct Pace {
    places: u32,
    fell: Option<Duration>,
    is_fixed: bool,
}

impl Pace {
    /// Finds the number itself.
    pub(super) fn finding() -> Self {
        Self::finding_from(START)
    }

    /// Goes on from a number that it has found.
    pub(super) fn finding_from(places: u32) -> Self {
        Self {
            places,
            fell: None,
            is_fixed: false,
        }
    }

    /// The operator's own number.
    pub(super) fn fixed(places: u32) -> Self {
        Self {
            places,
            fell: None,
            is_fixed: true,
        }
    }

    pub(super) fn places(&self) -> u32 {
        self.places
    }

    pub(super) fn is_fixed(&self) -> bool {
        self.is_fixed
    }

    /// Would such an answer change anything? Asked without a lock.
    pub(super) fn is_of_interest(took: Duration, taken: u32, places: u32) -> bool {
        took >= LATE || (took < SOON && is_nearly_all(taken, places))
    }

    /// NATS has answered after so long, while so many places were taken.
    pub(super) fn answered(&mut self, took: Duration, taken: u32, now: Duration) {
        if self.is_fixed {
            return;
        }
        if took < SOON && is_nearly_all(taken, self.places) {
            self.places = (self.places + 1).min(MOST);
        } else if took >= LATE {
            self.fall(self.places - self.places / 4, now);
        }
    }

    /// NATS has refused somebody whose token is good.
    pub(super) fn refused(&mut self, now: Duration) {
        if !self.is_fixed {
            self.fall(self.places / 2, now);
        }
    }

    /// One burst of late answers or refusals is one sign.
    fn fall(&mut self, to: u32, now: Duration) {
        if self
            .fell
            .is_some_and(|fell| now.saturating_sub(fell) < BETWEEN_FALLS)
        {
            return;
        }
        self.fell = Some(now);
        self.places = to.max(LEAST);
    }
}

/// Growing while places are free would let in far more at once than anybody has seen answered.
fn is_nearly_all(taken: u32, places: u32) -> bool {
    taken.saturating_mul(10) >= places.saturating_mul(9)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn grows_by_one_an_answer_while_nearly_all_are_taken() {
        let mut pace = Pace::finding();
        assert_eq!(pace.places(), 24);
        pace.answered(499 * MS, 22, Duration::ZERO);
        assert_eq!(pace.places(), 25);
        pace.answered(499 * MS, 22, Duration::ZERO);
        assert_eq!(pace.places(), 25, "three are free");
        pace.answered(500 * MS, 25, Duration::ZERO);
        assert_eq!(pace.places(), 25, "neither soon nor late");
    }

    #[test]
    fn falls_by_a_quarter_once_a_second_and_by_half_at_a_refusal() {
        let mut pace = Pace::finding();
        pace.answered(1500 * MS, 24, Duration::ZERO);
        pace.answered(1500 * MS, 24, 999 * MS);
        assert_eq!(pace.places(), 18);
        pace.answered(2000 * MS, 24, 1000 * MS);
        assert_eq!(pace.places(), 14);
        pace.refused(2000 * MS);
        pace.refused(2001 * MS);
        assert_eq!(pace.places(), 8, "and no fewer");
    }

    #[test]
    fn a_number_of_the_operators_own_stays() {
        let mut pace = Pace::fixed(3);
        pace.answered(MS, 3, Duration::ZERO);
        pace.answered(5000 * MS, 3, Duration::ZERO);
        pace.refused(Duration::ZERO);
        assert_eq!(pace.places(), 3);
    }

    proptest! {
        #[test]
        fn whatever_happens_it_stays_in_bounds(
            events in prop::collection::vec((0u64..4000, 0u32..600, 0u64..3000), 0..800),
        ) {
            let (mut pace, mut now) = (Pace::finding(), Duration::ZERO);
            for (took, taken, later) in events {
                now += Duration::from_millis(later);
                match took {
                    3900.. => pace.refused(now),
                    took => {
                        let took = Duration::from_millis(took);
                        let before = pace.places();
                        pace.answered(took, taken, now);
                        prop_assert!(
                            pace.places() == before || Pace::is_of_interest(took, taken, before),
                            "what is not of interest changes nothing"
                        );
                    }
                }
                prop_assert!((LEAST..=MOST).contains(&pace.places()));
            }
        }
    }
}
