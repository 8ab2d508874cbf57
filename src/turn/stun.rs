//! The few bytes of STUN that have to be known here: what tells a message from HTTP, a question that every TURN server
//! answers, and what the answer says of who asked.
//!
//! Source: RFC 8489 sections 5 (header, magic cookie), 14.1 and 14.2 (mapped addresses).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// Where the cookie stands.
const COOKIE_AT: usize = 4;
const HEADER_BYTES: usize = 20;

const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];
const ALLOCATE_ERROR: [u8; 2] = [0x01, 0x13];
const ERROR_CODE: u16 = 0x0009;
const REALM: u16 = 0x0014;
const MAPPED_ADDRESS: u16 = 0x0001;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

/// Do a connection's first bytes begin a message? None: there are too few of them to tell.
///
/// Two zero bits come first, and the cookie after two bytes each of type and length. An HTTP/1 request begins with a letter,
/// or with an empty line, whose two bytes have the two zero bits too.
pub fn begins_message(first: &[u8]) -> Option<bool> {
    let byte = *first.first()?;
    if byte & 0xc0 != 0 || matches!(byte, b'\r' | b'\n') {
        return Some(false);
    }
    let known = first.get(COOKIE_AT..).unwrap_or_default();
    if known.iter().zip(COOKIE).any(|(known, cookie)| *known != cookie) {
        return Some(false);
    }
    (known.len() >= COOKIE.len()).then_some(true)
}

/// A STUN Binding request (RFC 8489 section 3).
pub fn binding_request(transaction: [u8; 12]) -> Vec<u8> {
    [&[0x00, 0x01, 0x00, 0x00][..], &COOKIE, &transaction].concat()
}

/// "Give me a relay": without a login, which is refused with the realm.
pub fn allocate_request(transaction: [u8; 12]) -> Vec<u8> {
    let udp = [0x00, 0x19, 0x00, 0x04, 17, 0, 0, 0];
    [&[0x00, 0x03, 0x00, 0x08][..], &COOKIE, &transaction, &udp].concat()
}

/// Of a whole message: the realm, if it is the refusal of this transaction for want of a login.
pub fn realm(message: &[u8], transaction: [u8; 12]) -> Option<String> {
    let (header, _) = message.split_at_checked(HEADER_BYTES)?;
    if header.get(..2)? != ALLOCATE_ERROR || header.get(8..)? != transaction {
        return None;
    }
    let (mut unauthorized, mut realm) = (false, None);
    for (kind, value) in attributes(message) {
        match kind {
            ERROR_CODE => unauthorized = value.get(2..4) == Some(&[4, 1]),
            REALM => realm = Some(String::from_utf8_lossy(value).into_owned()),
            _ => {}
        }
    }
    realm.filter(|_| unauthorized)
}

/// The attributes of a message, as far as they are whole.
fn attributes(message: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = message.get(HEADER_BYTES..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (head, behind) = rest.split_at_checked(4)?;
        let kind = u16::from_be_bytes(head.get(..2)?.try_into().ok()?);
        let length = usize::from(u16::from_be_bytes(head.get(2..)?.try_into().ok()?));
        let value = behind.get(..length)?;
        rest = behind.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// How long a message is that begins with these bytes; none while there are too few, or it is no message.
pub fn length(message: &[u8]) -> Option<usize> {
    let length = message.get(2..4)?;
    let length = u16::from_be_bytes(length.try_into().ok()?);
    (begins_message(message) == Some(true)).then_some(HEADER_BYTES + usize::from(length))
}

/// Of a whole message: who asked, if it is the answer to this transaction.
pub fn mapped_address(message: &[u8], transaction: [u8; 12]) -> Option<SocketAddr> {
    let (header, _) = message.split_at_checked(HEADER_BYTES)?;
    if header.get(..2)? != BINDING_SUCCESS || header.get(8..)? != transaction {
        return None;
    }
    let mut plain = None;
    for (kind, value) in attributes(message) {
        match kind {
            XOR_MAPPED_ADDRESS => return address(value, &[&COOKIE[..], &transaction].concat()),
            MAPPED_ADDRESS => plain = address(value, &[0; 16]),
            _ => {}
        }
    }
    plain
}

fn address(value: &[u8], mask: &[u8]) -> Option<SocketAddr> {
    let family = *value.get(1)?;
    let unmasked = |at: usize, bytes: usize| -> Option<Vec<u8>> {
        let value = value.get(at..at + bytes)?;
        Some(value.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect())
    };
    let port = u16::from_be_bytes(unmasked(2, 2)?.try_into().ok()?);
    let ip = match family {
        1 => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(unmasked(4, 4)?).ok()?)),
        2 => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(unmasked(4, 16)?).ok()?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_told_from_http_by_its_first_bytes() {
        let allocate = b"\0\x03\0\x08\x21\x12\xa4\x42rest";
        for end in 0..8 {
            assert_eq!(begins_message(&allocate[..end]), None, "{end}");
        }
        assert_eq!(begins_message(allocate), Some(true));
        for http in [
            &b"G"[..],
            b"GET / HTTP/1.1\r\n",
            b"PRI * HTTP/2.0",
            b"\r",
            b"\r\nGET / HTTP/1.1\r\n",
            b"\n",
            // ChannelData, which can't come first, and a message of STUN's without the cookie.
            b"\x40\0\0\x08\x21\x12\xa4\x42",
            b"\0\x03\0\x08\x21\x12\xa4\x43",
            b"\0\x03\0\x08\x20",
            b"\x16\x03\x01\0\0",
        ] {
            assert_eq!(begins_message(http), Some(false), "{http:?}");
        }
    }

    /// RFC 5769 section 2.2, with the attribute for IPv4 alone.
    #[test]
    fn an_answer_says_who_asked() {
        let transaction = *b"\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae";
        let mut answer = b"\x01\x01\x00\x18\x21\x12\xa4\x42".to_vec();
        answer.extend(transaction);
        answer.extend(b"\x80\x22\x00\x05test \0\0\0".iter());
        answer.extend(b"\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43");
        assert_eq!(length(&answer), Some(44));
        assert_eq!(
            mapped_address(&answer, transaction),
            Some("192.0.2.1:32853".parse().unwrap())
        );
        assert_eq!(mapped_address(&answer, [0; 12]), None);
        for end in 0..answer.len() {
            assert_eq!(mapped_address(&answer[..end], transaction), None, "{end}");
        }
        assert_eq!(binding_request(transaction).len(), HEADER_BYTES);
    }

    #[test]
    fn a_refusal_has_the_realm() {
        let transaction = [7; 12];
        let mut answer = b"\x01\x13\x00\x18\x21\x12\xa4\x42".to_vec();
        answer.extend(transaction);
        answer.extend(b"\x00\x09\x00\x04\0\0\x04\x01\x00\x14\x00\x07livekit\0");
        assert_eq!(realm(&answer, transaction).as_deref(), Some("livekit"));
        assert_eq!(realm(&answer, [0; 12]), None);
        assert_eq!(length(&allocate_request(transaction)), Some(28));
        // 437, and not 401.
        answer[26..28].copy_from_slice(&[4, 37]);
        assert_eq!(realm(&answer, transaction), None);
    }
}
