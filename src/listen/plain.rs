//! A door without TLS: for the redirect, for the admin listener, and for balancers that end TLS themselves.

use std::sync::Arc;

use tokio::net::TcpStream;
use tracing::warn;

use super::accept::Door;
use crate::{
    addr::{ClientAddr, Ends, Networks},
    conn::{Conn, ConnSettings, Handler, Protocol},
    observe::OnceAMinute,
    places::Place,
};

/// A door without TLS.
pub struct Plain<H>(Arc<Conn<H>>, Option<Behind>);

/// Who alone is let in.
#[derive(Clone)]
struct Behind {
    proxies: Networks,
    strangers: OnceAMinute,
}

impl<H> Clone for Plain<H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), self.1.clone())
    }
}

impl<H: Handler> Plain<H> {
    /// A door to these connections.
    pub fn new(conn: Conn<H>) -> Self {
        Self(Arc::new(conn), None)
    }

    /// The same door for balancers alone, which end TLS.
    #[must_use]
    pub fn behind(self, proxies: Networks) -> Self {
        let strangers = OnceAMinute::new(|count| {
            warn!(
                count,
                "Connections to listen.plain from outside of trust.proxies were refused"
            );
        });
        Self(self.0, Some(Behind { proxies, strangers }))
    }

    /// The same door for a connection under other settings.
    #[must_use]
    pub fn under(&self, settings: Arc<ConnSettings>, proxies: &Networks) -> Self {
        let behind = self.1.as_ref().map(|behind| Behind {
            proxies: proxies.clone(),
            strangers: behind.strangers.clone(),
        });
        Self(Arc::new(self.0.under(settings)), behind)
    }
}

impl<H: Handler> Door for Plain<H> {
    async fn serve(&self, stream: TcpStream, ends: Ends, place: Place) {
        // SECURITY: what comes here has no TLS unless a balancer has ended it.
        if let Some(behind) = &self.1
            && !behind.proxies.contains(ends.peer.ip())
        {
            behind.strangers.add(1);
            return;
        }
        if place.belongs_to(ClientAddr(ends.peer.ip())) {
            self.0.serve(stream, Protocol::Http1, ends, &place).await;
        }
    }
}
