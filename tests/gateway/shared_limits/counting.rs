//! Several gateways count as one.

use std::{sync::Arc, time::Duration};

use hyper::Response;
use plugnmeet_gateway::{
    clock::Clock,
    secret::Secret,
    token::{RequestKey, TokenKeys},
};
use tokio::{task::JoinSet, time::sleep};

use super::{PATIENT, ask, gateway, let_through};
use crate::support::{
    self, API_KEY, SECRET,
    redis::Redis,
    token_request,
    upstream::{Upstream, text_body},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_gateways_let_through_what_one_would() {
    let redis = Redis::start().await;
    let limits = format!("user = '10/h'\n{PATIENT}");
    let gateways = [
        gateway(&redis, &limits).await,
        gateway(&redis, &limits).await,
        gateway(&redis, &limits).await,
    ];
    assert_eq!(let_through(&gateways, 10, "ann").await, 10);
    let refused = ask(&gateways[0], "room01", "ann").await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("ratelimit-policy"), Some(r#""user";q=10;w=3600"#));
    assert_eq!(ask(&gateways[1], "room01", "bob").await.status, 200);
    assert_eq!(ask(&gateways[2], "room02", "ann").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_user_takes_nothing_from_the_room() {
    let redis = Redis::start().await;
    let limits = format!("user = '1/h'\nroom = '3/h'\n{PATIENT}");
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
        "[[callers]]\nname = 'lms'\napi_key = 'lms'\nsecret = '{SECRET_OF_LMS}'\nlimits.user = '2/h'\n"
    );
    let gateway = gateway(&redis, &format!("{PATIENT}user = '10/h'\n{caller}")).await;
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
    let limits = format!("failures = '4/h'\n{PATIENT}");
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
    let gateway = gateway(&redis, &format!("{PATIENT}user = '1/h'")).await;
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
    let limited = format!("{PATIENT}user = '10/h'");
    let (generating, issuing) = (
        gateway(&redis, &generating).await,
        gateway(&redis, &limited).await,
    );
    for _ in 0..30 {
        assert_eq!(ask(&generating, "room01", "guest").await.status, 200);
        sleep(Duration::from_millis(10)).await;
    }
    for attempt in 0.. {
        if redis.keys("pnm-gw:user:").await.is_empty() {
            break;
        }
        assert!(attempt < 4000, "a place is still taken");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(let_through(&[issuing], 20, "guest").await, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_learns_no_names_and_forgets_in_time() {
    let redis = Redis::start().await;
    // A user's bucket of which one is taken is full again in 6 min, those of the room and the caller in 5, a client's in 3.
    let server = Upstream::answering("{}").await;
    let limits = format!(
        "{PATIENT}user = '10/h'\nroom = '100/h'\ncaller = '100/h'\nfailures = '20/h'\n[issuer]\nmode = 'upstream'\n[upstreams]\nserver = ['{}']",
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
        assert!((0..=360_000).contains(&ttl), "{key} {ttl}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_a_lost_script_nor_nonsense_under_a_key_ends_the_counting() {
    let redis = Redis::start().await;
    let gateway = gateway(&redis, &format!("{PATIENT}user = '10/h'")).await;
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
        assert!((1..=360_000).contains(&ttl), "{nonsense} {ttl}");
    }
}
