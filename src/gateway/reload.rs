//! Another configuration takes the place of the one in use, while the gateway runs.
//!
//! First all of it is read, planned and checked, as for a start, away from the threads that serve. On any problem nothing
//! changes. Then what serves is replaced in one step. Connections stay, and so does all that is counted or remembered
//! (`super::build::State`).

use std::sync::Arc;

use tokio::task::spawn_blocking;
use tracing::{error, info, level_filters::LevelFilter, warn};

use super::{handle::Handle, serving::Serving};
use crate::{
    config::{Config, Keys, NoPlan, Plan, Problems},
    tls::Coming,
};

/// A configuration was taken up.
#[derive(Clone, Debug)]
pub struct TakenUp {
    /// What tells it from others.
    pub hash: String,
    pub level: LevelFilter,
    /// Keys that wait for a restart.
    pub waiting: Vec<&'static str>,
    /// What is allowed and still unwise.
    pub warnings: Vec<String>,
    /// What an operator may not expect.
    notes: Vec<&'static str>,
}

/// A configuration was refused, and nothing has changed.
#[derive(Clone, Debug)]
pub struct Refused {
    /// All that is wrong, as `check` words it.
    pub problems: Vec<String>,
    /// What is unwise besides.
    pub warnings: Vec<String>,
}

/// A plan that can be carried out.
struct Planned {
    plan: Plan,
    coming: Coming,
    taken: TakenUp,
}

impl From<Problems> for Refused {
    fn from(Problems(problems): Problems) -> Self {
        Self::of(&problems, Vec::new())
    }
}

impl From<NoPlan> for Refused {
    fn from(NoPlan { problems, warnings }: NoPlan) -> Self {
        Self::of(&problems, warnings)
    }
}

impl Refused {
    fn of(problems: &[impl ToString], warnings: Vec<String>) -> Self {
        Self {
            problems: problems.iter().map(ToString::to_string).collect(),
            warnings,
        }
    }
}

impl Handle {
    /// Takes up what `read` gives, in turn with whoever does so besides. Tells the log what came of it.
    pub async fn take_up(
        &self,
        read: impl FnOnce() -> Result<Config, Problems> + Send + 'static,
    ) -> Result<TakenUp, Refused> {
        let _turn = self.seen().turn.lock().await;
        let served = Arc::clone(&self.seen().current.load().router.webapp);
        let outcome = self.plan_and_swap(read).await;
        // Certificates and the client's files have rules of their own: what is whole of them is taken up, whatever became of
        // the configuration. A client that was read just now has all there is.
        let state = &self.seen().state;
        state.tls.ask_for_new();
        let serving = self.seen().current.take();
        if Arc::ptr_eq(&served, &serving.router.webapp) {
            served.ask_for_new();
        }
        self.seen().state.metrics.config().reloaded(outcome.is_ok());
        match &outcome {
            Ok(taken) => {
                tell(&taken.warnings);
                for note in &taken.notes {
                    info!("{note}");
                }
                for key in &taken.waiting {
                    warn!(key, "A changed key waits for a restart");
                }
                info!(hash = taken.hash, "The configuration is taken up");
            }
            Err(refused) => {
                tell(&refused.warnings);
                for problem in &refused.problems {
                    error!("{problem}");
                }
                error!("The configuration is refused, and nothing has changed");
            }
        }
        outcome
    }

    async fn plan_and_swap(
        &self,
        read: impl FnOnce() -> Result<Config, Problems> + Send + 'static,
    ) -> Result<TakenUp, Refused> {
        let seen = self.seen();
        let before = seen.current.take();
        let Planned { plan, coming, taken } = self.planned(read, &before).await?;
        let mut serving = seen
            .state
            .serving(plan, Some(&before))
            .await
            .map_err(|error| Refused::of(&[format!("plugnmeet-secret: {error}")], Vec::new()))?;
        drop(before);
        serving.in_use.waiting.clone_from(&taken.waiting);
        seen.state.tls.take_up(coming);
        let before = seen.current.replace(serving);
        self.follow(&before);
        Ok(taken)
    }

    /// Reads and plans, where that may block.
    async fn planned(
        &self,
        read: impl FnOnce() -> Result<Config, Problems> + Send + 'static,
        before: &Serving,
    ) -> Result<Planned, Refused> {
        let seen = self.seen();
        let (started, port) = (before.in_use.at_start.clone(), seen.https_port);
        let served = Arc::clone(&before.router.webapp);
        let (clock, tls) = (seen.state.clock.clone(), seen.state.tls.clone());
        let planning = move || {
            let mut config = read()?;
            let waiting = config.keep(&started);
            let mut plan = Plan::again(&config, port, &clock, &served)?;
            let coming = tls
                .coming(&plan.tls, clock.unix())
                .map_err(|problems| Refused::of(&problems, plan.warnings.clone()))?;
            let keys = plan.keys.open();
            let keys =
                keys.map_err(|error| Refused::of(&[format!("plugnmeet-secret: {error}")], Vec::new()))?;
            plan.keys = Keys::There(keys);
            if !Arc::ptr_eq(&plan.webapp, &served) {
                plan.webapp.compress();
            }
            let taken = TakenUp {
                hash: plan.hash.clone(),
                level: config.log.level,
                waiting,
                warnings: std::mem::take(&mut plan.warnings),
                notes: std::mem::take(&mut plan.notes),
            };
            Ok(Planned { plan, coming, taken })
        };
        spawn_blocking(planning)
            .await
            .unwrap_or_else(|error| Err(Refused::of(&[format!("planning broke off: {error}")], Vec::new())))
    }

    /// What survives goes by what serves now; nothing of it can fail.
    fn follow(&self, before: &Serving) {
        let state = &self.seen().state;
        let now = self.seen().current.take();
        now.limits.take_over();
        for upstream in now.router.upstreams.each() {
            upstream.aim();
        }
        state.acme.aim(&now.in_use.ordered);
        state.places.hold_to(now.in_use.places.clone());
        if now.in_use.joining != before.in_use.joining {
            state.joining.set(now.in_use.joining);
        }
        state.memory.share_among(now.in_use.callers);
        if !Arc::ptr_eq(&now.router.webapp, &before.router.webapp) {
            before.router.webapp.replaced();
            Arc::clone(&now.router.webapp).watch(&state.drain);
        }
        state
            .metrics
            .config()
            .in_use(&now.in_use.hash, now.in_use.taken_up);
    }
}

fn tell(warnings: &[String]) {
    for warning in warnings {
        warn!("{warning}");
    }
}
