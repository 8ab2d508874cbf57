//! Any bytes from a client of TLS, in any pieces: as its hello, and behind a handshake that is done. Never a panic, and as soon as
//! the client is gone its connection ends.
#![no_main]

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use libfuzzer_sys::fuzz_target;
use plugnmeet_gateway::tls::{Tls, TlsSettings};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
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
    let client = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
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

fuzz_target!(|data: &[u8]| {
    let [how, piece, bytes @ ..] = data else { return };
    let piece = usize::from(*piece) + 1;
    let (tls, client) = &*BOTH;
    RUNTIME.block_on(async {
        let (near, far) = tokio::io::duplex(64 * 1024);
        if how % 4 == 0 {
            let (_, shaken) = tokio::join!(send(near, bytes, piece), tls.handshake(far, Vec::new()));
            assert!(shaken.is_err(), "bytes by chance are no handshake");
            return;
        }
        let ((wire, mut session), shaken) =
            tokio::join!(shaken(Arc::clone(client), near), tls.handshake(far, Vec::new()));
        let (mut stream, _) = shaken.expect("a handshake");
        let mut records = Vec::new();
        match how % 4 {
            // As they are.
            1 => records.extend_from_slice(bytes),
            // Sound records, of which some bytes are changed.
            2 => {
                std::io::Write::write_all(&mut session.writer(), bytes).expect("room");
                session.refresh_traffic_keys().expect("TLS 1.3");
                std::io::Write::write_all(&mut session.writer(), bytes).expect("room");
                while session.wants_write() {
                    session.write_tls(&mut records).expect("memory");
                }
                for [at, change] in bytes.as_chunks().0 {
                    if let Some(byte) = records.get_mut(usize::from(*at) * 3) {
                        *byte ^= change;
                    }
                }
            }
            // Sound records.
            _ => {
                for part in bytes.chunks(5) {
                    session.refresh_traffic_keys().expect("TLS 1.3");
                    std::io::Write::write_all(&mut session.writer(), part).expect("room");
                    while session.wants_write() {
                        session.write_tls(&mut records).expect("memory");
                    }
                }
            }
        }
        let heard = async {
            let mut heard = Vec::new();
            let mut buffer = [0; 7];
            while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                heard.extend_from_slice(&buffer[..length]);
                stream.write_all(&buffer[..length]).await.ok();
            }
            stream.flush().await.ok();
            drop(stream);
            heard
        };
        let (_, heard) = tokio::join!(send(wire, &records, piece), heard);
        match how % 4 {
            1 => assert_eq!(heard, b"", "text that nobody has encrypted"),
            2 => assert!([bytes, bytes].concat().starts_with(&heard), "text that was never sent"),
            _ => assert_eq!(heard, bytes),
        }
    });
});
