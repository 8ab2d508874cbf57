//! Names, addresses and origins, as strictly as their users need them.
//!
//! The URL parser of browsers accepts blanks, backslashes and a missing `//`, and then reads something else than a
//! person does. So such spellings are refused before the parser sees them.
//!
//! Sources: WHATWG URL sections 3.5 and 4.4 (hosts and URLs); CSP level 3 section 2.3.1 (`host-source`).

use std::{net::SocketAddr, path::PathBuf};

use url::{Host, Url};

use super::{
    kind::{Kind, Refusal},
    shape::PublicOrigin,
};
use crate::{addr::Networks, http::with_brackets, proxy::Target};

/// The longest path of a Unix socket, in bytes: `sun_path` in unix(7), less the NUL at its end.
const MAX_SOCKET_PATH_BYTES: usize = 107;

pub(super) const SOCKET: Kind<SocketAddr> =
    Kind::new("write IP:PORT, such as 0.0.0.0:443 or [::]:443", |text| {
        text.parse().or(Err(Refusal::new("is no address with a port")))
    })
    .like(r"^.+:[0-9]+$");

/// The address of a program on this machine or near it, with a port.
pub(super) const SOCKET_OF_A_PROGRAM: Kind<(String, u16)> = Kind::new(
    "write HOST:PORT, such as 127.0.0.1:9080",
    |text| match (TCP_UPSTREAM.parse)(text)? {
        Target::Tcp { host, port } => Ok((host, port)),
        Target::Unix(_) => Err(Refusal::new("is no host with a port")),
    },
);

pub(super) const PUBLIC_ORIGIN: Kind<PublicOrigin> = Kind::new(
    "write https://HOST or https://HOST:PORT, such as https://conf.example.org",
    |text| {
        let url = bare_origin(text)?;
        if url.scheme() != "https" {
            return Err(Refusal::new("is not https"));
        }
        if url.port() == Some(0) {
            return Err(Refusal::new("has a port that nobody can call"));
        }
        Ok(PublicOrigin {
            host: host_of(&url)?,
            port: url.port(),
        })
    },
)
.like(r"^https://[^/]+/?$");

pub(super) const HOST: Kind<String> = Kind::new(
    "write a host name or an IP address without a port, such as conf.example.org",
    host,
)
.like(".");

pub(super) const UPSTREAM: Kind<Target> = Kind::new(
    "write http://HOST or http://HOST:PORT, such as http://127.0.0.1:8080, or unix:PATH for a Unix socket",
    |text| {
        if let Some(path) = text.strip_prefix("unix:") {
            return unix_socket(path).map(Target::Unix);
        }
        let url = bare_origin(text)?;
        match url.scheme() {
            "http" | "ws" => {}
            "https" | "wss" => return Err(Refusal::new("asks for TLS, which is not supported to upstreams")),
            _ => return Err(Refusal::new("is not http")),
        }
        let port = url.port().unwrap_or(80);
        if port == 0 {
            return Err(Refusal::new("has a port that nobody can call"));
        }
        let host = host_of(&url)?;
        Ok(Target::Tcp { host, port })
    },
)
.like(r"^((http|ws)://|unix:).+$");

/// An upstream for other protocols than HTTP.
pub(super) const TCP_UPSTREAM: Kind<Target> = Kind::new(
    "write HOST:PORT, such as 127.0.0.1:1936, or unix:PATH for a Unix socket",
    |text| {
        if let Some(path) = text.strip_prefix("unix:") {
            return unix_socket(path).map(Target::Unix);
        }
        let (named, port) = text.rsplit_once(':').ok_or(Refusal::new("has no port"))?;
        let port = match port.parse() {
            Ok(0) | Err(_) => return Err(Refusal::new("has a port that nobody can call")),
            Ok(port) => port,
        };
        // An IPv6 address without brackets would end in its port.
        if named.contains(':') && !named.starts_with('[') {
            return Err(Refusal::new("is no host with a port"));
        }
        Ok(Target::Tcp {
            host: host(named)?,
            port,
        })
    },
)
.like(".");

