//! Nine o'clock: everybody who knocks gets in. A real nats-server asks a service about each connection, which answers at a
//! set rate, and people come by the client's own NATS library.

mod courses;
mod told;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hyper::Response;
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    sync::{Mutex, MutexGuard, Semaphore},
    time::sleep,
};

use tokio_rustls::client::TlsStream;

use crate::support::websocket::agreed;
use crate::support::{
    Gateway,
    addr::free,
    client::plain_get,
    nats::NatsServer,
    node::{NodeProcess, trust},
    raw::{Raw, RawUpstream},
    until,
    upstream::{Upstream, text_body},
};

/// The rest of a head that asks for a WebSocket.
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// They have the machine one after the other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// plugnmeet-server, NATS and the gateway before them.
struct Site {
    nats: NatsServer,
    callout: NodeProcess,
    server: Upstream,
    gateway: Gateway,
    _alone: MutexGuard<'static, ()>,
}

/// One who comes: name, token, and more for the driver.
type Comer = Value;

impl Site {
    /// NATS gives up after so many seconds, and so many answers come in a second.
    async fn with(seconds: u32, rate: u32, toml: &str) -> Self {
        Self::coming_back(Duration::from_millis(50), seconds, rate, toml).await
    }

    /// As `with`, and the service tries to come back to NATS with this pause.
    async fn coming_back(again: Duration, seconds: u32, rate: u32, toml: &str) -> Self {
        let alone = ONE_AT_A_TIME.lock().await;
        let nats = NatsServer::with_callout(seconds).await;
        let input = json!({"url": nats.url(), "rate": rate, "again": again.as_millis()});
        let mut callout = NodeProcess::start("callout.mjs", &input, &[]);
        assert_eq!(callout.next_line().await, json!({"ready": true}));
        let server = Upstream::handling(|seen| async move {
            assert_eq!(seen.body.as_ref(), [8, 1], "{seen:?}");
            Response::builder()
                .header("content-type", "application/protobuf")
                .body(text_body(&b"\x08\x01\x12\x07success"[..]))
                .unwrap()
        })
        .await;
        let gateway = Gateway::with(&format!(
            "upstreams.server = ['{}']\nupstreams.nats = 'http://{}'\n{toml}",
            server.url(),
            nats.address()
        ))
        .await;
        Self {
            nats,
            callout,
            server,
            gateway,
            _alone: alone,
        }
    }

    fn comer(&self, room: &str, name: &str, more: &Value) -> Comer {
        let token = self.gateway.token(room, name);
        let mut comer = json!({"name": name, "token": token});
        comer
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        comer
    }

    fn comers(&self, room: &str, count: usize, more: &Value) -> Vec<Comer> {
        (0..count)
            .map(|nth| self.comer(room, &format!("{room}-{nth}"), more))
            .collect()
    }

    fn begin(&self, people: &[Comer], hold: bool) -> NodeProcess {
        self.returning(people, hold, 1)
    }

    /// As `begin`; those who are held have come back when they have done so as many times.
    fn returning(&self, people: &[Comer], hold: bool, returns: usize) -> NodeProcess {
        let trust = trust(&self.gateway.certificate(), self.gateway.https);
        let input =
            json!({"origin": self.gateway.origin(), "people": people, "hold": hold, "returns": returns});
        NodeProcess::start("joins.mjs", &input, &trust)
    }

    /// Until everybody is in, refused or gone.
    async fn come(&self, people: &[Comer]) -> Seen {
        let mut process = self.begin(people, false);
        let seen = Seen::of(&process.next_line().await);
        process.finish().await;
        seen
    }

    /// As `come`, with the number of places at each second.
    async fn course_of(&self, people: &[Comer]) -> (Seen, Vec<Option<u32>>) {
        let mut course = Vec::new();
        let come = self.come(people);
        tokio::pin!(come);
        loop {
            tokio::select! {
                seen = &mut come => return (seen, course),
                () = sleep(Duration::from_secs(1)) => course.push(self.gateway.joining().status().places),
            }
        }
    }

