//! CAA records: may the CA that has made the certificate make the next one?
//!
//! Sources: RFC 8659 sections 3 (the records of the nearest name count) and 4.2 (`issue`).

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use aws_lc_rs::rand;
use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, RCODE, TYPE, rdata::RData};
use tokio::{net::UdpSocket, time::timeout};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Outside;
use crate::doctor::finding::Said;

/// The most time for one answer; a datagram may be lost.
const ANSWER: Duration = Duration::from_secs(3);
const TRIES: usize = 2;
/// More than an answer over UDP has.
const MAX_BYTES: usize = 4096;

/// CAs, by a word in the issuer of their certificates, and the domains by which they go in CAA records.
const CAS: [(&str, &[&str]); 10] = [
    ("Let's Encrypt", &["letsencrypt.org"]),
    ("ZeroSSL", &["sectigo.com", "zerossl.com"]),
    ("Sectigo", &["sectigo.com", "comodoca.com", "comodo.com"]),
    ("Google Trust Services", &["pki.goog"]),
    ("Buypass", &["buypass.com", "buypass.no"]),
    ("DigiCert", &["digicert.com"]),
    ("GlobalSign", &["globalsign.com"]),
    ("SSL Corp", &["ssl.com"]),
    ("Actalis", &["actalis.it"]),
    (
        "Amazon",
        &["amazon.com", "amazontrust.com", "awstrust.com", "amazonaws.com"],
    ),
];

pub async fn caa(outside: Arc<Outside>) -> Vec<Said> {
    let host = &outside.host;
    if host.parse::<IpAddr>().is_ok() {
        return vec![Said::skip("the address has no name")];
    }
    let Some(resolver) = outside.settings.resolver else {
        return vec![Said::skip("/etc/resolv.conf names no server")];
    };
    let issuer = match issuer(&outside).await {
        Ok(issuer) => issuer,
        Err(why) => return vec![Said::skip(why)],
    };
    let mut name = host.as_str();
    loop {
        match asked(resolver, name).await {
            Err(why) => {
                return vec![Said::skip(format!(
                    "no answer about CAA records of {name}: {why}"
                ))];
            }
            Ok(found) if !found.is_empty() => return vec![judged(name, &found, &issuer)],
            Ok(_) => {}
        }
        match name.split_once('.') {
            Some((_, parent)) => name = parent,
            None => return vec![Said::ok("no CAA record, so that any CA may")],
        }
    }
}

/// Who has made the certificate.
async fn issuer(outside: &Outside) -> Result<String, String> {
    let stream = outside.connect(&outside.host, outside.port, &[]).await?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let leaf = chain
        .first()
        .and_then(|leaf| X509Certificate::from_der(leaf).ok());
    let (_, leaf) = leaf.ok_or("the certificate can't be read")?;
    Ok(leaf.issuer().to_string())
}

/// Tag and value of each CAA record of exactly this name.
async fn asked(resolver: SocketAddr, name: &str) -> Result<Vec<(String, String)>, String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let mut id = [0; 2];
    rand::fill(&mut id).map_err(|error| told(&error))?;
    let id = u16::from_be_bytes(id);
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let of = Name::new(name).map_err(|error| told(&error))?;
    packet
        .questions
        .push(Question::new(of, TYPE::CAA.into(), CLASS::IN.into(), false));
    let question = packet.build_bytes_vec().map_err(|error| told(&error))?;
    let any = if resolver.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await.map_err(|error| told(&error))?;
    socket.connect(resolver).await.map_err(|error| told(&error))?;
    for _ in 0..TRIES {
        socket.send(&question).await.map_err(|error| told(&error))?;
        let mut got = [0; MAX_BYTES];
        let Ok(read) = timeout(ANSWER, socket.recv(&mut got)).await else {
            continue;
        };
        let read = read.map_err(|error| told(&error))?;
        let answer = Packet::parse(got.get(..read).unwrap_or_default()).map_err(|error| told(&error))?;
        if answer.id() != id {
            continue;
        }
        if answer.has_flags(PacketFlag::TRUNCATION) {
            return Err("it is too long for one datagram".into());
        }
        if !matches!(answer.rcode(), RCODE::NoError | RCODE::NameError) {
            return Err(format!("{:?}", answer.rcode()));
        }
        let records = answer.answers.iter().filter_map(|record| {
            let RData::CAA(caa) = &record.rdata else {
                return None;
            };
            let tag = caa.tag.to_string().to_ascii_lowercase();
            Some((tag, String::from_utf8_lossy(&caa.value).into_owned()))
        });
        return Ok(records.collect());
    }
    Err(format!("{resolver} is silent"))
}

fn judged(name: &str, found: &[(String, String)], issuer: &str) -> Said {
    let issue: Vec<&str> = found
        .iter()
        .filter(|(tag, _)| tag == "issue")
        .map(|(_, value)| value.split(';').next().unwrap_or_default().trim())
        .collect();
    if issue.is_empty() {
        return Said::ok(format!("the CAA records of {name} keep no CA out"));
    }
    let named: Vec<&str> = issue.iter().copied().filter(|ca| !ca.is_empty()).collect();
    let named = if named.is_empty() {
        "no CA at all".to_owned()
    } else {
        named.join(", ")
    };
    let Some((ca, domains)) = CAS.iter().find(|(word, _)| issuer.contains(word)) else {
        return Said::ok(format!(
            "the CAA records of {name} let in {named}; the certificate is of {issuer}"
        ));
    };
    if domains
        .iter()
        .any(|domain| issue.iter().any(|ca| ca.eq_ignore_ascii_case(domain)))
    {
        return Said::ok(format!("the CAA records of {name} let in {ca}"));
    }
    let domain = domains.first().copied().unwrap_or_default();
    Said::fail(
        format!(
            "the CAA records of {name} let in {named}, and the certificate is of {ca}: the next one is refused"
        ),
        format!("add a CAA record: 0 issue \"{domain}\""),
    )
}
