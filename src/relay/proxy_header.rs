//! The PROXY header by which an upstream learns whose connection it has.
//!
//! Source: "The PROXY protocol", version 2, section 2.2.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::addr::Ends;

/// Before every header of version 2.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, command PROXY.
const PROXY: u8 = 0x21;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// The header for a connection with these ends. Where they are of two families, the IPv4 one is written as an IPv6 address.
pub fn proxy_header(ends: Ends) -> Vec<u8> {
    let (source, destination) = (ends.peer, ends.local);
    let mut addresses = Vec::with_capacity(36);
    let family = match (source.ip(), destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            addresses.extend(source.octets());
            addresses.extend(destination.octets());
            TCP_OVER_IPV4
        }
        (source, destination) => {
            addresses.extend(as_v6(source));
            addresses.extend(as_v6(destination));
            TCP_OVER_IPV6
        }
    };
    addresses.extend(source.port().to_be_bytes());
    addresses.extend(destination.port().to_be_bytes());
    let mut header = SIGNATURE.to_vec();
    header.extend([PROXY, family]);
    header.extend(u16::try_from(addresses.len()).unwrap_or_default().to_be_bytes());
    header.extend(addresses);
    header
}

/// As `proxy_header`, with a destination that is IPv4 in any case: `LiveKit`'s TURN takes the family of a relay from it, and
/// its relay has IPv4 alone, so that a client with an IPv6 destination is refused with 508. `own` stands for one.
pub fn proxy_header_for_ipv4(ends: Ends, own: Ipv4Addr) -> Vec<u8> {
    let ip = match ends.local.ip() {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(_) => own,
    };
    proxy_header(Ends {
        peer: ends.peer,
        local: SocketAddr::new(ip.into(), ends.local.port()),
    })
}

fn as_v6(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

#[cfg(test)]
mod tests {
    use ppp::v2;

    use super::*;

    fn ends(peer: &str, local: &str) -> Ends {
        Ends {
            peer: peer.parse().unwrap(),
            local: local.parse().unwrap(),
        }
    }

    /// As another library reads it.
    fn read(header: &[u8]) -> String {
        let read = v2::Header::try_from(header).unwrap();
        assert_eq!(
            (read.command, read.protocol),
            (v2::Command::Proxy, v2::Protocol::Stream)
        );
        assert_eq!(read.len(), header.len());
        match read.addresses {
            v2::Addresses::IPv4(v4) => format!(
                "{}:{} -> {}:{}",
                v4.source_address, v4.source_port, v4.destination_address, v4.destination_port
            ),
            v2::Addresses::IPv6(v6) => format!(
                "{}:{} -> {}:{}",
                v6.source_address, v6.source_port, v6.destination_address, v6.destination_port
            ),
            other @ (v2::Addresses::Unspecified | v2::Addresses::Unix(_)) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_header_says_both_ends() {
        assert_eq!(
            read(&proxy_header(ends("192.0.2.7:4242", "203.0.113.9:443"))),
            "192.0.2.7:4242 -> 203.0.113.9:443"
        );
        assert_eq!(
            read(&proxy_header(ends("[2001:db8::7]:4242", "[2001:db8::9]:443"))),
            "2001:db8::7:4242 -> 2001:db8::9:443"
        );
    }

    #[test]
    fn an_ipv6_client_of_turn_has_an_ipv4_destination() {
        let own = Ipv4Addr::new(203, 0, 113, 9);
        assert_eq!(
            read(&proxy_header_for_ipv4(
                ends("[2001:db8::7]:4242", "[2001:db8::9]:443"),
                own
            )),
            "2001:db8::7:4242 -> ::ffff:203.0.113.9:443"
        );
        assert_eq!(
            read(&proxy_header_for_ipv4(
                ends("192.0.2.7:4242", "198.51.100.1:443"),
                own
            )),
            "192.0.2.7:4242 -> 198.51.100.1:443"
        );
    }
}
