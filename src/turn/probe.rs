//! How does `LiveKit` want its connections? It says so nowhere, and refuses without a word what it doesn't want; so it is
//! asked who we are, in each way in which it could be asked, and how it takes that tells.
//!
//! | it | means |
//! | --- | --- |
//! | answers, with the address that the PROXY header named | it reads headers from here |
//! | answers | it wants none |
//! | resets the connection after a header | it reads headers, and not from here |
//! | closes it | it does not understand what came |
//! | says nothing, or speaks TLS | it ends TLS itself |

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use aws_lc_rs::rand;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use super::{
    Kind,
    stun::{binding_request, length, mapped_address},
};
use crate::{addr::Ends, relay::proxy_header};

/// The most time for one try.
const TRY: Duration = Duration::from_secs(1);

/// Who a header says that we are: an address that nobody has (RFC 5737), so that the answer can have it from the header alone.
const SOMEBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 3478);

/// The type of a TLS alert's record.
const TLS_ALERT: u8 = 0x15;

/// More than any answer to a Binding request has.
const MAX_ANSWER_BYTES: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// An answer, and who we are to it.
    Answered(SocketAddr),
    /// RST.
    Reset,
    /// FIN.
    Closed,
    /// Nothing within `TRY`.
    Silent,
    /// An alert of TLS.
    Tls,
    Away,
    Odd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Try {
    pub(super) at: SocketAddr,
    pub(super) header: bool,
    pub(super) answer: Answer,
}

/// What the tries tell together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// It reads PROXY headers that come to this address.
    Headers(SocketAddr),
    /// It wants none at this address.
    Plain(SocketAddr),
    TlsInside(SocketAddr),
    /// It reads PROXY headers, and not from us.
    NotTrusted,
    /// It takes connections, and answers in no way that is known.
    Unknown,
    /// It takes no connection.
    Away,
}

impl Finding {
    /// In a word, for the operator.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Headers(_) => Kind::Headers.word(),
            Self::Plain(_) => Kind::Plain.word(),
            Self::TlsInside(_) => Kind::TlsInside.word(),
            Self::NotTrusted => "not_trusted",
            Self::Unknown => "unknown",
            Self::Away => "away",
        }
    }

    fn of(tries: &[Try]) -> Self {
        let ended = |header: bool, ended: fn(Answer) -> bool| {
            tries
                .iter()
                .filter(move |one| one.header == header && ended(one.answer))
                .map(|one| one.at)
        };
        let understood = |answer| answer == Answer::Answered(SOMEBODY);
        let answered = |answer| matches!(answer, Answer::Answered(_));
        let inside = |answer| matches!(answer, Answer::Silent | Answer::Tls);
        // To loopback first with a header, as that is trusted unless somebody has changed it; without one to the machine's
        // address first, as Firefox takes no mapped address that is a loopback one.
        let loopback = |at: &SocketAddr| at.ip().is_loopback();
        if let Some(at) = ended(true, understood).min_by_key(|at| !loopback(at)) {
            return Self::Headers(at);
        }
        if let Some(at) = ended(false, answered).min_by_key(loopback) {
            return Self::Plain(at);
        }
        if tries.iter().all(|one| one.answer == Answer::Away) {
            return Self::Away;
        }
        if ended(true, |answer| answer == Answer::Reset).next().is_some() {
            return Self::NotTrusted;
        }
        match ended(false, inside).next() {
            Some(at) if ended(true, inside).next().is_some() => Self::TlsInside(at),
            Some(_) | None => Self::Unknown,
        }
    }
}

/// Asks in all ways at once, each over a connection of its own. `machine` is an address of ours that is no loopback one.
pub(super) async fn probe(upstream: SocketAddr, machine: Option<Ipv4Addr>) -> Finding {
    let mut at = vec![upstream];
    let other = |ip: IpAddr| SocketAddr::new(ip, upstream.port());
    if upstream.ip().is_loopback() {
        at.extend(machine.map(|ip| other(ip.into())));
    } else if is_ours(upstream.ip()).await {
        at.push(other(Ipv4Addr::LOCALHOST.into()));
    }
    let mut tries = tokio::task::JoinSet::new();
    for at in at {
        for header in [true, false] {
            tries.spawn(async move {
                Try {
                    at,
                    header,
                    answer: ask(at, header).await,
                }
            });
        }
    }
    let tries = tries.join_all().await;
    Finding::of(&tries)
}

