//! The idle connections of one upstream. Each thread keeps its own, so that a request and its connection run on one
//! thread. A connection of another thread is used only where no further one may be opened.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use http_body::Body as _;
use hyper::{
    Method, Request, Response,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use thread_local::ThreadLocal;
use tokio::{
    task::AbortHandle,
    time::{Instant, sleep, sleep_until},
};

use super::{
    address::{Address, AskedAt},
    addresses::Target,
    body::{Progress, RequestBody},
    connect::{Connect, Made},
    connection_limit::{ConnectionLimit, Full, Permit, Slot},
    shared_stream::{Glance, SharedStream},
    total::CloserCall,
};

/// How long an idle connection is kept. Some upstreams close theirs earlier (Node after 5 s), which is seen before a
/// request is sent on one.
const IDLE: Duration = Duration::from_secs(15);

/// The largest number of idle connections that one thread keeps.
const MAX_IDLE: usize = 256;

/// How many times, and with which pause, a request that has a permit looks for a connection that becomes idle or ends.
/// After that it may open one more than allowed.
const LOOKS: usize = 1000;
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

/// The largest number of header fields in an answer. No program behind the gateway sends as many.
const MAX_FIELDS: usize = 256;

/// How long a request may go on after the end of its answer. The client hears first of the answer, and then that no
/// more of the request is wanted.
const AFTER_THE_ANSWER: Duration = Duration::from_secs(1);

/// The connections to one upstream.
pub(super) struct Pool {
    connect: Connect,
    limit: ConnectionLimit,
    resting: Arc<ThreadLocal<Arc<Resting>>>,
}

/// The idle connections of one thread.
#[derive(Default)]
struct Resting(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// The idle connections, the one that has been idle longest first.
    idle: Vec<Idle>,
    /// Does a task (`clear`) run that closes those that have been idle for too long?
    cleared: bool,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

/// A connection: its sender, a view of its socket, its address, and the task that drives it.
struct Connection {
    sender: SendRequest<RequestBody>,
    glance: Glance,
    address: Arc<Address>,
    driver: AbortHandle,
}

/// The address to which a request was sent last, and when. It is for whoever gives up waiting for the answer.
#[derive(Default)]
pub(super) struct LastSent(Mutex<Option<(Arc<Address>, AskedAt)>>);

/// The connection over which an answer comes. `put_back` keeps it for further requests, once the answer has been read
/// to its end. If this is dropped before that, the connection is closed.
pub(super) struct Lease {
    connection: Connection,
    resting: Arc<Resting>,
}

/// How long somebody waits for a connection.
#[derive(Clone, Copy)]
pub(super) struct Wait {
    pub(super) within: Duration,
    /// If the upstream was away, they come back one after the other.
    pub(super) in_turn: bool,
}

/// Why there is no answer.
pub(super) enum SendError {
    /// As many connections are in use as allowed, and none became free in time.
    Full,
    /// No connection could be made.
    Connect(io::Error),
    /// The connection broke, or the request's body did.
    Connection(hyper::Error),
}

impl Pool {
    pub(super) fn new(connect: Connect, limit: ConnectionLimit) -> Self {
        let resting = Arc::new(ThreadLocal::<Arc<Resting>>::new());
        let known = Arc::downgrade(&resting);
        limit.closing_by(move |call| {
            let resting = known.upgrade()?;
            Some(call == CloserCall::CloseOne && close_one(&resting))
        });
        Self {
            connect,
            limit,
            resting,
        }
    }

    /// Requests that wait for a connection.
    pub(super) fn waiting(&self) -> i64 {
        self.limit.waiting()
    }

    /// From now on to these addresses, with so many connections. Connections that are in use stay; idle ones to other
    /// addresses end.
    pub(super) fn aim_at(&self, targets: &[Target], most: usize, patience: Duration) {
        self.limit.hold_to(most, patience);
        if self.connect.addresses.aim_at(targets) {
            for resting in self.resting.iter() {
                resting.lock().idle.retain(Idle::is_fresh);
            }
        }
    }

    /// Sends a request over an idle connection or a new one. If an idle connection ends before the answer begins, the
    /// request is sent again: over any connection if nothing of it was sent, and once over a new one if it is safe to
    /// repeat (RFC 9110 section 9.2.2, RFC 9112 section 9.3.1).
    pub(super) async fn send(
        &self,
        mut request: Request<RequestBody>,
        wait: Wait,
        asked: &LastSent,
    ) -> Result<(Response<Incoming>, Lease), SendError> {
        let permit = self.limit.take().await.map_err(|Full| SendError::Full)?;
        let own = Arc::clone(self.resting.get_or_default());
        let slot = loop {
            let (mut connection, resting) = match self.reuse(&own).await {
                Ok(found) => found,
                Err(slot) => break slot,
            };
            let again = if_harmless(&request);
            asked.goes_to(&connection.address);
            connection.glance.begins();
            match connection.sender.try_send_request(request).await {
                Ok(response) => return Ok((response, Lease::of(connection, resting, permit))),
                // With a message, nothing of the request was sent: the upstream closed the connection at that moment.
                Err(mut error) => match (error.take_message(), again) {
                    (Some(unsent), _) => request = unsent,
                    (None, Some(again)) if !connection.glance.has_read() => {
                        request = again;
                        break self.limit.slot_in_advance();
                    }
                    (None, _) => return Err(SendError::Connection(error.into_error())),
                },
            }
        };
        // In a box, as it is large and rare.
        let mut connection = Box::pin(self.open(slot, wait)).await?;
        asked.goes_to(&connection.address);
        match connection.sender.send_request(request).await {
            Ok(response) => Ok((response, Lease::of(connection, own, permit))),
            Err(error) => Err(SendError::Connection(error)),
        }
    }

    /// An idle connection, and the list to which it returns; or the right to open a new one. Where no further one may
    /// be opened, the idle connections of all threads are looked through: a request that has a permit finds one that
    /// becomes idle or ends.
    async fn reuse(&self, own: &Arc<Resting>) -> Result<(Connection, Arc<Resting>), Slot> {
        let addresses = &self.connect.addresses;
        let is_wanted = |address: &Arc<Address>| !address.is_doubtful() || !addresses.prefers_others(address);
        for _ in 0..LOOKS {
            if let Some(connection) = own.take(is_wanted) {
                return Ok((connection, Arc::clone(own)));
            }
            if let Some(slot) = self.limit.slot() {
                return Err(slot);
            }
            for other in self.resting.iter() {
                if let Some(connection) = other.take(is_wanted) {
                    return Ok((connection, Arc::clone(other)));
                }
            }
            // An idle connection to an address that is not wanted makes room, or else one of another upstream.
            if !close_one(&self.resting) {
                self.limit.make_room();
            }
            sleep(BETWEEN_LOOKS).await;
        }
        Err(self.limit.slot_in_advance())
    }

    async fn open(&self, slot: Slot, wait: Wait) -> Result<Connection, SendError> {
        let waiting = self.limit.waits();
        let until = Instant::now() + wait.within;
        let made = self.connect.any(wait.within).await.map_err(SendError::Connect)?;
        let Made {
            address,
            socket,
            was_away,
        } = made;
        if wait.in_turn
            && let Some(was_away) = &was_away
        {
            sleep_until(until.min(Instant::now() + was_away.turn())).await;
        }
        drop((waiting, was_away));
        let open = self.limit.opened(slot, Arc::clone(&address));
        let (stream, glance) = SharedStream::new(socket, open);
        let (sender, connection) = http1::Builder::new()
            .allow_spaces_after_header_name_in_responses(true)
            .max_headers(MAX_FIELDS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(SendError::Connection)?;
        let driver = tokio::spawn(connection.with_upgrades()).abort_handle();
        Ok(Connection {
            sender,
            glance,
            address,
            driver,
        })
    }
}

impl LastSent {
    fn goes_to(&self, address: &Arc<Address>) {
        *self.lock() = Some((Arc::clone(address), address.asked()));
    }

    /// Records that nobody waits for the answer any longer.
    pub(super) fn got_no_answer(&self) {
        if let Some((address, asked)) = self.lock().take() {
            address.did_not_answer(asked);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Arc<Address>, AskedAt)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes one idle connection of any thread. Returns false if there is none.
fn close_one(resting: &ThreadLocal<Arc<Resting>>) -> bool {
    resting.iter().any(|one| one.take(|_| true).is_some())
}

/// A copy of the request, if the server may see it twice: a GET, HEAD or OPTIONS without a body.
fn if_harmless(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let safe = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    if !safe || !request.body().is_end_stream() {
        return None;
    }
    let mut again = Request::new(RequestBody::Whole(None));
    again.method_mut().clone_from(request.method());
    again.uri_mut().clone_from(request.uri());
    *again.version_mut() = request.version();
    again.headers_mut().clone_from(request.headers());
    again.extensions_mut().clone_from(request.extensions());
    Some(again)
}

impl Lease {
    /// Takes the connection of an answer that has begun. From here on the permit belongs to the connection, so that a
    /// tunnel keeps its permit to its end.
    fn of(connection: Connection, resting: Arc<Resting>, permit: Permit) -> Self {
        connection.address.answered();
        connection.glance.is_used(permit);
        Self { connection, resting }
    }

    /// Keeps the connection for further requests, after the answer has been read to its end. If the request's body is
    /// not over yet, the connection is not kept, and after `AFTER_THE_ANSWER` it is broken off.
    pub(super) fn put_back(self, request: &Progress) {
        let Self { connection, resting } = self;
        if connection.sender.is_closed() {
            return;
        }
        if !request.is_over() {
            let request = request.clone();
            tokio::spawn(async move {
                sleep(AFTER_THE_ANSWER).await;
                if !request.is_over() {
                    connection.driver.abort();
                }
            });
            return;
        }
        let mut kept = resting.lock();
        if kept.idle.len() < MAX_IDLE {
            let since = Instant::now();
            // The permit becomes free when the connection can be found, so that whoever gets the permit finds it.
            let glance = connection.glance.clone();
            kept.idle.push(Idle { connection, since });
            glance.rests();
        }
        if !kept.cleared {
            kept.cleared = true;
            tokio::spawn(clear(Arc::downgrade(&resting)));
        }
    }
}

impl Idle {
    fn is_fresh(&self) -> bool {
        !self.connection.sender.is_closed()
            && self.since.elapsed() < IDLE
            && !self.connection.address.is_retired()
    }
}

impl Resting {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the connection that became idle last, of those that are ready for a request, that the upstream has not
    /// closed, and whose address is wanted.
    fn take(&self, is_wanted: impl Fn(&Arc<Address>) -> bool) -> Option<Connection> {
        let mut kept = self.lock();
        loop {
            let is_ready = |idle: &Idle| {
                idle.connection.sender.is_ready() && idle.is_fresh() && is_wanted(&idle.connection.address)
            };
            let ready = kept.idle.iter().rposition(is_ready)?;
            let connection = kept.idle.remove(ready).connection;
            if connection.glance.is_quiet() {
                return Some(connection);
            }
        }
    }

    /// Closes the connections that have been idle for too long. Returns whether any is left.
    fn clear(&self) -> bool {
        let mut kept = self.lock();
        kept.idle.retain(Idle::is_fresh);
        kept.cleared = !kept.idle.is_empty();
        kept.cleared
    }
}

/// Closes connections that have been idle for `IDLE`, until no idle connection is left.
async fn clear(resting: Weak<Resting>) {
    loop {
        sleep(IDLE).await;
        if !resting.upgrade().is_some_and(|resting| resting.clear()) {
            return;
        }
    }
}
