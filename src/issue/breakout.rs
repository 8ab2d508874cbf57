//! The one field of a breakout room's join that is looked at here: which room.
//!
//! Sources: plugnmeet-protocol, `JoinBreakoutRoomReq` (field 1, `breakout_room_id`); protobuf's encoding guide.

/// The room that the server will read: the last value of its field. Empty if there is none, or if this is no message,
/// in which case the server refuses it.
pub(super) fn room_id(body: &[u8]) -> String {
    last_string(body, 1)
        .map(|found| String::from_utf8_lossy(found).into_owned())
        .unwrap_or_default()
}

fn last_string(body: &[u8], wanted: u64) -> Option<&[u8]> {
    let mut rest = body;
    let mut found = None;
    let mut open_groups = 0_usize;
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        match tag & 7 {
            0 => drop(varint(&mut rest)?),
            1 => drop(take(&mut rest, 8)?),
            2 => {
                let length = varint(&mut rest)?;
                let value = take(&mut rest, usize::try_from(length).ok()?)?;
                if tag >> 3 == wanted && open_groups == 0 {
                    found = Some(value);
                }
            }
            3 => open_groups += 1,
            4 => open_groups = open_groups.checked_sub(1)?,
            5 => drop(take(&mut rest, 4)?),
            _ => return None,
        }
    }
    found
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    const MOST_BYTES: u32 = 10;
    let mut value = 0_u64;
    for at in 0..MOST_BYTES {
        let byte = *take(rest, 1)?.first()?;
        value |= u64::from(byte & 0x7f).wrapping_shl(7 * at);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn finds_the_room_among_other_fields() {
        assert_eq!(room_id(b"\x0a\x03bk1"), "bk1");
        assert_eq!(room_id(b"\x12\x02u1\x0a\x03bk1\x1a\x04main\x20\x01"), "bk1");
        // A tag in more bytes than it needs, a fixed32, a fixed64 and a group with a field of the same number in it.
        assert_eq!(
            room_id(b"\x8a\x80\x00\x03bk1\x2d1234\x3112345678\x43\x0a\x02no\x44"),
            "bk1"
        );
    }

    #[test]
    fn the_last_one_counts() {
        assert_eq!(room_id(b"\x0a\x03bk1\x0a\x03bk2"), "bk2");
    }

    #[test]
    fn what_is_no_message_names_no_room() {
        for body in [
            b"".as_slice(),
            b"{}",
            b"\x0a\x04bk1",
            b"\x0a\x03bk1\x0f",
            b"\x0a\x03bk1\x44",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x08\x03",
        ] {
            assert_eq!(room_id(body), "", "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn no_body_breaks_it(body: Vec<u8>) {
            room_id(&body);
        }
    }
}
