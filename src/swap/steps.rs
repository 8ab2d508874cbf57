//! There and back.

use std::{
    collections::BTreeSet,
    fmt,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{process::Command, signal::unix::SignalKind, time::timeout};

use super::{
    exchange::Front,
    record::{Held, Record, RecordError},
    routes::{Route, Routes},
    services::{self, GATEWAY, HAPROXY, SOCKET},
};
use crate::clock::Clock;

/// For certbot's hook of ours to give the gateway's user its rights.
const HOOK: Duration = Duration::from_secs(10);

/// How often a route that does not answer yet is asked for.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(300);

/// How often HAProxy is tried until it listens again.
const BACK_TRIES: u32 = 20;
const BACK_PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone, Debug, Default)]
pub struct Hooks {
    /// Ours, if it is there: run once before the gateway starts, so that its user may read the certificates.
    pub ours: Option<PathBuf>,
    /// Those that start HAProxy again at each renewal.
    pub of_haproxy: Vec<PathBuf>,
}

/// A machine on which the two change places.
pub struct Swap {
    /// Where the record is: the folder of the configuration.
    pub folder: PathBuf,
    pub clock: Clock,
    /// Is each step only said?
    pub dry_run: bool,
    /// Is told of each step before it is done.
    pub tell: fn(&str),
}

/// What the gateway is to answer in HAProxy's place.
pub struct Wanted {
    pub front: Front,
    pub routes: Routes,
    pub hooks: Hooks,
}

/// Why the gateway is not in HAProxy's place.
#[derive(Debug)]
pub enum SwapError {
    Record(RecordError),
    /// Nothing has changed: why.
    Untouched(String),
    /// HAProxy is back, as all was before: why.
    Back(String),
    /// Neither is as it should be: why, and what failed on the way back.
    Stuck(String, String),
}

impl From<RecordError> for SwapError {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

impl fmt::Display for SwapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(error) => error.fmt(f),
            Self::Untouched(why) => write!(f, "nothing was changed: {why}"),
            Self::Back(why) => write!(f, "all is as it was before the swap: {why}"),
            Self::Stuck(why, back) => write!(
                f,
                "{why}; and on the way back: {back}. Run swap --back again; by hand it is systemctl disable --now \
                 plugnmeet-gateway.socket plugnmeet-gateway.service, then systemctl enable --now haproxy"
            ),
        }
    }
}

impl Swap {
    /// Puts the gateway into HAProxy's place; whatever fails brings HAProxy back.
    pub async fn go(&self, wanted: &Wanted) -> Result<(), SwapError> {
        let held = Held::of(&self.folder)?;
        match held.read()? {
            Some(record) if record.in_place => {
                self.say("The gateway is in HAProxy's place already.");
                return Ok(());
            }
            Some(record) => {
                self.say("A swap broke off before its end; it is undone first.");
                self.back_to(&record, &held, Some(&wanted.front))
                    .await
                    .map_err(|back| SwapError::Stuck("an earlier swap broke off".into(), back))?;
                if self.dry_run {
                    return Ok(());
                }
            }
            None => {}
        }
        let record = self.as_it_is(&wanted.hooks).await?;
        let silent = self.before(wanted, &record).await;
        self.say("The record of what is now is written, so that all can be undone at any time.");
        // Before the record is there, so that nothing is left of it.
        let mut ended = Ended::new();
        if !self.dry_run {
            held.write(&record)?;
        }
        let tried = tokio::select! {
            tried = self.there(wanted, &record, &silent) => tried,
            signal = ended.by_signal() => Err(format!("interrupted by {signal}")),
        };
        let tried = match tried {
            Ok(()) if self.dry_run => return Ok(()),
            Ok(()) => held
                .write(&Record {
                    in_place: true,
                    ..record.clone()
                })
                .map_err(|error| error.to_string()),
            Err(why) => Err(why),
        };
        let Err(why) = tried else {
            self.say("The gateway is in HAProxy's place. Back at any time: plugnmeet-gateway swap --back");
            return Ok(());
        };
        self.say(&format!("FAIL: {why}. Going back."));
        match self.back_to(&record, &held, Some(&wanted.front)).await {
            Ok(()) => Err(SwapError::Back(why)),
            Err(back) => Err(SwapError::Stuck(why, back)),
        }
    }

    /// Gives HAProxy its place back; at `front` it is to listen then.
    pub async fn back(&self, front: Option<&Front>) -> Result<(), SwapError> {
        let held = Held::of(&self.folder)?;
        let Some(record) = held.read()? else {
            return Err(SwapError::Untouched("no swap is on record here".into()));
        };
        self.back_to(&record, &held, front)
            .await
            .map_err(|back| SwapError::Stuck("HAProxy's place is not given back".into(), back))
    }

