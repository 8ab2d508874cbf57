//! Sockets that listen: given by an older gateway or by a service manager, or opened here. All of them, or none.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
};

use tokio::net::TcpListener;

use super::{
    given::{Given, NAMES, TCP, TCP_KEY, Taken},
    way::{Way, stops_at},
};
use crate::{
    addr::Spot,
    config::{Config, NotListening},
};

/// Sockets that listen, one for each address; nobody is let in before the start.
pub struct Listeners {
    pub(super) https: Vec<TcpListener>,
    pub(super) http: Vec<TcpListener>,
    pub(super) plain: Vec<TcpListener>,
    pub(super) admin: Vec<TcpListener>,
    /// Where admin listeners are to be, as soon as a gateway that stops has ended.
    pub(super) admin_later: Vec<Spot>,
    /// Those of each `[[tcp]]`, in their order.
    pub(super) tcp: Vec<Vec<TcpListener>>,
    /// Where HTTPS is served, or the first place of it: the port is known by now.
    pub(super) https_addr: SocketAddr,
}

/// Those that can't be opened, each with the reason.
type Deaf = Vec<(Spot, io::Error)>;

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
        let mut way = Way::asking(ask, &config.listen.admin, config.timeouts.drain_delay);
        let mut admin_later = Vec::new();
        let (mut open, mut problems) = ([const { Vec::new() }; 4], Vec::new());
        for ((key, addrs), open) in config.listeners().into_iter().zip(&mut open) {
            let deaf;
            (*open, deaf) = opened(&mut way, given.take(key, addrs)).await;
            for (spot, error) in deaf {
                if key == "listen.admin" && stops_at(spot.addr, &error).await {
                    admin_later.push(spot);
                } else {
                    problems.push(config.not_listening(key, spot.addr, &error));
                }
            }
        }
        let mut tcp = Vec::new();
        for (nth, addrs) in config.tcp_listeners().enumerate() {
            let (open, deaf) = opened(&mut way, given.take(TCP_KEY, addrs)).await;
            tcp.push(open);
            let told = deaf
                .iter()
                .filter_map(|(spot, error)| config.tcp_not_listening(nth, spot.addr, error));
            problems.extend(told);
        }
        given.close();
        let [https, http, plain, admin] = open;
        let https_addr = https.first().and_then(|listener| listener.local_addr().ok());
        match https_addr {
            Some(https_addr) if problems.is_empty() => Ok(Self {
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

    /// The port of HTTPS, the first of several; the system's choice where 0 was asked for.
    pub fn https_port(&self) -> u16 {
        self.https_addr.port()
    }

    /// Those below `listen`, by name, then those of `[[tcp]]` with the number of their table.
    fn named(&self) -> impl Iterator<Item = (&'static str, Option<usize>, &TcpListener)> {
        let of_listen = [&self.https, &self.http, &self.plain, &self.admin];
        let of_listen = NAMES.into_iter().zip(of_listen);
        let of_listen = of_listen.flat_map(|(name, all)| all.iter().map(move |one| (name, None, one)));
        let tcp = self.tcp.iter().enumerate();
        let tcp = tcp.flat_map(|(nth, all)| all.iter().map(move |one| ("tcp", Some(nth), one)));
        of_listen.chain(tcp)
    }

    /// Where they listen, by name.
    pub(super) fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        self.named()
            .filter_map(|(name, _, listener)| Some((name, listener.local_addr().ok()?)))
            .collect()
    }

    /// Descriptors of the same sockets, by name, for a process that comes after this one. While there is any, a socket
    /// listens.
    pub(super) fn again(&self) -> Vec<(String, OwnedFd)> {
        let named = self.named().map(|(name, nth, listener)| {
            let name = nth.map_or_else(|| name.to_owned(), |nth| format!("{TCP}{nth}"));
            (name, listener.as_fd().try_clone_to_owned())
        });
        named
            .filter_map(|(name, descriptor)| Some((name, descriptor.ok()?)))
            .collect()
    }
}

/// Opens what was not given.
async fn opened(way: &mut Way<impl AsyncFnMut() -> bool>, taken: Vec<Taken>) -> (Vec<TcpListener>, Deaf) {
    let (mut open, mut deaf) = (Vec::new(), Vec::new());
    for (spot, given) in taken {
        match given {
            Some(listener) => open.push(listener),
            None => match way.bind(spot).await {
                Ok(listener) => open.push(listener),
                Err(error) => deaf.push((spot, error)),
            },
        }
    }
    (open, deaf)
}
