//! The control socket of a running gateway: who may ask, what is answered, and what becomes of its file.
//!
//! The program itself runs, in a folder of its own; its socket is `run/control.sock` there.

use std::{
    fs,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::{Instant, sleep, timeout},
};

use crate::support::{
    binary::{Serving, anywhere, run},
    client::Client,
    folder_of,
    raw::RawUpstream,
    websocket::agreed,
};

async fn serving(directory: &Path, more: &[(&str, &str)]) -> Serving {
    let variables = [&anywhere()[..], more].concat();
    Serving::start(directory, &["serve"], &variables).await
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("run/control.sock")
}

/// What comes back for these bytes, until the gateway closes; nothing more is sent.
async fn answered(socket: &Path, bytes: &[u8]) -> Value {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    // Of what is too long, the gateway takes no more than it has to.
    stream.write_all(bytes).await.ok();
    answer_of(stream).await
}

async fn answer_of(mut stream: UnixStream) -> Value {
    let mut answer = Vec::new();
    timeout(Duration::from_secs(90), stream.read_to_end(&mut answer))
        .await
        .expect("the gateway does not answer")
        .ok();
    let line = answer.strip_suffix(b"\n").expect("a line");
    assert!(!line.contains(&b'\n'), "one line: {answer:?}");
    serde_json::from_slice(line).unwrap()
}

async fn status(directory: &Path) -> Value {
    let output = run(directory, &["status", "--json"], &[]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn the_status_says_what_runs() {
    let folder = folder_of(&[]);
    let nats = [("UPSTREAMS__NATS", "http://127.0.0.1:9")];
    let gateway = serving(folder.path(), &nats).await;
    let told = status(folder.path()).await;
    assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(told["process"], gateway.pid());
    assert_eq!(told["listeners"]["https"], gateway.https.to_string());
    assert!(told["listeners"]["admin"].is_string());
    assert!(told["certificates"]["localhost"].as_str().unwrap().ends_with('Z'));
    assert_eq!(told["tunnels"], json!({ "nats": 0 }));
    assert!(told["uptime_s"].as_u64().unwrap() < 600);

    let certificate = folder.path().join("certs/development.pem");
    let client = Client::trusting(&certificate, gateway.https);
    let before = told["connections"].as_u64().unwrap();
    let stream = client.connect(b"http/1.1").await;
    let mut now = before;
    for _ in 0..1000 {
        now = status(folder.path()).await["connections"].as_u64().unwrap();
        if now == before + 1 {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(now, before + 1);
    drop(stream);

    let text = run(folder.path(), &["status"], &[]).await;
    let text = String::from_utf8(text.stdout).unwrap();
    let version = text.lines().next().unwrap().split_whitespace();
    assert!(version.eq(["version", env!("CARGO_PKG_VERSION")]), "{text}");
    assert!(text.contains(&format!("https {}\n", gateway.https)), "{text}");
}

#[tokio::test]
async fn the_socket_is_the_users_alone_and_is_gone_after_the_end() {
    let folder = folder_of(&[]);
    let gateway = serving(folder.path(), &[]).await;
    let about = fs::symlink_metadata(socket(folder.path())).unwrap();
    assert!(about.file_type().is_socket());
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
    let around = fs::metadata(folder.path().join("run")).unwrap();
    assert_eq!(around.permissions().mode() & 0o777, 0o700);
    gateway.signal("TERM").await;
    assert_eq!(gateway.end().await.0, Some(0));
    assert!(!socket(folder.path()).exists());

    let asked = run(folder.path(), &["status"], &[]).await;
    assert_eq!(asked.status.code(), Some(1));
    let why = String::from_utf8(asked.stderr).unwrap();
    let expected = "no gateway answers at run/control.sock or /run/plugnmeet-gateway/control.sock; ";
    assert!(why.starts_with(expected), "{why}");
}

#[tokio::test]
async fn what_is_no_command_is_refused_and_the_next_is_answered() {
    let folder = folder_of(&[]);
    let _gateway = serving(folder.path(), &[]).await;
    let socket = socket(folder.path());
    let no_command = "that is no command; write one line of JSON, such as {\"command\":\"status\"}";
    for (bytes, why) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], no_command),
        (b"\n", no_command),
        (b"\x00\xff\xfe\n", no_command),
        (b"{\"command\":\"stop\"}\n", no_command),
        (b"{\"command\":\"status\"\n", no_command),
        (&[b'['; 8192], "no command is that long"),
    ] {
        let answer = answered(&socket, bytes).await;
        assert_eq!(answer["ok"], false, "{bytes:?}");
        assert_eq!(answer["error"], why, "{bytes:?}");
    }
    // What comes after the line is nobody's.
    let answer = answered(&socket, b"{\"command\":\"status\"}\n{\"command\":\"stop\"}\n").await;
    assert_eq!(answer["ok"], true);

    // A command whose end is the end of what is written.
    let mut stream = UnixStream::connect(&socket).await.unwrap();
    stream.write_all(b"{\"command\":\"status\"}").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(answer_of(stream).await["ok"], true);
}

#[tokio::test]
async fn the_silent_are_not_waited_for_and_keep_nobody_out_for_long() {
    let folder = folder_of(&[]);
    let _gateway = serving(folder.path(), &[]).await;
    let began = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(UnixStream::connect(socket(folder.path())).await.unwrap());
    }
    // All who may ask at once are there, and have five seconds.
    assert_eq!(status(folder.path()).await["tunnels"], json!({}));
    assert!(began.elapsed() >= Duration::from_secs(4), "{:?}", began.elapsed());
    let told = answer_of(silent.remove(0)).await;
    assert_eq!(told["error"], "no command came in time");
}