    async fn metric(&self, name: &str) -> String {
        let text = plain_get(self.gateway.admin, "/metrics").await.text();
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned))
            .unwrap_or_else(|| panic!("{name}: {text}"))
    }
}

/// Somebody knocks, for as long as this is held.
async fn knocks(gateway: &Gateway, token: &str) -> Raw<TlsStream<TcpStream>> {
    let mut raw = gateway.client().raw().await;
    raw.send(format!(
        "{}Authorization: {token}\r\nContent-Type: application/protobuf\r\nContent-Length: 2\r\n\r\n\x08\x01",
        gateway.head("POST /api/verifyToken HTTP/1.1")
    ))
    .await;
    raw
}

/// What became of those who came; times in milliseconds.
#[derive(Debug)]
struct Seen {
    entered: BTreeMap<String, u64>,
    refused: BTreeMap<String, String>,
}

impl Seen {
    fn of(report: &Value) -> Self {
        let (mut entered, mut refused) = (BTreeMap::new(), BTreeMap::new());
        for (name, seen) in report["people"].as_object().unwrap() {
            match seen["in"].as_u64() {
                Some(at) => drop(entered.insert(name.clone(), at)),
                None => drop(refused.insert(name.clone(), seen["error"].to_string())),
            }
        }
        Self { entered, refused }
    }

    fn last(&self) -> u64 {
        self.entered.values().copied().max().unwrap()
    }

    /// How many of one room were in before the last of another.
    fn before(&self, few: &str, many: &str) -> usize {
        let last = self.times(few).max().unwrap();
        self.times(many).filter(|at| *at < last).count()
    }

    fn times<'s>(&'s self, room: &'s str) -> impl Iterator<Item = u64> + 's {
        let of_room = self
            .entered
            .iter()
            .filter(move |(name, _)| name.starts_with(room));
        of_room.map(|(_, at)| *at)
    }
}

/// NATS gives up after 15 s. Of 40 who come at once, and whom it answers slowly, it refuses many, for good: so slowly that a
/// busy machine makes no difference. Of 100 whom it answers three in a second it would refuse half.
#[tokio::test]
async fn without_places_many_are_refused_and_with_them_nobody() {
    let mut unpaced = Site::with(15, 1, "upstreams.joining = 0").await;
    unpaced.callout.say(&json!({"rate": 0.5})).await;
    let seen = unpaced.come(&unpaced.comers("room01", 40, &json!({}))).await;
    assert!(seen.refused.len() > 5, "{seen:?}");
    drop(unpaced);

    let paced = Site::with(15, 3, "").await;
    let seen = paced.come(&paced.comers("room01", 100, &json!({}))).await;
    assert_eq!(seen.refused, BTreeMap::new());
    assert_eq!(paced.server.requests().len(), 100);
    assert_eq!(paced.metric("plugnmeet_gateway_join_refused_total").await, "0");
    assert_eq!(paced.metric("plugnmeet_gateway_joining_waiting").await, "0");
    let waited = paced.metric("plugnmeet_gateway_join_wait_seconds_count");
    let waited: u32 = waited.await.parse().unwrap();
    // A machine that brings them more slowly than NATS takes them lets nobody wait.
    assert!(waited >= 10 || seen.last() > 45_000, "{waited} {seen:?}");
    assert_eq!(paced.gateway.joining().status().joining, 0);
}

/// They were in a meeting, or their client has kept its session.
#[tokio::test]
async fn who_comes_to_the_websocket_alone_waits_there() {
    let site = Site::with(30, 2, "upstreams.joining = 10\ntimeouts.upgrade = '10m'").await;
    let people = site.comers("room01", 40, &json!({"direct": true}));
    let seen = site.come(&people).await;
    assert_eq!(seen.refused, BTreeMap::new());
    let waited = site.metric("plugnmeet_gateway_join_wait_seconds_count").await;
    assert!(waited.parse::<u32>().unwrap() >= 5, "{waited}");
    assert!(site.server.saw_nothing());
}

