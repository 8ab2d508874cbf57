//! A recorded request, made anew: with signatures and checksums by the tests' secret, with tokens and ids of this run.
//!
//! A recording does not say which token was sent. Its name does, and here alone names are looked at: what answers knows
//! none of them.

use std::fmt::Write;

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use plugnmeet_gateway::{secret::Secret, token::RequestKey};
use serde_json::{Value, json};

use super::{
    exchange::{Body, Exchange},
    support::{
        SECRET,
        client::Answer,
        plugnmeet::{PlugNmeet, bbb_checksum, oauth, signed_payload},
    },
};

/// Where all of it happened.
pub const ORIGIN: &str = "https://conf.example.org";

/// The recorded room, and what was done in it.
const ROOM: &str = "rec-room";

/// A request that can be sent.
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What later requests need of earlier answers.
#[derive(Default)]
pub struct Play {
    sid: String,
    participant: String,
    admin: String,
    lti: String,
    download: String,
    visitors: Vec<String>,
}

impl Play {
    /// What stood on the server's disk and in its database before this request, and came there by no request.
    pub fn prepare(&mut self, server: &PlugNmeet, name: &str) {
        match name {
            "assets: config.js" => server.keep_file(
                "assets/config.js",
                "text/javascript; charset=utf-8",
                b"window.plugNmeetConfig = {};",
                "Sat, 28 Nov 2026 02:30:50 GMT",
            ),
            "download: a file, /SID/a%20b.txt" => server.keep_file(
                &format!("{}/a b.txt", self.sid),
                "text/plain; charset=utf-8",
                b"hello world",
                "Sat, 28 Nov 2026 03:31:26 GMT",
            ),
            "recording: fetch" => {
                server.keep_recording("rec1", ROOM, "n1/rec1.mp4");
                let bytes: Vec<u8> = (0..=255).cycle().take(2048).collect();
                server.keep_file(
                    "n1/rec1.mp4",
                    "application/octet-stream",
                    &bytes,
                    "Sat, 28 Nov 2026 03:31:26 GMT",
                );
            }
            _ => {}
        }
    }

    /// The same request, of this run.
    pub fn request(&self, exchange: &Exchange, now: i64) -> Request {
        let name = &exchange.name;
        let with_masks = |text: &str| {
            let text = text.replace("{{uuid}}", &self.sid);
            if text.contains("{{jwt}}") {
                text.replace("{{jwt}}", &self.token(name, now))
            } else {
                text
            }
        };
        let body = match &exchange.body {
            Body::Length(length) => long_request(*length),
            Body::Bytes(bytes) => with_masks(std::str::from_utf8(bytes).unwrap()).into_bytes(),
        };
        let body = launched(name, body);
        let body = summed(&exchange.target, body);
        let headers = exchange.headers.iter().map(|(header, value)| {
            let value = if header == "HASH-SIGNATURE" {
                signature(name, value, &body)
            } else {
                with_masks(value)
            };
            (header.clone(), value)
        });
        Request {
            method: exchange.method.clone(),
            target: with_sum(&with_masks(&exchange.target), name),
            headers: headers.collect(),
            body,
        }
    }

    /// What is needed later; and what is wrong beside what came before.
    pub fn remember(&mut self, name: &str, answer: &Answer) -> Option<String> {
        let json = || serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
        let token = || json()["token"].as_str().unwrap_or_default().to_owned();
        match name {
            "room: create" => {
                json()["room_info"]["sid"]
                    .as_str()
                    .unwrap_or_default()
                    .clone_into(&mut self.sid);
            }
            "join token: plain" => self.participant = token(),
            "join token: admin" => self.admin = token(),
            "recording: token" => self.download = token(),
            "lti: launch, instructor" => {
                let page = String::from_utf8_lossy(&answer.body);
                let rest = page.split_once("TOKEN = '").map_or("", |(_, rest)| rest);
                rest.split('\'')
                    .next()
                    .unwrap_or_default()
                    .clone_into(&mut self.lti);
            }
            _ if name.starts_with("auto ids: same body") => {
                let token = token();
                if self.visitors.contains(&token) {
                    return Some("the token of another visitor".to_owned());
                }
                self.visitors.push(token);
            }
            _ => {}
        }
        None
    }

