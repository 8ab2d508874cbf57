//! While people wait, a line of the log says how many, and for how long: soon, and then once a minute.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use tokio::time::sleep;
use tracing::info;

use super::Shared;

/// Between two lines of the log while people wait, and before the first.
const TELL_EVERY: Duration = Duration::from_secs(60);
const TELL_FIRST: Duration = Duration::from_secs(5);

/// Until nobody waits any more.
pub(super) async fn tell(shared: Arc<Shared>) {
    let mut after = TELL_FIRST;
    loop {
        sleep(after).await;
        after = TELL_EVERY;
        let (mut waiting, longest) = shared.gate.waiting();
        if waiting == 0 {
            shared.is_told.store(false, SeqCst);
            // One more may have come in between, and found this task running.
            waiting = shared.gate.waiting().0;
            if waiting == 0 || shared.is_told.swap(true, SeqCst) {
                return;
            }
        }
        info!(
            waiting,
            longest_s = longest.as_secs(),
            joining = shared.gate.taken(),
            places = shared.gate.places(),
            "People wait to join"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        num::NonZeroU32,
        sync::{Mutex, PoisonError},
    };

    use serde_json::Value;
    use tracing_subscriber::fmt::MakeWriter;

    use super::{
        super::{Joining, JoiningSettings, Joins, Person},
        *,
    };
    use crate::{drain::Drain, observe::Metrics};

    /// The log, as it was written.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Log {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    impl Log {
        /// How many wait, and for how long, in each of its lines.
        fn waiting(&self) -> Vec<(u64, u64)> {
            let text = self.0.lock().unwrap().clone();
            let lines = str::from_utf8(&text).unwrap().lines();
            let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap()["fields"].take());
            lines
                .inspect(|fields| {
                    assert_eq!(fields["message"], "People wait to join");
                    assert_eq!((&fields["joining"], &fields["places"]), (&1.into(), &1.into()));
                })
                .map(|fields| {
                    (
                        fields["waiting"].as_u64().unwrap(),
                        fields["longest_s"].as_u64().unwrap(),
                    )
                })
                .collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_a_minute_says_how_many_wait_and_for_how_long() {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt().json().with_writer(log.clone()).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let one = JoiningSettings {
            joins: Joins::AtOnce(NonZeroU32::MIN),
            admission: Duration::from_secs(3600),
        };
        let joining = Joining::new(one, &Metrics::default(), &Drain::default());
        let knock = |user: &str| {
            let (joining, user_id) = (joining.clone(), user.into());
            let person = Person {
                room_id: "room01".into(),
                user_id,
            };
            tokio::spawn(async move { joining.knock(person, false).await.unwrap() })
        };
        let _ann = joining.arrive(Duration::ZERO).await.unwrap();
        let bob = knock("bob");
        sleep(Duration::from_secs(4)).await;
        assert_eq!(log.waiting(), []);
        let cid = knock("cid");
        sleep(Duration::from_secs(62)).await;
        assert_eq!(log.waiting(), [(2, 5), (2, 65)]);
        bob.abort();
        sleep(Duration::from_secs(60)).await;
        assert_eq!(log.waiting(), [(2, 5), (2, 65), (1, 121)]);
        // Nobody is left, and nothing is said of it.
        cid.abort();
        sleep(Duration::from_secs(600)).await;
        assert_eq!(log.waiting().len(), 3);
        // Who comes later is told of again.
        let _dan = knock("dan");
        sleep(Duration::from_secs(6)).await;
        assert_eq!(log.waiting().last(), Some(&(1, 5)));
    }
}
