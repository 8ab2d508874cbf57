//! What is known of a request beside its head: who sent it, and by which name of ours.
//!
//! Made once, by `crate::route`, when the target has been found to be one that everybody reads alike. Whoever works on the
//! request has this and nothing else of where it came from.
//!
//! Not here: who the client is (`crate::conn`), which names are ours (`crate::route`).

use std::{net::SocketAddr, sync::Arc};

use hyper::header::HeaderValue;

use crate::addr::ClientAddr;

/// Who sent a request.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The client.
    pub client: ClientAddr,
    /// The address of ours that was called.
    pub local: SocketAddr,
    /// Has a proxy that we trust sent the request on? Then what that one says of the scheme counts (`trust.proxies`).
    pub via_proxy: bool,
}

/// What is known of a request.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// Who sent it.
    pub peer: Peer,
    /// The name of ours that was asked for, in our own spelling and without a port.
    pub our_name: Arc<str>,
    /// The authority that the client used, as it came. Upstreams see it as `Host`.
    pub authority: HeaderValue,
    /// What a proxy that we trust says of the authority that its own client used, where that is one of our names.
    pub forwarded_host: Option<HeaderValue>,
}

impl RequestContext {
    /// The client.
    pub fn client(&self) -> ClientAddr {
        self.peer.client
    }
}
