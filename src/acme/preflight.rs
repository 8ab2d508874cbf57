//! Does a name lead here? Looked up and called before the first order, as the CA would: a slip in DNS or at a firewall costs
//! none of the few failures that a CA takes.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use aws_lc_rs::rand;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Request, StatusCode};
use rustls::{ClientConfig, Error, crypto::aws_lc_rs as provider, pki_types::ServerName};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::{
    any_certificate::AnyCertificate,
    challenge::{ALPN, Answers, PREFIX, asked_as},
    kind::Kind,
};
use crate::{
    http::with_brackets,
    proxy::{OwnClient, addresses},
};

/// The most time for one HTTP request to ourselves.
const CALL: Duration = Duration::from_secs(10);
const MAX_BYTES: usize = 16 << 10;

#[derive(Clone, Copy)]
pub(super) struct Ports {
    pub http: u16,
    pub https: u16,
}

pub(super) const PUBLIC: Ports = Ports { http: 80, https: 443 };

/// The kinds of checks that get here. Why none does.
pub(super) async fn look(name: &str, ports: Ports, answers: &Answers) -> Result<Vec<Kind>, String> {
    let found = addresses(name, ports.http).await;
    match &found {
        Ok(found) if !found.is_empty() => {}
        Ok(_) => return Err("the name has no address: it needs an A or AAAA record that leads here".into()),
        Err(error) => {
            return Err(format!(
                "the name can't be looked up: {error}: it needs an A or AAAA record that leads here"
            ));
        }
    }
    let found = found.unwrap_or_default();
    // A CA prefers IPv6, and may ask any of them.
    let over_http = async {
        for at in &found {
            over_http(name, *at, answers)
                .await
                .map_err(|why| format!("{}: {why}", at.ip()))?;
        }
        Ok::<(), String>(())
    };
    let over_tls = async {
        for at in &found {
            over_tls(name, SocketAddr::new(at.ip(), ports.https), answers)
                .await
                .map_err(|why| format!("{}: {why}", at.ip()))?;
        }
        Ok::<(), String>(())
    };
    let (http, tls) = tokio::join!(over_http, over_tls);
    let kinds = [(Kind::Http, &http), (Kind::TlsAlpn, &tls)];
    let works: Vec<Kind> = kinds
        .iter()
        .filter(|(_, looked)| looked.is_ok())
        .map(|(kind, _)| *kind)
        .collect();
    match (http, tls) {
        (Err(http), Err(tls)) => Err(format!(
            "the name does not lead here: port {}: {http}; port {}: {tls}",
            ports.http, ports.https
        )),
        _ => Ok(works),
    }
}

fn random() -> String {
    let mut bytes = [0; 16];
    // Without random bytes it is a poor one, and does as well for a look.
    rand::fill(&mut bytes).ok();
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

async fn over_http(name: &str, at: SocketAddr, answers: &Answers) -> Result<(), String> {
    let (token, content) = (random(), random());
    let _given = answers
        .give_token(&token, &content)
        .map_err(|error| format!("acme.storage: {error}"))?;
    let request = Request::get(format!("http://{}{PREFIX}{token}", with_brackets(name)))
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let own_client = OwnClient::plain(CALL, MAX_BYTES);
    let answer = own_client
        .send(request, Some(at))
        .await
        .map_err(|error| error.to_string())?;
    if answer.status() != StatusCode::OK || answer.body() != content.as_bytes() {
        return Err(format!("something else answers there ({})", answer.status()));
    }
    Ok(())
}

async fn over_tls(name: &str, at: SocketAddr, answers: &Answers) -> Result<(), String> {
    let mut hash = [0; 32];
    rand::fill(&mut hash).ok();
    let _given = answers
        .give_name(name, &hash)
        .map_err(|error| format!("acme.storage: {error}"))?;
    let Ok(server) = ServerName::try_from(asked_as(name)) else {
        return Err("no name of a server".into());
    };
    let connected = async {
        let stream = TcpStream::connect(at).await.map_err(|error| error.to_string())?;
        let connector = TlsConnector::from(credulous().map_err(|error| error.to_string())?);
        let connected = connector.connect(server, stream).await;
        connected.map_err(|error| error.to_string())
    };
    let stream = timeout(CALL, connected)
        .await
        .map_err(|_| "no answer in time".to_owned())??;
    let (_, session) = stream.get_ref();
    let shown = session.peer_certificates().and_then(|chain| chain.first());
    let is_ours = shown.is_some_and(|der| memchr::memmem::find(der, &hash).is_some());
    if is_ours {
        Ok(())
    } else {
        Err("something else answers there".into())
    }
}

/// Takes any certificate: what is in it is what is looked at.
fn credulous() -> Result<Arc<ClientConfig>, Error> {
    // SECURITY: nothing is sent over such a connection, and nothing of it believed but that our own random bytes came back.
    let provider = provider::default_provider();
    let verifier = AnyCertificate::by(provider.clone());
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// Answers each request by what its path says; where it is.
    async fn server(answer: impl Fn(&str) -> String + Send + 'static) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let said = answer(head.split(' ').nth(1).unwrap());
                stream.write_all(said.as_bytes()).await.unwrap();
            }
        });
        port
    }

    fn answers() -> (tempfile::TempDir, Answers) {
        let folder = tempfile::tempdir().unwrap();
        let storage = super::super::storage::Storage::at(folder.path());
        storage.make().unwrap();
        (folder, Answers::in_storage(storage))
    }

    #[tokio::test]
    async fn a_name_leads_here_where_its_own_words_come_back() {
        let (_folder, answers) = answers();
        let ours = answers.clone();
        let http = server(move |path| {
            let content = ours.all()[path.strip_prefix(PREFIX).unwrap()].clone();
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{content}",
                content.len()
            )
        })
        .await;
        let works = look("127.0.0.1", Ports { http, https: 1 }, &answers).await;
        assert_eq!(works, Ok(vec![Kind::Http]));
        assert!(answers.all().is_empty());
    }

    #[tokio::test]
    async fn what_answers_in_our_place_is_told() {
        let (_folder, answers) = answers();
        let http = server(|_| "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".into()).await;
        let why = look("127.0.0.1", Ports { http, https: 1 }, &answers)
            .await
            .unwrap_err();
        let expected = format!(
            "the name does not lead here: port {http}: 127.0.0.1: something else answers there (404 Not Found); port 1: 127.0.0.1: "
        );
        assert!(why.starts_with(&expected), "{why}");
    }
}
