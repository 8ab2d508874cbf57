//! Where one WebSocket frame ends and the next begins (RFC 6455 section 5.2); nothing of a payload is looked at.

/// Follows one direction of a tunnel.
#[derive(Debug, Default)]
pub(super) struct Frames {
    header: Header,
    /// Bytes of the current frame that are still to come, masking key included.
    left: u64,
    closed: bool,
}

/// What is known of a frame whose length isn't yet.
#[derive(Debug, Default)]
struct Header {
    seen: u8,
    masked: bool,
    length_bytes: u8,
    length: u64,
}

impl Frames {
    /// Follows bytes that go by.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let now = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                self.left -= now as u64;
                bytes = bytes.get(now..).unwrap_or_default();
            } else {
                self.header_byte(first);
                bytes = rest;
            }
        }
    }

    /// May another frame be written now?
    pub(super) fn between_frames(&self) -> bool {
        self.left == 0 && self.header.seen == 0
    }

    /// Has a Close frame gone by?
    pub(super) fn closed(&self) -> bool {
        self.closed
    }

    fn header_byte(&mut self, byte: u8) {
        let header = &mut self.header;
        header.seen += 1;
        match header.seen {
            1 => {
                self.closed |= byte & 0x0f == CLOSE;
                return;
            }
            2 => {
                header.masked = byte & 0x80 != 0;
                (header.length_bytes, header.length) = match byte & 0x7f {
                    126 => (2, 0),
                    127 => (8, 0),
                    short => (0, u64::from(short)),
                };
            }
            _ => header.length = header.length << 8 | u64::from(byte),
        }
        if header.seen == 2 + header.length_bytes {
            self.left = header.length.saturating_add(if header.masked { 4 } else { 0 });
            self.header = Header::default();
        }
    }
}

/// The opcode of a Close frame (RFC 6455 section 11.8).
const CLOSE: u8 = 8;

/// A Close frame with 1001, "going away" (RFC 6455 sections 5.5.1 and 7.4.1), as a server sends it.
pub(super) const GOING_AWAY: &[u8] = &[0x88, 0x02, 0x03, 0xe9];

/// The same as a client sends it: masked, with a key of zeros.
pub(super) const GOING_AWAY_MASKED: &[u8] = &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(payload: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x82];
        match payload {
            0..126 => frame.push(mask | u8::try_from(payload).unwrap()),
            126..65536 => {
                frame.push(mask | 0x7e);
                frame.extend(u16::try_from(payload).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(mask | 0x7f);
                frame.extend((payload as u64).to_be_bytes());
            }
        }
        frame.extend(vec![0xff; payload + if masked { 4 } else { 0 }]);
        frame
    }

    proptest! {
        #[test]
        fn the_end_of_every_frame_is_found_however_it_is_cut(
            payloads in prop::collection::vec((prop_oneof![0usize..200, 65_000usize..66_000], any::<bool>()), 1..6),
            cut in 1usize..5000,
        ) {
            let mut frames = Frames::default();
            for (payload, masked) in payloads {
                let bytes = frame(payload, masked);
                let (last, head) = bytes.split_last().unwrap();
                for piece in head.chunks(cut) {
                    frames.pass(piece);
                    prop_assert!(!frames.between_frames());
                }
                frames.pass(&[*last]);
                prop_assert!(frames.between_frames());
            }
        }
    }
}
