//! Any path of a request: it leads to the file that its one decoding names, or nowhere, and never to a panic.
#![no_main]

use std::sync::LazyLock;

use hyper::{HeaderMap, Method};
use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use plugnmeet_gateway::webapp::{WebApp, WebAppSettings};

/// Of this client there is one file.
const NAME: &str = "assets/config.js";

static FILES: LazyLock<WebApp> = LazyLock::new(|| {
    let settings = WebAppSettings::new(
        "https://a.example".into(),
        "/conference".into(),
        serde_json::Map::new(),
    );
    WebApp::load(settings.expect("sound settings")).expect("nothing is read")
});

fuzz_target!(|path: &str| {
    let decoded = percent_decode_str(path.strip_prefix('/').unwrap_or(path)).decode_utf8();
    let names_the_file = decoded.is_ok_and(|name| name == NAME);
    match FILES.asset(path, &Method::GET, &HeaderMap::new()) {
        Ok(answer) => assert!(names_the_file && answer.status() == 200, "{path:?}"),
        // A name may be spelled so that two readers could disagree.
        Err(failure) if names_the_file => assert_eq!(failure.code(), "bad_path", "{path:?}"),
        Err(failure) => assert!(matches!(failure.code(), "bad_path" | "no_such_file"), "{path:?}"),
    }
});
