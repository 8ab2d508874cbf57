//! Sockets that somebody else has opened: an older gateway, or a service manager.

use std::net::{self, IpAddr, Ipv4Addr, SocketAddr};

use socket2::SockRef;
use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::addr::{Spot, spots};

/// The names of sockets: the keys below `listen`.
pub(super) const NAMES: [&str; 4] = ["https", "http", "plain", "admin"];

/// How the names of those of `[[tcp]]` begin; a number follows.
pub(super) const TCP: &str = "tcp-";

/// The key of a listener of `[[tcp]]`.
pub(super) const TCP_KEY: &str = "tcp.listen";

/// Sockets that somebody else has opened, and who that was.
#[derive(Debug, Default)]
pub struct Given {
    sockets: Vec<(String, net::TcpListener)>,
    is_from_manager: bool,
}

/// A place of a listener, and the socket that was given for it.
pub(super) type Taken = (Spot, Option<TcpListener>);

/// How near an address has to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Near {
    Same,
    /// All of IPv6 in place of all of IPv4, or the other way round.
    Anywhere,
    Elsewhere,
}

impl Given {
    /// Sockets given by the gateway that runs so far, with its names for them.
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

    /// What is there for the addresses of a key, in their order; what is left has to be opened. What an operator has named
    /// counts, wherever it listens, and all of it. An older gateway's counts if that is where the configuration, which may be
    /// another by now, wants it.
    pub(super) fn take(&mut self, key: &str, addrs: &[SocketAddr]) -> Vec<Taken> {
        let mut taken: Vec<Taken> = spots(addrs).map(|spot| (spot, None)).collect();
        if self.sockets.is_empty() || addrs.is_empty() {
            return taken;
        }
        let passes: &[Near] = if self.is_from_manager {
            &[Near::Same, Near::Anywhere, Near::Elsewhere]
        } else {
            &[Near::Same]
        };
        for near in passes {
            for (spot, socket) in taken.iter_mut().filter(|(_, socket)| socket.is_none()) {
                *socket = self.one(key, spot.addr, *near);
            }
        }
        if self.is_from_manager {
            while let Some(socket) = self.one(key, SocketAddr::from(([0, 0, 0, 0], 0)), Near::Elsewhere) {
                let addr = socket.local_addr();
                let addr = addr.unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
                taken.push((addr.into(), Some(socket)));
            }
        }
        self.with_ipv4(key, &mut taken);
        taken
    }

