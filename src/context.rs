//! What is known of a request beside its head: who sent it, and by which name of ours.
//!
//! Made once, by `crate::route`, when the target has been found to be one that everybody reads alike. Whoever works on the
//! request has this and nothing else of where it came from.
//!
//! Not here: who the client is (`crate::conn`), which names are ours (`crate::route`).

use std::{net::SocketAddr, sync::Arc};

use hyper::header::HeaderValue;

use crate::addr::ClientAddr;

/// The sender of a request.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The client's address.
    pub client: ClientAddr,
    /// The gateway's address to which the client connected.
    pub local: SocketAddr,
    /// Has a proxy that we trust sent the request on? Then what that one says of the scheme counts (`trust.proxies`).
    pub via_proxy: bool,
}

/// What all modules need to know about a request.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The sender of the request.
    pub peer: Peer,
    /// The gateway's name that the request is for, in the configuration's spelling and without a port.
    pub our_name: Arc<str>,
    /// The authority in the request, as it was sent. Upstreams see it as `Host`.
    pub authority: HeaderValue,
    /// What a proxy that we trust says of the authority that its own client used, where that is one of our names.
    pub forwarded_host: Option<HeaderValue>,
}

impl RequestContext {
    /// The client's address.
    pub fn client(&self) -> ClientAddr {
        self.peer.client
    }
}
