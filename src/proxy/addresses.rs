//! The addresses of one upstream, and the order in which they are tried. The addresses of a name change while the
//! gateway runs (`super::resolve`).

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
    /// A name or an IP address, and a port.
    Tcp {
        /// The name or the IP address; IPv6 is without brackets.
        host: String,
        port: u16,
    },
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// Writes the target as `[upstreams]` of the configuration has it: `http://HOST:PORT` or `unix:PATH`.
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

/// The targets of an upstream, and the addresses to which they lead.
pub(super) struct Addresses {
    known: watch::Sender<Known>,
    names: Mutex<Vec<Name>>,
    /// Starts the lookups of a name and port; the answers are for the list with this id.
    ask_for: Box<dyn Fn(ListId, String, u16) -> Name + Send + Sync>,
    turn: AtomicUsize,
}

/// The lookups of a name; they end when this is dropped.
struct Name {
    of: ListId,
    sooner: Arc<Notify>,
    _asking: AbortOnDropHandle<()>,
}

/// The id of a list of addresses. No two lists of an upstream have the same, not even one after the other.
type ListId = u64;

struct Known {
    metrics: UpstreamMetrics,
    /// One list for each target.
    lists: Vec<List>,
    next_list: ListId,
    /// The addresses in the lists, and those to which there still are connections. So what is known of an address
    /// outlives an answer that leaves it out.
    ever: Vec<(Endpoint, Weak<Address>)>,
}

/// The addresses to which one target leads.
struct List {
    id: ListId,
    target: Target,
    addresses: Vec<Arc<Address>>,
    /// The last answer for the name. None: there was no answer yet.
    last: Option<Result<(), String>>,
}

impl Addresses {
    /// Makes the addresses of these targets. Names are looked up from now on, again and again.
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

    /// Changes the targets, and keeps what is known of those that stay. Returns whether the targets are others than
    /// before.
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

    /// A view of the addresses that is woken by each answer to a lookup, and by each change of the targets.
    pub(super) fn watch(&self) -> Watch {
        Watch(self.known.subscribe())
    }

    /// All addresses in the order in which they are to be tried. Each call begins with the next one. Those that are
    /// passed over because they fail come last.
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

    /// Is this address to be tried last, while there is another one that is not doubtful?
    pub(super) fn prefers_others(&self, doubtful: &Arc<Address>) -> bool {
        let all = self.known.borrow().all();
        if all.len() > 1 {
            doubtful.suspect();
        }
        doubtful.is_passed_over() && all.iter().any(|address| !address.is_doubtful())
    }

    /// Brings the next lookup of each name forward. The known addresses fail, and there may be others by now.
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

    /// Resolves when an answer to a lookup has come, or the targets have changed; never if neither can happen any more.
    pub(super) async fn news(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// All addresses, in no particular order.
    pub(super) fn all(&self) -> Vec<Arc<Address>> {
        self.0.borrow().all()
    }
}

impl Known {
    /// All addresses, each once.
    fn all(&self) -> Vec<Arc<Address>> {
        let mut all: Vec<Arc<Address>> = Vec::new();
        for address in self.lists.iter().flat_map(|list| &list.addresses) {
            if !all.iter().any(|other| Arc::ptr_eq(other, address)) {
                all.push(Arc::clone(address));
            }
        }
        all
    }

    /// Ok if there is an address, and an error if there is none although each name has had an answer. None: an answer
    /// is still to come.
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

    /// Keeps the lists of targets that stay, and makes lists for new ones. Returns the names that are to be looked up.
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

    /// Takes the answer to a lookup for a list. An error leaves its addresses as they are. Returns false if the list is
    /// gone.
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

    /// Retires the addresses to which no target leads any more, after a change. `before` are the addresses before the
    /// change.
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
