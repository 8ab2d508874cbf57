//! Who the client really is: the other end of the connection, unless that is a proxy that we trust.

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;

use crate::{
    addr::{ClientAddr, Ends, Networks},
    context::Peer,
    http::without_brackets,
};

/// `X-Forwarded-For` counts as far as proxies that we trust have written it, read from its end: each of them
/// appends who called it. Anything before the first stranger could have been made up by that stranger.
pub(super) fn of(headers: &HeaderMap, ends: Ends, proxies: &Networks) -> Peer {
    let peer = ends.peer.ip();
    let via_proxy = proxies.contains(peer);
    let client = if via_proxy {
        client_of(headers, peer, proxies)
    } else {
        peer
    };
    Peer {
        client: ClientAddr(client),
        local: ends.local,
        via_proxy,
    }
}

fn client_of(headers: &HeaderMap, peer: IpAddr, proxies: &Networks) -> IpAddr {
    let mut client = peer;
    let lines: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
    let claims = lines
        .iter()
        .rev()
        .flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','))
        // RFC 9110 section 5.6.1.2: empty members of a list don't count.
        .filter(|claim| !claim.trim_ascii().is_empty());
    for claim in claims {
        if !proxies.contains(client) {
            break;
        }
        let Some(next) = std::str::from_utf8(claim)
            .ok()
            .and_then(|text| address(text.trim()))
        else {
            break;
        };
        client = next.to_canonical();
    }
    client
}

/// Parses an address as proxies write it: bare, in brackets, or with a port.
fn address(text: &str) -> Option<IpAddr> {
    without_brackets(text)
        .parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|both| both.ip()))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn client(lines: &[&'static str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", HeaderValue::from_static(line));
        }
        let proxies = Networks::parse(
            &trusted.iter().map(ToString::to_string).collect::<Vec<_>>(),
            false,
        )
        .unwrap();
        client_of(&headers, "10.0.0.1".parse().unwrap(), &proxies).to_string()
    }

    #[test]
    fn a_stranger_says_nothing_of_who_it_is() {
        assert_eq!(client(&["192.0.2.7"], &[]), "10.0.0.1");
        assert_eq!(client(&["192.0.2.7"], &["10.0.0.2"]), "10.0.0.1");
    }

    #[test]
    fn a_trusted_proxy_names_its_client_and_what_that_client_claims_is_ignored() {
        assert_eq!(client(&["6.6.6.6, 192.0.2.7"], &["10.0.0.0/8"]), "192.0.2.7");
        assert_eq!(
            client(&["6.6.6.6", "192.0.2.7, 10.0.0.9"], &["10.0.0.0/8"]),
            "192.0.2.7"
        );
        assert_eq!(client(&["::ffff:192.0.2.7"], &["10.0.0.0/8"]), "192.0.2.7");
        assert_eq!(client(&["192.0.2.7:444"], &["10.0.0.0/8"]), "192.0.2.7");
        assert_eq!(client(&["[2001:db8::1]:444"], &["10.0.0.0/8"]), "2001:db8::1");
        assert_eq!(client(&["[2001:db8::1]"], &["10.0.0.0/8"]), "2001:db8::1");
    }

    #[test]
    fn empty_members_are_none() {
        for line in ["192.0.2.7,", "192.0.2.7, ,", "6.6.6.6,,192.0.2.7", ", 192.0.2.7"] {
            assert_eq!(client(&[line], &["10.0.0.0/8"]), "192.0.2.7", "{line}");
        }
        assert_eq!(client(&["192.0.2.7", ""], &["10.0.0.0/8"]), "192.0.2.7");
        assert_eq!(client(&[",", ""], &["10.0.0.0/8"]), "10.0.0.1");
    }

    #[test]
    fn what_is_no_address_ends_the_search() {
        assert_eq!(client(&["192.0.2.7, unknown"], &["10.0.0.0/8"]), "10.0.0.1");
    }
}
