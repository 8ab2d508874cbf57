//! Sessions that last: renewed at a reload, refreshed by the client's own calls, left, and guarded against cookies and
//! links that somebody else brought.

use std::time::Duration;

use crate::support::{
    self, API_KEY, Gateway,
    client::Answer,
    folder_of,
    plugnmeet::{PlugNmeet, bbb_target},
    token_request,
    upstream::{AnswerBody, Seen, Upstream, text_body},
};
use hyper::Response;
use plugnmeet_gateway::{
    clock::Clock,
    secret::Secret,
    token::{Claims, TokenKeys, Unverified},
};
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_secs(3600);
const TOKEN: &str = "pnm_access_token";
const COMPANION: &str = "__Secure-pnm_session";
const FRAME: [(&str, &str); 3] = [
    ("Sec-Fetch-Dest", "iframe"),
    ("Sec-Fetch-Site", "cross-site"),
    ("Sec-Fetch-Mode", "navigate"),
];
const SAME_ORIGIN: (&str, &str) = ("Sec-Fetch-Site", "same-origin");
/// Somebody goes there, from a page of ours.
const GOING: [(&str, &str); 3] = [
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Site", "same-origin"),
];

/// A browser's cookies for one path.
#[derive(Clone, Debug, Default)]
struct Jar(Vec<(String, String)>);

impl Jar {
    fn with(name: &str, value: &str) -> Self {
        Self(vec![(name.to_owned(), value.to_owned())])
    }

