//! `join-link`: makes a link for one participant, by asking the running gateway for a token as an integrator would.
//!
//! Source: docs/plugnmeet.md section 3 (the request).

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Refused, arguments::Wanted, ask, keys, output::remark, read, sign};
use crate::{
    config::{Config, PublicOrigin},
    design::{DESIGN_PARAMETER, Verdict},
};

const PATH: &str = "/auth/room/getJoinToken";

/// The most time for a gateway on this machine to take a connection.
const LISTENS_WITHIN: Duration = Duration::from_secs(1);

pub(super) fn answer(config: &Config, wanted: &Wanted) -> Result<String, Refused> {
    let design = wanted.design.as_deref().map(|file| design(config, file));
    let design = design.transpose()?;
    let origin = config.public_origin_at(config.listen.https_port());
    let token = token(config, &origin, wanted)?;
    Ok(link(&origin, &config.client.mount, &token, design.as_deref()))
}

fn token(config: &Config, origin: &PublicOrigin, wanted: &Wanted) -> Result<String, Refused> {
    let mut known = config.listen.https.iter().filter(|addr| addr.port() != 0);
    let addr = known
        .next()
        .map(|addr| reachable(*addr))
        .ok_or("listen.https has port 0, so nobody knows where the gateway listens; write its port")?;
    let body = body(wanted).into_bytes();
    let keys = keys::of(config).map_err(|why| elsewhere(why, addr))?;
    let headers = sign::headers(&keys, &body);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let certs = config.tls.certs.display();
    let trusted = ask::certificates(&config.tls.certs)
        .map_err(|error| elsewhere(format!("{certs}: cannot be read: {error}"), addr))?;
    if trusted.is_empty() {
        let why = format!("{certs}: holds no certificate to trust; start the gateway, which makes one");
        return Err(elsewhere(why, addr));
    }
    let (status, answer) = runtime
        .block_on(ask::ask(
            addr,
            trusted,
            (&origin.authority(), PATH),
            &headers,
            body,
        ))
        .map_err(|error| format!("the gateway at {addr} cannot be asked: {error}"))?;
    token_of(status, &answer)
}

fn body(wanted: &Wanted) -> String {
    let body = json!({
        "room_id": wanted.room,
        "user_info": { "name": wanted.name, "user_id": wanted.user_id, "is_admin": wanted.admin },
    });
    body.to_string()
}

/// The fields of the server's answer that are used here.
#[derive(Deserialize)]
struct Answer {
    status: bool,
    msg: String,
    token: Option<String>,
}

fn token_of(status: u16, answer: &[u8]) -> Result<String, Refused> {
    let Ok(answer) = serde_json::from_slice::<Answer>(answer) else {
        return Err(format!(
            "the gateway answered {status}, and not as plugnmeet-server does"
        ));
    };
    match answer.token {
        Some(token) if answer.status => Ok(token),
        Some(_) | None => Err(answer.msg),
    }
}

/// A refusal for what is not there: where a gateway listens all the same, it was started in another folder.
fn elsewhere(why: Refused, addr: SocketAddr) -> Refused {
    if TcpStream::connect_timeout(&addr, LISTENS_WITHIN).is_err() {
        return why;
    }
    let here =
        std::env::current_dir().map_or_else(|_| "this folder".into(), |here| here.display().to_string());
    let what = why.split(';').next().unwrap_or_default();
    format!(
        "{what}. A gateway listens on {addr}, and has its files elsewhere than below {here}: run this in the folder in which it \
         was started, with the same --config"
    )
}

/// A design as compact JSON. Where a link with it would be refused, there is none; what would be taken out of it is told.
fn design(config: &Config, file: &Path) -> Result<String, Refused> {
    let name = file.display();
    let compact = serde_json::from_slice::<Value>(&read(file)?)
        .map(|design| design.to_string())
        .map_err(|error| format!("{name}: no JSON: {error}"))?;
    let rules = config.design_rules().map_err(|problem| problem.to_string())?;
    let refused = match rules.check(&compact) {
        Verdict::Absent | Verdict::Good(_) => return Ok(compact),
        // What is wrong with the document itself would leave nothing of it.
        Verdict::Stripped { taken, .. } if taken.iter().all(|breach| breach.field != DESIGN_PARAMETER) => {
            for breach in taken {
                let (field, told) = (&breach.field, breach.told());
                remark(format_args!("warning: {name}: {field}: {told}; it is left out"));
            }
            return Ok(compact);
        }
        Verdict::Stripped { taken, .. } => taken,
        Verdict::Refused(breaches) => breaches,
    };
    let lines = refused.iter();
    let lines = lines.map(|breach| format!("{name}: {}: {}", breach.field, breach.told()));
    Err(lines.collect::<Vec<_>>().join("\n"))
}

fn link(origin: &PublicOrigin, mount: &str, token: &str, design: Option<&str>) -> String {
    let design = design.map_or_else(String::new, |design| {
        format!(
            "&{DESIGN_PARAMETER}={}",
            utf8_percent_encode(design, NON_ALPHANUMERIC)
        )
    });
    format!("{origin}{mount}/?access_token={token}{design}")
}

