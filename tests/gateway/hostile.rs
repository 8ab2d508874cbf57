//! Hellos that nobody means well with: thousands that are never whole, and names that are none.
//!
//! With `PNM_LONG=1` there are 10,000 of them, else 1,500. Pieces, records of one byte, `SSLv2` and silence: `super::port`.

use std::{env, fs, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{
    Gateway,
    binary::{Serving, anywhere},
    client::Client,
    peer::Peer,
    raw::Raw,
};

const PATIENCE: Duration = Duration::from_secs(120);

/// The longest hello that is read, and what a connection costs besides.
const MOST_BYTES_EACH: usize = 64 << 10;

fn memory(pid: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}

/// A hello of TLS 1.2 with this name in it.
fn hello(name: &[u8]) -> Vec<u8> {
    let with_length = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        [&length[..], bytes].concat()
    };
    let names = with_length(&[&[0][..], &with_length(name)].concat());
    let groups = with_length(&with_length(&[0, 29, 0, 23]));
    let schemes = with_length(&with_length(&[4, 3, 8, 4, 4, 1]));
    let extensions = [
        &[0, 0][..],
        &with_length(&names),
        &[0, 10],
        &groups,
        &[0, 13],
        &schemes,
    ]
    .concat();
    let body = [
        &[3, 3][..],
        &[7; 32],
        &[0],
        &with_length(&[0xc0, 0x2b, 0xc0, 0x2f]),
        &[1, 0],
        &with_length(&extensions),
    ]
    .concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let message = [&[1][..], &length[1..], &body].concat();
    [&[0x16, 3, 1][..], &with_length(&message)].concat()
}

/// What comes back within the deadline, to the end.
async fn answer(gateway: &Gateway, sent: &[u8]) -> Vec<u8> {
    let mut connection = Raw::over(TcpStream::connect(gateway.https).await.unwrap());
    connection.try_send(sent).await.ok();
    connection.half_close().await;
    timeout(PATIENCE, connection.rest()).await.unwrap().0
}

#[tokio::test]
async fn a_name_of_any_length_is_answered_by_tls_and_leads_nowhere() {
    let peer = Peer::recalling().await;
    let gateway = Gateway::with(&format!(
        "timeouts.handshake = '2s'\n[[passthrough]]\nnames = ['*.example.org']\nupstream = '{}'\n",
        peer.addr
    ))
    .await;
    let label = "a".repeat(62);
    let name_of = |length: usize| {
        let mut name = [label.as_str(); 5].join(".");
        name.truncate(length - 1);
        name + "b"
    };
    for name in [
        name_of(255),
        name_of(253),
        "a".repeat(64),
        "a".repeat(4000),
        String::new(),
        ".".to_owned(),
        "192.0.2.7".to_owned(),
        "\0.example.org".to_owned(),
        "*.example.org".to_owned(),
    ] {
        let got = answer(&gateway, &hello(name.as_bytes())).await;
        assert!(matches!(got.first(), Some(0x15 | 0x16)), "{name:?}: {got:?}");
    }
    assert_eq!(peer.connections(), 0);
    // The hello as such is sound.
    let whole = hello(b"a.example.org");
    assert_eq!(answer(&gateway, &whole).await, whole);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_half_open_hellos_keep_nobody_out_and_are_gone_after_the_deadline() {
    let many = if env::var_os("PNM_LONG").is_some() {
        10_000
    } else {
        1_500
    };
    let folder = tempfile::tempdir().unwrap();
    let passthrough = "[{ names = ['a.example.org'], upstream = '127.0.0.1:1' }]";
    let variables = [
        &anywhere()[..],
        &[
            ("TIMEOUTS__HANDSHAKE", "10s"),
            ("LIMITS__CONNECTIONS", "0"),
            ("LOG__ACCESS", "false"),
            ("PASSTHROUGH", passthrough),
        ],
    ]
    .concat();
    let serving = Serving::start(folder.path(), &["serve"], &variables).await;
    let client = Client::trusting(&folder.path().join("certs/development.pem"), serving.https);
    assert_eq!(client.request("GET", "/conference/", &[], b"").await.status, 200);
    let before = memory(serving.pid());
    let hello = hello(b"a.example.org");
    let mut half_open = Vec::new();
    for nth in 0..many {
        let mut stream = TcpStream::connect(serving.https).await.unwrap();
        // Who waits for long makes room for others where there is none left.
        stream.write_all(&hello[..nth % hello.len()]).await.ok();
        half_open.push(stream);
    }
    let cost = memory(serving.pid()).saturating_sub(before) / many;
    println!("{many} half-open hellos: {cost} bytes of memory each");
    assert!(cost < MOST_BYTES_EACH, "{cost} bytes each");
    assert_eq!(client.request("GET", "/conference/", &[], b"").await.status, 200);
    for mut stream in half_open {
        let mut end = Vec::new();
        let ended = timeout(PATIENCE, stream.read_to_end(&mut end)).await;
        assert!(
            ended.is_ok(),
            "a half-open hello is waited for beyond the deadline"
        );
        assert!(matches!(end.first(), None | Some(0x15)), "{end:?}");
    }
    assert_eq!(client.request("GET", "/conference/", &[], b"").await.status, 200);
}
