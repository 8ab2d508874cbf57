//! What the client's page may load and use, here and in the pages of others.

use serde_json::json;

use super::{
    READY, Stage, assert_in,
    support::browser::{Snapshot, text},
};

const ROOM: (&str, &str) = ("room01", "ann");
const LISTED: &str = "session.frame_ancestors = ['https://lms.test']";
const ALLOWED: &str = "document.featurePolicy.allowedFeatures()";
const DEVICES: [&str; 5] = [
    "camera",
    "microphone",
    "display-capture",
    "fullscreen",
    "speaker-selection",
];

/// Which of the meeting's devices a page may use.
fn devices(allowed: &Snapshot) -> Vec<&'static str> {
    let allowed = allowed.value().as_array().unwrap();
    let is_allowed = |device: &&str| allowed.iter().any(|feature| feature == *device);
    DEVICES.into_iter().filter(is_allowed).collect()
}

#[tokio::test]
async fn the_client_may_use_a_meetings_devices_also_in_a_frame_that_gives_it_them() {
    let stage = Stage::with(LISTED).await;
    let mut browser = stage.browser();
    let link = stage.link(&stage.token("room01", "ann"));
    browser
        .step(json!({"tab": 1, "goto": link, "until": READY}))
        .await;
    let alone = browser.step(json!({"tab": 1, "run": ALLOWED})).await;
    assert_eq!(devices(&alone), DEVICES, "{alone}");
    for (attributes, expected) in [
        (format!("allow=\"{}\"", DEVICES.join("; ")), &DEVICES[..]),
        (String::new(), &[]),
    ] {
        stage.lms.page(
            "/course",
            &format!("<iframe {attributes} src=\"{link}\"></iframe>"),
        );
        let seen = browser
            .steps(json!([
                {"tab": 2, "goto": "https://lms.test/course"},
                {"tab": 2, "frame": 1, "once": READY, "run": ALLOWED},
            ]))
            .await;
        assert_eq!(devices(&seen[1]), expected, "{attributes}");
    }
}

#[tokio::test]
async fn what_the_meeting_shows_of_others_may_go_full_screen_and_no_more() {
    let stage = Stage::with("").await;
    let mut browser = stage.browser();
    let link = stage.link(&stage.token("room01", "ann"));
    browser
        .step(json!({"tab": 1, "goto": link, "until": READY}))
        .await;
    let inner = "new Promise((done) => { const frame = document.createElement('iframe'); frame.allow = 'camera; \
                 microphone; fullscreen'; frame.onload = done; frame.src = 'https://lms.test/video'; \
                 document.body.append(frame); }).then(() => true)";
    let seen = browser
        .steps(json!([
            {"tab": 1, "run": inner},
            {"tab": 1, "frame": 1, "run": ALLOWED},
        ]))
        .await;
    assert_eq!(devices(&seen[1]), ["fullscreen"]);
}

/// Adds a script of another host, and one in the page.
const FOREIGN_SCRIPTS: &str = "new Promise((done) => { const inline = document.createElement('script'); \
                               inline.textContent = 'window.inline = true'; document.head.append(inline); \
                               const script = document.createElement('script'); script.src = 'https://lms.test/x.js'; \
                               script.onload = script.onerror = ({ type }) => done([type, window.inline, window.foreign]); \
                               document.head.append(script); })";

#[tokio::test]
async fn the_policy_lets_the_client_and_a_designs_style_sheet_in_and_foreign_scripts_not() {
    let stage = Stage::with("design.css_hosts = ['lms.test']").await;
    stage.lms.file(
        "/theme.css",
        "text/css",
        "body { color: rgb(9, 8, 7) !important }",
    );
    stage
        .lms
        .file("/x.js", "text/javascript", "window.foreign = true");
    let mut browser = stage.browser();
    let token = stage.token("room01", "ann");
    let design = "%7B%22custom_css_url%22%3A%22https%3A%2F%2Flms.test%2Ftheme.css%22%7D";
    let link = format!("{}&custom_design={design}", stage.link(&token));
    let shown = browser
        .step(json!({"tab": 1, "goto": link, "until": READY}))
        .await;
    assert_in(&stage, &shown, ROOM, &token);
    assert!(shown.console().is_empty(), "{shown}");
    let colour = browser
        .step(json!({"tab": 1, "run": "getComputedStyle(document.body).color"}))
        .await;
    assert_eq!(colour.value(), "rgb(9, 8, 7)");
    let tried = browser.step(json!({"tab": 1, "run": FOREIGN_SCRIPTS})).await;
    assert_eq!(tried.value(), &json!(["error", null, null]), "{tried}");
    let complaints = tried
        .console()
        .iter()
        .filter(|line| line.as_str().unwrap().contains("Content Security Policy"));
    assert_eq!(complaints.count(), 2, "{tried}");
    let asked = stage.lms.requests();
    let files: Vec<_> = asked.iter().map(|seen| seen.target.as_str()).collect();
    assert_eq!(files, ["/theme.css"]);
    // Of us it is told the name alone.
    assert_eq!(asked[0].header("referer"), Some("https://conf.test/"));
}

