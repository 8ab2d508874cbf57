//! What serves requests at this moment. Another configuration takes its place in one step.
//!
//! A connection takes its settings when it is accepted, and each of its requests goes to the router of that moment, so that
//! who lost access has lost it on open connections too.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};
use hyper::{Request, Response};
use tokio::net::TcpStream;

use crate::{
    addr::Ends,
    client_body::{ClientBody, ClientRequest},
    config::AtStart,
    conn::{Conn, ConnSettings, Handler},
    context::Peer,
    drain::Drain,
    joining::JoiningSettings,
    limits::Limits,
    listen::{Admin, Https, HttpsSettings, Plain, Redirect, Serve},
    places::{Place, PlacesSettings},
    reply::{Body, Failure},
    route::{Recorded, Router},
};

/// All that one configuration says of connections and requests.
pub(super) struct Serving {
    pub(super) https: Arc<HttpsSettings>,
    pub(super) conn: Arc<ConnSettings>,
    pub(super) router: Router,
    pub(super) redirect: Redirect,
    pub(super) admin: Admin,
    pub(super) limits: Arc<Limits>,
    pub(super) in_use: InUse,
}

/// Which configuration that is, and what of it is for others than requests.
pub(super) struct InUse {
    pub(super) hash: String,
    /// Unix time in seconds.
    pub(super) taken_up: i64,
    pub(super) at_start: AtStart,
    /// Keys that wait for a restart.
    pub(super) waiting: Vec<&'static str>,
    /// How many have keys of their own.
    pub(super) callers: usize,
    pub(super) places: PlacesSettings,
    pub(super) joining: JoiningSettings,
    /// The most time for open requests at a stop.
    pub(super) drain: Duration,
    pub(super) drain_delay: Duration,
    /// The most time for connections that stay when another process has taken over.
    pub(super) handover: Duration,
    /// Names whose certificates the gateway orders.
    pub(super) ordered: Vec<String>,
}

/// What serves now; clones are the same.
#[derive(Clone)]
pub(super) struct Current {
    now: Arc<ArcSwap<Serving>>,
    /// Those before, as long as a request is on its way by one of them.
    before: Arc<Mutex<Vec<Weak<Serving>>>>,
}

impl Current {
    pub(super) fn new(serving: Serving) -> Self {
        Self {
            now: Arc::new(ArcSwap::from_pointee(serving)),
            before: Arc::default(),
        }
    }

    /// A guard for a short look; it must not be held over an `await`.
    pub(super) fn load(&self) -> Guard<Arc<Serving>> {
        self.now.load()
    }

    /// What serves now, kept for as long as a request takes.
    pub(super) fn take(&self) -> Arc<Serving> {
        self.now.load_full()
    }

    /// This serves from now on; what did so before is given back.
    pub(super) fn replace(&self, serving: Serving) -> Arc<Serving> {
        let old = self.now.swap(Arc::new(serving));
        let mut before = self.before();
        before.retain(|older| older.strong_count() > 0);
        before.push(Arc::downgrade(&old));
        old
    }

    /// Requests that have no answer yet: each has what serves in its hands, and nobody else has for long.
    pub(super) fn requests(&self) -> usize {
        let now = self.now.load_full();
        let before: usize = self.before().iter().map(Weak::strong_count).sum();
        // Its own place, and the one that looks.
        before + Arc::strong_count(&now).saturating_sub(2)
    }

    fn before(&self) -> MutexGuard<'_, Vec<Weak<Serving>>> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone)]
pub(super) struct Front {
    listener: Https<ToRouter>,
    current: Current,
}

pub(super) struct Bare<H> {
    listener: Plain<H>,
    current: Current,
}

impl<H> Clone for Bare<H> {
    fn clone(&self) -> Self {
        Self {
            listener: self.listener.clone(),
            current: self.current.clone(),
        }
    }
}

impl Front {
    /// `open` makes what serves these connections.
    pub(super) fn new(
        current: &Current,
        drain: &Drain,
        open: impl FnOnce(HttpsSettings, Conn<ToRouter>) -> Https<ToRouter>,
    ) -> Self {
        let now = current.load();
        let handler = Arc::new(ToRouter(current.clone()));
        let conn = Conn::new((*now.conn).clone(), handler, drain);
        Self {
            listener: open((*now.https).clone(), conn),
            current: current.clone(),
        }
    }
}

impl<H: Handler> Bare<H> {
    /// Serves connections to this handler.
    pub(super) fn new(current: &Current, handler: H, drain: &Drain) -> Self {
        let settings = (*current.load().conn).clone();
        Self {
            listener: Plain::new(Conn::new(settings, Arc::new(handler), drain)),
            current: current.clone(),
        }
    }
}

impl<H: Handler> Bare<H> {
    /// The same for trusted proxies alone, which end TLS.
    pub(super) fn behind_balancers(self) -> Self {
        Self {
            listener: self.listener.behind_balancers(),
            current: self.current,
        }
    }
}

impl Serve for Front {
    async fn serve(&self, stream: TcpStream, ends: Ends, place: Place) {
        let listener = {
            let now = self.current.load();
            self.listener.under(Arc::clone(&now.https), Arc::clone(&now.conn))
        };
        listener.serve(stream, ends, place).await;
    }
}

impl<H: Handler> Serve for Bare<H> {
    async fn serve(&self, stream: TcpStream, ends: Ends, place: Place) {
        let conn = Arc::clone(&self.current.load().conn);
        self.listener.under(conn).serve(stream, ends, place).await;
    }
}

/// Requests of the front listener.
pub(super) struct ToRouter(pub(super) Current);

/// Requests over plain HTTP.
pub(super) struct ToRedirect(pub(super) Current);

/// Requests of the operator's.
pub(super) struct ToAdmin(pub(super) Current);

impl Handler for ToRouter {
    type Body = Recorded;

    async fn handle(&self, request: ClientRequest, peer: Peer) -> Response<Recorded> {
        let now = self.0.take();
        Handler::handle(&now.router, request, peer).await
    }

    fn refuse(&self, request: &Request<ClientBody>, peer: Peer, failure: Failure) -> Response<Recorded> {
        Handler::refuse(&self.0.load().router, request, peer, failure)
    }
}

impl Handler for ToRedirect {
    type Body = Body;

    async fn handle(&self, request: ClientRequest, peer: Peer) -> Response<Body> {
        let now = self.0.take();
        now.redirect.handle(request, peer).await
    }

    fn refuse(&self, request: &Request<ClientBody>, peer: Peer, failure: Failure) -> Response<Body> {
        self.0.load().redirect.refuse(request, peer, failure)
    }
}

impl Handler for ToAdmin {
    type Body = Body;

    async fn handle(&self, request: ClientRequest, peer: Peer) -> Response<Body> {
        let now = self.0.take();
        now.admin.handle(request, peer).await
    }

    fn refuse(&self, request: &Request<ClientBody>, peer: Peer, failure: Failure) -> Response<Body> {
        self.0.load().admin.refuse(request, peer, failure)
    }
}
