//! The participants' check page: what it answers, and what a real browser finds with it, in good networks and in bad ones.
//!
//! coturn stands in for LiveKit's TURN, with the one login that the page of a stopped clock has.

use std::net::{SocketAddr, TcpListener};

use plugnmeet_gateway::clock::Clock;
use serde_json::{Value, json};

use crate::support::{
    Gateway,
    addr::free,
    binary::run,
    browser::{Browser, Snapshot, text},
    client::Answer,
    coturn::Coturn,
    nats::NatsServer,
    site::Site,
};

const LOGIN: &str = "check_page.livekit_key = 'APIcheck'\ncheck_page.livekit_secret = 'the secret of a key in livekit.yaml'\n";
const FOUND: &str = "!document.getElementById('result').hidden";
const SWITCHES: [&str; 3] = [
    // TURN's too.
    "--ignore-certificate-errors",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
];

/// What the page tells its script.
fn told(page: &Answer) -> Value {
    let html = page.text();
    let (_, rest) = html.split_once("data-check=\"").unwrap();
    let (json, _) = rest.split_once('"').unwrap();
    serde_json::from_str(&json.replace("&quot;", "\"").replace("&amp;", "&")).unwrap()
}

#[tokio::test]
async fn nothing_is_there_unless_it_is_wanted() {
    let gateway = Gateway::embedded().await;
    let answer = gateway
        .get("/conference/check", &[("Accept", "application/json")])
        .await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json()["code"], "no_such_file");
    assert_eq!(answer.header("set-cookie"), None);
}

#[tokio::test]
async fn the_page_is_one_answer_in_the_readers_language_that_no_cache_keeps() {
    let gateway = Gateway::with(&format!("check_page.enabled = true\n{LOGIN}")).await;
    for (asked, language, title) in [
        ("en", "en", "Can you join from here?"),
        ("es-MX", "es", "¿Puede unirse desde aquí?"),
        ("de", "de", "Können Sie von hier aus teilnehmen?"),
        ("fr, en;q=0.5", "fr", "Pouvez-vous participer d&#39;ici ?"),
        ("ja", "en", "Can you join from here?"),
    ] {
        let page = gateway
            .get("/conference/check", &[("Accept-Language", asked)])
            .await;
        assert_eq!(page.status, 200);
        for (name, value) in [
            ("content-type", "text/html; charset=utf-8"),
            ("content-language", language),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            (
                "permissions-policy",
                "camera=(self), microphone=(self), display-capture=(self), speaker-selection=(self), fullscreen=*",
            ),
        ] {
            assert_eq!(page.header(name), Some(value), "{name}");
        }
        let policy = page.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(
            page.text()
                .contains(&format!("<h1>{}</h1>", title.replace("&#39;", "'"))),
            "{}",
            page.text()
        );
        assert!(page.body.len() < 10_000, "{}", page.body.len());
    }
}

#[tokio::test]
async fn the_page_has_a_login_of_two_minutes_and_never_the_secret() {
    let clock = Clock::system();
    clock.stop();
    let toml = format!(
        "check_page.enabled = true\npublic_origin = 'https://conf.test'\ncheck_page.udp_port = 3478\n{LOGIN}"
    );
    let gateway = Gateway::start(tempfile::tempdir().unwrap(), &clock, &free().to_string(), &toml).await;
    let page = gateway.get("/conference/check", &[]).await;
    let cookie = format!(
        "pnm_check={}; Path=/conference/check; Max-Age=60; Secure; SameSite=",
        clock.unix()
    );
    assert_eq!(page.header("set-cookie").unwrap(), format!("{cookie}Lax"));
    let told = told(&page);
    assert_eq!(told["relay"]["urls"], "turns:conf.test:443?transport=tcp");
    assert_eq!(
        told["udp"],
        json!({"stun": "stun:conf.test:3478", "turn": "turn:conf.test:3478?transport=udp"})
    );
    assert!(!page.text().contains("the secret"));
    // The same login a second later is another one.
    clock.advance(std::time::Duration::from_secs(1));
    let later = gateway.get("/conference/check", &[]).await;
    assert_ne!(
        self::told(&later)["relay"]["credential"],
        told["relay"]["credential"]
    );
    let framed =
        Gateway::with("check_page.enabled = true\nsession.frame_ancestors = ['https://lms.test']").await;
    let fields = [("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Mode", "navigate")];
    let page = framed.get("/conference/check", &fields).await;
    let cookie = page.header("set-cookie").unwrap();
    assert!(
        cookie.ends_with("; Secure; SameSite=None; Partitioned"),
        "{cookie}"
    );
    let told = self::told(&page);
    assert_eq!(
        (&told["relay"], &told["udp"], &told["socket"]),
        (&json!(null), &json!(null), &json!(false))
    );
}

