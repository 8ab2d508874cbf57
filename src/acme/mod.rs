//! Certificates by themselves: ordered from a CA by ACME, kept, and renewed while the gateway runs.
//!
//! | file | holds |
//! | --- | --- |
//! | `settings` | the settings, and what is wrong with them |
//! | `schedule` | which name is looked at when; who of several gateways orders |
//! | `attempt` | one attempt: a look, a trial, the order, and what is known after it |
//! | `due` | when a certificate is renewed; how long somebody who failed waits |
//! | `preflight`, `any_certificate` | whether a name leads here, asked without trust in whoever answers |
//! | `order` | one order, from its beginning to the certificate |
//! | `challenge`, `kind` | the answers to a CA's checks; which kind of them is tried first |
//! | `ca` | requests to a CA, and what its errors say |
//! | `storage`, `shared` | what is kept in the folder; what gateways share by Redis |
//! | `status` | how each name stands, for whoever asks |
//! | `certificate` | days and names of a certificate |
//!
//! Each name has a certificate of its own, so that one wrong record in DNS fails one name. Failing costs nothing: what is
//! served stays.
//!
//! Not here: serving certificates, and the handshake of tls-alpn-01 (`crate::tls`); the answer of http-01 (`crate::listen`).
//!
//! Sources: RFC 8555 (ACME), RFC 8737 (tls-alpn-01), RFC 8738 (addresses), RFC 9773 (when to renew).

mod any_certificate;
mod attempt;
mod ca;
mod certificate;
mod challenge;
mod due;
mod kind;
mod order;
mod preflight;
mod schedule;
mod settings;
mod shared;
mod status;
mod storage;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::{sync::Notify, time::sleep};
use tracing::warn;

pub use self::{
    any_certificate::AnyCertificate,
    challenge::{ALPN, Answers, PREFIX},
    settings::{AcmeProblem, AcmeSettings},
    status::Status,
};
use self::{schedule::Scheduler, shared::Shared, status::Statuses, storage::Storage};
use crate::{clock::Clock, drain::Drain, limits::RedisAddress, observe::Metrics, token::TokenKeys};

/// Certificates by themselves, running or not; clones are the same.
#[derive(Clone, Default)]
pub struct Acme(Arc<State>);

#[derive(Default)]
struct State {
    answers: Answers,
    names: ArcSwap<Vec<String>>,
    statuses: Statuses,
    asked: Notify,
}

/// What the scheduler works with.
pub struct Tools {
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    /// Gateways that share this one order in turn.
    pub redis: Option<(RedisAddress, Arc<TokenKeys>)>,
    /// Called when there is a new certificate in the folder.
    pub renewed: Box<dyn Fn() + Send + Sync>,
}

/// Until what panicked is begun again.
const AGAIN: Duration = Duration::from_secs(600);

impl Acme {
    /// None of the settings: nothing is ordered.
    pub fn new(settings: Option<&AcmeSettings>) -> Self {
        let Some(settings) = settings else {
            return Self::default();
        };
        Self(Arc::new(State {
            answers: Answers::in_storage(Storage::at(&settings.storage)),
            names: ArcSwap::from_pointee(settings.names.clone()),
            ..State::default()
        }))
    }

    pub fn answers(&self) -> Answers {
        self.0.answers.clone()
    }

    /// Orders and renews until the gateway stops. An order that is under way then is gone on with by the next one.
    pub fn start(&self, settings: AcmeSettings, tools: Tools, drain: &Drain) {
        let (state, stop) = (Arc::clone(&self.0), drain.clone());
        let tools = Arc::new(tools);
        let shared = tools.redis.as_ref();
        let shared = shared.map(|(address, keys)| Shared::new(address.clone(), Arc::clone(keys)));
        drain.spawn(async move {
            let mut going_on = Box::pin(async {
                loop {
                    let (settings, tools, state) = (settings.clone(), Arc::clone(&tools), Arc::clone(&state));
                    let scheduler = Scheduler::new(settings, tools, state, shared.clone());
                    // Nobody is served by it: a fault here must not end what is.
                    let task = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(scheduler.run()));
                    let ended = task.await;
                    warn!(error = ?ended.err(), "Looking after certificates broke off, and begins again");
                    sleep(AGAIN).await;
                }
            });
            tokio::select! {
                () = &mut going_on => {}
                // Before anything of it is dropped: a CA may be about to ask for what whoever comes next answers.
                () = stop.draining() => state.answers.stay(),
            }
            drop(going_on);
            if let Some(shared) = &shared {
                shared.unlock().await;
            }
        });
    }

    /// These names from now on.
    pub fn aim(&self, names: &[String]) {
        if **self.0.names.load() != *names {
            self.0.names.store(Arc::new(names.to_vec()));
        }
        self.0.asked.notify_one();
    }

    /// Wakes the schedule, which looks at every certificate again.
    pub fn look(&self) {
        self.0.asked.notify_one();
    }

    /// What each name's certificate waits for, by name.
    pub fn statuses(&self) -> Vec<(String, Status)> {
        self.0.statuses.all()
    }
}
