//! A gateway that is started beside one that drains, at the same addresses.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Folder, PATIENCE, Socket, echo, kill, open, started, still_there};
use crate::support::{
    addr::free,
    binary::{Serving, run},
    client::plain_get,
};

/// Addresses that two gateways have in common.
struct Addresses {
    https: String,
    http: String,
    admin: String,
    livekit: String,
}

impl Addresses {
    fn in_front_of(livekit: &str) -> Self {
        Self {
            https: free().to_string(),
            http: free().to_string(),
            admin: free().to_string(),
            livekit: livekit.to_owned(),
        }
    }

    fn with<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let own = [
            ("LISTEN__HTTPS", &*self.https),
            ("LISTEN__HTTP", &*self.http),
            ("LISTEN__ADMIN", &*self.admin),
            ("UPSTREAMS__LIVEKIT", &*self.livekit),
            // Nothing here waits for the end of a drain.
            ("TIMEOUTS__DRAIN", "10m"),
        ];
        [&own[..], more].concat()
    }

    async fn readiness(&self) -> (u16, String) {
        let answer = plain_get(self.admin.parse().unwrap(), "/readyz").await;
        (answer.status, answer.text())
    }
}

const READY: (u16, &str) = (200, "ready\n");
const DRAINING: (u16, &str) = (503, "draining\n");

fn is(answer: &(u16, String), expected: (u16, &str)) -> bool {
    (answer.0, &*answer.1) == expected
}

/// A gateway with one WebSocket, which stops.
async fn one_that_drains(folder: &Folder, variables: &[(&str, &str)]) -> (Serving, Socket) {
    let mut first = started(folder, variables).await;
    let socket = open(&folder.client(&first)).await;
    first.signal("TERM").await;
    first.says("Draining").await;
    (first, socket)
}

