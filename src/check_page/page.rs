//! The page: a line for each thing that is tried, a button for the devices, and the code.
//!
//! It has the look of the gateway's other pages. What the script needs is an attribute of its element, so that its text,
//! and with it the hash in the policy, is the same in every answer. The script works on lines that are there: without it
//! the page says that it is needed. Whoever listens to the page hears the verdict (role `status`) and the button.
//!
//! Sources: CSP level 3 section 2.3.1 (hashes); WAI-ARIA 1.2, role `status`; W3C WebRTC section 4.8.2
//! (`icecandidateerror`), RFC 8656 (a relay is given for a login that is right).

use std::{collections::BTreeMap, sync::LazyLock};

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::{Response, StatusCode};
use maud::{Markup, PreEscaped, html};
use serde::Deserialize;
use serde_json::json;

use super::{
    CheckPageSettings,
    code::{ALPHABET, CHECK_WEIGHTS, FIELDS, VERSION},
    login::Login,
};
use crate::reply::{
    Body, Language,
    page::{self, OwnPage},
};

/// Without comments and indentation, as every reader loads it.
const SCRIPT: &str = include_str!("check.js");

/// The lines of the page, in their order; each is a field of the code.
const LINES: [&str; 6] = ["cookies", "socket", "udp", "relay", "camera", "microphone"];

/// What one page is made of.
pub(super) struct Shown<'a> {
    pub settings: &'a CheckPageSettings,
    pub language: Language,
    /// Name and value of the cookie that comes with the page.
    pub cookie: &'a str,
    /// None: nobody can log in to TURN.
    pub login: Option<Login>,
}

/// The words of one language.
#[derive(Debug, Deserialize)]
struct Words {
    title: String,
    advice: String,
    lines: BTreeMap<String, String>,
    running: String,
    states: BTreeMap<String, Vec<String>>,
    verdicts: Vec<String>,
    devices: String,
    code: String,
    script: String,
}

/// By the tag of their language. The file is a part of the program, and a test reads it.
static WORDS: LazyLock<BTreeMap<String, Words>> =
    LazyLock::new(|| serde_json::from_str(include_str!("words.json")).unwrap_or_default());

/// The words in this language, or in English.
fn words(language: Language) -> Option<(&'static Words, Language)> {
    let of = |language: Language| WORDS.get(language.tag()).map(|words| (words, language));
    of(language).or_else(|| of(Language::En))
}

/// The source of the script in a policy.
pub fn script_source() -> String {
    let hash = BASE64_STANDARD.encode(digest::digest(&digest::SHA256, SCRIPT.as_bytes()));
    format!("'sha256-{hash}'")
}

pub(super) fn made(shown: &Shown<'_>) -> Response<Body> {
    let Some((words, language)) = words(shown.language) else {
        return Response::new(Body::Empty);
    };
    let mut response = page::own(StatusCode::OK, language, &words.title, &content(words, shown));
    response.extensions_mut().insert(OwnPage::Check);
    response
}

fn content(words: &Words, shown: &Shown<'_>) -> Markup {
    html! {
        h1 { (words.title) }
        p { (words.advice) }
        noscript { p { (words.script) } }
        dl {
            @for name in LINES {
                dt { (words.lines.get(name).map_or("", String::as_str)) }
                dd id=(name) { (words.running) }
            }
        }
        // What is said later is heard where the region was there before.
        p #verdict role="status" {}
        p #result hidden { (words.code) " " strong { code #code {} } }
        div.actions { button.button #devices type="button" { (words.devices) } }
        script data-check=(for_script(words, shown)) { (PreEscaped(SCRIPT)) }
    }
}

/// What the script is told, as JSON.
fn for_script(words: &Words, shown: &Shown<'_>) -> String {
    let settings = shown.settings;
    let host = &settings.turn_host;
    let relay = shown.login.as_ref().map(|login| {
        json!({
            "urls": format!("turns:{host}:{}?transport=tcp", settings.turn_tls_port),
            "username": login.username,
            "credential": login.credential,
        })
    });
    let udp = settings.turn_udp_port.map(|port| {
        json!({
            "stun": format!("stun:{host}:{port}"),
            "turn": format!("turn:{host}:{port}?transport=udp"),
        })
    });
    let told = json!({
        "fields": FIELDS,
        "version": VERSION,
        "alphabet": ALPHABET,
        "weights": CHECK_WEIGHTS,
        "words": { "states": words.states, "verdicts": words.verdicts },
        "socket": settings.nats,
        "cookie": shown.cookie,
        "udp": udp,
        "relay": relay,
    });
    told.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A browser hashes the element's text as it reads it: LF alone ends lines, and nothing in it ends the element.
    #[test]
    fn the_script_reads_as_it_is_written() {
        assert!(!SCRIPT.contains(['\r', '\0']) && SCRIPT.is_ascii());
        assert!(!SCRIPT.contains("</") && !SCRIPT.contains("<!--"));
    }

    #[test]
    fn four_languages_have_all_words_and_others_have_english() {
        assert_eq!(WORDS.keys().collect::<Vec<_>>(), ["de", "en", "es", "fr"]);
        let english = &WORDS["en"];
        for (tag, words) in WORDS.iter() {
            assert!(words.lines.keys().map(String::as_str).eq({
                let mut lines = LINES;
                lines.sort_unstable();
                lines
            }));
            let states = |words: &Words| -> Vec<(String, usize)> {
                let each = words.states.iter();
                each.map(|(name, states)| (name.clone(), states.len())).collect()
            };
            assert_eq!(states(words), states(english), "{tag}");
            assert_eq!(words.verdicts.len(), 4, "{tag}");
        }
        for (language, expected) in [(Language::De, Language::De), (Language::Ja, Language::En)] {
            assert_eq!(words(language).map(|(_, language)| language), Some(expected));
        }
    }
}