#[tokio::test]
async fn a_second_gateway_leaves_the_socket_to_the_first_and_one_after_a_crash_takes_it() {
    let folder = folder_of(&[]);
    let first = serving(folder.path(), &[]).await;
    let second = serving(folder.path(), &[]).await;
    let why = "No control socket at run/control.sock: another gateway answers there";
    assert!(second.said.contains(why), "{}", second.said);
    assert_eq!(status(folder.path()).await["process"], first.pid());
    second.signal("TERM").await;
    assert_eq!(second.end().await.0, Some(0));
    assert_eq!(status(folder.path()).await["process"], first.pid());

    first.signal("KILL").await;
    first.end().await;
    assert!(socket(folder.path()).exists(), "nobody has cleared up");
    let third = serving(folder.path(), &[]).await;
    assert_eq!(status(folder.path()).await["process"], third.pid());
}

#[tokio::test]
async fn there_is_a_socket_where_the_key_or_systemd_says_and_none_where_it_is_not_wanted() {
    let folder = folder_of(&[]);
    let elsewhere = folder.path().join("elsewhere.sock");
    let key = [("CONTROL__SOCKET", elsewhere.to_str().unwrap())];
    let gateway = serving(folder.path(), &key).await;
    assert!(!socket(folder.path()).exists());
    let output = run(folder.path(), &["status", "--json"], &key).await;
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["process"], gateway.pid());

    let none = [("CONTROL__SOCKET", "")];
    let gateway = serving(folder.path(), &none).await;
    assert!(!socket(folder.path()).exists());
    let output = run(folder.path(), &["status"], &none).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "control.socket is \"\", so no gateway can be asked\n"
    );
    gateway.signal("TERM").await;
    gateway.end().await;

    // A path that can't be had stops no start.
    let nowhere = folder.path().join("no/such/folder/control.sock");
    let key = [("CONTROL__SOCKET", nowhere.to_str().unwrap())];
    let gateway = serving(folder.path(), &key).await;
    let why = format!("No control socket at {}: ", nowhere.display());
    assert!(gateway.said.contains(&why), "{}", gateway.said);
}

/// A token that LiveKit's client shows.
fn livekit_token(room: &str) -> String {
    let payload = format!("{{\"sub\":\"ann\",\"video\":{{\"room\":\"{room}\",\"roomJoin\":true}}}}");
    format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(payload))
}

#[tokio::test]
async fn one_room_is_drained_and_the_others_go_on() {
    let livekit = RawUpstream::acting(|head, mut connection| async move {
        connection.send(agreed(&head)).await;
        while let Ok(bytes) = connection.some().await {
            if connection.try_send(bytes).await.is_err() {
                return;
            }
        }
    })
    .await;
    let folder = folder_of(&[]);
    let url = livekit.url();
    let variables = [("UPSTREAMS__LIVEKIT", url.as_str()), ("TIMEOUTS__DRAIN", "1s")];
    let gateway = serving(folder.path(), &variables).await;
    let certificate = folder.path().join("certs/development.pem");
    let client = Client::trusting(&certificate, gateway.https);
    let mut sockets = Vec::new();
    for room in ["math-7", "art-7"] {
        let mut socket = client.raw().await;
        socket
            .send(format!(
                "GET /livekit/rtc?access_token={} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                livekit_token(room)
            ))
            .await;
        assert_eq!(socket.answer().await.status, 101);
        sockets.push(socket);
    }
    let told = status(folder.path()).await;
    assert_eq!(told["tunnels"], json!({ "livekit": 2 }));
    assert_eq!(
        told["rooms"]["math-7"],
        json!({ "people": 1, "tunnels": { "livekit": 1 } })
    );
    let drain = |room: &'static str| {
        let folder = folder.path();
        async move { run(folder, &["drain", "--room", room], &[]).await }
    };
    let said = drain("math-7").await;
    assert_eq!(
        (said.status.code(), &*said.stdout),
        (Some(0), &b"1 WebSockets are closed\n"[..])
    );
    // Close, 1001.
    assert_eq!(sockets[0].exactly(4).await.unwrap(), [0x88, 2, 0x03, 0xe9]);
    let ping = [0x89, 0x80, 0, 0, 0, 0];
    sockets[1].send(ping).await;
    assert_eq!(sockets[1].exactly(6).await.unwrap(), ping);
    let said = drain("music-7").await;
    assert_eq!(said.status.code(), Some(1));
    let why = String::from_utf8(said.stderr).unwrap();
    assert_eq!(why, "no open WebSocket is known to be of this room\n");
    drop(sockets);
    gateway.signal("TERM").await;
    let (_, everything) = gateway.end().await;
    assert!(!everything.contains("-7"), "{everything}");
}
