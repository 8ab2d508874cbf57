//! Silence on a tunnel to NATS: who has fallen silent, and since when.
//!
//! A client that has slept for a minute is deaf when it wakes up: the server has taken its consumer away, and makes it
//! again only when a new connection authenticates. A NATS that does not answer is given up by the client's library for good
//! after 20 to 30 s, without a new try. In both cases a tunnel that is closed in time is dialled anew, and one that is kept
//! is a trap.
//!
//! No frame is read for this. It is times alone, looked at by one timer, and one fixed text: NATS pings a client by itself
//! as well, which answers nothing.
//!
//! Source: docs/plugnmeet.md section 5 (NATS and its client).

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// For NATS to say anything to a client that has said something: its library gives up after two pings of 10 s.
const UPSTREAM_ANSWERS: Duration = Duration::from_secs(17);

/// `PING` in a frame of its own.
const NATS_PING: &[u8] = b"\x82\x06PING\r\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silent {
    Client,
    Upstream,
}

/// What was heard when, in milliseconds after the beginning.
pub(super) struct Silence {
    /// How long a client may say nothing.
    client_speaks: Duration,
    started: Instant,
    client_spoke: AtomicU64,
    /// When the client said the first thing that upstream has not answered, plus one; zero if there is none.
    unanswered_since: AtomicU64,
}

impl Silence {
    pub(super) fn begin(client_speaks: Duration) -> Self {
        Self {
            client_speaks,
            started: Instant::now(),
            client_spoke: AtomicU64::new(0),
            unanswered_since: AtomicU64::new(0),
        }
    }

    pub(super) fn client_said(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.client_spoke.store(now, Ordering::Relaxed);
        self.unanswered_since
            .compare_exchange(0, now + 1, Ordering::Relaxed, Ordering::Relaxed)
            .ok();
    }

    pub(super) fn upstream_said(&self, bytes: &[u8]) {
        if bytes != NATS_PING {
            self.unanswered_since.store(0, Ordering::Relaxed);
        }
    }

    /// Resolves when one side has been silent for too long.
    pub(super) async fn fell(&self) -> Silent {
        loop {
            let client_until = self.client_spoke.load(Ordering::Relaxed);
            let client_until = self.started + Duration::from_millis(client_until) + self.client_speaks;
            let now = Instant::now();
            let upstream_until = match self.unanswered_since.load(Ordering::Relaxed) {
                0 => now + UPSTREAM_ANSWERS,
                since => self.started + Duration::from_millis(since - 1) + UPSTREAM_ANSWERS,
            };
            if client_until <= now {
                return Silent::Client;
            }
            if upstream_until <= now {
                return Silent::Upstream;
            }
            sleep_until(client_until.min(upstream_until)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn ends_within(silence: &Silence, seconds: u32) -> Option<Silent> {
        timeout(SECOND * seconds, silence.fell()).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_nothing_is_gone_whatever_upstream_says() {
        let silence = Silence::begin(50 * SECOND);
        assert_eq!(ends_within(&silence, 49).await, None);
        silence.upstream_said(b"x");
        assert_eq!(ends_within(&silence, 2).await, Some(Silent::Client));
    }

    #[tokio::test(start_paused = true)]
    async fn who_pings_and_is_answered_stays() {
        let silence = Silence::begin(50 * SECOND);
        for _ in 0..30 {
            silence.client_said();
            advance(SECOND).await;
            silence.upstream_said(b"PONG");
            assert_eq!(ends_within(&silence, 9).await, None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_upstream_that_does_not_answer_is_gone_after_seventeen_seconds_from_the_first_word() {
        let silence = Silence::begin(50 * SECOND);
        assert_eq!(ends_within(&silence, 20).await, None, "nobody has said anything");
        silence.client_said();
        assert_eq!(ends_within(&silence, 10).await, None);
        silence.client_said();
        silence.upstream_said(NATS_PING);
        assert_eq!(ends_within(&silence, 6).await, None);
        assert_eq!(ends_within(&silence, 2).await, Some(Silent::Upstream));
    }
}
