//! The small pages that people see when there is no client to show: one look, no script, nothing loaded.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::{
    Response, StatusCode,
    header::{self, HeaderValue},
};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    Body, Label, Language, Reader, Topic,
    words::{self, Value},
};
use crate::http::{no_referrer, no_store};

/// Marks a response as a page of the gateway's own. `crate::route` writes its policy, with who may frame it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnPage {
    #[default]
    Plain,
    /// It may send forms to its own origin.
    Forms,
    /// It tries what the client needs (`crate::check_page`).
    Check,
}

/// Marks a response as the client's page, so that `crate::route` adds its content security policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientPage {
    /// Under which a script of this one answer runs; none where there is no such script.
    pub nonce: Option<String>,
}

/// Contrasts are 4.5 to 1 or better for every text, in both colour schemes (WCAG 2.2, success criterion 1.4.3).
const STYLE: &str = "\
:root{color-scheme:light dark;--fg:#1c2733;--bg:#f4f6f8;--card:#fff;--soft:#5b6b7b;--line:#dde3e9;--act:#0b5cad;\
--on-act:#fff}\
@media(prefers-color-scheme:dark){:root{--fg:#e8edf2;--bg:#11171d;--card:#1a222b;--soft:#9fb0c0;--line:#2c3945;\
--act:#8cc8ff;--on-act:#11171d}}\
body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--bg);color:var(--fg);\
font:1rem/1.5 system-ui,sans-serif}\
main{box-sizing:border-box;width:min(36rem,100%);padding:2rem;background:var(--card);border:1px solid var(--line);\
border-radius:.75rem;overflow-wrap:anywhere}\
h1{margin:0 0 .5rem;font-size:1.4rem}p{margin:.5rem 0}.soft{color:var(--soft)}.small{font-size:.875rem}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.35rem 1rem;margin:1rem 0}\
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}svg{vertical-align:-.1em;margin-right:.4em}\
.actions{display:flex;flex-wrap:wrap;gap:.75rem;margin:1.25rem 0}.actions form{display:contents}\
.button{padding:.6rem 1.1rem;border:2px solid var(--act);border-radius:.5rem;background:var(--act);color:var(--on-act);\
font:inherit;font-weight:600;text-decoration:none;cursor:pointer}.button.plain{background:none;color:var(--act)}\
.button:focus-visible{outline:3px solid var(--fg);outline-offset:3px}";

/// What these pages may do: show themselves in their one style. Without `form-action` and `frame-ancestors`, which
/// `crate::route` adds.
pub static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = BASE64_STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
    format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'")
});

/// The line about the error, below the page's advice.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The stable code of the failure.
    pub code: &'a str,
    /// The values that the text contains.
    pub values: &'a [Value],
    /// The text in English, for languages without a translation of it.
    pub message: &'a str,
}

/// A page that tells of a failure: a headline, what to do next, what happened, and what to quote when asking for help.
pub fn message(status: StatusCode, topic: Topic, told: Told<'_>, reader: &Reader<'_>) -> Response<Body> {
    let language = reader.language;
    let words = topic.words(language);
    let english = || (sentence(told.message).into(), Language::En);
    let (what, spoken) = if language == Language::En {
        english()
    } else {
        words::detail(language, told.code, told.values).map_or_else(english, |what| (what, language))
    };
    let other = (spoken != language).then_some(spoken);
    let content = html! {
        h1 { (words.title) }
        p { (words.advice) }
        p.soft lang=[other.map(Language::tag)] dir=[other.map(Language::direction)] { (what) }
        @if let Some(url) = reader.login_url {
            // Out of a frame, if it is in one: there is hardly a login page that lets itself be framed.
            p.actions { a.button href=(url) target="_top" { (Label::LogIn.text(language)) } }
        }
        @if let Some(request) = reader.request {
            p.soft.small { (Label::Request.text(language)) " " code { (request) } }
        }
    };
    own(status, language, words.title, &content)
}

/// A page with a choice: below the advice are details, and then links and buttons. The buttons may send forms to our
/// own origin.
pub fn choice(
    status: StatusCode,
    language: Language,
    topic: Topic,
    details: &Markup,
    controls: &Markup,
) -> Response<Body> {
    let words = topic.words(language);
    let content = html! {
        h1 { (words.title) }
        p { (words.advice) }
        (details)
        div.actions { (controls) }
    };
    let mut response = own(status, language, words.title, &content);
    response.extensions_mut().insert(OwnPage::Forms);
    response
}

/// The text as a sentence, with a capital and a full stop.
fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    let stop = if message.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    first.into_iter().chain(chars).chain(stop.chars()).collect()
}

/// A page of the gateway's own.
pub fn own(status: StatusCode, language: Language, title: &str, content: &Markup) -> Response<Body> {
    let page = html! {
        (DOCTYPE)
        html lang=(language.tag()) dir=[(language.direction() != "ltr").then_some(language.direction())] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (content) } }
        }
    };
    let mut response = Response::new(Body::from(page.into_string()));
    *response.status_mut() = status;
    response.extensions_mut().insert(OwnPage::default());
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
    no_store(headers);
    no_referrer(headers);
    response
}
