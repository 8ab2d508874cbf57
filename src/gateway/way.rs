//! Addresses that another gateway has still, which is about to end: who gives them up, and who waits for them.
//!
//! A gateway that stops has given up its ports for clients, and answers at its admin listener until another one asks for it
//! over the control socket. Where nobody can be asked, the new one serves without an admin listener until the address is
//! free.

use std::{
    io, mem,
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::warn;

use crate::{addr::Spot, drain::Drain, listen};

/// The most time for the other one to answer at its admin listener.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// The time between two tries of an address that is in use.
const AGAIN: Duration = Duration::from_millis(250);

/// Between two warnings of an address that does not become free.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// The most time for all listeners of this gateway to be closed.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);

/// More than an answer of `/readyz`.
const MOST_BYTES: u64 = 2048;

/// Opens listeners, and asks another gateway once for what it has.
pub(super) struct Way<A> {
    ask: A,
    is_asked: bool,
    /// Where another one says whether it stops, and for how long it may go on accepting then.
    admin: Vec<SocketAddr>,
    patience: Duration,
}

impl<A: AsyncFnMut() -> bool> Way<A> {
    /// `ask` asks, and says whether the other one has let go. The other one is expected to have our own admin addresses and
    /// our `timeouts.drain_delay`.
    pub(super) fn asking(ask: A, admin: &[SocketAddr], drain_delay: Duration) -> Self {
        Self {
            ask,
            is_asked: false,
            admin: admin.to_vec(),
            patience: drain_delay.saturating_add(CLOSED_WITHIN),
        }
    }

    pub(super) async fn bind(&mut self, spot: impl Into<Spot>) -> io::Result<TcpListener> {
        let spot = spot.into();
        match listen::bind(spot).await {
            Err(error) if is_in_use(&error) => {
                if !mem::replace(&mut self.is_asked, true) && (self.ask)().await {
                    listen::bind(spot).await
                } else {
                    self.wait(spot, error).await
                }
            }
            bound => bound,
        }
    }

    /// Where nobody can be asked: who stops gives its addresses up by itself, all but that of the admin listener, which says
    /// so until then.
    async fn wait(&self, spot: Spot, mut error: io::Error) -> io::Result<TcpListener> {
        let until = Instant::now() + self.patience;
        while !self.admin.contains(&spot.addr) && Instant::now() < until && self.other_stops(&error).await {
            sleep(AGAIN).await;
            match listen::bind(spot).await {
                Err(again) if is_in_use(&again) => error = again,
                bound => return bound,
            }
        }
        Err(error)
    }

    async fn other_stops(&self, error: &io::Error) -> bool {
        for addr in &self.admin {
            if stops_at(*addr, error).await {
                return true;
            }
        }
        false
    }
}

/// Is it the admin listener of a gateway that stops, by what it says itself?
pub(super) async fn stops_at(addr: SocketAddr, error: &io::Error) -> bool {
    is_in_use(error)
        && timeout(ANSWERS_WITHIN, readiness(addr))
            .await
            .is_ok_and(|answer| answer.is_ok_and(|text| says_that_it_stops(&text)))
}

fn is_in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

async fn readiness(addr: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(addr).await?;
    let request = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await?;
    let mut text = String::new();
    stream.take(MOST_BYTES).read_to_string(&mut text).await?;
    Ok(text)
}

/// The words of `crate::listen::Admin`.
fn says_that_it_stops(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("\r\n\r\ndraining\n")
}

/// The admin listeners of a gateway that began without them; clones are the same.
#[derive(Clone, Default)]
pub(super) struct LateAdmin(Arc<Mutex<Vec<Late>>>);

struct Late {
    addr: SocketAddr,
    /// The listening socket, kept for a process that comes after this one.
    socket: Option<OwnedFd>,
}

impl LateAdmin {
    /// Tries until the address is free, and says each minute why it is not.
    pub(super) async fn bind(&self, spot: impl Into<Spot>) -> TcpListener {
        let mut told = Instant::now();
        let spot = spot.into();
        let addr = spot.addr;
        loop {
            match listen::bind(spot).await {
                Ok(listener) => {
                    let addr = listener.local_addr().unwrap_or(addr);
                    let socket = listener.as_fd().try_clone_to_owned().ok();
                    self.lock().push(Late { addr, socket });
                    return listener;
                }
                Err(error) if told.elapsed() >= TOLD_EVERY => {
                    told = Instant::now();
                    warn!(%addr, %error, "There is no admin listener yet: its address can't be opened");
                }
                Err(_) => {}
            }
            sleep(AGAIN).await;
        }
    }

    /// The addresses of the listeners, with the ports that the system chose.
    pub(super) fn addrs(&self) -> Vec<SocketAddr> {
        self.lock().iter().map(|late| late.addr).collect()
    }

    /// Descriptors of the sockets that nobody has taken yet.
    pub(super) fn take_sockets(&self) -> Vec<OwnedFd> {
        self.lock()
            .iter_mut()
            .filter_map(|late| late.socket.take())
            .collect()
    }

    /// Nobody comes after this one.
    pub(super) fn close(&self) {
        self.take_sockets();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Late>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How this gateway lets go of its addresses.
#[derive(Default)]
pub(super) struct Leaving {
    pub(super) admin_drain: Drain,
    /// `timeouts.drain_delay` is over.
    pub(super) hurry: CancellationToken,
    pub(super) listening: TaskTracker,
}

impl Leaving {
    /// Lets go of everything, the admin listener too, if this is a gateway that stops. Resolves when nobody listens there
    /// any more.
    pub(super) async fn give_way(&self, drain: &Drain) -> bool {
        if !drain.is_leaving() {
            return false;
        }
        self.hurry.cancel();
        let closed = async {
            drain.draining().await;
            self.admin_drain.begin();
            self.listening.close();
            self.listening.wait().await;
        };
        timeout(CLOSED_WITHIN, closed).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_admin_listener_of_a_gateway_that_stops_says_so() {
        let stops = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 9\r\n\r\ndraining\n";
        assert!(says_that_it_stops(stops));
        for other in [
            "",
            "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nready\n",
            "HTTP/1.1 503 Service Unavailable\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\ndraining\n",
            "draining\n",
        ] {
            assert!(!says_that_it_stops(other), "{other}");
        }
    }

    #[tokio::test]
    async fn who_has_an_address_is_asked_once_and_waited_for_no_longer_than_it_takes() {
        // Of 127.0.0.1 another test could be given the port.
        let held = listen::bind(SocketAddr::from(([127, 0, 7, 78], 0)))
            .await
            .unwrap();
        let addr = held.local_addr().unwrap();
        let mut asked = 0;
        let count = async || {
            asked += 1;
            false
        };
        let mut way = Way::asking(count, &[], Duration::ZERO);
        for _ in 0..2 {
            assert_eq!(way.bind(addr).await.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        }
        assert_eq!(asked, 1);
        let mut held = Some(held);
        let mut way = Way::asking(async || held.take().is_some(), &[], Duration::ZERO);
        assert_eq!(way.bind(addr).await.unwrap().local_addr().unwrap(), addr);
    }

    #[tokio::test]
    async fn an_address_is_taken_as_soon_as_it_is_free_and_given_up_with_the_rest() {
        // Of 127.0.0.1 another test could be given the port.
        let held = listen::bind(SocketAddr::from(([127, 0, 7, 77], 0)))
            .await
            .unwrap();
        let addr = held.local_addr().unwrap();
        let late = LateAdmin::default();
        let own = late.clone();
        let waiting = tokio::spawn(async move { own.bind(addr).await });
        sleep(AGAIN).await;
        assert!(late.addrs().is_empty() && late.take_sockets().is_empty());
        drop(held);
        let listener = waiting.await.unwrap();
        assert_eq!(late.addrs(), [addr]);
        late.close();
        drop(listener);
        assert!(late.take_sockets().is_empty());
        TcpStream::connect(addr).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_gateway_that_serves_gives_nothing_up_and_one_that_stops_everything() {
        let (leaving, drain) = (Leaving::default(), Drain::default());
        assert!(!leaving.give_way(&drain).await);
        let (front, admin) = (drain.clone(), leaving.admin_drain.clone());
        leaving.listening.spawn(async move { front.draining().await });
        leaving.listening.spawn(async move { admin.draining().await });
        drain.leave();
        let (hurry, draining) = (leaving.hurry.clone(), drain.clone());
        tokio::spawn(async move {
            hurry.cancelled().await;
            draining.begin();
        });
        assert!(leaving.give_way(&drain).await);
        assert!(leaving.listening.is_empty());
    }
}
