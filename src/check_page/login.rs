//! A login for `LiveKit`'s TURN, made as `LiveKit` makes one for each participant.
//!
//! The user name is `KEY|PARTICIPANT|EXPIRY`, the password the SHA-256 of `SECRET|PARTICIPANT|EXPIRY`, both in the base
//! 62 of its library. `LiveKit` looks at the end, and at no list of participants.
//!
//! Sources: livekit `pkg/service/turn.go` (`CreateUsername`, `CreatePassword`); jxskiss/base62 (`encodeV2`).

use aws_lc_rs::digest;

use crate::secret::Secret;

/// A participant that no room has; `LiveKit`'s log shows it.
const PARTICIPANT: &str = "PA_check_page";

/// A user name and its password.
pub(super) struct Login {
    pub username: String,
    pub credential: String,
}

/// A login that is good until `expiry`, in seconds since 1970.
pub(super) fn made(key: &str, secret: &Secret<String>, expiry: i64) -> Login {
    let proof = format!("{}|{PARTICIPANT}|{expiry}", secret.expose());
    Login {
        username: base62(format!("{key}|{PARTICIPANT}|{expiry}").as_bytes()),
        credential: base62(digest::digest(&digest::SHA256, proof.as_bytes()).as_ref()),
    }
}

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Six bits a character, from the end; of the six bits for which there is no character, five.
fn base62(bytes: &[u8]) -> String {
    let bit = |at: usize| {
        let byte = bytes.len().checked_sub(1 + at / 8).and_then(|nth| bytes.get(nth));
        usize::from(byte.is_some_and(|byte| byte >> (at % 8) & 1 == 1))
    };
    let (mut at, whole) = (0, bytes.len() * 8);
    let mut text = String::new();
    while at < whole {
        let six = (0..6).fold(0, |sum, nth| sum | bit(at + nth) << nth);
        let left = whole - at;
        let (value, taken) = match six & 0x1e {
            0x1e if left > 6 || six > 0x1f => (six & 0x1f, 5),
            0x1e => (six & 0x1f, 6),
            _ => (six, 6),
        };
        text.extend(ALPHABET.get(value).map(|letter| char::from(*letter)));
        at += taken;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of them by the library that `LiveKit` uses.
    #[test]
    fn names_and_passwords_are_those_that_livekit_would_make() {
        for (bytes, expected) in [
            (&b"a"[..], "hB"),
            (b"\xff", "fH"),
            (b"\xff\xff\xff", "ffffP"),
            (b"~~~~~~", "ezPf5nf8D"),
            (b"\0\0x", "4BAA"),
            (b"", ""),
        ] {
            assert_eq!(base62(bytes), expected, "{bytes:?}");
        }
        let login = made("APIkey", &Secret::new("secret".to_owned()), 1_790_000_000);
        assert_eq!(login.username, "wADMwADMwkzNxwXZnFGcfatxKDtxeVQQxXeKbtkgKI");
        assert_eq!(login.credential, "4OzVqLf7j44KATXPsNxZB7dRu4swaBe7biEbLHkXSvo");
    }
}
