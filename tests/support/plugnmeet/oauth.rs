//! The signature of an LTI launch: OAuth 1.0a with HMAC-SHA1.
//!
//! Source: RFC 5849 section 3.4.

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::support::SECRET;

/// RFC 5849 section 3.6.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Over a form that is posted to this address, its own signature aside.
pub fn signature(url: &str, form: &str) -> String {
    let mut pairs: Vec<(String, String)> = form_urlencoded::parse(form.as_bytes())
        .filter(|(name, _)| name != "oauth_signature")
        .map(|(name, value)| (escaped(&name), escaped(&value)))
        .collect();
    pairs.sort();
    let parameters: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let base = format!("POST&{}&{}", escaped(url), escaped(&parameters.join("&")));
    // No token secret follows the consumer's.
    let key = format!("{}&", escaped(SECRET));
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
    BASE64_STANDARD.encode(hmac::sign(&key, base.as_bytes()))
}

/// The form with its signature at its end.
pub fn signed(url: &str, form: &str) -> String {
    format!("{form}&oauth_signature={}", escaped(&signature(url, form)))
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}
