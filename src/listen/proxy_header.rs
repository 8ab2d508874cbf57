//! The PROXY protocol: a balancer in front says, before the first byte of TLS, who the client really is.
//!
//! Exactly the header is read and not a byte more, so the stream that follows needs no buffer in front of it. The
//! header has no length of its own in version 1; it is read byte by byte up to its line end, a hundred at most.
//!
//! SECURITY: whoever writes this header chooses the client's address. It is for the caller to ask only those in
//! `trust.proxies` for it, and under a deadline.
//!
//! Source: "The PROXY protocol", versions 1 and 2, sections 2.1 and 2.2.

use std::{io, net::SocketAddr};

use ppp::{v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::addr::{Ends, unmapped};

/// The number of bytes that tell the versions apart. The shortest header of either version is longer.
const SIGNATURE_BYTES: usize = 12;
const V2_FIXED_BYTES: usize = 16;
/// The most bytes of a line of version 1, its CRLF included.
const V1_MAX_BYTES: usize = 107;
/// The most bytes that may follow version 2's fixed part. Addresses and a few TLVs have fewer.
const V2_MAX_BYTES: usize = 4096;
/// The byte of version 2 with the command LOCAL.
const V2_LOCAL: u8 = 0x20;

/// Why a connection's first bytes are no PROXY header.
#[derive(Debug, thiserror::Error)]
pub enum ProxyHeaderError {
    /// The connection begins with something else, such as a TLS hello.
    #[error("no PROXY header")]
    Missing,
    /// The bytes begin like a header of version 1, and are not one.
    #[error("malformed PROXY header: {}", told(.0))]
    MalformedV1(v1::BinaryParseError),
    /// The bytes begin like a header of version 2, and are not one.
    #[error("malformed PROXY header: {0:?}")]
    MalformedV2(v2::ParseError),
    /// The header is longer than allowed; the value is the most bytes that are taken.
    #[error("PROXY header of more than {0} bytes")]
    TooLong(usize),
    /// The connection ended in the middle of the header.
    #[error("the connection ended within the PROXY header")]
    Truncated,
    #[error("no PROXY header: {0}")]
    Io(io::Error),
}

/// The crate's own messages have capitals and line ends in them; the names of its errors say as much.
fn told(error: &v1::BinaryParseError) -> String {
    match error {
        v1::BinaryParseError::Parse(error) => format!("{error:?}"),
        v1::BinaryParseError::InvalidUtf8(error) => error.to_string(),
    }
}

impl From<io::Error> for ProxyHeaderError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Self::Truncated
        } else {
            Self::Io(error)
        }
    }
}

/// Do these first bytes of a connection, as many as came at once, begin a PROXY header?
pub(super) fn begins(first: &[u8]) -> bool {
    first.starts_with(v2::PROTOCOL_PREFIX) || first.starts_with(b"PROXY ")
}

/// Reads the header, and returns the ends of the connection that it tells. `own` are the socket's ends, which are
/// returned when the header speaks of the balancer itself (a health check) or has no address.
pub async fn read<S: AsyncRead + Unpin>(stream: &mut S, own: Ends) -> Result<Ends, ProxyHeaderError> {
    let mut start = [0; SIGNATURE_BYTES];
    stream.read_exact(&mut start).await?;
    let ends = if start == v2::PROTOCOL_PREFIX {
        read_v2(stream, start).await?
    } else if start.starts_with(b"PROXY ") {
        read_v1(stream, start).await?
    } else {
        return Err(ProxyHeaderError::Missing);
    };
    Ok(ends.unwrap_or(own))
}

async fn read_v1<S: AsyncRead + Unpin>(
    stream: &mut S,
    start: [u8; SIGNATURE_BYTES],
) -> Result<Option<Ends>, ProxyHeaderError> {
    let mut line = start.to_vec();
    while !line.ends_with(b"\n") {
        if line.len() == V1_MAX_BYTES {
            return Err(ProxyHeaderError::TooLong(V1_MAX_BYTES));
        }
        line.push(stream.read_u8().await?);
    }
    let header = v1::Header::try_from(line.as_slice()).map_err(ProxyHeaderError::MalformedV1)?;
    Ok(match header.addresses {
        v1::Addresses::Tcp4(v4) => Some(ends(
            (v4.source_address, v4.source_port),
            (v4.destination_address, v4.destination_port),
        )),
        v1::Addresses::Tcp6(v6) => Some(ends(
            (v6.source_address, v6.source_port),
            (v6.destination_address, v6.destination_port),
        )),
        v1::Addresses::Unknown => None,
    })
}

