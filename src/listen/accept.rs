//! The accept loop. It never stops for an error: what fails is one connection, or the machine is short of something for
//! a moment.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tracing::warn;

use crate::{
    addr::{Ends, unmapped},
    drain::Drain,
    workers::Workers,
};

/// Connections of one door at a time; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 65_536;

/// Time for file descriptors to come back.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(50);

/// A client that vanished without a word is noticed after about two minutes.
const KEEP_ALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(15))
    .with_retries(4);

/// Who serves a connection.
pub trait Door: Clone + Send + Sync + 'static {
    /// Serves it to its end.
    fn serve(&self, stream: TcpStream, ends: Ends) -> impl Future<Output = ()> + Send;
}

/// Opens a listener.
pub async fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(addr).await
}

/// Takes connections until the drain begins; each runs on one of the workers in a task of its own, which the drain waits
/// for.
pub(super) async fn accept(listener: TcpListener, door: impl Door, drain: Drain, workers: Arc<Workers>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = one(&listener, &room) => accepted,
            () = drain.draining() => return,
        };
        match accepted {
            Ok((stream, ends, place)) => {
                let Some(worker) = workers.least_busy() else {
                    return;
                };
                let door = door.clone();
                drain.spawn_on(worker, async move {
                    // The worker's own runtime has to hear of the socket.
                    match TcpStream::from_std(stream) {
                        Ok(stream) => door.serve(stream, ends).await,
                        Err(error) => warn!(%error, "A connection could not be accepted"),
                    }
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, "A connection could not be accepted");
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
            }
        }
    }
}

async fn one(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(std::net::TcpStream, Ends, OwnedSemaphorePermit)> {
    let place = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // What fails here is this connection alone, which will say so itself.
    stream.set_nodelay(true).ok();
    SockRef::from(&stream).set_tcp_keepalive(&KEEP_ALIVE).ok();
    let local = stream.local_addr()?;
    Ok((
        stream.into_std()?,
        Ends {
            peer: unmapped(peer),
            local: unmapped(local),
        },
        place,
    ))
}