/// A name in a TLS `ClientHello`, which is never an address; `*.` in front stands for all names one level below.
pub(super) const SERVER_NAME: Kind<String> = Kind::new(
    "write a host name, such as other.example.org or *.example.org",
    |text| {
        let (wildcard, plain) = match text.strip_prefix("*.") {
            Some(plain) => ("*.", plain),
            None => ("", text),
        };
        let name = host(plain)?;
        if name.parse::<std::net::IpAddr>().is_ok() {
            return Err(Refusal::new("is an address, and a hello names none"));
        }
        Ok(format!("{wildcard}{name}"))
    },
)
.like(".");

pub(super) const LOGIN_URL: Kind<Url> = Kind::new(
    "write an https or http address, such as https://lms.example.org/login",
    |text| {
        let url = absolute(text)?;
        if matches!(url.scheme(), "https" | "http") {
            Ok(url)
        } else {
            Err(Refusal::new("is neither https nor http"))
        }
    },
)
.like(".");

pub(super) const CSP_REPORT: Kind<Url> = Kind::new(
    "write an https address without ; and , such as https://reports.example.org/csp",
    |text| {
        let url = absolute(text)?;
        if url.scheme() != "https" {
            return Err(Refusal::new("is not https"));
        }
        if url.as_str().contains([';', ',']) {
            return Err(Refusal::new("would end the policy that names it"));
        }
        Ok(url)
    },
)
.like(".");

/// INVARIANT: nothing that is taken here can end the directive it is put into.
pub(super) const FRAME_ANCESTOR: Kind<String> = Kind::new(
    "write 'self' or an origin, such as https://lms.example.org or https://*.example.org",
    |text| {
        if text == "'self'" {
            return Ok(text.to_owned());
        }
        let (wildcard, plain) = match text.split_once("://*.") {
            Some((scheme, rest)) => ("*.", format!("{scheme}://{rest}")),
            None => ("", text.to_owned()),
        };
        let url = bare_origin(&plain)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(Refusal::new("is neither https nor http"));
        }
        let host = host_of(&url)?;
        let is_name = matches!(url.host(), Some(Host::Domain(_)));
        if !wildcard.is_empty() && !is_name {
            return Err(Refusal::new("has a wildcard before an address"));
        }
        let host = with_brackets(&host);
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        Ok(format!("{}://{wildcard}{host}{port}", url.scheme()))
    },
)
.like(".");

pub(super) const DESIGN_HOST: Kind<String> = Kind::new(
    "write a host such as cdn.example.org, all below one as *.example.org, or * for any",
    |text| {
        if text == "*" {
            return Ok(text.to_owned());
        }
        let Some(parent) = text.strip_prefix("*.") else {
            return host(text);
        };
        match Host::parse(parent) {
            Ok(Host::Domain(_)) => Ok(format!("*.{}", host(parent)?)),
            Ok(Host::Ipv4(_) | Host::Ipv6(_)) | Err(_) => Err(Refusal::new("is no host")),
        }
    },
)
.like(".");

pub(super) const PROXY: Kind<String> = Kind::new(
    "write a network such as 10.0.0.0/8 or an address such as 192.0.2.7",
    |text| network(text, false),
)
.like(".");

pub(super) const INTERNAL: Kind<String> = Kind::new(
    "write a network such as 10.0.0.0/8, an address such as 192.0.2.7, or self for this machine's own",
    |text| network(text, true),
)
.like(".");

/// The path of a Unix socket. It must be absolute, because a relative one depends on the folder in which the gateway
/// starts.
fn unix_socket(text: &str) -> Result<PathBuf, Refusal> {
    // Container engines write `unix:///path`, as a URL without a host. It means the same.
    let path = match text.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some(_) => return Err(Refusal::new("has a host, and a socket is on this machine")),
        None => text,
    };
    if !path.starts_with('/') || path.ends_with('/') || path.contains(char::is_control) {
        return Err(Refusal::new("has no path from the root on to a socket"));
    }
    if path.len() > MAX_SOCKET_PATH_BYTES {
        return Err(Refusal::new("has a path that is longer than the system takes"));
    }
    Ok(path.into())
}

fn network(text: &str, own_allowed: bool) -> Result<String, Refusal> {
    match Networks::parse(&[text.to_owned()], own_allowed) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(Refusal::new("is no network")),
    }
}

