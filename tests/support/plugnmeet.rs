//! A stand-in for plugnmeet-server 2.4.0: a small model of it that answers as the real one does, and keeps a record of what
//! reached it. `tests/gateway/real_exchanges` holds it to what a real one answered.
//!
//! A file for each thing that the server does; they change one `State`. The secret is the tests'.
//!
//! Sources: docs/plugnmeet.md; plugnmeet-server 2.4.0, its router and controllers; `tests/real`.

mod answer;
mod api;
mod archive;
mod auth;
mod bbb;
mod bbb_join;
mod breakout;
mod files;
mod join;
mod lti;
pub mod oauth;
mod protojson;
mod rooms;
mod state;
mod tokens;
pub mod wire;

use std::{
    collections::{BTreeMap, HashMap},
    ops::Deref,
    sync::{Arc, Mutex},
};

use hyper::{Response, header};
use plugnmeet_gateway::clock::Clock;
use serde_json::json;

use self::{
    answer::{json_utf8, not_found, plain},
    state::{File, Recording, State},
};
use super::{
    API_KEY,
    upstream::{AnswerBody, Seen, Upstream, text_body},
};

pub use self::{bbb::checksum as bbb_checksum, lti::room_id as lti_room_id, tokens::signed_payload};

/// A running server.
pub struct PlugNmeet {
    upstream: Upstream,
    state: Arc<Mutex<State>>,
}

/// An open house by the machine's own time.
pub async fn server() -> PlugNmeet {
    PlugNmeet::at(&Clock::system(), "https://localhost").await
}

impl PlugNmeet {
    /// By this clock; BBB's joins lead to this host. An open house: any room is active until it is closed, its people are
    /// there, and LTI's launches need no signature.
    pub async fn at(clock: &Clock, join_host: &str) -> Self {
        Self::with(clock, join_host, true).await
    }

    /// As it is after its installation: no room is there, and nobody is let in by courtesy.
    pub async fn as_installed(clock: &Clock, join_host: &str) -> Self {
        Self::with(clock, join_host, false).await
    }

    async fn with(clock: &Clock, join_host: &str, open_house: bool) -> Self {
        let state = Arc::new(Mutex::new(State {
            clock: clock.clone(),
            join_host: join_host.to_owned(),
            open_house,
            rooms: Vec::new(),
            recordings: Vec::new(),
            files: BTreeMap::new(),
            chunks: HashMap::new(),
        }));
        let answering = Arc::clone(&state);
        let upstream = Upstream::handling(move |seen| {
            let answer = answering.lock().unwrap().answer(&seen);
            async move { answer }
        })
        .await;
        Self { upstream, state }
    }

    /// Ends a room.
    pub fn close(&self, room_id: &str) {
        self.state.lock().unwrap().end(room_id);
    }

    /// Another meeting begins in a room of the same id.
    pub fn begin_anew(&self, room_id: &str) {
        let mut state = self.state.lock().unwrap();
        state.end(room_id);
        state.open(room_id);
    }

    /// Which meeting runs in this room?
    pub fn sid(&self, room_id: &str) -> Option<String> {
        let mut state = self.state.lock().unwrap();
        state.room(room_id).map(|room| room.sid.clone())
    }

    /// A file below the upload folder, or one of the client's below `assets/`.
    pub fn keep_file(&self, path: &str, media_type: &'static str, bytes: &[u8], modified: &str) {
        let file = File {
            media_type,
            bytes: bytes.to_vec(),
            modified: modified.to_owned(),
        };
        self.state.lock().unwrap().files.insert(path.to_owned(), file);
    }

    /// A recording of the meeting that runs in this room; its file is kept apart.
    pub fn keep_recording(&self, record_id: &str, room_id: &str, path: &str) {
        let mut state = self.state.lock().unwrap();
        let created = state.now();
        let room = state.room(room_id).unwrap();
        let recording = Recording {
            id: record_id.to_owned(),
            room_id: room_id.to_owned(),
            room_sid: room.sid.clone(),
            path: path.to_owned(),
            created,
            room_created: room.created,
        };
        state.recordings.push(recording);
    }
}

impl Deref for PlugNmeet {
    type Target = Upstream;

    fn deref(&self) -> &Upstream {
        &self.upstream
    }
}

/// docs/plugnmeet.md section 11: what fasthttp reads at most.
const MAX_BODY: usize = 52_428_800;
const MAX_HEAD: usize = 4096;

/// The pages that the server makes of the client's `index.html` and `login.html`: somebody else's words.
const INDEX: &str = "<!doctype html><title>plugNmeet</title><div id=\"plugNmeet-app\"></div>";
const LOGIN: &str = "<!doctype html><title>Login</title><input name=\"secret\">";

