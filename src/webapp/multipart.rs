//! Several parts of a file in one answer: `multipart/byteranges`, without a copy of any of them.
//!
//! Source: RFC 9110 sections 14.6 and 15.3.7.2; RFC 2046 section 5.1.1 (boundaries).

use std::{
    collections::VecDeque,
    ops::Range,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::header::HeaderValue;

use super::content::Hash;
use crate::reply::BoxError;

/// A body of type `multipart/byteranges`: the parts that are still to be sent, each with its header.
#[derive(Debug)]
pub(super) struct Multipart {
    pieces: VecDeque<Bytes>,
    boundary: String,
}

impl Multipart {
    /// Makes the body for these ranges; `content_type` is that of the file.
    pub fn new(content: &Bytes, hash: Hash, content_type: &HeaderValue, parts: &[Range<usize>]) -> Self {
        // Nothing holds its own hash.
        let boundary = hash.text();
        let content_type = content_type.to_str().unwrap_or("application/octet-stream");
        let mut pieces = VecDeque::with_capacity(2 * parts.len() + 1);
        for (nth, part) in parts.iter().enumerate() {
            let line_end = if nth == 0 { "" } else { "\r\n" };
            let head = format!(
                "{line_end}--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: bytes {}-{}/{}\r\n\r\n",
                part.start,
                part.end.saturating_sub(1),
                content.len(),
            );
            pieces.push_back(head.into());
            pieces.push_back(content.slice(part.clone()));
        }
        pieces.push_back(format!("\r\n--{boundary}--\r\n").into());
        Self { pieces, boundary }
    }

    /// The number of bytes that are still to be sent.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    pub fn content_type(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("multipart/byteranges; boundary={}", self.boundary)).ok()
    }
}

impl HttpBody for Multipart {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(self.pieces.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn parts_stand_between_boundaries_each_with_its_type_and_place() {
        let content = Bytes::from_static(b"0123456789");
        let body = Multipart::new(
            &content,
            Hash::of(&content),
            &HeaderValue::from_static("text/plain"),
            &[7..10, 0..2],
        );
        assert_eq!(
            body.content_type().unwrap(),
            "multipart/byteranges; boundary=hNiYd_DUBB77a_kaFvAkjw"
        );
        let len = body.len();
        assert_eq!(body.size_hint().exact(), Some(len as u64));
        let sent = body.collect().await.unwrap().to_bytes();
        assert_eq!(sent.len(), len);
        assert_eq!(
            sent,
            "--hNiYd_DUBB77a_kaFvAkjw\r\nContent-Type: text/plain\r\nContent-Range: bytes 7-9/10\r\n\r\n789\r\n\
             --hNiYd_DUBB77a_kaFvAkjw\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01\r\n\
             --hNiYd_DUBB77a_kaFvAkjw--\r\n"
        );
    }
}
