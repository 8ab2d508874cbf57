//! Any `Range`: the answer is the file, or parts of it at the places it says, and never longer than the file.
#![no_main]

use std::sync::LazyLock;

use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Method,
    header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, RANGE},
};
use libfuzzer_sys::fuzz_target;
use plugnmeet_gateway::webapp::{WebApp, WebAppSettings};
use tokio::runtime::{Builder, Runtime};

/// No two places of it look alike.
static CONTENT: LazyLock<String> = LazyLock::new(|| (0..600).map(|n| format!("{n:05}")).collect());

static FILES: LazyLock<WebApp> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.js");
    std::fs::write(&file, &*CONTENT).expect("a file");
    let settings = WebAppSettings::new(
        "https://a.example".into(),
        "/conference".into(),
        serde_json::Map::new(),
    );
    let mut settings = settings.expect("sound settings");
    settings.config_file = Some(file);
    WebApp::load(settings).expect("a readable file")
});

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));

fuzz_target!(|range: &[u8]| {
    // Most of what begins otherwise is ignored, and that is soon known.
    let Ok(value) = HeaderValue::from_bytes(&[b"bytes=", range].concat()) else {
        return;
    };
    let asked = HeaderMap::from_iter([(RANGE, value)]);
    let answer = FILES
        .asset("assets/config.js", &Method::GET, &asked)
        .expect("it is there");
    let (head, body) = answer.into_parts();
    let body = RUNTIME
        .block_on(body.collect())
        .ok()
        .expect("it is in memory")
        .to_bytes();
    let text = |value: &HeaderValue| value.to_str().expect("ASCII").to_owned();
    let field = |name| head.headers.get(name).map(text);
    match (head.status.as_u16(), field(CONTENT_RANGE)) {
        (200, None) => assert_eq!(body, CONTENT.as_bytes()),
        (206, Some(place)) => check(&place, &body),
        (206, None) => {
            // Sixteen parts at most, that don't overlap, and some lines around each.
            assert!(body.len() < CONTENT.len() + 16 * 200);
            let content_type = field(CONTENT_TYPE).expect("a type");
            let boundary = content_type
                .strip_prefix("multipart/byteranges; boundary=")
                .expect("parts");
            let body = std::str::from_utf8(&body).expect("text");
            let pieces: Vec<&str> = body.split(&format!("--{boundary}")).collect();
            let ["", parts @ .., "--\r\n"] = pieces.as_slice() else {
                panic!("{body}");
            };
            assert!(parts.len() > 1);
            for part in parts {
                let (head, part) = part.split_once("\r\n\r\n").expect("a head");
                let place = head.split_once("Content-Range: ").expect("a place").1;
                check(place, part.strip_suffix("\r\n").expect("an end").as_bytes());
            }
        }
        (416, Some(place)) => assert_eq!(place, format!("bytes */{}", CONTENT.len())),
        other => panic!("{other:?}"),
    }
    if head.status != 416 {
        assert_eq!(field(CONTENT_LENGTH), Some(body.len().to_string()));
    }
});

/// `bytes FIRST-LAST/LEN`, and exactly that.
fn check(place: &str, part: &[u8]) {
    let (bounds, len) = place
        .strip_prefix("bytes ")
        .and_then(|place| place.split_once('/'))
        .expect("a place");
    assert_eq!(len, CONTENT.len().to_string());
    let (first, last) = bounds.split_once('-').expect("bounds");
    let (first, last): (usize, usize) = (first.parse().expect("digits"), last.parse().expect("digits"));
    assert_eq!(part, &CONTENT.as_bytes()[first..=last]);
}