#[tokio::test]
async fn a_small_room_and_a_moderator_are_in_before_a_large_room() {
    // Numbers of its own: the order is what matters, however busy the machine is.
    let site = Site::with(30, 1, "upstreams.joining = 10").await;
    let mut people = site.comers("lecture", 60, &json!({}));
    people.extend(site.comers("three", 3, &json!({"later": true})));
    let moderator = site.gateway.sign(|claims| {
        claims.room_id = "lecture".into();
        claims.user_id = "teacher".into();
        claims.sub = "teacher".into();
        claims.is_admin = true;
    });
    people.push(json!({"name": "teacher", "token": moderator, "later": true}));
    let mut process = site.begin(&people, false);
    until("many wait", async || {
        site.gateway.joining().status().waiting >= 20
    })
    .await;
    process.say(&json!("now")).await;
    let seen = Seen::of(&process.next_line().await);
    process.finish().await;
    assert_eq!(seen.refused, BTreeMap::new());
    for few in ["three", "teacher"] {
        let before = seen.before(few, "lecture");
        assert!(before < 50, "{few}: {before} {seen:?}");
    }
}

/// A place that is given to somebody who has left is lost.
#[tokio::test]
async fn forty_who_go_away_take_no_place_with_them() {
    let answers = Arc::new(Semaphore::new(0));
    let word = Arc::clone(&answers);
    let server = Upstream::handling(move |_| {
        let word = Arc::clone(&word);
        async move {
            word.acquire().await.unwrap().forget();
            // Whom the server lets in not, has no place from then on.
            Response::builder()
                .header("content-type", "application/protobuf")
                .body(text_body(&b"\x08\x00\x12\x02no"[..]))
                .unwrap()
        }
    })
    .await;
    let gateway = Gateway::with(&format!(
        "upstreams.server = ['{}']\nupstreams.nats = 'http://{}'\nupstreams.joining = 10\n\
         timeouts.response = '10m'\ntimeouts.admission = '10m'",
        server.url(),
        free()
    ))
    .await;
    let knock = async |user: String| knocks(&gateway, &gateway.token("room01", &user)).await;
    let waiting = async |count: usize| {
        until("so many wait", async || {
            gateway.joining().status().waiting == count
        })
        .await;
    };
    let mut first = Vec::new();
    for nth in 0..10 {
        first.push(knock(format!("first-{nth}")).await);
    }
    until("ten are at the server", async || server.requests().len() == 10).await;
    let (mut gone, mut others) = (Vec::new(), Vec::new());
    for nth in 0..40 {
        gone.push(knock(format!("gone-{nth}")).await);
        if nth % 4 == 0 {
            others.push(knock(format!("others-{nth}")).await);
        }
    }
    waiting(50).await;
    // Some leave while places become free, and most before.
    gone.truncate(5);
    waiting(15).await;
    answers.add_permits(10);
    drop(gone);
    for person in &mut first {
        assert_eq!(person.answer().await.status, 200);
    }
    waiting(0).await;
    until("the others have the places", async || {
        gateway.joining().status().joining == 10
    })
    .await;
    answers.add_permits(100);
    for person in &mut others {
        assert_eq!(person.answer().await.status, 200);
    }
    until("nobody has a place", async || {
        gateway.joining().status().joining == 0
    })
    .await;
    assert!((20..=25).contains(&server.requests().len()));
}

#[tokio::test]
async fn nats_that_is_started_again_lets_all_back_in_while_newcomers_knock() {
    let mut site = Site::with(300, 60, "timeouts.upgrade = '10m'").await;
    let mut process = site.begin(&site.comers("room01", 100, &json!({})), true);
    let seen = Seen::of(&process.next_line().await);
    assert_eq!(seen.refused, BTreeMap::new());
    site.callout.say(&json!({"rate": 20})).await;
    site.nats.restart(Duration::from_secs(1)).await;
    let seen = site
        .come(&site.comers("room02", 30, &json!({"after": 1000})))
        .await;
    assert_eq!(seen.refused, BTreeMap::new());
    let end = process.next_line().await;
    assert_eq!(end, json!({"back": 100, "closed": 0}));
    process.finish().await;
}

