//! Any path of a request: it leads to the file that its one decoding names, or nowhere, and never to a panic.
#![no_main]

use std::sync::LazyLock;

use hyper::{HeaderMap, Method};
use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use plugnmeet_gateway::webapp::{WebApp, WebAppSettings};

/// Of this client there is one file, which stands at addresses of its release, too.
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
    let in_release = decoded.as_deref().ok().and_then(below_a_release);
    let names_the_file = decoded.as_deref() == Ok(NAME) || in_release.is_some_and(is_configuration);
    match FILES.asset(path, &Method::GET, &HeaderMap::new()) {
        Ok(answer) if names_the_file => assert_eq!(answer.status(), 200, "{path:?}"),
        // What a known release lacks it lacks for good, which the answer says.
        Ok(answer) => assert!(in_release.is_some() && answer.status() == 404, "{path:?}"),
        // A name may be spelled so that two readers could disagree.
        Err(failure) if names_the_file => assert_eq!(failure.code(), "bad_path", "{path:?}"),
        Err(failure) => assert!(matches!(failure.code(), "bad_path" | "no_such_file"), "{path:?}"),
    }
});

/// What follows `r/RELEASE/`.
fn below_a_release(name: &str) -> Option<&str> {
    let (release, below) = name.strip_prefix("r/")?.split_once('/')?;
    is_hash(release).then_some(below)
}

/// Of whatever configuration: a page that was opened before gets the one there is.
fn is_configuration(name: &str) -> bool {
    let hash = name
        .strip_prefix("assets/config.")
        .and_then(|rest| rest.strip_suffix(".js"));
    name == NAME || hash.is_some_and(is_hash)
}

/// 16 bytes in base64url: the last of 22 characters carries two bits.
fn is_hash(text: &str) -> bool {
    let in_alphabet = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.len() == 22 && text.bytes().all(in_alphabet) && text.ends_with(['A', 'Q', 'g', 'w'])
}
