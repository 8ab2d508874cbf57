//! Any bytes from a client of TLS, in any pieces: as its hello, behind a handshake that is done, and in records that are sealed.
//! Never a panic, as soon as the client is gone its connection ends, and a connection that has settled hears what one that
//! has not does.
#![no_main]

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use libfuzzer_sys::fuzz_target;
use plugnmeet_gateway::{
    client_stream::Settle,
    tls::{Tls, TlsSettings},
};
use rustls::{
    ClientConfig, ClientConnection, ConnectionTrafficSecrets, ContentType, ProtocolVersion, RootCertStore,
    SupportedCipherSuite,
    crypto::{
        CryptoProvider,
        aws_lc_rs::{self, cipher_suite::TLS13_CHACHA20_POLY1305_SHA256},
        cipher::{OutboundChunks, OutboundPlainMessage},
    },
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    runtime::{Builder, Runtime},
};
use tokio_rustls::TlsConnector;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
});

static BOTH: LazyLock<(Tls, Arc<ClientConfig>)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a folder");
    let settings = TlsSettings {
        certs: dir.path().to_owned(),
        acme: None,
        public_host: "localhost".into(),
        hosts: Vec::new(),
        handshake: Duration::from_secs(10),
        make_anywhere: true,
        turn: false,
        only_tls13: false,
    };
    let now = std::time::UNIX_EPOCH.elapsed().expect("a time").as_secs();
    let tls = Tls::new(&settings, i64::try_from(now).expect("a time")).expect("a certificate");
    let made = CertificateDer::from_pem_file(dir.path().join("development.pem")).expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(made).expect("a certificate");
    // The one cipher of rustls whose records anybody may number.
    let provider = CryptoProvider {
        cipher_suites: vec![TLS13_CHACHA20_POLY1305_SHA256],
        ..aws_lc_rs::default_provider()
    };
    let mut client = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.enable_secret_extraction = true;
    (tls, Arc::new(client))
});

/// Sends the bytes in pieces, and then nothing.
async fn send(mut wire: DuplexStream, bytes: &[u8], piece: usize) {
    for piece in bytes.chunks(piece) {
        if wire.write_all(piece).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
    wire.shutdown().await.ok();
    wire.read_to_end(&mut Vec::new()).await.ok();
}

async fn shaken(client: Arc<ClientConfig>, wire: DuplexStream) -> (DuplexStream, ClientConnection) {
    let name = ServerName::try_from("localhost").expect("a name");
    let connected = TlsConnector::from(client).connect(name, wire).await;
    connected.expect("a handshake").into_inner()
}

/// Seals records: of each its kind, its length, and as much of its text.
fn sealed(session: ClientConnection, mut bytes: &[u8]) -> Vec<u8> {
    let SupportedCipherSuite::Tls13(suite) = TLS13_CHACHA20_POLY1305_SHA256 else {
        return Vec::new();
    };
    let secrets = session.dangerous_extract_secrets().expect("secrets");
    let (first, ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = secrets.tx else {
        return Vec::new();
    };
    let mut encrypter = suite.aead_alg.encrypter(key, iv);
    let mut records = Vec::new();
    for number in first.. {
        let [kind, length, rest @ ..] = bytes else { break };
        let (text, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        let message = OutboundPlainMessage {
            // The kinds that there are, mostly.
            typ: ContentType::from(20 + kind % 8),
            version: ProtocolVersion::TLSv1_2,
            payload: OutboundChunks::Single(text),
        };
        records.extend(encrypter.encrypt(message, number).expect("a record").encode());
        bytes = rest;
    }
    records
}

/// What a server hears when these bytes come behind the handshake. One that speaks first and says each word again settles.
async fn heard(speaks: bool, piece: usize, records: impl FnOnce(ClientConnection) -> Vec<u8>) -> Vec<u8> {
    let (tls, client) = &*BOTH;
    let (near, far) = tokio::io::duplex(64 * 1024);
    let ((wire, session), shaken) =
        tokio::join!(shaken(Arc::clone(client), near), tls.handshake(far, Vec::new()));
    let (mut stream, _) = shaken.expect("a handshake");
    if speaks {
        stream.settle();
        stream.write_all(b"first").await.ok();
    }
    let records = records(session);
    let heard = async {
        let mut heard = Vec::new();
        let mut buffer = [0; 7];
        while let Ok(length @ 1..) = stream.read(&mut buffer).await {
            heard.extend_from_slice(&buffer[..length]);
            if speaks {
                stream.write_all(&buffer[..length]).await.ok();
            }
        }
        stream.flush().await.ok();
        drop(stream);
        heard
    };
    tokio::join!(send(wire, &records, piece), heard).1
}

/// What is to be sent of a session of rustls'.
fn written(session: &mut ClientConnection) -> Vec<u8> {
    let mut records = Vec::new();
    while session.wants_write() {
        session.write_tls(&mut records).expect("memory");
    }
    records
}

fn say(session: &mut ClientConnection, text: &[u8]) {
    std::io::Write::write_all(&mut session.writer(), text).expect("room");
}

fuzz_target!(|data: &[u8]| {
    let [how, piece, bytes @ ..] = data else { return };
    let piece = usize::from(*piece) + 1;
    let speaks = *how >= 128;
    RUNTIME.block_on(async {
        match how % 5 {
            0 => {
                let (near, far) = tokio::io::duplex(64 * 1024);
                let (_, shaken) = tokio::join!(send(near, bytes, piece), BOTH.0.handshake(far, Vec::new()));
                assert!(shaken.is_err(), "bytes by chance are no handshake");
            }
            1 => {
                let heard = heard(speaks, piece, |_| bytes.to_vec()).await;
                assert_eq!(heard, b"", "text that nobody has encrypted");
            }
            // Sound records, of which some bytes are changed.
            2 => {
                let records = |mut session: ClientConnection| {
                    say(&mut session, bytes);
                    session.refresh_traffic_keys().expect("TLS 1.3");
                    say(&mut session, bytes);
                    let mut records = written(&mut session);
                    for [at, change] in bytes.as_chunks().0 {
                        if let Some(byte) = records.get_mut(usize::from(*at) * 3) {
                            *byte ^= change;
                        }
                    }
                    records
                };
                let heard = heard(speaks, piece, records).await;
                assert!(
                    [bytes, bytes].concat().starts_with(&heard),
                    "text that was never sent"
                );
            }
            3 => {
                let records = |mut session: ClientConnection| {
                    for part in bytes.chunks(5) {
                        session.refresh_traffic_keys().expect("TLS 1.3");
                        say(&mut session, part);
                    }
                    written(&mut session)
                };
                assert_eq!(heard(speaks, piece, records).await, bytes);
            }
            // Sealed records with anything in them. What follows new keys can't be read, by nobody.
            _ => {
                let records = |session| sealed(session, bytes);
                assert_eq!(
                    heard(true, piece, records).await,
                    heard(false, piece, records).await
                );
            }
        }
    });
});
