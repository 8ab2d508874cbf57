//! The small pages that people see when there is no client to show: one look, no script, nothing loaded.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::{
    Response, StatusCode,
    header::{self, HeaderValue},
};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Body;

/// Marks a response as a page of the gateway's own. `crate::route` adds to its policy who may frame it.
#[derive(Clone, Copy)]
pub struct OwnPage;

const STYLE: &str = "\
:root{color-scheme:light dark;--fg:#1c2733;--bg:#f4f6f8;--card:#fff;--soft:#5b6b7b;--line:#dde3e9}\
@media(prefers-color-scheme:dark){:root{--fg:#e8edf2;--bg:#11171d;--card:#1a222b;--soft:#9fb0c0;--line:#2c3945}}\
body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--bg);color:var(--fg);\
font:1rem/1.5 system-ui,sans-serif}\
main{box-sizing:border-box;width:min(36rem,100%);padding:2rem;background:var(--card);border:1px solid var(--line);\
border-radius:.75rem}\
h1{margin:0 0 .5rem;font-size:1.4rem}p{margin:.5rem 0}.soft{color:var(--soft)}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.35rem 1rem;margin:1rem 0}\
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}svg{vertical-align:-.1em;margin-right:.4em}";

/// What these pages may do: show themselves in their one style. Without `frame-ancestors`, which `crate::route` adds.
pub static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = BASE64_STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
    format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'")
});

/// A page with a headline, what happened, and what to do next.
pub fn message(status: StatusCode, title: &str, what: &str, advice: &str) -> Response<Body> {
    own(
        status,
        title,
        &html! {
            h1 { (title) }
            p { (advice) }
            p.soft { (what) }
        },
    )
}

/// Any page of the gateway's own.
pub fn own(status: StatusCode, title: &str, content: &Markup) -> Response<Body> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
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
    response.extensions_mut().insert(OwnPage);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
