//! The server's tokens: signed as it signs them, and judged as it judges them, whatever they are for. It does not tell the
//! kinds apart.
//!
//! Source: docs/plugnmeet.md section 4.

use aws_lc_rs::hmac;
use base64::{
    Engine, alphabet,
    engine::{GeneralPurpose, general_purpose::NO_PAD},
    prelude::BASE64_URL_SAFE_NO_PAD,
};
use serde_json::{Map, Value, json};

use crate::support::{API_KEY, SECRET};

/// Seconds by which clocks may differ (go-jose's default).
const LEEWAY: f64 = 60.0;

/// Spare bits at the end may be anything, as Go's decoder has it.
const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&alphabet::URL_SAFE, NO_PAD.with_decode_allow_trailing_bits(true));

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Not three parts that can be read.
    Malformed,
    /// Another key, another algorithm, another issuer, not valid yet, or a subject that is not its user.
    Invalid,
    Expired,
}

/// What a join token is made of.
pub(super) struct Join<'a> {
    pub room_id: &'a str,
    pub user_id: &'a str,
    pub name: &'a str,
    pub is_admin: bool,
    pub is_hidden: bool,
    pub client_type: i64,
}

/// Any payload, signed as the server signs its tokens of every kind.
pub fn signed_payload(payload: &Value) -> String {
    let text = format!(
        "{}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#),
        BASE64_URL_SAFE_NO_PAD.encode(go_escaped(&payload.to_string()))
    );
    let signature = hmac::sign(&key(), text.as_bytes());
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// Ten minutes for a room. Claims stand by name, and those that say nothing are left out.
pub(super) fn join_token(now: i64, join: &Join<'_>) -> String {
    let mut claims = Map::new();
    let mut add = |name: &str, value: Value, says_something: bool| {
        if says_something {
            claims.insert(name.to_owned(), value);
        }
    };
    add("client_type", join.client_type.into(), join.client_type != 0);
    add("exp", (now + 600).into(), true);
    add("is_admin", true.into(), join.is_admin);
    add("is_hidden", true.into(), join.is_hidden);
    add("iss", API_KEY.into(), true);
    add("name", join.name.into(), !join.name.is_empty());
    add("nbf", now.into(), true);
    add("room_id", join.room_id.into(), !join.room_id.is_empty());
    add("sub", join.user_id.into(), true);
    add("user_id", join.user_id.into(), !join.user_id.is_empty());
    signed_payload(&Value::Object(claims))
}

/// Half an hour for a file.
pub(super) fn download_token(now: i64, path: &str) -> String {
    signed_payload(&json!({"exp": now + 1800, "iss": API_KEY, "nbf": now, "sub": path}))
}

/// The claims of a token; `sub` has to be its `user_id`, if it has one.
pub(super) fn verified(token: &str, now: i64) -> Result<Value, Refused> {
    let claims = verified_by_anyone(token, now)?;
    let user_id = text(&claims, "user_id");
    if user_id.is_empty() || user_id == text(&claims, "sub") {
        Ok(claims)
    } else {
        Err(Refused::Invalid)
    }
}

/// As LTI's middleware looks at a token: signature, issuer and time.
pub(super) fn verified_by_anyone(token: &str, now: i64) -> Result<Value, Refused> {
    let parts: Vec<&str> = token.split('.').collect();
    let [head, payload, signature] = parts[..] else {
        return Err(Refused::Malformed);
    };
    let decoded = |part: &str| LENIENT.decode(part).map_err(|_| Refused::Invalid);
    let header: Value = serde_json::from_slice(&decoded(head)?).map_err(|_| Refused::Invalid)?;
    if header["alg"] != "HS256" {
        return Err(Refused::Invalid);
    }
    hmac::verify(
        &key(),
        format!("{head}.{payload}").as_bytes(),
        &decoded(signature)?,
    )
    .map_err(|_| Refused::Invalid)?;
    let claims: Value = serde_json::from_slice(&decoded(payload)?).map_err(|_| Refused::Invalid)?;
    #[expect(clippy::cast_precision_loss, reason = "seconds are small")]
    let now = now as f64;
    let time = |name: &str| claims[name].as_f64();
    if claims["iss"] != API_KEY || time("nbf").is_some_and(|nbf| now + LEEWAY < nbf) {
        return Err(Refused::Invalid);
    }
    if time("exp").is_some_and(|exp| now - LEEWAY > exp) {
        return Err(Refused::Expired);
    }
    Ok(claims)
}

/// A claim, or nothing.
pub(super) fn text<'a>(claims: &'a Value, name: &str) -> &'a str {
    claims[name].as_str().unwrap_or_default()
}

fn key() -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes())
}

/// Go's encoder writes these as escapes.
fn go_escaped(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}