    /// Takes what an answer sets, and drops what it ends.
    fn take(&mut self, answer: &Answer) {
        for line in answer.headers.get_all("set-cookie") {
            let line = line.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            let of_another_path = line.contains("; Domain=") || !line.contains("; Path=/conference/s/");
            if line.contains("; Max-Age=0") && of_another_path {
                continue;
            }
            self.0.retain(|(kept, _)| kept != name);
            if !line.contains("Max-Age=0") {
                self.0.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    fn line(&self) -> String {
        let pairs: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(of, _)| of == name)
            .map(|(_, value)| value.as_str())
    }
}

fn path_of(gateway: &Gateway, room_id: &str, user_id: &str) -> String {
    format!("/conference/s/{}/", gateway.keys.tag(room_id, user_id))
}

/// Opens a link.
async fn open(gateway: &Gateway, token: &str) -> Jar {
    let answer = gateway
        .get(&format!("/conference/?access_token={token}"), &[])
        .await;
    assert_eq!(answer.status, 303, "{answer:?}");
    let mut jar = Jar::default();
    jar.take(&answer);
    jar
}

async fn visit(gateway: &Gateway, path: &str, jar: &Jar) -> Answer {
    gateway.get(path, &[("Cookie", &jar.line())]).await
}

fn claims(gateway: &Gateway, token: &str) -> Claims {
    let verified = gateway.keys.verify(Unverified(token), gateway.clock.unix());
    verified.unwrap().claims
}

/// Ten minutes and three hours; a second may pass in between.
fn assert_lives_for_token_and_grace(cookie: &str) {
    let age = cookie.split("; ").find_map(|part| part.strip_prefix("Max-Age="));
    let age: i64 = age.unwrap().parse().unwrap();
    assert!((11_398..=11_400).contains(&age), "{cookie}");
}

fn assert_refused(answer: &Answer, status: u16, title: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.text().contains(title), "{title}: {}", answer.text());
    for cookie in answer.headers.get_all("set-cookie") {
        assert!(cookie.to_str().unwrap().contains("; Max-Age=0"), "{cookie:?}");
    }
}

// --- renewal ---

#[tokio::test]
async fn a_reload_in_the_second_hour_gets_the_same_claims_signed_anew() {
    let client = folder_of(&[("index.html", "<head></head>client")]);
    let gateway = Gateway::with(&format!("client.path = '{}'", client.path().display())).await;
    let path = path_of(&gateway, "room01", "ann");
    let first = gateway.sign(|claims| {
        claims.is_admin = true;
        claims.name = "Ann & <Bob>".into();
    });
    let mut jar = open(&gateway, &first).await;
    let before = claims(&gateway, &first);
    gateway.clock.advance(HOUR);
    let conditional = [("Cookie", jar.line()), ("If-None-Match", "*".to_owned())];
    let conditional = conditional
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let answer = gateway.get(&path, &conditional).await;
    assert_eq!(
        (answer.status, answer.header("cache-control")),
        (200, Some("no-store"))
    );
    assert!(answer.text().ends_with("client"));
    jar.take(&answer);
    let second = jar.value(TOKEN).unwrap();
    assert_ne!(second, first);
    let now = gateway.clock.unix();
    let after = claims(&gateway, second);
    assert!((now - 2..=now).contains(&after.nbf));
    assert_eq!(after.exp - after.nbf, 600);
    assert_eq!(
        after,
        Claims {
            nbf: after.nbf,
            exp: after.exp,
            ..before
        }
    );
    let line = answer.set_cookie(TOKEN).unwrap();
    for part in [
        format!("; Path={path}"),
        "; SameSite=Lax".into(),
        "; Secure".into(),
    ] {
        assert!(line.contains(&part), "{line}");
    }
    assert_lives_for_token_and_grace(line);
    assert!(!line.contains("HttpOnly"));
    assert!(answer.set_cookie(COMPANION).unwrap().contains("; HttpOnly"));
    // And that one is good for as long as any.
    let again = visit(&gateway, &path, &jar).await;
    assert_eq!((again.status, again.set_cookie(TOKEN)), (200, None));
    assert_eq!(again.header("cache-control"), Some("no-cache"));
}

#[tokio::test]
async fn a_token_without_its_companion_is_never_renewed_nor_is_one_in_a_link() {
    let gateway = Gateway::embedded().await;
    let path = path_of(&gateway, "room01", "ann");
    let companion = open(&gateway, &gateway.token("room01", "ann")).await;
    let recorder = |claims: &mut Claims| {
        claims.is_hidden = true;
        claims.name = String::new();
    };
    for ago in [61, 3600, 10_790, 10_801] {
        for hidden in [false, true] {
            let token = gateway.sign(|claims| {
                claims.exp -= 600 + ago;
                claims.nbf -= 600 + ago;
                if hidden {
                    recorder(claims);
                }
            });
            let alone = Jar::with(TOKEN, &token);
            let answer = visit(&gateway, &path, &alone).await;
            assert_refused(&answer, 401, "This link has expired");
            let link = format!("{path}?access_token={token}");
            for jar in [&alone, &companion] {
                let answer = gateway.get(&link, &[("Cookie", &jar.line())]).await;
                assert_refused(&answer, 401, "This link has expired");
            }
        }
    }
}

#[tokio::test]
async fn a_session_is_renewed_until_the_grace_is_over() {
    for (ago, status) in [(10_790, 200), (10_801, 401)] {
        let gateway = Gateway::embedded().await;
        let path = path_of(&gateway, "room01", "ann");
        let jar = open(&gateway, &gateway.token("room01", "ann")).await;
        gateway.clock.advance(Duration::from_secs(600 + ago));
        assert_eq!(visit(&gateway, &path, &jar).await.status, status, "{ago}");
    }
}

/// The client has its token renewed by the server every three minutes: a page must not begin with one that ends before.
#[tokio::test]
async fn a_page_that_begins_with_less_than_four_minutes_begins_with_a_new_token() {
    let gateway = Gateway::with("limits.renewal = '1/min'").await;
    let path = path_of(&gateway, "room01", "ann");
    let mut jar = open(&gateway, &gateway.token("room01", "ann")).await;
    gateway.clock.advance(Duration::from_secs(350));
    let early = visit(&gateway, &path, &jar).await;
    assert_eq!((early.status, early.header("set-cookie")), (200, None));
    gateway.clock.advance(Duration::from_secs(15));
    let alone = Jar::with(TOKEN, jar.value(TOKEN).unwrap());
    let answer = visit(&gateway, &path, &alone).await;
    assert_eq!(
        (answer.status, answer.set_cookie(TOKEN)),
        (200, None),
        "it is still valid"
    );
    let answer = visit(&gateway, &path, &jar).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    jar.take(&answer);
    let left = claims(&gateway, jar.value(TOKEN).unwrap()).exp - gateway.clock.unix();
    assert!(left > 590, "{left}");
    // Within the leeway it opens the page, and would fail the first upload.
    gateway.clock.advance(Duration::from_secs(640));
    jar.take(&visit(&gateway, &path, &jar).await);
    let left = claims(&gateway, jar.value(TOKEN).unwrap()).exp - gateway.clock.unix();
    assert!(left > 590, "{left}");
    // What is refused is not yet over: the old token is still good.
    gateway.clock.advance(Duration::from_secs(400));
    jar.take(&visit(&gateway, &path, &jar).await);
    gateway.clock.advance(Duration::from_secs(365));
    let before = jar.value(TOKEN).unwrap().to_owned();
    gateway.clock.advance(Duration::from_secs(1));
    for _ in 0..2 {
        let answer = visit(&gateway, &path, &jar).await;
        assert_eq!(answer.status, 200);
        jar.take(&answer);
    }
    assert_ne!(jar.value(TOKEN).unwrap(), before);
}

#[tokio::test]
async fn head_answers_as_get_would_and_renews_nothing() {
    let gateway = Gateway::embedded().await;
    let path = path_of(&gateway, "room01", "ann");
    let jar = open(&gateway, &gateway.token("room01", "ann")).await;
    gateway.clock.advance(HOUR);
    let answer = gateway
        .client()
        .request("HEAD", &path, &[("Cookie", &jar.line())], b"")
        .await;
    assert_eq!((answer.status, answer.header("set-cookie")), (200, None));
    assert_eq!(answer.header("cache-control"), Some("no-store"), "as of GET");
}

#[tokio::test]
async fn what_no_person_asked_for_renews_nothing() {
    let gateway = Gateway::embedded().await;
    let path = path_of(&gateway, "room01", "ann");
    let jar = open(&gateway, &gateway.token("room01", "ann")).await;
    gateway.clock.advance(HOUR);
    let cookie = jar.line();
    let answer = gateway
        .get(&path, &[("Cookie", &cookie), ("Sec-Fetch-Mode", "cors")])
        .await;
    assert_refused(&answer, 401, "This link has expired");
    let answer = gateway
        .get(&path, &[("Cookie", &cookie), ("Sec-Purpose", "prefetch")])
        .await;
    assert_refused(&answer, 403, "");
    let answer = gateway
        .get(&path, &[("Cookie", &cookie), ("Sec-Fetch-Mode", "navigate")])
        .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_session_is_renewed_until_its_greatest_age_and_not_a_second_longer() {
    let gateway = Gateway::with("session.max_age = '5h'").await;
    let path = path_of(&gateway, "room01", "ann");
    let mut jar = open(&gateway, &gateway.token("room01", "ann")).await;
    for hour in 1..5 {
        gateway.clock.advance(HOUR);
        let answer = visit(&gateway, &path, &jar).await;
        assert_eq!(answer.status, 200, "{hour}");
        jar.take(&answer);
    }
    // Without the companion nobody knows how old a renewed token's session is.
    let alone = Jar::with(TOKEN, jar.value(TOKEN).unwrap());
    gateway.clock.advance(Duration::from_secs(3540));
    assert_refused(
        &visit(&gateway, &path, &alone).await,
        401,
        "This link has expired",
    );
    let answer = visit(&gateway, &path, &jar).await;
    assert_eq!(answer.status, 200);
    jar.take(&answer);
    let last = claims(&gateway, jar.value(TOKEN).unwrap());
    assert!(last.exp - last.nbf <= 60, "{last:?}");
    gateway.clock.advance(Duration::from_secs(125));
    let answer = visit(&gateway, &path, &jar).await;
    assert_eq!(answer.status, 401);
    assert!(answer.text().contains("as long as one may"), "{}", answer.text());
    // Another session's companion, or a made-up one, says nothing.
    let other = open(&gateway, &gateway.token("room02", "ann")).await;
    let mut mixed = alone.clone();
    mixed
        .0
        .push((COMPANION.into(), other.value(COMPANION).unwrap().into()));
    mixed.0.push((COMPANION.into(), "AAAA".into()));
    assert_refused(
        &visit(&gateway, &path, &mixed).await,
        401,
        "This link has expired",
    );
}

#[tokio::test]
async fn a_token_that_the_server_renewed_does_not_begin_a_session_anew() {
    let server = taking_tokens().await;
    let toml = format!(
        "session.max_age = '2h'\nissuer.mode = 'upstream'\nupstreams.server = ['{}']",
        server.url()
    );
    let gateway = Gateway::with(&toml).await;
    let path = path_of(&gateway, "room01", "ann");
    let answer = gateway
        .get(
            &format!("/conference/?access_token={}", gateway.token("room01", "ann")),
            &[],
        )
        .await;
    let companion = answer.set_cookie(COMPANION).unwrap();
    let lives = companion.split("; Max-Age=").nth(1).unwrap();
    let lives: u64 = lives.split(';').next().unwrap().parse().unwrap();
    let mut jar = Jar::default();
    jar.take(&answer);
    // The page stays open, and the server renews what the client has.
    gateway.clock.advance(HOUR * 5 / 2);
    let fields = [
        ("Authorization", &*gateway.token("room01", "ann")),
        ("Sec-Fetch-Site", "same-origin"),
    ];
    jar.take(&gateway.post("/api/polls/create", &fields, b"").await);
    assert_eq!(visit(&gateway, &path, &jar).await.status, 200);
    gateway.clock.advance(HOUR / 2);
    if HOUR * 3 >= Duration::from_secs(lives) {
        jar.0.retain(|(name, _)| name != COMPANION);
    }
    let answer = visit(&gateway, &path, &jar).await;
    assert_eq!(answer.status, 401, "the companion lives for {lives} s");
    assert!(answer.text().contains("as long as one may"), "{}", answer.text());
}

#[tokio::test]
async fn a_renewed_token_in_a_link_does_not_begin_a_session_anew() {
    let gateway = Gateway::with("session.max_age = '2h'").await;
    let path = path_of(&gateway, "room01", "ann");
    let mut jar = open(&gateway, &gateway.token("room01", "ann")).await;
    gateway.clock.advance(HOUR);
    jar.take(&visit(&gateway, &path, &jar).await);
    let renewed = jar.value(TOKEN).unwrap().to_owned();
    let elsewhere = open(&gateway, &renewed).await;
    assert_eq!(elsewhere.value(TOKEN), Some(renewed.as_str()));
    gateway.clock.advance(HOUR / 2);
    assert_refused(&visit(&gateway, &path, &elsewhere).await, 401, "expired");
    assert_eq!(visit(&gateway, &path, &jar).await.status, 200);
}

#[tokio::test]
async fn renewals_have_a_limit_of_their_own_and_stand_in_the_audit_log() {
    let gateway = Gateway::with("limits.renewal = '2/min'\nlimits.user = '1/min'").await;
    let path = path_of(&gateway, "room01", "ann");
    let jar = open(&gateway, &gateway.token("room01", "ann")).await;
    gateway.clock.advance(HOUR);
    for _ in 0..2 {
        assert_eq!(visit(&gateway, &path, &jar).await.status, 200);
    }
    let answer = visit(&gateway, &path, &jar).await;
    assert_refused(&answer, 429, "Too many attempts");
    assert!(answer.header("retry-after").is_some());
    let metrics = support::client::plain_get(gateway.admin, "/metrics").await.text();
    for line in [
        r#"plugnmeet_gateway_tokens_total{caller="server",outcome="issued",reason="renewed"} 2"#,
        r#"plugnmeet_gateway_tokens_total{caller="server",outcome="refused",reason="over_limit"} 1"#,
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    let asked = gateway.ask_for_token(&token_request("room01", "ann"), &[]).await;
    assert_eq!(
        asked.json()["status"],
        true,
        "reloads take nothing from who joins"
    );
}

// --- who may go on ---

/// The server, for which a room is what this says.
async fn server_saying(room: &'static str) -> Upstream {
    Upstream::handling(move |seen| async move {
        if seen.target == "/auth/room/getActiveRoomInfo" {
            return json_answer(room);
        }
        Response::new(text_body("not found"))
    })
    .await
}

fn json_answer(json: &'static str) -> Response<AnswerBody> {
    let mut response = Response::new(text_body(json));
    response
        .headers_mut()
        .insert("content-type", "application/json".parse().unwrap());
    response
}

#[tokio::test]
async fn a_closed_room_ends_the_session_and_a_server_that_says_nothing_does_not() {
    for (said, status) in [
        (
            r#"{"status":true,"msg":"success","status_code":"SUCCESS","room":{"room_info":{"sid":"s1"}}}"#,
            200,
        ),
        (
            r#"{"status":false,"msg":"room not found in active state","status_code":"ROOM_NOT_FOUND","room":null}"#,
            410,
        ),
        (
            r#"{"status":false,"msg":"error","status_code":"INTERNAL_SERVER_ERROR","room":null}"#,
            200,
        ),
        ("", 200),
    ] {
        let server = server_saying(said).await;
        let gateway = Gateway::in_front_of(&server).await;
        let path = path_of(&gateway, "room01", "ann");
        let jar = open(&gateway, &gateway.token("room01", "ann")).await;
        gateway.clock.advance(HOUR);
        let answer = visit(&gateway, &path, &jar).await;
        assert_eq!(answer.status, status, "{said}");
        if status == 410 {
            assert_refused(&answer, 410, "meeting has ended");
        }
        let requests = server.requests();
        assert_eq!(requests.len(), 2, "at the handoff, and at the renewal");
        let asked = &requests[1];
        assert_eq!(asked.body, json!({"room_id": "room01"}).to_string());
        let signature = gateway.keys.requests().signature(&asked.body);
        assert_eq!(asked.header("hash-signature"), Some(signature.as_str()));
        assert_eq!(asked.header("api-key"), Some(API_KEY));
        assert_eq!(asked.header("cookie"), None);
    }
}

/// A room's id comes from the platform, and a later meeting may have the same one.
#[tokio::test]
async fn no_session_goes_on_into_another_meeting_of_the_same_room() {
    let server = PlugNmeet::at(&Clock::system(), "https://localhost").await;
    let gateway = Gateway::in_front_of(&server).await;
    let path = path_of(&gateway, "room01", "ann");
    let mut jar = open(&gateway, &gateway.token("room01", "ann")).await;
    gateway.clock.advance(HOUR);
    let answer = visit(&gateway, &path, &jar).await;
    assert_eq!(answer.status, 200);
    jar.take(&answer);
    server.begin_anew("room01");
    gateway.clock.advance(HOUR);
    assert_refused(&visit(&gateway, &path, &jar).await, 410, "meeting has ended");
    // Nor does a token of the old one that is put into a link, or an old link.
    let renewed = jar.value(TOKEN).unwrap().to_owned();
    let line = jar.line();
    let answer = gateway
        .get(
            &format!("/conference/?access_token={renewed}"),
            &[("Cookie", &line)],
        )
        .await;
    assert_eq!(answer.status, 401, "its ten minutes are over");
    // A link of the new meeting's begins a session of it.
    let again = open(&gateway, &gateway.token("room01", "ann")).await;
    gateway.clock.advance(HOUR);
    assert_eq!(visit(&gateway, &path, &again).await.status, 200);
}

/// A link is good for ten minutes, and a meeting may end and another begin in them.
#[tokio::test]
async fn a_link_of_an_earlier_meeting_begins_no_session_that_goes_on() {
    let clock = Clock::system();
    let server = PlugNmeet::at(&clock, "https://localhost").await;
    let toml = format!(
        "issuer.mode = 'upstream'\nupstreams.server = ['{}']",
        server.url()
    );
    let gateway = Gateway::start(tempfile::tempdir().unwrap(), &clock, "127.0.0.1:0", &toml).await;
    let path = path_of(&gateway, "room01", "ann");
    let earlier = gateway.token("room01", "ann");
    let mut jar = open(&gateway, &earlier).await;
    gateway.clock.advance(Duration::from_secs(400));
    jar.take(&visit(&gateway, &path, &jar).await);
    server.begin_anew("room01");
    gateway.clock.advance(Duration::from_secs(4));
    // The token of one's own cookie, put into a link.
    let renewed = jar.value(TOKEN).unwrap().to_owned();
    let target = format!("/conference/?access_token={renewed}");
    jar.take(&gateway.get(&target, &[("Cookie", &jar.line())]).await);
    let by_link = open(&gateway, &earlier).await;
    gateway.clock.advance(HOUR);
    for jar in [&jar, &by_link] {
        assert_refused(&visit(&gateway, &path, jar).await, 410, "meeting has ended");
    }
}

/// Renewed is at the session's own path alone; a program that sends a cookie to the mount is shown the page, and no more.
#[tokio::test]
async fn nothing_is_renewed_at_the_mount_nor_without_any_grace() {
    let gateway = Gateway::embedded().await;
    let jar = open(&gateway, &gateway.token("room01", "ann")).await;
    gateway.clock.advance(HOUR);
    let answer = visit(&gateway, "/conference/", &jar).await;
    assert_refused(&answer, 401, "This link has expired");
    let gateway = Gateway::with("session.renew_grace = '0s'").await;
    let path = path_of(&gateway, "room01", "ann");
    let jar = open(&gateway, &gateway.token("room01", "ann")).await;
    gateway.clock.advance(Duration::from_secs(400));
    let answer = visit(&gateway, &path, &jar).await;
    assert_eq!((answer.status, answer.set_cookie(TOKEN)), (200, None));
}

/// What the server says of a room names everybody in it.
#[tokio::test]
async fn the_meeting_of_a_large_room_is_known_too() {
    let people = vec![json!({"user_id": "u", "metadata": "x".repeat(900)}); 700];
    let server = Upstream::handling(move |_| {
        let said = json!({"status": true, "msg": "success", "status_code": "SUCCESS",
            "room": {"room_info": {"sid": "s1", "creation_time": "1"}, "participants_info": people}});
        async move { Response::new(text_body(said.to_string())) }
    })
    .await;
    let gateway = Gateway::in_front_of(&server).await;
    let jar = open(&gateway, &gateway.token("room01", "ann")).await;
    let other = Upstream::handling(|_| async {
        json_answer(r#"{"status":true,"msg":"success","status_code":"SUCCESS","room":{"room_info":{"sid":"s2","creation_time":"1"}}}"#)
    })
    .await;
    let folder = gateway.stop_and_keep_folder().await;
    let gateway = Gateway::in_folder(
        folder,
        &format!("issuer.mode = 'upstream'\nupstreams.server = ['{}']", other.url()),
    )
    .await;
    gateway.clock.advance(HOUR);
    let path = path_of(&gateway, "room01", "ann");
    assert_refused(&visit(&gateway, &path, &jar).await, 410, "meeting has ended");
}

/// A class that comes in one moment asks the server once.
#[tokio::test]
async fn links_of_one_room_ask_once_which_meeting_runs() {
    let server = PlugNmeet::at(&Clock::system(), "https://localhost").await;
    let gateway = Gateway::in_front_of(&server).await;
    for user in 0..20 {
        open(&gateway, &gateway.token("room01", &format!("u{user}"))).await;
    }
    open(&gateway, &gateway.token("room02", "ann")).await;
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn who_was_removed_or_blocked_is_renewed_no_more() {
    for block in [0, 1] {
        let server = PlugNmeet::at(&Clock::system(), "https://localhost").await;
        let gateway = Gateway::in_front_of(&server).await;
        let path = path_of(&gateway, "room01", "bob");
        let bob = open(&gateway, &gateway.token("room01", "bob")).await;
        let admin = gateway.sign(|claims| claims.is_admin = true);
        gateway.clock.advance(Duration::from_secs(2));
        let headers = [
            ("Authorization", &*admin),
            ("Content-Type", "application/protobuf"),
        ];
        let body = [b"\x12\x06room01\x1a\x03bob\x28".as_slice(), &[block]].concat();
        let removed = gateway.post("/api/removeParticipant", &headers, &body).await;
        assert_eq!(removed.status, 200);
        // The old link begins nothing anew.
        let again = open(&gateway, bob.value(TOKEN).unwrap()).await;
        gateway.clock.advance(HOUR);
        for jar in [&bob, &again] {
            assert!(visit(&gateway, &path, jar).await.status >= 401, "{block}");
        }
        // An old link is good as long as its token lasts; it begins nothing that could go on for who is blocked.
        let back = open(&gateway, &gateway.token("room01", "bob")).await;
        gateway.clock.advance(HOUR);
        let status = if block == 1 { 403 } else { 200 };
        assert_eq!(visit(&gateway, &path, &back).await.status, status, "{block}");
    }
}

#[tokio::test]
async fn a_server_that_is_away_or_silent_does_not_end_a_session() {
    let hanging = Upstream::handling(|_| std::future::pending::<Response<AnswerBody>>()).await;
    for url in ["http://127.0.0.1:1", &hanging.url()] {
        let gateway = Gateway::with(&format!("issuer.mode = 'upstream'\nupstreams.server = ['{url}']")).await;
        let path = path_of(&gateway, "room01", "ann");
        let jar = open(&gateway, &gateway.token("room01", "ann")).await;
        gateway.clock.advance(HOUR);
        assert_eq!(visit(&gateway, &path, &jar).await.status, 200, "{url}");
    }
}

fn callers(enabled: bool) -> String {
    format!(
        "[[callers]]\nname = 'moodle'\napi_key = 'moodle-key'\nsecret = 'moodle-secret-that-is-long-enough-1'\nenabled = {enabled}\n\
         [[callers]]\nname = 'canvas'\napi_key = 'canvas-key'\nsecret = 'canvas-secret-that-is-long-enough-1'\nrooms = ['c-*']\n"
    )
}

/// A link by a caller with a key of its own.
async fn link_by(gateway: &Gateway, caller: &str, room: &str, user: &str) -> String {
    let secret = Secret::new(format!("{caller}-secret-that-is-long-enough-1"));
    let keys = TokenKeys::new(format!("{caller}-key"), &secret).unwrap();
    let body = token_request(room, user);
    let answer = gateway
        .post(
            "/auth/room/getJoinToken",
            &[
                ("API-KEY", keys.api_key()),
                ("HASH-SIGNATURE", &keys.requests().signature(body.as_bytes())),
            ],
            body.as_bytes(),
        )
        .await;
    answer.json()["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn sessions_of_a_caller_that_is_switched_off_end_and_those_of_others_go_on() {
    let gateway = Gateway::with(&callers(true)).await;
    let (of_moodle, of_canvas) = (path_of(&gateway, "c-1", "ann"), path_of(&gateway, "c-1", "bob"));
    let moodle = open(&gateway, &link_by(&gateway, "moodle", "c-1", "ann").await).await;
    let canvas = open(&gateway, &link_by(&gateway, "canvas", "c-1", "bob").await).await;
    let of_server = gateway.ask_for_token(&token_request("c-1", "eve"), &[]).await;
    let server = open(&gateway, of_server.json()["token"].as_str().unwrap()).await;
    let eves = path_of(&gateway, "c-1", "eve");
    gateway.clock.advance(HOUR);
    assert_eq!(visit(&gateway, &of_moodle, &moodle).await.status, 200);
    let folder = gateway.stop_and_keep_folder().await;
    let gateway = Gateway::in_folder(folder, &callers(false)).await;
    gateway.clock.advance(HOUR);
    let answer = visit(&gateway, &of_moodle, &moodle).await;
    assert_refused(&answer, 401, "This link has expired");
    assert!(answer.text().contains("may have no other"));
    assert_eq!(visit(&gateway, &of_canvas, &canvas).await.status, 200);
    assert_eq!(visit(&gateway, &eves, &server).await.status, 200);
}

// --- leaving ---

#[tokio::test]
async fn who_leaves_is_out_and_no_copy_of_the_cookies_is_renewed() {
    for (method, site) in [("GET", "same-origin"), ("POST", "same-origin"), ("GET", "none")] {
        let gateway = Gateway::embedded().await;
        let path = path_of(&gateway, "room01", "ann");
        let token = gateway.token("room01", "ann");
        let jar = open(&gateway, &token).await;
        let logout = format!("{path}logout");
        let line = jar.line();
        let headers = [GOING[0], GOING[1], ("Sec-Fetch-Site", site), ("Cookie", &line)];
        let answer = gateway.client().request(method, &logout, &headers, b"").await;
        assert_refused(&answer, 200, "You have left the meeting");
        let mut emptied = jar.clone();
        emptied.take(&answer);
        assert!(emptied.0.is_empty(), "{emptied:?}");
        gateway.clock.advance(HOUR);
        let answer = visit(&gateway, &path, &jar).await;
        assert_refused(&answer, 401, "You have left the meeting");
        assert_refused(
            &visit(&gateway, &path, &Jar::with(TOKEN, &token)).await,
            401,
            "This link has expired",
        );
        // A link brings one back.
        let back = open(&gateway, &gateway.token("room01", "ann")).await;
        gateway.clock.advance(HOUR);
        assert_eq!(visit(&gateway, &path, &back).await.status, 200);
        assert_refused(&visit(&gateway, &path, &jar).await, 401, "You have left");
    }
}

/// A picture in a meeting would log everybody out who sees it, and a frame or a page of somebody else's whoever looks at it.
#[tokio::test]
async fn no_part_of_a_page_ends_a_session_and_who_does_not_plainly_go_there_is_asked() {
    let gateway = Gateway::with(&framed("")).await;
    let path = path_of(&gateway, "room01", "ann");
    let jar = open(&gateway, &gateway.token("room01", "ann")).await;
    let (line, logout) = (jar.line(), format!("{path}logout"));
    for (mode, destination) in [("no-cors", "image"), ("no-cors", "style"), ("cors", "empty")] {
        let headers = [
            ("Sec-Fetch-Mode", mode),
            ("Sec-Fetch-Dest", destination),
            ("Sec-Fetch-Site", "same-origin"),
            ("Cookie", &line),
        ];
        let answer = gateway.get(&logout, &headers).await;
        assert_eq!(
            (answer.status, answer.header("set-cookie")),
            (403, None),
            "{destination}"
        );
    }
    let in_frame = [
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "iframe"),
        SAME_ORIGIN,
    ];
    let mut form = String::new();
    for (method, more) in [("GET", &[][..]), ("POST", &[SAME_ORIGIN]), ("GET", &in_frame)] {
        let headers = [more, &[("Cookie", &line)]].concat();
        let answer = gateway.client().request(method, &logout, &headers, b"").await;
        assert_eq!(
            (answer.status, answer.header("set-cookie")),
            (200, None),
            "{headers:?}"
        );
        assert!(answer.text().contains("Leave this meeting?"), "{}", answer.text());
        let action = answer.text();
        let action = action.split("action=\"").nth(1).unwrap();
        form = action.split('"').next().unwrap().replace("&amp;", "&");
    }
    // The form of another session, of another time, and from another site, answers nothing.
    let others = open(&gateway, &gateway.token("room02", "ann")).await.line();
    let other = path_of(&gateway, "room02", "ann");
    let (_, confirm) = form.split_once('?').unwrap();
    let answer = gateway
        .post(
            &format!("{other}logout?{confirm}"),
            &[("Cookie", &others), SAME_ORIGIN],
            b"",
        )
        .await;
    assert!(answer.text().contains("Leave this meeting?"));
    let cross = [("Cookie", &*line), ("Sec-Fetch-Site", "cross-site")];
    assert_eq!(gateway.post(&form, &cross, b"").await.status, 403);
    let answer = gateway.post(&form, &[("Cookie", &line), SAME_ORIGIN], b"").await;
    assert_refused(&answer, 200, "You have left the meeting");
    gateway.clock.advance(Duration::from_secs(301));
    let again = open(&gateway, &gateway.token("room01", "ann")).await.line();
    let answer = gateway.post(&form, &[("Cookie", &again), SAME_ORIGIN], b"").await;
    assert!(answer.text().contains("Leave this meeting?"));
}

#[tokio::test]
async fn one_address_ends_the_session_of_the_page_that_leads_there() {
    let gateway = Gateway::embedded().await;
    let path = path_of(&gateway, "room01", "ann");
    let page = format!("{}{path}?x=1", gateway.origin());
    let logout = gateway
        .get("/conference/logout", &[("Referer", &page), SAME_ORIGIN])
        .await;
    assert_eq!(
        (logout.status, logout.header("location")),
        (303, Some(format!("{path}logout").as_str()))
    );
    for referer in [
        "https://localhost/",
        "https://localhost/conference/s/../../evil",
        "x",
    ] {
        let answer = gateway.get("/conference/logout", &[("Referer", referer)]).await;
        assert_refused(&answer, 200, "Use your join link");
    }
}

#[tokio::test]
async fn another_site_can_end_no_session() {
    let gateway = Gateway::embedded().await;
    let path = path_of(&gateway, "room01", "ann");
    let jar = open(&gateway, &gateway.token("room01", "ann")).await;
    let logout = format!("{path}logout");
    for (method, more) in [
        ("GET", ("Sec-Fetch-Site", "cross-site")),
        ("POST", ("Sec-Fetch-Site", "same-site")),
        ("POST", ("Origin", "https://evil.example")),
        ("GET", ("Purpose", "prefetch")),
    ] {
        let answer = gateway
            .client()
            .request(method, &logout, &[("Cookie", &jar.line()), more], b"")
            .await;
        assert_eq!(
            (answer.status, answer.header("set-cookie")),
            (403, None),
            "{more:?}"
        );
    }
    let answer = gateway.client().request("PUT", &logout, &[], b"").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, POST")));
    gateway.get(&logout, &[]).await;
    gateway.clock.advance(HOUR);
    assert_eq!(visit(&gateway, &path, &jar).await.status, 200);
}

// --- refresh ---

/// A server that takes every token, but on one path.
async fn taking_tokens() -> Upstream {
    Upstream::handling(|seen: Seen| async move {
        let mut response = Response::new(text_body("{}"));
        if seen.target.starts_with("/api/refused") {
            *response.status_mut() = hyper::StatusCode::UNAUTHORIZED;
        }
        response
    })
    .await
}

#[tokio::test]
async fn a_newer_token_on_its_way_to_the_server_refreshes_the_cookie() {
    let server = taking_tokens().await;
    let gateway = Gateway::in_front_of(&server).await;
    let path = path_of(&gateway, "room01", "ann");
    let first = gateway.token("room01", "ann");
    open(&gateway, &first).await;
    gateway.clock.advance(Duration::from_secs(180));
    let newer = gateway.token("room01", "ann");
    let call = |target: &'static str, fields: Vec<(&'static str, String)>| {
        let gateway = &gateway;
        async move {
            let fields: Vec<(&str, &str)> = fields
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            gateway.post(target, &fields, b"").await
        }
    };
    let authorization = |token: &str| ("Authorization", token.to_owned());
    let site = |site: &str| ("Sec-Fetch-Site", site.to_owned());
    let origin = ("Origin", gateway.origin());
    let foreign = ("Origin", "https://evil.example".to_owned());
    // Not newer, not from a page of ours, not taken, not one token, not one of ours.
    for (target, fields) in [
        (
            "/api/polls/create",
            vec![authorization(&first), site("same-origin")],
        ),
        (
            "/api/polls/create",
            vec![authorization(&newer), site("same-site")],
        ),
        (
            "/api/polls/create",
            vec![authorization(&newer), site("cross-site")],
        ),
        ("/api/polls/create", vec![authorization(&newer)]),
        ("/api/polls/create", vec![authorization(&newer), foreign]),
        ("/api/refused", vec![authorization(&newer), site("same-origin")]),
        (
            "/api/polls/create",
            vec![authorization(&newer), authorization(&newer), site("same-origin")],
        ),
        (
            "/api/polls/create",
            vec![authorization(&format!("Bearer {newer}")), site("same-origin")],
        ),
        (
            "/api/polls/create",
            vec![authorization(&format!("{newer}x")), site("same-origin")],
        ),
        (
            "/download/uploadedFile/x",
            vec![authorization(&newer), site("same-origin")],
        ),
    ] {
        let answer = call(target, fields.clone()).await;
        assert_eq!(answer.header("set-cookie"), None, "{target} {fields:?}");
    }
    let answer = call("/api/polls/create", vec![authorization(&newer), origin.clone()]).await;
    assert_eq!(
        (answer.status, answer.header("cache-control")),
        (200, Some("no-store"))
    );
    let line = answer.header("set-cookie").unwrap();
    for part in [
        &format!("{TOKEN}={newer};"),
        &format!("; Path={path}"),
        "SameSite=Lax",
    ] {
        assert!(line.contains(part), "{line}");
    }
    assert_lives_for_token_and_grace(line);
    let again = call("/api/polls/create", vec![authorization(&newer), origin.clone()]).await;
    assert_eq!(again.header("set-cookie"), None);
    for seen in server.requests() {
        assert_eq!(seen.header("cookie"), None);
    }
}

#[tokio::test]
async fn the_cookie_that_is_there_and_the_logout_that_was_decide_what_is_newer() {
    let server = taking_tokens().await;
    let gateway = Gateway::in_front_of(&server).await;
    let path = path_of(&gateway, "room01", "ann");
    open(&gateway, &gateway.token("room01", "ann")).await;
    let origin = gateway.origin();
    let call = |target: &'static str, token: String, cookie: String| {
        let (gateway, origin) = (&gateway, &origin);
        async move {
            let fields = [
                ("Authorization", token.as_str()),
                ("Origin", origin),
                ("Cookie", &cookie),
            ];
            // For Ann, as a breakout join has to say.
            gateway.post(target, &fields, b"\x12\x03ann").await
        }
    };
    // A breakout room's join is such a call too.
    gateway.clock.advance(Duration::from_secs(180));
    let newest = gateway.token("room01", "ann");
    let answer = call("/api/breakoutRoom/join", newest.clone(), "a=1".into()).await;
    let set = answer.header("set-cookie").unwrap();
    assert!(set.starts_with(&format!("{TOKEN}={newest};")), "{set}");
    // With the cookie there, that is what counts.
    let other = gateway.token("room02", "ann");
    for token in [&newest, &other] {
        let answer = call("/api/x", token.clone(), format!("{TOKEN}={newest}")).await;
        assert_eq!(answer.header("set-cookie"), None);
    }
    // Who has left is not brought back by a call that was still under way.
    let held = format!("{TOKEN}={newest}");
    let leaving = [&GOING[..], &[("Cookie", &held)]].concat();
    gateway.get(&format!("{path}logout"), &leaving).await;
    gateway.clock.advance(Duration::from_secs(180));
    let answer = call("/api/x", gateway.token("room01", "ann"), String::new()).await;
    assert_eq!(answer.header("set-cookie"), None);
}

// --- strays ---

#[tokio::test]
async fn cookies_that_could_pass_for_the_sessions_are_ignored_cleared_and_counted() {
    let gateway = Gateway::embedded().await;
    let path = path_of(&gateway, "room01", "ann");
    let own = gateway.token("room01", "ann");
    let bobs = gateway.token("room01", "bob");
    let mut count = 0;
    for (line, expected) in [
        (format!("{TOKEN}={bobs}; {TOKEN}={own}"), &own),
        (format!("{TOKEN}={own}; {TOKEN}={bobs}"), &own),
        (format!("{TOKEN}=garbage; {TOKEN}={own}"), &own),
        (format!("{TOKEN}=; {TOKEN}={own}"), &own),
        (format!("{TOKEN} ={bobs}; {TOKEN}={own}"), &own),
        (format!("\t{TOKEN}={bobs}; {TOKEN}={own}"), &own),
    ] {
        let answer = gateway.get(&path, &[("Cookie", &line)]).await;
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains("<dd>ann</dd>"), "{line}");
        let set: Vec<&str> = answer
            .headers
            .get_all("set-cookie")
            .iter()
            .map(|line| line.to_str().unwrap())
            .collect();
        let (last, cleared) = set.split_last().unwrap();
        assert!(last.starts_with(&format!("{TOKEN}={expected};")), "{last}");
        assert!(
            cleared.iter().all(|cookie| cookie.contains("Max-Age=0")),
            "{cleared:?}"
        );
        for expected in [
            format!("{TOKEN}=; Path=/; Max-Age=0; Secure"),
            format!("{TOKEN}=; Path=/conference; Max-Age=0; Secure"),
            format!("=gone; Path={path}; Max-Age=0; Secure"),
        ] {
            assert!(cleared.contains(&expected.as_str()), "{expected}: {cleared:?}");
        }
        count += 1;
        let metrics = support::client::plain_get(gateway.admin, "/metrics").await.text();
        assert!(
            metrics.contains(&format!("plugnmeet_gateway_stray_cookies_total {count}\n")),
            "{metrics}"
        );
    }
    // Whoever changes nothing clears nothing either.
    let alone = format!("{TOKEN}={bobs}");
    let both = format!("{alone}; {TOKEN}={own}");
    for line in [&alone, &both] {
        let head = gateway
            .client()
            .request("HEAD", &path, &[("Cookie", line)], b"")
            .await;
        let guess = gateway
            .get(&path, &[("Cookie", line), ("Sec-Purpose", "prefetch")])
            .await;
        for answer in [head, guess] {
            assert_eq!(
                (answer.status, answer.header("set-cookie")),
                (200, None),
                "{line}"
            );
        }
    }
    // The same twice is no stray: a browser may have it in two jars.
    let answer = gateway
        .get(&path, &[("Cookie", &format!("{TOKEN}={own}; {TOKEN}={own}"))])
        .await;
    assert_eq!((answer.status, answer.header("set-cookie")), (200, None));
}

/// Sessions have paths of their own, and so has every cookie that comes from us.
#[tokio::test]
async fn a_browser_that_goes_to_the_mount_is_in_nobodys_session() {
    let gateway = Gateway::embedded().await;
    let tossed = format!("{TOKEN}={}", gateway.token("room01", "mallory"));
    let fields = [("Cookie", tossed.as_str()), ("Sec-Fetch-Mode", "navigate")];
    let answer = gateway.get("/conference/", &fields).await;
    assert_refused(&answer, 200, "Use your join link");
    assert!(answer.headers.contains_key("set-cookie"), "it is cleared");
}

#[tokio::test]
async fn at_one_path_for_all_the_companion_says_whose_session_runs() {
    let gateway = Gateway::with("session.scope = 'mount'").await;
    let own = gateway.token("room01", "ann");
    let answer = gateway
        .get(&format!("/conference/?access_token={own}"), &[])
        .await;
    assert_eq!(answer.header("location"), Some("/conference/"));
    let companion = answer.set_cookie("__Host-pnm_session").unwrap();
    assert!(
        companion.contains("; Path=/;") && companion.contains("HttpOnly") && !companion.contains("Domain")
    );
    let companion = companion.split(';').next().unwrap();
    let mallory = gateway.token("room01", "mallory");
    let line = format!("{TOKEN}={mallory}; {TOKEN}={own}; {companion}");
    let answer = gateway.get("/conference/", &[("Cookie", &line)]).await;
    assert!(answer.text().contains("<dd>ann</dd>"), "{}", answer.text());
    // The client would take the one with the longest path, so that has to go before its script runs.
    for (page, paths) in [
        ("/conference/", &["/", "/conference/"][..]),
        (
            "/conference/index.html",
            &["/", "/conference/", "/conference/index.html"],
        ),
    ] {
        let answer = gateway.get(page, &[("Cookie", &line)]).await;
        let set: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
        for path in paths {
            let ended = format!("{TOKEN}=; Path={path}; Max-Age=0; Secure");
            assert!(
                set.iter().any(|cookie| *cookie == ended.as_str()),
                "{ended}: {set:?}"
            );
        }
        let own = format!("{TOKEN}=; Path=/conference; Max-Age=0; Secure");
        assert!(set.iter().all(|cookie| *cookie != own.as_str()), "{set:?}");
    }
    let line = format!("{TOKEN}={mallory}; {companion}");
    let answer = gateway.get("/conference/", &[("Cookie", &line)]).await;
    assert_refused(&answer, 200, "Use your join link");
    // Without one there is nothing to tell by.
    let answer = gateway
        .get("/conference/", &[("Cookie", &format!("{TOKEN}={own}"))])
        .await;
    assert!(answer.text().contains("<dd>ann</dd>"));
}

// --- switching ---

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one story, told once for each way of asking"
)]
async fn somebody_elses_link_does_not_silently_replace_a_running_session() {
    let gateway = Gateway::with("session.scope = 'mount'").await;
    let (anns, mallorys) = (gateway.token("room01", "ann"), gateway.token("room02", "mallory"));
    let link = format!("/conference/?access_token={mallorys}&x=1");
    let running = format!("{TOKEN}={anns}");
    // Who goes on from a page of ours, who has a newer link of the same session, and who is in none, are not asked.
    let newer = gateway.sign(|claims| claims.exp += 1);
    let by_our_page = [&GOING[..], &[("Cookie", running.as_str())]].concat();
    for (target, fields) in [
        (link.clone(), by_our_page),
        (link.clone(), vec![("Sec-Fetch-Site", "cross-site")]),
        (
            format!("/conference/?access_token={newer}&x=1"),
            vec![("Cookie", running.as_str()), ("Sec-Fetch-Site", "cross-site")],
        ),
    ] {
        let answer = gateway.get(&target, &fields).await;
        assert_eq!(answer.header("location"), Some("/conference/?x=1"), "{fields:?}");
        assert!(answer.set_cookie(TOKEN).is_some());
    }
    // The same person in another room is another session too; a frame of a page of ours may show anybody's link.
    let other_room = gateway.token("room02", "ann");
    for (token, more) in [
        (&mallorys, ("Sec-Fetch-Site", "cross-site")),
        (&mallorys, ("Sec-Fetch-Site", "none")),
        (&mallorys, ("Sec-Fetch-Dest", "iframe")),
        (&mallorys, ("X", "nothing is said")),
        (&other_room, ("Sec-Fetch-Site", "none")),
    ] {
        let link = format!("/conference/?access_token={token}&x=1");
        let answer = gateway.get(&link, &[("Cookie", &running), more]).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, Some("/conference/switch?x=1"))
        );
        assert_eq!(answer.set_cookie(TOKEN), None);
        let waiting = answer.header("set-cookie").unwrap();
        for part in [
            "HttpOnly",
            "Secure",
            "SameSite=Lax",
            "Path=/conference/switch",
            "Max-Age=300",
        ] {
            assert!(waiting.contains(part), "{waiting}");
        }
        let cookies = format!("{running}; {}", waiting.split(';').next().unwrap());
        let page = gateway
            .get("/conference/switch?x=1", &[("Cookie", &cookies)])
            .await;
        assert_eq!(
            (page.status, page.header("cache-control")),
            (200, Some("no-store"))
        );
        let text = page.text();
        for part in [
            "You are in another meeting",
            "Ann (room01)",
            "Ann (room02)",
            "href=\"/conference/\"",
            "action=\"/conference/switch?x=1&amp;pnm_confirm=",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains(token.as_str()));
        assert!(
            page.header("content-security-policy")
                .unwrap()
                .contains("form-action 'self'")
        );
        let foreign = [("Cookie", cookies.as_str()), ("Sec-Fetch-Site", "cross-site")];
        let refused = gateway.post("/conference/switch?x=1", &foreign, b"").await;
        assert_eq!((refused.status, refused.header("set-cookie")), (403, None));
        let action = text.split("action=\"").nth(1).unwrap().split('"').next().unwrap();
        let action = action.replace("&amp;", "&");
        // The form is the answer about this very link, and to nothing else.
        let waiting_other = format!(
            "{running}; __Secure-pnm_waiting={}",
            gateway.token("room03", "eve")
        );
        for (action, cookies) in [("/conference/switch?x=1", &cookies), (&action, &waiting_other)] {
            let asked_again = gateway
                .post(action, &[("Cookie", cookies), SAME_ORIGIN], b"")
                .await;
            assert_eq!(
                (asked_again.status, asked_again.header("location")),
                (303, Some("/conference/switch?x=1"))
            );
            assert_eq!(asked_again.header("set-cookie"), None);
        }
        let with_another = format!("{action}&access_token={mallorys}");
        let switched = gateway
            .post(&with_another, &[("Cookie", &cookies), SAME_ORIGIN], b"")
            .await;
        assert_eq!(
            (switched.status, switched.header("location")),
            (303, Some("/conference/?x=1"))
        );
        assert!(
            switched
                .set_cookie(TOKEN)
                .unwrap()
                .starts_with(&format!("{TOKEN}={token};"))
        );
        assert!(
            switched
                .set_cookie("__Secure-pnm_waiting")
                .unwrap()
                .contains("Max-Age=0")
        );
    }
    let answer = gateway.get("/conference/switch", &[("Cookie", &running)]).await;
    assert_refused(&answer, 200, "Use your join link");
}