    fn say(&self, what: &str) {
        (self.tell)(what);
    }

    async fn as_it_is(&self, hooks: &Hooks) -> Result<Record, SwapError> {
        let untouched = |why: &str| Err(SwapError::Untouched(why.to_owned()));
        if !services::is_there(GATEWAY).await {
            return untouched("systemd knows no plugnmeet-gateway.service; install the unit first");
        }
        if services::is_active(GATEWAY).await {
            return untouched(
                "plugnmeet-gateway.service runs already; if it stands behind HAProxy, change the line in haproxy.cfg back, reload \
                 HAProxy, stop the gateway, and run this again",
            );
        }
        Ok(Record {
            in_place: false,
            haproxy_was_active: services::is_active(HAPROXY).await,
            haproxy_was_enabled: services::is_enabled(HAPROXY).await,
            hooks: hooks
                .of_haproxy
                .iter()
                .filter(|hook| runs(hook))
                .cloned()
                .collect(),
        })
    }

    /// The routes that do not answer behind HAProxy either.
    async fn before(&self, wanted: &Wanted, record: &Record) -> BTreeSet<String> {
        let mut silent = BTreeSet::new();
        if !record.haproxy_was_active {
            return silent;
        }
        let all = wanted.routes.all(wanted.front.http);
        for route in all.iter().filter(|route| route.is_behind_haproxy_too()) {
            if let Err(why) = wanted.routes.ask(route, &wanted.front).await {
                self.say(&format!(
                    "warn: {route}: {why} behind HAProxy too, so that it does not count"
                ));
                silent.insert(route.to_string());
            }
        }
        silent
    }

    async fn there(&self, wanted: &Wanted, record: &Record, silent: &BTreeSet<String>) -> Result<(), String> {
        if let Some(hook) = &wanted.hooks.ours {
            self.say(&format!(
                "{}: run, so that the gateway's user may read the certificates",
                hook.display()
            ));
            if !self.dry_run {
                run(hook).await?;
            }
        }
        for hook in &record.hooks {
            self.say(&format!(
                "{}: loses its right to run (chmod a-x), as it starts HAProxy again",
                hook.display()
            ));
            self.unless_dry(|| may_run(hook, false))?;
        }
        let has_socket = services::is_there(SOCKET).await;
        let units: Vec<&str> = [Some(GATEWAY), has_socket.then_some(SOCKET)]
            .into_iter()
            .flatten()
            .collect();
        self.say("systemctl daemon-reload");
        if !self.dry_run {
            services::read_units().await?;
        }
        for unit in &units {
            self.say(&format!("systemctl enable {unit}"));
            if !self.dry_run {
                services::enable(unit).await?;
            }
        }
        self.say(&format!("systemctl disable {HAPROXY}"));
        if !self.dry_run && record.haproxy_was_enabled {
            services::disable(HAPROXY).await?;
        }
        self.say(&format!("systemctl stop {HAPROXY}"));
        let closed_at = self.clock.steady();
        if !self.dry_run {
            services::stop(&[HAPROXY]).await?;
        }
        for unit in units.iter().rev() {
            self.say(&format!("systemctl start {unit}"));
            if !self.dry_run {
                services::start(unit).await?;
            }
        }
        if !self.dry_run {
            let closed = self.clock.steady().saturating_sub(closed_at);
            self.say(&format!(
                "The front door was closed for {:.1} s.",
                closed.as_secs_f64()
            ));
        }
        self.ask_all(wanted, silent).await
    }

    async fn ask_all(&self, wanted: &Wanted, silent: &BTreeSet<String>) -> Result<(), String> {
        let mut failed = Vec::new();
        for route in wanted.routes.all(wanted.front.http) {
            if self.dry_run {
                self.say(&format!("ask for {route}"));
                continue;
            }
            match ask(wanted, &route).await {
                Ok(said) => self.say(&format!("ok: {route}: {said}")),
                Err(why) if silent.contains(&route.to_string()) => {
                    self.say(&format!("warn: {route}: {why}, as before"));
                }
                Err(why) => failed.push(format!("{route}: {why}")),
            }
        }
        if failed.is_empty() {
            Ok(())
        } else {
            Err(failed.join("; "))
        }
    }

