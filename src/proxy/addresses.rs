//! The addresses of one upstream, in their turn. Those of names change while the gateway runs (`super::resolve`).

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::{Notify, watch};

use super::{
    address::{Address, Endpoint},
    resolve::{Lookup, keep_asking},
};
use crate::observe::UpstreamMetrics;

/// Where an upstream listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// At a name or an IP address, and a port.
    Tcp {
        /// A name or an address; IPv6 without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// At a Unix socket.
    Unix(PathBuf),
}

/// As in the configuration.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Only an IPv6 address has a colon (RFC 3986 section 3.2.2).
            Self::Tcp { host, port } if host.contains(':') => write!(f, "http://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "http://{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What is known of an upstream's addresses.
pub(super) struct Addresses {
    known: watch::Receiver<Known>,
    /// For each name: is it to be asked for soon?
    sooner: Vec<Arc<Notify>>,
    turn: AtomicUsize,
}

struct Known {
    metrics: UpstreamMetrics,
    /// One for each target.
    lists: Vec<List>,
    /// Those of the lists, and those to which connections still are: what is known of an address outlives an answer that
    /// leaves it out.
    ever: Vec<(Endpoint, Weak<Address>)>,
}

/// What one target leads to.
#[derive(Default)]
struct List {
    addresses: Vec<Arc<Address>>,
    /// None: there was no answer yet.
    last: Option<Result<(), String>>,
}

impl Addresses {
    /// Names are asked for from now on.
    pub(super) fn of<L: Lookup>(targets: Vec<Target>, metrics: UpstreamMetrics, lookup: L) -> Self {
        let lookup = Arc::new(lookup);
        let mut known = Known {
            metrics,
            lists: Vec::new(),
            ever: Vec::new(),
        };
        known.lists.resize_with(targets.len(), List::default);
        let (known, receiver) = watch::channel(known);
        let mut sooner = Vec::new();
        for (at, target) in targets.into_iter().enumerate() {
            let (host, port) = match target {
                Target::Unix(path) => {
                    known.send_modify(|known| known.learn(at, Ok(vec![Endpoint::Unix(path)])));
                    continue;
                }
                Target::Tcp { host, port } => (host, port),
            };
            if let Ok(ip) = host.parse::<IpAddr>() {
                let endpoint = Endpoint::Tcp(SocketAddr::new(ip, port));
                known.send_modify(|known| known.learn(at, Ok(vec![endpoint])));
                continue;
            }
            let ask = Arc::new(Notify::new());
            sooner.push(Arc::clone(&ask));
            let (known, lookup) = (known.clone(), Arc::clone(&lookup));
            tokio::spawn(keep_asking(host, port, lookup, ask, move |answer| {
                let answer = answer.map(|found| found.into_iter().map(Endpoint::Tcp).collect());
                known.send_modify(|known| known.learn(at, answer));
                !known.is_closed()
            }));
        }
        Self {
            known: receiver,
            sooner,
            turn: AtomicUsize::default(),
        }
    }

    /// A look at the addresses that is woken by news.
    pub(super) fn watch(&self) -> Watch {
        Watch(self.known.clone())
    }

    /// All addresses in their turn, those that are passed over last.
    pub(super) fn in_turn(&self) -> Vec<Arc<Address>> {
        let all = self.known.borrow().all();
        if all.len() > 1 {
            all.iter().for_each(Address::suspect);
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let (mut last, mut first): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|address| address.is_passed_over());
        for part in [&mut first, &mut last] {
            let from = turn.checked_rem(part.len()).unwrap_or_default();
            part.rotate_left(from);
        }
        first.append(&mut last);
        first
    }

    /// Is there any other address that is not passed over?
    pub(super) fn prefers_others(&self, doubtful: &Arc<Address>) -> bool {
        let all = self.known.borrow().all();
        if all.len() > 1 {
            doubtful.suspect();
        }
        doubtful.is_passed_over() && all.iter().any(|address| !address.is_doubtful())
    }

    /// Those that are known fail: perhaps there are others by now.
    pub(super) fn ask_sooner(&self) {
        for name in &self.sooner {
            name.notify_one();
        }
    }
}

/// See `Addresses::watch`.
pub(super) struct Watch(watch::Receiver<Known>);

impl Watch {
    /// Waits for a first address; an error says why there is none.
    pub(super) async fn any(&mut self) -> io::Result<()> {
        loop {
            if let Some(answer) = self.0.borrow_and_update().any() {
                return answer;
            }
            if self.0.changed().await.is_err() {
                return Err(io::Error::new(
                    io::ErrorKind::NotFound,
                    "no address is configured",
                ));
            }
        }
    }

    /// Resolves when an answer has come; never if none can.
    pub(super) async fn news(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// All addresses, in no turn.
    pub(super) fn all(&self) -> Vec<Arc<Address>> {
        self.0.borrow().all()
    }
}

impl Known {
    /// Each once.
    fn all(&self) -> Vec<Arc<Address>> {
        let mut all: Vec<Arc<Address>> = Vec::new();
        for address in self.lists.iter().flat_map(|list| &list.addresses) {
            if !all.iter().any(|other| Arc::ptr_eq(other, address)) {
                all.push(Arc::clone(address));
            }
        }
        all
    }

    /// None: not yet.
    fn any(&self) -> Option<io::Result<()>> {
        if self.lists.iter().any(|list| !list.addresses.is_empty()) {
            return Some(Ok(()));
        }
        let mut failed = None;
        for list in &self.lists {
            match &list.last {
                None => return None,
                Some(Ok(())) => {}
                Some(Err(error)) => failed = Some(error.clone()),
            }
        }
        failed.map(|error| Err(io::Error::new(io::ErrorKind::NotFound, error)))
    }

    /// What a target leads to from now on. An answer that failed changes nothing.
    fn learn(&mut self, at: usize, answer: io::Result<Vec<Endpoint>>) {
        let before = self.all();
        let found = match answer {
            Ok(found) => Ok(found
                .into_iter()
                .map(|endpoint| self.address(endpoint))
                .collect::<Vec<_>>()),
            Err(error) => Err(error.to_string()),
        };
        if let Some(list) = self.lists.get_mut(at) {
            match found {
                Ok(addresses) => {
                    list.addresses = addresses;
                    list.last = Some(Ok(()));
                }
                Err(error) => {
                    self.metrics.name_failed();
                    list.last = Some(Err(error));
                }
            }
        }
        let now = self.all();
        for address in &now {
            address.retire(false);
        }
        for address in &before {
            address.retire(!now.iter().any(|other| Arc::ptr_eq(other, address)));
        }
        drop(before);
        let metrics = &self.metrics;
        self.ever.retain(|(endpoint, address)| {
            let kept = address.strong_count() > 0;
            if !kept {
                metrics.forget(&endpoint.to_string());
            }
            kept
        });
    }

    fn address(&mut self, endpoint: Endpoint) -> Arc<Address> {
        let known = self.ever.iter().find(|(other, _)| *other == endpoint);
        if let Some(address) = known.and_then(|(_, address)| address.upgrade()) {
            return address;
        }
        let metrics = self.metrics.address(endpoint.to_string());
        let address = Arc::new(Address::new(endpoint.clone(), self.metrics.upstream(), metrics));
        self.ever.retain(|(other, _)| *other != endpoint);
        self.ever.push((endpoint, Arc::downgrade(&address)));
        address
    }
}
