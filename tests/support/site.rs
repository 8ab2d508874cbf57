//! Somebody else's site over TLS: a learning platform, or an attacker. Its pages and cookies are the test's.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use hyper::{Response, header};
use rcgen::KeyPair;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};
use tokio_rustls::TlsAcceptor;

use super::{
    addr::own,
    public_key_hash,
    upstream::{Seen, Upstream, text_body},
};

/// A page, with what its answer sets; or a file of another kind.
#[derive(Clone, Default)]
struct Page {
    content: String,
    media: Option<&'static str>,
    fields: Vec<(&'static str, String)>,
}

type Pages = Arc<Mutex<HashMap<String, Page>>>;

/// A running site; gone when dropped. Paths without a page are an empty one.
pub struct Site {
    pub addr: SocketAddr,
    pub public_key_hash: String,
    pages: Pages,
    plain: Upstream,
    task: AbortHandle,
}

impl Site {
    /// Under this name.
    pub async fn named(host: &str) -> Self {
        let pages = Pages::default();
        let answering = Arc::clone(&pages);
        let plain = Upstream::handling(move |seen| {
            let path = seen.target.split('?').next().unwrap_or_default();
            let page = answering.lock().unwrap().get(path).cloned().unwrap_or_default();
            async move {
                let html = format!("<!doctype html><title>elsewhere</title>{}", page.content);
                let mut response = Response::new(text_body(html));
                let fields = response.headers_mut();
                fields.insert(header::CONTENT_TYPE, "text/html; charset=utf-8".parse().unwrap());
                for (name, value) in page.fields {
                    fields.append(name, value.parse().unwrap());
                }
                if let Some(media) = page.media {
                    fields.insert(header::CONTENT_TYPE, media.parse().unwrap());
                    *response.body_mut() = text_body(page.content);
                }
                response
            }
        })
        .await;
        let listener = TcpListener::bind(own()).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (acceptor, public_key_hash) = acceptor(host);
        let upstream = plain.addr;
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut client = acceptor.accept(stream).await.ok()?;
                    let mut inside = TcpStream::connect(upstream).await.ok()?;
                    copy_bidirectional(&mut client, &mut inside).await.ok()
                });
            }
        });
        Self {
            addr,
            public_key_hash,
            pages,
            plain,
            task: task.abort_handle(),
        }
    }

    /// From now on this is the page at a path.
    pub fn page(&self, path: &str, html: &str) {
        self.answer(path, html, &[]);
    }

    /// A page whose answer has more fields.
    pub fn answer(&self, path: &str, html: &str, fields: &[(&'static str, &str)]) {
        let page = Page {
            content: html.to_owned(),
            media: None,
            fields: fields
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
        };
        self.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    /// A file.
    pub fn file(&self, path: &str, media: &'static str, content: &str) {
        let file = Page {
            content: content.to_owned(),
            media: Some(media),
            fields: Vec::new(),
        };
        self.pages.lock().unwrap().insert(path.to_owned(), file);
    }

    /// All that it was asked.
    pub fn requests(&self) -> Vec<Seen> {
        self.plain.requests()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// And the hash of its public key.
fn acceptor(host: &str) -> (TlsAcceptor, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new([host.to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let hash = public_key_hash(certificate.der());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), hash)
}