/// A URL that has a scheme, a host, perhaps a port, and nothing else.
fn bare_origin(text: &str) -> Result<Url, Refusal> {
    let url = absolute(text)?;
    if !matches!(url.path(), "" | "/") || text.contains(['?', '#']) {
        return Err(Refusal::new("has more than a host and a port"));
    }
    Ok(url)
}

/// A URL with a host and without credentials, spelled out as it is meant.
fn absolute(text: &str) -> Result<Url, Refusal> {
    const NO_ADDRESS: Refusal = Refusal::new("is no address");
    let spelled_out =
        text.contains("://") && !text.contains(|c: char| c == '\\' || c.is_whitespace() || c.is_control());
    let url = Url::parse(text).ok().filter(|_| spelled_out).ok_or(NO_ADDRESS)?;
    if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
        return Err(Refusal::new("has credentials, which have no use here"));
    }
    match url.host_str() {
        Some(host) if !host.is_empty() => Ok(url),
        Some(_) | None => Err(NO_ADDRESS),
    }
}

fn host_of(url: &Url) -> Result<String, Refusal> {
    // The parser checks the host only for schemes that it knows.
    host(url.host_str().unwrap_or_default())
}

/// A host name in lower case and punycode, or an IP address. An IPv6 address may have brackets; the result has none.
fn host(text: &str) -> Result<String, Refusal> {
    const NO_HOST: Refusal = Refusal::new("is no host");
    if let Ok(address) = text.parse::<std::net::Ipv6Addr>() {
        return Ok(address.to_string());
    }
    match Host::parse(text).or(Err(NO_HOST))? {
        Host::Ipv6(address) => Ok(address.to_string()),
        Host::Ipv4(address) => Ok(address.to_string()),
        Host::Domain(name) if !text.contains('%') && name.split('.').all(is_label) => Ok(name),
        Host::Domain(_) => Err(NO_HOST),
    }
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why<T>(kind: &Kind<T>, text: &str) -> Option<String> {
        (kind.parse)(text).err().map(|refusal| refusal.why.into_owned())
    }

    #[test]
    fn an_origin_is_kept_as_clients_spell_it() {
        let origin = |text: &str| (PUBLIC_ORIGIN.parse)(text).unwrap().to_string();
        assert_eq!(origin("https://Conf.Example.ORG"), "https://conf.example.org");
        assert_eq!(
            origin("https://conf.example.org:443/"),
            "https://conf.example.org"
        );
        assert_eq!(
            origin("https://conf.example.org:8443"),
            "https://conf.example.org:8443"
        );
        assert_eq!(origin("https://[2001:DB8::1]:8443"), "https://[2001:db8::1]:8443");
        assert_eq!(origin("https://bücher.example"), "https://xn--bcher-kva.example");
    }

    #[test]
    fn an_origin_that_the_parser_would_forgive_is_refused() {
        for (text, expected) in [
            ("http://conf.example.org", "is not https"),
            ("conf.example.org", "is no address"),
            ("https:conf.example.org", "is no address"),
            ("https://conf.example.org\\a", "is no address"),
            (" https://conf.example.org", "is no address"),
            ("https://", "is no address"),
            (
                "https://a@conf.example.org",
                "has credentials, which have no use here",
            ),
            (
                "https://@conf.example.org",
                "has credentials, which have no use here",
            ),
            ("https://conf.example.org/meet", "has more than a host and a port"),
            ("https://conf.example.org?", "has more than a host and a port"),
            ("https://conf.example.org/#", "has more than a host and a port"),
            ("https://conf.example.org:0", "has a port that nobody can call"),
            ("https://*.example.org", "is no host"),
            ("https://conf..org", "is no host"),
        ] {
            assert_eq!(why(&PUBLIC_ORIGIN, text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_host_has_no_port_and_no_wildcard() {
        assert_eq!((HOST.parse)("MEET.example.org").unwrap(), "meet.example.org");
        assert_eq!((HOST.parse)("[::1]").unwrap(), "::1");
        assert_eq!((HOST.parse)("::1").unwrap(), "::1");
        for text in [
            "",
            "a:443",
            "*.example.org",
            "a b",
            "https://a",
            "a.",
            "1.2.3.256",
            "a%2eb",
        ] {
            assert_eq!(why(&HOST, text).as_deref(), Some("is no host"), "{text}");
        }
    }

    #[test]
    fn an_upstream_is_plain_http_without_a_path() {
        let upstream = |text: &str| (UPSTREAM.parse)(text).unwrap().to_string();
        assert_eq!(upstream("http://localhost"), "http://localhost:80");
        assert_eq!(upstream("ws://[::1]:8222/"), "http://[::1]:8222");
        for (text, expected) in [
            (
                "https://127.0.0.1",
                "asks for TLS, which is not supported to upstreams",
            ),
            (
                "wss://127.0.0.1",
                "asks for TLS, which is not supported to upstreams",
            ),
            ("ftp://127.0.0.1", "is not http"),
            ("127.0.0.1:8080", "is no address"),
            ("http://127.0.0.1:8080/api", "has more than a host and a port"),
            (
                "http://ann:pw@127.0.0.1",
                "has credentials, which have no use here",
            ),
            ("http://127.0.0.1:0", "has a port that nobody can call"),
            ("http://127.0.0.1:99999", "is no address"),
        ] {
            assert_eq!(why(&UPSTREAM, text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn an_upstream_may_be_a_unix_socket_of_this_machine() {
        let upstream = |text: &str| (UPSTREAM.parse)(text).unwrap().to_string();
        assert_eq!(upstream("unix:/run/pnm/s 1.sock"), "unix:/run/pnm/s 1.sock");
        assert_eq!(upstream("unix:///run/pnm.sock"), "unix:/run/pnm.sock");
        let longest = format!("unix:/{}", "a".repeat(106));
        assert_eq!(upstream(&longest), longest);
        for (text, expected) in [
            ("unix:", "has no path from the root on to a socket"),
            ("unix:/", "has no path from the root on to a socket"),
            ("unix:run/pnm.sock", "has no path from the root on to a socket"),
            ("unix:/run/\n", "has no path from the root on to a socket"),
            (
                "unix://host/run/pnm.sock",
                "has a host, and a socket is on this machine",
            ),
            (
                &format!("{longest}a"),
                "has a path that is longer than the system takes",
            ),
            ("http://unix:/run/pnm.sock", "has more than a host and a port"),
        ] {
            assert_eq!(why(&UPSTREAM, text).as_deref(), Some(expected), "{text}");
        }
    }

    /// CSP level 3 section 2.3.1: what ends a source or a directive must not get in.
    #[test]
    fn a_frame_ancestor_cannot_leave_its_directive() {
        let source = |text: &str| (FRAME_ANCESTOR.parse)(text).unwrap();
        for text in [
            "'self'",
            "https://lms.example.org",
            "https://*.example.org",
            "http://localhost:3000",
        ] {
            assert_eq!(source(text), text);
        }
        assert_eq!(
            source("https://*.Example.org:8443/"),
            "https://*.example.org:8443"
        );
        for text in [
            "*",
            "'none'",
            "https:",
            "https://*",
            "https://*.127.0.0.1",
            "https://a.example;script-src *",
            "https://a.example,https://b.example",
            "https://a.example https://b.example",
            "https://a'.example",
            "https://a.example/path",
            "data://a.example",
        ] {
            assert!(why(&FRAME_ANCESTOR, text).is_some(), "{text}");
        }
    }

    #[test]
    fn a_design_host_is_a_host_a_wildcard_or_all() {
        for text in ["*", "*.example.org", "cdn.example.org", "192.0.2.7"] {
            assert_eq!((DESIGN_HOST.parse)(text).unwrap(), text);
        }
        for text in [
            "",
            "*.",
            "*.192.0.2.7",
            "*.*.example.org",
            "cdn.*.org",
            "https://a",
            "a/b",
        ] {
            assert_eq!(why(&DESIGN_HOST, text).as_deref(), Some("is no host"), "{text}");
        }
    }

    #[test]
    fn only_internal_callers_can_be_this_machine_itself() {
        assert_eq!(why(&INTERNAL, "self"), None);
        assert_eq!(why(&PROXY, "self").as_deref(), Some("is no network"));
        assert_eq!(why(&PROXY, "10.0.0.0/33").as_deref(), Some("is no network"));
    }
}
