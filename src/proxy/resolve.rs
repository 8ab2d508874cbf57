//! Looks up the names of upstreams beside the traffic. No request waits for a lookup, except before the first answer.
//!
//! The gateway asks the system's resolver (`getaddrinfo`), and has no DNS library of its own. The system knows
//! `/etc/hosts`, `nsswitch.conf`, search domains, mDNS and a container engine's names as for all other programs of the
//! machine, and follows changes of `resolv.conf`. It does not tell the time to live of an answer, so each name is
//! looked up again every few seconds, whatever the time to live is. That is one lookup for each name, however much
//! traffic there is.
//!
//! The last good answer is used until there is a better one: also while name servers are silent, or no longer know the
//! name.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    sync::Arc,
    thread,
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep_until},
};
use tracing::{info, warn};

/// The time from an answer to the next lookup of the same name.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// The time from an answer to the next lookup while no answer has been good yet. It is also the least time between two
/// lookups when the next one is brought forward because the known addresses fail.
const ASK_SOONER: Duration = Duration::from_secs(1);

/// The largest number of addresses of one name that are used. Any further ones are left out.
const MAX_ADDRESSES: usize = 64;

pub(super) trait Lookup: Send + Sync + 'static {
    /// The addresses of a name, in the order in which they should be tried.
    fn lookup(&self, host: &str, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;
}

pub(super) struct System;

impl Lookup for System {
    /// Asks on a thread of its own, because `getaddrinfo` blocks, for half a minute where name servers are silent. A
    /// thread of the runtime's blocking pool would not do: the end of the process would wait for it.
    async fn lookup(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let (tell, told) = oneshot::channel();
        let host = host.to_owned();
        thread::Builder::new()
            .name("resolver".to_owned())
            .spawn(move || {
                let found = (host.as_str(), port).to_socket_addrs();
                tell.send(found.map(Iterator::collect)).ok();
            })?;
        told.await.map_err(io::Error::other)?
    }
}

/// Looks up a name again and again. `tell` takes each answer, and returns false when nobody wants further answers; then
/// this ends. `sooner` brings the next lookup forward.
pub(super) async fn keep_asking<L: Lookup>(
    host: String,
    port: u16,
    lookup: Arc<L>,
    sooner: Arc<Notify>,
    tell: impl Fn(io::Result<Vec<SocketAddr>>) -> bool,
) {
    let mut known = false;
    let mut told_failure = false;
    loop {
        let asked = Instant::now();
        let answer = match lookup.lookup(&host, port).await {
            Ok(found) if found.is_empty() => {
                Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
            }
            Ok(found) => Ok(alternating(found)),
            Err(error) => Err(error),
        };
        match &answer {
            Ok(_) if told_failure => {
                info!(name = host, "The name is known again");
                told_failure = false;
            }
            Err(error) if !told_failure => {
                warn!(name = host, %error, last_addresses_are_used = known, "A name can't be looked up");
                told_failure = true;
            }
            Ok(_) | Err(_) => {}
        }
        known |= answer.is_ok();
        if !tell(answer) {
            return;
        }
        let next = Instant::now() + if known { ASK_EVERY } else { ASK_SOONER };
        tokio::select! {
            () = sleep_until(next) => {}
            () = async {
                sooner.notified().await;
                sleep_until(asked + ASK_SOONER).await;
            } => {}
        }
    }
}

/// Puts addresses of IPv4 and IPv6 in alternation, each address once (RFC 8305 section 4). So a family that leads
/// nowhere costs one try, not one try for each of its addresses.
fn alternating(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = found.into_iter().partition(|addr| addr.is_ipv6() == first_is_v6);
    let mut turns = (first.into_iter(), second.into_iter());
    let mut all = Vec::new();
    while all.len() < MAX_ADDRESSES {
        let Some(next) = turns.0.next().or_else(|| turns.1.next()) else {
            break;
        };
        if !all.contains(&next) {
            all.push(next);
        }
        turns = (turns.1, turns.0);
    }
    all
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::{advance, sleep};

    use super::*;

    fn addrs(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_each_address_is_there_once() {
        assert_eq!(
            alternating(addrs(&["[::1]:1", "[::2]:1", "[::1]:1", "192.0.2.1:1"])),
            addrs(&["[::1]:1", "192.0.2.1:1", "[::2]:1"])
        );
        assert_eq!(
            alternating(addrs(&["192.0.2.1:1", "192.0.2.2:1", "[::1]:1"])),
            addrs(&["192.0.2.1:1", "[::1]:1", "192.0.2.2:1"])
        );
        let many: Vec<SocketAddr> = (1..=200).map(|port| ([192, 0, 2, 1], port).into()).collect();
        assert_eq!(alternating(many.clone()), many[..MAX_ADDRESSES]);
    }

    /// A resolver whose first `failures` answers fail. `asked` has the times of all lookups, in seconds since `began`.
    struct Scripted {
        began: Instant,
        asked: Arc<Mutex<Vec<u64>>>,
        failures: usize,
    }

    impl Lookup for Scripted {
        async fn lookup(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
            let count = {
                let mut asked = self.asked.lock().unwrap();
                asked.push(self.began.elapsed().as_secs());
                asked.len()
            };
            if count <= self.failures {
                Err(io::Error::other("nobody answers"))
            } else {
                Ok(addrs(&["192.0.2.1:1"]))
            }
        }
    }

    async fn asked_within(seconds: u64, failures: usize, sooner_at: &[u64]) -> Vec<u64> {
        let asked = Arc::default();
        let lookup = Scripted {
            began: Instant::now(),
            asked: Arc::clone(&asked),
            failures,
        };
        let sooner = Arc::new(Notify::new());
        let asking = tokio::spawn(keep_asking(
            "a.test".into(),
            1,
            Arc::new(lookup),
            Arc::clone(&sooner),
            |_| true,
        ));
        for second in 0..=seconds {
            if sooner_at.contains(&second) {
                sooner.notify_one();
            }
            // Lets the task run.
            sleep(Duration::from_millis(1)).await;
            advance(Duration::from_millis(999)).await;
        }
        asking.abort();
        let asked = asked.lock().unwrap();
        asked.clone()
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_is_asked_for_every_ten_seconds_and_sooner_while_it_leads_nowhere() {
        assert_eq!(asked_within(25, 0, &[]).await, [0, 10, 20]);
        assert_eq!(asked_within(15, 3, &[]).await, [0, 1, 2, 3, 13]);
        assert_eq!(asked_within(16, 0, &[4]).await, [0, 4, 14]);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_asked_when_nobody_wants_to_know() {
        let lookup = Scripted {
            began: Instant::now(),
            asked: Arc::default(),
            failures: 0,
        };
        let asked = Arc::clone(&lookup.asked);
        keep_asking("a.test".into(), 1, Arc::new(lookup), Arc::default(), |_| false).await;
        assert_eq!(*asked.lock().unwrap(), [0]);
    }
}
