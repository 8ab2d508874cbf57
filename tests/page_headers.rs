//! What pages may load, use and be framed by, over real sockets; and that the client's files can be used from elsewhere.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use tempfile::TempDir;

use support::{Gateway, client::Answer, folder_of};

const CSP: &str = "content-security-policy";
const REPORT_ONLY: &str = "content-security-policy-report-only";

fn client() -> TempDir {
    folder_of(&[
        ("index.html", "<!doctype html><head></head>"),
        ("assets/js/main-module.Cq0qsXkl.js", "import './a.js'"),
        ("assets/fonts/inter.woff2", "font"),
        ("assets/worker/pdf.Cq0qsXkl.js", "worker"),
    ])
}

/// The client's page for Ann, under this configuration.
async fn page(toml: &str) -> Answer {
    let client = client();
    let gateway = Gateway::with(&format!(
        "{toml}\n[client]\npath = '{}'\n",
        client.path().display()
    ))
    .await;
    page_of(&gateway).await
}

async fn page_of(gateway: &Gateway) -> Answer {
    let session = format!("pnm_access_token={}", gateway.token("room01", "ann"));
    let path = format!("/conference/s/{}/", gateway.keys.tag("room01", "ann"));
    let answer = gateway.get(&path, &[("Cookie", &session)]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// A directive's sources.
fn sources<'a>(policy: &'a str, directive: &str) -> Vec<&'a str> {
    let found = policy
        .split("; ")
        .find(|part| part.split(' ').next() == Some(directive));
    let found = found.unwrap_or_else(|| panic!("no {directive} in {policy}"));
    found.split(' ').skip(1).collect()
}

