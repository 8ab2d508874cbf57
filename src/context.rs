//! The context of a request: its id, who sent it, and for which of the gateway's names.
//!
//! `crate::route` makes it once, when the target has been checked. Every module that handles the request takes the
//! id, the client and the name from it, and from nowhere else.
//!
//! Not here: who the client is (`crate::conn`), which names are ours (`crate::route`).

use std::{net::SocketAddr, sync::Arc};

use hyper::header::HeaderValue;

use crate::{addr::ClientAddr, request_id::RequestId};

/// The sender of a request.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The client's address.
    pub client: ClientAddr,
    /// The gateway's address to which the client connected.
    pub local: SocketAddr,
    /// Did a trusted proxy send the request? Then the scheme that it tells counts (`trust.proxies`).
    pub via_proxy: bool,
}

/// What all modules need to know about a request.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The id of the request, by which its lines in the log are found.
    pub id: RequestId,
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
