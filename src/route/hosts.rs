//! The gateway's names, and hosts that are none of them.

use std::sync::Arc;

use hyper::{Request, header, http::uri::Authority};

use crate::http::{with_brackets, without_brackets};

/// A host that is none of the gateway's names. Only the log shows it: whoever runs the gateway can't know else which name
/// is missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is neither public_origin's name nor one of hosts", .0)]
pub struct NotOurHost(String);

impl NotOurHost {
    /// No name is longer (RFC 1035 section 2.3.4).
    const MAX_CHARS: usize = 255;

    /// The host that a request names.
    pub fn of<B>(request: &Request<B>) -> Self {
        let in_field = request.headers().get(header::HOST);
        let in_field = in_field.and_then(|host| host.to_str().ok());
        let authority = request.uri().authority().map(Authority::as_str).or(in_field);
        let host = authority.unwrap_or_default().parse::<Authority>();
        let host = host.as_ref().map_or("", Authority::host);
        Self(host.to_ascii_lowercase().chars().take(Self::MAX_CHARS).collect())
    }

    /// The host's name, without its port.
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// The names of the gateway.
#[derive(Clone, Debug)]
pub struct Hosts {
    names: Vec<Arc<str>>,
    /// The authority of the public origin, which an HTTP/1.0 request without a host means.
    public: Option<Authority>,
}

impl Hosts {
    /// Makes the list: the public name, the other names, and the loopback names if the gateway listens on loopback
    /// alone.
    pub fn new(public: &str, others: &[String], on_loopback: bool) -> Self {
        let loopback = ["localhost", "127.0.0.1", "::1"]
            .iter()
            .filter(|_| on_loopback)
            .map(ToString::to_string);
        let listed = std::iter::once(public)
            .chain(others.iter().map(String::as_str))
            .map(|name| name.trim_end_matches('.').to_ascii_lowercase());
        Self {
            names: listed.chain(loopback).map(Arc::from).collect(),
            public: authority_with(public, None),
        }
    }

    /// Sets the port of the public origin, if it is not the scheme's default.
    #[must_use]
    pub fn at_port(mut self, port: Option<u16>) -> Self {
        self.public = self.names.first().and_then(|public| authority_with(public, port));
        self
    }

    /// The authority that a request of HTTP/1.0 without a host means.
    pub(super) fn public(&self) -> Option<Authority> {
        self.public.clone()
    }

    /// Our spelling of this host, if it is one of our names. Ports and the dot at the end of a full name don't count
    /// (RFC 3986 section 3.2.2).
    pub fn known(&self, host: &str) -> Option<&str> {
        self.own_name(host).map(|name| &**name)
    }

    /// As `known`, to be kept.
    pub(super) fn own_name(&self, host: &str) -> Option<&Arc<str>> {
        let host = without_brackets(host);
        let bare = host.strip_suffix('.').unwrap_or(host);
        self.names.iter().find(|name| name.eq_ignore_ascii_case(bare))
    }
}

fn authority_with(host: &str, port: Option<u16>) -> Option<Authority> {
    let host = with_brackets(host);
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{host}{port}").parse().ok()
}