async fn read_v2<S: AsyncRead + Unpin>(
    stream: &mut S,
    start: [u8; SIGNATURE_BYTES],
) -> Result<Option<Ends>, ProxyHeaderError> {
    let version_and_command = stream.read_u8().await?;
    let family_and_protocol = stream.read_u8().await?;
    let length = stream.read_u16().await?;
    if usize::from(length) > V2_MAX_BYTES {
        return Err(ProxyHeaderError::TooLong(V2_FIXED_BYTES + V2_MAX_BYTES));
    }
    let mut bytes = start.to_vec();
    bytes.extend([version_and_command, family_and_protocol]);
    bytes.extend(length.to_be_bytes());
    bytes.resize(V2_FIXED_BYTES + usize::from(length), 0);
    if let Some(rest) = bytes.get_mut(V2_FIXED_BYTES..) {
        stream.read_exact(rest).await?;
    }
    // LOCAL means the balancer itself, for a health check. The rest does not count: some balancers name an address
    // family there without addresses.
    if version_and_command == V2_LOCAL {
        return Ok(None);
    }
    let header = v2::Header::try_from(bytes.as_slice()).map_err(ProxyHeaderError::MalformedV2)?;
    Ok(match (header.protocol, header.addresses) {
        (v2::Protocol::Stream, v2::Addresses::IPv4(v4)) => Some(ends(
            (v4.source_address, v4.source_port),
            (v4.destination_address, v4.destination_port),
        )),
        (v2::Protocol::Stream, v2::Addresses::IPv6(v6)) => Some(ends(
            (v6.source_address, v6.source_port),
            (v6.destination_address, v6.destination_port),
        )),
        // This is not an address of a TCP connection.
        (_, v2::Addresses::Unspecified | v2::Addresses::Unix(_))
        | (v2::Protocol::Unspecified | v2::Protocol::Datagram, _) => None,
    })
}

