//! The socket of a connection that has switched to another protocol: of the wire it has kept the deadline of writes, and what
//! came behind the last head.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{activity::Activity, write_deadline::WriteDeadline};
use crate::ahead::Ahead;

pub(super) struct Switched<S> {
    stream: S,
    /// What was read behind the last head, and is read again first.
    ahead: Ahead,
    /// Does nothing come behind that?
    ended: bool,
    /// It holds the connection's place too.
    activity: Activity,
    write_deadline: WriteDeadline,
}

impl<S> Switched<S> {
    pub(super) fn new(stream: S, ahead: Vec<u8>, ended: bool, activity: Activity) -> Self {
        Self {
            stream,
            ahead: Ahead::new(ahead),
            ended,
            activity,
            write_deadline: WriteDeadline::default(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Switched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.give(buf) {
            return Poll::Ready(Ok(()));
        }
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Switched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.write_deadline.poll(this.activity.write_limit(), cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.stream).poll_flush(cx);
        this.write_deadline.poll(this.activity.write_limit(), cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.write_deadline.poll(this.activity.write_limit(), cx, polled)
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroUsize, sync::Arc, time::Duration};

    use hyper::{Request, Response, StatusCode, header};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, duplex},
        net::{TcpListener, TcpStream},
        sync::mpsc,
    };

    use super::*;
    use crate::{
        addr::{Ends, Networks},
        client_body::{ClientBody, ClientRequest},
        client_stream::Switch,
        conn::{Conn, ConnSettings, Handler, Protocol},
        context::Peer,
        drain::Drain,
        places::{Place, Places, PlacesSettings},
        reply::{Body, Failure},
        workers::Workers,
    };

    const SECOND: Duration = Duration::from_secs(1);

    async fn place() -> Place {
        let settings = PlacesSettings {
            most: 1,
            for_one: None,
            proxies: Networks::default(),
        };
        let places = Places::new(settings);
        let workers = Workers::start("test", NonZeroUsize::MIN).unwrap();
        let free = places.free().await.unwrap();
        places.take(free, workers.least_busy().unwrap().1)
    }

    /// Agrees to every upgrade.
    struct Agrees(mpsc::UnboundedSender<Switch>);

    impl Handler for Agrees {
        type Body = Body;

        async fn handle(&self, mut request: ClientRequest, _: Peer) -> Response<Body> {
            let switch = request.extensions_mut().remove::<Switch>().unwrap();
            self.0.send(switch).unwrap();
            Response::builder()
                .status(StatusCode::SWITCHING_PROTOCOLS)
                .header(header::CONNECTION, "upgrade")
                .header(header::UPGRADE, "other")
                .body(Body::Empty)
                .unwrap()
        }

        fn refuse(&self, _: &Request<ClientBody>, _: Peer, _: Failure) -> Response<Body> {
            Response::new(Body::Empty)
        }
    }

    #[tokio::test]
    async fn nothing_is_left_around_a_stream_and_what_came_early_is_read_first() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        let ends = Ends {
            peer,
            local: stream.local_addr().unwrap(),
        };
        let (taken, mut switches) = mpsc::unbounded_channel();
        let settings = ConnSettings {
            header: SECOND * 60,
            idle: SECOND * 60,
            max_header_bytes: 16 * 1024,
            small_body_bytes: 0,
            proxies: Networks::default(),
        };
        let conn = Conn::new(settings, Arc::new(Agrees(taken)), &Drain::default());
        let place = place().await;
        tokio::spawn(async move { conn.serve(stream, Protocol::Http1, ends, &place).await });

        client
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\nearly")
            .await
            .unwrap();
        let switch = switches.recv().await.unwrap();
        let mut stream = switch.switched().await.unwrap();
        assert_eq!(size_of_val(&*stream), size_of::<Switched<TcpStream>>());

        client.write_all(b", late").await.unwrap();
        client.shutdown().await.unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "early, late");
        stream.write_all(b"answer").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("\r\n\r\nanswer"), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_has_as_long_as_on_any_connection() {
        let (stream, _client) = duplex(4);
        let activity = Activity::begin(SECOND, SECOND * 60, &place().await);
        let mut stream = Switched::new(stream, Vec::new(), false, activity);
        let began = tokio::time::Instant::now();
        let ended = stream.write_all(b"12345").await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= SECOND * 60);
    }
}