    /// Every step is tried, whatever becomes of the others.
    async fn back_to(&self, record: &Record, held: &Held, front: Option<&Front>) -> Result<(), String> {
        let began = self.clock.steady();
        let mut failed = Vec::new();
        let mut units = Vec::new();
        for unit in [GATEWAY, SOCKET] {
            if services::is_there(unit).await {
                units.push(unit);
            }
        }
        for unit in &units {
            self.say(&format!("systemctl disable {unit}"));
            if !self.dry_run {
                failed.extend(services::disable(unit).await.err());
            }
        }
        if !units.is_empty() {
            self.say(&format!("systemctl stop {}", units.join(" ")));
            if !self.dry_run {
                failed.extend(services::stop(&units).await.err());
            }
        }
        for hook in &record.hooks {
            self.say(&format!("{}: may run again (chmod a+x)", hook.display()));
            failed.extend(self.unless_dry(|| may_run(hook, true)).err());
        }
        if record.haproxy_was_enabled {
            self.say(&format!("systemctl enable {HAPROXY}"));
            if !self.dry_run {
                failed.extend(services::enable(HAPROXY).await.err());
            }
        }
        if record.haproxy_was_active {
            self.say(&format!("systemctl start {HAPROXY}"));
            if !self.dry_run {
                failed.extend(haproxy_listens(front).await.err());
            }
        }
        if self.dry_run {
            return Ok(());
        }
        if !failed.is_empty() {
            return Err(failed.join("; "));
        }
        held.clear().map_err(|error| error.to_string())?;
        let took = self.clock.steady().saturating_sub(began);
        self.say(&format!(
            "All is as it was before the swap, after {:.1} s.",
            took.as_secs_f64()
        ));
        Ok(())
    }

    fn unless_dry(&self, step: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
        if self.dry_run { Ok(()) } else { step() }
    }
}

/// Asks for a route, and again if it does not answer yet.
async fn ask(wanted: &Wanted, route: &Route) -> Result<String, String> {
    for _ in 1..TRIES {
        if let Ok(said) = wanted.routes.ask(route, &wanted.front).await {
            return Ok(said);
        }
        tokio::time::sleep(PAUSE).await;
    }
    wanted.routes.ask(route, &wanted.front).await
}

async fn haproxy_listens(front: Option<&Front>) -> Result<(), String> {
    services::start(HAPROXY).await?;
    let Some(front) = front else { return Ok(()) };
    for _ in 1..BACK_TRIES {
        if front.takes_connections(front.https).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(BACK_PAUSE).await;
    }
    front.takes_connections(front.https).await
}

/// Runs a script of certbot's that `adopt` has written.
async fn run(hook: &Path) -> Result<(), String> {
    let child = Command::new(hook).kill_on_drop(true).output();
    match timeout(HOOK, child).await {
        Err(_) => Err(format!(
            "{}: not done within {} s",
            hook.display(),
            HOOK.as_secs()
        )),
        Ok(Err(error)) => Err(format!("{}: {error}", hook.display())),
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => {
            let words = String::from_utf8_lossy(&output.stderr);
            Err(format!("{}: {}", hook.display(), words.trim()))
        }
    }
}

/// What has no right to run is somebody's decision, and is not given one on the way back.
fn runs(hook: &Path) -> bool {
    fs::metadata(hook).is_ok_and(|about| about.permissions().mode() & 0o111 != 0)
}

/// Whoever may read a script gets the right to run it, which is how it was for scripts that somebody wants to have run. A
/// script that is gone needs no right.
fn may_run(hook: &Path, may: bool) -> Result<(), String> {
    let told = |error: std::io::Error| format!("{}: {error}", hook.display());
    let Ok(about) = fs::metadata(hook) else {
        return Ok(());
    };
    let mode = about.permissions().mode();
    let mode = if may {
        mode | (mode & 0o444) >> 2
    } else {
        mode & !0o111
    };
    fs::set_permissions(hook, Permissions::from_mode(mode)).map_err(told)
}

/// What ends this command from outside: it goes back then, and not away.
struct Ended(Vec<(&'static str, tokio::signal::unix::Signal)>);

impl Ended {
    fn new() -> Self {
        let kinds = [
            ("SIGINT", SignalKind::interrupt()),
            ("SIGTERM", SignalKind::terminate()),
            ("SIGHUP", SignalKind::hangup()),
        ];
        let heard = kinds
            .into_iter()
            .filter_map(|(name, kind)| Some((name, tokio::signal::unix::signal(kind).ok()?)));
        Self(heard.collect())
    }

    async fn by_signal(&mut self) -> &'static str {
        std::future::poll_fn(|context| {
            for (name, signal) in &mut self.0 {
                if signal.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*name);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}