/// The address at which this machine reaches a listener: a listener on all addresses is reached on loopback.
pub(super) fn reachable(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, listening.port())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{
        ServerConfig,
        pki_types::{PrivateKeyDer, pem::PemObject},
    };
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };
    use tokio_rustls::TlsAcceptor;

    use super::*;

    const OK: &str = r#"{"status":true,"msg":"success","status_code":"SUCCESS","token":"a.b.c"}"#;

    fn wanted(design: Option<&Path>) -> Wanted {
        Wanted {
            room: "room01".into(),
            name: "Ann \"A\"".into(),
            user_id: "u1".into(),
            admin: true,
            design: design.map(Into::into),
        }
    }

    /// Makes a certificate in the folder, and a server with it that answers one request with `answer` and returns what
    /// it read.
    fn gateway(certs: &Path, answer: &'static str) -> (SocketAddr, std::thread::JoinHandle<String>) {
        let mut params = rcgen::CertificateParams::new(vec!["other.example".into()]).unwrap();
        // The certificate is like those of `openssl req -x509`.
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(certs.join("a.pem"), certificate.pem()).unwrap();
        std::fs::write(certs.join("b.txt"), "no certificate").unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![certificate.der().clone()], key)
                .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let addr = listener.local_addr().unwrap();
        let served = std::thread::spawn(move || {
            runtime.block_on(async move {
                let (socket, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(socket).await else {
                    return String::new();
                };
                let mut read = Vec::new();
                while !read.ends_with(b"}}") {
                    stream.read_buf(&mut read).await.unwrap();
                }
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", answer.len());
                stream.write_all(head.as_bytes()).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.shutdown().await.ok();
                String::from_utf8(read).unwrap()
            })
        });
        (addr, served)
    }

    fn config(certs: &Path, addr: SocketAddr) -> Config {
        let text = format!(
            "public_origin = 'https://conf.example.org:444'\nlisten.https = '{addr}'\ntls.certs = '{}'\n\
             plugnmeet.secret = 'zumyyYWqv7KR2kUqvYdq4z4sXg7XTBD2ljT6'\n",
            certs.display()
        );
        Config::parse(&text, "gateway.toml", &[]).unwrap()
    }

    #[test]
    fn asks_the_gateway_as_an_integrator_would_and_prints_the_link() {
        let certs = tempfile::tempdir().unwrap();
        let (addr, served) = gateway(certs.path(), OK);
        let design = certs.path().join("design.json");
        std::fs::write(&design, "{ \"primary_color\": \"#00a1f2\" }\n").unwrap();
        let config = config(certs.path(), addr);
        assert_eq!(
            answer(&config, &wanted(Some(&design))).unwrap(),
            "https://conf.example.org:444/conference/?access_token=a.b.c\
             &custom_design=%7B%22primary%5Fcolor%22%3A%22%2300a1f2%22%7D"
        );
        let request = served.join().unwrap();
        let body = r#"{"room_id":"room01","user_info":{"name":"Ann \"A\"","user_id":"u1","is_admin":true}}"#;
        let signature = keys::of(&config).unwrap().requests().signature(body.as_bytes());
        assert!(
            request.starts_with("POST /auth/room/getJoinToken HTTP/1.1\r\n"),
            "{request}"
        );
        for line in [
            "host: conf.example.org:444\r\n",
            "content-type: application/json\r\n",
            "api-key: plugnmeet\r\n",
            &format!("hash-signature: {signature}\r\n"),
        ] {
            assert!(request.contains(line), "{line} is not in {request}");
        }
        assert!(request.ends_with(body), "{request}");
    }

    #[test]
    fn a_certificate_that_is_not_in_the_folder_is_not_trusted() {
        let (theirs, ours) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (addr, served) = gateway(theirs.path(), OK);
        drop(gateway(ours.path(), OK));
        let refused = answer(&config(ours.path(), addr), &wanted(None)).unwrap_err();
        assert!(
            refused.starts_with(&format!(
                "the gateway at {addr} cannot be asked: invalid peer certificate: "
            )),
            "{refused}"
        );
        assert_eq!(served.join().unwrap(), "");
    }

    #[test]
    fn a_refusal_is_told_in_the_servers_words() {
        let refused = br#"{"status":false,"msg":"room is not active","status_code":"ROOM_NOT_FOUND"}"#;
        assert_eq!(token_of(200, refused), Err("room is not active".into()));
        assert_eq!(
            token_of(502, b"<html>"),
            Err("the gateway answered 502, and not as plugnmeet-server does".into())
        );
    }

    #[test]
    fn whoever_listens_everywhere_is_asked_on_loopback() {
        let at = |listening: &str| reachable(listening.parse().unwrap()).to_string();
        assert_eq!(at("0.0.0.0:443"), "127.0.0.1:443");
        assert_eq!(at("[::]:443"), "[::1]:443");
        assert_eq!(at("192.0.2.7:443"), "192.0.2.7:443");
    }

    #[test]
    fn a_mount_at_the_root_has_one_slash() {
        let origin = PublicOrigin {
            host: "::1".into(),
            port: None,
        };
        assert_eq!(link(&origin, "", "t", None), "https://[::1]/?access_token=t");
    }
}
