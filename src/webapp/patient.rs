//! A large script, sent so that what the browser draws first gets past it.
//!
//! A browser draws nothing before the style sheets of the head are there, and asks for them together with megabytes of
//! script. HTTP/2's streams take turns by frames: a script that begins with small ones leaves most of the line to the
//! style sheets for as long as they need it. Over HTTP/1 each has a connection of its own, and nothing changes.
//!
//! Source: RFC 9113 section 5.3 (who goes first is the server's to decide); `h2` sends one frame of a stream after one
//! of another.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::reply::BoxError;

/// The least size of a script that is sent this way. A smaller one delays the style sheets too little to matter.
pub(super) const LEAST_BYTES: usize = 48 << 10;

/// The number of small frames at the start. The client's largest style sheet needs seven frames of 16 KiB in the same
/// time.
const SMALL_FRAMES: usize = 16;
const SMALL_BYTES: usize = 1 << 10;

/// A body that begins with small frames; holds the bytes that are still to be sent.
#[derive(Debug)]
pub(super) struct Patient {
    rest: Bytes,
    small_frames: usize,
}

impl Patient {
    pub fn new(bytes: Bytes) -> Self {
        Self {
            rest: bytes,
            small_frames: SMALL_FRAMES,
        }
    }
}

impl HttpBody for Patient {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let len = if self.small_frames > 0 {
            SMALL_BYTES.min(self.rest.len())
        } else {
            self.rest.len()
        };
        self.small_frames = self.small_frames.saturating_sub(1);
        let piece = self.rest.split_to(len);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn the_bytes_are_the_same_and_the_first_come_in_small_frames() {
        let bytes: Bytes = (0..100_000_u32)
            .map(|n| n.to_le_bytes()[1])
            .collect::<Vec<_>>()
            .into();
        let mut body = Patient::new(bytes.clone());
        assert_eq!(body.size_hint().exact(), Some(100_000));
        let mut frames = Vec::new();
        while let Some(frame) = body.frame().await {
            frames.push(frame.unwrap().into_data().unwrap());
        }
        assert!(body.is_end_stream());
        assert_eq!(frames.concat(), bytes);
        assert_eq!(frames.len(), SMALL_FRAMES + 1);
        assert!(
            frames
                .iter()
                .take(SMALL_FRAMES)
                .all(|frame| frame.len() == SMALL_BYTES)
        );
    }
}
