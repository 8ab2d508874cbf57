//! A listener without TLS: for the redirect, for the admin listener, and for balancers that terminate TLS themselves.

use std::sync::Arc;

use tokio::net::TcpStream;
use tracing::warn;

use super::accept::Serve;
use crate::{
    addr::{ClientAddr, Ends},
    conn::{Conn, ConnSettings, Handler, Protocol},
    observe::OnceAMinute,
    places::Place,
};

/// Serves HTTP/1 without TLS.
pub struct Plain<H> {
    conn: Arc<Conn<H>>,
    /// Counts the refused connections from elsewhere, if only trusted proxies may connect; `None` if everyone may.
    strangers: Option<OnceAMinute>,
}

impl<H> Clone for Plain<H> {
    fn clone(&self) -> Self {
        Self {
            conn: Arc::clone(&self.conn),
            strangers: self.strangers.clone(),
        }
    }
}

impl<H: Handler> Plain<H> {
    /// Makes a listener whose connections are served by `conn`.
    pub fn new(conn: Conn<H>) -> Self {
        Self {
            conn: Arc::new(conn),
            strangers: None,
        }
    }

    /// The same listener for trusted proxies alone, which terminate TLS.
    #[must_use]
    pub fn behind_balancers(self) -> Self {
        let strangers = OnceAMinute::new(|count| {
            warn!(
                count,
                "Connections to listen.plain from outside of trust.proxies were refused"
            );
        });
        Self {
            strangers: Some(strangers),
            ..self
        }
    }

    /// The same listener with other settings.
    #[must_use]
    pub fn under(&self, settings: Arc<ConnSettings>) -> Self {
        Self {
            conn: Arc::new(self.conn.under(settings)),
            strangers: self.strangers.clone(),
        }
    }
}

impl<H: Handler> Serve for Plain<H> {
    async fn serve(&self, stream: TcpStream, ends: Ends, place: Place) {
        // SECURITY: what comes here has no TLS unless a balancer has ended it.
        if let Some(strangers) = &self.strangers
            && !self.conn.trusts(ends.peer.ip())
        {
            strangers.add(1);
            return;
        }
        if place.belongs_to(ClientAddr(ends.peer.ip())) {
            self.conn.serve(stream, Protocol::Http1, ends, &place).await;
        }
    }
}
