//! A stream whose first bytes were read already, and are read again before the others.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{ahead::Ahead, client_stream::Settle};

pub(super) struct Replayed<S> {
    first: Ahead,
    stream: S,
}

impl<S> Replayed<S> {
    pub(super) fn new(first: Vec<u8>, stream: S) -> Self {
        Self {
            first: Ahead::new(first),
            stream,
        }
    }
}

impl<S: Settle> Settle for Replayed<S> {
    fn settle(&mut self) {
        self.stream.settle();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Replayed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.give(buf) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Replayed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn what_was_read_comes_again_first() {
        let mut stream = Replayed::new(b"abc".to_vec(), &b"defg"[..]);
        let mut two = [0; 2];
        for expected in [b"ab", b"c\0", b"de", b"fg"] {
            two = [0; 2];
            let read = stream.read(&mut two).await.unwrap();
            assert_eq!((&two, read), (expected, if expected == b"c\0" { 1 } else { 2 }));
        }
        assert_eq!(stream.read(&mut two).await.unwrap(), 0);
    }
}
