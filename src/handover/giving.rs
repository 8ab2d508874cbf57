//! The old process' side: it starts the new one and waits for its word.

use std::{
    io,
    os::fd::BorrowedFd,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    process::{Child, Command},
    sync::mpsc,
    time::{error::Elapsed, timeout},
};

use super::{
    channel::{Channel, FORM, Message},
    journal::Telling,
    parts::Parts,
};

/// What a new process is given.
pub struct Offered<'l> {
    /// The listeners, by name.
    pub listeners: Vec<(String, BorrowedFd<'l>)>,
    /// What the new process needs before it listens.
    pub early: Parts,
}

/// Why there is no successor. The old one goes on.
#[derive(Debug, thiserror::Error)]
pub enum NotHandedOver {
    /// There is no such program, or the system starts no more.
    #[error("the new one can't be started: {0}")]
    NotStarted(#[source] io::Error),
    /// It says itself why, in its log.
    #[error("the new one ended before it served ({0})")]
    Ended(ExitStatus),
    /// It took too long, and was killed.
    #[error("the new one was not ready within {} s", .0.as_secs())]
    Late(Duration),
    /// It is another program, or an older one.
    #[error("the new one does not speak as a gateway does: {0}")]
    Broken(#[source] io::Error),
}

/// A new process that serves.
pub struct Successor {
    child: Child,
    channel: Channel,
    learned: mpsc::Receiver<Parts>,
    /// What it is, by its own word.
    pub version: String,
}

/// A new process that does not serve yet; it is killed when this is dropped.
struct Starting(Option<Child>);

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            child.start_kill().ok();
        }
    }
}

/// Starts this program and hands over to it. `late` tells what is remembered when the new one is about to serve, and is
/// given the way for what is learned later.
pub async fn hand_over(
    mut program: Command,
    offered: Offered<'_>,
    late: impl FnOnce(Telling) -> Parts,
    within: Duration,
) -> Result<Successor, NotHandedOver> {
    let (mut channel, theirs) = Channel::pair().map_err(NotHandedOver::NotStarted)?;
    let spawned = program.stdin(Stdio::from(theirs)).kill_on_drop(false).spawn();
    // The command holds the new one's end, by which an end of the new one would go unseen.
    drop(program);
    let mut starting = Starting(Some(spawned.map_err(NotHandedOver::NotStarted)?));
    let (telling, learned) = Telling::pair();
    let late = || late(telling);
    let spoken = timeout(within, speak(&mut channel, offered, late)).await;
    let failed = match spoken {
        Ok(Ok(version)) => {
            if let Some(child) = starting.0.take() {
                return Ok(Successor {
                    child,
                    channel,
                    learned,
                    version,
                });
            }
            NotHandedOver::Broken(io::ErrorKind::Other.into())
        }
        Ok(Err(error)) => NotHandedOver::Broken(error),
        Err(Elapsed { .. }) => NotHandedOver::Late(within),
    };
    let Some(mut child) = starting.0.take() else {
        return Err(failed);
    };
    // One that has closed its end is about to be gone by itself, most often.
    let ended = timeout(LAST_STEPS, child.wait()).await;
    if let (Ok(Ok(status)), NotHandedOver::Broken(_)) = (&ended, &failed) {
        return Err(NotHandedOver::Ended(*status));
    }
    if ended.is_err() {
        child.start_kill().ok();
        child.wait().await.ok();
    }
    Err(failed)
}

/// The most time from the end of the channel to that of the process.
const LAST_STEPS: Duration = Duration::from_secs(1);

async fn speak(
    channel: &mut Channel,
    offered: Offered<'_>,
    late: impl FnOnce() -> Parts,
) -> io::Result<String> {
    let (names, descriptors): (Vec<String>, Vec<BorrowedFd<'_>>) = offered.listeners.into_iter().unzip();
    let offer = Message::Offer {
        form: FORM,
        listeners: names,
        parts: offered.early,
    };
    channel.send(&offer, &descriptors).await?;
    let (Message::Prepared { version }, _) = channel.receive().await? else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    channel.send(&Message::State { parts: late() }, &[]).await?;
    let (Message::Serving, _) = channel.receive().await? else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    Ok(version)
}

impl Successor {
    /// What the system knows it by; none once it has ended.
    pub fn process(&self) -> Option<u32> {
        self.child.id()
    }

    /// The old one has let go of everything. What it learns from now on is told, until nobody tells any more or the new one
    /// is gone.
    pub async fn release(self) {
        let Self {
            mut child,
            mut channel,
            mut learned,
            version: _,
        } = self;
        channel.send(&Message::Released, &[]).await.ok();
        // An end of it leaves nothing behind here.
        tokio::spawn(async move { child.wait().await.ok() });
        while let Some(parts) = learned.recv().await {
            if channel.send(&Message::Learned { parts }, &[]).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn nothing() -> Offered<'static> {
        Offered {
            listeners: Vec::new(),
            early: Parts::default(),
        }
    }

    async fn why(command: Command, within: Duration) -> String {
        let handed = hand_over(command, nothing(), |_| Parts::default(), within).await;
        handed.err().expect("nobody is there").to_string()
    }

    #[tokio::test]
    async fn who_ends_is_no_successor() {
        let within = Duration::from_secs(20);
        assert_eq!(
            why(shell("exit 7"), within).await,
            "the new one ended before it served (exit status: 7)"
        );
        assert_eq!(
            why(shell("kill -9 $$"), within).await,
            "the new one ended before it served (signal: 9 (SIGKILL))"
        );
        let none = why(Command::new("/nonexistent"), within).await;
        assert!(none.starts_with("the new one can't be started: "), "{none}");
    }

    #[tokio::test]
    async fn who_speaks_otherwise_is_no_successor() {
        let noise = "head -c 16 >/dev/null; printf 'HTTP/1.1 400 no\\r\\n\\r\\n' >&0; exec sleep 60";
        let said = why(shell(noise), Duration::from_secs(20)).await;
        assert!(
            said.starts_with("the new one does not speak as a gateway does"),
            "{said}"
        );
    }

    #[tokio::test]
    async fn who_says_nothing_is_waited_for_no_longer_and_killed() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let script = format!("echo $$ >{}; exec sleep 600", pid.display());
        let said = why(shell(&script), Duration::from_secs(1)).await;
        assert_eq!(said, "the new one was not ready within 1 s");
        let pid = std::fs::read_to_string(pid).unwrap();
        assert!(!std::path::Path::new(&format!("/proc/{}", pid.trim())).exists());
    }
}