#[tokio::test]
async fn the_page_is_limited_by_address_and_takes_no_other_method() {
    let gateway = Gateway::with("check_page.enabled = true\nlimits.check_page = '2/h'").await;
    let head = gateway
        .client()
        .request("HEAD", "/conference/check", &[], b"")
        .await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(gateway.get("/conference/check", &[]).await.status, 200);
    let over = gateway.get("/conference/check", &[]).await;
    assert_eq!(over.status, 429);
    assert_eq!(over.header("retry-after"), Some("1800"));
    assert_eq!(told_of_login(&over), None);
    let posted = gateway
        .post("/conference/check", &[("Sec-Fetch-Mode", "navigate")], b"")
        .await;
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET, HEAD")));
}

fn told_of_login(answer: &Answer) -> Option<usize> {
    answer.text().find("credential")
}

/// A conference with NATS and TURN, and a learning platform that shows the page. It goes by its address, as WebRTC finds
/// no other names than those of DNS.
struct Stage {
    gateway: Gateway,
    lms: Site,
    _nats: NatsServer,
    _turn: Coturn,
}

impl Stage {
    /// With LiveKit's key, and a TURN that takes the page's login.
    async fn new() -> Self {
        Self::with(LOGIN, true).await
    }

    async fn with(login: &str, is_taken: bool) -> Self {
        let https = free();
        let port = TcpListener::bind((https.ip(), 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let turn = SocketAddr::new(https.ip(), port);
        let nats = NatsServer::start().await;
        let toml = format!(
            "public_origin = 'https://{https}'\nupstreams.nats = 'http://{}'\nturn.upstream = '{turn}'\n\
             turn.proxy_protocol = 'off'\nsession.frame_ancestors = ['https://lms.test']\ncheck_page.enabled = true\n\
             check_page.udp_port = {port}\n{login}",
            nats.address(),
        );
        let clock = Clock::system();
        clock.stop();
        let gateway = Gateway::start(tempfile::tempdir().unwrap(), &clock, &https.to_string(), &toml).await;
        let told = told(&gateway.get("/conference/check", &[]).await);
        let user = if is_taken {
            (
                text(&told["relay"], "username"),
                text(&told["relay"], "credential"),
            )
        } else {
            ("ann", "secret")
        };
        Self {
            _turn: Coturn::with_user(turn, false, user).await,
            lms: Site::named("lms.test").await,
            gateway,
            _nats: nats,
        }
    }

    fn page(&self) -> String {
        format!("https://{}/conference/check", self.gateway.https)
    }

    fn browser(&self, preferences: &Value) -> Browser {
        Browser::knowing(&[("lms.test", self.lms.addr)], &SWITCHES, preferences)
    }
}

/// The code in the page, as the command explains it.
async fn explained(page: &str) -> Vec<String> {
    let code = page.rsplit(' ').next().unwrap().trim();
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["doctor", "explain", code], &[]).await;
    assert!(output.status.success(), "{code} in {page}: {output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .map(|line| line.split(" -> ").next().unwrap().to_owned())
        .collect()
}

/// The line with the code.
fn code_line(shown: &str) -> &str {
    shown
        .lines()
        .find(|line| line.starts_with("Result code:"))
        .unwrap_or_else(|| panic!("{shown}"))
}

async fn found(browser: &mut Browser, url: &str) -> (Snapshot, Vec<String>) {
    browser.step(json!({"tab": 1, "goto": url, "until": FOUND})).await;
    let tried = "document.getElementById('camera').textContent !== 'not checked yet' && \
                 document.getElementById('microphone').textContent !== 'not checked yet' && \
                 !document.getElementById('devices').disabled";
    let shown = browser
        .step(json!({"tab": 1, "click": "#devices", "until": tried}))
        .await;
    let lines = explained(code_line(shown.text())).await;
    (shown, lines)
}

#[tokio::test]
async fn where_all_is_well_the_code_says_so() {
    let stage = Stage::new().await;
    let mut browser = stage.browser(&json!({}));
    let (shown, lines) = found(&mut browser, &stage.page()).await;
    assert_eq!(
        lines,
        [
            "gets in",
            "cookies: kept",
            "/ws: opens, and NATS speaks",
            "UDP: gets through",
            "TURN over TLS: gives a relay",
            "camera: works",
            "microphone: works",
        ],
        "{shown}"
    );
    assert!(shown.text().contains("You can join from here."), "{shown}");
    assert_eq!(shown.console(), &[] as &[Value], "{shown}");
}

#[tokio::test]
async fn where_udp_is_blocked_the_code_says_that_and_turn_helps() {
    let stage = Stage::new().await;
    let blocked = json!({"webrtc.ip_handling_policy": "disable_non_proxied_udp"});
    let mut browser = stage.browser(&blocked);
    let (shown, lines) = found(&mut browser, &stage.page()).await;
    assert_eq!(lines[0], "gets in; media takes the slow way over TLS", "{shown}");
    assert_eq!(
        lines[3..5],
        ["UDP: does not get through", "TURN over TLS: gives a relay"],
        "{shown}"
    );
    assert!(shown.text().contains("but not everything works"), "{shown}");
}

#[tokio::test]
async fn without_a_key_of_livekits_udp_is_looked_for_all_the_same() {
    let stage = Stage::with("", false).await;
    let blocked = json!({"webrtc.ip_handling_policy": "disable_non_proxied_udp"});
    for (preferences, udp) in [
        (json!({}), "UDP: gets through"),
        (blocked, "UDP: does not get through"),
    ] {
        let mut browser = stage.browser(&preferences);
        let (shown, lines) = found(&mut browser, &stage.page()).await;
        assert_eq!(lines[3..5], [udp, "TURN over TLS: not looked at"], "{shown}");
    }
}

#[tokio::test]
async fn a_login_that_is_refused_is_told_from_a_way_that_is_blocked() {
    let stage = Stage::with(LOGIN, false).await;
    let mut browser = stage.browser(&json!({}));
    let (shown, lines) = found(&mut browser, &stage.page()).await;
    assert_eq!(
        lines[3..5],
        [
            "UDP: gets through",
            "TURN over TLS: answers, and refuses the login"
        ],
        "{shown}"
    );
}

#[tokio::test]
async fn where_cookies_are_blocked_the_code_says_that() {
    let stage = Stage::new().await;
    let none = json!({"profile.default_content_setting_values.cookies": 2});
    let mut browser = stage.browser(&none);
    let (shown, lines) = found(&mut browser, &stage.page()).await;
    assert_eq!(
        lines[..2],
        ["gets in, with something to look at", "cookies: not kept"],
        "{shown}"
    );
}

#[tokio::test]
async fn in_a_frame_without_the_rights_the_code_says_that_and_in_one_with_them_they_work() {
    let stage = Stage::new().await;
    let frame = |allow: &str| format!("<iframe {allow} src=\"{}\"></iframe>", stage.page());
    stage.lms.page("/without", &frame(""));
    stage.lms.page("/with", &frame("allow=\"camera; microphone\""));
    let mut browser = stage.browser(&json!({}));
    let mut seen = Vec::new();
    for path in ["without", "with"] {
        browser
            .step(json!({"tab": 1, "goto": format!("https://lms.test/{path}")}))
            .await;
        browser
            .step(json!({"tab": 1, "frame": 1, "once": FOUND, "run": "document.getElementById('devices').click()"}))
            .await;
        let tried = "!document.getElementById('devices').disabled && \
                     document.getElementById('microphone').textContent !== 'not checked yet'";
        let shown = browser
            .step(json!({"tab": 1, "frame": 1, "once": tried, "run": "location.host"}))
            .await;
        seen.push(explained(code_line(text(shown.frame(), "text"))).await);
    }
    let framed = "the page was in another site's frame, or in one of ours";
    assert_eq!(
        [&seen[0][1..3], &seen[0][6..]].concat(),
        [
            framed,
            "cookies: kept",
            "camera: the frame may not use it",
            "microphone: the frame may not use it"
        ]
    );
    assert_eq!(
        [&seen[1][1..3], &seen[1][6..]].concat(),
        [framed, "cookies: kept", "camera: works", "microphone: works"]
    );
}

#[tokio::test]
async fn what_is_no_code_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    for (code, why) in [
        ("hello!", "is no result code: one has five letters and digits"),
        ("20001", "has a slip: its last character does not fit the others"),
        ("no.check", "there is no check no.check"),
    ] {
        let output = run(folder.path(), &["doctor", "explain", code], &[]).await;
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(why), "{said}");
    }
    let output = run(folder.path(), &["doctor", "explain", "machine.ports"], &[]).await;
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .starts_with("Somebody else holds a port")
    );
}