async fn ask(at: SocketAddr, header: bool) -> Answer {
    let Ok(Ok(mut stream)) = timeout(TRY, TcpStream::connect(at)).await else {
        return Answer::Away;
    };
    let mut transaction = [0; 12];
    // Without random bytes it is a poor one, and does as well on this machine.
    rand::fill(&mut transaction).ok();
    let mut question = Vec::new();
    if header {
        question.extend(proxy_header(Ends {
            peer: SOMEBODY,
            local: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), at.port()),
        }));
    }
    question.extend(binding_request(transaction));
    let asking = async {
        stream.write_all(&question).await?;
        let mut got = Vec::with_capacity(MAX_ANSWER_BYTES);
        loop {
            let mut part = [0; MAX_ANSWER_BYTES];
            match stream.read(&mut part).await? {
                0 => return Ok(Answer::Closed),
                bytes => got.extend(part.iter().take(bytes)),
            }
            if got.first() == Some(&TLS_ALERT) {
                return Ok(Answer::Tls);
            }
            match length(&got) {
                Some(whole) if got.len() >= whole => {
                    let mapped = mapped_address(&got, transaction);
                    return Ok(mapped.map_or(Answer::Odd, Answer::Answered));
                }
                Some(_) if got.len() < MAX_ANSWER_BYTES => {}
                None if got.len() < 8 => {}
                Some(_) | None => return Ok(Answer::Odd),
            }
        }
    };
    match timeout(TRY, asking).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => of_error(&error),
        Err(_silent) => Answer::Silent,
    }
}

fn of_error(error: &io::Error) -> Answer {
    if error.kind() == io::ErrorKind::ConnectionReset {
        Answer::Reset
    } else {
        Answer::Closed
    }
}

/// Is it an address of this machine?
async fn is_ours(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).await.is_ok()
}

/// The address by which this machine reaches others; nothing is sent to find it.
pub(super) async fn own_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.ok()?;
    socket.connect(SOMEBODY).await.ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(ip) => Some(ip).filter(|ip| !ip.is_loopback() && !ip.is_unspecified()),
        IpAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(tries: &[(&str, bool, Answer)]) -> Finding {
        let tries: Vec<Try> = tries
            .iter()
            .map(|(at, header, answer)| Try {
                at: format!("{at}:5349").parse().unwrap(),
                header: *header,
                answer: *answer,
            })
            .collect();
        Finding::of(&tries)
    }

    const LO: &str = "127.0.0.1";
    const OWN: &str = "203.0.113.9";

    #[test]
    fn what_the_tries_tell_together() {
        use Answer::{Answered, Away, Closed, Reset, Silent, Tls};
        let at = |ip: &str| format!("{ip}:5349").parse().unwrap();
        let plain = Answered(at(LO));
        let through = Answered(SOMEBODY);
        for (name, tries, expected) in [
            (
                "off",
                [
                    (LO, true, Closed),
                    (LO, false, plain),
                    (OWN, true, Closed),
                    (OWN, false, plain),
                ],
                Finding::Plain(at(OWN)),
            ),
            (
                "on",
                [
                    (LO, true, through),
                    (LO, false, Closed),
                    (OWN, true, Reset),
                    (OWN, false, Reset),
                ],
                Finding::Headers(at(LO)),
            ),
            (
                "on for the machine alone",
                [
                    (LO, true, Reset),
                    (LO, false, Reset),
                    (OWN, true, through),
                    (OWN, false, Closed),
                ],
                Finding::Headers(at(OWN)),
            ),
            (
                "on for others",
                [
                    (LO, true, Reset),
                    (LO, false, Reset),
                    (OWN, true, Reset),
                    (OWN, false, Closed),
                ],
                Finding::NotTrusted,
            ),
            (
                "TLS inside",
                [
                    (LO, true, Silent),
                    (LO, false, Silent),
                    (OWN, true, Silent),
                    (OWN, false, Tls),
                ],
                Finding::TlsInside(at(LO)),
            ),
            (
                "away",
                [
                    (LO, true, Away),
                    (LO, false, Away),
                    (OWN, true, Away),
                    (OWN, false, Away),
                ],
                Finding::Away,
            ),
            (
                "something else",
                [
                    (LO, true, Closed),
                    (LO, false, Closed),
                    (OWN, true, Away),
                    (OWN, false, Away),
                ],
                Finding::Unknown,
            ),
            // A header that is passed over is not understood.
            (
                "forgiving",
                [
                    (LO, true, plain),
                    (LO, false, plain),
                    (OWN, true, Away),
                    (OWN, false, Away),
                ],
                Finding::Plain(at(LO)),
            ),
        ] {
            assert_eq!(found(&tries), expected, "{name}");
        }
    }
}
