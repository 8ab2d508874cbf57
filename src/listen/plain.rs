//! A door without TLS: for the redirect, and for the admin listener.

use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};

use super::accept::{Door, accept};
use crate::{
    addr::{ClientAddr, Ends},
    conn::{Conn, Handler, Protocol},
    drain::Drain,
    places::{Place, Places},
    workers::Workers,
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

    /// Takes connections until the drain begins.
    pub async fn run(self, listener: TcpListener, places: Places, drain: Drain, workers: Arc<Workers>) {
        accept(listener, self, places, drain, workers).await;
    }
}

impl<H: Handler> Door for Plain<H> {
    async fn serve(&self, stream: TcpStream, ends: Ends, place: Place) {
        if place.belongs_to(ClientAddr(ends.peer.ip())) {
            self.0.serve(stream, Protocol::Http1, ends, &place).await;
        }
    }
}
