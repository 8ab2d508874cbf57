//! Redis is away, full, slow, or another one.

use std::{
    path::Path,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use plugnmeet_gateway::{secret::Secret, token::TokenKeys};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{PATIENT, ask, gateway, let_through};
use crate::support::{
    API_KEY, Gateway, SECRET,
    addr::{free, own},
    client::{Client, plain_get},
    redis::Redis,
    token_request,
};

/// How many times each caller is answered within an outage. A decision waits for 20 ms at most: whoever waited for half a
/// second each time would not come so far in `PATIENCE`.
const ANSWERS_IN_AN_OUTAGE: usize = 200;

/// For Redis' being back to be noticed: half a second between two looks, and a busy machine.
const RECOVERY: Duration = Duration::from_secs(90);

/// For a line of the program's output.
const PATIENCE: Duration = Duration::from_secs(90);

/// Waits until decisions are made in Redis again; every attempt is for a user of its own.
async fn shared_again(gateway: &Gateway, redis: &Redis) -> Duration {
    let started = Instant::now();
    for attempt in 0.. {
        let before = redis.keys("pnm-gw:user:").await;
        assert_eq!(
            ask(gateway, "back", &format!("attempt-{attempt}")).await.status,
            200
        );
        if redis.keys("pnm-gw:user:").await.len() > before.len() {
            break;
        }
        assert!(started.elapsed() < RECOVERY, "limits are not shared again");
        sleep(Duration::from_millis(20)).await;
    }
    started.elapsed()
}

/// A way to be without Redis, and the way back.
#[derive(Clone, Copy, Debug)]
enum Outage {
    Killed,
    Paused,
    ReadOnly,
    Full,
}

impl Outage {
    async fn begin(self, redis: &mut Redis) {
        match self {
            Self::Killed => redis.kill(),
            Self::Paused => redis.pause(),
            Self::ReadOnly => redis.ask(&["REPLICAOF", "127.0.0.1", "1"]).await,
            Self::Full => redis.ask(&["CONFIG", "SET", "maxmemory", "1"]).await,
        }
    }

    async fn end(self, redis: &mut Redis) {
        match self {
            Self::Killed => redis.restart().await,
            Self::Paused => redis.resume(),
            Self::ReadOnly => redis.ask(&["REPLICAOF", "NO", "ONE"]).await,
            Self::Full => redis.ask(&["CONFIG", "SET", "maxmemory", "0"]).await,
        }
    }
}

/// Asks again and again over one connection, each time for a new user, and tells how long each answer took.
struct Load {
    asking: JoinSet<Vec<(Instant, Duration)>>,
    /// How many answers each has had.
    answers: Vec<Arc<AtomicUsize>>,
    enough: Arc<AtomicBool>,
}

impl Load {
    async fn on(gateway: &Arc<Gateway>, callers: usize) -> Self {
        let (mut asking, users) = (JoinSet::new(), Arc::new(AtomicU32::new(0)));
        let enough = Arc::new(AtomicBool::new(false));
        let mut answers = Vec::new();
        for _ in 0..callers {
            let count = Arc::new(AtomicUsize::new(0));
            answers.push(Arc::clone(&count));
            let stream = TokioIo::new(gateway.client().connect(b"http/1.1").await);
            let (mut sender, connection) = http1::handshake::<_, Full<Bytes>>(stream).await.unwrap();
            tokio::spawn(connection);
            let (gateway, users, enough) = (Arc::clone(gateway), Arc::clone(&users), Arc::clone(&enough));
            asking.spawn(async move {
                let mut taken = Vec::new();
                while !enough.load(Ordering::Relaxed) {
                    let user = users.fetch_add(1, Ordering::Relaxed);
                    let body = token_request("load", &format!("user-{user}"));
                    let request = Request::post("/auth/room/getJoinToken")
                        .header("Host", format!("localhost:{}", gateway.https.port()))
                        .header("API-KEY", API_KEY)
                        .header(
                            "HASH-SIGNATURE",
                            gateway.keys.requests().signature(body.as_bytes()),
                        )
                        .body(Full::new(Bytes::from(body)))
                        .unwrap();
                    let asked = Instant::now();
                    let answer = sender.send_request(request).await.unwrap();
                    let status = answer.status();
                    let text = answer.into_body().collect().await.unwrap().to_bytes();
                    taken.push((asked, asked.elapsed()));
                    count.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(status, 200, "{text:?}");
                    sleep(Duration::from_millis(5)).await;
                }
                taken
            });
        }
        Self {
            asking,
            answers,
            enough,
        }
    }

    /// Waits until each has had so many answers more.
    async fn goes_on(&self, answers: usize) {
        for count in &self.answers {
            let (started, before) = (Instant::now(), count.load(Ordering::Relaxed));
            while count.load(Ordering::Relaxed) < before + answers {
                assert!(started.elapsed() < PATIENCE, "somebody waits");
                sleep(Duration::from_millis(10)).await;
            }
        }
    }

    async fn end(self) -> Vec<(Instant, Duration)> {
        self.enough.store(true, Ordering::Relaxed);
        self.asking.join_all().await.concat()
    }
}

/// Nobody is refused or lost, nobody waits, and it ends by itself.
async fn survives(outage: Outage) {
    let mut redis = Redis::start().await;
    let gateway = gateway(&redis, "room = '100000/min'\ncaller = '100000/min'\n").await;
    let load = Load::on(&gateway, 4).await;
    load.goes_on(20).await;
    let began = Instant::now();
    outage.begin(&mut redis).await;
    // Those who were being answered as it began are no sign.
    load.goes_on(1).await;
    load.goes_on(ANSWERS_IN_AN_OUTAGE).await;
    outage.end(&mut redis).await;
    let ended = Instant::now();
    let back = shared_again(&gateway, &redis).await;
    let answers = load.end().await;
    let slowest = |of: &dyn Fn(Instant) -> bool| {
        let taken = answers
            .iter()
            .filter(|(asked, _)| of(*asked))
            .map(|(_, taken)| *taken);
        taken.max().unwrap()
    };
    let before = slowest(&|asked| asked < began);
    let during = slowest(&|asked| asked >= began && asked < ended);
    println!(
        "{outage:?}: {} answers, slowest before {before:?}, during {during:?}, shared again after {back:?}",
        answers.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_redis_that_is_killed_and_comes_back_empty() {
    survives(Outage::Killed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_redis_that_stands_still() {
    survives(Outage::Paused).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_redis_that_may_only_be_read() {
    survives(Outage::ReadOnly).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_redis_that_is_full() {
    survives(Outage::Full).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_each_gateway_lets_its_part_through() {
    let mut redis = Redis::start().await;
    let limits = format!("user = '9/h'\nreplicas = 3\n{PATIENT}");
    let gateways = [
        gateway(&redis, &limits).await,
        gateway(&redis, &limits).await,
        gateway(&redis, &limits).await,
    ];
    assert_eq!(let_through(&gateways, 9, "ann").await, 9);
    redis.kill();
    for gateway in &gateways {
        assert_eq!(let_through(std::slice::from_ref(gateway), 9, "bob").await, 3);
    }
    redis.restart().await;
    for gateway in &gateways {
        shared_again(gateway, &redis).await;
    }
    assert_eq!(let_through(&gateways, 9, "cleo").await, 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_starts_without_redis_and_finds_it_later() {
    let mut redis = Redis::start().await;
    redis.kill();
    let gateway = gateway(&redis, "user = '10/h'").await;
    assert_eq!(let_through(std::slice::from_ref(&gateway), 20, "ann").await, 10);
    redis.restart().await;
    shared_again(&gateway, &redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_tell_of_decisions_without_redis() {
    let mut redis = Redis::start().await;
    redis.kill();
    let gateway = gateway(&redis, PATIENT).await;
    let metrics = async || plain_get(gateway.admin, "/metrics").await.text();
    let told = |text: &str, shared: u8, local: u8| {
        text.contains(&format!("\nplugnmeet_gateway_limits_shared {shared}\n"))
            && text.contains(&format!("\nplugnmeet_gateway_limits_local_total {local}\n"))
    };
    for user in ["a", "b", "c"] {
        assert_eq!(ask(&gateway, "room01", user).await.status, 200);
    }
    assert!(told(&metrics().await, 0, 3), "{}", metrics().await);
    redis.restart().await;
    let started = Instant::now();
    while !told(&metrics().await, 1, 3) {
        assert!(started.elapsed() < RECOVERY, "{}", metrics().await);
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(ask(&gateway, "room01", "a").await.status, 200);
    assert!(told(&metrics().await, 1, 3), "{}", metrics().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_an_outage_too() {
    let redis = Redis::with_password("right").await;
    let toml = format!("[limits]\n{PATIENT}store = 'redis://:late@{}'", redis.addr());
    let gateway = Gateway::with(&toml).await;
    assert_eq!(ask(&gateway, "room01", "ann").await.status, 200);
    assert_eq!(redis.keys("").await, [""; 0]);
    // Somebody puts it right at the other end: two passwords for one user.
    redis.ask::<()>(&["ACL", "SETUSER", "default", ">late"]).await;
    shared_again(&gateway, &redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentinel_names_the_redis() {
    let redis = Redis::start().await;
    let sentinel = Redis::sentinel_of(&redis).await;
    let gone = "127.0.0.1:1";
    let toml = format!(
        "[limits]\n{PATIENT}store = 'redis+sentinel://{gone},{}/plugnmeet/1'",
        sentinel.addr()
    );
    let gateway = Gateway::with(&toml).await;
    // A start waits two seconds for it.
    let started = Instant::now();
    for attempt in 0.. {
        let user = format!("attempt-{attempt}");
        assert_eq!(ask(&gateway, "room01", &user).await.status, 200);
        if !redis.keys_in_database_1().await.is_empty() {
            break;
        }
        assert!(started.elapsed() < RECOVERY, "limits are not shared");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_limits_are_shared_in_the_new_master() {
    let (old, new) = (Redis::start().await, Redis::start().await);
    new.follow(&old).await;
    let sentinel = Redis::sentinel_of(&old).await;
    let toml = format!(
        "[limits]\n{PATIENT}store = 'redis+sentinel://{}/plugnmeet'",
        sentinel.addr()
    );
    let gateway = Gateway::with(&toml).await;
    shared_again(&gateway, &old).await;
    sentinel.fail_over().await;
    shared_again(&gateway, &new).await;
}

/// The program itself, for what only its output and its environment show.
struct Process {
    /// Killed when dropped.
    _child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    folder: TempDir,
}

impl Process {
    async fn start(store: &str, environment: &[(&str, &Path)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_plugnmeet-gateway"))
            .current_dir(&folder)
            .env("PNM_GATEWAY__LISTEN__HTTPS", own())
            .env("PNM_GATEWAY__LISTEN__HTTP", "")
            .env("PNM_GATEWAY__LISTEN__ADMIN", "")
            .env("PNM_GATEWAY__PLUGNMEET__SECRET", SECRET)
            .env("PNM_GATEWAY__LIMITS__STORE", store)
            .env("PNM_GATEWAY__LIMITS__REDIS_TIMEOUT", "1s")
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let kept = Arc::clone(&lines);
        tokio::spawn(async move {
            while let Ok(Some(line)) = output.next_line().await {
                kept.lock().unwrap().push(line);
            }
        });
        let process = Self {
            _child: child,
            lines,
            folder,
        };
        process.says("Try next").await;
        process
    }

    fn output(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// The first line with these words, once it is there.
    async fn says(&self, words: &str) -> String {
        let started = Instant::now();
        loop {
            if let Some(line) = self.output().into_iter().find(|line| line.contains(words)) {
                return line;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "no line has {words:?}: {:#?}",
                self.output()
            );
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn ask(&self, user: &str) -> u16 {
        let line = self.says("HTTPS on ").await;
        let addr = line.split("HTTPS on ").nth(1).unwrap().split(',').next().unwrap();
        let certificate = self.folder.path().join("certs/development.pem");
        let keys = TokenKeys::new(API_KEY.into(), &Secret::new(SECRET.into())).unwrap();
        let body = token_request("room01", user);
        let signature = keys.requests().signature(body.as_bytes());
        let headers = [("API-KEY", API_KEY), ("HASH-SIGNATURE", signature.as_str())];
        Client::trusting(&certificate, addr.parse().unwrap())
            .request("POST", "/auth/room/getJoinToken", &headers, body.as_bytes())
            .await
            .status
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_two_lines_in_the_log_and_the_password_in_none() {
    let mut redis = Redis::with_password("hunter2").await;
    let store = format!("redis://:hunter2@{}", redis.addr());
    let process = Process::start(&store, &[]).await;
    assert_eq!(process.ask("ann").await, 200);
    redis.kill();
    for user in 0..20 {
        assert_eq!(process.ask(&format!("user-{user}")).await, 200);
    }
    redis.restart().await;
    process.says("Limits are shared again").await;
    assert_eq!(process.ask("bob").await, 200);
    let output = process.output();
    let about = |words: &str| output.iter().filter(|line| line.contains(words)).count();
    assert_eq!(
        (about("Limits are not shared"), about("Limits are shared again")),
        (1, 1),
        "{output:#?}"
    );
    assert_eq!(about("hunter2"), 0, "{output:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_over_tls_is_believed_by_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let [certificate, key] = ["redis.pem", "redis.key"].map(|name| folder.path().join(name));
    let tls = free();
    let made = rcgen::generate_simple_self_signed(vec![tls.ip().to_string()]).unwrap();
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let redis = Redis::with_certificate(tls, &certificate, &key).await;
    let store = format!("rediss://{tls}");
    let trusting = Process::start(&store, &[("SSL_CERT_FILE", &certificate)]).await;
    trusting.says("Limits are shared").await;
    assert_eq!(trusting.ask("ann").await, 200);
    assert_eq!(redis.keys("pnm-gw:user:").await.len(), 1);
    let stranger = Process::start(&store, &[]).await;
    let line = stranger.says("Limits are not shared").await;
    assert!(line.contains("UnknownIssuer"), "{line}");
    assert_eq!(stranger.ask("ann").await, 200);
}
