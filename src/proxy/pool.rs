//! The idle connections of one upstream. Each thread keeps its own, so that a request and its connection run on one
//! thread. A connection of another thread is used only where no further one may be opened.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
    time::Duration,
};

use http_body::Frame;
use hyper::{HeaderMap, Method, StatusCode, body::Bytes, http::response};
use thread_local::ThreadLocal;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{
    address::{Address, AskedAt},
    addresses::Target,
    body::RequestBody,
    connect::{Connect, Made},
    connection_limit::{ConnectionLimit, Full, Open, Permit, Slot},
    http1::{Http1, Http1Error, RequestHead},
    stream::UpstreamStream,
    total::CloserCall,
};

/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(15);

/// The time between two looks at idle connections. Some upstreams close theirs early (Node after 5 s), which is also seen
/// before a request is sent on one.
const BETWEEN_CLEARINGS: Duration = Duration::from_secs(5);

/// The largest number of idle connections that one thread keeps.
const MAX_IDLE: usize = 256;

/// How many times, and with which pause, a request that has a permit looks for a connection that becomes idle or ends.
/// After that it may open one more than allowed.
const LOOKS: usize = 1000;
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

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
    connection: Box<Connection>,
    since: Instant,
}

/// A connection, and what counts it.
struct Connection {
    http1: Http1,
    address: Arc<Address>,
    open: Open,
    /// None: the connection is not in use.
    permit: Option<Permit>,
}

/// The address to which a request was sent last, and when. It is for whoever gives up waiting for the answer.
#[derive(Default)]
pub(super) struct LastSent(Mutex<Option<(Arc<Address>, AskedAt)>>);

/// The connection over which an answer comes. `put_back` keeps it for further requests, once the answer has been read
/// to its end. If this is dropped before that, the connection is closed.
pub(super) struct Lease {
    connection: Box<Connection>,
    resting: Arc<Resting>,
}

/// How long somebody waits for a connection.
#[derive(Clone, Copy)]
pub(super) struct Wait {
    pub(super) within: Duration,
    /// If the upstream was away, they come back one after the other, so long after it.
    pub(super) in_turn: Option<Duration>,
}

/// Why there is no answer.
pub(super) enum SendError {
    /// As many connections are in use as allowed, and none became free in time.
    Full,
    /// No connection could be made.
    Connect(io::Error),
    /// The connection broke, or the request's body did.
    Connection(Http1Error),
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

    /// Sends a request over an idle connection or a new one; `interim` gets the heads of answers (1xx) before the answer.
    /// If an idle connection ends before the answer begins, the request is sent once more over a new one, if it is safe to
    /// repeat (RFC 9110 section 9.2.2, RFC 9112 section 9.3.1).
    pub(super) async fn send(
        &self,
        head: &RequestHead,
        mut body: RequestBody,
        wait: Wait,
        asked: &LastSent,
        mut interim: impl FnMut(StatusCode, &HeaderMap),
    ) -> Result<(response::Parts, Lease), SendError> {
        let permit = self.limit.take().await.map_err(|Full| SendError::Full)?;
        let own = Arc::clone(self.resting.get_or_default());
        let slot = match self.reuse(&own).await {
            Err(slot) => slot,
            Ok((mut connection, resting)) => {
                let is_harmless = is_harmless(&head.method, &body);
                asked.goes_to(&connection.address);
                match connection.http1.send(head, body, &mut interim).await {
                    Ok(answer) => return Ok((answer, Lease::of(connection, resting, permit))),
                    Err(_) if is_harmless && !connection.http1.has_read() => {}
                    Err(error) => return Err(SendError::Connection(error)),
                }
                body = RequestBody::Whole(None);
                self.limit.slot_in_advance()
            }
        };
        // In a box, as it is large and rare.
        let mut connection = Box::pin(self.open(slot, wait)).await?;
        asked.goes_to(&connection.address);
        match connection.http1.send(head, body, &mut interim).await {
            Ok(answer) => Ok((answer, Lease::of(connection, own, permit))),
            Err(error) => Err(SendError::Connection(error)),
        }
    }

