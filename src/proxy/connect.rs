//! Reaching an upstream: any of its addresses that takes the connection, each in its turn.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

/// Where an upstream listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// A name or an address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// A dead peer behind an idle tunnel is noticed after about two minutes; clients ping far more often.
const KEEP_ALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(15))
    .with_retries(4);

/// For a peer to acknowledge what was sent: keep-alive does not run while something waits for that.
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// Between two tries of an upstream that refuses.
const AGAIN: Duration = Duration::from_millis(250);

/// Makes connections to the targets of one upstream.
pub(super) struct Connect {
    targets: Vec<Target>,
    turn: AtomicUsize,
    deadline: Duration,
}

impl Connect {
    pub(super) fn new(targets: Vec<Target>, deadline: Duration) -> Self {
        Self {
            targets,
            turn: AtomicUsize::default(),
            deadline,
        }
    }

    /// One after the other from the next in turn on, all within the one deadline. Nothing was sent yet, so going on to
    /// the next is safe for any request. Where every one refuses the upstream is being started again, and is asked until
    /// the deadline.
    pub(super) async fn any(&self) -> io::Result<TcpStream> {
        let until = Instant::now() + self.deadline;
        loop {
            let refused = match self.each_once().await {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => error,
                result => return result,
            };
            if Instant::now() + AGAIN >= until {
                return Err(refused);
            }
            sleep(AGAIN).await;
        }
    }

    /// The error is a refusal only if all refused.
    async fn each_once(&self) -> io::Result<TcpStream> {
        let each = self.deadline / u32::try_from(self.targets.len().max(1)).unwrap_or(u32::MAX);
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut failed: Option<io::Error> = None;
        for at in 0..self.targets.len() {
            let Some(target) = self.targets.get(first.wrapping_add(at) % self.targets.len()) else {
                continue;
            };
            let error = match timeout(each, TcpStream::connect((target.host.as_str(), target.port))).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true)?;
                    let socket = SockRef::from(&stream);
                    socket.set_tcp_keepalive(&KEEP_ALIVE)?;
                    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
                    return Ok(stream);
                }
                Ok(Err(error)) => error,
                Err(_late) => io::ErrorKind::TimedOut.into(),
            };
            failed = match failed {
                Some(before) if before.kind() != io::ErrorKind::ConnectionRefused => Some(before),
                _ => Some(error),
            };
        }
        Err(failed.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no address is configured")))
    }
}