// --- the server's own links ---

async fn joining(location: String) -> Upstream {
    Upstream::handling(move |_| {
        let location = location.clone();
        async move {
            let mut response = Response::new(text_body(""));
            *response.status_mut() = hyper::StatusCode::FOUND;
            response.headers_mut().insert(
                "location",
                hyper::header::HeaderValue::from_bytes(location.as_bytes()).unwrap(),
            );
            response
        }
    })
    .await
}

#[tokio::test]
async fn a_bbb_join_ends_at_the_session_in_one_hop() {
    let token = Gateway::embedded().await.token("room01", "ann");
    let design = r#"{"custom_logo":"https://cdn.example/e.png?a=1&b=2"}"#;
    for (location, query) in [
        (format!("https://localhost/?access_token={token}"), String::new()),
        (format!("HTTP/1.1://localhost/?access_token={token}"), String::new()),
        (format!("https://LOCALHOST:8443/conference/?access_token={token}"), String::new()),
        (
            format!("https://localhost/?access_token={token}&custom_design={design}"),
            "?custom_design=%7B%22custom_logo%22%3A%22https%3A%2F%2Fcdn.example%2Fe.png%3Fa%3D1%26b%3D2%22%7D".to_owned(),
        ),
    ] {
        let server = joining(location.clone()).await;
        let gateway = Gateway::in_front_of(&server).await;
        let target = bbb_target("join", "fullName=Ann&meetingID=room01&role=viewer&userID=ann");
        let answer = gateway.get(&target, &[]).await;
        let path = path_of(&gateway, "room01", "ann");
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, Some(format!("{path}{query}").as_str())),
            "{location}"
        );
        assert!(answer.set_cookie(TOKEN).unwrap().starts_with(&format!("{TOKEN}={token};")));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let prefetched = gateway.get(&target, &[("Sec-Purpose", "prefetch")]).await;
        assert_eq!(prefetched.status, 403);
        let joins = server.requests();
        let joins = joins.iter().filter(|seen| seen.target == target).count();
        assert_eq!(joins, 1, "a guess of the browser's issues no token");
    }
}

