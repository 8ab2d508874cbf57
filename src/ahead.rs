//! Bytes of a stream that were read before anybody knew whose they are, and are read again before all others.

use bytes::{Buf, Bytes};
use tokio::io::ReadBuf;

/// Most streams have none, and then this is a pointer to nothing.
#[derive(Default)]
pub struct Ahead(Option<Box<Bytes>>);

impl Ahead {
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(Some(bytes.into()).filter(Buf::has_remaining).map(Box::new))
    }

    /// Gives what there is room for. False: there is nothing left, and the stream itself is to be read.
    pub fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let Some(bytes) = &mut self.0 else { return false };
        let now = bytes.len().min(buf.remaining());
        buf.put_slice(&bytes.split_to(now));
        if bytes.is_empty() {
            self.0 = None;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_given_once_and_in_order() {
        let mut ahead = Ahead::new(b"abc".to_vec());
        for expected in ["ab", "c"] {
            let mut room = [0; 2];
            let mut buf = ReadBuf::new(&mut room);
            assert!(ahead.give(&mut buf));
            assert_eq!(buf.filled(), expected.as_bytes());
        }
        assert!(!ahead.give(&mut ReadBuf::new(&mut [0; 2])));
        assert!(!Ahead::new(Bytes::new()).give(&mut ReadBuf::new(&mut [0; 2])));
    }
}
