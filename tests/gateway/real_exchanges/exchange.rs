//! The recorded exchanges, as they stand in the file.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

/// One request and its answer.
pub struct Exchange {
    pub name: String,
    pub method: String,
    pub target: String,
    /// Without those that a client writes by itself.
    pub headers: Vec<(String, String)>,
    pub body: Body,
    pub answer: Recorded,
}

/// What the server said.
pub struct Recorded {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Body,
    /// The claims of each token in it.
    pub tokens: Vec<Value>,
}

/// A body, as far as it was kept.
pub enum Body {
    Bytes(Vec<u8>),
    /// Its length alone.
    Length(usize),
}

/// All of them, in their order.
pub fn all() -> Vec<Exchange> {
    let lines = include_str!("../../real/exchanges.jsonl").lines();
    lines
        .map(|line| read(&serde_json::from_str(line).unwrap()))
        .collect()
}

fn read(line: &Value) -> Exchange {
    let (request, answer) = (&line["request"], &line["response"]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let headers = request["headers"].as_object().unwrap();
    let recorded_headers = answer["headers"].as_array().unwrap();
    Exchange {
        name: text(&line["name"]),
        method: text(&request["method"]),
        target: text(&request["path"]),
        headers: headers
            .iter()
            .filter(|(name, _)| *name != "Content-Length")
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
        body: body(&request["body"]),
        answer: Recorded {
            status: u16::try_from(answer["status"].as_u64().unwrap()).unwrap(),
            headers: recorded_headers
                .iter()
                .map(|pair| (text(&pair[0]), text(&pair[1])))
                .collect(),
            body: body(&answer["body"]),
            tokens: answer["tokens"].as_array().cloned().unwrap_or_default(),
        },
    }
}

fn body(value: &Value) -> Body {
    if let Some(text) = value["text"].as_str() {
        return Body::Bytes(text.as_bytes().to_vec());
    }
    if let Some(text) = value["base64"].as_str() {
        return Body::Bytes(BASE64_STANDARD.decode(text).unwrap());
    }
    match value["bytes"].as_u64() {
        Some(length) => Body::Length(usize::try_from(length).unwrap()),
        None => Body::Bytes(Vec::new()),
    }
}