fn ends(source: impl Into<SocketAddr>, destination: impl Into<SocketAddr>) -> Ends {
    Ends {
        peer: unmapped(source.into()),
        local: unmapped(destination.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> Ends {
        Ends {
            peer: "10.0.0.1:4000".parse().unwrap(),
            local: "10.0.0.2:443".parse().unwrap(),
        }
    }

    /// Returns what the header says, and checks that the byte after it is still in the stream.
    async fn read_from(header: &[u8]) -> Result<String, String> {
        let sent = [header, b"\x16"].concat();
        let mut stream = sent.as_slice();
        let ends = read(&mut stream, socket())
            .await
            .map_err(|error| error.to_string())?;
        assert_eq!(
            stream, b"\x16",
            "the byte after the header is still in the stream"
        );
        if ends == socket() {
            return Ok("the socket's own".into());
        }
        Ok(format!("{} -> {}", ends.peer, ends.local))
    }

    async fn read_until_the_end(sent: &[u8]) -> String {
        let mut stream = sent;
        read(&mut stream, socket()).await.unwrap_err().to_string()
    }

    fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let mut header = v2::PROTOCOL_PREFIX.to_vec();
        header.extend([0x20 | command, family]);
        header.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        header.extend(payload);
        header
    }

    const V4: [u8; 12] = [192, 0, 2, 7, 203, 0, 113, 9, 0x10, 0x92, 0x01, 0xbb];
    /// Two TLVs: one of type ALPN, and one of an unknown type.
    const TLVS: [u8; 9] = [0x01, 0, 2, b'h', b'2', 0xe0, 0, 1, 7];

    #[tokio::test]
    async fn reads_a_line_of_version_1() {
        assert_eq!(
            read_from(b"PROXY TCP4 192.0.2.7 203.0.113.9 4242 443\r\n").await,
            Ok("192.0.2.7:4242 -> 203.0.113.9:443".into())
        );
        assert_eq!(
            read_from(b"PROXY TCP6 2001:db8::7 2001:db8::9 4242 443\r\n").await,
            Ok("[2001:db8::7]:4242 -> [2001:db8::9]:443".into())
        );
        assert_eq!(
            read_from(b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:203.0.113.9 4242 443\r\n").await,
            Ok("192.0.2.7:4242 -> 203.0.113.9:443".into())
        );
    }

    #[tokio::test]
    async fn reads_version_2_and_passes_over_its_tlvs() {
        assert_eq!(
            read_from(&v2(1, 0x11, &[V4.as_slice(), &TLVS].concat())).await,
            Ok("192.0.2.7:4242 -> 203.0.113.9:443".into())
        );
        let addresses = ["2001:db8::7", "2001:db8::9"];
        let mut v6: Vec<u8> = addresses
            .iter()
            .flat_map(|address| address.parse::<std::net::Ipv6Addr>().unwrap().octets())
            .collect();
        v6.extend([0x10, 0x92, 0x01, 0xbb]);
        assert_eq!(
            read_from(&v2(1, 0x21, &v6)).await,
            Ok("[2001:db8::7]:4242 -> [2001:db8::9]:443".into())
        );
    }

    #[tokio::test]
    async fn keeps_the_sockets_ends_where_the_header_names_no_client() {
        let own = || Ok("the socket's own".into());
        assert_eq!(read_from(b"PROXY UNKNOWN\r\n").await, own());
        assert_eq!(read_from(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n").await, own());
        assert_eq!(read_from(&v2(0, 0x00, &[])).await, own());
        assert_eq!(
            read_from(&v2(0, 0x11, &[V4.as_slice(), &TLVS].concat())).await,
            own()
        );
        assert_eq!(read_from(&v2(0, 0x11, &[])).await, own());
        assert_eq!(read_from(&v2(1, 0x00, &TLVS)).await, own());
        assert_eq!(read_from(&v2(1, 0x12, &V4)).await, own());
        assert_eq!(read_from(&v2(1, 0x31, &[0; 216])).await, own());
    }

    #[tokio::test]
    async fn refuses_what_is_no_header() {
        assert_eq!(
            read_from(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00").await,
            Err("no PROXY header".into())
        );
        assert_eq!(
            read_from(b"GET / HTTP/1.1\r\n").await,
            Err("no PROXY header".into())
        );
        for (header, why) in [
            (
                &b"PROXY TCP4 192.0.2.7 2001:db8::9 4242 443\r\n"[..],
                "InvalidDestinationAddress(AddrParseError(Ipv4))",
            ),
            (
                b"PROXY TCP4 192.0.2.7 203.0.113.9 04242 443\r\n",
                "InvalidSourcePort(None)",
            ),
            (
                b"PROXY TCP4 192.0.2.7 203.0.113.9 4242 443\n",
                "InvalidDestinationPort(Some(ParseIntError { kind: InvalidDigit }))",
            ),
            (
                b"PROXY SCTP 192.0.2.7 203.0.113.9 4242 443\r\n",
                "InvalidProtocol",
            ),
            (&v2(1, 0x11, &V4[..8]), "InvalidAddresses(8, 12)"),
            (&v2(2, 0x11, &V4), "Command(2)"),
        ] {
            assert_eq!(
                read_from(header).await,
                Err(format!("malformed PROXY header: {why}"))
            );
        }
    }

    #[tokio::test]
    async fn refuses_a_header_that_does_not_end() {
        let line = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat();
        assert_eq!(
            read_from(&line).await,
            Err("PROXY header of more than 107 bytes".into())
        );
        let mut tlv = vec![0x04, 0x0f, 0xf2];
        tlv.resize(4097 - V4.len(), 0);
        let long = v2(1, 0x11, &[V4.as_slice(), &tlv].concat());
        assert_eq!(
            read_from(&long).await,
            Err("PROXY header of more than 4112 bytes".into())
        );
    }

    #[tokio::test]
    async fn refuses_a_header_that_breaks_off() {
        let broken = "the connection ended within the PROXY header";
        assert_eq!(read_until_the_end(b"PRO").await, broken);
        assert_eq!(read_until_the_end(b"PROXY TCP4 192.0.2.7 203.0.1").await, broken);
        let whole = v2(1, 0x11, &V4);
        assert_eq!(read_until_the_end(&whole[..14]).await, broken);
        assert_eq!(read_until_the_end(&whole[..27]).await, broken);
    }

    /// Over a socket, the header arrives in pieces.
    #[tokio::test]
    async fn waits_for_the_rest_of_a_header() {
        use tokio::io::AsyncWriteExt;
        let (mut balancer, mut stream) = tokio::io::duplex(5);
        let sending = tokio::spawn(async move {
            balancer
                .write_all(b"PROXY TCP4 192.0.2.7 203.0.113.9 4242 443\r\n\x16")
                .await
                .unwrap();
        });
        let ends = read(&mut stream, socket()).await.unwrap();
        sending.await.unwrap();
        assert_eq!(ends.peer, "192.0.2.7:4242".parse().unwrap());
        assert_eq!(stream.read_u8().await.unwrap(), 0x16);
    }
}
