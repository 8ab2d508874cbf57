//! HTTP/1.1 towards an upstream: one connection, on which one request and its answer are under way at a time. It has no
//! task of its own. Whoever waits for the answer reads it, and sends what is left of the request meanwhile.
//!
//! Not here: which connection a request takes (`super::pool`), and what is passed on of an answer (`super::answer_head`).
//!
//! SECURITY: where an answer ends decides whose the next one is. So what is no clear answer is an error, and nothing that
//! comes behind an answer is read as part of another.
//!
//! Sources: RFC 9112.

mod bad_answer;
mod decode;
mod head;
mod outgoing;

use std::{
    future::poll_fn,
    io,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http_body::Frame;
use hyper::{HeaderMap, Method, Response, StatusCode, http::response};
use tokio_util::task::AbortOnDropHandle;

pub(super) use self::outgoing::RequestHead;
use self::{
    bad_answer::BadAnswer,
    decode::{Decoder, Framing, Part},
    head::HeadReader,
    outgoing::{NotSent, Outgoing},
};
use super::{
    body::{BodyError, RequestBody},
    endpoint::Socket,
};

/// The room for one read, in bytes. It grows while reads fill it, so that a recording takes few system calls.
const LEAST_ROOM: usize = 4 * 1024;
const MOST_ROOM: usize = 128 * 1024;

/// The largest buffer, in bytes, that is kept for the next request.
const KEPT: usize = 8 * 1024;

/// One connection.
pub(super) struct Http1 {
    socket: Arc<Socket>,
    /// What has been read and belongs to nobody yet.
    incoming: BytesMut,
    room: usize,
    heads: HeadReader,
    /// The body of the answer that is being read.
    body: Decoder,
    /// The room for requests.
    buffer: Vec<u8>,
    /// Sends the rest of a request whose answer has begun before its end.
    rest: Option<AbortOnDropHandle<()>>,
    /// Has anything come since the last request began?
    has_read: bool,
    /// May another request be sent, once this answer has been read?
    keeps_alive: bool,
}

/// Why there is no answer, or no more of one.
#[derive(Debug, thiserror::Error)]
pub(super) enum Http1Error {
    /// The request could not be sent because of its body.
    #[error(transparent)]
    Body(BodyError),
    #[error(transparent)]
    Io(io::Error),
    #[error(transparent)]
    Answer(#[from] BadAnswer),
}

impl Http1 {
    pub(super) fn new(socket: Socket) -> Self {
        Self {
            socket: Arc::new(socket),
            incoming: BytesMut::new(),
            room: LEAST_ROOM,
            heads: HeadReader::default(),
            body: Decoder::new(Framing::Length(0)),
            buffer: Vec::new(),
            rest: None,
            has_read: false,
            keeps_alive: true,
        }
    }

    /// Sends a request and returns the head of its answer; `interim` gets the heads of those (1xx) that come before it.
    /// If this is given up, the connection is of no more use.
    pub(super) async fn send(
        &mut self,
        head: &RequestHead,
        body: RequestBody,
        mut interim: impl FnMut(StatusCode, &HeaderMap),
    ) -> Result<response::Parts, Http1Error> {
        self.has_read = false;
        self.keeps_alive = false;
        let to_head = head.method == Method::HEAD;
        let mut outgoing = Some(Outgoing::new(head, body, std::mem::take(&mut self.buffer)));
        let mut was_cut = false;
        let head = poll_fn(|cx| {
            loop {
                let sent = match &mut outgoing {
                    Some(sending) => sending.poll_send(&self.socket, cx),
                    None => Poll::Pending,
                };
                if let Poll::Ready(sent) = sent {
                    match sent {
                        Ok(()) => {}
                        // A server that has read enough of a request answers and closes. So the answer may be here
                        // although the rest of the request can't be sent.
                        Err(NotSent::Io(error)) if is_closed(&error) => was_cut = true,
                        Err(NotSent::Io(error)) => return Poll::Ready(Err(Http1Error::Io(error))),
                        Err(NotSent::Body(error)) => return Poll::Ready(Err(Http1Error::Body(error))),
                    }
                    self.buffer = outgoing.take().map(Outgoing::into_buffer).unwrap_or_default();
                }
                match self.heads.next(&mut self.incoming, to_head)? {
                    Some(head) if is_interim(head.status) => interim(head.status, &head.headers),
                    Some(head) => return Poll::Ready(Ok(head)),
                    None if ready!(self.poll_fill(cx)).map_err(Http1Error::Io)? == 0 => {
                        return Poll::Ready(Err(BadAnswer::Ended.into()));
                    }
                    None => {}
                }
            }
        })
        .await?;
        if self.buffer.capacity() > KEPT {
            self.buffer = Vec::new();
        }
        self.keeps_alive = head.keeps_alive && !was_cut;
        self.body = Decoder::new(head.framing);
        self.rest = outgoing.map(|outgoing| self.send_rest(outgoing));
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = head.status;
        parts.headers = head.headers;
        Ok(parts)
    }

    /// Reads the next part of the answer's body. At its end the answer's last byte has been read.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>> {
        loop {
            match self.body.next(&mut self.incoming)? {
                Part::Data(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Part::Trailers(trailers) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                Part::Over => return Poll::Ready(None),
                Part::NotYet => {}
            }
            if ready!(self.poll_fill(cx)).map_err(Http1Error::Io)? == 0 {
                self.keeps_alive = false;
                self.body.ended()?;
            }
        }
    }

    /// Has the answer's body been read to its end?
    pub(super) fn is_over(&self) -> bool {
        self.body.is_over()
    }

    /// The number of bytes of the body that are still to come, if the head has told it.
    pub(super) fn left(&self) -> Option<u64> {
        self.body.left()
    }

    /// Has a byte of the answer come?
    pub(super) fn has_read(&self) -> bool {
        self.has_read
    }

    /// May another request be sent? The buffers for an answer that was large are given back.
    pub(super) fn rests(&mut self) -> bool {
        if self.room > LEAST_ROOM && self.incoming.is_empty() {
            (self.incoming, self.room) = (BytesMut::new(), LEAST_ROOM);
        }
        self.keeps_alive && self.is_over() && self.incoming.is_empty() && self.rest.is_none()
    }

    /// Is the connection open, with nothing to read? If something has come on an idle connection, no request may be sent
    /// on it: what came is the end, or an answer that nobody asked for.
    pub(super) fn is_quiet(&self) -> bool {
        let seen = self.socket.try_peek();
        seen.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// The task that sends the rest of a request whose answer began before its end. None: all has been sent.
    pub(super) fn take_rest(&mut self) -> Option<AbortOnDropHandle<()>> {
        self.rest.take()
    }

    /// The socket, after an answer with status 101, and what came behind that answer.
    pub(super) fn switched(self) -> (Arc<Socket>, Bytes) {
        // In memory of its own: a tunnel would hold all of the buffer for as long as it lasts.
        (self.socket, Bytes::copy_from_slice(&self.incoming))
    }

    /// Sends the rest of a request in a task, so that it goes on whoever reads the answer, and how slowly.
    fn send_rest(&self, mut outgoing: Outgoing) -> AbortOnDropHandle<()> {
        let socket = Arc::clone(&self.socket);
        AbortOnDropHandle::new(tokio::spawn(async move {
            let sent = poll_fn(|cx| outgoing.poll_send(&socket, cx)).await;
            if let Err(NotSent::Body(_)) = sent {
                // The upstream hears that nothing more comes, and may end its answer.
                socket.of().shutdown(std::net::Shutdown::Write).ok();
            }
        }))
    }

    /// Reads what is there; 0 at the connection's end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.socket.poll_read_ready(cx))?;
            self.incoming.reserve(self.room);
            let room = self.incoming.spare_capacity_mut().len();
            match self.socket.try_read(&mut self.incoming) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(bytes) => {
                    self.has_read |= bytes > 0;
                    if bytes == room {
                        self.room = (self.room * 2).min(MOST_ROOM);
                    }
                    return Poll::Ready(Ok(bytes));
                }
            }
        }
    }
}

/// Is it the error of a write to a connection that the upstream has closed?
fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

/// Does another head follow, that of the answer itself? After 101 another protocol follows.
fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::AsyncWriteExt,
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[tokio::test]
    async fn a_connection_that_has_switched_holds_nothing_but_what_came_behind_the_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        for behind in ["", "early"] {
            let mut upstream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let mut http1 = Http1::new(Socket::Tcp(listener.accept().await.unwrap().0));
            upstream.write_all(b"answer early").await.unwrap();
            while http1.incoming.len() < "answer early".len() {
                poll_fn(|cx| http1.poll_fill(cx)).await.unwrap();
            }
            let read = http1.incoming.len() - behind.len();
            drop(http1.incoming.split_to(read));
            let (_, ahead) = http1.switched();
            assert_eq!(ahead, behind.as_bytes());
            let held = ahead.try_into_mut().map_or(0, |held| held.capacity());
            assert!(held < LEAST_ROOM / 2, "{held}");
        }
    }
}
