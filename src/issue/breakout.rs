//! The body of a breakout join: for whom it asks.
//!
//! The server issues for the user in the body, with that user's name and rights, whoever's token the request has. So the
//! body is read as protobuf, as the server reads it, and refused if another reader could see another user in it.
//!
//! Sources: contract.md section 5; `JoinBreakoutRoomReq` of `plugnmeet_breakout_room.proto`: 1 `breakout_room_id`, 2
//! `user_id`, 3 `room_id`, which the server takes from the token; the encoding of protocol buffers.

/// The fields of the message, all of them texts; those of other numbers say nothing to the server.
const LAST_FIELD: u64 = 3;

/// The greatest number of a field.
const MAX_NUMBER: u64 = (1 << 29) - 1;

/// The user for whom a body asks, empty if it names none; `None` if it can't be read, or not in one way alone.
pub(super) fn user_of(body: &[u8]) -> Option<&str> {
    let mut rest = body;
    let mut seen: [Option<&[u8]>; 4] = [None; 4];
    while !rest.is_empty() {
        let key;
        (key, rest) = varint(rest)?;
        let (number, form) = (key >> 3, key & 7);
        if !(1..=MAX_NUMBER).contains(&number) {
            return None;
        }
        let value;
        (value, rest) = match form {
            0 => (&[][..], varint(rest)?.1),
            1 => rest.split_at_checked(8)?,
            2 => {
                let (length, after) = varint(rest)?;
                after.split_at_checked(usize::try_from(length).ok()?)?
            }
            5 => rest.split_at_checked(4)?,
            // Groups, which nobody sends any more, and what is no form at all.
            _ => return None,
        };
        if number <= LAST_FIELD {
            let place = seen.get_mut(usize::try_from(number).ok()?)?;
            if form != 2 || place.replace(value).is_some() {
                return None;
            }
        }
    }
    let [_, room, user, parent] = seen.map(|text| str::from_utf8(text.unwrap_or_default()).ok());
    (room.is_some() && parent.is_some()).then_some(user)?
}

/// A number in its one shortest spelling.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        let shift = 7 * u32::try_from(at).ok()?;
        let bits = u64::from(byte & 0x7f);
        if (bits << shift) >> shift != bits {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            let is_shortest = at == 0 || bits != 0;
            return is_shortest.then_some((value, bytes.get(at + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_names_one_user_or_none() {
        assert_eq!(user_of(b""), Some(""));
        assert_eq!(user_of(b"\x0a\x03bk1\x12\x03ann"), Some("ann"));
        assert_eq!(user_of(b"\x12\x03ann\x0a\x03bk1\x1a\x04main"), Some("ann"));
        // Fields that the server does not know, in each form.
        assert_eq!(user_of(b"\x12\x03ann\x7a\x03???\x20\xff\x01"), Some("ann"));
        assert_eq!(
            user_of(b"\x39\0\0\0\0\0\0\0\0\x3d\0\0\0\0\x12\x03ann"),
            Some("ann")
        );
        let long = [&b"\x12\xac\x02"[..], &[b'a'; 300]].concat();
        assert_eq!(user_of(&long), Some("a".repeat(300)).as_deref());
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_read() {
        for body in [
            &b"\x12\x03ann\x12\x03bob"[..],
            b"\x12\x03ann\x12\x00",
            b"\x12\x03ann\x0a\x01a\x0a\x01b",
            b"\x10\x01",
            b"\x12\x03ann\x10\x01",
            b"\x13\x12\x03ann\x14",
            b"\x7b\x7c",
            b"\x14",
            b"\x17",
            b"\x02\x03ann",
            b"\x12\x83\x00ann",
            b"\x92\x00\x03ann",
            b"\x12\x04ann",
            b"\x12",
            b"\x92",
            b"\x12\x02\xff\xfe",
            b"\x0a\x01\xff\x12\x03ann",
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
            b"\xfa\xff\xff\xff\x7f\x00",
            br#"{"breakout_room_id":"bk1","user_id":"ann"}"#,
        ] {
            assert_eq!(user_of(body), None, "{body:?}");
        }
    }
}
