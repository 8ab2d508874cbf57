//! The policy of the web client's page.

use super::{CSP, beside_own_files, client, page, page_of, sources};
use crate::support::Gateway;

const REPORT_ONLY: &str = "content-security-policy-report-only";

#[tokio::test]
async fn the_clients_page_may_do_what_a_meeting_needs() {
    let client = client();
    let path = client.path().display();
    let gateway = Gateway::with(&format!("[client]\npath = '{path}'\n")).await;
    let answer = page_of(&gateway).await;
    let policy = answer.header(CSP).unwrap();
    // docs/plugnmeet.md section 7, with what meetings need beside it.
    let expected = format!(
        "default-src 'self'; script-src {origin}/conference/assets/ {origin}/conference/r/ {origin}/assets/ \
         'wasm-unsafe-eval' \
         https://www.youtube.com/iframe_api https://www.youtube.com/s/player/; worker-src 'self' blob:; style-src \
         {origin}/conference/assets/ {origin}/conference/r/ {origin}/assets/ 'unsafe-inline'; img-src 'self' data: blob: https:; font-src \
         'self' data: https://esm.sh; media-src 'self' blob: https: data:; connect-src 'self' ws: wss: {origin} https: \
         blob: data:; frame-src https:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'",
        origin = gateway.origin()
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
            "'unsafe-inline' https://cdn.example.org https://*.example.net",
        ),
        ("script-src", "'wasm-unsafe-eval'"),
        ("frame-src", "https: wss://x.example.org"),
        ("object-src", "https:"),
        ("font-src", "'self' data: https://esm.sh"),
    ] {
        assert_eq!(beside_own_files(policy, directive), expected, "{directive}");
    }
    let answer = page("design.css_hosts = ['*']").await;
    let styles = beside_own_files(answer.header(CSP).unwrap(), "style-src");
    assert_eq!(styles, "'unsafe-inline' https:");
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