    fn token(&self, name: &str, now: i64) -> String {
        if let Some(variant) = name.strip_prefix("api: verifyToken, token ") {
            return changed(variant, now);
        }
        let participant = if self.participant.is_empty() {
            changed("", now)
        } else {
            self.participant.clone()
        };
        if name == "api: verifyToken, cut" {
            return participant[..participant.len() - 5].to_owned();
        }
        if name.ends_with("with a download token") || name.starts_with("download: recording") {
            return self.download.clone();
        }
        if name.starts_with("lti api: ") && !name.ends_with("a participant's join token") {
            return self.lti.clone();
        }
        if name.contains(", admin") {
            return self.admin.clone();
        }
        participant
    }
}

/// Ann's token with something else about it.
fn changed(variant: &str, now: i64) -> String {
    let mut claims = json!({"exp": now + 600, "iss": "plugnmeet", "name": "Ann", "nbf": now, "room_id": ROOM, "sub": "ann",
                            "user_id": "ann"});
    match variant {
        "" => {}
        "expired 30 s ago" => claims["exp"] = (now - 30).into(),
        "expired 90 s ago" => claims["exp"] = (now - 90).into(),
        "not yet, 30 s" => claims["nbf"] = (now + 30).into(),
        "not yet, 90 s" => claims["nbf"] = (now + 90).into(),
        "another issuer" => claims["iss"] = "other".into(),
        "no exp" => drop(claims.as_object_mut().unwrap().shift_remove("exp")),
        "room that is not there" => claims["room_id"] = "not-there".into(),
        "no room id" => drop(claims.as_object_mut().unwrap().shift_remove("room_id")),
        #[expect(clippy::cast_precision_loss, reason = "seconds are small")]
        "exp as float" => claims["exp"] = (now as f64 + 600.5).into(),
        other => panic!("which token is {other:?}?"),
    }
    signed_payload(&claims)
}

/// A request for a token that has just this length.
fn long_request(length: usize) -> Vec<u8> {
    let body = |padding: usize| {
        let data = json!({"k": "x".repeat(padding)});
        json!({"room_id": ROOM, "user_info": {"name": "Ann", "user_id": "ann", "user_metadata": {"extra_data": data}}})
            .to_string()
            .into_bytes()
    };
    let padding = length - body(0).len();
    body(padding)
}

fn signature(name: &str, recorded: &str, body: &[u8]) -> String {
    let key = RequestKey::new(&Secret::new(SECRET.into()));
    match name {
        "auth: wrong signature" | "auth: short signature" => recorded.to_owned(),
        "auth: signature in capitals" => key.signature(body).to_uppercase(),
        "auth: signature with sha256=" => format!("sha256={}", key.signature(body)),
        "auth: body by another line end" => key.signature(body.trim_ascii_end()),
        _ => key.signature(body),
    }
}

/// The checksum in a query.
fn with_sum(target: &str, name: &str) -> String {
    let Some((before, old)) = target.split_once("checksum=") else {
        return target.to_owned();
    };
    let (path, query) = before.split_once('?').unwrap();
    let method = path.rsplit('/').next().unwrap();
    let query = query.trim_end_matches('&');
    let sum = match name {
        "bbb: create, wrong checksum" => old.to_owned(),
        "bbb: create, sha256" => {
            let signed = format!("{method}{query}{SECRET}");
            let sum = digest::digest(&digest::SHA256, signed.as_bytes());
            sum.as_ref().iter().fold(String::new(), |mut hex, byte| {
                write!(hex, "{byte:02x}").unwrap();
                hex
            })
        }
        _ => bbb_checksum(method, query),
    };
    assert_eq!(sum.len(), old.len(), "{name}");
    format!("{before}checksum={sum}")
}

/// The checksum in a form.
fn summed(target: &str, body: Vec<u8>) -> Vec<u8> {
    let text = std::str::from_utf8(&body).unwrap();
    match text.split_once("&checksum=") {
        Some((query, _)) => {
            let method = target.rsplit('/').next().unwrap();
            format!("{query}&checksum={}", bbb_checksum(method, query)).into_bytes()
        }
        None => body,
    }
}

/// The signature of an LTI launch; the tampered one has that of the form before it was changed.
fn launched(name: &str, body: Vec<u8>) -> Vec<u8> {
    let text = std::str::from_utf8(&body).unwrap();
    let Some((form, _)) = text.split_once("&oauth_signature=") else {
        return body;
    };
    let signed = oauth::signed(
        &format!("{ORIGIN}/lti/v1"),
        &if name == "lti: launch, tampered" {
            form.replace("roles=x", "roles=Instructor")
        } else {
            form.to_owned()
        },
    );
    let (_, signature) = signed.split_once("&oauth_signature=").unwrap();
    format!("{form}&oauth_signature={signature}").into_bytes()
}

/// The payload of a token.
pub fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap_or_default();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}