/// The service is back at NATS 2 s after it, as plugnmeet-server is, or after the first of them have been refused.
#[tokio::test]
async fn nats_that_is_started_again_twice_loses_nobody_though_the_server_is_back_later() {
    for (again, gives_up, someone_is_refused) in [(2000, 5, false), (9000, 3, true)] {
        let mut site = Site::coming_back(Duration::from_millis(again), gives_up, 60, "").await;
        let mut process = site.returning(&site.comers("room01", 10, &json!({})), true, 2);
        let seen = Seen::of(&process.next_line().await);
        assert_eq!(seen.refused, BTreeMap::new());
        // The service has just tried in vain.
        site.nats.restart(Duration::from_millis(2300)).await;
        until("all are back", async || {
            let open = site.metric("plugnmeet_gateway_tunnels{upstream=\"nats\"}").await;
            open == "10" && site.gateway.joining().status().joining == 0
        })
        .await;
        site.nats.restart(Duration::from_millis(2300)).await;
        // The people say it themselves this time, and are gone in the same moment.
        assert_eq!(process.next_line().await, json!({"back": 10, "closed": 0}));
        process.finish().await;
        let refused = site.metric("plugnmeet_gateway_join_refused_total").await;
        assert_eq!(refused != "0", someone_is_refused, "{again} {refused}");
    }
}

/// A token that the server refuses has no turn to wait for, and takes none from others.
#[tokio::test]
async fn a_token_that_is_not_good_takes_no_place() {
    let site = Site::with(5, 10, "upstreams.joining = 1").await;
    let expired = site.gateway.sign(|claims| claims.exp -= 1000);
    let forged = site.gateway.token("room01", "ann") + "A";
    let protobuf = ("content-type", "application/protobuf");
    let first = site.gateway.token("room01", "first");
    for token in [&first, &expired, &forged, &first, &forged] {
        let answer = site
            .gateway
            .post(
                "/api/verifyToken",
                &[("authorization", token.as_str()), protobuf],
                &[8, 1],
            )
            .await;
        assert_eq!(
            (answer.status, answer.body.as_ref()),
            (200, &b"\x08\x01\x12\x07success"[..])
        );
    }
    let standing = site.gateway.joining().status();
    assert_eq!((standing.joining, standing.waiting), (1, 0));
}

/// The client shows these words; with a third field it would hang (docs/plugnmeet.md section 0.3).
#[tokio::test]
async fn who_has_waited_too_long_is_told_so_in_the_clients_own_form() {
    let site = Site::with(5, 10, "upstreams.joining = 1\ntimeouts.admission = '300ms'").await;
    let ask = async |user: &str, media_type: &str| {
        let token = site.gateway.token("room01", user);
        let fields = [("authorization", token.as_str()), ("content-type", media_type)];
        site.gateway.post("/API/verifytoken/", &fields, &[8, 1]).await
    };
    assert_eq!(ask("ann", "application/protobuf").await.status, 200);
    let answer = ask("bob", "application/protobuf").await;
    let words = b"very many people are joining at the moment; try again in a minute";
    let length = u8::try_from(words.len()).unwrap();
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("content-type"), Some("application/protobuf"));
    assert_eq!(answer.body.as_ref(), [&[0x12, length], &words[..]].concat());
    assert_eq!(
        ask("cid", "application/json").await.header("content-type"),
        Some("application/json")
    );
    assert_eq!(site.server.requests().len(), 1);
}

