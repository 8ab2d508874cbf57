//! The accept loop. No error stops it: an error means that one connection failed, or that the machine is short of
//! something for a moment.

use std::{
    fs, io,
    net::{self, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};
use tracing::{error, warn};

use crate::{
    addr::{Ends, Spot, unmapped},
    drain::Drain,
    places::{Free, Place, Places},
    workers::Workers,
};

/// How long the loop pauses after a failed accept, so that file descriptors can become free.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(50);

/// TCP keep-alive: a client that vanished without a word is noticed after about two minutes.
const KEEP_ALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(15))
    .with_retries(4);

/// How long sent data may stay unacknowledged before the connection is closed (`TCP_USER_TIMEOUT`). Keep-alive does not
/// run while data is unacknowledged.
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// The most bytes of a connection that the kernel holds unsent (`TCP_NOTSENT_LOWAT`). Nothing can overtake those bytes:
/// with the megabytes that the kernel would take, one script was on its way before the style sheets had been asked for.
const UNSENT_BYTES: u32 = 64 << 10;

/// The length of the queue of connections that wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: u32 = 65_535;

/// A warning is logged if the kernel allows a shorter queue: it would lose connections when a school of 400 comes at
/// once.
const ENOUGH: u32 = 1024;

/// What serves the connections of a listener.
pub trait Serve: Clone + Send + Sync + 'static {
    /// Serves one connection to its end, in its place.
    fn serve(&self, stream: TcpStream, ends: Ends, place: Place) -> impl Future<Output = ()> + Send;
}

/// Opens a listener, with a queue for many connections at once: a connection that finds the queue full waits for a
/// second or more until the client tries again.
pub async fn bind(spot: impl Into<Spot>) -> io::Result<TcpListener> {
    let Spot { addr, only_v6 } = spot.into();
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // As in `TcpListener::bind`: the port can be taken again while old connections are still closing.
    socket.set_reuseaddr(true)?;
    if only_v6 {
        SockRef::from(&socket).set_only_v6(true)?;
    }
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

/// Accepts connections until the drain begins. Each is served in a task of its own on one of the workers, and the drain
/// waits for it. While no place is free, connections wait in the kernel's queue. The connections that wait there when
/// the drain begins are served too, unless a successor takes them.
pub async fn accept(
    listener: TcpListener,
    serving: impl Serve,
    places: Places,
    drain: Drain,
    workers: Arc<Workers>,
) {
    if let Err(error) = prepare(&listener) {
        warn!(%error, "Connections have not the socket options that they should have");
    }
    // The listener was registered with another runtime, and has to be registered with this one.
    let listener = match listener.into_std().and_then(Listening::on) {
        Ok(listener) => listener,
        Err(error) => {
            error!(%error, "A listener is lost");
            return;
        }
    };
    let serve = |(stream, ends, free): Accepted| {
        let Some((worker, load)) = workers.least_busy() else {
            return;
        };
        let (serving, place) = (serving.clone(), places.take(free, load));
        drain.spawn_on(worker, async move {
            // The socket has to be registered with the worker's own runtime.
            match TcpStream::from_std(stream) {
                Ok(stream) => serving.serve(stream, ends, place).await,
                Err(error) => warn!(%error, "A connection could not be accepted"),
            }
        });
    };
    loop {
        let accepted = tokio::select! {
            accepted = one(&listener, &places) => accepted,
            () = drain.draining() => break,
        };
        match accepted {
            Ok(accepted) => serve(accepted),
            Err(error) => {
                if !places.ran_out(&error) {
                    warn!(%error, "A connection could not be accepted");
                }
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
            }
        }
    }
    // A successor accepts what waits in the queue. Without one, the kernel would refuse it when the listener is closed.
    if drain.is_handed_over() {
        return;
    }
    while let Some(accepted) = waiting(&listener, &places).await {
        serve(accepted);
    }
}

/// Accepts a connection that waits in the queue; `None` if there is none, if no place is free, or on an error.
async fn waiting(listener: &Listening, places: &Places) -> Option<Accepted> {
    let free = timeout(PAUSE_AFTER_FAILURE, places.free()).await.ok()?.ok()?;
    let (stream, ends) = listener.next_in_queue().ok()?;
    Some((stream, ends, free))
}

/// An accepted connection: the socket, its two ends, and a free place.
type Accepted = (net::TcpStream, Ends, Free);

/// Sets the socket options of a listener, which Linux hands down to each connection that it accepts.
fn prepare(listener: &TcpListener) -> io::Result<()> {
    let socket = SockRef::from(listener);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&KEEP_ALIVE)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    socket.set_tcp_notsent_lowat(UNSENT_BYTES)
}

async fn one(listener: &Listening, places: &Places) -> io::Result<Accepted> {
    let free = places.free().await?;
    let accept = |_: &net::TcpListener| listener.next_in_queue();
    let (stream, ends) = listener.socket.async_io(Interest::READABLE, accept).await?;
    Ok((stream, ends, free))
}

/// A listener that registers nothing but itself with its runtime: each connection belongs to another thread's.
struct Listening {
    socket: AsyncFd<net::TcpListener>,
    /// Our end of each connection; none where it has to be asked for, as the listener has more than one address.
    local: Option<SocketAddr>,
}

impl Listening {
    fn on(socket: net::TcpListener) -> io::Result<Self> {
        let local = socket.local_addr()?;
        // With IP_TRANSPARENT a connection has the address that its client wanted.
        let has_one =
            !local.ip().is_unspecified() && !SockRef::from(&socket).ip_transparent_v4().unwrap_or(true);
        let local = has_one.then_some(local);
        #[expect(
            deprecated,
            reason = "it is sound for a listener, whose descriptor stays what it is; what came instead is `unsafe`"
        )]
        let socket = AsyncFd::with_interest(socket, Interest::READABLE)?;
        Ok(Self { socket, local })
    }

    /// Accepts a connection without waiting for one.
    fn next_in_queue(&self) -> io::Result<(net::TcpStream, Ends)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (socket, peer) = acceptfrom_with(self.socket.get_ref(), flags)?;
        let stream = net::TcpStream::from(socket);
        let peer = match peer.map(SocketAddr::try_from) {
            Some(Ok(peer)) => peer,
            Some(Err(_)) | None => stream.peer_addr()?,
        };
        let local = self.local.map_or_else(|| stream.local_addr(), Ok)?;
        let ends = Ends {
            peer: unmapped(peer),
            local: unmapped(local),
        };
        Ok((stream, ends))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_have_the_options_of_their_listener() {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        prepare(&listener).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(UNACKNOWLEDGED));
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), UNSENT_BYTES);
    }

    /// A connection's own end is the address that its client has dialled, whatever the listener is bound to.
    #[tokio::test]
    async fn the_ends_of_a_connection_are_those_that_its_client_sees() {
        for bound in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
            let listener = bind(bound.parse::<SocketAddr>().unwrap()).await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let listener = Listening::on(listener.into_std().unwrap()).unwrap();
            let client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let accept = |_: &net::TcpListener| listener.next_in_queue();
            let (_stream, ends) = listener
                .socket
                .async_io(Interest::READABLE, accept)
                .await
                .unwrap();
            assert_eq!(ends.peer, client.local_addr().unwrap(), "{bound}");
            assert_eq!(ends.local, client.peer_addr().unwrap(), "{bound}");
            assert!(
                listener
                    .next_in_queue()
                    .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
            );
        }
    }
}
