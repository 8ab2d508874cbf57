//! The connections of one upstream that wait for their next request. Each thread keeps its own, so that whoever asks and
//! the connection that answers are never on two.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use thread_local::ThreadLocal;
use tokio::time::{Instant, sleep};

use super::{body::RequestBody, connect::Connect};

/// An idle connection is given up before any upstream of ours would close it, so that no request meets a closed one.
const IDLE: Duration = Duration::from_secs(15);

/// Idle connections kept by one thread.
const MAX_IDLE: usize = 256;

/// Connections to one upstream.
pub(super) struct Pool {
    connect: Connect,
    resting: ThreadLocal<Arc<Resting>>,
}

/// The idle connections of one thread.
#[derive(Default)]
struct Resting(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// The one that rested longest first.
    idle: Vec<Idle>,
    /// Does a task look after those that rest for too long?
    cleared: bool,
}

struct Idle {
    sender: SendRequest<RequestBody>,
    since: Instant,
}

/// The connection that an answer comes over. Whoever has read the answer to its end puts it back; dropped before, it is
/// closed.
pub(super) struct Lease {
    sender: SendRequest<RequestBody>,
    resting: Arc<Resting>,
}

/// Why there is no answer.
pub(super) enum SendError {
    /// There is no connection.
    Connect(io::Error),
    /// The connection broke.
    Connection(hyper::Error),
}

impl Pool {
    pub(super) fn new(connect: Connect) -> Self {
        Self {
            connect,
            resting: ThreadLocal::new(),
        }
    }

    /// Sends a request over an idle connection or a new one.
    pub(super) async fn send(
        &self,
        mut request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Lease), SendError> {
        let resting = Arc::clone(self.resting.get_or_default());
        while let Some(mut sender) = resting.take() {
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((response, Lease { sender, resting })),
                // Upstream closed it just then, and nothing of the request was sent.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(SendError::Connection(error.into_error())),
                },
            }
        }
        // In a box, as it is large and rare.
        let mut sender = Box::pin(self.open()).await?;
        match sender.send_request(request).await {
            Ok(response) => Ok((response, Lease { sender, resting })),
            Err(error) => Err(SendError::Connection(error)),
        }
    }

    async fn open(&self) -> Result<SendRequest<RequestBody>, SendError> {
        let stream = self.connect.any().await.map_err(SendError::Connect)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(SendError::Connection)?;
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }
}

impl Lease {
    /// The answer is read to its end.
    pub(super) fn put_back(self) {
        let Self { sender, resting } = self;
        if sender.is_closed() {
            return;
        }
        let mut kept = resting.lock();
        if kept.idle.len() < MAX_IDLE {
            let since = Instant::now();
            kept.idle.push(Idle { sender, since });
        }
        if !kept.cleared {
            kept.cleared = true;
            tokio::spawn(clear(Arc::downgrade(&resting)));
        }
    }
}

impl Idle {
    fn is_fresh(&self) -> bool {
        !self.sender.is_closed() && self.since.elapsed() < IDLE
    }
}

impl Resting {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that rested shortest of those that are through with their last request.
    fn take(&self) -> Option<SendRequest<RequestBody>> {
        let mut kept = self.lock();
        let is_ready = |idle: &Idle| idle.sender.is_ready() && idle.is_fresh();
        let ready = kept.idle.iter().rposition(is_ready)?;
        Some(kept.idle.remove(ready).sender)
    }

    /// Is anything left, now that those that rested for too long are closed?
    fn clear(&self) -> bool {
        let mut kept = self.lock();
        kept.idle.retain(Idle::is_fresh);
        kept.cleared = !kept.idle.is_empty();
        kept.cleared
    }
}

/// Closes what rests for too long, until nothing does.
async fn clear(resting: Weak<Resting>) {
    loop {
        sleep(IDLE).await;
        if !resting.upgrade().is_some_and(|resting| resting.clear()) {
            return;
        }
    }
}
