//! TLS 1.0 and 1.1: does whatever answers the public address still take them? The gateway does not, and no library here
//! speaks them, so the hello is written by hand and nothing goes on after the answer.
//!
//! Sources: RFC 2246 section 7.4.1.2 and RFC 4346 (the hello), RFC 6066 section 3 (the name), RFC 8996 (neither is to be used).

use std::{net::IpAddr, sync::Arc};

use aws_lc_rs::rand;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{CONNECT, Outside};
use crate::doctor::finding::{Said, all_or};

const VERSIONS: [(&str, u8); 2] = [("TLS 1.0", 1), ("TLS 1.1", 2)];
/// With and without forward secrecy, with ECDSA and RSA, and the word that renegotiation is secure (RFC 5746).
const CIPHERS: [u8; 16] = [
    0xc0, 0x13, 0xc0, 0x14, 0xc0, 0x09, 0xc0, 0x0a, 0x00, 0x2f, 0x00, 0x35, 0x00, 0x0a, 0x00, 0xff,
];
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
/// Of the answer: a record's header, a message's header, its version.
const ANSWER_BYTES: usize = 11;

pub async fn old_tls(outside: Arc<Outside>) -> Vec<Said> {
    let mut taken = Vec::new();
    for (name, minor) in VERSIONS {
        match timeout(CONNECT, takes(&outside, minor)).await {
            Ok(Ok(true)) => taken.push(name),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => return vec![Said::skip(format!("{error}; see outside.names"))],
            Err(_) => return vec![Said::skip(format!("a hello of {name} is not answered"))],
        }
    }
    let wrong = (!taken.is_empty()).then(|| {
        Said::warn(
            format!(
                "{} is accepted, which nobody should speak any more",
                taken.join(" and ")
            ),
            "something else ends TLS in front of the gateway: let it take TLS 1.2 at least",
        )
    });
    all_or(wrong.into_iter().collect(), "TLS 1.0 and 1.1 are refused")
}

/// Is a hello of this version, and of none above, answered by one?
async fn takes(outside: &Outside, minor: u8) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect((outside.host.as_str(), outside.port)).await?;
    let mut random = [0; 32];
    // Without random bytes it is a poor hello, and does as well for a look.
    rand::fill(&mut random).ok();
    stream.write_all(&hello(&outside.host, minor, random)).await?;
    let mut answer = [0; ANSWER_BYTES];
    // An alert is shorter, and so is an end.
    let Ok(_) = stream.read_exact(&mut answer).await else {
        return Ok(false);
    };
    let [kind, _, _, _, _, message, _, _, _, major, version] = answer;
    Ok(kind == HANDSHAKE && message == SERVER_HELLO && (major, version) == (3, minor))
}

fn hello(host: &str, minor: u8, random: [u8; 32]) -> Vec<u8> {
    // Curves P-256 and P-384, and points as they are.
    let mut extensions = vec![0, 10, 0, 6, 0, 4, 0, 23, 0, 24, 0, 11, 0, 2, 1, 0];
    if host.parse::<IpAddr>().is_err() {
        let name = [&[0][..], &with_length(host.as_bytes())].concat();
        extensions.extend([0, 0]);
        extensions.extend(with_length(&with_length(&name)));
    }
    // No session, and no compression.
    let body = [
        &[3, minor][..],
        &random,
        &[0],
        &with_length(&CIPHERS),
        &[1, 0],
        &with_length(&extensions),
    ]
    .concat();
    let message = [&[CLIENT_HELLO, 0][..], &with_length(&body)].concat();
    [&[HANDSHAKE, 3, 1][..], &with_length(&message)].concat()
}

/// The bytes behind their length in two bytes.
fn with_length(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], bytes].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_is_as_long_as_it_says() {
        for host in ["conf.example.org", "192.0.2.1"] {
            let hello = hello(host, 1, [7; 32]);
            let at = |nth: usize| usize::from(u16::from_be_bytes([hello[nth], hello[nth + 1]]));
            assert_eq!((at(3), at(7)), (hello.len() - 5, hello.len() - 9), "{host}");
            assert_eq!(hello[9..11], [3, 1]);
            let named = memchr::memmem::find(&hello, host.as_bytes()).is_some();
            assert_eq!(named, host.ends_with("org"));
        }
    }
}
