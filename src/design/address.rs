//! Which hosts are not on the public internet.
//!
//! A design with such a host would make the browsers of all participants send requests into their own networks, for the
//! author of a link.
//! IPv4 is judged by what is not public, IPv6 by what is: of it only `2000::/3` has been given out.
//!
//! Not here: names that resolve to such an address; the gateway does not resolve, the browser does, each in its own
//! way.
//!
//! Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890), RFC 6761 section 6.3 (`localhost`), RFC
//! 6762 section 3 and appendix G (`local` and what home and office networks use), RFC 8375 (`home.arpa`), ICANN board
//! resolution 2024.07.29.06 (`internal`), RFC 6052 (NAT64), RFC 3056 (6to4), RFC 4291 section 2.5.5 (IPv4-mapped).

use std::net::{Ipv4Addr, Ipv6Addr};

use url::Host;

pub(super) fn is_private(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => is_private_name(name),
        Host::Ipv4(ip) => is_private_v4(*ip),
        Host::Ipv6(ip) => is_private_v6(*ip),
    }
}

/// Host names that have a meaning only within one network. All names below them are refused too.
const NOT_PUBLIC_NAMES: &[&str] = &[
    "localhost",
    "local",
    "internal",
    "home.arpa",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "localdomain",
];

/// `name` in lower case, as the URL parser leaves it. Without a dot it is looked up in the participant's own domain.
fn is_private_name(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    let within = |parent: &&str| {
        name.strip_suffix(parent)
            .is_some_and(|left| left.is_empty() || left.ends_with('.'))
    };
    !name.contains('.') || NOT_PUBLIC_NAMES.iter().any(within)
}

/// IPv4 networks that are not public, each with the length of its prefix, which is never 0.
const NOT_PUBLIC_V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::UNSPECIFIED, 8),           // this host, this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),      // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),   // shared by a provider's customers
    (Ipv4Addr::new(127, 0, 0, 0), 8),     // loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16),  // link-local
    (Ipv4Addr::new(172, 16, 0, 0), 12),   // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),    // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),    // documentation
    (Ipv4Addr::new(192, 168, 0, 0), 16),  // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarking
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),  // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),     // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),     // reserved, and broadcast
];

fn is_private_v4(ip: Ipv4Addr) -> bool {
    NOT_PUBLIC_V4
        .iter()
        .any(|(network, prefix)| (ip.to_bits() ^ network.to_bits()) >> (32 - prefix) == 0)
}

const GIVEN_OUT_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Networks within `2000::/3` that are not public. Loopback, unique local, link-local, site-local and multicast
/// addresses are outside of it.
const NOT_PUBLIC_V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments, Teredo
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

fn is_private_v6(ip: Ipv6Addr) -> bool {
    if let Some(inner) = carried_v4(ip) {
        return is_private_v4(inner);
    }
    let within =
        |(network, prefix): &(Ipv6Addr, u32)| (ip.to_bits() ^ network.to_bits()) >> (128 - prefix) == 0;
    !within(&GIVEN_OUT_V6) || NOT_PUBLIC_V6.iter().any(within)
}

/// The IPv4 address that a mapped, NAT64 or 6to4 address contains.
fn carried_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let from = |high: u16, low: u16| Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low));
    match ip.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(from(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn private(host: &str) -> bool {
        let host = Host::parse(host).unwrap();
        is_private(&match &host {
            Host::Domain(name) => Host::Domain(name.as_str()),
            Host::Ipv4(ip) => Host::Ipv4(*ip),
            Host::Ipv6(ip) => Host::Ipv6(*ip),
        })
    }

    #[test]
    fn knows_the_edges_of_every_network() {
        for host in [
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.0.0",
            "192.168.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.0",
            "239.255.255.255",
            "240.0.0.0",
            "255.255.255.255",
            "[::]",
            "[::1]",
            "[::127.0.0.1]",
            "[::8.8.8.8]",
            "[::ffff:127.0.0.1]",
            "[::ffff:10.1.2.3]",
            "[::ffff:0:8.8.8.8]",
            "[64:ff9b::192.168.0.1]",
            "[64:ff9b:1::1]",
            "[100::1]",
            "[2001::1]",
            "[2001:1ff::1]",
            "[2001:db8::1]",
            "[2002:7f00:1::]",
            "[2002:a00:1::1]",
            "[3fff::1]",
            "[4000::1]",
            "[fc00::1]",
            "[fdff::1]",
            "[fe80::1]",
            "[febf::1]",
            "[fec0::1]",
            "[ff02::1]",
        ] {
            assert!(private(host), "{host}");
        }
        for host in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "203.0.114.0",
            "223.255.255.255",
            "[::ffff:8.8.8.8]",
            "[64:ff9b::8.8.8.8]",
            "[2001:200::1]",
            "[2001:4860:4860::8888]",
            "[2002:808:808::1]",
            "[2606:4700::1111]",
        ] {
            assert!(!private(host), "{host}");
        }
    }

    #[test]
    fn sees_through_every_spelling_of_a_number() {
        for host in [
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "127.1",
            "127.0.0.1.",
            "0x7F000001",
            "0",
            "017700000001",
            "0xa9.0xfe.0xa9.0xfe",
            "2852039166",
            "0251.0376.0251.0376",
            "169.254.43518",
            "0xc0a80001",
            "3232235521",
            "10.1",
            "0xa.1",
            "012.0.0.1",
            "0x64.64.0.1",
            "[::ffff:7f00:1]",
            "[::FFFF:a9fe:a9fe]",
            "[0:0:0:0:0:ffff:127.0.0.1]",
            "[64:ff9b::a9fe:a9fe]",
            "[2002:c0a8:1::]",
            "[0:0:0:0:0:0:0:1]",
        ] {
            assert!(private(host), "{host}");
        }
    }

    #[test]
    fn knows_names_that_mean_another_machine_in_each_network() {
        for host in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "a.localhost",
            "a.b.localhost.",
            "l%6fcalhost",
            "printer.local",
            "PRINTER.LOCAL.",
            "metadata.google.internal",
            "internal",
            "router.home.arpa",
            "home.arpa",
            "wiki.corp",
            "nas.lan",
            "fritz.home",
            "wiki.intranet",
            "db.private",
            "host.localdomain",
            "intranet",
            "intranet.",
            "intranet..",
            "xn--bcher-kva",
            "notlocalhost",
        ] {
            assert!(private(host), "{host}");
        }
        for host in [
            "localhost.example",
            "local.example",
            "notlocal.example.org",
            "a.notlocalhost.example",
            "a.xlocal.de",
            "ahome.arpa",
            "example.org.",
            "example.org",
        ] {
            assert!(!private(host), "{host}");
        }
    }
}
