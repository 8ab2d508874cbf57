//! The context of a request: its id, who sent it, in which form it reads errors, and for which of the gateway's names
//! it is.
//!
//! `crate::route` makes it once. Every module that handles the request takes these from it, and from nowhere else.
//!
//! Not here: who the client is (`crate::conn`), which names are ours and how the form is found (`crate::route`).

use std::{net::SocketAddr, sync::Arc};

use hyper::header::HeaderValue;

use crate::{addr::ClientAddr, reply::Format, request_id::RequestId};

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

/// What is known of a request before anything of it is checked. It is enough to refuse it.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The id of the request, by which its lines in the log are found.
    pub id: RequestId,
    /// The sender of the request.
    pub peer: Peer,
    /// The form in which the sender reads errors.
    pub error_form: Format,
}

/// What all modules need to know about a request whose target everybody reads alike.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// What was known of it before its target was checked.
    pub arrival: Arrival,
    /// The gateway's name that the request is for, in the configuration's spelling and without a port.
    pub our_name: Arc<str>,
    /// The authority in the request, as it was sent. Upstreams see it as `Host`.
    pub authority: HeaderValue,
    /// What a proxy that we trust says of the authority that its own client used, where that is one of our names.
    pub forwarded_host: Option<HeaderValue>,
}

impl RequestContext {
    pub fn id(&self) -> RequestId {
        self.arrival.id
    }

    /// The client's address.
    pub fn client(&self) -> ClientAddr {
        self.arrival.peer.client
    }
}
