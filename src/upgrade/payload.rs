//! The bytes of messages inside a WebSocket's frames (RFC 6455 section 5.2), unmasked in a copy: what passes is not
//! changed.
//!
//! Not here: where frames end, for a tunnel that closes between two of them (`super::frames`).

/// Frames that no reader of ours understands: an extension has its bits in them, as compression has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// Follows one direction of a tunnel.
#[derive(Debug, Default)]
pub(super) struct Payloads {
    /// Bytes of the current frame's header so far.
    seen: usize,
    is_data: bool,
    is_masked: bool,
    length_bytes: usize,
    length: u64,
    key: [u8; 4],
    /// Bytes of the current frame's payload that are still to come.
    left: u64,
    /// The byte of the key that is next.
    turn: usize,
}

/// Bytes that are unmasked at once.
const PIECE: usize = 512;

impl Payloads {
    /// Follows bytes that go by; `hear` gets those of text and binary messages, whose frames are joined.
    pub(super) fn pass(&mut self, mut bytes: &[u8], mut hear: impl FnMut(&[u8])) -> Result<(), Unreadable> {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.left == 0 {
                self.header_byte(first)?;
                bytes = rest;
                continue;
            }
            let now = usize::try_from(self.left)
                .unwrap_or(usize::MAX)
                .min(bytes.len())
                .min(PIECE);
            let (piece, rest) = bytes.split_at(now);
            if self.is_data {
                let mut clear = [0; PIECE];
                let key = self.key.iter().cycle().skip(self.turn);
                for ((clear, masked), key) in clear.iter_mut().zip(piece).zip(key) {
                    *clear = masked ^ key;
                }
                hear(clear.get(..now).unwrap_or_default());
            }
            self.turn = (self.turn + now) % 4;
            self.left -= now as u64;
            bytes = rest;
        }
        Ok(())
    }

    fn header_byte(&mut self, byte: u8) -> Result<(), Unreadable> {
        self.seen += 1;
        let key_begins = 2 + self.length_bytes;
        match self.seen {
            1 => {
                if byte & RESERVED != 0 {
                    return Err(Unreadable);
                }
                self.is_data = byte & 0x0f <= BINARY;
                return Ok(());
            }
            2 => {
                self.is_masked = byte & 0x80 != 0;
                (self.length_bytes, self.length) = match byte & 0x7f {
                    126 => (2, 0),
                    127 => (8, 0),
                    short => (0, u64::from(short)),
                };
            }
            nth if nth <= key_begins => self.length = self.length << 8 | u64::from(byte),
            nth => {
                if let Some(key) = self.key.get_mut(nth - key_begins - 1) {
                    *key = byte;
                }
            }
        }
        if self.seen == 2 + self.length_bytes + if self.is_masked { 4 } else { 0 } {
            *self = Self {
                is_data: self.is_data,
                key: if self.is_masked { self.key } else { [0; 4] },
                left: self.length,
                ..Self::default()
            };
        }
        Ok(())
    }
}

/// RSV1 to RSV3.
const RESERVED: u8 = 0x70;

/// The highest opcode of data: continuation, text and binary (RFC 6455 section 11.8).
const BINARY: u8 = 2;

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub fn frame(first: u8, payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
        let mask = if key.is_some() { 0x80 } else { 0 };
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..126 => frame.push(mask | u8::try_from(short).unwrap()),
            middle @ 126..65536 => {
                frame.push(mask | 0x7e);
                frame.extend(u16::try_from(middle).unwrap().to_be_bytes());
            }
            long => {
                frame.push(mask | 0x7f);
                frame.extend((long as u64).to_be_bytes());
            }
        }
        frame.extend(key.into_iter().flatten());
        let key = key.unwrap_or_default();
        frame.extend(
            payload
                .iter()
                .zip(key.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
        frame
    }

    proptest! {
        #[test]
        fn messages_are_heard_however_they_are_cut(
            messages in prop::collection::vec(
                (prop::collection::vec(any::<u8>(), 0..1400), any::<Option<[u8; 4]>>(), 0u8..3), 0..6),
            pings in any::<bool>(),
            cut in 1usize..700,
        ) {
            let (mut bytes, mut said) = (Vec::<u8>::new(), Vec::<u8>::new());
            for (payload, key, opcode) in &messages {
                bytes.extend(frame(*opcode, payload, *key));
                said.extend(payload);
                if pings {
                    bytes.extend(frame(0x89, b"PING of the frames' own", *key));
                }
            }
            let (mut payloads, mut heard) = (Payloads::default(), Vec::new());
            for piece in bytes.chunks(cut) {
                payloads.pass(piece, |bytes| heard.extend_from_slice(bytes)).unwrap();
            }
            prop_assert_eq!(heard, said);
        }
    }

    #[test]
    fn what_is_compressed_is_not_read() {
        let compressed = frame(0xc2, b"x", None);
        assert_eq!(Payloads::default().pass(&compressed, |_| ()), Err(Unreadable));
    }

    #[test]
    fn a_frame_of_any_length_costs_no_memory() {
        let mut endless = vec![0x82, 0x7f];
        endless.extend(u64::MAX.to_be_bytes());
        endless.extend([7; 100]);
        let mut heard = 0;
        let mut payloads = Payloads::default();
        payloads.pass(&endless, |bytes| heard += bytes.len()).unwrap();
        assert_eq!((heard, payloads.left), (100, u64::MAX - 100));
    }
}
