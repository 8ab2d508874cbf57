//! `serve`: starts the gateway, logs what runs, reads the configuration again on SIGHUP, and stops in order on a
//! signal.

use std::{env, io, mem, process::ExitCode, sync::Arc};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

use super::{
    check, compress,
    health::Watch,
    operate::{self, Control},
    output::remark,
    source::Source,
    succeed::{self, Order, Upgrades},
};
use crate::{
    clock::Clock,
    config::{Config, NoPlan, Plan, Problems},
    control::Answer,
    gateway::{self, Commands, Given, Inherited, Listeners, Running},
    issue::Mode,
    notify::Notify,
    observe::{Log, Records},
};

/// Runs the gateway until a signal ends it or something in it fails; the exit status is 0 after an orderly stop. `ask`
/// is the beginning of a command line for this gateway.
pub(super) fn run(config: &Config, source: Source, ask: &str) -> ExitCode {
    // The problems go to standard error: the refused setting may be one of the log's.
    if !config.is_sound() {
        if let Err(why) = check::answer(config, &Clock::system(), true) {
            remark(why);
        }
        return ExitCode::FAILURE;
    }
    // The log is started before everything that logs, so that it is dropped last.
    let log = match Log::start(config.log) {
        Ok(log) => log,
        Err(error) => {
            remark(format_args!("the log can't be started: {error}"));
            return ExitCode::FAILURE;
        }
    };
    raise_open_files();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    runtime.block_on(async {
        let (mut stop, mut hangup) = match (Stop::listen(), signal(SignalKind::hangup())) {
            (Ok(stop), Ok(hangup)) => (stop, hangup),
            (Err(error), _) | (_, Err(error)) => return failed(&error),
        };
        // Without a handler, SIGUSR1 would end the gateway.
        let _ignored = signal(SignalKind::user_defined1());
        let (mut upgrades, (given, mut inherited)) = match (Upgrades::listen(), succeed::given().await) {
            (Ok(upgrades), Ok(given)) => (upgrades, given),
            (Err(error), _) | (_, Err(error)) => return failed(&error),
        };
        let notify = Arc::new(Notify::to(env::var_os("NOTIFY_SOCKET").as_deref()));
        let started = Box::pin(start(config, log.records(), given, &mut inherited)).await;
        let Some(mut running) = started else {
            return ExitCode::FAILURE;
        };
        if let Some(mut older) = inherited.from.take() {
            older.serving().await;
            running.learn_from(older);
        }
        // The control socket is answered until the end of the drain.
        let commands = Commands::new(running.handle(), log.level(), move || source.draft());
        let mut control = Control::begin(&config.control, upgrades.beside(commands.clone())).await;
        announce(config, &running, ask);
        notify.ready();
        let watch = Watch::begin(running.threads(), log.has_ended(), Arc::clone(&notify));
        let mut status = ExitCode::SUCCESS;
        let successor = loop {
            tokio::select! {
                () = stop.asked() => break None,
                what = running.failed() => {
                    error!("Stopping, as something does not run any more: {what}");
                    notify.status(&format!("Failed: {what} does not run any more"));
                    status = ExitCode::FAILURE;
                    break None;
                }
                _ = hangup.recv() => {
                    notify.reloading();
                    let commands = commands.clone();
                    let reload = tokio::spawn(async move { commands.reload().await });
                    tokio::select! {
                        _ = reload => notify.ready(),
                        () = stop.asked() => break None,
                    }
                }
                order = upgrades.asked() => {
                    let asker = match order {
                        Order::Upgrade(asker) => asker,
                        Order::Way(asker) => {
                            let serves = Answer::refused("this gateway serves, and keeps its addresses");
                            asker.send(serves).ok();
                            continue;
                        }
                    };
                    let handed = tokio::select! {
                        handed = upgrades.hand_over(&mut running, asker) => handed,
                        () = stop.asked() => break None,
                    };
                    if handed.is_some() {
                        break handed;
                    }
                }
            }
        };
        drop(watch);
        let handle = running.handle();
        if let Some(successor) = successor {
            // Its place is the new one's, which waits for it.
            control.step_aside().await;
            tokio::select! {
                () = running.retire(successor, async || stop.asked().await) => {}
                () = upgrades.give_way(&handle, &mut control) => {}
            }
        } else {
            notify.stopping();
            tokio::select! {
                () = running.stop(stop.asked()) => {}
                () = upgrades.give_way(&handle, &mut control) => {}
            }
        }
        drop(control);
        status
    })
}