    /// An idle connection, and the list to which it returns; or the right to open a new one. Where no further one may
    /// be opened, the idle connections of all threads are looked through: a request that has a permit finds one that
    /// becomes idle or ends.
    async fn reuse(&self, own: &Arc<Resting>) -> Result<(Box<Connection>, Arc<Resting>), Slot> {
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

    async fn open(&self, slot: Slot, wait: Wait) -> Result<Box<Connection>, SendError> {
        let waiting = self.limit.waits();
        let until = Instant::now() + wait.within;
        let made = self.connect.any(wait.within).await.map_err(SendError::Connect)?;
        let Made {
            address,
            socket,
            was_away,
        } = made;
        if let Some(settles) = wait.in_turn {
            let turn = self.connect.turns.turn(was_away.is_some(), settles);
            // No time at all would still be a turn of the runtime's clock.
            if !turn.is_zero() {
                sleep_until(until.min(Instant::now() + turn)).await;
            }
        }
        drop((waiting, was_away));
        let open = self.limit.opened(slot, Arc::clone(&address));
        Ok(Box::new(Connection {
            http1: Http1::new(socket),
            address,
            open,
            permit: None,
        }))
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

/// May the server see the request twice? It may see a GET, HEAD or OPTIONS without a body.
fn is_harmless(method: &Method, body: &RequestBody) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS].contains(method) && body.length() == Some(0)
}

impl Lease {
    /// Takes the connection of an answer that has begun. From here on the permit belongs to the connection, so that a
    /// tunnel keeps its permit to its end.
    fn of(mut connection: Box<Connection>, resting: Arc<Resting>, permit: Permit) -> Self {
        connection.address.answered();
        connection.permit = Some(permit);
        Self { connection, resting }
    }

    /// Reads the next part of the answer's body.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>> {
        self.connection.http1.poll_frame(cx)
    }

    /// Has the answer's body been read to its end?
    pub(super) fn is_over(&self) -> bool {
        self.connection.http1.is_over()
    }

    /// The number of bytes of the body that are still to come, if the head has told it.
    pub(super) fn left(&self) -> Option<u64> {
        self.connection.http1.left()
    }

    /// The connection as a stream, after an answer that has switched to another protocol. The permit goes with it.
    pub(super) fn switched(self) -> Option<UpstreamStream> {
        let Connection {
            http1, open, permit, ..
        } = *self.connection;
        let (socket, ahead) = http1.switched();
        Some(UpstreamStream::new(socket, ahead, open, permit?))
    }

    /// Keeps the connection for further requests, after the answer has been read to its end. If the request is not over
    /// yet, the connection is not kept, and after `AFTER_THE_ANSWER` it is broken off.
    pub(super) fn put_back(self) {
        let Self {
            mut connection,
            resting,
        } = self;
        if !connection.http1.rests() {
            if let Some(rest) = connection.http1.take_rest() {
                tokio::spawn(async move {
                    timeout(AFTER_THE_ANSWER, rest).await.ok();
                    drop(connection);
                });
            }
            return;
        }
        let permit = connection.permit.take();
        let mut kept = resting.lock();
        if kept.idle.len() < MAX_IDLE {
            let since = Instant::now();
            kept.idle.push(Idle { connection, since });
        }
        // The permit becomes free when the connection can be found, so that whoever gets the permit finds it.
        drop(permit);
        if !kept.cleared {
            kept.cleared = true;
            tokio::spawn(clear(Arc::downgrade(&resting)));
        }
    }
}

impl Idle {
    fn is_fresh(&self) -> bool {
        self.since.elapsed() < IDLE && !self.connection.address.is_retired()
    }
}

impl Resting {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the connection that became idle last, of those that the upstream has not closed, and whose address is wanted.
    fn take(&self, is_wanted: impl Fn(&Arc<Address>) -> bool) -> Option<Box<Connection>> {
        let mut kept = self.lock();
        loop {
            let is_ready = |idle: &Idle| idle.is_fresh() && is_wanted(&idle.connection.address);
            let ready = kept.idle.iter().rposition(is_ready)?;
            let connection = kept.idle.remove(ready).connection;
            if connection.http1.is_quiet() {
                return Some(connection);
            }
        }
    }

    /// Closes the connections that have been idle for too long, or that the upstream has closed. Returns whether any is left.
    fn clear(&self) -> bool {
        let mut kept = self.lock();
        kept.idle
            .retain(|idle| idle.is_fresh() && idle.connection.http1.is_quiet());
        kept.cleared = !kept.idle.is_empty();
        kept.cleared
    }
}

/// Closes connections that are of no more use, until no idle connection is left.
async fn clear(resting: Weak<Resting>) {
    loop {
        sleep(BETWEEN_CLEARINGS).await;
        if !resting.upgrade().is_some_and(|resting| resting.clear()) {
            return;
        }
    }
}
