//! The limits of all replicas, counted in one Redis; and what happens while it does not answer.
//!
//! A request asks over a connection that is there, or not at all: connecting, logging in and looking whether Redis is
//! back are one task's in the background. The first decision that gets no answer in time takes the connection away, so
//! of all requests in an outage only those already asking have waited, none longer than `limits.redis_timeout`. Being
//! stopped, paused, full, read-only or of another opinion about our password is all the same: not answering.
//!
//! A decision whose answer comes too late may have been counted there and is made again here: strict rather than lax.
//!
//! Not here: the arithmetic (`gcra.lua`), which buckets a decision has (`super`).

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use redis::{AsyncConnectionConfig, RedisError, Script, aio::MultiplexedConnection};
use tokio::{
    runtime::Handle,
    sync::{oneshot, watch},
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::{RedisSettings, address::RedisAddress, bucket::Bucket, over::OverLimit, rate::RateSettings};
use crate::{observe::Metrics, workers::Workers};

/// The time to connect, with all questions to Sentinels. A start waits for the first connection as long.
const CONNECT: Duration = Duration::from_secs(2);

/// The wait between two attempts to reconnect. It also bounds how often the log tells of them.
const RETRY: Duration = Duration::from_millis(500);

/// Between two looks at a connection that may be idle: shorter than what balancers and Redis' `timeout` allow.
const LOOK: Duration = Duration::from_secs(5);

/// The largest number of decisions that are on their way at once. Further ones wait.
const IN_FLIGHT: usize = 1024;

/// The store in Redis. When it is dropped its connection is no longer maintained.
pub(super) struct Redis {
    shared: Arc<Shared>,
    _keeper: AbortOnDropHandle<()>,
    /// One thread that does nothing but talk to Redis. On the others an answer could lie in its socket until a few hundred
    /// handshakes are done, and Redis would be blamed for it.
    _thread: Option<Workers>,
}

struct Shared {
    address: RedisAddress,
    timeout: Duration,
    script: Script,
    give_back: Script,
    /// The connection; none while Redis does not answer.
    link: watch::Sender<Option<Link>>,
    metrics: Arc<Metrics>,
}

/// A connection that has answered. Two connections are told apart by their pointers.
type Link = Arc<MultiplexedConnection>;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    #[error(transparent)]
    Error(#[from] RedisError),
    #[error("an answer that makes no sense")]
    Nonsense,
}

impl Redis {
    /// Connects, or goes on trying in the background if that does not succeed at once.
    pub(super) async fn start(settings: &RedisSettings, metrics: &Arc<Metrics>) -> Self {
        let shared = Arc::new(Shared {
            address: settings.address.clone(),
            timeout: settings.timeout,
            script: Script::new(include_str!("gcra.lua")),
            give_back: Script::new(include_str!("give_back.lua")),
            link: watch::Sender::new(None),
            metrics: Arc::clone(metrics),
        });
        let thread = Workers::start("limits", NonZeroUsize::MIN).ok();
        // Among all others if the system has no thread left.
        let runtime = thread.as_ref().and_then(Workers::first).cloned();
        let (tried, first_try) = oneshot::channel();
        let keep = keep(Arc::clone(&shared), tried);
        let keeper = runtime.unwrap_or_else(Handle::current).spawn(keep);
        first_try.await.ok();
        Self {
            shared,
            _keeper: AbortOnDropHandle::new(keeper),
            _thread: thread,
        }
    }

    /// Is this the link that these settings ask for?
    pub(super) fn is_as(&self, settings: &RedisSettings) -> bool {
        self.shared.address == settings.address && self.shared.timeout == settings.timeout
    }

    /// Takes one from each of the buckets, or from none if one is empty. `None`: Redis does not answer.
    pub(super) async fn take(&self, buckets: &[Bucket<'_>]) -> Option<Result<(), OverLimit>> {
        let link = self.shared.link.borrow().clone();
        if let Some(link) = link {
            match self.shared.ask(&link, buckets).await {
                Ok(decision) => return Some(decision),
                Err(reason) => self.shared.lose(&link, &reason),
            }
        }
        self.shared.metrics.limited_locally();
        None
    }

    /// Puts one back into a bucket, behind everybody's back: nobody waits for it, and where Redis does not answer it is
    /// not done.
    pub(super) fn give_back(&self, bucket: &Bucket<'_>) {
        let Some(link) = self.shared.link.borrow().clone() else {
            return;
        };
        let (key, (interval, window)) = (bucket.key(), arguments(bucket.limit.rate));
        let (mut asked, shared) = ((*link).clone(), Arc::clone(&self.shared));
        tokio::spawn(async move {
            let mut call = shared.give_back.key(key);
            call.arg(interval).arg(window);
            let given: Result<u64, _> = shared.in_time(call.invoke_async(&mut asked)).await;
            if let Err(reason) = given {
                shared.lose(&link, &reason);
            }
        });
    }
}

/// A rate as arguments of the scripts: the microseconds between two requests, and those of the window.
fn arguments(RateSettings { count, window }: RateSettings) -> (u128, u128) {
    let window = window.as_micros();
    ((window / u128::from(count.get())).max(1), window)
}

impl Shared {
    /// Makes one decision over this connection, within the deadline.
    async fn ask(
        &self,
        link: &MultiplexedConnection,
        buckets: &[Bucket<'_>],
    ) -> Result<Result<(), OverLimit>, Unanswered> {
        let mut call = self.script.prepare_invoke();
        for bucket in buckets {
            let (interval, window) = arguments(bucket.limit.rate);
            call.key(bucket.key()).arg(interval).arg(window);
        }
        let mut link = link.clone();
        let (refused_by, wait): (usize, u64) = self.in_time(call.invoke_async(&mut link)).await?;
        let Some(at) = refused_by.checked_sub(1) else {
            return Ok(Ok(()));
        };
        let limit = buckets.get(at).ok_or(Unanswered::Nonsense)?.limit;
        Ok(Err(OverLimit {
            limit: limit.name,
            rate: limit.rate,
            wait: Duration::from_micros(wait),
        }))
    }

    async fn in_time<T>(&self, answer: impl Future<Output = Result<T, RedisError>>) -> Result<T, Unanswered> {
        match timeout(self.timeout, answer).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Unanswered::Late(self.timeout)),
        }
    }

    /// Connects, and tries whether a decision succeeds in time.
    async fn connect(&self) -> Result<Link, Unanswered> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(IN_FLIGHT);
        let connected = async {
            let mut link = self.address.connect(&config).await?;
            self.script.load_async(&mut link).await?;
            self.give_back.load_async(&mut link).await?;
            Ok::<_, RedisError>(link)
        };
        let link = timeout(CONNECT, connected)
            .await
            .map_err(|_| Unanswered::Late(CONNECT))??;
        self.probe(&link).await?;
        Ok(Arc::new(link))
    }

    /// A decision that counts for nobody, and writes: a replica or a full Redis would take no other either.
    async fn probe(&self, link: &MultiplexedConnection) -> Result<(), Unanswered> {
        let mut call = self.script.key("pnm-gw:probe");
        call.arg(1).arg(1_000_000);
        let mut link = link.clone();
        let _: (usize, u64) = self.in_time(call.invoke_async(&mut link)).await?;
        Ok(())
    }

    fn gain(&self, link: Link) {
        self.link.send_replace(Some(link));
        self.metrics.limits_shared(true);
    }

    /// Takes a connection out of use. The first caller for a connection logs the reason.
    fn lose(&self, link: &Link, reason: &Unanswered) {
        let was_in_use = self
            .link
            .send_if_modified(|current| current.take_if(|current| Arc::ptr_eq(current, link)).is_some());
        if was_in_use {
            self.metrics.limits_shared(false);
            self.tell_degraded(reason);
        }
    }

    fn tell_degraded(&self, reason: &Unanswered) {
        warn!(redis = %self.address, %reason, "Limits are not shared: each gateway counts for itself until Redis answers");
    }
}

/// Maintains the connection until the limits are dropped.
async fn keep(shared: Arc<Shared>, tried: oneshot::Sender<()>) {
    match shared.connect().await {
        Ok(link) => {
            info!(redis = %shared.address, "Limits are shared");
            shared.gain(link);
        }
        Err(reason) => shared.tell_degraded(&reason),
    }
    tried.send(()).ok();
    let mut seen = shared.link.subscribe();
    loop {
        let link = seen.borrow_and_update().clone();
        if let Some(link) = link {
            let lost = timeout(LOOK, seen.wait_for(Option::is_none)).await.is_ok();
            if !lost && let Err(reason) = shared.probe(&link).await {
                shared.lose(&link, &reason);
            }
        } else {
            sleep(RETRY).await;
            if let Ok(link) = shared.connect().await {
                info!(redis = %shared.address, "Limits are shared again");
                shared.gain(link);
            }
        }
    }
}
