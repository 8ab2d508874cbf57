//! Connects to an upstream: its addresses are tried in turn, until one takes the connection.
//!
//! At this point nothing of a request has been sent, so it is safe for any request to try the next address, or the same
//! one again.
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

/// TCP keep-alive, by which a dead peer behind an idle tunnel is noticed after about two minutes. Clients ping far more
/// often.
const KEEP_ALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(15))
    .with_retries(4);

/// How long a peer may leave data unacknowledged before the connection ends (`TCP_USER_TIMEOUT`). Keep-alive does not
/// run while data is unacknowledged.
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// The time between two tries of an address that fails. Its server may be restarting.
const AGAIN: Duration = Duration::from_millis(250);

/// How long an address is tried before the next one is tried beside it (RFC 8305 section 8).
const HEAD_START: Duration = Duration::from_millis(250);

/// Makes connections to the addresses of one upstream.
pub(super) struct Connect {
    pub(super) addresses: Addresses,
    pub(super) turns: Turns,
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

/// All tries for one connection.
struct Race {
    /// The addresses that are yet to be tried, each with the time before which it must not be.
    waiting: VecDeque<(Instant, Arc<Address>)>,
    /// The addresses that are being tried, each with the time when its try began.
    running: Vec<(Instant, Arc<Address>)>,
    tries: JoinSet<(Arc<Address>, io::Result<Socket>)>,
    /// The time before which no further try begins.
    next: Instant,
    /// The error of the last try that failed.
    error: Option<io::Error>,
    turns: Turns,
    /// Set once every address has failed.
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

    /// One try has won. Marks as late each address that had a head start and is still being tried.
    fn is_won(&self) {
        let now = Instant::now();
        for (since, address) in &self.running {
            if now - *since >= HEAD_START {
                address.failed(Fault::Late);
            }
        }
    }

    /// The deadline has passed. Marks as late each address that had a head start and is still being tried.
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

    /// Adds addresses that became known after the race began.
    fn join(&mut self, all: Vec<Arc<Address>>) {
        let now = Instant::now();
        for address in all {
            let here = self.waiting.iter().chain(&self.running);
            if !here.into_iter().any(|(_, other)| Arc::ptr_eq(other, &address)) {
                self.waiting.push_front((now, address));
            }
        }
        // Addresses to which no target leads any more are not tried.
        self.waiting.retain(|(_, address)| !address.is_retired());
    }
}
