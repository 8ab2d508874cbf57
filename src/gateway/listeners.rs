//! Sockets that listen: given by an older gateway or by a service manager, or opened here.

use std::{
    net::{self, SocketAddr},
    os::fd::{AsFd, OwnedFd},
};

use tokio::net::TcpListener;
use tracing::{info, warn};

use super::way::{Way, stops_at};
use crate::config::{Config, NotListening};

/// Sockets that listen; nobody is let in before the start.
pub struct Listeners {
    pub(super) https: TcpListener,
    pub(super) http: Option<TcpListener>,
    pub(super) plain: Option<TcpListener>,
    pub(super) admin: Option<TcpListener>,
    /// Where the admin listener is to be, as soon as a gateway that stops has ended.
    pub(super) admin_later: Option<SocketAddr>,
    /// Those of `[[tcp]]`, in their order.
    pub(super) tcp: Vec<TcpListener>,
    /// Where HTTPS is served: the port is known by now.
    pub(super) https_addr: SocketAddr,
}

/// Sockets that somebody else has opened, and who that was.
#[derive(Debug, Default)]
pub struct Given {
    sockets: Vec<(String, net::TcpListener)>,
    is_from_manager: bool,
}

impl Given {
    /// By the gateway that runs so far, with its names for them.
    pub fn by_older(sockets: Vec<(String, net::TcpListener)>) -> Self {
        Self {
            sockets,
            is_from_manager: false,
        }
    }

    /// By a service manager, with the names that its operator wrote.
    pub fn by_manager(sockets: Vec<(String, net::TcpListener)>) -> Self {
        Self {
            sockets,
            is_from_manager: true,
        }
    }

    /// The one with this name, or at this address. What an operator has named counts, wherever it listens. An older
    /// gateway's counts if that is where the configuration, which may be another by now, wants it.
    fn take(&mut self, key: &str, addr: SocketAddr) -> Option<TcpListener> {
        let name = key.strip_prefix("listen.").unwrap_or(key);
        let fits = |socket: &net::TcpListener| self.fits(socket, addr);
        let named = self.sockets.iter().position(|(its, _)| its == name);
        let found = match named {
            Some(at) if self.is_from_manager => Some(at),
            Some(at) => self
                .sockets
                .get(at)
                .filter(|(_, socket)| fits(socket))
                .map(|_| at),
            None if self.is_from_manager => self
                .sockets
                .iter()
                .position(|(its, socket)| !NAMES.contains(&its.as_str()) && fits(socket)),
            None => None,
        }?;
        let is_elsewhere = self.sockets.get(found).is_some_and(|(_, socket)| !fits(socket));
        let (_, socket) = self.sockets.remove(found);
        let local = socket.local_addr().ok()?;
        if is_elsewhere {
            warn!(
                socket = %local, configured = %addr,
                "{key} is another address than that of the socket which the service manager gave for it, and which is used"
            );
        }
        usable(socket, key)
    }

    /// The one of `[[tcp]]` at this address, which is all that tells it from others.
    fn take_tcp(&mut self, addr: SocketAddr) -> Option<TcpListener> {
        let found = self.sockets.iter().position(|(name, socket)| {
            let may_be = if self.is_from_manager {
                !NAMES.contains(&name.as_str())
            } else {
                name.starts_with(TCP)
            };
            may_be && self.fits(socket, addr)
        })?;
        let (_, socket) = self.sockets.remove(found);
        usable(socket, "tcp.listen")
    }

    /// Does it listen there?
    fn fits(&self, socket: &net::TcpListener, addr: SocketAddr) -> bool {
        socket.local_addr().is_ok_and(|local| {
            let is_anywhere = local.ip().is_unspecified() && addr.ip().is_unspecified();
            (local.port() == addr.port() || addr.port() == 0)
                && (local.ip() == addr.ip() || (self.is_from_manager && is_anywhere))
        })
    }

    /// What nobody wanted is closed, which its operator has to know.
    fn close(self) {
        for (name, socket) in self.sockets {
            let addr = socket
                .local_addr()
                .map(|addr| addr.to_string())
                .unwrap_or_default();
            if self.is_from_manager {
                warn!(
                    name,
                    addr,
                    "A socket was given that nothing listens on: name it https, http, plain or admin \
                     (FileDescriptorName=), or give it the address of a listen.* key or of [[tcp]]"
                );
            } else {
                info!(name, addr, "Listens there no more");
            }
        }
    }
}

/// The names of sockets: the keys below `listen`.
const NAMES: [&str; 4] = ["https", "http", "plain", "admin"];

/// How the names of those of `[[tcp]]` begin; a number follows.
const TCP: &str = "tcp-";

fn usable(socket: net::TcpListener, key: &str) -> Option<TcpListener> {
    let listener = socket
        .set_nonblocking(true)
        .and_then(|()| TcpListener::from_std(socket));
    listener
        .inspect_err(|error| warn!(%error, "The socket given for {key} can't be used"))
        .ok()
}

impl Listeners {
    /// Opens all of them, or tells of each that can't be opened.
    pub async fn open(config: &Config) -> Result<Self, Vec<NotListening>> {
        Self::open_with(config, Given::default(), async || false).await
    }

