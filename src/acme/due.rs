//! When a certificate is renewed, and how long somebody who failed waits.
//!
//! By the window that the CA suggests (RFC 9773), at a random time in it; else in the last third of the life, whatever its
//! length. The random share is the certificate's own, so that a look does not change it.

use std::time::Duration;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

const MINUTE: i64 = 60;

/// Before the first order of a name is tried again that its CA has refused, and at most. Three times as long each time: there
/// are three tries in the first hour, and Let's Encrypt takes five failures.
pub(super) const FIRST_PAUSE: i64 = 10 * MINUTE;
pub(super) const LONGEST_PAUSE: i64 = 24 * 60 * MINUTE;
/// The pause to which somebody shortens it who has mended something and reloads: three tries an hour at most.
pub(super) const PAUSE_BEFORE_RELOADED: i64 = 20 * MINUTE;
/// What has not got as far as the CA is tried sooner.
pub(super) const FIRST_PAUSE_BEFORE: i64 = MINUTE;
/// The longest that a CA may make us wait: its limits are counted by the week.
pub(super) const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);
/// Between two questions for a window, whatever the CA says (RFC 9773 section 4.3.2).
pub(super) const ASK_AGAIN: (i64, i64) = (MINUTE, 24 * 60 * MINUTE);

/// When the CA wants a certificate to be renewed; in seconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Window {
    pub from: i64,
    pub until: i64,
    /// When it is asked for again.
    pub ask_again: i64,
}

/// A number from 0 to 1 that is a certificate's own.
pub(super) fn share(der: &[u8]) -> f64 {
    let hash = digest::digest(&digest::SHA256, der);
    let first = hash.as_ref().first_chunk::<4>().copied().unwrap_or_default();
    f64::from(u32::from_be_bytes(first)) / f64::from(u32::MAX)
}

/// The time at which a certificate is to be renewed, in seconds since 1970.
pub(super) fn renewal(begins: i64, ends: i64, share: f64, window: Option<Window>) -> i64 {
    let life = ends.saturating_sub(begins).max(0);
    let last_third = ends - life / 3;
    let own = last_third + part(life / 12, share);
    match window {
        Some(window) if window.until >= window.from && window.from < ends => {
            let wanted = window.from + part(window.until - window.from, share);
            // A window that reaches beyond the end would leave clients without a certificate.
            wanted.min(ends - life / 12)
        }
        Some(_) | None => own,
    }
}

/// Seconds until the next try, after so many failures in a row; `share` is from 0 to 1.
pub(super) fn pause(failures: u32, share: f64) -> i64 {
    growing(FIRST_PAUSE, 3, LONGEST_PAUSE, failures, share)
}

/// As `pause`, where the CA was not asked for anything.
pub(super) fn pause_before(failures: u32, share: f64) -> i64 {
    growing(FIRST_PAUSE_BEFORE, 2, FIRST_PAUSE, failures, share)
}

fn growing(first: i64, times: i64, most: i64, failures: u32, share: f64) -> i64 {
    let grown = times
        .saturating_pow(failures.saturating_sub(1))
        .saturating_mul(first);
    let pause = grown.min(most);
    pause + part(pause / 10, share)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "seconds of a life, of which a fraction makes no difference"
)]
fn part(of: i64, share: f64) -> i64 {
    (of as f64 * share) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600;

    #[test]
    fn a_life_of_any_length_is_renewed_in_its_last_third() {
        for life in [90 * DAY, 45 * DAY, 160 * 3600, 120] {
            for share in [0.0, 0.3, 1.0] {
                let due = renewal(1000, 1000 + life, share, None);
                let left = 1000 + life - due;
                assert!(left <= life / 3 + 1 && left >= life / 5, "{life} {share} {left}");
            }
        }
    }

    #[test]
    fn the_cas_window_counts_before_the_last_third() {
        let window = |from, until| {
            Some(Window {
                from,
                until,
                ask_again: 0,
            })
        };
        assert_eq!(renewal(0, 90 * DAY, 0.5, window(10 * DAY, 12 * DAY)), 11 * DAY);
        // A certificate that is to be replaced at once.
        assert!(renewal(0, 90 * DAY, 0.9, window(-3 * DAY, -2 * DAY)) < 0);
        // A window that makes no sense is none.
        assert_eq!(renewal(0, 90 * DAY, 0.0, window(12 * DAY, 10 * DAY)), 60 * DAY);
        assert_eq!(renewal(0, 90 * DAY, 0.0, window(91 * DAY, 99 * DAY)), 60 * DAY);
        assert!(renewal(0, 90 * DAY, 1.0, window(89 * DAY, 95 * DAY)) < 85 * DAY);
    }

    #[test]
    fn who_failed_waits_from_minutes_to_a_day_and_never_fails_five_times_in_an_hour() {
        let pauses: Vec<i64> = (1..8).map(|failures| pause(failures, 0.0) / MINUTE).collect();
        assert_eq!(pauses, [10, 30, 90, 270, 810, 1440, 1440]);
        assert!(pause(u32::MAX, 1.0) <= LONGEST_PAUSE * 11 / 10);
        let before: Vec<i64> = (1..7)
            .map(|failures| pause_before(failures, 0.0) / MINUTE)
            .collect();
        assert_eq!(before, [1, 2, 4, 8, 10, 10]);
    }

    #[test]
    fn a_share_is_a_certificates_own() {
        assert!((share(b"a") - share(b"a")).abs() < f64::EPSILON);
        assert!((share(b"a") - share(b"b")).abs() > f64::EPSILON);
        assert!((0.0..=1.0).contains(&share(b"c")));
    }
}