#[tokio::test]
async fn a_policy_on_trial_reports_and_blocks_nothing() {
    let report = "[headers]\ncsp = 'report'\ncsp_report = 'https://lms.test/report'";
    let stage = Stage::with(report).await;
    stage
        .lms
        .file("/x.js", "text/javascript", "window.foreign = true");
    let mut browser = stage.browser();
    let token = stage.token("room01", "ann");
    let seen = browser
        .steps(json!([
            {"tab": 1, "goto": stage.link(&token), "until": READY},
            {"tab": 1, "run": FOREIGN_SCRIPTS},
        ]))
        .await;
    assert_in(&stage, &seen[0], ROOM, &token);
    assert_eq!(seen[1].value(), &json!(["load", true, true]), "{}", seen[1]);
    let asked = stage.lms.requests();
    let reports: Vec<_> = asked.iter().filter(|seen| seen.target == "/report").collect();
    assert_eq!(reports.len(), 2, "{asked:?}");
    for report in reports {
        let body = String::from_utf8(report.body.to_vec()).unwrap();
        assert!(body.contains("script-src") && !body.contains(&token), "{body}");
    }
}

/// docs/plugnmeet.md section 8: with `getClientFiles` a plugin writes the client's script tags into a page of its own.
#[tokio::test]
async fn a_page_of_another_origin_can_embed_the_client() {
    let stage = Stage::with("").await;
    let mut browser = stage.browser();
    let token = stage.token("room01", "ann");
    let assets = "https://conf.test/conference/assets";
    let html = format!(
        "<link rel=\"stylesheet\" crossorigin href=\"{assets}/css/main.css\"><script src=\"{assets}/config.js\"></script>\
         <body><div id=\"plugNmeet-app\"></div><script type=\"module\" src=\"{assets}/js/main.js\"></script>"
    );
    // As docs/plugnmeet.md section 8 has it, worker and all (plugNmeet-client, `helpers/libs/corsWorker.ts`).
    let worker = format!(
        "fetch('{assets}/worker/echo.js').then((answer) => answer.text()).then((code) => new Promise((done) => {{ \
         const worker = new Worker(URL.createObjectURL(new Blob([code], {{ type: 'application/javascript' }})), {{ type: \
         'module' }}); worker.onmessage = ({{ data }}) => done(data); worker.postMessage('ann'); }}))"
    );
    let missing = format!("fetch('{assets}/locales/en-US/translation.json').then((answer) => answer.status)");
    for policy in ["unsafe-none", "require-corp"] {
        stage
            .lms
            .answer("/embedded", &html, &[("cross-origin-embedder-policy", policy)]);
        let seen = browser
            .steps(json!([
                {"tab": 1, "goto": format!("https://lms.test/embedded?access_token={token}"), "until": READY},
                {"tab": 1, "run": worker},
                {"tab": 1, "run": missing},
                {"tab": 1, "run": "[crossOriginIsolated, getComputedStyle(document.body).color]"},
            ]))
            .await;
        assert_eq!(seen[0].text().trim(), "ann is in room01", "{}", seen[0]);
        assert_eq!(seen[1].value(), "the worker heard ann");
        assert_eq!(seen[2].value(), 404);
        assert_eq!(seen[3].value()[1], "rgb(1, 2, 3)", "{}", seen[3]);
        assert_eq!(seen[0].jar(), []);
    }
    assert_eq!(stage.verified(), token);
}

#[tokio::test]
async fn a_page_that_frames_the_client_may_ask_for_policies_of_its_frames() {
    let stage = Stage::with(LISTED).await;
    let mut browser = stage.browser();
    let token = stage.token("room01", "ann");
    // A page with a COEP frames only what says that it may be: the frame's own document needs one too, or no credentials.
    let html = format!("<iframe credentialless src=\"{}\"></iframe>", stage.link(&token));
    stage.lms.answer(
        "/course",
        &html,
        &[("cross-origin-embedder-policy", "require-corp")],
    );
    let seen = browser
        .steps(json!([
            {"tab": 1, "goto": "https://lms.test/course"},
            {"tab": 1, "frame": 1, "once": READY, "run": "location.host"},
        ]))
        .await;
    assert_eq!(
        text(seen[1].frame(), "text").trim(),
        "ann is in room01",
        "{}",
        seen[1]
    );
}