#[tokio::test]
async fn the_clients_page_may_do_what_a_meeting_needs() {
    let client = client();
    let path = client.path().display();
    let gateway = Gateway::with(&format!("[client]\npath = '{path}'\n")).await;
    let answer = page_of(&gateway).await;
    let policy = answer.header(CSP).unwrap();
    // contract.md section 7, with what meetings need beside it.
    let expected = format!(
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval' https://www.youtube.com/iframe_api \
         https://www.youtube.com/s/player/; worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; img-src 'self' \
         data: blob: https:; font-src 'self' data: https://esm.sh; media-src 'self' blob: https: data:; connect-src \
         'self' ws: wss: {} https: blob: data:; frame-src https:; object-src 'none'; base-uri 'self'; frame-ancestors \
         'none'",
        gateway.origin()
    );
    assert_eq!(policy, expected);
    assert_eq!(answer.header(REPORT_ONLY), None);
    assert_eq!(
        answer.header("permissions-policy"),
        Some(
            "camera=(self), microphone=(self), display-capture=(self), speaker-selection=(self), fullscreen=*"
        )
    );
    for (name, value) in [
        ("referrer-policy", "strict-origin-when-cross-origin"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    for name in [
        "cross-origin-opener-policy",
        "cross-origin-embedder-policy",
        "x-frame-options",
        "access-control-allow-origin",
    ] {
        assert_eq!(answer.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn a_policy_on_trial_is_reported_and_the_framing_stays_enforced() {
    let answer = page("[headers]\ncsp = 'report'\ncsp_report = 'https://reports.example.org/csp'").await;
    assert_eq!(answer.header(CSP), Some("frame-ancestors 'none'"));
    let policy = answer.header(REPORT_ONLY).unwrap();
    assert_eq!(sources(policy, "default-src"), ["'self'"]);
    assert_eq!(sources(policy, "report-uri"), ["https://reports.example.org/csp"]);
}

#[tokio::test]
async fn a_policy_that_is_off_still_says_who_may_frame() {
    let answer = page("[headers]\ncsp = 'off'\n[session]\nframe_ancestors = [\"'self'\"]").await;
    assert_eq!(answer.header(CSP), Some("frame-ancestors 'self'"));
    assert_eq!(answer.header(REPORT_ONLY), None);
}

#[tokio::test]
async fn what_designs_and_operators_name_is_opened() {
    let answer = page(
        "design.css_hosts = ['localhost', 'cdn.example.org', '*.example.net']\n\
         [headers.csp_sources]\nscript-src = []\nframe-src = ['wss://x.example.org']\nobject-src = ['https:']",
    )
    .await;
    let policy = answer.header(CSP).unwrap();
    for (directive, expected) in [
        (
            "style-src",
            "'self' 'unsafe-inline' https://cdn.example.org https://*.example.net",
        ),
        ("script-src", "'self' 'wasm-unsafe-eval'"),
        ("frame-src", "https: wss://x.example.org"),
        ("object-src", "https:"),
        ("font-src", "'self' data: https://esm.sh"),
    ] {
        assert_eq!(sources(policy, directive).join(" "), expected, "{directive}");
    }
    let answer = page("design.css_hosts = ['*']").await;
    let styles = sources(answer.header(CSP).unwrap(), "style-src");
    assert_eq!(styles, ["'self'", "'unsafe-inline'", "https:"]);
}

#[tokio::test]
async fn who_may_frame_the_client_may_use_its_devices_and_have_a_coep() {
    let framed =
        "[session]\nframe_ancestors = [\"'self'\", 'https://lms.example.org', 'https://*.example.net']";
    let answer = page(framed).await;
    assert_eq!(
        sources(answer.header(CSP).unwrap(), "frame-ancestors"),
        ["'self'", "https://lms.example.org", "https://*.example.net"]
    );
    let list = "(self \"https://lms.example.org\" \"https://*.example.net\")";
    let devices = ["camera", "microphone", "display-capture", "speaker-selection"];
    let devices = devices.map(|device| format!("{device}={list}")).join(", ");
    assert_eq!(
        answer.header("permissions-policy"),
        Some(format!("{devices}, fullscreen=*").as_str())
    );
    assert_eq!(
        answer.header("cross-origin-resource-policy"),
        Some("cross-origin")
    );
    let own = Gateway::with(framed).await.get("/conference/", &[]).await;
    assert_eq!(own.header("cross-origin-resource-policy"), Some("cross-origin"));
}

/// RFC 9110 section 15.4.5 and RFC 9111 section 3.2: a cache takes the headers of a 304 over into what it has.
#[tokio::test]
async fn a_page_that_is_still_good_keeps_its_headers() {
    let client = client();
    let path = client.path().display();
    let gateway = Gateway::with(&format!("[client]\npath = '{path}'\n")).await;
    let first = page_of(&gateway).await;
    let session = format!("pnm_access_token={}", gateway.token("room01", "ann"));
    let path = format!("/conference/s/{}/", gateway.keys.tag("room01", "ann"));
    let fields = [
        ("Cookie", session.as_str()),
        ("If-None-Match", first.header("etag").unwrap()),
    ];
    let again = gateway.get(&path, &fields).await;
    assert_eq!(again.status, 304);
    for name in [
        CSP,
        "permissions-policy",
        "referrer-policy",
        "cross-origin-resource-policy",
    ] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
}

#[tokio::test]
async fn pages_of_ours_run_nothing_and_are_embedded_by_nobody() {
    let gateway = Gateway::embedded().await;
    for target in ["/conference/", "/conference/?access_token=x", "/nowhere"] {
        let answer = gateway.get(target, &[("Accept", "text/html")]).await;
        let policy = answer.header(CSP).unwrap();
        assert_eq!(sources(policy, "default-src"), ["'none'"], "{target}");
        assert_eq!(sources(policy, "form-action"), ["'none'"]);
        assert_eq!(sources(policy, "frame-ancestors"), ["'none'"]);
        assert!(!policy.contains("script-src"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    }
}

/// contract.md section 8, CORS: plugins load the client's scripts, fonts and workers into pages of their own origin.
#[tokio::test]
async fn files_can_be_used_from_other_origins_and_so_can_their_errors() {
    let client = client();
    let path = client.path().display();
    let gateway = Gateway::with(&format!("[client]\npath = '{path}'\n")).await;
    let origin = ("Origin", "https://lms.example.org");
    for (method, target, fields, status) in [
        ("GET", "/conference/assets/js/main-module.Cq0qsXkl.js", None, 200),
        ("GET", "/conference/assets/fonts/inter.woff2", None, 200),
        ("GET", "/assets/worker/pdf.Cq0qsXkl.js", None, 200),
        ("GET", "/assets/config.js", None, 200),
        ("HEAD", "/conference/assets/config.js", None, 200),
        (
            "GET",
            "/assets/fonts/inter.woff2",
            Some(("Range", "bytes=1-2")),
            206,
        ),
        (
            "GET",
            "/assets/fonts/inter.woff2",
            Some(("Range", "bytes=9-")),
            416,
        ),
        (
            "GET",
            "/assets/fonts/inter.woff2",
            Some(("If-Match", "\"x\"")),
            412,
        ),
        ("GET", "/assets/fonts/gone.woff2", None, 404),
        (
            "GET",
            "/conference/assets/locales/en-US/translation.json",
            None,
            404,
        ),
        ("GET", "/assets/gone.html", Some(("Accept", "text/html")), 404),
        ("POST", "/assets/config.js", None, 405),
        (
            "OPTIONS",
            "/assets/fonts/inter.woff2",
            Some(("Access-Control-Request-Method", "GET")),
            204,
        ),
    ] {
        let fields: Vec<_> = [origin].into_iter().chain(fields).collect();
        let answer = gateway.client().request(method, target, &fields, b"").await;
        assert_eq!(answer.status, status, "{method} {target}");
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("*"),
            "{target}"
        );
        assert_eq!(
            answer.header("cross-origin-resource-policy"),
            Some("cross-origin"),
            "{target}"
        );
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        if method == "OPTIONS" {
            assert_eq!(answer.header("access-control-allow-methods"), Some("GET, HEAD"));
            assert_eq!(answer.header("access-control-allow-headers"), Some("*"));
        }
    }
}