#[tokio::test]
async fn a_link_of_the_servers_is_checked_like_any_other_and_others_pass_as_they_are() {
    let token = Gateway::embedded().await.token("room01", "ann");
    let target = bbb_target("join", "fullName=Ann&meetingID=room01&role=viewer&userID=ann");
    let forged = format!("https://localhost/?access_token={token}x");
    let server = joining(forged).await;
    let gateway = Gateway::in_front_of(&server).await;
    let answer = gateway.get(&target, &[]).await;
    assert_eq!((answer.status, answer.header("location")), (200, None));
    assert!(answer.text().contains("<returncode>FAILED</returncode>"));
    assert!(!answer.text().contains(&token));
    for location in [
        format!("https://elsewhere.example/?access_token={token}"),
        format!("https://localhost/download/x?access_token={token}"),
        "https://localhost/?x=1".to_owned(),
    ] {
        let server = joining(location.clone()).await;
        let gateway = Gateway::in_front_of(&server).await;
        let answer = gateway.get(&target, &[]).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (302, Some(location.as_str()))
        );
        assert_eq!(answer.header("set-cookie"), None);
    }
}

#[tokio::test]
async fn a_learning_platforms_redirect_ends_at_the_session_too() {
    let token = Gateway::embedded().await.token("room01", "ann");
    let server = joining(format!("https://localhost/?access_token={token}&lang=de")).await;
    let gateway = Gateway::in_front_of(&server).await;
    let answer = gateway.post("/lti/v1", &[], b"oauth=1").await;
    let expected = format!("{}?lang=de", path_of(&gateway, "room01", "ann"));
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some(expected.as_str()))
    );
    assert!(answer.set_cookie(TOKEN).is_some());
}

