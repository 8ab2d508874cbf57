//! The body of a breakout join: the user for whom it asks.
//!
//! The server issues a token for the user in the body, with that user's name and rights, even if the request carries
//! another user's token. So the body is read as protobuf, as the server reads it, and refused if another reader could
//! find another user in it.
//!
//! Sources: docs/plugnmeet.md section 5; `JoinBreakoutRoomReq` of `plugnmeet_breakout_room.proto`: 1
//! `breakout_room_id`, 2 `user_id`, 3 `room_id`, which the server takes from the token.

use super::protobuf::Message;

/// The fields of the message, all of them texts; those of other numbers say nothing to the server.
const FIELDS: std::ops::RangeInclusive<u64> = 1..=3;
const USER_ID: u64 = 2;

/// The user for whom a body asks, empty if it names none; `None` if it can't be read, or not in one way alone.
pub(super) fn user_of(body: &[u8]) -> Option<&str> {
    let message = Message::read(body)?;
    FIELDS
        .map(|number| message.only_text(number))
        .collect::<Option<Vec<_>>>()?;
    message.only_text(USER_ID)
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
            b"\x14",
            b"\x17",
            b"\x02\x03ann",
            b"\x12\x04ann",
            b"\x12",
            b"\x92",
            b"\x12\x02\xff\xfe",
            b"\x0a\x01\xff\x12\x03ann",
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
            br#"{"breakout_room_id":"bk1","user_id":"ann"}"#,
        ] {
            assert_eq!(user_of(body), None, "{body:?}");
        }
    }
}
