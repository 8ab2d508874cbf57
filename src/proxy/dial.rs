//! Connections to an upstream for other protocols than HTTP. Each is made for one client, and used by it alone.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    addresses::{Addresses, Target},
    connect::{Connect, Made},
    connection_limit::{ConnectionLimit, Full},
    resolve::System,
    stream::UpstreamStream,
    total::Total,
};
use crate::observe::UpstreamMetrics;

/// Makes connections to one upstream; clones are the same.
#[derive(Clone)]
pub struct Dial(Arc<State>);

struct State {
    connect: Connect,
    limit: ConnectionLimit,
    within: Duration,
}

/// The settings of all connections that are dialled.
#[derive(Clone, Copy, Debug)]
pub struct DialSettings {
    /// The deadline for a connection to any of the addresses. A request waits as long again for a permit, if none is
    /// free.
    pub within: Duration,
    /// The largest number of connections to one upstream that are in use at once.
    pub most: usize,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// As many connections are in use as allowed, and none ended in time.
    #[error("as many connections are in use as may be")]
    Full,
    /// No address took the connection in time.
    #[error("no connection: {0}")]
    Unreachable(io::Error),
}

impl Dial {
    /// Makes the dialler of one target. If the target is a name, it is looked up from now on, again and again.
    pub fn new(target: Target, settings: DialSettings, metrics: UpstreamMetrics, total: Total) -> Self {
        let limit = ConnectionLimit::new(settings.most, settings.within, metrics.clone(), total);
        Self(Arc::new(State {
            connect: Connect::new(Addresses::of(&[target], metrics, System)),
            limit,
            within: settings.within,
        }))
    }

    /// Opens a new connection.
    pub async fn connect(&self) -> Result<UpstreamStream, DialError> {
        let Self(state) = self;
        let permit = state.limit.take().await.map_err(|Full| DialError::Full)?;
        let slot = state.limit.slot().unwrap_or_else(|| {
            // With a permit this connection is within the limit of those in use. If too many are open, others are idle.
            state.limit.make_room();
            state.limit.slot_in_advance()
        });
        let connected = state.connect.any(state.within).await;
        let Made { address, socket, .. } = connected.map_err(DialError::Unreachable)?;
        let open = state.limit.opened(slot, address);
        let (socket, ahead) = (Arc::new(socket), Bytes::new());
        Ok(UpstreamStream::new(socket, ahead, open, permit))
    }
}
