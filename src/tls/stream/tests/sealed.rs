//! Whatever a client may seal in a record: a settled connection takes and refuses what rustls' buffered one does.

use rustls::{
    CipherSuiteCommon, ContentType, SupportedCipherSuite, Tls13CipherSuite,
    client::{ClientConnectionData, UnbufferedClientConnection},
    crypto::CryptoProvider,
    kernel::KernelConnection,
    unbuffered::{ConnectionState, UnbufferedStatus},
};

use super::*;
use crate::tls::stream::{
    frame::Frame,
    sealing::{Opening, Sealing},
};
use crate::tls::testing::configured_by;

const CCS: ContentType = ContentType::ChangeCipherSpec;
const ALERT: ContentType = ContentType::Alert;
const HANDSHAKE: ContentType = ContentType::Handshake;
const TEXT: ContentType = ContentType::ApplicationData;

/// A client that seals anything in a record.
struct Sealer {
    wire: DuplexStream,
    keys: KernelConnection<ClientConnectionData>,
    sealing: Sealing,
    opening: Opening,
}

impl Sealer {
    async fn begin(by: By) -> (Self, Box<dyn Stream>) {
        Self::begin_as(by, configured(), aws_lc_rs::default_provider()).await
    }

    async fn begin_as(by: By, server: Arc<ServerConfig>, client: CryptoProvider) -> (Self, Box<dyn Stream>) {
        let mut config = credulous(client, &[&TLS13]);
        config.enable_secret_extraction = true;
        let (mut wire, far) = duplex(1 << 20);
        let mut tls = UnbufferedClientConnection::new(Arc::new(config), name()).unwrap();
        let shaking = async {
            let mut incoming = Vec::new();
            loop {
                let UnbufferedStatus { discard, state } = tls.process_tls_records(&mut incoming);
                let mut outgoing = vec![0; 4096];
                let state = state.unwrap();
                let is_blocked = matches!(state, ConnectionState::BlockedHandshake);
                if let ConnectionState::EncodeTlsData(mut data) = state {
                    let length = data.encode(&mut outgoing).unwrap();
                    wire.write_all(&outgoing[..length]).await.unwrap();
                } else if let ConnectionState::TransmitTlsData(data) = state {
                    data.done();
                } else if !is_blocked {
                    assert!(matches!(state, ConnectionState::WriteTraffic(_)));
                    break;
                }
                incoming.drain(..discard);
                if is_blocked {
                    wire.read_buf(&mut incoming).await.unwrap();
                }
            }
        };
        let ((), server) = tokio::join!(shaking, accept_as(by, server, far));
        let (secrets, keys) = tls.dangerous_into_kernel_connection().unwrap();
        let sealer = Self {
            wire,
            keys,
            sealing: Sealing::after(secrets.tx.0, secrets.tx.1).unwrap(),
            opening: Opening::after(secrets.rx.0, secrets.rx.1).unwrap(),
        };
        (sealer, server.unwrap())
    }

    fn seal(&mut self, kind: ContentType, payload: &[u8]) -> Vec<u8> {
        let (mut records, spares) = (Outgoing::default(), Spares::default());
        let write = |text: &mut [u8]| text.copy_from_slice(payload);
        self.sealing
            .add(kind, payload.len(), write, &mut records, &spares)
            .unwrap();
        records.waiting().to_vec()
    }

    /// What follows is encrypted with the next keys.
    fn turn(&mut self) {
        let (sealed, secrets) = self.keys.update_tx_secret().unwrap();
        self.sealing = Sealing::after(sealed, secrets).unwrap();
    }

    /// All records that come until the server is gone. Of a handshake message only its first bytes are known.
    async fn all(mut self) -> Vec<(ContentType, Vec<u8>)> {
        let mut records = Vec::new();
        self.wire.read_to_end(&mut records).await.unwrap();
        let (mut rest, mut all) = (&mut records[..], Vec::new());
        while let Some(Frame { kind, payload }) = Frame::first(rest).unwrap() {
            let length = payload.len();
            let message = self.opening.open(kind, payload).unwrap();
            let is_ticket = message.payload.first() == Some(&4);
            let mut payload = message.payload.to_vec();
            if message.typ == HANDSHAKE {
                payload.truncate(if is_ticket { 1 } else { 5 });
            }
            if message.typ == HANDSHAKE && payload.starts_with(&[24, 0, 0, 1]) {
                let (opened, secrets) = self.keys.update_rx_secret().unwrap();
                self.opening = Opening::after(opened, secrets).unwrap();
            }
            all.push((message.typ, payload));
            rest = &mut rest[sizes::HEADER_BYTES + length..];
        }
        assert!(rest.is_empty(), "half a record");
        all
    }
}

