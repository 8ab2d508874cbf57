//! Reaching an upstream: any of its addresses that takes the connection, each in its turn.
//!
//! Nothing was sent yet, so going on to the next is safe for any request, and so is asking again.
//!
//! Source: RFC 8305 section 5 (the next address is tried beside one that does not answer).

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    address::{Address, Fault},
    addresses::{Addresses, Watch},
    endpoint::Socket,
    turns::{Turns, Waits},
};

/// A dead peer behind an idle tunnel is noticed after about two minutes; clients ping far more often.
const KEEP_ALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(15))
    .with_retries(4);

/// For a peer to acknowledge what was sent: keep-alive does not run while something waits for that.
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// Between two tries of an address that fails: its server may be being started again.
const AGAIN: Duration = Duration::from_millis(250);

/// For an address, before the next is tried beside it (RFC 8305 section 8).
const HEAD_START: Duration = Duration::from_millis(250);

/// Makes connections to the addresses of one upstream.
pub(super) struct Connect {
    pub(super) addresses: Addresses,
    turns: Turns,
}

/// A connection that was made.
pub(super) struct Made {
    pub(super) address: Arc<Address>,
    pub(super) socket: Socket,
    /// No address took it at first.
    pub(super) was_away: Option<Waits>,
}

impl Connect {
    pub(super) fn new(addresses: Addresses) -> Self {
        let turns = Turns::default();
        Self { addresses, turns }
    }

    /// One after the other from the next in turn on, all within one time: the next when the one before has failed,
    /// or has had its head start. One that fails is tried again until the deadline.
    pub(super) async fn any(&self, within: Duration) -> io::Result<Made> {
        let until = Instant::now() + within;
        let mut watch = self.addresses.watch();
        timeout_at(until, watch.any())
            .await
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no address is known yet")))?;
        let made = Race::among(self.addresses.in_turn(), self.turns.clone())
            .run(until, &mut watch, &self.addresses)
            .await?;
        if let Socket::Tcp(stream) = &made.socket {
            stream.set_nodelay(true)?;
            let socket = SockRef::from(stream);
            socket.set_tcp_keepalive(&KEEP_ALIVE)?;
            socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
        }
        Ok(made)
    }
}

/// Tries of one connection.
struct Race {
    /// Whose turn comes, and not before when.
    waiting: VecDeque<(Instant, Arc<Address>)>,
    /// Those that are being tried, and since when.
    running: Vec<(Instant, Arc<Address>)>,
    tries: JoinSet<(Arc<Address>, io::Result<Socket>)>,
    /// When the next may begin.
    next: Instant,
    /// Of the last that failed.
    error: Option<io::Error>,
    turns: Turns,
    /// From when every address has failed.
    away: Option<Waits>,
}

impl Race {
    fn among(addresses: Vec<Arc<Address>>, turns: Turns) -> Self {
        let now = Instant::now();
        Self {
            waiting: addresses.into_iter().map(|address| (now, address)).collect(),
            running: Vec::new(),
            tries: JoinSet::new(),
            next: now,
            error: None,
            turns,
            away: None,
        }
    }

    async fn run(mut self, until: Instant, watch: &mut Watch, addresses: &Addresses) -> io::Result<Made> {
        loop {
            let next = self
                .waiting
                .front()
                .map(|(not_before, _)| self.next.max(*not_before));
            if self.running.is_empty() && next.is_none_or(|next| next >= until) {
                return Err(self.failed());
            }
            tokio::select! {
                biased;
                Some(ended) = self.tries.join_next() => {
                    let (address, result) = ended.map_err(io::Error::other)?;
                    self.running.retain(|(_, other)| !Arc::ptr_eq(other, &address));
                    match result {
                        Ok(socket) => {
                            self.is_won();
                            address.connected();
                            let was_away = self.away.take();
                            return Ok(Made { address, socket, was_away });
                        }
                        Err(error) => self.lost(address, error),
                    }
                    if self.running.is_empty() {
                        addresses.ask_sooner();
                    }
                }
                () = sleep_until(next.unwrap_or(until)), if next.is_some_and(|next| next < until) => self.start(),
                () = sleep_until(until) => {
                    addresses.ask_sooner();
                    return Err(self.late());
                }
                () = watch.news() => self.join(watch.all()),
            }
        }
    }

    fn start(&mut self) {
        let Some((_, address)) = self.waiting.pop_front() else {
            return;
        };
        let now = Instant::now();
        self.next = now + HEAD_START;
        self.running.push((now, Arc::clone(&address)));
        self.tries.spawn(async move {
            let result = address.connect().await;
            (address, result)
        });
    }

    fn lost(&mut self, address: Arc<Address>, error: io::Error) {
        if let Some(fault) = Fault::of(&error) {
            address.failed(fault);
        }
        self.error = Some(error);
        self.next = Instant::now();
        let is_untried = |(not_before, _): &(Instant, Arc<Address>)| *not_before <= self.next;
        if self.running.is_empty() && !self.waiting.iter().any(is_untried) {
            self.away.get_or_insert_with(|| self.turns.waits());
        }
        self.waiting.push_back((self.next + AGAIN, address));
    }

    /// Whoever was overtaken in spite of a head start is slow.
    fn is_won(&self) {
        let now = Instant::now();
        for (since, address) in &self.running {
            if now - *since >= HEAD_START {
                address.failed(Fault::Late);
            }
        }
    }

    /// The deadline has passed.
    fn late(self) -> io::Error {
        for (since, address) in &self.running {
            if since.elapsed() >= HEAD_START {
                address.failed(Fault::Late);
            }
        }
        self.error.unwrap_or_else(|| io::ErrorKind::TimedOut.into())
    }

    fn failed(self) -> io::Error {
        let none = || io::Error::new(io::ErrorKind::NotFound, "no address is known");
        self.error.unwrap_or_else(none)
    }

    /// Addresses that were not known when the race began take part too.
    fn join(&mut self, all: Vec<Arc<Address>>) {
        let now = Instant::now();
        for address in all {
            let here = self.waiting.iter().chain(&self.running);
            if !here.into_iter().any(|(_, other)| Arc::ptr_eq(other, &address)) {
                self.waiting.push_front((now, address));
            }
        }
        // Nobody leads to them any more.
        self.waiting.retain(|(_, address)| !address.is_retired());
    }
}
