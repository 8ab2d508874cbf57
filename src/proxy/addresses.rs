//! The addresses of one upstream, in their turn. Those of names change while the gateway runs (`super::resolve`).

use std::{
    fmt, io, mem,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::{Notify, watch};
use tokio_util::task::AbortOnDropHandle;

use super::{
    address::Address,
    endpoint::Endpoint,
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
    known: watch::Sender<Known>,
    names: Mutex<Vec<Name>>,
    /// Begins to ask for a name; the answers are those of a list.
    ask_for: Box<dyn Fn(ListId, String, u16) -> Name + Send + Sync>,
    turn: AtomicUsize,
}

/// A name that is asked for, until this is dropped.
struct Name {
    of: ListId,
    sooner: Arc<Notify>,
    _asking: AbortOnDropHandle<()>,
}

/// Tells the lists of an upstream apart, those that are gone included.
type ListId = u64;

struct Known {
    metrics: UpstreamMetrics,
    /// One for each target.
    lists: Vec<List>,
    next_list: ListId,
    /// Those of the lists, and those to which connections still are: what is known of an address outlives an answer that
    /// leaves it out.
    ever: Vec<(Endpoint, Weak<Address>)>,
}

/// What one target leads to.
struct List {
    id: ListId,
    target: Target,
    addresses: Vec<Arc<Address>>,
    /// None: there was no answer yet.
    last: Option<Result<(), String>>,
}

impl Addresses {
    /// Names are asked for from now on.
    pub(super) fn of<L: Lookup>(targets: &[Target], metrics: UpstreamMetrics, lookup: L) -> Self {
        let known = watch::Sender::new(Known {
            metrics,
            lists: Vec::new(),
            next_list: 0,
            ever: Vec::new(),
        });
        let (lookup, told) = (Arc::new(lookup), known.clone());
        let ask_for = move |of, host, port| {
            let (known, sooner) = (told.clone(), Arc::new(Notify::new()));
            let tell = move |answer: io::Result<Vec<SocketAddr>>| {
                let answer = answer.map(|found| found.into_iter().map(Endpoint::Tcp).collect());
                known.send_if_modified(|known| known.learn(of, answer))
            };
            let asking = keep_asking(host, port, Arc::clone(&lookup), Arc::clone(&sooner), tell);
            Name {
                of,
                sooner,
                _asking: AbortOnDropHandle::new(tokio::spawn(asking)),
            }
        };
        let addresses = Self {
            known,
            names: Mutex::default(),
            ask_for: Box::new(ask_for),
            turn: AtomicUsize::default(),
        };
        addresses.aim_at(targets);
        addresses
    }

    /// From now on these are the targets. What is known of those that stay is kept. Says whether they are others.
    pub(super) fn aim_at(&self, targets: &[Target]) -> bool {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new_names = Vec::new();
        let changed = self.known.send_if_modified(|known| {
            let are_same = known.lists.iter().map(|list| &list.target).eq(targets);
            if !are_same {
                new_names = known.aim_at(targets);
            }
            !are_same
        });
        let lists: Vec<ListId> = self.known.borrow().lists.iter().map(|list| list.id).collect();
        names.retain(|name| lists.contains(&name.of));
        names.extend(
            new_names
                .into_iter()
                .map(|(of, host, port)| (self.ask_for)(of, host, port)),
        );
        changed
    }

    /// A look at the addresses that is woken by news.
    pub(super) fn watch(&self) -> Watch {
        Watch(self.known.subscribe())
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
        for name in &*self.names.lock().unwrap_or_else(PoisonError::into_inner) {
            name.sooner.notify_one();
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

    /// Keeps the lists of targets that stay, and makes others. Says which names are to be asked for.
    fn aim_at(&mut self, targets: &[Target]) -> Vec<(ListId, String, u16)> {
        let before = self.all();
        let mut old = mem::take(&mut self.lists);
        let mut names = Vec::new();
        for target in targets {
            if let Some(at) = old.iter().position(|list| list.target == *target) {
                self.lists.push(old.swap_remove(at));
                continue;
            }
            let id = self.next_list;
            self.next_list += 1;
            let endpoint = match target {
                Target::Unix(path) => Some(Endpoint::Unix(path.clone())),
                Target::Tcp { host, port } => {
                    let ip = host.parse::<IpAddr>().ok();
                    if ip.is_none() {
                        names.push((id, host.clone(), *port));
                    }
                    ip.map(|ip| Endpoint::Tcp(SocketAddr::new(ip, *port)))
                }
            };
            let list = List {
                id,
                target: target.clone(),
                last: endpoint.as_ref().map(|_| Ok(())),
                addresses: endpoint
                    .map(|endpoint| self.address(endpoint))
                    .into_iter()
                    .collect(),
            };
            self.lists.push(list);
        }
        drop(old);
        self.settle(before);
        names
    }

    /// What a target leads to from now on. An answer that failed changes nothing. Says whether there is such a list.
    fn learn(&mut self, id: ListId, answer: io::Result<Vec<Endpoint>>) -> bool {
        let before = self.all();
        let found = match answer {
            Ok(found) => Ok(found
                .into_iter()
                .map(|endpoint| self.address(endpoint))
                .collect::<Vec<_>>()),
            Err(error) => Err(error.to_string()),
        };
        let Some(list) = self.lists.iter_mut().find(|list| list.id == id) else {
            return false;
        };
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
        self.settle(before);
        true
    }

    /// After a change: what nothing leads to any more is given up.
    fn settle(&mut self, before: Vec<Arc<Address>>) {
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