/// The text that was heard, how that ended, and the answers.
type Told = (
    Vec<u8>,
    Option<(io::ErrorKind, String)>,
    Vec<(ContentType, Vec<u8>)>,
);

/// What a server hears of these records, how that ends, and what it answers. It says one word in the end.
async fn told(by: By, records: impl FnOnce(&mut Sealer) -> Vec<u8>) -> Told {
    let (mut client, mut server) = Sealer::begin(by).await;
    let records = records(&mut client);
    client.wire.write_all(&records).await.unwrap();
    client.wire.shutdown().await.unwrap();
    let (text, ended) = heard(&mut server).await;
    let ended = ended.filter(|(kind, _)| *kind != io::ErrorKind::UnexpectedEof);
    server.write_all(b"word").await.ok();
    server.flush().await.ok();
    drop(server);
    (text, ended, client.all().await)
}

/// What a settled connection and one of rustls' tell of the same records, which is the same. rustls' buffered connection gives an
/// error before the text.
async fn both_told(records: impl Fn(&mut Sealer) -> Vec<u8>, what: impl fmt::Debug) -> Told {
    let (ours, theirs) = (
        told(By::Settled, &records).await,
        told(By::Rustls, &records).await,
    );
    assert_eq!((&ours.1, &ours.2), (&theirs.1, &theirs.2), "{what:?}");
    assert!(ours.1.is_some() || ours.0 == theirs.0, "{what:?}");
    ours
}

/// One record for each of these.
async fn same(what: &[(ContentType, &[u8])]) -> Told {
    let sealed = |client: &mut Sealer| {
        let records = what.iter().map(|(kind, payload)| client.seal(*kind, payload));
        [records.collect::<Vec<_>>().concat(), client.seal(TEXT, b"end")].concat()
    };
    both_told(sealed, what).await
}

#[tokio::test]
async fn alerts() {
    for level in 0..4 {
        for what in [0, 10, 20, 90, 100, 255] {
            let (text, ..) = same(&[(TEXT, b"before"), (ALERT, &[level, what])]).await;
            assert!(text.starts_with(b"before"), "{level} {what}");
        }
    }
    for payload in [&b""[..], &[1], &[1, 90, 0], &[2, 0, 0]] {
        same(&[(ALERT, payload)]).await;
    }
    let cancelled: &[(ContentType, &[u8])] = &[(ALERT, &[1, 90][..]); 5];
    assert_eq!(same(&cancelled[..4]).await.0, b"end");
    assert_eq!(same(cancelled).await.0, b"");
    // The last thing that is heard.
    let (text, ended, _) = same(&[(TEXT, b"text"), (ALERT, &[1, 0]), (TEXT, b"more")]).await;
    assert_eq!((&text[..], ended), (&b"text"[..], None));
}

#[tokio::test]
async fn what_is_in_a_record() {
    for length in [0, 1, 16_384, 16_385, 16_500] {
        same(&[(TEXT, &vec![1; length])]).await;
        same(&[(ContentType::Unknown(0), &vec![0; length])]).await;
    }
    for kind in [20, 24, 25, 99] {
        same(&[(ContentType::from(kind), b"x")]).await;
    }
    // Padding, and nothing but padding.
    let padded = same(&[(ContentType::Unknown(0), b"text\x17\0\0\0")]).await;
    assert_eq!(padded.0, b"textend");
    let empty: &[(ContentType, &[u8])] = &[(TEXT, &b""[..]); 33];
    assert_eq!(same(&empty[..32]).await.0, b"end");
    assert_eq!(same(empty).await.0, b"");
    same(&[(HANDSHAKE, b""), (TEXT, b"text")]).await;
}

