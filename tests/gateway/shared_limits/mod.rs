//! Limits that several gateways share in a real Redis, and what callers see of it when Redis goes.

mod counting;
mod outages;

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::support::{Gateway, client::Answer, redis::Redis, token_request};

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