    /// As `open`, for those that are not given. `ask` asks a gateway that stops for what it has still, and says whether it
    /// has let go.
    pub async fn open_with(
        config: &Config,
        mut given: Given,
        ask: impl AsyncFnMut() -> bool,
    ) -> Result<Self, Vec<NotListening>> {
        let (mut way, mut admin_later) = (Way::asking(ask), None);
        let (mut open, mut problems) = ([None, None, None, None], Vec::new());
        for ((key, addr), open) in config.listeners().into_iter().zip(&mut open) {
            let Some(addr) = addr else { continue };
            if let Some(listener) = given.take(key, addr) {
                *open = Some(listener);
                continue;
            }
            match way.bind(addr).await {
                Ok(listener) => *open = Some(listener),
                Err(error) if key == "listen.admin" && stops_at(addr, &error).await => {
                    admin_later = Some(addr);
                }
                Err(error) => problems.push(config.not_listening(key, addr, &error)),
            }
        }
        let mut tcp = Vec::new();
        for (nth, addr) in config.tcp_listeners().enumerate() {
            if let Some(listener) = given.take_tcp(addr) {
                tcp.push(listener);
                continue;
            }
            match way.bind(addr).await {
                Ok(listener) => tcp.push(listener),
                Err(error) => problems.extend(config.tcp_not_listening(nth, &error)),
            }
        }
        given.close();
        let [https, http, plain, admin] = open;
        let https = https.and_then(|listener| Some((listener.local_addr().ok()?, listener)));
        match https {
            Some((https_addr, https)) if problems.is_empty() => Ok(Self {
                https,
                http,
                plain,
                admin,
                admin_later,
                tcp,
                https_addr,
            }),
            Some(_) | None => Err(problems),
        }
    }

    /// The port of HTTPS; the system's choice where 0 was asked for.
    pub fn https_port(&self) -> u16 {
        self.https_addr.port()
    }

    /// Descriptors of the same sockets, by name, for a process that comes after this one. While there is any, a socket
    /// listens.
    pub(super) fn again(&self) -> Vec<(String, OwnedFd)> {
        let (http, plain, admin) = (self.http.as_ref(), self.plain.as_ref(), self.admin.as_ref());
        let named = NAMES.map(str::to_owned);
        let named = named.into_iter().zip([Some(&self.https), http, plain, admin]);
        let tcp = self.tcp.iter().enumerate();
        let tcp = tcp.map(|(nth, listener)| (format!("{TCP}{nth}"), Some(listener)));
        named
            .chain(tcp)
            .filter_map(|(name, listener)| Some((name, listener?.as_fd().try_clone_to_owned().ok()?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(name: &str) -> (String, net::TcpListener) {
        (name.to_owned(), net::TcpListener::bind("127.0.0.1:0").unwrap())
    }

    fn at((_, socket): &(String, net::TcpListener)) -> SocketAddr {
        socket.local_addr().unwrap()
    }

    fn taken(given: &mut Given, key: &str, addr: SocketAddr) -> Option<SocketAddr> {
        given
            .take(key, addr)
            .map(|listener| listener.local_addr().unwrap())
    }

    #[tokio::test]
    async fn a_managers_socket_is_known_by_its_name_and_else_by_its_address() {
        let (https, unnamed, elsewhere) =
            (socket("https"), socket("plugnmeet-gateway.socket"), socket("web"));
        let (of_https, of_unnamed) = (at(&https), at(&unnamed));
        let mut given = Given::by_manager(vec![https, unnamed, elsewhere]);
        let other: SocketAddr = "127.0.0.1:9".parse().unwrap();
        assert_eq!(taken(&mut given, "listen.admin", other), None);
        assert_eq!(taken(&mut given, "listen.https", other), Some(of_https));
        assert_eq!(taken(&mut given, "listen.http", of_unnamed), Some(of_unnamed));
        assert_eq!(given.sockets.len(), 1);
    }

    #[tokio::test]
    async fn an_older_gateways_socket_is_taken_where_the_configuration_still_wants_it() {
        let (https, http) = (socket("https"), socket("http"));
        let (of_https, of_http) = (at(&https), at(&http));
        let mut given = Given::by_older(vec![https, http]);
        assert_eq!(
            taken(&mut given, "listen.http", "127.0.0.1:9".parse().unwrap()),
            None
        );
        assert_eq!(taken(&mut given, "listen.admin", of_http), None);
        assert_eq!(
            taken(&mut given, "listen.http", "127.0.0.1:0".parse().unwrap()),
            Some(of_http)
        );
        assert_eq!(taken(&mut given, "listen.https", of_https), Some(of_https));
    }

    #[tokio::test]
    async fn a_socket_of_tcp_is_known_by_its_address_alone() {
        let (https, first, second) = (socket("https"), socket("tcp-0"), socket("tcp-1"));
        let (of_https, of_first, of_second) = (at(&https), at(&first), at(&second));
        let tcp = |given: &mut Given, addr| {
            let taken = given.take_tcp(addr);
            taken.map(|listener| listener.local_addr().unwrap())
        };
        let mut given = Given::by_older(vec![https, first, second]);
        assert_eq!(tcp(&mut given, of_https), None);
        assert_eq!(tcp(&mut given, of_second), Some(of_second));
        assert_eq!(tcp(&mut given, of_first), Some(of_first));
        let (plain, unnamed) = (socket("plain"), socket("plugnmeet-gateway.socket"));
        let (of_plain, of_unnamed) = (at(&plain), at(&unnamed));
        let mut given = Given::by_manager(vec![plain, unnamed]);
        assert_eq!(tcp(&mut given, of_plain), None);
        assert_eq!(tcp(&mut given, of_unnamed), Some(of_unnamed));
        assert_eq!(taken(&mut given, "listen.plain", of_plain), Some(of_plain));
    }
}
