//! Limits that several gateways share in a real Redis, and what callers see of it when Redis goes.

use std::{
    path::Path,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, client::conn::http1};
use hyper_util::rt::TokioIo;
use plugnmeet_gateway::{
    clock::Clock,
    secret::Secret,
    token::{RequestKey, TokenKeys},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::support::{
    self, API_KEY, Gateway, SECRET,
    client::{Answer, Client, plain_get},
    redis::Redis,
    token_request,
    upstream::{Upstream, text_body},
};

/// What an outage may add to the slowest answer; a decision itself waits for 20 ms at most.
const OUTAGE_COSTS: Duration = Duration::from_millis(50);

/// For Redis' being back to be noticed: half a second between two looks, and a busy machine.
const RECOVERY: Duration = Duration::from_secs(20);

/// For a line of the program's output.
const PATIENCE: Duration = Duration::from_secs(10);

async fn gateway(redis: &Redis, more: &str) -> Arc<Gateway> {
    let toml = format!("[limits]\nstore = '{}'\n{more}", redis.url());
    Arc::new(Gateway::with(&toml).await)
}

/// Where the deadline is not what is tried: a busy machine is not to decide a test.
const PATIENT: &str = "redis_timeout = '1s'\n";

async fn ask(gateway: &Gateway, room: &str, user: &str) -> Answer {
    gateway.ask_for_token(&token_request(room, user), &[]).await
}

/// All at once, for one user; how many are let through.
async fn let_through(gateways: &[Arc<Gateway>], each: usize, user: &'static str) -> usize {
    let mut asking = JoinSet::new();
    for gateway in gateways {
        for _ in 0..each {
            let gateway = Arc::clone(gateway);
            asking.spawn(async move { ask(&gateway, "room01", user).await });
        }
    }
    let answers = asking.join_all().await;
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(answer.status, 429, "{answer:?}");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    answers.iter().filter(|answer| answer.status == 200).count()
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_gateways_let_through_what_one_would() {
    let redis = Redis::start().await;
    let gateways = [
        gateway(&redis, PATIENT).await,
        gateway(&redis, PATIENT).await,
        gateway(&redis, PATIENT).await,
    ];
    assert_eq!(let_through(&gateways, 10, "ann").await, 10);
    let refused = ask(&gateways[0], "room01", "ann").await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("ratelimit-policy"), Some(r#""user";q=10;w=60"#));
    assert_eq!(ask(&gateways[1], "room01", "bob").await.status, 200);
    assert_eq!(ask(&gateways[2], "room02", "ann").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_user_takes_nothing_from_the_room() {
    let redis = Redis::start().await;
    let limits = format!("user = '1/min'\nroom = '3/min'\n{PATIENT}");
    let gateway = gateway(&redis, &limits).await;
    for (user, status) in [
        ("a", 200),
        ("a", 429),
        ("a", 429),
        ("a", 429),
        ("b", 200),
        ("c", 200),
        ("d", 429),
        ("d", 429),
    ] {
        assert_eq!(ask(&gateway, "room01", user).await.status, status, "{user}");
    }
    // What the room refused took nothing from the user either.
    assert_eq!(redis.keys("pnm-gw:user:").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_callers_rates_are_its_own() {
    const SECRET_OF_LMS: &str = "another secret, and not a short one";
    let redis = Redis::start().await;
    let caller = format!(
        "[[callers]]\nname = 'lms'\napi_key = 'lms'\nsecret = '{SECRET_OF_LMS}'\nlimits.user = '2/min'\n"
    );
    let gateway = gateway(&redis, &format!("{PATIENT}{caller}")).await;
    let body = token_request("room01", "ann");
    let signature = RequestKey::new(&Secret::new(SECRET_OF_LMS.into())).signature(body.as_bytes());
    let headers = [("API-KEY", "lms"), ("HASH-SIGNATURE", signature.as_str())];
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let answer = gateway
            .post("/auth/room/getJoinToken", &headers, body.as_bytes())
            .await;
        statuses.push(answer.status);
    }
    assert_eq!(statuses, [200, 200, 429]);
    assert_eq!(let_through(&[gateway], 12, "ann").await, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_are_counted_together() {
    let redis = Redis::start().await;
    let limits = format!("failures = '4/min'\n{PATIENT}");
    let gateways = [gateway(&redis, &limits).await, gateway(&redis, &limits).await];
    let mut statuses = Vec::new();
    for nth in 0..6 {
        let guess = [("API-KEY", API_KEY), ("HASH-SIGNATURE", "guess")];
        let answer = gateways[nth % 2]
            .post("/auth/room/getJoinToken", &guess, b"{}")
            .await;
        statuses.push(answer.status);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 429, 429]);
    let link = gateways[0].get("/conference/?access_token=a.b.c", &[]).await;
    assert_eq!(link.status, 429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_school_of_400_joins_at_nine_and_redis_is_not_blamed_for_the_crowd() {
    let redis = Redis::start().await;
    // Keys that last, for counting them.
    let gateway = gateway(&redis, "user = '1/h'").await;
    let mut joining = JoinSet::new();
    for pupil in 0..400 {
        let gateway = Arc::clone(&gateway);
        joining.spawn(async move { ask(&gateway, "school", &format!("pupil-{pupil}")).await.status });
    }
    let statuses = joining.join_all().await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(redis.keys("pnm-gw:user:").await.len(), 400);
}

/// For rooms that make up ids of their own; nobody waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_is_given_back_in_redis_and_no_bucket_gets_better_than_full() {
    let redis = Redis::start().await;
    let keys = Arc::new(TokenKeys::new(API_KEY.into(), &Secret::new(SECRET.into())).unwrap());
    let server = Upstream::handling(move |_| {
        let token = support::sign(&keys, &Clock::system(), |claims| {
            claims.user_id = "made-up".into();
        });
        let answer =
            format!(r#"{{"status":true,"msg":"success","status_code":"SUCCESS","token":"{token}"}}"#);
        async move { Response::new(text_body(answer)) }
    })
    .await;
    let generating = format!(
        "{PATIENT}[issuer]\nmode = 'upstream'\n[upstreams]\nserver = ['{}']",
        server.url()
    );
    let (generating, issuing) = (gateway(&redis, &generating).await, gateway(&redis, PATIENT).await);
    for _ in 0..30 {
        assert_eq!(ask(&generating, "room01", "guest").await.status, 200);
        sleep(Duration::from_millis(10)).await;
    }
    for attempt in 0.. {
        if redis.keys("pnm-gw:user:").await.is_empty() {
            break;
        }
        assert!(attempt < 100, "a place is still taken");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(let_through(&[issuing], 20, "guest").await, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_learns_no_names_and_forgets_in_time() {
    let redis = Redis::start().await;
    // A user's bucket of which one is taken is full again in 6 s, those of the room and the caller in 5, a client's in 3.
    let server = Upstream::answering("{}").await;
    let limits = format!(
        "{PATIENT}room = '100/min'\ncaller = '100/min'\n[issuer]\nmode = 'upstream'\n[upstreams]\nserver = ['{}']",
        server.url()
    );
    let gateway = gateway(&redis, &limits).await;
    for user in [
        "ann",
        "zoë@example.org",
        "*",
        "pnm-gw:room:x",
        "{a}",
        "a\r\nFLUSHALL\r\n",
        "\u{0}",
        &"u".repeat(5000),
    ] {
        assert_eq!(ask(&gateway, "secret-room", user).await.status, 200, "{user:?}");
    }
    gateway.get("/conference/?access_token=a.b.c", &[]).await;
    let keys: Vec<String> = redis.keys("").await;
    assert_eq!(keys.len(), 8 + 1 + 1 + 1, "{keys:?}");
    for key in keys {
        let (limit, hash) = key.strip_prefix("pnm-gw:").unwrap().split_once(':').unwrap();
        assert!(["user", "room", "caller", "failures"].contains(&limit), "{key}");
        let is_hash = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        assert!(hash.len() == 22 && hash.bytes().all(is_hash), "{key}");
        let ttl: i64 = redis.ask(&["PTTL", &key]).await;
        assert!((0..=6000).contains(&ttl) || ttl == -2, "{key} {ttl}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_a_lost_script_nor_nonsense_under_a_key_ends_the_counting() {
    let redis = Redis::start().await;
    let gateway = gateway(&redis, PATIENT).await;
    for _ in 0..5 {
        assert_eq!(ask(&gateway, "room01", "ann").await.status, 200);
    }
    redis.ask::<()>(&["SCRIPT", "FLUSH"]).await;
    for _ in 0..5 {
        assert_eq!(ask(&gateway, "room01", "ann").await.status, 200);
    }
    assert_eq!(ask(&gateway, "room01", "ann").await.status, 429);
    let key = redis.keys("pnm-gw:user:").await.remove(0);
    for nonsense in ["", "x", "-1", "nan", "9000000000000000", "1e400"] {
        redis.ask::<()>(&["SET", &key, nonsense]).await;
        assert_eq!(ask(&gateway, "room01", "ann").await.status, 200, "{nonsense}");
        let ttl: i64 = redis.ask(&["PTTL", &key]).await;
        assert!((1..=6000).contains(&ttl), "{nonsense} {ttl}");
    }
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
    enough: Arc<AtomicBool>,
}

impl Load {
    async fn on(gateway: &Arc<Gateway>, callers: usize) -> Self {
        let (mut asking, users) = (JoinSet::new(), Arc::new(AtomicU32::new(0)));
        let enough = Arc::new(AtomicBool::new(false));
        for _ in 0..callers {
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
                    assert_eq!(status, 200, "{text:?}");
                    sleep(Duration::from_millis(5)).await;
                }
                taken
            });
        }
        Self { asking, enough }
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
    let load = Load::on(&gateway, 8).await;
    sleep(Duration::from_millis(700)).await;
    let began = Instant::now();
    outage.begin(&mut redis).await;
    sleep(Duration::from_millis(1500)).await;
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
    assert!(during < before + OUTAGE_COSTS, "{during:?} after {before:?}");
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
    let limits = format!("user = '9/min'\nreplicas = 3\n{PATIENT}");
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
    let gateway = gateway(&redis, "").await;
    assert_eq!(let_through(std::slice::from_ref(&gateway), 20, "ann").await, 10);
    redis.restart().await;
    shared_again(&gateway, &redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_tell_of_decisions_without_redis() {
    let mut redis = Redis::start().await;
    redis.kill();
    let gateway = gateway(&redis, "").await;
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
    let toml = format!("limits.store = 'redis://:late@127.0.0.1:{}'", redis.port());
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
        "limits.store = 'redis+sentinel://{gone},127.0.0.1:{}/plugnmeet/1'",
        sentinel.port()
    );
    let gateway = Gateway::with(&toml).await;
    assert_eq!(ask(&gateway, "room01", "ann").await.status, 200);
    let script = "redis.call('SELECT', 1) return redis.call('KEYS', 'pnm-gw:user:*')";
    let keys: Vec<String> = redis.ask(&["EVAL", script, "0"]).await;
    assert_eq!(keys.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_limits_are_shared_in_the_new_master() {
    let (old, new) = (Redis::start().await, Redis::start().await);
    new.follow(&old).await;
    let sentinel = Redis::sentinel_of(&old).await;
    let toml = format!(
        "limits.store = 'redis+sentinel://127.0.0.1:{}/plugnmeet'",
        sentinel.port()
    );
    let gateway = Gateway::with(&toml).await;
    assert_eq!(ask(&gateway, "room01", "ann").await.status, 200);
    assert_eq!(old.keys("pnm-gw:user:").await.len(), 1);
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
            .env("PNM_GATEWAY__LISTEN__HTTPS", "127.0.0.1:0")
            .env("PNM_GATEWAY__LISTEN__HTTP", "")
            .env("PNM_GATEWAY__LISTEN__ADMIN", "")
            .env("PNM_GATEWAY__PLUGNMEET__SECRET", SECRET)
            .env("PNM_GATEWAY__LIMITS__STORE", store)
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
    let store = format!("redis://:hunter2@127.0.0.1:{}", redis.port());
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
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let redis = Redis::with_certificate(&certificate, &key).await;
    let store = format!("rediss://127.0.0.1:{}", redis.tls_port());
    let trusting = Process::start(&store, &[("SSL_CERT_FILE", &certificate)]).await;
    trusting.says("Limits are shared").await;
    assert_eq!(trusting.ask("ann").await, 200);
    assert_eq!(redis.keys("pnm-gw:user:").await.len(), 1);
    let stranger = Process::start(&store, &[]).await;
    let line = stranger.says("Limits are not shared").await;
    assert!(line.contains("UnknownIssuer"), "{line}");
    assert_eq!(stranger.ask("ann").await, 200);
}
