//! Types for addresses by their part in a connection, so that none can be mistaken for another.
//!
//! Not here: deciding who the client is (`crate::conn::peer`).

use std::{
    fmt,
    io::Write,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use ipnet::IpNet;

/// The client's address, as `crate::conn::peer` has decided it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddr(pub IpAddr);

impl ClientAddr {
    /// The address block of one client: an IPv4 address, or an IPv6 /64, which one household or server has.
    pub fn prefix(self) -> IpAddr {
        match self.0 {
            IpAddr::V4(_) => self.0,
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        }
    }

    /// Appends the address as text. For IPv4, which most addresses are, this is several times faster than standard
    /// formatting.
    pub fn append_to(self, text: &mut Vec<u8>) {
        let IpAddr::V4(v4) = self.0 else {
            // A vector takes everything.
            write!(text, "{self}").ok();
            return;
        };
        for (at, octet) in v4.octets().into_iter().enumerate() {
            if at > 0 {
                text.push(b'.');
            }
            if octet >= 100 {
                text.push(b'0' + octet / 100);
            }
            if octet >= 10 {
                text.push(b'0' + octet / 10 % 10);
            }
            text.push(b'0' + octet % 10);
        }
    }
}

impl fmt::Display for ClientAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Both ends of an accepted connection, by the socket or by a trusted PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The address of the client's side of the TCP connection.
    pub peer: SocketAddr,
    /// The address on which the connection was accepted.
    pub local: SocketAddr,
}

/// The address with an IPv4-mapped IPv6 address, as from a dual-stack socket, turned into IPv4.
pub fn unmapped(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// Where a listener is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    pub addr: SocketAddr,
    /// For `[::]`: connections over IPv4 don't come here.
    pub only_v6: bool,
}

/// The places of one listener. An IPv6 address takes no IPv4 where an IPv4 address of its port is in the list too, as the
/// two could not be opened side by side.
pub fn spots(addrs: &[SocketAddr]) -> impl Iterator<Item = Spot> {
    addrs.iter().map(|addr| Spot {
        addr: *addr,
        only_v6: addr.is_ipv6()
            && addrs
                .iter()
                .any(|other| other.is_ipv4() && other.port() == addr.port()),
    })
}

impl From<SocketAddr> for Spot {
    fn from(addr: SocketAddr) -> Self {
        let only_v6 = false;
        Self { addr, only_v6 }
    }
}

impl Spot {
    /// Do connections over IPv4 come here as well?
    pub fn is_dual(&self) -> bool {
        !self.only_v6 && self.addr.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    }

    /// Would both have some connections, so that they can't be opened side by side?
    pub fn overlaps(&self, other: &Self) -> bool {
        let (ip, its) = (self.addr.ip(), other.addr.ip());
        self.addr.port() == other.addr.port()
            && (ip == its
                || self.is_dual()
                || other.is_dual()
                || (ip.is_ipv4() == its.is_ipv4() && (ip.is_unspecified() || its.is_unspecified())))
    }
}

/// A list of networks, which may include this machine's own addresses (`self`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    nets: Vec<IpNet>,
    own: bool,
}

impl Networks {
    /// Parses entries such as `192.0.2.0/24`, `192.0.2.7` and `2001:db8::/32`, and the word `self` if `own_allowed`.
    pub fn parse(entries: &[String], own_allowed: bool) -> Result<Self, BadNetwork> {
        let mut networks = Self::default();
        for entry in entries {
            if own_allowed && entry == "self" {
                networks.own = true;
            } else if let Ok(net) = entry.parse::<IpNet>() {
                networks.nets.push(net);
            } else if let Ok(ip) = entry.parse::<IpAddr>() {
                networks.nets.push(IpNet::from(ip));
            } else {
                return Err(BadNetwork(entry.clone()));
            }
        }
        Ok(networks)
    }

    pub fn is_empty(&self) -> bool {
        self.nets.is_empty() && !self.own
    }

    /// Is this address in a listed network? `self` is not considered.
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.nets.iter().any(|net| net.contains(&ip))
    }

    /// Is this client in a listed network? With `self`, also if it is a loopback address, or the same address as the
    /// one that it called: a machine that calls its own public address has it at both ends.
    pub fn contains_client(&self, client: ClientAddr, local: SocketAddr) -> bool {
        self.contains(client.0) || (self.own && (client.0.is_loopback() || client.0 == local.ip()))
    }
}

/// An entry that is neither a network nor an address.
#[derive(Debug, PartialEq, Eq)]
pub struct BadNetwork(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(entries: &[&str]) -> Networks {
        Networks::parse(&entries.iter().map(ToString::to_string).collect::<Vec<_>>(), true).unwrap()
    }

    #[test]
    fn an_address_block_is_a_v4_address_or_a_v6_64() {
        let prefix = |text: &str| ClientAddr(text.parse().unwrap()).prefix().to_string();
        assert_eq!(prefix("192.0.2.7"), "192.0.2.7");
        assert_eq!(prefix("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }

    #[test]
    fn all_of_ipv6_has_ipv4_too_unless_ipv4_has_a_place_of_its_own() {
        let addrs =
            |texts: &[&str]| -> Vec<SocketAddr> { texts.iter().map(|it| it.parse().unwrap()).collect() };
        let only_v6 =
            |texts: &[&str]| -> Vec<bool> { spots(&addrs(texts)).map(|spot| spot.only_v6).collect() };
        assert_eq!(only_v6(&["[::]:443"]), [false]);
        assert_eq!(only_v6(&["[::]:443", "0.0.0.0:444"]), [false, false]);
        assert_eq!(only_v6(&["[::]:443", "0.0.0.0:443"]), [true, false]);
        let overlap = |all: &[&str]| {
            let both: Vec<Spot> = spots(&addrs(all)).collect();
            both[0].overlaps(&both[1])
        };
        let alone = |one: &str, two: &str| {
            let (one, two) = (Spot::from(addrs(&[one])[0]), Spot::from(addrs(&[two])[0]));
            assert_eq!(one.overlaps(&two), two.overlaps(&one));
            one.overlaps(&two)
        };
        assert!(!overlap(&["[::]:443", "0.0.0.0:443"]) && !overlap(&["0.0.0.0:443", "[::1]:443"]));
        assert!(overlap(&["0.0.0.0:443", "127.0.0.1:443"]) && overlap(&["[::]:443", "[::1]:443"]));
        assert!(alone("[::]:443", "127.0.0.1:443") && alone("127.0.0.1:1", "127.0.0.1:1"));
        assert!(!alone("[::]:443", "127.0.0.1:444") && !alone("127.0.0.1:1", "127.0.0.2:1"));
        assert!(!alone("[::1]:1", "127.0.0.1:1"));
    }

    #[test]
    fn self_is_loopback_and_the_address_called() {
        let own = networks(&["self", "192.0.2.0/24"]);
        let local = "203.0.113.9:443".parse().unwrap();
        let holds = |ip: &str| own.contains_client(ClientAddr(ip.parse().unwrap()), local);
        assert!(holds("127.0.0.1") && holds("::1") && holds("203.0.113.9") && holds("192.0.2.200"));
        assert!(!holds("203.0.113.10"));
    }

    #[test]
    fn a_word_that_is_no_network_is_named() {
        assert_eq!(
            Networks::parse(&["10.0.0.0/33".into()], true),
            Err(BadNetwork("10.0.0.0/33".into()))
        );
        assert_eq!(
            Networks::parse(&["self".into()], false),
            Err(BadNetwork("self".into()))
        );
    }
}