    /// Which part of IPv4 an open socket has can't be changed any more: `[::]` may have it although the configuration gives it
    /// an address of its own, or not have it although it should.
    fn with_ipv4(&mut self, key: &str, taken: &mut Vec<Taken>) {
        let dual = taken.iter().filter_map(|(spot, socket)| {
            let socket = socket.as_ref()?;
            let local = socket.local_addr().ok().filter(is_all_of_ipv6)?;
            let only_v6 = SockRef::from(socket).only_v6().ok()?;
            Some((local.port(), only_v6, spot.is_dual()))
        });
        let dual: Vec<_> = dual.collect();
        for (port, only_v6, is_dual) in dual {
            if only_v6 && is_dual {
                let all: SocketAddr = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), port).into();
                let socket = self.one(key, all, Near::Same);
                taken.push((all.into(), socket));
            } else if !only_v6 {
                let is_covered = |spot: &Spot| spot.addr.is_ipv4() && spot.addr.port() == port;
                taken.retain(|(spot, socket)| socket.is_some() || !is_covered(spot));
            }
        }
    }

    /// One for this key at an address.
    fn one(&mut self, key: &str, addr: SocketAddr, near: Near) -> Option<TcpListener> {
        let is_tcp = key == TCP_KEY;
        let name = key.strip_prefix("listen.").unwrap_or(key);
        let is_named = |its: &str| {
            if is_tcp {
                !self.is_from_manager && its.starts_with(TCP)
            } else {
                its == name
            }
        };
        let is_unnamed = |its: &str| self.is_from_manager && near != Near::Elsewhere && !NAMES.contains(&its);
        let position = |may_be: &dyn Fn(&str) -> bool| {
            let mut sockets = self.sockets.iter();
            sockets.position(|(its, socket)| may_be(its) && fits(socket, addr, near))
        };
        let found = position(&is_named).or_else(|| position(&is_unnamed))?;
        let (_, socket) = self.sockets.remove(found);
        if near == Near::Elsewhere
            && let Ok(local) = socket.local_addr()
        {
            warn!(
                socket = %local, configured = %addr,
                "{key} is another address than that of the socket which the service manager gave for it, and which is used"
            );
        }
        usable(socket, key)
    }

    /// What nobody wanted is closed, which its operator has to know.
    pub(super) fn close(self) {
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

fn is_all_of_ipv6(addr: &SocketAddr) -> bool {
    addr.is_ipv6() && addr.ip().is_unspecified()
}

fn fits(socket: &net::TcpListener, addr: SocketAddr, near: Near) -> bool {
    socket.local_addr().is_ok_and(|local| {
        let is_port = local.port() == addr.port() || addr.port() == 0;
        match near {
            Near::Same => is_port && local.ip() == addr.ip(),
            Near::Anywhere => is_port && local.ip().is_unspecified() && addr.ip().is_unspecified(),
            Near::Elsewhere => true,
        }
    })
}

fn usable(socket: net::TcpListener, key: &str) -> Option<TcpListener> {
    let listener = socket
        .set_nonblocking(true)
        .and_then(|()| TcpListener::from_std(socket));
    listener
        .inspect_err(|error| warn!(%error, "The socket given for {key} can't be used"))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen;

    fn socket(name: &str) -> (String, net::TcpListener) {
        (name.to_owned(), net::TcpListener::bind("127.0.0.1:0").unwrap())
    }

    fn at((_, socket): &(String, net::TcpListener)) -> SocketAddr {
        socket.local_addr().unwrap()
    }

    /// What was taken for one address.
    fn taken(given: &mut Given, key: &str, addr: SocketAddr) -> Option<SocketAddr> {
        let mut all = all(given, key, &[addr]);
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0).1
    }

    /// Each place, and where the socket listens that was taken for it.
    fn all(given: &mut Given, key: &str, addrs: &[SocketAddr]) -> Vec<(SocketAddr, Option<SocketAddr>)> {
        let taken = given.take(key, addrs);
        let local = |socket: &TcpListener| socket.local_addr().unwrap();
        taken
            .iter()
            .map(|(spot, socket)| (spot.addr, socket.as_ref().map(local)))
            .collect()
    }

    /// `[::]` at some port, and `0.0.0.0` at the same one if IPv4 is not taken by it.
    async fn everywhere(only_v6: bool) -> (u16, Vec<(String, net::TcpListener)>) {
        let addr = "[::]:0".parse().unwrap();
        let named = |socket: TcpListener| ("https".to_owned(), socket.into_std().unwrap());
        let v6 = listen::bind(Spot { addr, only_v6 }).await.unwrap();
        let port = v6.local_addr().unwrap().port();
        let mut sockets = vec![named(v6)];
        if only_v6 {
            let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
            sockets.push(named(listen::bind(v4).await.unwrap()));
        }
        (port, sockets)
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
    async fn all_of_a_managers_sockets_with_one_name_are_taken_and_each_for_its_own_address() {
        let (first, second, third) = (socket("https"), socket("https"), socket("https"));
        let (at_first, at_second, at_third) = (at(&first), at(&second), at(&third));
        let mut given = Given::by_manager(vec![first, second, third]);
        let other: SocketAddr = "127.0.0.1:9".parse().unwrap();
        assert_eq!(
            all(&mut given, "listen.https", &[other, at_third]),
            [
                (other, Some(at_first)),
                (at_third, Some(at_third)),
                (at_second, Some(at_second))
            ]
        );
        assert!(given.sockets.is_empty());
    }

    #[tokio::test]
    async fn an_older_gateways_socket_is_taken_where_the_configuration_still_wants_it() {
        let (https, http) = (socket("https"), socket("http"));
        let (of_https, of_http) = (at(&https), at(&http));
        let mut given = Given::by_older(vec![https, http]);
        let other: SocketAddr = "127.0.0.1:9".parse().unwrap();
        assert_eq!(taken(&mut given, "listen.http", other), None);
        assert_eq!(taken(&mut given, "listen.admin", of_http), None);
        assert_eq!(
            taken(&mut given, "listen.http", "127.0.0.1:0".parse().unwrap()),
            Some(of_http)
        );
        // One more address is new, wherever it stands.
        assert_eq!(
            all(&mut given, "listen.https", &[other, of_https]),
            [(other, None), (of_https, Some(of_https))]
        );
    }

    /// Whether `[::]` takes IPv4 is said before it is bound, and never again.
    #[tokio::test]
    async fn a_socket_that_takes_ipv4_too_is_enough_for_both_and_one_that_does_not_is_not() {
        let at = |ip: &str, port: u16| SocketAddr::new(ip.parse().unwrap(), port);
        for give in [Given::by_older, Given::by_manager] {
            let (port, dual) = everywhere(false).await;
            let (v4, v6) = (at("0.0.0.0", port), at("::", port));
            assert_eq!(all(&mut give(dual), "listen.https", &[v4, v6]), [(v6, Some(v6))]);
        }
        let (port, both) = everywhere(true).await;
        let (v4, v6) = (at("0.0.0.0", port), at("::", port));
        let mut given = Given::by_older(both);
        assert_eq!(
            all(&mut given, "listen.https", &[v6]),
            [(v6, Some(v6)), (v4, Some(v4))]
        );
        let (port, mut one) = everywhere(true).await;
        one.truncate(1);
        let (v4, v6) = (at("0.0.0.0", port), at("::", port));
        assert_eq!(
            all(&mut Given::by_older(one), "listen.https", &[v6]),
            [(v6, Some(v6)), (v4, None)]
        );
    }

    #[tokio::test]
    async fn a_socket_of_tcp_is_known_by_its_address_alone() {
        let (https, first, second) = (socket("https"), socket("tcp-0"), socket("tcp-1"));
        let (of_https, of_first, of_second) = (at(&https), at(&first), at(&second));
        let mut given = Given::by_older(vec![https, first, second]);
        assert_eq!(taken(&mut given, TCP_KEY, of_https), None);
        assert_eq!(
            all(&mut given, TCP_KEY, &[of_second, of_first]),
            [(of_second, Some(of_second)), (of_first, Some(of_first))]
        );
        let (plain, unnamed) = (socket("plain"), socket("plugnmeet-gateway.socket"));
        let (of_plain, of_unnamed) = (at(&plain), at(&unnamed));
        let mut given = Given::by_manager(vec![plain, unnamed]);
        assert_eq!(taken(&mut given, TCP_KEY, of_plain), None);
        assert_eq!(taken(&mut given, TCP_KEY, of_unnamed), Some(of_unnamed));
        assert_eq!(taken(&mut given, "listen.plain", of_plain), Some(of_plain));
    }
}
