//! How many may be on their way in at once: it finds itself, by how soon NATS answers.
//!
//! No constant will do: a small host and a cluster differ by fifty times, and one host is slower the more are in. Answers
//! that come soon while nearly all places are taken say that there may be more; late ones, that there are too many; a
//! refusal, that there were far too many.
//!
//! An answer tells of the time when it was asked for. Of those who have a place most have not come to NATS yet, and on slow
//! telephones they all come later. So there is no more room while more people stand at NATS than it answers in a moment.

use std::{collections::VecDeque, time::Duration};

/// Places at the start; the bounds follow.
const START: u32 = 24;
const LEAST: u32 = 8;
const MOST: u32 = 512;

/// An answer that comes sooner makes room for one more; one that comes later than `LATE` takes room away.
const SOON: Duration = Duration::from_millis(500);
const LATE: Duration = Duration::from_millis(1500);

/// Before the number grows, so many may stand at NATS, or as many as it answers in a fifth of a second.
const FEW: usize = 4;
const PART_OF_A_SECOND: usize = 5;

/// Answers of the last second that are counted; more than `MOST` need.
const MOST_COUNTED: usize = 4096;

/// The least time between two falls: what is under way was let in by the old number.
const BETWEEN_FALLS: Duration = Duration::from_secs(1);

/// The number of places, and what moves it. Times are since any fixed moment.
#[derive(Debug)]
pub(super) struct Pace {
    places: u32,
    fell: Option<Duration>,
    is_fixed: bool,
    /// When NATS answered, in the last second.
    answers: VecDeque<Duration>,
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
            answers: VecDeque::new(),
        }
    }

    /// The operator's own number.
    pub(super) fn fixed(places: u32) -> Self {
        Self {
            places,
            fell: None,
            is_fixed: true,
            answers: VecDeque::new(),
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
        took >= SOON || is_nearly_all(taken, places)
    }

    /// NATS has answered after so long, while so many places were taken, and so many other people stand at NATS.
    pub(super) fn answered(&mut self, took: Duration, taken: u32, at_nats: usize, now: Duration) {
        if self.is_fixed {
            return;
        }
        let a_second_ago = now.saturating_sub(Duration::from_secs(1));
        while self.answers.len() >= MOST_COUNTED || self.answers.front().is_some_and(|at| *at < a_second_ago)
        {
            self.answers.pop_front();
        }
        self.answers.push_back(now);
        if took < SOON && is_nearly_all(taken, self.places) {
            if at_nats <= FEW.max(self.answers.len() / PART_OF_A_SECOND) {
                self.places = (self.places + 1).min(MOST);
            }
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
        pace.answered(499 * MS, 22, 0, Duration::ZERO);
        assert_eq!(pace.places(), 25);
        pace.answered(499 * MS, 22, 0, Duration::ZERO);
        assert_eq!(pace.places(), 25, "three are free");
        pace.answered(500 * MS, 25, 0, Duration::ZERO);
        assert_eq!(pace.places(), 25, "neither soon nor late");
    }

    #[test]
    fn grows_no_further_while_more_stand_at_nats_than_it_answers_in_a_moment() {
        let mut pace = Pace::finding();
        pace.answered(MS, 24, 5, Duration::ZERO);
        assert_eq!(pace.places(), 24);
        pace.answered(MS, 24, 4, Duration::ZERO);
        assert_eq!(pace.places(), 25);
        for nth in 0..47 {
            pace.answered(MS, 0, 0, nth * 20 * MS);
        }
        // Fifty in the last second.
        pace.answered(MS, 25, 11, 999 * MS);
        assert_eq!(pace.places(), 25);
        pace.answered(MS, 25, 10, 999 * MS);
        assert_eq!(pace.places(), 26);
        // They are forgotten a second later.
        pace.answered(MS, 26, 10, 3000 * MS);
        assert_eq!(pace.places(), 26);
    }

    #[test]
    fn falls_by_a_quarter_once_a_second_and_by_half_at_a_refusal() {
        let mut pace = Pace::finding();
        pace.answered(1500 * MS, 24, 24, Duration::ZERO);
        pace.answered(1500 * MS, 24, 24, 999 * MS);
        assert_eq!(pace.places(), 18);
        pace.answered(2000 * MS, 24, 24, 1000 * MS);
        assert_eq!(pace.places(), 14);
        pace.refused(2000 * MS);
        pace.refused(2001 * MS);
        assert_eq!(pace.places(), 8, "and no fewer");
    }

    #[test]
    fn a_number_of_the_operators_own_stays() {
        let mut pace = Pace::fixed(3);
        pace.answered(MS, 3, 0, Duration::ZERO);
        pace.answered(5000 * MS, 3, 0, Duration::ZERO);
        pace.refused(Duration::ZERO);
        assert_eq!(pace.places(), 3);
    }

    proptest! {
        #[test]
        fn whatever_happens_it_stays_in_bounds(
            events in prop::collection::vec((0u64..4000, 0u32..600, 0usize..20, 0u64..3000), 0..800),
        ) {
            let (mut pace, mut now) = (Pace::finding(), Duration::ZERO);
            for (took, taken, at_nats, later) in events {
                now += Duration::from_millis(later);
                match took {
                    3900.. => pace.refused(now),
                    took => {
                        let took = Duration::from_millis(took);
                        let before = pace.places();
                        pace.answered(took, taken, at_nats, now);
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
