//! Is an answer the recorded one? Status, headers, body and tokens.
//!
//! - **Headers**: those of the recording are there, with these values, and no others; their order and the spelling of names
//!   do not count. `Date` is any date, and `Content-Length` the length of the body. (Where there is no body to count, of a
//!   page whose words are not the server's, it is not compared.)
//! - **Bodies**: JSON as JSON, whatever its order and its blanks, and so the JSON that stands in a text of it; all else byte
//!   by byte. What changes from run to run counts as the same wherever it stands: a JWT, a UUID, a unix time, a date, how
//!   long a meeting has lasted, a key that was drawn by lot.
//! - **Tokens**: their claims, and times in them to within a few seconds.

use serde_json::Value;

use super::{
    exchange::{Body, Recorded},
    masks::masked,
    play::claims,
    support::{SECRET, client::Answer, plugnmeet::wire},
};

/// What differs, in words; empty if nothing does.
pub fn differences(recorded: &Recorded, answer: &Answer, method: &str, now: i64) -> Vec<String> {
    let mut found = Vec::new();
    if recorded.status != answer.status {
        found.push(format!("status {} and not {}", answer.status, recorded.status));
    }
    compare_headers(recorded, answer, method, &mut found);
    compare_bodies(recorded, answer, &mut found);
    compare_tokens(recorded, answer, now, &mut found);
    found
}

fn compare_headers(recorded: &Recorded, answer: &Answer, method: &str, found: &mut Vec<String>) {
    let value_of = |name: &str, value: &str| match name {
        "date" | "content-length" => String::new(),
        _ => String::from_utf8_lossy(&masked(value.as_bytes())).into_owned(),
    };
    let mut expected: Vec<(String, String)> = recorded
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .map(|(name, value)| (name.clone(), value_of(&name, &value)))
        .collect();
    let mut actual: Vec<(String, String)> = answer
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                value_of(name.as_str(), &String::from_utf8_lossy(value.as_bytes())),
            )
        })
        .collect();
    expected.sort();
    actual.sort();
    found.extend(
        expected
            .iter()
            .filter(|header| !actual.contains(header))
            .map(|(name, value)| format!("no {name}: {value}")),
    );
    found.extend(
        actual
            .iter()
            .filter(|header| !expected.contains(header))
            .map(|(name, value)| format!("there is {name}: {value}")),
    );
    let length = answer
        .headers
        .get("content-length")
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if method != "HEAD" && length.is_some_and(|length| length != answer.body.len()) {
        found.push(format!("content-length {length:?} of {}", answer.body.len()));
    }
}

fn compare_bodies(recorded: &Recorded, answer: &Answer, found: &mut Vec<String>) {
    let expected = match &recorded.body {
        Body::Bytes(expected) => expected,
        Body::Length(length) => {
            if (*length == 0) != answer.body.is_empty() {
                found.push(format!("a body of {} and not of {length}", answer.body.len()));
            }
            return;
        }
    };
    let same = match (
        serde_json::from_slice::<Value>(expected),
        serde_json::from_slice::<Value>(&answer.body),
    ) {
        (Ok(expected), Ok(actual)) => json(expected) == json(actual),
        _ => {
            masked(expected) == masked(&answer.body)
                || fields(expected).is_some_and(|expected| Some(expected) == fields(&answer.body))
        }
    };
    if !same {
        found.push(format!(
            "the body is\n      {}\n    and not\n      {}",
            answer.body.escape_ascii(),
            expected.escape_ascii()
        ));
    }
}

/// With masks, and with the JSON in its texts read as well.
fn json(value: Value) -> Value {
    match value {
        Value::Object(object) => object
            .into_iter()
            .map(|(name, value)| (name, json(value)))
            .collect(),
        Value::Array(list) => list.into_iter().map(json).collect(),
        Value::String(text) => match serde_json::from_str::<Value>(&text) {
            Ok(inner @ (Value::Object(_) | Value::Array(_))) => json(inner),
            _ => String::from_utf8_lossy(&masked(text.as_bytes())).into(),
        },
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
    }
}

/// A protobuf message whose numbers may be times, written out.
fn fields(bytes: &[u8]) -> Option<Vec<String>> {
    let fields = wire::fields(bytes)?;
    let write = |(number, held): (u64, wire::Held)| match held {
        wire::Held::Number(value) => {
            let value = masked(value.to_string().as_bytes());
            format!("{number}: {}", value.escape_ascii())
        }
        wire::Held::Bytes(bytes) => match self::fields(&bytes).filter(|_| number > 6) {
            Some(inner) => format!("{number}: {inner:?}"),
            None => format!("{number}: {}", masked(&bytes).escape_ascii()),
        },
        wire::Held::Fixed(bytes) => format!("{number}: {bytes:?}"),
    };
    Some(fields.into_iter().map(write).collect())
}

fn compare_tokens(recorded: &Recorded, answer: &Answer, now: i64, found: &mut Vec<String>) {
    let location = answer.headers.get("location");
    let location = location.map_or(&[][..], |value| value.as_bytes());
    let mut tokens = super::masks::tokens(&[location, b" ", &answer.body].concat());
    tokens.dedup();
    if tokens.len() != recorded.tokens.len() {
        found.push(format!(
            "{} tokens and not {}",
            tokens.len(),
            recorded.tokens.len()
        ));
    }
    for (expected, token) in recorded.tokens.iter().zip(&tokens) {
        let actual = claims(token);
        if !same_claims(expected, &actual, now) {
            found.push(format!("the claims {actual} and not {expected}"));
        }
        if !is_signed(token) {
            found.push("a token with another signature".to_owned());
        }
    }
}

/// Are these the recorded claims, with times counted from now?
pub fn same_claims(expected: &Value, actual: &Value, now: i64) -> bool {
    let (Some(expected), Some(actual)) = (expected.as_object(), actual.as_object()) else {
        return false;
    };
    expected.len() == actual.len()
        && expected.iter().all(|(name, value)| {
            let actual = actual.get(name).unwrap_or(&Value::Null);
            let text = value.as_str().unwrap_or_default();
            match text
                .strip_prefix("{{now+")
                .and_then(|rest| rest.strip_suffix("}}"))
            {
                Some(seconds) => {
                    let expected = now + seconds.parse::<i64>().unwrap();
                    actual
                        .as_i64()
                        .is_some_and(|actual| (actual - expected).abs() <= 5)
                }
                None if text == "{{uuid}}" => {
                    masked(actual.as_str().unwrap_or_default().as_bytes()) == text.as_bytes()
                }
                None => value == actual,
            }
        })
}

fn is_signed(token: &str) -> bool {
    use aws_lc_rs::hmac;
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
    hmac::verify(&key, signed.as_bytes(), &signature).is_ok()
}
