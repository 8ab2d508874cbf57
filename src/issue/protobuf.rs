//! Reads small protobuf messages as plugnmeet-server's decoder does: if a field occurs twice the last one counts, a
//! field of another wire type is an unknown field, and unknown fields are skipped.
//!
//! The gateway needs two or three fields of a call and leaves the rest of the message to the server.
//!
//! Source: protobuf's "Encoding", "Last One Wins".

/// The largest depth of groups within groups that is skipped. No message of the server's has groups.
const MAX_DEPTH: usize = 100;

/// The fields of a message.
#[derive(Debug)]
pub(super) struct Message<'b> {
    fields: Vec<(u64, Value<'b>)>,
}

#[derive(Clone, Copy, Debug)]
enum Value<'b> {
    Varint(u64),
    Bytes(&'b [u8]),
    Unknown,
}

impl<'b> Message<'b> {
    /// Reads a message; none if the bytes are no message.
    pub(super) fn read(bytes: &'b [u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut fields = Vec::new();
        while !rest.is_empty() {
            fields.push(field(&mut rest, 0)?);
        }
        // The end of a group that has not begun.
        fields
            .iter()
            .all(|(number, _)| *number != 0)
            .then_some(Self { fields })
    }

    /// A text, empty if it is not there; none if it is not UTF-8, which the server refuses.
    pub(super) fn text(&self, number: u64) -> Option<&'b str> {
        let mut found = "";
        for (at, value) in &self.fields {
            if let Value::Bytes(bytes) = value
                && *at == number
            {
                found = std::str::from_utf8(bytes).ok()?;
            }
        }
        Some(found)
    }

    /// A text that is there once at most, and as a text; for what must not be read in two ways.
    pub(super) fn only_text(&self, number: u64) -> Option<&'b str> {
        let mut values = self.fields.iter().filter(|(at, _)| *at == number);
        match (values.next(), values.next()) {
            (None, _) => Some(""),
            (Some((_, Value::Bytes(bytes))), None) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    pub(super) fn flag(&self, number: u64) -> bool {
        let values = self.fields.iter().rev();
        let mut varints = values.filter_map(|(at, value)| match value {
            Value::Varint(value) if *at == number => Some(*value),
            Value::Varint(_) | Value::Bytes(_) | Value::Unknown => None,
        });
        varints.next().is_some_and(|value| value != 0)
    }
}

/// Takes one field off the front of `rest`. The end of a group is returned as field 0.
fn field<'b>(rest: &mut &'b [u8], depth: usize) -> Option<(u64, Value<'b>)> {
    let tag = varint(rest)?;
    let (number, wire_type) = (tag >> 3, tag & 7);
    if number == 0 || number > 0x1fff_ffff {
        return None;
    }
    let value = match wire_type {
        0 => Value::Varint(varint(rest)?),
        1 => take(rest, 8).map(|_| Value::Unknown)?,
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            Value::Bytes(take(rest, length)?)
        }
        3 if depth < MAX_DEPTH => {
            while field(rest, depth + 1)?.0 != 0 {}
            Value::Unknown
        }
        4 => return Some((0, Value::Unknown)),
        5 => take(rest, 4).map(|_| Value::Unknown)?,
        _ => return None,
    };
    Some((number, value))
}

fn take<'b>(rest: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_the_client_sends() {
        let body = b"\x0a\x03sid\x12\x06room01\x1a\x03bob\x22\x02hi\x28\x01";
        let message = Message::read(body).unwrap();
        assert_eq!(message.text(1), Some("sid"));
        assert_eq!(message.text(3), Some("bob"));
        assert_eq!(message.text(9), Some(""));
        assert!(message.flag(5) && !message.flag(6));
        assert_eq!(Message::read(b"").unwrap().text(1), Some(""));
    }

    #[test]
    fn the_last_one_wins_and_another_wire_type_is_unknown() {
        let twice = Message::read(b"\x1a\x03bob\x28\x01\x1a\x03ann\x28\x00").unwrap();
        assert_eq!(twice.text(3), Some("ann"));
        assert!(!twice.flag(5));
        let other = Message::read(b"\x1a\x03bob\x18\x07\x2a\x01x").unwrap();
        assert_eq!(other.text(3), Some("bob"));
        assert!(!other.flag(5));
        let skipped = Message::read(b"\x0b\x10\x01\x13\x14\x0c\x1a\x03bob\x31AAAAAAAA\x3dAAAA").unwrap();
        assert_eq!(skipped.text(3), Some("bob"));
    }

    #[test]
    fn what_is_no_message_is_not_read() {
        for body in [
            &b"\x1a"[..],
            b"\x1a\x04bob",
            b"\x00\x00",
            b"\x0c",
            b"\x0b\x10\x01",
            b"\x1e\x00",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ] {
            assert!(Message::read(body).is_none(), "{body:?}");
        }
        assert_eq!(Message::read(b"\x1a\x01\xff").unwrap().text(3), None);
        assert!(Message::read(&[0x0b; 5000]).is_none());
    }

    proptest! {
        #[test]
        fn survives_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(message) = Message::read(&bytes) {
                let _ = (message.text(1), message.flag(1));
            }
        }
    }
}
