//! The handshake.

use std::{
    future::poll_fn,
    io,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustls::{CommonState, ProtocolVersion, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::{MUCH_BYTES, Spares, Tickets, TlsStream, failure, outgoing::Outgoing, session::Session};
use crate::tls::hello::MAX_HELLO_BYTES;

/// How much is read at once.
const READ_BYTES: usize = 2048;

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    /// Shakes hands. `first` is what has been read of the connection.
    pub(in crate::tls) async fn accept(
        stream: S,
        first: Vec<u8>,
        config: Arc<ServerConfig>,
        spares: Arc<Spares>,
        name: Option<String>,
    ) -> io::Result<Self> {
        let mut stream = Self {
            stream,
            session: Session::new(config).map_err(|error| failure(&error))?,
            incoming: first,
            plain: Vec::new(),
            given: 0,
            outgoing: Outgoing::default(),
            spares,
            is_cut: false,
            said_goodbye: false,
            tickets: Tickets::Gone,
            settles_after: MUCH_BYTES,
            name: name.map(String::into_boxed_str),
        };
        poll_fn(|cx| stream.poll_handshake(cx)).await?;
        Ok(stream)
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let plain = &mut self.plain;
            let done = self.session.hear(
                &mut self.incoming,
                |bytes| plain.extend_from_slice(bytes),
                &mut self.outgoing,
                &self.spares,
            );
            if done >= self.incoming.len() {
                self.incoming = Vec::new();
            } else {
                self.incoming.drain(..done);
            }
            if let Some(error) = self.session.failed() {
                let error = failure(error);
                // The alert. That it can't be sent is not what went wrong.
                ready!(self.poll_send(cx)).ok();
                return Poll::Ready(Err(error));
            }
            let agreed = self.session.agreed();
            let is_done = agreed.is_some_and(|agreed| !agreed.is_handshaking());
            let version = agreed.and_then(CommonState::protocol_version);
            if is_done && version == Some(ProtocolVersion::TLSv1_3) {
                // Tickets go out with the answer, or when the client has nothing to ask yet.
                self.tickets = Tickets::Kept;
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_send(cx))?;
            if is_done {
                return Poll::Ready(Ok(()));
            }
            if self.incoming.len() >= MAX_HELLO_BYTES {
                let what = "the hello is too long";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, what)));
            }
            self.incoming.reserve(READ_BYTES);
            let read = {
                let reading = pin!(self.stream.read_buf(&mut self.incoming));
                ready!(Future::poll(reading, cx))?
            };
            if read == 0 {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "tls handshake eof",
                )));
            }
        }
    }
}
