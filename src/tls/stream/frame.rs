//! The header of a record (RFC 8446 section 5.1).

use rustls::{ContentType, InvalidMessage};

use super::sizes::{HEADER_BYTES, RECORD_BYTES};

/// The length that no record may reach. TLS 1.3 allows less, which is looked at when the record is decrypted.
const LENGTH_LIMIT: usize = RECORD_BYTES + 2048;

/// The first record of what has come.
#[derive(Debug, PartialEq)]
pub(super) struct Frame<'r> {
    pub kind: ContentType,
    pub payload: &'r mut [u8],
}

impl<'r> Frame<'r> {
    /// `None`: it has not come as a whole.
    pub(super) fn first(bytes: &'r mut [u8]) -> Result<Option<Self>, InvalidMessage> {
        let kind = match bytes.first() {
            None => return Ok(None),
            Some(kind) => ContentType::from(*kind),
        };
        if matches!(kind, ContentType::Unknown(_)) {
            return Err(InvalidMessage::InvalidContentType);
        }
        // The version says nothing any more, but for its first byte.
        let Some([_, major, _, high, low]) = bytes.first_chunk::<HEADER_BYTES>() else {
            return match bytes.get(1..3) {
                Some([major, _]) if *major != 3 => Err(InvalidMessage::UnknownProtocolVersion),
                _ => Ok(None),
            };
        };
        if *major != 3 {
            return Err(InvalidMessage::UnknownProtocolVersion);
        }
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if length == 0 && kind != ContentType::ApplicationData {
            return Err(InvalidMessage::InvalidEmptyPayload);
        }
        if length >= LENGTH_LIMIT {
            return Err(InvalidMessage::MessageTooLarge);
        }
        let payload = bytes.get_mut(HEADER_BYTES..HEADER_BYTES + length);
        Ok(payload.map(|payload| Self { kind, payload }))
    }

    /// With its header.
    pub(super) fn bytes(&self) -> usize {
        HEADER_BYTES + self.payload.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_there_or_not_yet_or_is_none() {
        for (bytes, expected) in [
            (&b""[..], Ok(None)),
            (b"\x17", Ok(None)),
            (b"\x17\x03\x03\x00", Ok(None)),
            (b"\x17\x03\x03\x00\x02a", Ok(None)),
            (
                b"\x17\x03\x03\x00\x02ab",
                Ok(Some((ContentType::ApplicationData, 7))),
            ),
            (
                b"\x17\x03\x01\x00\x02abc",
                Ok(Some((ContentType::ApplicationData, 7))),
            ),
            (
                b"\x17\x03\x03\x00\x00",
                Ok(Some((ContentType::ApplicationData, 5))),
            ),
            (b"\x16\x03\x03\x00\x00", Err(InvalidMessage::InvalidEmptyPayload)),
            (b"\x17\x03\x03\x47\xff", Ok(None)),
            (b"\x17\x03\x03\x48\x00", Err(InvalidMessage::MessageTooLarge)),
            (b"GET", Err(InvalidMessage::InvalidContentType)),
            (b"\x17\x02", Ok(None)),
            (b"\x17\x02\x03", Err(InvalidMessage::UnknownProtocolVersion)),
            (
                b"\x17\x02\x03\x00\x00",
                Err(InvalidMessage::UnknownProtocolVersion),
            ),
        ] {
            let mut bytes = bytes.to_vec();
            let read = Frame::first(&mut bytes);
            let read = read.map(|frame| frame.map(|frame| (frame.kind, frame.bytes())));
            assert_eq!(read, expected, "{bytes:?}");
        }
    }
}