#[tokio::test]
async fn handshake_messages() {
    for messages in [
        // No KeyUpdate.
        &[&[0, 0, 0, 0][..]][..],
        &[&[20, 0, 0, 2, 1, 2]],
        // None that is sound.
        &[&[24, 0, 0, 1, 2]],
        &[&[24, 0, 0, 1, 255]],
        // Something behind it.
        &[&[24, 0, 0, 1, 0, 24]],
        &[&[24, 0, 0, 1, 1, 24, 0, 0, 1, 0]],
        // A part, and then text.
        &[&[24]],
        &[&[24, 0, 0, 1]],
    ] {
        let what: Vec<_> = messages.iter().map(|message| (HANDSHAKE, *message)).collect();
        let (text, ..) = same(&what).await;
        assert_eq!(text, b"", "{messages:?}");
    }
}

#[tokio::test]
async fn new_keys_in_any_pieces() {
    for asks in [0, 1] {
        let message = [24, 0, 0, 1, asks];
        for at in 0..message.len() {
            let sealed = |client: &mut Sealer| {
                let (one, other) = message.split_at(at);
                let mut records = [client.seal(HANDSHAKE, one), client.seal(HANDSHAKE, other)].concat();
                client.turn();
                records.extend(client.seal(TEXT, b"text"));
                records
            };
            let (text, ended, answers) = both_told(sealed, (asks, at)).await;
            assert_eq!((&text[..], ended), (&b"text"[..], None));
            let is_renewed = answers.contains(&(HANDSHAKE, vec![24, 0, 0, 1, 0]));
            assert_eq!(is_renewed, asks == 1);
            assert_eq!(answers.last(), Some(&(TEXT, b"word".to_vec())));
        }
    }
}

#[tokio::test]
async fn keys_that_are_owed_come_before_an_alert() {
    let sealed = |client: &mut Sealer| {
        let mut records = client.seal(HANDSHAKE, &[24, 0, 0, 1, 1]);
        client.turn();
        records.extend(client.seal(HANDSHAKE, &[0, 0, 0, 0]));
        records
    };
    let (_, _, answers) = both_told(sealed, "keys").await;
    let [.., keys, alert] = &answers[..] else {
        panic!("{answers:?}")
    };
    assert_eq!(*keys, (HANDSHAKE, vec![24, 0, 0, 1, 0]));
    assert_eq!(*alert, (ALERT, vec![2, 10]));
}

#[tokio::test]
async fn nothing_is_said_behind_a_goodbye() {
    let (mut client, mut server) = Sealer::begin(By::Settled).await;
    server.shutdown().await.unwrap();
    client.wire.write_all(&[99]).await.unwrap();
    let (_, ended) = heard(&mut server).await;
    assert!(ended.is_some());
    server.flush().await.ok();
    drop(server);
    assert_eq!(client.all().await.last(), Some(&(ALERT, vec![1, 0])));
}

/// Ciphers whose keys are worn after eight records.
fn that_wear(provider: CryptoProvider) -> CryptoProvider {
    let worn = |suite: &SupportedCipherSuite| {
        let SupportedCipherSuite::Tls13(suite) = suite else {
            return *suite;
        };
        SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
            common: CipherSuiteCommon {
                suite: suite.common.suite,
                hash_provider: suite.common.hash_provider,
                confidentiality_limit: 8,
            },
            hkdf_provider: suite.hkdf_provider,
            aead_alg: suite.aead_alg,
            quic: suite.quic,
        })))
    };
    CryptoProvider {
        cipher_suites: provider.cipher_suites.iter().map(worn).collect(),
        ..provider
    }
}

