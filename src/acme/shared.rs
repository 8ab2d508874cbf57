//! Several gateways, one Redis: one of them orders at a time, all of them answer checks and get the certificates.
//!
//! The lock has an end, so that a gateway that dies holds nobody up; whoever gets it looks again whether there is still
//! something to order. What lies in Redis is sealed with a key that all gateways derive from plugNmeet's secret.
//!
//! Not here: gateways on one folder (`super::storage`).

use std::{sync::Arc, time::Duration};

use aws_lc_rs::rand;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use redis::{
    AsyncConnectionConfig, FromRedisValue, RedisError, Script, ToRedisArgs, aio::MultiplexedConnection,
};
use tokio::{sync::Mutex, time::timeout};

use super::challenge::All;
use crate::{limits::RedisAddress, token::TokenKeys};

/// The most time for an answer of Redis, and for a connection.
const ANSWER: Duration = Duration::from_secs(2);
/// For which somebody who orders has the lock; it is taken anew before that.
pub(super) const LOCK_MS: u64 = 120_000;
/// How long answers to checks stay in Redis.
const ANSWERS_MS: u64 = 600_000;

const LOCK: &str = "pnm-gw:acme:lock";
const ANSWERS: &str = "pnm-gw:acme:answers";
const ISSUED: &str = "pnm-gw:acme:issued";
const CERTIFICATES: &str = "pnm-gw:acme:certificates";

/// Gateways whose answers are given: far more than share one name.
const MAX_GATEWAYS: usize = 64;

/// The purpose that the sealing key is derived for.
const SEALED_FOR: &str = "acme";

/// The way to Redis; clones are the same.
#[derive(Clone)]
pub(super) struct Shared(Arc<State>);

struct State {
    address: RedisAddress,
    keys: Arc<TokenKeys>,
    /// Tells this gateway from others.
    own: String,
    link: Mutex<Option<MultiplexedConnection>>,
}

pub(super) struct Seen {
    pub answers: All,
    /// How many certificates there have been.
    pub issued: u64,
}

impl Shared {
    pub(super) fn new(address: RedisAddress, keys: Arc<TokenKeys>) -> Self {
        let mut own = [0; 16];
        rand::fill(&mut own).ok();
        Self(Arc::new(State {
            address,
            keys,
            own: BASE64_URL_SAFE_NO_PAD.encode(own),
            link: Mutex::default(),
        }))
    }

    /// Takes the lock, or has it for longer. None: somebody else orders.
    pub(super) async fn lock(&self) -> Result<bool, RedisError> {
        let script = "local held = redis.call('GET', KEYS[1]) \
                      if held and held ~= ARGV[1] then return 0 end \
                      redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1";
        let taken: u8 = self
            .run(script, LOCK, &[self.0.own.as_str(), &LOCK_MS.to_string()])
            .await?;
        Ok(taken == 1)
    }

    /// Lets go of it, if it is still ours.
    pub(super) async fn unlock(&self) {
        let script =
            "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";
        let _: Result<u8, RedisError> = self.run(script, LOCK, &[self.0.own.as_str()]).await;
    }

    /// Answers that all gateways give.
    pub(super) async fn answer(&self, all: &All) -> Result<(), RedisError> {
        let own = self.0.own.as_str();
        if all.is_empty() {
            return self.ask::<()>("HDEL", &(ANSWERS, own)).await;
        }
        let Some(sealed) = self.seal(&serde_json::to_vec(all).unwrap_or_default()) else {
            return Ok(());
        };
        self.ask::<()>("HSET", &(ANSWERS, own, sealed)).await?;
        self.ask::<()>("PEXPIRE", &(ANSWERS, ANSWERS_MS)).await
    }

    pub(super) async fn look(&self) -> Result<Seen, RedisError> {
        let issued: Option<u64> = self.ask("GET", &(ISSUED,)).await?;
        let sealed: Vec<String> = self.ask("HVALS", &(ANSWERS,)).await?;
        let mut answers = All::new();
        for sealed in sealed.iter().take(MAX_GATEWAYS) {
            let opened = self
                .open(sealed)
                .and_then(|text| serde_json::from_slice::<All>(&text).ok());
            answers.extend(opened.unwrap_or_default());
        }
        Ok(Seen {
            answers,
            issued: issued.unwrap_or_default(),
        })
    }

    /// The chain of a name with its key.
    pub(super) async fn certificate(&self, name: &str) -> Result<Option<Vec<u8>>, RedisError> {
        let sealed: Option<String> = self.ask("HGET", &(CERTIFICATES, name)).await?;
        Ok(sealed.and_then(|sealed| self.open(&sealed)))
    }

    pub(super) async fn keep_certificate(&self, name: &str, pem: &[u8]) -> Result<(), RedisError> {
        let Some(sealed) = self.seal(pem) else {
            return Ok(());
        };
        self.ask::<()>("HSET", &(CERTIFICATES, name, sealed)).await?;
        self.ask::<()>("INCR", &(ISSUED,)).await
    }

    fn seal(&self, content: &[u8]) -> Option<String> {
        self.0.keys.seal(SEALED_FOR, content)
    }

    fn open(&self, sealed: &str) -> Option<Vec<u8>> {
        self.0.keys.open(SEALED_FOR, sealed)
    }

    async fn ask<T: FromRedisValue>(
        &self,
        command: &str,
        arguments: &impl ToRedisArgs,
    ) -> Result<T, RedisError> {
        let mut command = redis::cmd(command);
        command.arg(arguments);
        let mut link = self.link().await?;
        self.judged(timeout(ANSWER, command.query_async(&mut link)).await)
            .await
    }

    async fn run<T: FromRedisValue>(
        &self,
        script: &str,
        key: &str,
        arguments: &[&str],
    ) -> Result<T, RedisError> {
        let script = Script::new(script);
        let mut call = script.key(key);
        for argument in arguments {
            call.arg(*argument);
        }
        let mut link = self.link().await?;
        self.judged(timeout(ANSWER, call.invoke_async(&mut link)).await)
            .await
    }

    /// A connection that has failed is not asked again.
    async fn judged<T, E>(&self, answer: Result<Result<T, RedisError>, E>) -> Result<T, RedisError> {
        let answer = answer.unwrap_or_else(|_| Err(late()));
        if answer.is_err() {
            self.0.link.lock().await.take();
        }
        answer
    }

    async fn link(&self) -> Result<MultiplexedConnection, RedisError> {
        let mut link = self.0.link.lock().await;
        if let Some(link) = link.as_ref() {
            return Ok(link.clone());
        }
        let config = AsyncConnectionConfig::new();
        let new = timeout(ANSWER, self.0.address.connect(&config))
            .await
            .map_err(|_| late())??;
        *link = Some(new.clone());
        Ok(new)
    }
}

fn late() -> RedisError {
    (redis::ErrorKind::Io, "no answer in time").into()
}
