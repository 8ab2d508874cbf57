//! Reads the document strictly: JSON, an object, every member in its place.
//!
//! In a map the last of two equal keys would silently replace the first, so members are collected as a list.
//!
//! Source: RFC 8259 (sections 2 for white space, 4 for repeated names).

use std::fmt;

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use percent_encoding::percent_decode_str;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::Rule;

/// The largest document in bytes, after percent-decoding and before JSON's escapes are decoded. It has room for every field
/// with URLs of ordinary length, and bounds the work and the answer.
pub const MAX_BYTES: usize = 4096;

/// The members of the object in their order; none if the text is empty, or the object has no members.
pub(super) fn read(decoded: &str) -> Result<Vec<(String, Value)>, Rule> {
    if decoded.len() > MAX_BYTES {
        return Err(Rule::DocumentTooLong);
    }
    if decoded.trim_matches([' ', '\t', '\n', '\r']).is_empty() {
        return Ok(Vec::new());
    }
    match serde_json::from_str::<Members>(decoded) {
        Ok(Members(members)) => Ok(members),
        Err(error) if error.is_data() => Err(Rule::NotAnObject),
        Err(_) => Err(disguised(decoded).unwrap_or(Rule::NotJson)),
    }
}

/// The mistake in a text that would be an object without it: authors of links make few, and each again and again.
fn disguised(decoded: &str) -> Option<Rule> {
    let is_object = |text: &str| serde_json::from_str::<Members>(text).is_ok();
    let text = decoded.trim_ascii();
    if text.contains('%')
        && percent_decode_str(text)
            .decode_utf8()
            .is_ok_and(|once| is_object(&once))
    {
        return Some(Rule::EncodedTwice);
    }
    if text.contains('\'') && is_object(&text.replace('\'', "\"")) {
        return Some(Rule::SingleQuotes);
    }
    // `URLSearchParams` has made blanks of the plus signs.
    let coded = text.replace(' ', "+");
    let coded = coded.trim_end_matches('=');
    let standard = format!("{coded}{}", "=".repeat((4 - coded.len() % 4) % 4));
    let bytes = BASE64_STANDARD
        .decode(standard)
        .or_else(|_| BASE64_URL_SAFE_NO_PAD.decode(coded))
        .ok()?;
    let text = String::from_utf8(bytes).ok()?;
    is_object(&text).then_some(Rule::Base64)
}

struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrder)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = object.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}
