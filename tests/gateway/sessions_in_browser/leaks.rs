//! Where a token must not be, when all of it is looked at afterwards: the gateway's log at its most talkative, and what a
//! browser keeps on its disk.

use std::{fs::File, net::SocketAddr, process::Stdio, time::Duration};

use plugnmeet_gateway::{
    clock::Clock,
    secret::Secret,
    token::{Claims, TokenKeys},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::{
    net::TcpStream,
    process::Child,
    time::{sleep, timeout},
};

use super::{
    READY,
    support::{
        API_KEY, SECRET,
        addr::free,
        binary::program,
        browser::{Browser, is_in_files},
        client::Client,
        plugnmeet::{PlugNmeet, bbb_target},
        sign,
        site::Site,
        token_request,
    },
};

/// For an orderly end.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program itself, with everything that it says in a file.
struct Talkative {
    child: Child,
    https: SocketAddr,
    folder: tempfile::TempDir,
}

impl Talkative {
    async fn in_front_of(server: &PlugNmeet) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let https = free();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = program(
            folder.path(),
            &["serve", "--config", "/dev/null"],
            &[
                ("PUBLIC_ORIGIN", "https://conf.test"),
                ("LISTEN__HTTPS", &https.to_string()),
                ("LISTEN__HTTP", ""),
                ("LISTEN__ADMIN", ""),
                ("LOG__LEVEL", "trace"),
                ("PLUGNMEET__SECRET", SECRET),
                ("ISSUER__MODE", "upstream"),
                ("UPSTREAMS__SERVER", &server.url()),
                (
                    "CLIENT__PATH",
                    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/client"),
                ),
                ("SESSION__FRAME_ANCESTORS", "https://lms.test"),
            ],
        );
        command.stderr(Stdio::from(log.try_clone().unwrap()));
        let child = command.stdout(Stdio::from(log)).spawn().unwrap();
        for _ in 0..2000 {
            if TcpStream::connect(https).await.is_ok() {
                return Self { child, https, folder };
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("{}", std::fs::read_to_string(folder.path().join("log")).unwrap());
    }

    fn client(&self) -> Client {
        Client::trusting(&self.folder.path().join("certs/development.pem"), self.https)
    }

    /// All that it ever said.
    async fn said(mut self) -> String {
        let process = Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap();
        kill_process(process, Signal::TERM).unwrap();
        // What it has to say is written to the last line by then.
        timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

/// Everything in these that has to stay secret: tokens, and their signatures alone.
fn secrets_in(values: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for value in values {
        found.push((*value).to_owned());
        found.extend(value.rsplit('.').next().map(str::to_owned));
    }
    found
}

#[tokio::test]
async fn the_most_talkative_log_holds_no_token_no_signature_and_no_secret() {
    let clock = Clock::system();
    let server = PlugNmeet::at(&clock, "https://conf.test").await;
    let lms = Site::named("lms.test").await;
    let gateway = Talkative::in_front_of(&server).await;
    let keys = TokenKeys::new(API_KEY.into(), &Secret::new(SECRET.into())).unwrap();
    let names = [("conf.test", gateway.https), ("lms.test", lms.addr)];
    let mut browser = Browser::knowing(&names, &[], &json!({}));
    let blocked = json!({"profile.default_content_setting_values.cookies": 2});
    let mut without_cookies = Browser::knowing(&names, &[], &blocked);
    let token = |change: fn(&mut Claims)| sign(&keys, &clock, change);

    let link = |token: &str| format!("https://conf.test/conference/?access_token={token}");
    let page = |user: &str| format!("https://conf.test/conference/s/{}/", keys.tag("room01", user));
    let anns = token(|_| {});
    let expired = token(|claims| {
        claims.nbf -= 7200;
        claims.exp -= 7200;
    });
    let bad = format!("{anns}x");
    let breakout = token(|claims| claims.room_id = "room01-b1".into());
    let framed = token(|claims| {
        claims.user_id = "bob".into();
        claims.sub = "bob".into();
    });
    let newer = token(|claims| claims.exp += 60);
    let join = bbb_target("join", "fullName=Ann&meetingID=room02&userID=ann&role=VIEWER");
    lms.page("/course", &format!("<iframe src=\"{}\"></iframe>", link(&framed)));
    let plant = format!(
        "document.cookie = 'pnm_access_token={expired}; Secure; Path={}'",
        page("ann").trim_start_matches("https://conf.test")
    );
    let mut seen = browser
        .steps(json!([
            {"tab": 1, "goto": link(&anns), "until": READY},
            {"tab": 1, "reload": true, "until": READY},
            {"tab": 1, "run": format!("client.renew('{newer}'); client.call('getClientFiles')")},
            {"tab": 1, "run": format!("client.breakout('{breakout}')")},
            {"tab": 2, "once": READY, "reload": true, "until": READY},
            {"tab": 1, "run": plant},
            {"tab": 1, "reload": true, "until": READY},
            {"tab": 3, "goto": format!("https://conf.test{join}"), "until": READY},
            {"tab": 4, "goto": "https://lms.test/course"},
            {"tab": 4, "frame": 1, "once": READY, "run": "1"},
            {"tab": 5, "goto": link(&bad)},
            {"tab": 5, "goto": link(&expired)},
            {"tab": 5, "goto": format!("https://conf.test/download/recording/{anns}")},
            {"tab": 5, "goto": format!("https://conf.test/nowhere/{anns}?access_token={anns}")},
            {"tab": 5, "goto": format!("https://conf.test/livekit/rtc?access_token={anns}")},
            {"tab": 1, "goto": format!("{}logout", page("ann"))},
        ]))
        .await;
    let refused_cookies = without_cookies
        .steps(json!([
            {"tab": 1, "goto": "https://lms.test/course"},
            {"tab": 1, "frame": 1, "once": READY, "run": "1"},
            {"tab": 1, "frame": 1, "reload": true},
        ]))
        .await;
    seen.extend(refused_cookies);
    let body = token_request("room01", "ann");
    let signature = keys.requests().signature(body.as_bytes());
    let headers = [
        ("Host", "conf.test"),
        ("API-KEY", API_KEY),
        ("HASH-SIGNATURE", signature.as_str()),
    ];
    let client = gateway.client();
    let asked = client
        .request("POST", "/auth/room/getJoinToken", &headers, body.as_bytes())
        .await
        .json();
    let issued = asked["token"].as_str().unwrap_or_else(|| panic!("{asked}"));

    let checksum = join.rsplit('=').next().unwrap().to_owned();
    let mut secret = secrets_in(&[&anns, &expired, &bad, &breakout, &framed, &newer, issued]);
    secret.extend([SECRET.to_owned(), signature, checksum]);
    // The tokens that the gateway renewed, those that BBB's join made, and the companions beside them.
    for snapshot in &seen {
        for cookie in snapshot.0["cookies"].as_array().unwrap() {
            secret.extend(secrets_in(&[cookie["value"].as_str().unwrap()]));
        }
    }
    for request in server.requests() {
        secret.extend(request.header("authorization").map(str::to_owned));
    }
    let said = gateway.said().await;
    for hidden in &secret {
        assert!(hidden.len() > 8, "{hidden}");
        let told = said.lines().find(|said| said.contains(hidden.as_str()));
        assert_eq!(told, None, "{hidden}");
    }
    // It did speak of them: each request has its record.
    for route in ["page", "bbb", "api", "issue", "logout", "asset", "download"] {
        assert!(
            said.contains(&format!("\"route\":\"{route}\"")),
            "{route} in {said}"
        );
    }
}

/// A page with a token in it is kept by no cache, and a link that was followed in a frame, or finished here, is in no
/// history. The values of cookies are encrypted there.
#[tokio::test]
async fn a_browser_keeps_no_token_on_its_disk() {
    let stage = super::Stage::with("session.frame_ancestors = ['https://lms.test']").await;
    let vouched = format!(
        "--ignore-certificate-errors-spki-list={},{}",
        stage.gateway.public_key_hash(),
        stage.lms.public_key_hash
    );
    for (cookies, frame) in [(1, true), (2, true), (1, false)] {
        let settings = json!({"profile.default_content_setting_values.cookies": cookies});
        let mut browser = stage.browser_with(&[&vouched], &settings);
        let token = stage.token("room01", "ann");
        let html = if frame {
            format!("<iframe src=\"{}\"></iframe>", stage.link(&token))
        } else {
            let join = bbb_target("join", "fullName=Ann&meetingID=room01&userID=ann&role=VIEWER");
            format!("<script>location.replace('https://conf.test{join}')</script>")
        };
        // The platform's own page has the link in it, and is its own to hide.
        stage
            .lms
            .answer("/course", &html, &[("cache-control", "no-store")]);
        let step = if frame {
            json!([
                {"tab": 1, "goto": "https://lms.test/course"},
                {"tab": 1, "frame": 1, "once": READY, "run": "1"},
                {"tab": 1, "goto": "about:blank"},
            ])
        } else {
            json!([
                {"tab": 1, "goto": "https://lms.test/course", "until": READY},
                {"tab": 1, "goto": "about:blank"},
            ])
        };
        browser.steps(step).await;
        let token = stage.verified();
        let profile = browser.close().await;
        assert_eq!(is_in_files(profile.path(), &token), Vec::<String>::new());
        // There is a cache, and the client's files are in it.
        assert_ne!(
            is_in_files(profile.path(), "conference/assets/js/main.js"),
            Vec::<String>::new()
        );
    }
}
