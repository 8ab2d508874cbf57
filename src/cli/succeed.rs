//! How one gateway follows another: what a process is given at its start, and how a running gateway starts its
//! successor.
//!
//! The successor is the program that lies now at the path from which this one was started. It gets the same arguments
//! and variables.

use std::{
    env,
    ffi::{OsStr, OsString},
    io,
    net::TcpListener,
    path::{Path, PathBuf, absolute},
    time::Duration,
};

use listenfd::ListenFd;
use rustix::io::{FdFlags, fcntl_setfd};
use tokio::{
    process::Command,
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot},
};
use tracing::{error, info, warn};

use super::operate::Control;
use crate::{
    control::{self, Answer, Operator},
    gateway::{Given, Handle, Inherited, Running},
    handover::{self, Successor, Taken, Taking},
};

/// The variable that tells a new process that an older gateway is at the other end of standard input.
const HANDOVER: &str = "PNM_HANDOVER";

/// The variables that a service manager sets for one process alone (`sd_listen_fds(3)`, `sd_watchdog_enabled(3)`). A
/// successor must not get them. `WATCHDOG_USEC` stays: without `WATCHDOG_PID` it is for any process.
const OF_ONE_PROCESS: [&str; 4] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"];

/// How long a new process may take to read its configuration and the client's files, which may lie on a remote disk.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// The most askers that wait in the queue while an upgrade is under way.
const WAITING: usize = 8;

/// Takes what an older gateway or the service manager gave this process at its start, such as listeners.
pub(super) async fn given() -> io::Result<(Given, Inherited)> {
    if env::var_os(HANDOVER).is_some() {
        let (from, Taken { listeners, early }) = Taking::begin().await?;
        let from = Some(from);
        return Ok((Given::by_older(listeners), Inherited { early, from }));
    }
    let names = env::var_os("LISTEN_FDNAMES").unwrap_or_default();
    let sockets = of_manager(&mut ListenFd::from_env(), &names.to_string_lossy());
    let given = if sockets.is_empty() {
        Given::default()
    } else {
        Given::by_manager(sockets)
    };
    Ok((given, Inherited::default()))
}

fn of_manager(passed: &mut ListenFd, names: &str) -> Vec<(String, TcpListener)> {
    let mut names = names.split(':');
    let mut sockets = Vec::new();
    for nth in 0..passed.len() {
        let name = names.next().unwrap_or_default().to_owned();
        match passed.take_tcp_listener(nth) {
            Ok(Some(socket)) => {
                // Programs that this process starts must not inherit the socket.
                if let Err(error) = fcntl_setfd(&socket, FdFlags::CLOEXEC) {
                    warn!(name, %error, "A given socket is passed on to programs that the gateway starts");
                }
                sockets.push((name, socket));
            }
            Ok(None) => {}
            Err(error) => warn!(name, %error, "A given socket is none that listens for TCP"),
        }
    }
    sockets
}

/// The command line of this process, remembered at its start, because another program may lie at its path later.
#[derive(Debug)]
struct Program {
    path: PathBuf,
    name: OsString,
    arguments: Vec<OsString>,
}