impl State {
    fn answer(&mut self, seen: &Seen) -> Response<AnswerBody> {
        if head_length(seen) > MAX_HEAD {
            return plain(431, "Request Header Fields Too Large");
        }
        if seen.body.len() > MAX_BODY {
            return plain(413, "Request Entity Too Large");
        }
        let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
        // Fiber's router: without regard to case and to slashes at the end, undecoded.
        let route = path.to_ascii_lowercase();
        let route = route.trim_end_matches('/');
        if let Some(answer) = self.static_files(seen, path, route) {
            return answer;
        }
        if seen.first("origin").unwrap_or_default().is_empty() {
            return self.routed(seen, path, route, query);
        }
        let preflight = seen.method == "OPTIONS" && seen.first("access-control-request-method").is_some();
        let mut answer = if preflight {
            preflight_answer(seen)
        } else {
            self.routed(seen, path, route, query)
        };
        answer
            .headers_mut()
            .insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*".parse().unwrap());
        answer
    }

    /// Before CORS: `/assets` and the icon.
    fn static_files(&self, seen: &Seen, path: &str, route: &str) -> Option<Response<AnswerBody>> {
        if !is_read(seen) {
            return None;
        }
        if route == "/favicon.ico" {
            let icon = Response::builder()
                .header(header::CONTENT_TYPE, "image/x-icon")
                .header(header::CACHE_CONTROL, "public, max-age=31536000");
            return Some(icon.body(text_body(vec![0; 16])).unwrap());
        }
        let file = self.files.get(path.strip_prefix('/')?.trim_end_matches('/'))?;
        route.starts_with("/assets/").then(|| {
            let answer = Response::builder()
                .header(header::CONTENT_TYPE, file.media_type)
                .header(header::LAST_MODIFIED, &file.modified);
            answer.body(text_body(file.bytes.clone())).unwrap()
        })
    }

    fn routed(&mut self, seen: &Seen, path: &str, route: &str, query: &str) -> Response<AnswerBody> {
        let below = |prefix: &str| route == prefix || route.starts_with(&format!("{prefix}/"));
        if below("/healthcheck") {
            return plain(200, "Healthy");
        }
        if below("/auth") {
            return self.auth(seen, route);
        }
        if below("/api") {
            return self.api(seen, path, route, query);
        }
        if let Some(call) = bbb::Call::of(path, route) {
            return self.bbb(seen, &call, query);
        }
        let get = is_read(seen);
        match route {
            "" if get => html(INDEX),
            _ if get && route.starts_with("/login") => html(LOGIN),
            _ if get && route.starts_with("/download/") => self.download(seen, path),
            // Its own JWT, over a hash of the body, which the tests have no use for.
            "/healthCheck" if get => plain(200, "Healthy"),
            "/webhook" if seen.method == "POST" => plain(403, "Forbidden"),
            "/lti/v1" if seen.method == "GET" => {
                json_utf8(405, &json!({"status": false, "msg": "please use POST request"}))
            }
            "/lti/v1" if seen.method == "POST" => self.lti_page(seen, path),
            _ if below("/lti/v1/api") => self.lti_api(seen, route),
            _ => not_found(),
        }
    }
}

impl Seen {
    /// Of repeated fields the first, even if it is empty.
    pub fn first(&self, name: &str) -> Option<&str> {
        let first = self.headers.get_all(name).iter().next()?;
        Some(first.to_str().unwrap_or_default())
    }
}

fn is_read(seen: &Seen) -> bool {
    matches!(seen.method.as_str(), "GET" | "HEAD")
}

/// With the request line and the empty line at its end, as it came.
fn head_length(seen: &Seen) -> usize {
    let fields = seen.headers.iter();
    let fields: usize = fields
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    seen.method.len() + seen.target.len() + " HTTP/1.1\r\n".len() + 1 + fields + 2
}

/// docs/plugnmeet.md section 8; answered before anything else is looked at.
fn preflight_answer(seen: &Seen) -> Response<AnswerBody> {
    let mut answer = Response::builder()
        .status(204)
        .header(
            header::VARY,
            "Access-Control-Request-Method, Access-Control-Request-Headers, Origin",
        )
        .header(header::ACCESS_CONTROL_ALLOW_METHODS, "POST, GET, OPTIONS, HEAD");
    if let Some(wanted) = seen.first("access-control-request-headers") {
        answer = answer.header(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
    }
    answer.body(text_body("")).unwrap()
}

fn html(page: &'static str) -> Response<AnswerBody> {
    answer::of(200, "text/html; charset=utf-8", page)
}

/// A BBB call as its clients send it: the checksum last.
pub fn bbb_target(method: &str, query: &str) -> String {
    let separator = if query.is_empty() { "" } else { "&" };
    let sum = bbb_checksum(method, query);
    format!("/{API_KEY}/bigbluebutton/api/{method}?{query}{separator}checksum={sum}")
}
