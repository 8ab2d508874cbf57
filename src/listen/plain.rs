//! A door without TLS: for the redirect, and for the admin listener.

use std::sync::Arc;

use tokio::net::TcpStream;

use super::accept::Door;
use crate::{
    addr::{ClientAddr, Ends},
    conn::{Conn, ConnSettings, Handler, Protocol},
    places::Place,
};

/// A door without TLS, for the redirect and for the admin listener.
pub struct Plain<H>(Arc<Conn<H>>);

impl<H> Clone for Plain<H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<H: Handler> Plain<H> {
    /// A door to these connections.
    pub fn new(conn: Conn<H>) -> Self {
        Self(Arc::new(conn))
    }

    /// The same door for a connection under other settings.
    #[must_use]
    pub fn under(&self, settings: Arc<ConnSettings>) -> Self {
        Self(Arc::new(self.0.under(settings)))
    }
}

impl<H: Handler> Door for Plain<H> {
    async fn serve(&self, stream: TcpStream, ends: Ends, place: Place) {
        if place.belongs_to(ClientAddr(ends.peer.ip())) {
            self.0.serve(stream, Protocol::Http1, ends, &place).await;
        }
    }
}