/// `timeouts.idle` is for a connection without a request; a stop lets through who waits.
#[tokio::test]
async fn waiting_counts_in_no_other_time_and_ends_with_a_stop() {
    let toml =
        "upstreams.joining = 1\ntimeouts.idle = '3s'\ntimeouts.response = '3s'\ntimeouts.header = '3s'";
    let site = Site::with(5, 10, toml).await;
    let knock = |user: &str| {
        let token = site.gateway.token("room01", user);
        let client = site.gateway.client();
        tokio::spawn(async move {
            let fields = [
                ("authorization", token.as_str()),
                ("content-type", "application/protobuf"),
            ];
            client
                .request("POST", "/api/verifyToken", &fields, &[8, 1])
                .await
                .status
        })
    };
    assert_eq!(knock("ann").await.unwrap(), 200);
    let bob = knock("bob");
    sleep(Duration::from_secs(4)).await;
    assert!(!bob.is_finished());
    assert_eq!(site.gateway.joining().status().waiting, 1);
    site.gateway.stop().await;
    assert_eq!(bob.await.unwrap(), 200);
    assert_eq!(site.server.requests().len(), 2);
}

/// Whether it comes over HTTP/1.1 or HTTP/2: a browser that is closed leaves the line.
#[tokio::test]
async fn who_goes_away_leaves_the_line_at_once() {
    let site = Site::with(5, 10, "upstreams.joining = 1").await;
    let token = |user: &str| site.gateway.token("room01", user);
    let ann = token("ann");
    let fields = [
        ("authorization", ann.as_str()),
        ("content-type", "application/protobuf"),
    ];
    site.gateway.post("/api/verifyToken", &fields, &[8, 1]).await;
    let mut raw = site.gateway.client().raw().await;
    raw.send(format!(
        "{}Authorization: {}\r\nContent-Type: application/protobuf\r\nContent-Length: 2\r\n\r\n\x08\x01",
        site.gateway.head("POST /api/verifyToken HTTP/1.1"),
        token("bob")
    ))
    .await;
    let is_waiting = async |count: usize| {
        until("so many wait", async || {
            site.gateway.joining().status().waiting == count
        })
        .await;
    };
    let (cid, client) = (token("cid"), site.gateway.client());
    let over_http_2 = tokio::spawn(async move {
        let fields = [
            ("authorization", cid.as_str()),
            ("content-type", "application/protobuf"),
        ];
        client
            .request_h2("POST", "/api/verifyToken", &fields, &[8, 1])
            .await
            .status
    });
    is_waiting(2).await;
    drop(raw);
    is_waiting(1).await;
    over_http_2.abort();
    is_waiting(0).await;
    // The first WebSocket has Ann's place; the second waits for one.
    let upgrade = format!("{}{UPGRADE}", site.gateway.head("GET /ws HTTP/1.1"));
    let mut first = site.gateway.client().raw().await;
    first.send(&upgrade).await;
    assert_eq!(first.answer().await.status, 101);
    let mut second = site.gateway.client().raw().await;
    second.send(&upgrade).await;
    is_waiting(1).await;
    drop(second);
    is_waiting(0).await;
    assert_eq!(site.gateway.tunnels().by_upstream().get("nats"), Some(&1));
    assert_eq!(site.server.requests().len(), 1);
}

/// Hundreds of WebSockets that are open and say nothing, or whose upstream is not NATS, wait for nobody.
#[tokio::test]
async fn where_nothing_looks_like_nats_websockets_are_open_by_the_hundred() {
    let upstream = RawUpstream::acting(|head, mut connection| async move {
        connection.send(agreed(&head)).await;
        connection.rest().await;
    })
    .await;
    let gateway = Gateway::with(&format!("upstreams.nats = '{}'", upstream.url())).await;
    let mut open = Vec::new();
    for _ in 0..200 {
        let mut socket = gateway.client().raw().await;
        socket
            .send(format!("{}{UPGRADE}", gateway.head("GET /ws HTTP/1.1")))
            .await;
        assert_eq!(socket.answer().await.status, 101);
        open.push(socket);
    }
    assert_eq!(gateway.joining().status().waiting, 0);
}