async fn serves(folder: &Folder, gateway: &Serving) {
    let client = folder.client(gateway);
    let page = client.request("GET", "/conference/", &[], b"").await;
    assert_eq!(page.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_beside_a_gateway_that_drains_has_every_address_and_the_old_one_is_seen() {
    let (folder, upstream) = (Folder::new(), echo().await);
    let addresses = Addresses::in_front_of(&upstream.url());
    let variables = addresses.with(&[]);
    let (mut first, mut socket) = one_that_drains(&folder, &variables).await;
    let old = first.pid();
    let answer = addresses.readiness().await;
    assert!(is(&answer, DRAINING), "{answer:?}");

    let second = started(&folder, &variables).await;
    assert!(
        second.said.contains(&format!("Admin on {}", addresses.admin)),
        "{}",
        second.said
    );
    first.says("Another gateway has the addresses").await;
    let answer = addresses.readiness().await;
    assert!(is(&answer, READY), "{answer:?}");
    serves(&folder, &second).await;
    still_there(&mut socket).await;

    let status = folder.status().await;
    assert_eq!(status["process"], second.pid());
    let left = &status["old"][old.to_string()];
    assert_eq!(left["tunnels"], json!({ "livekit": 1 }), "{status}");
    drop(socket);
    assert_eq!(first.end().await.0, Some(0));
    assert_eq!(folder.status().await["old"], json!({}));
}

/// `timeouts.drain_delay` is for balancers; whoever starts here takes its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_ends_the_time_in_which_a_gateway_that_stops_still_accepts() {
    let (folder, upstream) = (Folder::new(), echo().await);
    let addresses = Addresses::in_front_of(&upstream.url());
    let variables = addresses.with(&[("TIMEOUTS__DRAIN_DELAY", "10m")]);
    let mut first = started(&folder, &variables).await;
    let mut socket = open(&folder.client(&first)).await;
    first.signal("TERM").await;
    first.says("Stopping; connections are still taken").await;
    let second = started(&folder, &variables).await;
    first.says("Draining").await;
    let answer = addresses.readiness().await;
    assert!(is(&answer, READY), "{answer:?}");
    still_there(&mut open(&folder.client(&second)).await).await;
    still_there(&mut socket).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_can_be_asked_a_start_waits_until_the_other_one_accepts_no_more() {
    let (folder, upstream) = (Folder::new(), echo().await);
    let addresses = Addresses::in_front_of(&upstream.url());
    let variables = addresses.with(&[("CONTROL__SOCKET", ""), ("TIMEOUTS__DRAIN_DELAY", "4s")]);
    let mut first = started(&folder, &variables).await;
    let mut socket = open(&folder.client(&first)).await;
    first.signal("TERM").await;
    first.says("Stopping; connections are still taken").await;
    let second = started(&folder, &variables).await;
    still_there(&mut open(&folder.client(&second)).await).await;
    still_there(&mut socket).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_can_be_asked_the_admin_listener_comes_when_it_is_free_and_goes_over_then() {
    let (folder, upstream) = (Folder::new(), echo().await);
    let addresses = Addresses::in_front_of(&upstream.url());
    let without = addresses.with(&[("CONTROL__SOCKET", "")]);
    let (first, socket) = one_that_drains(&folder, &without).await;
    let mut second = started(&folder, &addresses.with(&[])).await;
    let told = format!(
        "Admin: none for now, as a gateway that stops has {} still",
        addresses.admin
    );
    assert!(second.said.contains(&told), "{}", second.said);
    assert_eq!(folder.status().await["listeners"]["admin"], Value::Null);
    let answer = addresses.readiness().await;
    assert!(is(&answer, DRAINING), "{answer:?}");
    serves(&folder, &second).await;
    drop(socket);
    assert_eq!(first.end().await.0, Some(0));
    second.says("Admin on ").await;
    let answer = addresses.readiness().await;
    assert!(is(&answer, READY), "{answer:?}");
    assert_eq!(folder.status().await["listeners"]["admin"], *addresses.admin);
    kill("USR2", second.pid()).await;
    second.says("Handed over").await;
    folder.serving_after(second.pid()).await;
    let answer = addresses.readiness().await;
    assert!(is(&answer, READY), "{answer:?}");
}

#[tokio::test]
async fn a_gateway_that_serves_keeps_its_addresses() {
    let (folder, upstream) = (Folder::new(), echo().await);
    let addresses = Addresses::in_front_of(&upstream.url());
    let variables = addresses.with(&[]);
    let first = started(&folder, &variables).await;
    let second = run(folder.path(), &["serve"], &variables).await;
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stdout);
    assert!(
        said.contains("listen.https") && said.contains("listen.admin"),
        "{said}"
    );
    assert_eq!(folder.serving().await, first.pid());
    let answer = addresses.readiness().await;
    assert!(is(&answer, READY), "{answer:?}");
}

/// Of a room, as LiveKit's client has it in its request.
const ROOM_TOKEN: &str =
    "e30.eyJzdWIiOiJhbm4iLCJ2aWRlbyI6eyJyb29tIjoibWF0aC03Iiwicm9vbUpvaW4iOnRydWV9fQ.c2ln";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_upgrade_the_old_process_waits_for_its_rooms_alone_and_is_seen_and_reached() {
    let (folder, upstream) = (Folder::new(), echo().await);
    let url = upstream.url();
    let variables = [("UPSTREAMS__LIVEKIT", url.as_str()), ("TIMEOUTS__IDLE", "2s")];
    let mut gateway = started(&folder, &variables).await;
    let (client, old) = (folder.client(&gateway), gateway.pid());
    let mut socket = client.raw().await;
    socket
        .send(format!(
            "GET /livekit/rtc?access_token={ROOM_TOKEN} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ))
        .await;
    assert_eq!(socket.answer().await.status, 101);
    // Connections without a WebSocket hold nobody up.
    let mut kept = client.raw().await;
    kept.send("GET /conference/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    assert_eq!(kept.answer().await.status, 200);
    let _silent = client.connect(b"h2").await;
    let second = folder.upgrade().await;
    gateway.says("Handed over").await;
    let until = Instant::now() + PATIENCE;
    let room = json!({ "people": 1, "tunnels": { "livekit": 1 } });
    loop {
        let status = folder.status().await;
        assert_eq!(
            (&status["process"], &status["rooms"]),
            (&json!(second), &json!({}))
        );
        let left = &status["old"][old.to_string()];
        assert_eq!(left["rooms"]["math-7"], room, "{status}");
        assert_eq!(left["version"], env!("CARGO_PKG_VERSION"));
        if left["connections"] == 1 {
            break;
        }
        assert!(Instant::now() < until, "{status}");
        sleep(Duration::from_millis(100)).await;
    }
    still_there(&mut socket).await;
    let none = run(folder.path(), &["drain", "--room", "art-7"], &[]).await;
    assert_eq!(none.status.code(), Some(1));
    let third = folder.upgrade().await;
    let drained = run(folder.path(), &["drain", "--room", "math-7"], &[]).await;
    assert_eq!(
        String::from_utf8_lossy(&drained.stdout),
        "1 WebSockets are closed\n"
    );
    assert_eq!(socket.exactly(4).await.unwrap(), [0x88, 2, 0x03, 0xe9]);
    drop(socket);
    // The oldest ends long before `timeouts.handover`, and so does the second, which has nothing left.
    let until = Instant::now() + PATIENCE;
    while folder.processes() != [third] {
        assert!(Instant::now() < until, "{:?}", folder.processes());
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(folder.status().await["old"], json!({}));
}
