//! Sessions as people have them: a real browser goes from step to step, on sites of two names over TLS, while the test
//! moves the gateway's clock.
//!
//! The client is a small page (`tests/client`) that finds its token, renews it and opens breakout rooms as
//! docs/plugnmeet.md says the real one does. plugnmeet-server is `support::plugnmeet`.
//!
//! Not here: single answers, field by field (`tests/gateway/handoff`, `tests/gateway/pages.rs`, `tests/gateway/page_headers`).

mod frames;
mod headers;
mod leaks;
mod pages;
mod parallel;
mod redirects;
mod second_hour;
mod tossing;
mod waiting;

use std::{net::SocketAddr, time::Duration};

use plugnmeet_gateway::clock::Clock;
use serde_json::{Value, json};

use crate::support::{
    self, Gateway,
    addr::own,
    browser::{Browser, Snapshot, text},
    plugnmeet::PlugNmeet,
    site::Site,
};

/// What the client says when it is through with its token.
const READY: &str = "document.title === 'ready'";

const HOUR: Duration = Duration::from_secs(3600);

/// A conference, the server behind it, and a learning platform.
struct Stage {
    host: &'static str,
    clock: Clock,
    server: PlugNmeet,
    gateway: Gateway,
    lms: Site,
}

impl Stage {
    /// The conference at conf.test, with this TOML on top.
    async fn with(toml: &str) -> Self {
        Self::at("conf.test", toml).await
    }

    /// The conference at another name.
    async fn at(host: &'static str, toml: &str) -> Self {
        let clock = Clock::system();
        let server = PlugNmeet::at(&clock, &format!("https://{host}")).await;
        let lms = Site::named("lms.test").await;
        let toml = settings(host, &server, toml);
        let gateway = Gateway::start(tempfile::tempdir().unwrap(), &clock, &own(), &toml).await;
        Self {
            host,
            clock,
            server,
            gateway,
            lms,
        }
    }

    /// The gateway starts anew, on the same port and with the same secret, with this TOML on top.
    async fn restarted(self, toml: &str) -> Self {
        let toml = settings(self.host, &self.server, toml);
        let https = self.gateway.https.to_string();
        let folder = self.gateway.stop_and_keep_folder().await;
        Self {
            gateway: Gateway::start(folder, &self.clock, &https, &toml).await,
            ..self
        }
    }

    /// A browser that knows both names.
    fn browser(&self) -> Browser {
        self.browser_with(&[], &json!({}))
    }

    /// One with further switches and settings.
    fn browser_with(&self, args: &[&str], preferences: &Value) -> Browser {
        Browser::knowing(&self.names(), args, preferences)
    }

    fn names(&self) -> [(&'static str, SocketAddr); 2] {
        [(self.host, self.gateway.https), ("lms.test", self.lms.addr)]
    }

    fn origin(&self) -> String {
        format!("https://{}", self.host)
    }

    fn link(&self, token: &str) -> String {
        format!("{}/conference/?access_token={token}", self.origin())
    }

    /// Where a session lives.
    fn path(&self, room_id: &str, user_id: &str) -> String {
        format!("/conference/s/{}/", self.gateway.keys.tag(room_id, user_id))
    }

    fn page(&self, room_id: &str, user_id: &str) -> String {
        format!("{}{}", self.origin(), self.path(room_id, user_id))
    }

    /// A join token of now.
    fn token(&self, room_id: &str, user_id: &str) -> String {
        self.gateway.token(room_id, user_id)
    }

    /// The last token that the client showed the server.
    fn verified(&self) -> String {
        let requests = self.server.requests();
        let mut calls = requests
            .iter()
            .rev()
            .filter(|seen| seen.target == "/api/verifyToken");
        calls.next().unwrap().header("authorization").unwrap().to_owned()
    }

    /// How many rooms the server was asked for.
    fn metric(&self, name: &str) -> impl Future<Output = u64> {
        let admin = self.gateway.admin;
        let name = name.to_owned();
        async move {
            let answer = support::client::plain_get(admin, "/metrics").await.text();
            let line = answer.lines().find(|line| line.starts_with(&name));
            let line = line.unwrap_or_else(|| panic!("no {name} in {answer}"));
            line.rsplit(' ').next().unwrap().parse().unwrap()
        }
    }
}

/// The conference at this name, with everything that sessions need.
fn settings(host: &str, server: &PlugNmeet, toml: &str) -> String {
    let client = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/client");
    format!(
        "public_origin = 'https://{host}'\nissuer.mode = 'upstream'\nupstreams.server = ['{}']\nclient.path = \
         '{client}'\ntimeouts.drain = '1s'\n{toml}",
        server.url()
    )
}

/// The client's own words for being in.
fn is_in(room_id: &str, user_id: &str) -> String {
    format!("{user_id} is in {room_id}")
}

/// At a session's page, in the room, with this token to be read and no other.
#[track_caller]
fn assert_in(stage: &Stage, snapshot: &Snapshot, (room_id, user_id): (&str, &str), token: &str) {
    let address = snapshot.url().split('?').next().unwrap();
    assert_eq!(address, stage.page(room_id, user_id), "{snapshot}");
    assert_eq!(snapshot.text().trim(), is_in(room_id, user_id), "{snapshot}");
    assert_eq!(
        snapshot.cookie(),
        format!("pnm_access_token={token}"),
        "{snapshot}"
    );
}

/// The token that the page's scripts find.
fn token_in(snapshot: &Snapshot) -> String {
    snapshot
        .cookie()
        .strip_prefix("pnm_access_token=")
        .unwrap_or_else(|| panic!("no token: {snapshot}"))
        .to_owned()
}

/// What a token says.
fn claims(token: &str) -> Value {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// A frame that holds the client, in the room and with this token to be read.
#[track_caller]
fn assert_frame_in(stage: &Stage, frame: &Value, (room_id, user_id): (&str, &str), token: &str) {
    assert_eq!(text(frame, "url"), stage.page(room_id, user_id), "{frame:#}");
    assert_eq!(text(frame, "text").trim(), is_in(room_id, user_id), "{frame:#}");
    assert_eq!(
        text(frame, "cookie"),
        format!("pnm_access_token={token}"),
        "{frame:#}"
    );
}
