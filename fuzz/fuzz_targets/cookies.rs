//! Any `Cookie` lines: a token is what stands behind the very name, to the next semicolon; and what ends foreign cookies is
//! always a header field.
#![no_main]

use hyper::{
    HeaderMap,
    header::{COOKIE, HeaderValue},
};
use libfuzzer_sys::fuzz_target;
use plugnmeet_gateway::session::SessionError;

/// What the reader names of the library.
mod http {
    pub use plugnmeet_gateway::http::{ACCESS_COOKIE, without_brackets};
}

#[allow(dead_code, reason = "cookies are read here, and not written")]
#[path = "../../src/session/cookie.rs"]
mod cookie;

use cookie::{ACCESS, Cookies, clearing};

fuzz_target!(|data: &[u8]| {
    // One line in three has a token for certain.
    let lines = data.split(|byte| *byte == b'\n').enumerate().map(|(at, line)| {
        let start = if at % 3 == 1 { "pnm_access_token=" } else { "" };
        [start.as_bytes(), line].concat()
    });
    let lines: Vec<HeaderValue> = lines
        .filter_map(|line| HeaderValue::from_bytes(&line).ok())
        .collect();
    let headers: HeaderMap = lines.iter().map(|line| (COOKIE, line.clone())).collect();
    let cookies = Cookies::of(&headers);
    // The client's own way: the first pair whose name, blanks before it aside, is ours.
    let expected = lines
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .filter_map(|pair| str::from_utf8(pair).ok())
        .filter_map(|pair| {
            pair.trim_start_matches(' ')
                .strip_prefix(ACCESS)?
                .strip_prefix('=')
        })
        .find(|token| !token.is_empty());
    assert_eq!(cookies.tokens.first().copied(), expected, "{lines:?}");
    for token in &cookies.tokens {
        assert!(!token.is_empty() && !token.contains(';'), "{token:?}");
    }
    let host = String::from_utf8_lossy(data);
    for line in clearing(&host, "/conference/s/a/", "/conference/s/a/", false) {
        let line = String::from_utf8_lossy(line.as_bytes());
        assert!(line.contains("Max-Age=0"), "{line:?}");
    }
});