#[tokio::test]
async fn keys_of_every_cipher_are_changed_before_they_are_worn() {
    let server = configured_by(that_wear(aws_lc_rs::default_provider()));
    for cipher in aws_lc_rs::DEFAULT_CIPHER_SUITES {
        if cipher.tls13().is_none() {
            continue;
        }
        let only = CryptoProvider {
            cipher_suites: vec![*cipher],
            ..aws_lc_rs::default_provider()
        };
        let (mut client, mut server) = Sealer::begin_as(By::Settled, Arc::clone(&server), only).await;
        let asked = client.seal(TEXT, b"asked");
        client.wire.write_all(&asked).await.unwrap();
        server.read_exact(&mut [0; 5]).await.unwrap();
        for number in 0..30 {
            server.write_u8(number).await.unwrap();
            server.flush().await.unwrap();
        }
        drop(server);
        let all = client.all().await;
        let spoken = all.iter().filter(|(kind, _)| *kind == TEXT);
        let spoken: Vec<u8> = spoken.flat_map(|(_, text)| text.clone()).collect();
        assert_eq!(spoken, (0..30).collect::<Vec<_>>(), "{cipher:?}");
        let is_asked = |(kind, message): &(ContentType, Vec<u8>)| {
            (*kind, &message[..]) == (HANDSHAKE, &[24, 0, 0, 1, 1])
        };
        let with_one_key: Vec<usize> = all.split_inclusive(is_asked).map(<[_]>::len).collect();
        // A record of tickets, 30 texts, and what asks for new keys.
        assert_eq!(with_one_key, [8, 8, 8, 8, 3], "{cipher:?}");
    }
}

#[tokio::test]
async fn records_that_are_not_sealed() {
    for record in [
        &[20, 3, 3, 0, 1, 1][..],
        &[20, 3, 3, 0, 1, 2],
        &[20, 3, 3, 0, 2, 1, 1],
        &[21, 3, 3, 0, 2, 1, 0],
        &[22, 3, 3, 0, 5, 24, 0, 0, 1, 0],
        &[23, 3, 3, 0, 0],
        &[24, 3, 3, 0, 1, 1],
        &[23, 3, 3, 0x48, 0],
        &[23, 2, 3, 0, 1],
        &[99],
    ] {
        both_told(|_| record.to_vec(), record).await;
        // Within a message that has come in part.
        let sent = |client: &mut Sealer| [client.seal(HANDSHAKE, &[24, 0]), record.to_vec()].concat();
        both_told(sent, record).await;
    }
    // What a header says of a record's kind is not under the seal, and so nobody looks at it.
    for kind in [CCS, ALERT, HANDSHAKE, TEXT] {
        let sent = |client: &mut Sealer| {
            let mut record = client.seal(TEXT, b"text");
            record[0] = kind.into();
            record
        };
        both_told(sent, kind).await;
    }
}

async fn unsettled() -> (Client, TlsStream<DuplexStream>) {
    let (near, far) = duplex(1 << 20);
    let connecting = TlsConnector::from(client(&TLS13)).connect(name(), near);
    let accepting = TlsStream::accept(far, Vec::new(), configured(), Arc::default(), None);
    let (client, server) = tokio::join!(connecting, accepting);
    let (wire, tls) = client.unwrap().into_inner();
    (Client { tls, wire }, server.unwrap())
}

/// rustls keeps what says so until there is text to send, and nobody can see that it does.
#[tokio::test]
async fn who_owes_new_keys_does_not_settle_before_they_are_given() {
    let (mut client, mut server) = unsettled().await;
    server.write_all(b"first").await.unwrap();
    client.tls.refresh_traffic_keys().unwrap();
    let records = client.say(b"text");
    client.send(&records).await;
    let mut text = [0; 4];
    server.read_exact(&mut text).await.unwrap();
    server.settle();
    let records = client.say(b"more");
    client.send(&records).await;
    server.read_exact(&mut text).await.unwrap();
    assert!(server.session.agreed().is_some(), "before");
    server.write_all(b"word").await.unwrap();
    let records = client.say(b"last");
    client.send(&records).await;
    server.read_exact(&mut text).await.unwrap();
    assert!(server.session.agreed().is_none(), "behind");
    assert_eq!(&text, b"last");
    server.write_all(b", end").await.unwrap();
    server.shutdown().await.unwrap();
    drop(server);
    assert_eq!(client.all().await, (b"firstword, end".to_vec(), Ok(())));
}

/// It can't be known otherwise, and what comes then would be read by nobody.
#[tokio::test]
async fn keys_that_were_never_written_with_are_not_gone_on_with() {
    let (mut client, mut server) = unsettled().await;
    client.tls.refresh_traffic_keys().unwrap();
    let records = client.say(b"text");
    client.send(&records).await;
    let mut text = [0; 4];
    server.read_exact(&mut text).await.unwrap();
    server.session.has_spoken();
    server.session.settle();
    assert_eq!(
        server.read(&mut text).await.map_err(|error| error.kind()),
        Err(io::ErrorKind::InvalidData)
    );
}