// --- frames ---

fn framed(toml: &str) -> String {
    format!("session.frame_ancestors = ['https://lms.example.org']\n{toml}")
}

#[tokio::test]
async fn a_frame_whose_browser_keeps_no_cookie_gets_its_token_in_the_page_once() {
    let client = folder_of(&[(
        "index.html",
        "<!doctype html><head><script src=\"x\"></script></head>",
    )]);
    let gateway = Gateway::with(&framed(&format!("client.path = '{}'", client.path().display()))).await;
    let token = gateway.token("room01", "ann");
    let path = path_of(&gateway, "room01", "ann");
    let link = format!("/conference/?access_token={token}");
    let mine = gateway.get(&format!("{link}&lang=de"), &FRAME).await;
    let ticket = mine.header("location").unwrap().to_owned();
    assert!(
        ticket.starts_with(&format!("{path}?lang=de&pnm_ticket=")),
        "{ticket}"
    );
    // It waits for a page that somebody will see.
    gateway.client().request("HEAD", &ticket, &FRAME, b"").await;
    let guess = [&FRAME[..], &[("Sec-Purpose", "prefetch")]].concat();
    assert!(!gateway.get(&ticket, &guess).await.text().contains(&token));
    // Another replica knows it too.
    let replica = Gateway::with(&framed(&format!("client.path = '{}'", client.path().display()))).await;
    assert!(replica.get(&ticket, &FRAME).await.text().contains(&token));
    let page = gateway.get(&ticket, &FRAME).await;
    assert_eq!(
        (page.status, page.header("cache-control")),
        (200, Some("no-store"))
    );
    assert_eq!(page.header("etag"), None);
    let text = page.text();
    let script = text.find(&token).unwrap();
    assert!(script < text.find("<script src").unwrap(), "{text}");
    let nonce = text.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap();
    let policy: Vec<_> = page.headers.get_all("content-security-policy").iter().collect();
    let allowed = format!("'nonce-{nonce}'");
    assert!(
        policy
            .iter()
            .any(|policy| policy.to_str().unwrap().contains(&allowed)),
        "{policy:?}"
    );
    // Once.
    let again = gateway.get(&ticket, &FRAME).await;
    assert!(!again.text().contains(&token));
    assert!(again.text().contains("keeps no cookies"), "{}", again.text());
    // Not to a page of its own, nor to a script, nor at another session's path, nor later than a minute.
    let fresh = || async {
        let answer = gateway.get(&link, &FRAME).await;
        answer.header("location").unwrap().to_owned()
    };
    let ticket = fresh().await;
    for fields in [
        &[
            ("Sec-Fetch-Dest", "document"),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Site", "none"),
        ][..],
        &[
            ("Sec-Fetch-Dest", "empty"),
            ("Sec-Fetch-Mode", "cors"),
            ("Sec-Fetch-Site", "cross-site"),
        ],
        &[],
    ] {
        assert!(!gateway.get(&ticket, fields).await.text().contains(&token));
    }
    let other = ticket.replace(&path, &path_of(&gateway, "room01", "bob"));
    assert!(!gateway.get(&other, &FRAME).await.text().contains(&token));
    // Where the cookie came back it has no place in an address.
    let jar = Jar::with(TOKEN, &token);
    let answer = visit(&gateway, &ticket.replace("pnm_ticket", "a=1&pnm_ticket"), &jar).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some(format!("{path}?a=1").as_str()))
    );
    gateway.clock.advance(Duration::from_secs(61));
    assert!(!gateway.get(&ticket, &FRAME).await.text().contains(&token));
}