/// Starts the gateway. `None`: the problems are logged, in the words of `check`.
async fn start(
    config: &Config,
    records: Records,
    given: Given,
    inherited: &mut Inherited,
) -> Option<Running> {
    let clock = Clock::system();
    // An older gateway that hands over keeps nothing back.
    let is_alone = inherited.from.is_none();
    let ask = async || is_alone && operate::ask_for_way(&config.control).await;
    let listeners = Listeners::open_with(config, given, ask).await;
    let port = listeners
        .as_ref()
        .map_or(config.listen.https_port(), Listeners::https_port);
    let (listeners, deaf) = match listeners {
        Ok(listeners) => (Some(listeners), Vec::new()),
        Err(deaf) => (None, deaf),
    };
    let (plan, warnings, mut problems) = match Plan::of(config, port, &clock) {
        Ok(mut plan) => {
            let warnings = mem::take(&mut plan.warnings);
            (Some(plan), warnings, Vec::new())
        }
        Err(NoPlan { problems, warnings }) => (None, warnings, problems),
    };
    problems.extend(deaf.into_iter().map(|deaf| deaf.problem));
    for warning in warnings {
        warn!("{warning}");
    }
    let (Some(plan), Some(listeners)) = (plan, listeners) else {
        failed(&Problems(problems));
        return None;
    };
    for note in &plan.notes {
        info!("{note}");
    }
    if let Some(compressor) = compress::command() {
        plan.webapp.compress_by(compressor);
    }
    match Box::pin(gateway::start_after(plan, listeners, &clock, records, inherited)).await {
        Ok(running) => Some(running),
        Err(error) => {
            failed(&error);
            None
        }
    }
}

/// Raises the soft limit of open files to the hard limit. Each participant needs several sockets on either side, and
/// the usual soft limit of 1024 is for programs that use `select`.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, most) {
        warn!(%error, "The limit of open files stays as it is");
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    for line in error.to_string().lines() {
        error!("{line}");
    }
    ExitCode::FAILURE
}

/// The signals that ask us to stop.
struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stop {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Logs which listeners, certificates and settings are in use, and a command to try next.
fn announce(config: &Config, running: &Running, ask: &str) {
    for (name, addr) in &running.addresses {
        match *name {
            "https" => info!("HTTPS on {addr}, for clients at {}", running.public_origin),
            "http" => info!("HTTP on {addr}, redirecting to HTTPS"),
            "plain" => info!("Plain HTTP on {addr}, for balancers of trust.proxies that end TLS"),
            "admin" => info!("Admin on {addr}: /livez, /readyz, /metrics"),
            _ => info!("TCP on {addr}, going on as it is"),
        }
    }
    for certificate in &running.certificates {
        info!("Certificate: {certificate}");
    }
    match config.issuer.mode {
        Mode::Embedded(_) => info!(
            "Issuer: embedded, API key {}; its tokens open the page, not a real room",
            config.plugnmeet.api_key
        ),
        Mode::Upstream => info!("Issuer: plugnmeet-server, API key {}", config.plugnmeet.api_key),
    }
    if let Some(path) = &config.client.path {
        info!("Client: {}, under {}/", path.display(), config.client.mount);
    } else {
        info!("Client: none, so a page that shows the session stands in its place (client.path)");
    }
    info!("Try next: {ask} join-link --room room01 --name Ann --user-id ann");
}
