//! Any `Accept-Encoding` and `Accept-Language`: the answer is in a coding that was asked for, or in none, and never a panic.
#![no_main]

use std::sync::LazyLock;

use hyper::{
    HeaderMap, Method,
    header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONTENT_ENCODING, HeaderValue},
};
use libfuzzer_sys::fuzz_target;
use plugnmeet_gateway::{
    webapp::{WebApp, WebAppSettings},
    reply::Language,
};

static FILES: LazyLock<WebApp> = LazyLock::new(|| {
    let settings = WebAppSettings::new(
        "https://a.example".into(),
        "/conference".into(),
        serde_json::Map::new(),
    );
    WebApp::load(settings.expect("sound settings")).expect("nothing is read")
});

fuzz_target!(|value: &[u8]| {
    let Ok(value) = HeaderValue::from_bytes(value) else {
        return;
    };
    let _ = Language::of(&HeaderMap::from_iter([(ACCEPT_LANGUAGE, value.clone())]));
    let asked = HeaderMap::from_iter([(ACCEPT_ENCODING, value.clone())]);
    match FILES.asset("assets/config.js", &Method::GET, &asked) {
        Ok(answer) => {
            if let Some(coding) = answer.headers().get(CONTENT_ENCODING) {
                let coding = coding.to_str().expect("ASCII");
                let asked = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
                assert!(
                    asked.contains(coding) || asked.contains('*') || asked.contains("x-gzip"),
                    "{asked:?} {coding}"
                );
            }
        }
        Err(failure) => assert_eq!(failure.status(), 406, "{value:?}"),
    }
});