impl Program {
    fn of_this_process() -> io::Result<Self> {
        let mut arguments = env::args_os();
        let name = arguments.next().unwrap_or_default();
        let path = path(&name, env::current_exe)?;
        let arguments = arguments.collect();
        Ok(Self {
            path,
            name,
            arguments,
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command
            .arg0(&self.name)
            .args(&self.arguments)
            .env(HANDOVER, "stdin");
        for variable in OF_ONE_PROCESS {
            command.env_remove(variable);
        }
        command
    }
}

/// The path of this program as it was called, if the name has a folder; else the path that the system gives. The name
/// may go through a link that leads to another release later, while the system's path has the link resolved.
fn path(name: &OsStr, current: impl FnOnce() -> io::Result<PathBuf>) -> io::Result<PathBuf> {
    if Path::new(name).components().count() > 1 {
        return absolute(name);
    }
    current()
}

/// The one who asked for an upgrade over the control socket and waits for an answer; `None` if a signal asked.
pub(super) type Asker = Option<oneshot::Sender<Answer>>;

/// What only whoever runs the gateway can do.
pub(super) enum Order {
    Upgrade(Asker),
    /// Another gateway wants the addresses.
    Way(oneshot::Sender<Answer>),
}

/// Orders for an upgrade, and for the addresses.
pub(super) struct Upgrades {
    program: io::Result<Program>,
    signal: Signal,
    to_ask: mpsc::Sender<Order>,
    asked: mpsc::Receiver<Order>,
}

impl Upgrades {
    pub(super) fn listen() -> io::Result<Self> {
        let (to_ask, asked) = mpsc::channel(WAITING);
        Ok(Self {
            program: Program::of_this_process(),
            signal: signal(SignalKind::user_defined2())?,
            to_ask,
            asked,
        })
    }

    /// Somebody wants something.
    pub(super) async fn asked(&mut self) -> Order {
        tokio::select! {
            _ = self.signal.recv() => Order::Upgrade(None),
            Some(order) = self.asked.recv() => order,
        }
    }

    /// Answers while the gateway stops, or waits for those who stay; never ends. Whoever starts has the addresses, and the
    /// place of the control socket.
    pub(super) async fn give_way<O: Operator>(&mut self, handle: &Handle, control: &mut Control<O>) {
        loop {
            match self.asked().await {
                Order::Upgrade(None) => warn!("No upgrade: this gateway stops"),
                Order::Upgrade(Some(asker)) => drop(asker.send(Answer::refused("this gateway stops"))),
                Order::Way(asker) => {
                    let answer = if handle.give_way().await {
                        control.step_aside().await;
                        info!("Another gateway has the addresses");
                        Answer::done()
                    } else {
                        Answer::refused("a listener does not close")
                    };
                    asker.send(answer).ok();
                }
            }
        }
    }

    /// Makes an operator that takes requests for an upgrade too, and passes all other commands to `operator`.
    pub(super) fn beside<O: Operator>(&self, operator: O) -> WithUpgrades<O> {
        WithUpgrades {
            operator,
            to_ask: self.to_ask.clone(),
        }
    }

    /// Starts the program anew. None: the log says why not, and nothing has changed.
    pub(super) async fn hand_over(&self, running: &mut Running, asker: Asker) -> Option<Successor> {
        info!("Starting a new gateway");
        let handed = match &self.program {
            Ok(program) => {
                let handle = running.handle();
                let remembered = |telling| handle.remembered(&telling);
                handover::hand_over(program.command(), running.offered(), remembered, READY_WITHIN)
                    .await
                    .map_err(|error| error.to_string())
            }
            Err(error) => Err(format!("it is not known where this program lies: {error}")),
        };
        let answer = match &handed {
            Ok(successor) => Answer::done().with("version", successor.version.as_str()),
            Err(why) => {
                error!("No upgrade, and nothing has changed: {why}");
                Answer::refused(format!("no upgrade, and nothing has changed: {why}"))
            }
        };
        if let Some(asker) = asker {
            asker.send(answer).ok();
        }
        handed.ok()
    }
}

/// Has wishes fulfilled by whoever runs the gateway, and all else by the operator.
#[derive(Clone)]
pub(super) struct WithUpgrades<O> {
    operator: O,
    to_ask: mpsc::Sender<Order>,
}

impl<O: Operator> Operator for WithUpgrades<O> {
    async fn act(&self, command: control::Command) -> Answer {
        let (answer, answered) = oneshot::channel();
        let order = match command {
            control::Command::Upgrade => Order::Upgrade(Some(answer)),
            control::Command::GiveWay => Order::Way(answer),
            control::Command::Status | control::Command::Reload | control::Command::Drain { .. } => {
                return self.operator.act(command).await;
            }
        };
        if self.to_ask.send(order).await.is_err() {
            return Answer::refused("this gateway stops");
        }
        answered
            .await
            .unwrap_or_else(|_| Answer::refused("this gateway stops"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_looked_for_where_it_was_called() {
        let current = || Ok(PathBuf::from("/opt/releases/1/plugnmeet-gateway"));
        let of = |name: &str| path(OsStr::new(name), current).unwrap();
        assert_eq!(
            of("/opt/now/plugnmeet-gateway"),
            Path::new("/opt/now/plugnmeet-gateway")
        );
        assert_eq!(
            of("plugnmeet-gateway"),
            Path::new("/opt/releases/1/plugnmeet-gateway")
        );
        let here = env::current_dir().unwrap();
        assert_eq!(of("./plugnmeet-gateway"), here.join("plugnmeet-gateway"));
        assert_eq!(of("bin/plugnmeet-gateway"), here.join("bin/plugnmeet-gateway"));
    }
}
