//! `GET {mount}/check`: can this browser, in this network and in this frame, get into a meeting? A page of a few KB for
//! participants, off unless `check_page.enabled`.
//!
//! Its script tries what the client will need: a cookie, NATS' WebSocket, media by UDP, TURN over TLS, camera and
//! microphone. What it found is a code of five characters, which `plugnmeet-gateway doctor explain CODE` reads.
//!
//! SECURITY: nobody has to prove anything to see the page. It holds a login for LiveKit's TURN, if LiveKit's key is
//! configured, that ends after `TURN_SECONDS`: with it somebody can send media through LiveKit's relay as a participant
//! can, and do nothing else. So the page is limited by the client's address.
//!
//! | file | holds |
//! | --- | --- |
//! | `page`, `check.js`, `words.json` | the page, its script, its words in four languages |
//! | `code` | what was found <-> five characters |
//! | `explain` | what a code says, for the host |
//! | `login` | the login for TURN |
//!
//! Not here: the page's policy (`crate::route`).

mod code;
mod explain;
mod login;
mod page;

use std::sync::Arc;

use hyper::{
    HeaderMap, Method, Response, StatusCode,
    header::{self, HeaderValue},
};

use self::page::Shown;
pub use self::{explain::explain, page::script_source};
use crate::{
    addr::ClientAddr,
    clock::Clock,
    http::is_for_frame,
    limits::{Limits, OverLimit},
    reply::{Body, Failure, Language},
    secret::Secret,
};

/// The cookie by which the page finds whether any are kept. It has the attributes of a session's.
const COOKIE: &str = "pnm_check";

/// How long the cookie lives: the page looks for it at once.
const COOKIE_SECONDS: u8 = 60;

/// How long a login for TURN is good. The page uses it in its first seconds.
const TURN_SECONDS: i64 = 120;

/// What the page looks for.
#[derive(Clone, Debug)]
pub struct CheckPageSettings {
    /// The path of the web client; empty for the root.
    pub mount: String,
    /// May other sites show the client in a frame?
    pub framed: bool,
    /// Is there a NATS behind `/ws`?
    pub nats: bool,
    /// The host at which TURN is, in brackets if it is an IPv6 address.
    pub turn_host: String,
    /// The port of TURN over TLS.
    pub turn_tls_port: u16,
    /// The port of TURN over UDP. None: it is not looked at.
    pub turn_udp_port: Option<u16>,
    /// A key of LiveKit's and its secret. None: nobody can log in to TURN, so it is not looked at.
    pub livekit: Option<(String, Secret<String>)>,
}

#[derive(Clone)]
pub struct CheckPage {
    settings: CheckPageSettings,
    limits: Arc<Limits>,
    clock: Clock,
}

/// Why the page is not shown.
#[derive(Debug, thiserror::Error)]
pub enum CheckPageError {
    /// The method is neither `GET` nor `HEAD`.
    #[error("only GET and HEAD are answered here")]
    Method,
    /// Too many requests from one address block (an IPv4 address or an IPv6 /64).
    #[error(transparent)]
    OverLimit(OverLimit),
}

impl CheckPage {
    pub fn new(settings: CheckPageSettings, limits: Arc<Limits>, clock: Clock) -> Self {
        Self {
            settings,
            limits,
            clock,
        }
    }

    pub async fn handle(
        &self,
        method: &Method,
        headers: &HeaderMap,
        client: ClientAddr,
    ) -> Result<Response<Body>, CheckPageError> {
        if method != Method::GET && method != Method::HEAD {
            return Err(CheckPageError::Method);
        }
        self.limits
            .check_page(client)
            .await
            .map_err(CheckPageError::OverLimit)?;
        let now = self.clock.unix();
        let framed = self.settings.framed && is_for_frame(headers);
        let mut response = page::made(&Shown {
            settings: &self.settings,
            language: Language::of(headers),
            cookie: &format!("{COOKIE}={now}"),
            login: self
                .settings
                .livekit
                .as_ref()
                .map(|(key, secret)| login::made(key, secret, now + TURN_SECONDS)),
        });
        let same_site = if framed { "None; Partitioned" } else { "Lax" };
        let cookie = format!(
            "{COOKIE}={now}; Path={}/check; Max-Age={COOKIE_SECONDS}; Secure; SameSite={same_site}",
            self.settings.mount
        );
        // A mount has no character that can't stand there.
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        Ok(response)
    }
}

impl From<CheckPageError> for Failure {
    fn from(error: CheckPageError) -> Self {
        match &error {
            CheckPageError::Method => Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", error.to_string())
                .header(header::ALLOW, HeaderValue::from_static("GET, HEAD")),
            CheckPageError::OverLimit(over) => Self::from(*over),
        }
    }
}