#[tokio::test]
async fn nobody_goes_in_circles_between_a_login_and_a_browser_without_cookies() {
    let gateway = Gateway::with("session.login_url = 'https://lms.example.org/login'").await;
    let token = gateway.token("room01", "ann");
    let path = path_of(&gateway, "room01", "ann");
    let navigation = [("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")];
    let link = format!("/conference/?access_token={token}");
    gateway.get(&link, &navigation).await;
    let answer = gateway.get(&path, &navigation).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("https://lms.example.org/login"))
    );
    gateway.get(&link, &navigation).await;
    let answer = gateway.get(&path, &navigation).await;
    assert_eq!((answer.status, answer.header("location")), (200, None));
    assert!(answer.text().contains("keeps no cookies"), "{}", answer.text());
}

#[tokio::test]
async fn a_reload_of_a_frame_keeps_its_cookies_the_frames() {
    let gateway = Gateway::with(&framed("")).await;
    let token = gateway.token("room01", "ann");
    let path = path_of(&gateway, "room01", "ann");
    let answer = gateway
        .get(&format!("/conference/?access_token={token}"), &FRAME)
        .await;
    for name in [TOKEN, COMPANION] {
        assert!(
            answer.set_cookie(name).unwrap().contains("; Partitioned"),
            "{answer:?}"
        );
    }
    let mut jar = Jar::default();
    jar.take(&answer);
    gateway.clock.advance(HOUR);
    // A frame that reloads itself does so on its own behalf.
    let reload = [
        ("Cookie", jar.line()),
        ("Sec-Fetch-Dest", "iframe".into()),
        ("Sec-Fetch-Site", "same-origin".into()),
    ];
    let reload = reload.each_ref().map(|(name, value)| (*name, value.as_str()));
    let answer = gateway.get(&path, &reload).await;
    assert_eq!(answer.status, 200);
    for name in [TOKEN, COMPANION] {
        let line = answer.set_cookie(name).unwrap();
        assert!(
            line.contains("SameSite=None") && line.contains("; Partitioned"),
            "{line}"
        );
    }
}

/// Nothing that is said of a session says its token.
#[tokio::test]
async fn no_answer_shows_a_token_but_in_its_cookie() {
    let gateway = Gateway::embedded().await;
    let token = gateway.token("room01", "ann");
    let answer = gateway
        .get(&format!("/conference/?access_token={token}"), &[])
        .await;
    let companion = answer.set_cookie(COMPANION).unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    assert!(parts.iter().all(|part| !companion.contains(part)));
    let said: Value = json!(
        answer
            .headers
            .iter()
            .filter(|(name, _)| *name != "set-cookie")
            .map(|(_, value)| value.to_str().unwrap())
            .collect::<Vec<_>>()
    );
    assert!(!said.to_string().contains(parts[2]));
}
