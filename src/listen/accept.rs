//! The accept loop. It never stops for an error: what fails is one connection, or the machine is short of something for
//! a moment.

use std::{fs, io, net::SocketAddr, sync::Arc, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tracing::{error, warn};

use crate::{
    addr::{Ends, unmapped},
    drain::Drain,
    places::{Free, Place, Places},
    workers::Workers,
};

/// Time for file descriptors to come back.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(50);

/// A client that vanished without a word is noticed after about two minutes.
const KEEP_ALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(15))
    .with_retries(4);

/// For a client to acknowledge what was sent: keep-alive does not run while something waits for that.
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// Bytes of a connection that the kernel holds and has not sent yet. What waits there can't be overtaken any more: with the
/// megabytes that the kernel would take, one script was on its way before the style sheets had been asked for.
const UNSENT_BYTES: u32 = 64 << 10;

/// Connections that wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: u32 = 65_535;

/// A shorter queue than this loses connections when a school of 400 comes at once: it is warned about.
const ENOUGH: u32 = 1024;

/// Who serves a connection.
pub trait Door: Clone + Send + Sync + 'static {
    /// Serves it to its end, in this place.
    fn serve(&self, stream: TcpStream, ends: Ends, place: Place) -> impl Future<Output = ()> + Send;
}

/// Opens a listener. Many may knock in one moment, and one whose knock finds no place waits for a second or more.
pub async fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // As the library's own bind has it: the port may be taken again while old connections fade away.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    let listener = socket.listen(BACKLOG)?;
    let allowed = fs::read_to_string("/proc/sys/net/core/somaxconn")
        .ok()
        .and_then(|text| text.trim().parse::<u32>().ok())
        .map_or(BACKLOG, |most| most.min(BACKLOG));
    if allowed < ENOUGH {
        warn!(%addr, allowed, "Few connections may wait to be accepted: raise net.core.somaxconn");
    }
    Ok(listener)
}

/// Takes connections until the drain begins; each runs on one of the workers in a task of its own, which the drain waits
/// for. While no place is free they wait in the kernel's queue.
pub async fn accept(
    listener: TcpListener,
    door: impl Door,
    places: Places,
    drain: Drain,
    workers: Arc<Workers>,
) {
    // It was opened on another runtime than this one, which has to hear of it.
    let listener = match listener.into_std().and_then(TcpListener::from_std) {
        Ok(listener) => listener,
        Err(error) => {
            error!(%error, "A listener is lost");
            return;
        }
    };
    if let Err(error) = prepare(&listener) {
        warn!(%error, "Connections have not the socket options that they should have");
    }
    loop {
        let accepted = tokio::select! {
            accepted = one(&listener, &places) => accepted,
            () = drain.draining() => return,
        };
        match accepted {
            Ok((stream, ends, free)) => {
                let Some((worker, load)) = workers.least_busy() else {
                    return;
                };
                let (door, place) = (door.clone(), places.take(free, load));
                drain.spawn_on(worker, async move {
                    // The worker's own runtime has to hear of the socket.
                    match TcpStream::from_std(stream) {
                        Ok(stream) => door.serve(stream, ends, place).await,
                        Err(error) => warn!(%error, "A connection could not be accepted"),
                    }
                });
            }
            Err(error) => {
                if !places.ran_out(&error) {
                    warn!(%error, "A connection could not be accepted");
                }
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
            }
        }
    }
}

/// Linux hands a listener's options down to each connection that it accepts.
fn prepare(listener: &TcpListener) -> io::Result<()> {
    let socket = SockRef::from(listener);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&KEEP_ALIVE)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    socket.set_tcp_notsent_lowat(UNSENT_BYTES)
}

async fn one(listener: &TcpListener, places: &Places) -> io::Result<(std::net::TcpStream, Ends, Free)> {
    let free = places.free().await?;
    let (stream, peer) = listener.accept().await?;
    let local = stream.local_addr()?;
    Ok((
        stream.into_std()?,
        Ends {
            peer: unmapped(peer),
            local: unmapped(local),
        },
        free,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_have_the_options_of_their_listener() {
        let listener = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        prepare(&listener).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(UNACKNOWLEDGED));
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), UNSENT_BYTES);
    }
}
