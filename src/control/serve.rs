//! The gateway's side of the control socket.

use std::{io, sync::Arc, time::Duration};

use rustix::process::geteuid;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    sync::Semaphore,
    time::{sleep, timeout},
};
use tracing::{info, warn};

use super::{
    command::{Answer, Command},
    place::Socket,
};

/// A command; no room's id comes near it.
const MAX_LINE_BYTES: u64 = 4096;

/// The most time for a command to come, and for an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(5);

/// Those who ask at once; others wait.
const MOST_AT_ONCE: usize = 8;

/// Time for file descriptors to come back.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(250);

/// Who carries commands out.
pub trait Operator: Clone + Send + Sync + 'static {
    /// Carries a command out. It goes on when whoever asked is gone.
    fn act(&self, command: Command) -> impl Future<Output = Answer> + Send;
}

/// Answers whoever connects, for as long as this is polled.
pub async fn serve(socket: &Socket, operator: impl Operator) {
    let free = Arc::new(Semaphore::new(MOST_AT_ONCE));
    loop {
        let Ok(place) = Arc::clone(&free).acquire_owned().await else {
            return;
        };
        match socket.listener.accept().await {
            Ok((stream, _)) => {
                let operator = operator.clone();
                tokio::spawn(async move {
                    // Whoever asked may be gone by now.
                    converse(stream, operator).await.ok();
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, "A connection to the control socket could not be accepted");
                sleep(PAUSE_AFTER_FAILURE).await;
            }
        }
    }
}

async fn converse(mut stream: UnixStream, operator: impl Operator) -> io::Result<()> {
    let answer = match asked(&mut stream).await {
        Ok(command) => {
            info!(command = command.name(), "Asked over the control socket");
            operator.act(command).await
        }
        Err(refusal) => Answer::refused(refusal),
    };
    timeout(PATIENCE, async {
        stream.write_all(&answer.line()).await?;
        stream.shutdown().await
    })
    .await?
}

/// The command, if somebody who may ask has written one.
async fn asked(stream: &mut UnixStream) -> Result<Command, &'static str> {
    let peer = stream.peer_cred().map_err(|_| "it is not known who asks")?;
    // SECURITY: the file's mode keeps others out; this does so where the file has been opened up.
    if peer.uid() != 0 && peer.uid() != geteuid().as_raw() {
        return Err("only the gateway's own user and root may ask");
    }
    let mut line = Vec::new();
    let mut reader = BufReader::new(stream.take(MAX_LINE_BYTES + 1));
    timeout(PATIENCE, reader.read_until(b'\n', &mut line))
        .await
        .map_err(|_late| "no command came in time")?
        .map_err(|_| "the command could not be read")?;
    if line.len() as u64 > MAX_LINE_BYTES {
        return Err("no command is that long");
    }
    serde_json::from_slice(&line)
        .map_err(|_| "that is no command; write one line of JSON, such as {\"command\":\"status\"}")
}
